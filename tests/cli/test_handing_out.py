"""``nst notebooks`` and ``--open``: never over a file, never an error once a picture is made."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from outcome import Outcome
from waiting import comes_true

from nst_utils.cli import handing_out

Run = Callable[..., Outcome]
ROOT = Path(__file__).resolve().parents[2]
SERIES = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("is_there", [False, True])
def test_the_notebooks_are_copied_whole(is_there: bool, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    if is_there:
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
    outcome = run("notebooks", folder)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"{len(SERIES)} notebooks; begin with 00_start_here.ipynb" in outcome.out
    for name in SERIES:
        assert (folder / name).read_bytes() == (ROOT / "notebooks" / name).read_bytes()


def test_a_notebook_of_ones_own_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / SERIES[3]
    mine.write_text("my work")
    outcome = run("notebooks", tmp_path)
    assert outcome.code == 2
    assert f"{mine} is there already; name another folder" in outcome.complaint
    assert [path.name for path in tmp_path.iterdir()] == [mine.name]
    assert mine.read_text() == "my work"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing/folder", "does not exist; make it first"),
        ("file", "cannot be a folder"),
        ("file/in", "cannot be a folder"),
        ("", "must name a file"),
    ],
)
def test_where_no_folder_can_be_is_one_line(
    name: str, says: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    outcome = run("notebooks", name)
    assert outcome.code == 2
    assert says in outcome.complaint
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_wheel_carries_the_series() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert [name for name in included if name.startswith("notebooks/")] == [
        f"notebooks/{name}" for name in [*SERIES, "app/studio.ipynb"]
    ]


# A picture that is made is shown, or it is said that it cannot be.


@pytest.fixture
def paint(run: Run, shared_net: list[dict[str, Any]], tmp_path: Path) -> Callable[[], Outcome]:
    options = ("-o", tmp_path / "a.png", "--size", 32, "--steps", 1, "--quiet", "--open")
    return lambda: run("transfer", "chelsea", "china", *options)


@pytest.fixture
def viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of the system's; it writes down what it is to show."""
    program = tmp_path / "programs" / "xdg-open"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$1" > {tmp_path / "shown"}\nexit 3\n')
    program.chmod(0o755)
    monkeypatch.setattr(handing_out.sys, "platform", "linux")
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


def test_the_picture_is_handed_to_the_systems_viewer(
    paint: Callable[[], Outcome], viewer: Path, tmp_path: Path
) -> None:
    assert paint() == Outcome(0, "", "")
    shown = tmp_path / "shown"
    assert comes_true(lambda: shown.exists() and shown.read_text() == f"{tmp_path / 'a.png'}\n")


def test_without_a_viewer_it_is_said_and_no_error(
    paint: Callable[[], Outcome], viewer: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    viewer.write_text("no program")  # which the system refuses to run
    outcome = paint()
    assert outcome.code == 0
    assert "does not start" in outcome.complaint
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = paint()
    assert outcome.code == 0
    assert "there is no program here to show" in outcome.complaint


def test_how_it_is_shown_is_no_part_of_the_report(
    run: Run, shared_net: list[dict[str, Any]], viewer: Path, tmp_path: Path
) -> None:
    options = ("-o", tmp_path / "a.png", "--size", 32, "--steps", 1, "--open")
    assert run("transfer", "chelsea", "china", *options, "--report", tmp_path / "a.json").code == 0
    assert "open" not in json.loads((tmp_path / "a.json").read_text())["config"]
