"""The slides: every figure named exists, minutes add up, and the file needs nothing else."""

from __future__ import annotations

import io
import itertools
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

import nst_utils as nst

pytest.importorskip("mistune", reason="mistune is not installed")
FOLDER = Path(__file__).resolve().parents[2] / "course"
sys.path.insert(0, str(FOLDER))
import slides  # noqa: E402

SOURCE = (FOLDER / "slides.md").read_text(encoding="utf-8")
SLIDES = slides.slides(SOURCE)
NAMED = sorted({match.group(1, 2, 3) for match in slides.PICTURE.finditer(SOURCE)}, key=str)
NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*\.?\d*(?:e-?\d+)?")


class Loads(HTMLParser):
    """What a page would have to fetch: addresses in attributes and in styles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.style = tag == "style"
        for name, value in attrs:
            if name in ("src", "srcset", "href", "data", "poster", "action", "background"):
                self.found.append(value or "")
            if name == "style":
                self.found += re.findall(r"url\([^)]*", value or "")

    def handle_data(self, data: str) -> None:
        if self.style:
            self.found += re.findall(r"url\([^)]*|@import\s+\S+", data)

    def handle_endtag(self, tag: str) -> None:
        self.style = False


def loads(page: str) -> list[str]:
    parser = Loads()
    parser.feed(page)
    inside = re.compile(r"(url\([\"']?)?(data:|#)")
    return [each for each in parser.found if not inside.match(each)]


@pytest.fixture(scope="module")
def page() -> str:
    return slides.page(SOURCE)


def test_a_lecture_of_ninety_minutes_in_about_thirty_slides() -> None:
    assert 25 <= len(SLIDES) <= 33
    assert SLIDES[0].begin == 0
    assert SLIDES[-1].end == 90
    for one, after in itertools.pairwise(SLIDES):
        assert one.end == after.begin, after.text
    assert all(one.begin < one.end for one in SLIDES)


def test_every_slide_tells_the_lecturer_something() -> None:
    assert all(len(one.notes.split()) > 15 for one in SLIDES)


@pytest.mark.parametrize(("notebook", "name", "what"), NAMED, ids=lambda part: part or "whole")
def test_every_figure_named_is_in_its_notebook(notebook: str, name: str, what: str | None) -> None:
    match = slides.PICTURE.fullmatch(f"[[{notebook}/{name}{f'#{what}' if what else ''}]]")
    assert match is not None
    assert len(slides._picture(match)) > 20


def test_every_line_that_looks_like_a_figure_is_one() -> None:
    lines = [line for line in SOURCE.splitlines() if "[[" in line or "![" in line]
    assert lines
    assert [line for line in lines if not slides.PICTURE.fullmatch(line)] == []
    assert SOURCE.count("$$") == 2 * len(slides.FORMULA.findall(SOURCE))


def test_figures_come_from_at_least_six_notebooks() -> None:
    assert len({notebook for notebook, *_ in NAMED}) >= 6


def test_pictures_cut_out_of_a_row_are_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    tones = [0.2, 0.5, 0.8, 0.35]
    drawn = nst.show([nst.noise_image(30, 40) * 0 + tone for tone in tones], titles=list("abcd"))
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="jpeg")
    shown = ("image/jpeg", buffer.getvalue(), "a; b; c; d")
    monkeypatch.setattr(slides, "figure", lambda *_: shown)
    monkeypatch.setattr(slides, "cell", lambda *_: {"source": ["nst.show(pictures)"]})
    cut = slides.tiles("00", "x")
    assert [title for title, _ in cut] == list("abcd")
    for (_, data), tone in zip(cut, tones, strict=True):
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.size == (240, 180)
            levels = np.asarray(picture, dtype=float)
        assert np.abs(levels - 255 * tone).max() < 8  # JPEG


def test_the_file_needs_nothing_from_elsewhere(page: str) -> None:
    assert loads(page) == []
    assert page.count("<section>") == len(SLIDES)
    assert page.count('class="notes"') == len(SLIDES)


@pytest.mark.parametrize(
    "line",
    [
        '<script src="https://cdn.example/reveal.js"></script>',
        '<link href="//fonts.example/a.css" rel="stylesheet">',
        '<img src="pictures/a.jpg">',
        "<style>@import 'https://fonts.example/a.css';</style>",
        "<style>p { background: url(https://a.example/b.png) }</style>",
        '<p style="background: url(a.png)">',
    ],
)
def test_something_from_elsewhere_would_be_noticed(line: str) -> None:
    assert len(loads(f"<p>{line}")) == 1


def test_a_figure_that_is_not_there_is_said_in_a_sentence() -> None:
    for line, words in {
        "[[01/cell-99]]": "notebook 01 has no code cell 'cell-99'",
        "[[99/cell-04]]": "there is no notebook 99",
        "[[01/cell-06]]": "shows no picture",
        "[[01/cell-04#text]]": "the photograph",
        "[[01/cell-16#7]]": "asks for more than the 6 pictures",
        "[[01/cell-22#1]]": "shows no row of pictures",
    }.items():
        match = slides.PICTURE.fullmatch(line)
        assert match is not None
        try:
            said = slides._picture(match)
        except slides.SlideError as error:
            said = str(error)
        assert words in said
    with pytest.raises(slides.SlideError, match="the slide '# A' has no line 'Notes A-B:'"):
        slides.slides("# A\n\nwords")


def test_numbers_on_the_slides_are_the_notebooks_numbers() -> None:
    """A decimal, or a number of three digits and more, is in a notebook's text or output."""
    known = set()
    for path in slides.NOTEBOOKS.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            outputs = [
                *cell.get("outputs", []),
                *(o.get("data", {}) for o in cell.get("outputs", [])),
            ]
            said = [each.get("text", "") + each.get("text/plain", "") for each in outputs]
            known |= {
                number.rstrip(".,") for number in NUMBER.findall("\n".join([cell.source, *said]))
            }
    mine = {"628,224", "39,168"}  # of The Starry Night at 512 and 128 px; see test_quiz
    mine |= {"0.35", "2414", "2016"}  # (0.2 * 3 + 0.8) / 4; the paper
    text = "\n".join(f"{slides.PICTURE.sub('', one.text)}\n{one.notes}" for one in SLIDES)
    claimed = {number.rstrip(".,") for number in NUMBER.findall(text)}
    assert {
        number for number in claimed if "." in number or len(number) > 2
    } - known - mine == set()
