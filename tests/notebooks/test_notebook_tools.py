"""The scripts beside the notebooks: the one that stamps the address, those that run them."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
sys.path.insert(0, str(FOLDER))
import render  # noqa: E402
import stamp  # noqa: E402

WHEEL = "nst_utils-{}-py3-none-any.whl"
DRIVE = "drive/MyDrive/"
ADDRESS = "https://github.com/someone/style"
PYPROJECT = '[project]\nname = "x"\n[project.urls]\nRepository = "{}"\n'


def notebook(*sources: str) -> Any:
    """An opening, the two stamped cells, and a code cell for each source."""
    cells = [new_markdown_cell("# 00"), new_markdown_cell("", id="colab")]
    cells += [new_code_cell("", id="install"), *(new_code_cell(source) for source in sources)]
    language = {"language_info": {"name": "python", "version": "3.0"}}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return new_notebook(cells=cells, metadata=language | kernel)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_is_stamped_with_the_address_in_pyproject(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    before = [cell.source for cell in book.cells]
    stamp.stamp(book, path.name, stamp.repository(FOLDER.parent / "pyproject.toml"))
    assert [cell.source for cell in book.cells] == before, "run `make stamp`"


def test_without_an_address_nothing_points_nowhere() -> None:
    book = notebook()
    stamp.stamp(book, "00_x.ipynb", "")
    text = " ".join(cell.source for cell in book.cells)
    assert "no public address" in text
    assert "http" not in text


def test_with_an_address_badge_and_install_cell_lead_there() -> None:
    book = notebook()
    stamp.stamp(book, "00_x.ipynb", ADDRESS)
    _, badge, install = (cell.source for cell in book.cells)
    target = "https://colab.research.google.com/github/someone/style/blob/main/notebooks/00_x.ipynb"
    assert f"]({target})" in badge
    assert badge.startswith("[![Open this notebook in Google Colab](https://")
    assert f'    %pip install -q "nst-utils @ git+{ADDRESS}"' in install


# The install cell, run as on Colab: pip only tells what it was asked for.


def run_install(address: str, content: Path, choose: Callable[[], list[str]]) -> list[str]:
    """The arguments of each ``%pip``; ``content`` is ``/content``, ``choose`` the upload dialog."""
    code = stamp.install(address).replace("/content", content.as_posix())
    code, magics = re.subn(r"%pip (.*)", r"asked.append(rf'\1')", code)
    assert magics == 1
    asked: list[str] = []
    files = SimpleNamespace(upload=lambda: dict.fromkeys(choose(), b""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "google.colab", SimpleNamespace(files=files))
        exec(code, {"asked": asked})
    return asked


def not_asked() -> list[str]:
    raise AssertionError("there is a file to install, and another is asked for")


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_the_install_cell_does_nothing_but_on_colab(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    exec(stamp.install(address).replace("%pip", "raise AssertionError #"), {})
    assert capsys.readouterr() == ("", "")


def test_with_an_address_the_install_cell_looks_for_no_file(tmp_path: Path) -> None:
    (tmp_path / WHEEL.format("1.0.0")).touch()
    assert run_install(ADDRESS, tmp_path, not_asked) == [f'install -q "nst-utils @ git+{ADDRESS}"']


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        pytest.param([WHEEL.format("1.0.0")], WHEEL.format("1.0.0"), id="wheel"),
        pytest.param(
            [WHEEL.format("1.9.0"), WHEEL.format("1.10.0"), WHEEL.format("0.11.0")],
            WHEEL.format("1.10.0"),
            id="newest-wheel",
        ),
        pytest.param(
            [WHEEL.format("1.10.0rc1"), WHEEL.format("1.10.0")],
            WHEEL.format("1.10.0"),
            id="final-wheel",
        ),
        pytest.param(
            [WHEEL.format("1.9.0"), DRIVE + WHEEL.format("1.10.0")],
            DRIVE + WHEEL.format("1.10.0"),
            id="newer-in-drive",
        ),
        pytest.param(
            [DRIVE + WHEEL.format("1.0.0"), WHEEL.format("1.0.0")],
            WHEEL.format("1.0.0"),
            id="uploaded-before-drive",
        ),
        pytest.param(
            ["nst-2.0.zip", "nst-2.0/nst_utils/x.py", WHEEL.format("1.0.0")],
            WHEEL.format("1.0.0"),
            id="wheel-first",
        ),
        pytest.param(["nst-main (1).zip", "photos.zip"], "nst-main (1).zip", id="zip"),
        pytest.param([DRIVE + "nst_utils.zip"], DRIVE + "nst_utils.zip", id="zip-in-drive"),
        pytest.param(
            ["style/nst_utils/x.py", "style/data/x.jpg"], "style/nst_utils/..", id="folder"
        ),
        pytest.param(
            [DRIVE + "My work/nst_utils/x.py"], DRIVE + "My work/nst_utils/..", id="folder-in-drive"
        ),
    ],
)
def test_on_colab_the_install_cell_finds_what_is_there(
    there: list[str], taken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ["sample_data/x.csv", *there]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    expected = f'install -q --no-deps "{(tmp_path / taken).as_posix()}"'
    assert run_install("", tmp_path, not_asked) == [expected]
    assert capsys.readouterr() == ("", "")


# The browser names a file's second download so, and pip takes no wheel of such a name.
RENAMED = WHEEL.format("1.0.0").replace(".whl", " (1).whl")


@pytest.mark.parametrize("there", [[], ["photos.zip", RENAMED]], ids=["nothing", "others"])
@pytest.mark.parametrize("chosen", ["", WHEEL.format("1.0.0"), "copy (1).zip"])
def test_on_colab_the_install_cell_asks_for_what_it_does_not_find(
    there: list[str], chosen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in there:
        (tmp_path / name).touch()
    asked = run_install("", tmp_path, lambda: [chosen] if chosen else [])
    assert asked == ([f'install -q --no-deps "{chosen}"'] if chosen else [])
    out, err = capsys.readouterr()
    assert (
        out
        == "Choose a wheel (`make wheel` builds it; keep its name) or a zip of the repository:\n"
    )
    assert err == ""


def test_the_address_is_read_from_pyproject(tmp_path: Path) -> None:
    pyproject = tmp_path / "pyproject.toml"
    for written in (ADDRESS, ADDRESS + "/", ADDRESS + ".git"):
        pyproject.write_text(PYPROJECT.format(written))
        assert stamp.repository(pyproject) == ADDRESS
    pyproject.write_text('[project]\nname = "x"\n')
    assert stamp.repository(pyproject) == ""
    pyproject.write_text(PYPROJECT.format("https://example.org/style"))
    with pytest.raises(ValueError, match=r"give https://github\.com/OWNER/NAME"):
        stamp.repository(pyproject)


def test_a_notebook_without_the_cells_is_refused() -> None:
    book = notebook()
    del book.cells[1]
    with pytest.raises(ValueError, match=r"00_x.ipynb has no cell with the id colab"):
        stamp.stamp(book, "00_x.ipynb", ADDRESS)


def jpeg(width: int, height: int) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "orange").save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_what_only_the_run_needed_is_dropped() -> None:
    book = notebook("x")
    bar = {render.WIDGET: {}, "text/plain": "0%"}
    book.cells[3].outputs = [
        new_output("stream", name="stderr", text="0%"),
        new_output("display_data", data=bar),
        new_output("stream", name="stdout", text="kept"),
        new_output("display_data", data={"image/jpeg": jpeg(2, 2)}),
    ]
    book.cells[3].metadata["execution"] = {"iopub.execute_input": "now"}
    book.metadata["widgets"] = {}
    render.clean(book)
    assert [output.get("text", "picture") for output in book.cells[3].outputs] == [
        "kept",
        "picture",
    ]
    assert "execution" not in book.cells[3].metadata
    assert "widgets" not in book.metadata
    assert "version" not in book.metadata.language_info


def test_the_finished_picture_is_put_first_and_small_enough() -> None:
    book = notebook("x")
    book.cells[3].metadata["tags"] = ["finished"]
    book.cells[3].outputs = [new_output("display_data", data={"image/jpeg": jpeg(1800, 600)})]
    render.put_finished_picture_first(book)
    encoded = book.cells[0].attachments["finished.jpg"]["image/jpeg"]
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (900, 300)


def test_pictures_are_compressed_no_further_than_the_notebook_needs() -> None:
    noise = Image.effect_noise((400, 400), 80).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "JPEG", quality=render.QUALITIES[0])
    shown = base64.b64encode(buffer.getvalue()).decode()
    book = notebook("x")
    book.cells[3].outputs = [new_output("display_data", data={"image/jpeg": shown})]
    assert render.fit(book) == 85
    assert book.cells[3].outputs[0].data["image/jpeg"] == shown
    quality = render.fit(book, most=len(shown))  # smaller, since there is more in it than this
    smaller = book.cells[3].outputs[0].data["image/jpeg"]
    assert quality in render.QUALITIES[1:]
    assert smaller == render.compressed(shown, quality)
    assert Image.open(io.BytesIO(base64.b64decode(smaller))).size == (400, 400)
    with pytest.raises(ValueError, match="fewer or smaller pictures"):
        render.fit(book, most=1000)


def test_a_notebook_is_run_and_written_whole_or_not_at_all(tmp_path: Path) -> None:
    show = "from IPython.display import display\ndisplay({'image/jpeg': '" + jpeg(8, 8)
    book = notebook("print(6 * 7)", show + "'}, raw=True)")
    book.cells[4].metadata["tags"] = ["finished"]
    path = tmp_path / "00_x.ipynb"
    nbformat.write(book, path)
    render.render(path)
    ran = nbformat.read(path, as_version=4)
    assert ran.cells[3].outputs[0].text == "42\n"
    assert "finished.jpg" in ran.cells[0].attachments

    book.cells[3].source = "1 / 0"
    nbformat.write(book, path)
    before = path.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        render.render(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["00_x.ipynb"]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_written_to_the_byte_as_nbformat_does(path: Path) -> None:
    expected = f"{nbformat.writes(nbformat.read(path, as_version=4))}\n".encode()
    assert render.written(render.read(path)) == expected


# A cell for each way in which something can be shown.
CELLS = (
    "import sys\nif 'nowhere' in sys.modules:\n    %pip install nothing",
    "print('two'); print('lines')\n6 * 7",
    "print('not shown, but for this')\n6 * 7;",
    "None",
    "from matplotlib import pyplot as plt\nfigure, axis = plt.subplots()\naxis.plot([1, 2]);",
    # As our own figures do.
    "from IPython.display import display\nclass Drawing:\n    def _ipython_display_(self):\n"
    "        display({'image/jpeg': 'x'}, metadata={'image/jpeg': {'alt': 'y'}}, raw=True)\n"
    "Drawing()",
    "from IPython.display import display\nprint('before')\ndisplay(2)\nprint('after')",
    "def f():\n    return 1\nimport inspect\nprint(inspect.getsource(f))",
    "class Rich(str):\n    def _repr_html_(self):\n        return '<b>x</b>'\nRich('x')",
)


def shown(book: Any) -> list[list[Any]]:
    """What each cell shows: texts as they are, of pictures only the kind."""
    found = []
    for cell in book["cells"]:
        outputs = []
        for output in cell.get("outputs", []):
            data = output.get("data", {"text": output.get("text")})
            kept = {kind: "" if kind.startswith("image") else data[kind] for kind in data}
            outputs.append([output["output_type"], output.get("execution_count"), kept])
        found.append([cell.get("execution_count"), outputs])
    return found


WITHOUT_JUPYTER = """
import sys
from pathlib import Path
sys.modules |= dict.fromkeys(["nbformat", "nbclient", "ipykernel", "IPython"])  # cannot be imported
import render
render.render(Path(sys.argv[1]), Path(sys.argv[2]), without_jupyter=True)
"""


def test_without_jupyter_a_notebook_shows_what_it_shows_in_it(tmp_path: Path) -> None:
    path, plain = tmp_path / "00_x.ipynb", tmp_path / "plain"
    plain.mkdir()
    nbformat.write(notebook(*CELLS), path)
    command = [sys.executable, "-c", WITHOUT_JUPYTER, str(path), str(plain)]
    subprocess.run(command, cwd=FOLDER, check=True, capture_output=True)
    render.render(path)
    without = nbformat.read(plain / path.name, as_version=4)
    nbformat.validate(without)
    assert shown(without) == shown(nbformat.read(path, as_version=4))


def test_without_jupyter_a_failing_cell_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    path, plain = tmp_path / "00_x.ipynb", tmp_path / "plain"
    plain.mkdir()
    nbformat.write(notebook("x = 1", "def f():\n    return 1 / 0", "f()"), path)
    display = sys.modules.get("IPython.display")
    with pytest.raises(ZeroDivisionError) as error:
        render.render(path, plain, without_jupyter=True)
    # The cell for the address is empty and has no number.
    assert [str(entry.path) for entry in error.traceback][-2:] == ["cell 3", "cell 2"]
    assert not [*plain.iterdir()]
    assert sys.modules.get("IPython.display") is display


@pytest.mark.parametrize("without_jupyter", [False, True])
def test_in_a_folder_that_is_named_what_lies_there_is_found_and_stays(
    tmp_path: Path, without_jupyter: bool
) -> None:
    path, there, out = tmp_path / "00_x.ipynb", tmp_path / "there", tmp_path / "out"
    for folder in (there, out):
        folder.mkdir()
    (there / "made.txt").write_text("earlier")
    nbformat.write(notebook("print(open('made.txt').read())"), path)
    render.render(path, out, without_jupyter, within=there)
    assert nbformat.read(out / path.name, as_version=4).cells[3].outputs[0].text == "earlier\n"
    assert [each.name for each in there.iterdir()] == ["made.txt"]


def test_tiny_notebooks_are_not_written_over_the_real_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["render.py", "--quick"])
    with pytest.raises(SystemExit):
        render.main()
    assert "name --out" in capsys.readouterr().err
