"""The students' assignment is what one command makes of the solved one."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import nst_utils as nst

FOLDER = Path(__file__).resolve().parents[2] / "course"
sys.path.insert(0, str(FOLDER))
import release  # noqa: E402
from solutions import hidden  # noqa: E402

STUDENT = FOLDER / "assignment.ipynb"


def cells(path: Path) -> list[Any]:
    return list(nbformat.read(path, as_version=4).cells)


def test_the_committed_assignment_is_what_the_command_writes(tmp_path: Path) -> None:
    assert release.main([str(tmp_path)]) == 0
    written = (tmp_path / "assignment.ipynb").read_bytes()
    assert written == STUDENT.read_bytes(), "run `make assignment`"


def test_no_solution_and_no_output_is_handed_out() -> None:
    assert "SOLUTION" not in STUDENT.read_text(encoding="utf-8")
    student = {cell.id: cell for cell in cells(STUDENT)}
    count = 0
    for cell in cells(release.SOLVED):
        assert not student[cell.id].get("outputs")
        for solution in re.findall(r"BEGIN SOLUTION.*\n([\s\S]*?)\n.*END SOLUTION", cell.source):
            assert solution.strip() not in student[cell.id].source
            count += 1
    assert count == len(hidden.POINTS) + 6, "the objective, two experiments, three texts"


def test_each_part_has_a_stub_that_is_checked_in_its_own_cell() -> None:
    sources = {cell.id: cell.source for cell in cells(STUDENT) if cell.cell_type == "code"}
    for part in hidden.POINTS:
        (function,) = [
            each for each in ast.parse(sources[part]).body if isinstance(each, ast.FunctionDef)
        ]
        assert function.name == part
        assert isinstance(function.body[-1], ast.Raise)
        assert part == "paint" or "nst.check(" in sources[part]


def test_the_points_of_the_text_are_those_of_the_grader() -> None:
    opening = cells(STUDENT)[0].source
    for part, points in hidden.POINTS.items():
        assert re.search(rf"`{part}`.*\| {points:g}( \+ 4)? \|", opening), part
    assert sum(hidden.POINTS.values()) + 4 == 50
    for cell in cells(STUDENT):
        assert "100" not in opening
        if cell.get("metadata", {}).get("nbgrader", {}).get("points") and cell.id in hidden.POINTS:
            assert cell.metadata.nbgrader.points == hidden.POINTS[cell.id]


def test_the_solved_one_was_run_and_holds_the_picture() -> None:
    code = [cell for cell in cells(release.SOLVED) if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    printed = "".join(output.get("text", "") for output in outputs)
    assert printed.count(": right") == 8
    assert "not yet" not in printed
    assert "waits until" not in printed
    assert "NST_QUICK" not in printed


@pytest.mark.parametrize("path", [STUDENT, release.SOLVED], ids=["student", "solved"])
def test_every_name_of_the_package_exists(path: Path) -> None:
    nbformat.validate(nbformat.read(path, as_version=4))
    for name in re.findall(r"\bnst\.(\w+)", "\n".join(cell.source for cell in cells(path))):
        assert hasattr(nst, name), name


def test_what_is_put_in_the_place_of_a_solution() -> None:
    function = "def f(x):\n    ### BEGIN SOLUTION\n    return 3\n    ### END SOLUTION\n\n\nf(1)"
    assert release.without_solutions(function, code=True) == (
        "def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n\n\nf(1)"
    )
    top = "### BEGIN SOLUTION\nx = 3\n### END SOLUTION"
    assert release.without_solutions(top, code=True) == "# YOUR CODE HERE"
    text = "Why?\n<!-- BEGIN SOLUTION -->\nBecause.\n<!-- END SOLUTION -->"
    assert release.without_solutions(text, code=False) == "Why?\nYOUR ANSWER HERE"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("### BEGIN SOLUTION\nx", "is not ended"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION", "within another"),
        ("### END SOLUTION", "has not begun"),
    ],
)
def test_marks_that_do_not_go_together_hand_nothing_out(source: str, sentence: str) -> None:
    solved = new_notebook(cells=[new_markdown_cell("x"), new_code_cell(source, id="here")])
    with pytest.raises(ValueError, match=f"cell here: .*{sentence}"):
        release.student(solved)


def test_a_folder_that_is_not_there_gets_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release.main([str(tmp_path / "no")]) == 2
    assert "does not exist; make it" in capsys.readouterr().err
    assert release.main([str(release.SOLVED.parent)]) == 2
    assert "is the solved one" in capsys.readouterr().err


def test_otters_form_has_a_question_for_each_part_and_no_nbgrader_marks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release.main(["--otter", str(tmp_path)]) == 0
    written = cells(tmp_path / "assignment.ipynb")
    raw = [cell.source.splitlines()[0] for cell in written if cell.cell_type == "raw"]
    for block in ("QUESTION", "SOLUTION", "TESTS"):
        assert raw.count(f"# BEGIN {block}") == raw.count(f"# END {block}") > 0
    assert raw.count("# BEGIN TESTS") == len(hidden.POINTS)
    for cell in written:
        if cell.cell_type == "code":
            ast.parse(cell.source)
            assert "###" not in cell.source
            assert not cell.outputs
    assert release.main(["--otter"]) == 2
    assert "name a folder for otter's" in capsys.readouterr().err
