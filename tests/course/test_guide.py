"""The lecturer's guide agrees with the slides, the notebooks and nst.check."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import nbformat
import pytest

from nst_utils.teaching.checker import CUT_OFF, QUANTITIES

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "course"
GUIDE = (FOLDER / "README.md").read_text(encoding="utf-8")
PAGES = ["README.md", "quiz.md", "reading.md", "reveal/README.md"]
SENTENCES = " | ".join(
    [CUT_OFF, *(sentence for each in QUANTITIES.values() for sentence in each.mistakes)]
)


def section(title: str) -> str:
    return GUIDE.partition(f"\n## {title}")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables' lines, without the lines that begin a table."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def opening(notebook: str) -> str:
    (path,) = (ROOT / "notebooks").glob(f"{notebook}_*.ipynb")
    return str(nbformat.read(path, as_version=4).cells[0].source)


def text_of(notebook: str) -> str:
    (path,) = (ROOT / "notebooks").glob(f"{notebook}_*.ipynb")
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)


def test_what_nst_check_is_said_to_say_is_what_it_says() -> None:
    quoted = [row[1] for row in rows(section("What students get wrong")) if row[1].startswith("`")][
        1:
    ]
    sentences = [each for cell in quoted for each in re.findall(r"`([^`]+)`", cell)]
    assert len(sentences) > 10
    assert [each for each in sentences if each not in SENTENCES] == []


def test_the_headings_named_are_the_notebooks_headings() -> None:
    named = re.findall(
        r"notebook (\d\d), \"([^\"]+)\"|notebook (\d\d) \(\"([^\"]+)\"\)", GUIDE, re.I
    )
    named = [(one or other, heading or another) for one, heading, other, another in named]
    assert len(named) > 8
    for notebook, heading in named:
        assert re.search(rf"^## {re.escape(heading)}", text_of(notebook), re.MULTILINE), heading


def test_the_times_are_those_that_the_notebooks_state() -> None:
    stated = rows(section("Without a GPU"))[1:]
    assert [notebook for notebook, _ in stated] == [f"{number:02}" for number in range(10)]
    for notebook, time in stated:
        assert f"to run, {time}" in opening(notebook)


def test_the_plan_of_the_lecture_covers_its_ninety_minutes() -> None:
    table = rows(section("The lecture"))[1:]
    times = [tuple(map(int, row[0].split("-"))) for row in table]
    assert times[0][0] == 0
    assert times[-1][1] == 90
    assert all(one[1] == after[0] for one, after in itertools.pairwise(times))
    begins = re.findall(r"^Notes (\d+)-", (FOLDER / "slides.md").read_text("utf-8"), re.MULTILINE)
    assert {str(begin) for begin, _ in times} <= set(begins)


def test_the_points_add_up() -> None:
    rubric = section("The homework")
    for kind, most in (("Experiment (30: two of 15)", 15), ("Explanation (20: two of 10)", 10)):
        levels = rows(rubric.partition(f"**{kind}**")[2].partition("\n**")[0])[1:]
        ranges = [[int(n) for n in row[0].split("-")] for row in levels]
        points = sorted(n for each in ranges for n in range(each[0], each[-1] + 1))
        assert points == list(range(most + 1))
    assert 50 + 2 * 15 + 2 * 10 == 100


def test_the_arithmetic_for_thirty_is_right() -> None:
    measured, reckoned = (
        [row for row in rows(section("Thirty students")) if re.fullmatch(r"\d+ px", row[0])][part]
        for part in (slice(0, -3), slice(-3, None))
    )
    by_size = {row[0]: row for row in measured if row[1].startswith("float32")}
    assert len(by_size) == len(reckoned) == 3
    for size, memory, *times in reckoned:
        each, seconds = float(by_size[size][2].split()[0]), int(by_size[size][3].split()[0])
        assert float(memory.split()[0]) == pytest.approx(30 * (each - 0.28) + 0.28, abs=0.5)
        for cores, time in zip((8, 16, 32), times, strict=True):
            wanted = max(30 * seconds / cores, seconds)  # a run has one thread
            assert int(time.split()[0]) == pytest.approx(wanted, abs=0.6)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = FOLDER / page
    for target in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), target


def test_arxiv_numbers_are_written_as_they_are_linked() -> None:
    text = (FOLDER / "reading.md").read_text(encoding="utf-8")
    links = re.findall(r"\[arXiv:([\d.]+)\]\(https://arxiv\.org/abs/([\d.]+)\)", text)
    assert len(links) == text.count("arxiv.org") >= 15
    assert all(
        one == other and re.fullmatch(r"\d{4}\.\d{5}|\d{4}\.\d{4}", one) for one, other in links
    )
    assert len({number for number, _ in links}) == len(links)
