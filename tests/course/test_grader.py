"""Whatever is handed in, there is a row for it with the points and the sentence that it should get.

Two gradings, of real processes: one of the two committed notebooks, one of made-up submissions.
"""

from __future__ import annotations

import csv
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

FOLDER = Path(__file__).resolve().parents[2] / "course"
sys.path.insert(0, str(FOLDER))
import boxed  # noqa: E402
import grade  # noqa: E402
import measured  # noqa: E402
from solutions import hidden  # noqa: E402

import nst_utils as nst  # noqa: E402

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="the grader needs the pipes of Linux or macOS"),
    pytest.mark.timeout(1200),
]

Rows = dict[str, dict[str, str]]

GRAM = """
import torch
def gram_matrix(F):
    return torch.einsum("bihw,bjhw->bij", F, F)
"""
OTHER_STYLE = """
import torch

def content_loss(F, P):
    return torch.stack([0.5 * ((f - p) ** 2).sum() / f.numel() for f, p in zip(F, P)])

def gradient_step(x, gradient, rate):
    return torch.add(x, gradient, alpha=-rate)

def gram_matrix(F):
    B, N, H, W = F.shape
    rows = [[(F[:, i] * F[:, j]).sum((1, 2)) for j in range(N)] for i in range(N)]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)

def style_loss(F, A):
    M = F.shape[2] * F.shape[3]
    return ((gram_matrix(F) / M - A / M) ** 2).mean((1, 2)) / 4

def style_loss_gradient(F, A):
    f = F.reshape(F.shape[0], F.shape[1], -1)
    g = torch.bmm(gram_matrix(F) - A, f) / (f.shape[1] * f.shape[2]) ** 2
    return (g * (f > 0)).reshape(F.shape)

def total_loss(content, style, alpha, beta):
    return torch.stack([alpha * content, beta * style]).sum(0)

def paint(x, objective, steps):
    y = x.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([y])
    def closure():
        optimizer.zero_grad()
        loss = 1e4 * objective(y).sum()
        loss.backward()
        return loss
    for _ in range(steps // 20):
        optimizer.step(closure)
        y.data.clamp_(0, 1)
    return y.detach()
"""
WRONG = """
import torch

def content_loss(F, P):
    return ((F - P) ** 2).mean((1, 2, 3))

def gradient_step(x, gradient, rate):
    x -= rate * gradient
    return x

def gram_matrix(F):
    f = F.flatten(2)
    return (f @ f.transpose(1, 2)).float()[:1]

def style_loss(F, A):
    f = F.flatten(2).detach()
    return ((f @ f.transpose(1, 2) - A) ** 2).sum((1, 2)) / (4 * f[0].numel() ** 2)

def style_loss_gradient(F, A):
    f = F.flatten(2)
    return ((f @ f.transpose(1, 2) - A) @ f / f[0].numel() ** 2).view_as(F)

def total_loss(content, style, alpha, beta):
    return alpha * contents + beta * style

def paint(x, objective, steps):
    for _ in range(steps):
        x = x.detach().requires_grad_()
        (g,) = torch.autograd.grad(objective(x).sum(), x)
        x = x - 0.1 * g
    return x.detach()
"""
EXITS = """
def style_loss(F, A):
    import os
    os._exit(0)
"""
FORGES = """
import json, os, sys, torch, nst_utils as nst
import nst_utils.losses
nst.check = lambda *_: True
torch.allclose = torch.equal = lambda *_: True
print("code (50): 50, total_loss: right, in 3 cases.")
gram_matrix = nst.gram_matrix
content_loss = nst.losses.content_loss
for number in range(3, 20):
    for word in ("done", "answered"):
        try:
            os.write(number, json.dumps({word: True, "case": 0, "bytes": 0}).encode() + b"\\n")
        except OSError:
            pass
pid = os.fork()
if pid == 0:
    import time
    time.sleep(1000)
"""
READS = f"exec(open({str(FOLDER / 'solutions' / 'hidden.py')!r}).read())"
CONNECTS = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
HANGS = "from here on it hangs"
TIMEOUT = 90
MADE_UP = {
    "forges": [FORGES, READS, CONNECTS, "import shutil; shutil.rmtree('{folder}')"],
    "exits": [GRAM, "import os; os._exit(0)", EXITS],
    "limits": [
        GRAM,
        f"import time; print({HANGS!r}, flush=True); time.sleep(10**6)",
        "raise KeyError('later')",
        "x = bytearray(10**11)",
        "for i in range(10**6): print('line', i)",
    ],
    "wrong": [WRONG],
}


