"""What every notebook must hold before it is run: nbval runs them (see the Makefile)."""

from __future__ import annotations

import ast
import base64
import io
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from PIL import Image

import nst_utils as nst

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NAMES = [
    "00_start_here",
    "01_content_representation",
    "02_style_representation",
    "03_style_transfer",
    "04_content_style_tradeoff",
    "05_layers_and_initialization",
    "06_photorealistic",
    "07_variations",
    "08_studio",
    "09_after_the_paper",
]

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in load(path)["cells"] if cell["cell_type"] == kind]


def pictures(cell: dict[str, Any]) -> list[str]:
    """The pictures that a cell shows, in base64."""
    data = [output.get("data", {}) for output in cell.get("outputs", [])]
    return [each[kind] for each in data for kind in ("image/jpeg", "image/png") if kind in each]


def code(path: Path) -> str:
    """All code of a notebook, without IPython's magics."""
    text = "\n".join(source(cell) for cell in cells(path, "code"))
    return re.sub(r"^(\s*)%.*$", r"\1pass", text, flags=re.MULTILINE)


def test_the_series_is_complete_and_in_order() -> None:
    assert [path.stem for path in NOTEBOOKS] == NAMES


@every_notebook
def test_a_notebook_is_valid_and_opens_with_its_number(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    first = notebook.cells[0].source.splitlines()
    assert first[0].startswith(f"# {path.stem[:2]} · ")
    assert notebook.metadata["accelerator"] == "GPU"
    assert notebook.metadata["kernelspec"]["name"] == "python3"


@every_notebook
def test_headings_go_down_one_level_at_a_time(path: Path) -> None:
    text = "\n".join(source(cell) for cell in cells(path, "markdown"))
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@every_notebook
def test_a_notebook_was_run_top_to_bottom_without_errors(path: Path) -> None:
    run = cells(path, "code")
    assert [cell["execution_count"] for cell in run] == list(range(1, len(run) + 1))
    outputs = [output for cell in run for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert "NST_QUICK is set" not in path.read_text(encoding="utf-8")


@every_notebook
def test_a_notebook_is_small_and_its_cells_are_short(path: Path) -> None:
    assert path.stat().st_size < 2_000_000
    run = cells(path, "code")
    assert 8 <= len(run) <= 20
    assert max(len(source(cell).splitlines()) for cell in run) <= 15


@every_notebook
def test_every_cell_ends_in_something_to_see(path: Path) -> None:
    for cell in cells(path, "code"):
        if cell["id"] != "install":
            assert cell["outputs"], source(cell)


@every_notebook
def test_every_picture_has_its_caption_below(path: Path) -> None:
    notebook = load(path)["cells"]
    for cell, following in zip(notebook, [*notebook[1:], None], strict=True):
        if pictures(cell):
            assert following is not None
            caption = source(following).partition("\n")[0]
            assert following["cell_type"] == "markdown", source(cell)
            assert re.match(r"\*[^*]", caption), source(cell)
            assert caption.endswith("*"), caption
            assert caption.count("*") == 2, caption
            assert len(caption) > 20


def whole(kind: str, encoded: str) -> bool:
    """Whether a picture in base64 is read to its last byte, as it was written."""
    try:
        data = base64.b64decode(encoded, validate=True)
        Image.open(io.BytesIO(data)).load()
    except (ValueError, OSError):  # not base64; or a checksum that fails
        return False
    # A JPEG has no checksum, and its decoder guesses what it cannot read.
    return kind == "image/png" or data.endswith(b"\xff\xd9")


@every_notebook
def test_every_picture_is_whole(path: Path) -> None:
    for cell in load(path)["cells"]:
        shown = [output.get("data", {}) for output in cell.get("outputs", [])]
        for bundle in [*shown, *cell.get("attachments", {}).values()]:
            for kind, encoded in bundle.items():
                if kind in ("image/jpeg", "image/png"):
                    assert whole(kind, encoded), (cell["id"], kind)


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png"])
def test_a_picture_into_which_text_was_written_is_not_whole(kind: str) -> None:
    """As happens when words are replaced in all of a notebook's file, its pictures included."""
    file = io.BytesIO()
    Image.linear_gradient("L").save(file, kind.removeprefix("image/"))
    encoded = base64.b64encode(file.getvalue()).decode()
    assert whole(kind, encoded)
    middle = len(encoded) // 2
    for replaced in (0, 3, 4):
        assert not whole(kind, encoded[:middle] + "1e-4" + encoded[middle + replaced :])


@every_notebook
def test_the_finished_picture_stands_at_the_beginning(path: Path) -> None:
    opening = load(path)["cells"][0]
    ((alt, target),) = re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", source(opening))
    assert len(alt) > 40
    assert target == "attachment:finished.jpg"
    jpeg = opening["attachments"]["finished.jpg"]["image/jpeg"]
    picture = Image.open(io.BytesIO(base64.b64decode(jpeg)))
    assert 600 <= picture.width <= 900


@every_notebook
def test_figures_are_committed_at_a_size_where_they_can_be_judged(path: Path) -> None:
    """384 px at least for each panel of the finished figure."""
    (cell,) = [c for c in cells(path, "code") if "finished" in c["metadata"].get("tags", [])]
    (encoded,) = pictures(cell)
    columns = {"00": 1, "04": 2, "05": 2, "07": 2, "09": 2}.get(path.stem[:2], 3)
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).width >= columns * 384


@every_notebook
def test_exercises_have_collapsed_solutions_one_for_each(path: Path) -> None:
    last = "\n".join(source(cell) for cell in cells(path, "markdown")[-2:])
    exercises, _, solutions = last.partition("<details><summary>Solutions</summary>")
    asked = re.findall(r"^(\d)\. ", exercises.partition("## Exercises")[2], flags=re.MULTILINE)
    solved = re.findall(r"^(\d)\. ", solutions.partition("</details>")[0], flags=re.MULTILINE)
    assert 3 <= len(asked) <= 5
    assert asked == solved


@every_notebook
def test_it_says_which_settings_are_the_papers_and_which_are_not(path: Path) -> None:
    text = "\n".join(source(cell) for cell in cells(path, "markdown"))
    assert "**Which settings are the paper's?**" in text
    assert "**Which are not?**" in text


@every_notebook
def test_relative_links_lead_somewhere(path: Path) -> None:
    text = "\n".join(source(cell) for cell in cells(path, "markdown"))
    for target in re.findall(r"\]\(([^)]*)\)", text):
        if not target.startswith(("http", "attachment:")):
            assert (FOLDER / target).is_file(), target


@every_notebook
def test_every_name_of_the_package_exists(path: Path) -> None:
    text = "\n".join(source(cell) for cell in load(path)["cells"])
    for name in re.findall(r"\bnst\.(\w+)", text):
        assert hasattr(nst, name), name


@every_notebook
def test_some_cells_hold_numbers_that_are_checked(path: Path) -> None:
    tags = [tag for cell in cells(path, "code") for tag in cell["metadata"].get("tags", [])]
    assert "nbval-check-output" in tags


def test_no_helper_is_defined_twice() -> None:
    names: Counter[str] = Counter()
    defined = (ast.FunctionDef, ast.ClassDef)
    for path in NOTEBOOKS:
        names.update(n.name for n in ast.walk(ast.parse(code(path))) if isinstance(n, defined))
    assert [name for name, times in names.items() if times > 1 or hasattr(nst, name)] == []


@every_notebook
def test_ids_are_unique_and_no_path_of_a_machine_is_in_it(path: Path) -> None:
    ids = [cell["id"] for cell in load(path)["cells"]]
    assert len(set(ids)) == len(ids)
    assert not re.search(r"/(home|root|tmp|Users|work)/", path.read_text(encoding="utf-8"))
