"""Grade a folder of submissions: the code by running it, the rest for a person.

    python course/grade.py SUBMISSIONS_FOLDER --out grades.csv

The folder holds a notebook for each student, or a folder for each student with a notebook in it, as
Moodle and Canvas export them. Each submission runs in a process of its own, with limits
(``boxed.py`` says which, and what they do not stop); its functions are called on hidden cases, and
what they answer is compared here. The table has a row for each submission, whatever it does.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import boxed
import measured
import nbformat
from grading import Grade, Notebook, Questions, grade
from solutions import hidden
from tqdm.auto import tqdm

from nst_utils.support.paths import check_writable, write_whole

LARGEST_NOTEBOOK = 100_000_000  # bytes
FOR_THE_LECTURER = ("experiment (30)", "explanation (20)")
MOODLE = re.compile(r"^(.+?)_\d+_assignsubmission_.*$")


@dataclass(frozen=True)
class Submission:
    """What a student has handed in: a notebook or none, and the folder that came with it."""

    name: str
    notebook: Path | None
    folder: Path | None = None
    remark: str = ""


def find(folder: Path) -> list[Submission]:
    """A submission for each file and folder in it, in the order of their names."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__MACOSX")):
            continue
        if path.is_dir():
            found.append(_in_folder(path))
        elif path.suffix == ".ipynb":
            found.append(Submission(path.stem, path))
        elif path.suffix != ".csv":  # an earlier table of ours
            found.append(Submission(path.name, None, remark=_no_notebook([path])))
    short = [MOODLE.sub(r"\1", each.name) for each in found]
    return [
        replace(each, name=name) if short.count(name) == 1 else each
        for name, each in zip(short, found, strict=True)
    ]


def _in_folder(folder: Path) -> Submission:
    files = [
        each
        for each in sorted(folder.rglob("*"))
        if each.is_file()
        and not any(part.startswith((".", "__MACOSX")) for part in each.relative_to(folder).parts)
    ]
    notebooks = [each for each in files if each.suffix == ".ipynb"]
    if not notebooks:
        return Submission(folder.name, None, folder, _no_notebook(files))
    best = max(notebooks, key=_how_much)
    others = f"there are {len(notebooks)} notebooks, and this is {best.name}"
    return Submission(folder.name, best, best.parent, others if len(notebooks) > 1 else "")


def _no_notebook(files: Sequence[Path]) -> str:
    names = ", ".join(each.name for each in files[:3])
    return f"there is no notebook, only {names}" if files else "the folder is empty"


def _how_much(path: Path) -> tuple[int, int]:
    """How many of our functions a notebook defines, and its size."""
    text = path.read_bytes()[:LARGEST_NOTEBOOK]
    return sum(f"def {part}(".encode() in text for part in hidden.POINTS), len(text)


def read(path: Path) -> Notebook:
    """A notebook, or a ``ValueError`` that says why it is none."""
    if path.stat().st_size > LARGEST_NOTEBOOK:
        raise ValueError(f"it is larger than {LARGEST_NOTEBOOK // 1_000_000} MB and was not opened")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            notebook = nbformat.read(path, as_version=4)
            code = [cell for cell in notebook.cells if cell.cell_type == "code"]
            sources = ["".join(cell.source) for cell in code]
        except Exception as error:  # whatever a file that is no notebook does to its reader
            kind = type(error).__name__
            raise ValueError(f"it is no notebook that can be read ({kind})") from None
    if not any(map(str.strip, sources)):
        raise ValueError("there is no code in it")
    return Notebook(sources, notebook)


def grade_one(submission: Submission, questions: Questions, options: argparse.Namespace) -> Grade:
    """One row of the table, whatever happens."""
    try:
        if submission.notebook is None:
            return Grade(remarks=[submission.remark])
        notebook = read(submission.notebook)
        limits = boxed.Limits(options.timeout, int(options.memory * 2**30))
        found = grade(notebook, submission.folder, questions, limits, quick=not options.full)
        if submission.remark:
            found.remarks.insert(0, submission.remark)
    except ValueError as error:
        return Grade(remarks=[str(error)])
    except Exception as error:  # a fault of the grading must not cost the other rows
        return Grade(remarks=[f"could not be graded: {type(error).__name__}: {error}"])
    return found


