"""What the site is made of: its pages, their links and the descriptions of their pictures."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

for _module in ("griffe", "sphinx"):
    pytest.importorskip(_module, reason=f"{_module} is not installed")

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "site"
sys.path.insert(0, str(FOLDER))
import api  # noqa: E402
import stage  # noqa: E402

PICTURE = base64.b64encode(b"a picture").decode()


def repository(folder: Path, files: dict[str, str]) -> stage.Stage:
    """A repository of these files, a README and a package of one function, not laid out yet."""
    package = {"nst_utils/__init__.py": "", "nst_utils/plots/curve.py": "def draw(): ...\n"}
    for name, text in ({"README.md": "# Front\n"} | package | files).items():
        path = folder / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return stage.Stage(folder / "repository", folder / "out")


def laid_out(folder: Path, files: dict[str, str], page: str) -> str:
    """A page as the site has it."""
    repository(folder, files).lay_out()
    return (folder / "out" / page).read_text(encoding="utf-8")


def notebook(*cells: dict[str, Any]) -> str:
    return json.dumps({"cells": [{"metadata": {}, **cell} for cell in cells], "metadata": {}})


def picture_cell(source: str, **metadata: str) -> dict[str, Any]:
    kept = {"image/png": metadata} if metadata else {}
    output = {"data": {"image/png": PICTURE}, "metadata": kept, "output_type": "display_data"}
    return {"cell_type": "code", "source": source, "outputs": [output]}


# The repository.


def test_the_repository_can_be_laid_out(tmp_path: Path) -> None:
    """Every link leads to a file, every picture has a description: else it is a SiteError."""
    staged = stage.Stage(ROOT, tmp_path)
    staged.lay_out()
    for page in staged.pages - {"README.md", "api/index"}:
        assert (tmp_path / page).is_file()


@pytest.mark.parametrize("chapter", sorted(set(stage.CHAPTERS) - {"Course"}))
def test_every_chapter_finds_its_pages(chapter: str) -> None:
    for pattern in stage.CHAPTERS[chapter]:
        assert pattern == "api/index" or list(ROOT.glob(pattern)), pattern


def test_every_description_belongs_to_a_picture() -> None:
    staged = stage.Stage(ROOT, Path())
    for name, told in staged.alts.items():
        book = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
        for line in told:
            cells = [x for x in book["cells"] if line in "".join(x["source"])]
            assert len(cells) == 1, (name, line)
            kinds = [kind for x in cells[0]["outputs"] for kind in x.get("data", ())]
            assert any(kind.startswith("image/") for kind in kinds), (name, line)


# Pages.


def test_the_course_is_there_when_it_is_there(tmp_path: Path) -> None:
    assert "Course" not in repository(tmp_path, {}).chapters
    course = {f"course/{name}.md": f"# {name}\n" for name in ["quiz", "README", "answers"]}
    chapters = repository(tmp_path, course).chapters
    assert chapters["Course"] == ["course/README.md", "course/answers.md", "course/quiz.md"]
    assert "course/README\ncourse/answers\ncourse/quiz\n" in laid_out(tmp_path, course, "index.md")


# Links.

LINKS = {
    "page": ("[x](../data/README.md#top)", "[x](../data/README.md#top)"),
    "front": ("[x](../README.md)", "[x](../index.md)"),
    "source": ("[x](../nst_utils/plots/curve.py)", "[x](../source/nst_utils/plots/curve.py.md)"),
    "room": ("[x](../nst_utils/plots)", "[x](../api/plots.rst)"),
    "package": ("[x](../nst_utils/)", "[x](../api/index.rst)"),
    "folder": ("[x](../data)", "[x](../data/README.md)"),
    "license": ("[x](../LICENSE)", "[x](../source/LICENSE.md)"),
    "picture": ("![x](curve.png)", "![x](curve.png)"),
    "html": ('<img src="curve.png">', '<img src="curve.png">'),
    "outside": ("[x](https://a.org/b.md)", "[x](https://a.org/b.md)"),
    "mail": ("[x](mailto:a@b.org)", "[x](mailto:a@b.org)"),
    "anchor": ("[x](#here)", "[x](#here)"),
    "slides": ("[x](s.html#/2)", "[x](asis:s.html#/2)"),
    "slides-html": ('<a href="s.html">', '<a href="s.html">'),
    "no-text": ("[x](../raw.bin)", "[x](asis:../raw.bin)"),
    "bare-folder": ("[x](../scripts)", "[x](../source/scripts.md)"),
    "title": ('[x](../LICENSE "y")', '[x](../source/LICENSE.md "y")'),
    "more-page": ("[x](more.md)", "[x](more.md)"),
    "code": ("```\n[x](nothing.md)\n```", "```\n[x](nothing.md)\n```"),
}


@pytest.mark.parametrize("kind", sorted(LINKS))
def test_links_between_files_become_links_between_pages(kind: str, tmp_path: Path) -> None:
    before, after = LINKS[kind]
    files = {"docs/promises.md": f"# Page\n\n{before}\n", "data/README.md": "# Data\n"}
    files |= {"LICENSE": "free", "docs/curve.png": "a picture", "docs/more.md": "# More\n"}
    files |= {"docs/s.html": "<h1>Slides</h1>", "raw.bin": "\ufffd", "scripts/one.py": "1"}
    assert laid_out(tmp_path, files, "docs/promises.md") == f"# Page\n\n{after}\n"
    target = after.partition("](")[2].rstrip(")").partition("#")[0].partition(" ")[0]
    if (
        ":" not in target
        and target.endswith((".md", ".png"))
        and kind not in {"room", "package", "code"}
    ):
        assert (tmp_path / "out" / "docs" / target).is_file()


def test_a_page_that_is_handed_out_as_it_is(tmp_path: Path) -> None:
    files = {"course/README.md": "[x](s.html)", "course/s.html": "<h1>x</h1>"}
    assert laid_out(tmp_path, files, "_extra/course/s.html") == "<h1>x</h1>"


def test_what_slides_are_made_of_is_no_page_but_leads_to_the_slides(tmp_path: Path) -> None:
    files = {"course/README.md": "[x](slides.md)", "course/slides.md": "[[00/cell-04]]"}
    assert laid_out(tmp_path, files, "course/README.md") == "[x](asis:slides.html)"
    assert repository(tmp_path, files).chapters["Course"] == ["course/README.md"]
    elsewhere = {**files, "docs/promises.md": "[x](../course/slides.md#/2)"}
    page = laid_out(tmp_path, elsewhere, "docs/promises.md")
    assert page == "[x](asis:../course/slides.html#/2)"


def test_every_page_that_is_made_is_made_of_a_file_there_is() -> None:
    for source, made in stage.MADE_OF.items():
        assert (ROOT / source).is_file()
        assert Path(made).suffix in stage.AS_THEY_ARE


def test_a_link_to_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(stage.SiteError, match=r"docs/promises.md has a link to docs/gone.md"):
        laid_out(tmp_path, {"docs/promises.md": "[x](gone.md)"}, "docs/promises.md")


def test_pages_that_link_to_each_other_are_both_laid_out(tmp_path: Path) -> None:
    files = {"docs/promises.md": "[x](a.md)", "docs/a.md": "[x](b.md)", "docs/b.md": "[x](a.md)"}
    assert laid_out(tmp_path, files, "docs/b.md") == "[x](a.md)"


# Notebooks.


def test_attachments_become_files(tmp_path: Path) -> None:
    cell: dict[str, Any] = {
        "cell_type": "markdown",
        "source": ["# A\n", "![done](attachment:done.jpg)"],
    }
    cell["attachments"] = {"done.jpg": {"image/jpeg": PICTURE}}
    book = json.loads(
        laid_out(tmp_path, {"notebooks/00_a.ipynb": notebook(cell)}, "notebooks/00_a.ipynb")
    )
    assert book["cells"][0]["source"] == "# A\n![done](00_a/done.jpg)"
    assert (tmp_path / "out/notebooks/00_a/done.jpg").read_bytes() == b"a picture"


@pytest.mark.parametrize("place", ["attachment", "output"])
def test_a_picture_that_something_was_written_into_is_said(place: str, tmp_path: Path) -> None:
    cell = picture_cell("nst.show(x)", alt="a square")
    cell["outputs"][0]["data"]["image/png"] = PICTURE[:3] + "1e-4" + PICTURE[6:]
    if place == "attachment":
        kinds = cell["outputs"][0]["data"]
        cell = {"cell_type": "markdown", "source": "x", "attachments": {"done.png": kinds}}
    with pytest.raises(stage.SiteError, match=r"00_a.* has a picture that is broken"):
        laid_out(tmp_path, {"notebooks/00_a.ipynb": notebook(cell)}, "notebooks/00_a.ipynb")


def test_an_attachment_that_is_not_there_is_said(tmp_path: Path) -> None:
    cell = {"cell_type": "markdown", "source": "![done](attachment:done.jpg)"}
    with pytest.raises(stage.SiteError, match=r"00_a.ipynb has no attachment done.jpg"):
        laid_out(tmp_path, {"notebooks/00_a.ipynb": notebook(cell)}, "notebooks/00_a.ipynb")


def test_the_description_of_a_figure_is_kept(tmp_path: Path) -> None:
    cell = picture_cell("nst.show(x)", alt="a château,\npainted")
    book = json.loads(
        laid_out(tmp_path, {"notebooks/00_a.ipynb": notebook(cell)}, "notebooks/00_a.ipynb")
    )
    assert book["cells"][0]["metadata"]["mystnb"] == {"image": {"alt": "a château, painted"}}


def test_a_picture_without_a_description_is_said(tmp_path: Path) -> None:
    files = {"notebooks/00_a.ipynb": notebook(picture_cell("plt.plot(x)\nplt.show()"))}
    with pytest.raises(stage.SiteError, match=r"00_a: 0 entries .* 'plt.show\(\)'"):
        laid_out(tmp_path, files, "notebooks/00_a.ipynb")


# The reference.


def test_every_public_name_has_an_entry_in_the_reference(tmp_path: Path) -> None:
    api.write_pages(ROOT, tmp_path)
    text = "\n".join(x.read_text(encoding="utf-8") for x in tmp_path.glob("*.rst"))
    names = api.public_names(api.read_package(ROOT))
    assert len(names) >= 48
    for name, of in names.items():
        kind = "function" if of.is_function else "class" if of.is_class else "data"
        assert f".. py:{kind}:: {name}" in text, name