def write(path: Path, *cells: str) -> None:
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=[new_code_cell(each) for each in cells]), path)


def graded(folder: Path, out: Path, *words: str) -> Rows:
    assert grade.main([str(folder), "--out", str(out), *words]) == 0
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["name"] for row in rows]
    assert len(set(names)) == len(names)
    return {row["name"]: row for row in rows}


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    folder = tmp_path_factory.mktemp("committed")
    shutil.copy(FOLDER / "assignment.ipynb", folder / "unanswered.ipynb")
    shutil.copy(FOLDER / "solutions" / "assignment.ipynb", folder / "solved.ipynb")
    return graded(folder, folder / "grades.csv", "--jobs", "2")


def nobody_waits(patch: pytest.MonkeyPatch) -> None:
    """The clock that a submission is stopped by jumps on when it says that it hangs.

    Each is followed by a thread of its own, so the clock of the others does not.
    """
    late, take = threading.local(), boxed._Running._take

    def heard(self: boxed._Running, pipe: str, data: bytes) -> None:
        take(self, pipe, data)
        if HANGS.encode() in data:
            late.seconds = getattr(late, "seconds", 0) + TIMEOUT

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + getattr(late, "seconds", 0))
    patch.setattr(boxed, "time", clock)
    patch.setattr(boxed._Running, "_take", heard)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    folder = tmp_path_factory.mktemp("submissions")
    moodle = folder / "Ada Lovelace_1843_assignsubmission_file_"
    write(moodle / "assignment.ipynb", OTHER_STYLE, "open('own.txt').read()")
    (moodle / "own.txt").write_text("hers")
    for name, cells in MADE_UP.items():
        write(folder / f"{name}.ipynb", *(cell.replace("{folder}", str(folder)) for cell in cells))
    write(folder / "=1+1.ipynb")
    (folder / "broken.ipynb").write_text('{"cells": [')
    (folder / "list.ipynb").write_text("[1, 2]")
    (folder / "letter").mkdir()
    (folder / "letter" / "excuse.pdf").write_bytes(b"%PDF")
    words = ("--jobs", "2", "--timeout", str(TIMEOUT), "--seed", "7")
    with pytest.MonkeyPatch.context() as patch:
        nobody_waits(patch)
        return graded(folder, folder / "grades.csv", *words)