def row(name: str, found: Grade) -> list[str]:
    points = [f"{found.points.get(part, 0):g}" for part in (*hidden.POINTS, "picture")]
    left = found.measure
    shares = ["", ""] if left is None else [f"{left.style:.3f}", f"{left.content:.3f}"]
    blank = [""] * len(FOR_THE_LECTURER)
    return [name, *points, f"{found.total:g}", *blank, *shares, "; ".join(found.remarks)]


def header() -> list[str]:
    worth = hidden.POINTS | {"picture": measured.POINTS}
    parts = [f"{part} ({points:g})" for part, points in worth.items()]
    code = f"code ({sum(worth.values()):g})"
    return ["name", *parts, code, *FOR_THE_LECTURER, "style left", "content left", "remark"]


def harmless(text: str) -> str:
    """For a spreadsheet, which would compute what begins like a formula."""
    text = "".join(each if each.isprintable() else " " for each in text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def table(grades: dict[str, Grade]) -> bytes:
    """The file, for spreadsheets and for programs."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header())
    for name, found in grades.items():
        writer.writerow([harmless(each) for each in row(name, found)])
    return text.getvalue().encode("utf-8-sig")


def grade_all(
    submissions: list[Submission], questions: Questions, options: argparse.Namespace
) -> dict[str, Grade]:
    """All rows, in the order of the submissions."""
    grades: dict[str, Grade] = dict.fromkeys((each.name for each in submissions), Grade())
    with ThreadPoolExecutor(options.jobs) as pool:
        waiting: dict[Future[Grade], str] = {
            pool.submit(grade_one, each, questions, options): each.name for each in submissions
        }
        try:
            for done in tqdm(as_completed(waiting), total=len(waiting), unit="submission"):
                grades[waiting[done]] = done.result()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return grades


def parse(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="grade.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="a notebook, or a folder, for each student")
    parser.add_argument("--out", type=Path, default=Path("grades.csv"), help="default: grades.csv")
    parser.add_argument("--jobs", type=int, default=1, help="submissions at a time; default: 1")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds each; default: 300")
    parser.add_argument("--memory", type=float, default=4.0, help="GB for each; default: 4")
    parser.add_argument("--seed", type=int, help="of the hidden cases; by default a new one")
    parser.add_argument(
        "--full", action="store_true", help="paint every picture again at full size: minutes each"
    )
    options = parser.parse_args(words)
    for name, value in (("--jobs", options.jobs), ("--timeout", options.timeout)):
        if not value > 0:
            parser.error(f"{name} must be greater than 0, got {value:g}")
    if not options.memory >= 2:
        parser.error(f"--memory must be at least 2, torch itself takes one; got {options.memory:g}")
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is no folder; name the one with the submissions")
    return options


def main(words: list[str] | None = None) -> int:
    options = parse(words)
    os.environ.pop("NST_QUICK", None)  # pictures are measured at their full size
    try:
        check_writable(options.out)
        submissions = find(options.folder)
        if not submissions:
            raise ValueError(f"{options.folder} is empty; there is nothing to grade")
        secret = [Path(hidden.__file__).resolve().parent, options.folder.resolve()]
        questions = Questions.drawn(options.seed, [str(each) for each in secret])
        if not boxed.wall():
            print("grade.py: no namespaces here; see course/boxed.py for what is not stopped then")
        grades = grade_all(submissions, questions, options)
        write_whole(options.out, lambda file: file.write(table(grades)))
    except (OSError, ValueError) as error:
        print(f"grade.py: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: {len(grades)} submissions (seed {questions.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
