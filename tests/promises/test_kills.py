"""Processes that are killed at random moments, again and again: nothing lost or half written."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from forked import Forked, thin

from nst_utils.optimize import checkpoints

KILLS = 20


def saving_always() -> None:
    """A checkpoint after every step: many of the kills hit one being written."""
    checkpoints._SHARE = 1e9
    thin()


def live(command: list[str], folder: Path, seconds: float | None) -> bool:
    """Run ``nst`` and kill it so long after it began; whether it came to its end before."""
    with Forked(command, folder, saving_always) as process:
        code = process.wait(seconds)
        assert code in (None, 0), process.stderr.read()
        return code == 0


def take_ctrl_c() -> None:
    """A shell that runs the tests in the background has told its children to ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def what_came_of_it(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """The picture's bytes, and the report without what depends on the clock and the machine."""
    report = json.loads((folder / "out.json").read_text())
    for name in ("seconds", "peak_memory_bytes", "resumed"):
        del report[name]
    return (folder / "out.png").read_bytes(), report


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_killed_at_random_moments_it_ends_with_the_same_picture(
    optimizer: str, tmp_path: Path
) -> None:
    """Twenty times with both together; a run that has come to its end is begun anew."""
    files = [tmp_path / name for name in ("out.png", "out.json", "run")]
    command = ["transfer", "chelsea", "china", "-o", "out.png", "--report", "out.json"]
    command += ["--checkpoint", "run", "--size", "48", "--steps", "10", "--quiet"]
    command += ["--optimizer", optimizer, "--device", "cpu"]
    command += ["--content-layers", "conv2_2", "--style-layers", "conv1_1,conv2_1"]
    with Forked(command, tmp_path, saving_always) as process:
        begun = time.monotonic()  # not while torch is being loaded
        assert process.wait() == 0
        takes = time.monotonic() - begun
    expected = what_came_of_it(tmp_path)
    for file in files:
        file.unlink()
    moments = random.Random(optimizer)
    kills = taken_up = 0
    while kills < KILLS // 2:
        begun = time.monotonic()
        if live(command, tmp_path, takes * moments.uniform(0.2, 1)):
            takes = min(takes, time.monotonic() - begun)  # the first one may have been held up
            assert what_came_of_it(tmp_path) == expected
            for file in files:
                file.unlink()
            continue
        kills += 1
        if files[2].exists():
            checkpoints.read(files[2])  # raises unless it is a whole one
            taken_up += 1
        if files[0].exists():
            assert files[0].read_bytes() == expected[0], "half a picture, or another one"
    assert live(command, tmp_path, None)
    assert what_came_of_it(tmp_path) == expected
    assert taken_up >= 3, "hardly any life got as far as a checkpoint"
    assert sorted(tmp_path.iterdir()) == sorted(files)


COMMAND_FIRST = """
import sys
from nst_utils.cli import parser
print("ready", flush=True)
sys.exit(parser.main())
"""


def is_the_sentence(err: bytes, folder: Path) -> bool:
    """Whether it tells what lies there; a quick machine may already have made a picture."""
    there = (folder / "out.png").exists()
    what = b"the picture so far is in out.png" if there else b"nothing was written"
    return err == b"nst: interrupted; " + what + b"\n"


@pytest.mark.parametrize("seconds", [0.05, 0.5])
def test_ctrl_c_while_a_command_loads_what_it_needs_is_a_sentence(
    seconds: float, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", COMMAND_FIRST, "transfer", "chelsea", "china"]
    with subprocess.Popen(
        [*command, "-o", "out.png", "--quiet", "--steps", "100000", "--size", "64"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=take_ctrl_c,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert is_the_sentence(err, tmp_path)


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.0])
def test_ctrl_c_at_any_moment_of_the_work_is_a_sentence(seconds: float, tmp_path: Path) -> None:
    files = ("chelsea", "china", "-o", "out.png", "--quiet", "--steps", "100000")
    with Forked(["transfer", *files, "--size", "64"], tmp_path, take_ctrl_c) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
        err = process.stderr.read() if code is not None else b""
    assert code == 130, err
    assert is_the_sentence(err, tmp_path)
