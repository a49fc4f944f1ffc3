"""The solved assignment in the form that ``otter assign`` of otter-grader reads.

Otter marks questions by raw cells and solutions by its own words. Its tests run in the same process
as the submission, so they are no better protected than ``nst.check`` itself; ``grade.py`` is.
"""

from __future__ import annotations

import re
from typing import Any

from nbformat.v4 import new_code_cell, new_raw_cell
from solutions import hidden

CONFIG = """# ASSIGNMENT CONFIG
name: nst-utils
run_tests: false
check_all_cell: true
strip_solutions_from_all_cells: true
export_cell:
  pdf: false
generate:
  show_stdout: true
"""
PROMPT = '''{indent}""" # BEGIN PROMPT
{indent}# YOUR CODE HERE
{indent}raise NotImplementedError()
{indent}""" # END PROMPT
{indent}# BEGIN SOLUTION NO PROMPT'''
VISIBLE = 'assert nst.check("{quantity}", {part})'
# On other numbers than the students see: those of nst.check with another seed, in float64.
HIDDEN = """# HIDDEN
from nst_utils.teaching.checker import QUANTITIES

asked = QUANTITIES["{quantity}"]
for case in asked.cases(torch.Generator().manual_seed(1)):
    case = [each.double() if isinstance(each, torch.Tensor) else each for each in case]
    assert torch.allclose({part}(*case), asked.right(*case), rtol=1e-4)"""
BOWL = """{hidden}random = torch.Generator().manual_seed({seed})
goal = torch.rand(1, 3, 6, 5, generator=random) * 0.8 + 0.1
found = paint(torch.full_like(goal, 0.5), lambda x: (x - goal).square().sum((1, 2, 3)), 100)
assert (found - goal).abs().max() < 0.05"""


def for_otter(solved: Any) -> Any:
    """The notebook, changed in place: a question for each part, one to be read for each text."""
    cells = [new_raw_cell(CONFIG, id="otter-config")]
    for cell in solved.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            begin = re.compile(r"^( *)### BEGIN SOLUTION", flags=re.MULTILINE)
            cell.source = begin.sub(_begin, cell.source).replace("### END", "# END")
        if cell.id in hidden.POINTS:
            cells += _question(cell, hidden.POINTS[cell.id])
        elif "BEGIN SOLUTION" in cell.source and cell.cell_type == "markdown":
            points = cell.metadata.get("nbgrader", {}).get("points", 0)
            cells += _block("question", f"\nname: {cell.id}\nmanual: true\npoints: {points}", cell)
        else:
            cells.append(cell)
    solved.cells = cells
    return solved


def _begin(match: re.Match[str]) -> str:
    return PROMPT.format(indent=match[1]) if match[1] else "# BEGIN SOLUTION"


def _raw(text: str) -> Any:
    return new_raw_cell(f"# {text}")


def _block(kind: str, header: str, solution: Any, *more: Any) -> list[Any]:
    word = kind.upper()
    inside = [_raw("BEGIN SOLUTION"), solution, _raw("END SOLUTION"), *more]
    return [_raw(f"BEGIN {word}{header}"), *inside, _raw(f"END {word}")]


def _question(cell: Any, points: float) -> list[Any]:
    part = cell.id
    quantity = hidden.QUANTITY.get(part, part)
    shown, secret = (each.format(part=part, quantity=quantity) for each in (VISIBLE, HIDDEN))
    if part == "paint":
        shown, secret = BOWL.format(hidden="", seed=0), BOWL.format(hidden="# HIDDEN\n", seed=1)
    tests = [_raw("BEGIN TESTS"), new_code_cell(shown), new_code_cell(secret), _raw("END TESTS")]
    return _block("question", f"\nname: {part}\npoints: {points:g}", cell, *tests)
