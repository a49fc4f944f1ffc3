"""Write the students' assignment from the solved one, which is the only source.

    python course/release.py                    # course/assignment.ipynb
    python course/release.py FOLDER             # FOLDER/assignment.ipynb
    python course/release.py --otter FOLDER     # for `otter assign FOLDER/assignment.ipynb dist`

What stands between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` (in text: the same words in a
comment, ``<!-- BEGIN SOLUTION -->``) is taken out, and so are all outputs. In its place stands what
nbgrader's ``ClearSolutions`` would put there, so that the solved notebook can be given to nbgrader
as it is; only a solution that is no part of a function leaves a comment, without an error, behind:
a notebook without any answer must run to its end.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import nbformat
from for_otter import for_otter

from nst_utils.support.paths import write_whole

FOLDER = Path(__file__).resolve().parent
SOLVED = FOLDER / "solutions" / "assignment.ipynb"
BEGIN, END = "BEGIN SOLUTION", "END SOLUTION"
CODE_STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
TEXT_STUB = ("YOUR ANSWER HERE",)


def without_solutions(source: str, code: bool) -> str:
    """The text of a cell with a stub in the place of each solution.

    Raises ``ValueError`` for a solution that is not ended, or begins within another.
    """
    kept: list[str] = []
    inside = False
    for line in source.split("\n"):
        if BEGIN in line:
            if inside:
                raise ValueError(f"a solution begins within another, at {line.strip()}")
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            stub = CODE_STUB if code else TEXT_STUB
            kept += [indent + each for each in (stub if indent or not code else stub[:1])]
        elif END in line:
            if not inside:
                raise ValueError(f"a solution ends that has not begun, at {line.strip()}")
            inside = False
        elif not inside:
            kept.append(line)
    if inside:
        raise ValueError(f"a solution is not ended; add a line with {END} below it")
    return "\n".join(kept)


def student(solved: Any) -> Any:
    """The students' notebook: no solutions, no outputs.

    Raises ``ValueError`` where the marks of a cell do not go together.
    """
    notebook = nbformat.from_dict(solved)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        try:
            cell.source = without_solutions(cell.source, cell.cell_type == "code")
        except ValueError as error:
            raise ValueError(f"cell {cell.get('id')}: {error}") from None
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
    return notebook


def as_file(notebook: Any) -> bytes:
    """A notebook as it is written."""
    return f"{nbformat.writes(notebook)}\n".encode()


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="release.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="default: course/")
    parser.add_argument(
        "--otter", action="store_true", help="the solved one, in the form that otter assign reads"
    )
    options = parser.parse_args(words)
    path = options.folder / "assignment.ipynb"
    try:
        if path.resolve() == SOLVED:
            raise ValueError(f"{SOLVED} is the solved one; write elsewhere")
        if options.otter and path.resolve() == FOLDER / "assignment.ipynb":
            raise ValueError("name a folder for otter's: here stands the students' assignment")
        solved = nbformat.read(SOLVED, as_version=4)
        released = as_file(for_otter(solved) if options.otter else student(solved))
        write_whole(path, lambda file: file.write(released))
    except (OSError, ValueError) as error:
        print(f"release.py: {error}", file=sys.stderr)
        return 2
    print(f"{path}: the assignment, {'for otter assign' if options.otter else 'without solutions'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