@pytest.fixture(scope="module")
def without_walls(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """As on a system without namespaces, where only Python itself refuses."""
    folder = tmp_path_factory.mktemp("without_walls")
    (folder / "other").mkdir()
    (folder / "other" / "excuse.pdf").write_bytes(b"%PDF")
    forges = [cell.replace("{folder}", str(folder)) for cell in MADE_UP["forges"]]
    write(folder / "forges.ipynb", *forges, "open('own.txt', 'w').write('x')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boxed, "wall", list)
        rows = graded(folder, folder / "grades.csv", "--timeout", str(TIMEOUT))
    assert (folder / "other" / "excuse.pdf").exists()
    return rows


def test_the_solved_one_gets_all_points_and_no_remark(committed: Rows) -> None:
    row = committed["solved"]
    assert row["remark"] == ""
    assert row["code (50)"] == "50"
    assert row["experiment (30)"] == row["explanation (20)"] == ""
    assert 0 < float(row["style left"]) < measured.MOST_STYLE
    assert 0 < float(row["content left"]) < measured.MOST_CONTENT


def test_the_students_one_runs_to_its_end_unanswered_and_gets_none(committed: Rows) -> None:
    row = committed["unanswered"]
    assert row["code (50)"] == "0"
    assert row["remark"].count("nothing is there") == len(hidden.POINTS)
    assert "stops with" not in row["remark"], "a cell raised"
    assert "left out" not in row["remark"]


def test_right_in_another_style_is_right(made_up: Rows) -> None:
    row = made_up["Ada Lovelace"]
    assert row["remark"] == "picture: none of the right size is in its outputs"
    assert row["code (50)"] == "46"


def test_each_fault_costs_its_points_and_is_named(made_up: Rows) -> None:
    row = made_up["wrong"]
    for part, points, sentence in (
        ("content_loss (6)", "0", "content_loss: the factor 1/2 is missing"),
        ("gradient_step (4)", "3", "gradient_step: wrong: its argument is left as it was"),
        ("gram_matrix (8)", "4", "gram_matrix: "),
        ("style_loss (8)", "6", "style_loss: stops with RuntimeError"),
        ("style_loss_gradient (8)", "6", "style_loss_gradient: where F is 0 the ReLU is closed"),
        ("total_loss (6)", "0", "total_loss: stops with NameError"),
        ("paint (6)", "4.5", "paint: wrong: within 0..1"),
    ):
        assert row[part] == points, part
        assert sentence in row["remark"]
    assert row["code (50)"] == "23.5"


@pytest.mark.parametrize(
    ("name", "code", "sentence"),
    [
        ("'=1+1", "0", "there is no code in it"),
        ("broken", "0", "it is no notebook that can be read"),
        ("list", "0", "it is no notebook that can be read"),
        ("letter", "0", "there is no notebook, only excuse.pdf"),
        ("limits", "8", f"cell 2 was left out: it took longer than {TIMEOUT} seconds"),
        ("limits", "8", "cell 3 stops with KeyError: 'later'"),
        ("exits", "8", "cell 2 was left out: it ended the process (exit code 0)"),
        ("exits", "8", "style_loss was not asked further: it ended the process (exit code 0)"),
        ("limits", "8", "cell 4 asks for more memory than it may have"),
        ("limits", "8", "it prints 12 MB of text"),
        ("forges", "0", "gram_matrix: stops with PermissionError: the package's own version"),
        ("forges", "0", "content_loss: stops with PermissionError: the package's own version"),
        ("forges", "0", "cell 2 stops with "),
        ("forges", "0", "cell 3 stops with "),
    ],
)
def test_whatever_it_does_it_is_a_row(made_up: Rows, name: str, code: str, sentence: str) -> None:
    assert sentence in made_up[name]["remark"]
    assert made_up[name]["code (50)"] == code


def test_without_namespaces_python_refuses(without_walls: Rows) -> None:
    row = without_walls["forges"]
    assert row["code (50)"] == "0"
    for sentence in (
        "cell 2 stops with PermissionError: this folder is hidden",
        "cell 3 stops with PermissionError: there is no network",
        "so do 1 more cells",
    ):
        assert sentence in row["remark"]


def test_there_is_a_row_for_each_and_nothing_is_left_behind(
    made_up: Rows, without_walls: Rows
) -> None:
    assert len(made_up) == len(MADE_UP) + 5, "one of them has deleted the others"
    assert len(without_walls) == 2
    for process in psutil.process_iter():
        try:
            assert boxed.TOKEN not in process.environ()
        except (psutil.Error, OSError):
            continue


def test_a_picture_is_measured() -> None:
    photo = nst.load_image("chenonceau", size=measured.SIZE)
    painting = nst.load_image("starry-night", size=tuple(photo.shape[2:]))  # type: ignore[arg-type]
    noise = nst.noise_image(*photo.shape[2:])
    assert [measured.measure(each).points for each in (photo, painting, noise)] == [0, 0, 0]
    shares = [(0.05, 0.5), (0.05, 0.9), (0.5, 0.5), (0.5, 0.9)]
    assert [measured.Measure(*each).points for each in shares] == [4, 2, 2, 0]
    assert measured.measure(photo) == measured.Measure(1.0, 0.0)
    assert measured.decoded(b"no picture") is None


def test_the_hidden_cases_are_the_seeds_and_their_right_answers_are_right() -> None:
    for one, other in zip(hidden.cases(3), hidden.cases(3), strict=True):
        assert one.part == other.part
        if not one.bowl and not one.followed:
            answer = {"result": hidden.right(one.part, one.arguments), "first": one.arguments[0]}
            assert hidden.is_right(other, answer)
            if one.kind != "kept":
                assert not hidden.is_right(other, {"result": answer["result"] * 1.01})
                assert not hidden.is_right(other, {"result": answer["result"][None]})
        assert not hidden.is_right(one, {})
        assert not hidden.is_right(one, None)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["no-such-folder"], "is no folder"),
        ([".", "--jobs", "0"], "--jobs must be greater than 0"),
        ([".", "--memory", "1"], "--memory must be at least 2"),
    ],
)
def test_what_cannot_be_graded_gets_a_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        grade.main(words)
    assert sentence in capsys.readouterr().err


def test_an_empty_folder_and_a_table_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grade.main([str(tmp_path), "--out", str(tmp_path / "grades.csv")]) == 2
    assert "is empty; there is nothing to grade" in capsys.readouterr().err
    assert grade.main([str(tmp_path), "--out", str(tmp_path / "no" / "grades.csv")]) == 2
    assert "does not exist; make it" in capsys.readouterr().err
