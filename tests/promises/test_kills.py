"""Processes that are killed at random moments, again and again: nothing lost or half written."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from nst_utils.cli import parser
from nst_utils.optimize import checkpoints

KILLS = 20
# What a command loads when it needs it; an Adam, the first time, torch's compiler.
PRELOADED = ["nst_utils.cli.commands", "nst_utils.experiments.style_transfer", "torch._dynamo"]
# One thread: the tests that go on beside these have work, too.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Makes processes that have loaded torch already, so that more of the kills hit the work."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system cannot fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def saving_always(command: list[str]) -> None:
    """``nst``, with a checkpoint after every step: many of the kills hit one being written."""
    checkpoints._SHARE = 1e9
    sys.exit(parser.main(command))


def live(processes: ForkServerContext, command: list[str], seconds: float | None) -> bool:
    """Run ``nst`` and kill it after that time; whether it came to its end before."""
    process = processes.Process(target=saving_always, args=(command,))
    process.start()
    process.join(seconds)
    killed = process.is_alive()
    process.kill()
    process.join()
    assert killed or process.exitcode == 0
    return not killed


def what_came_of_it(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """The picture's bytes, and the report without what depends on the clock and the machine."""
    report = json.loads((folder / "out.json").read_text())
    for name in ("seconds", "peak_memory_bytes", "resumed"):
        del report[name]
    return (folder / "out.png").read_bytes(), report


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_killed_at_random_moments_it_ends_with_the_same_picture(
    optimizer: str,
    processes: ForkServerContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twenty times with both together; a run that has come to its end is begun anew."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    files = [tmp_path / name for name in ("out.png", "out.json", "run")]
    command = ["transfer", "chelsea", "china", "-o", str(files[0]), "--report", str(files[1])]
    command += ["--checkpoint", str(files[2]), "--size", "48", "--steps", "60", "--quiet"]
    command += ["--optimizer", optimizer, "--device", "cpu"]
    command += ["--content-layers", "conv2_2", "--style-layers", "conv1_1,conv2_1"]
    begun = time.monotonic()
    assert live(processes, command, None)
    takes = time.monotonic() - begun
    expected = what_came_of_it(tmp_path)
    for file in files:
        file.unlink()
    moments = random.Random(optimizer)
    kills = taken_up = 0
    while kills < KILLS // 2:
        if live(processes, command, moments.uniform(0, 0.8 * takes)):
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
    assert live(processes, command, None)
    assert what_came_of_it(tmp_path) == expected
    assert taken_up >= 3, "hardly any life got as far as a checkpoint"
    assert sorted(tmp_path.iterdir()) == sorted(files)


_LOADED_FIRST = """
import sys
from nst_utils.cli import parser
print("ready", flush=True)
sys.exit(parser.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.0, 3.0])
def test_ctrl_c_at_any_moment_is_a_sentence(seconds: float, tmp_path: Path) -> None:
    """Any moment of the work, that is: while Python loads torch, it ends with its own traceback."""
    files = ("chelsea", "china", "-o", "out.png", "--quiet", "--steps", "100000")
    with subprocess.Popen(
        [sys.executable, "-c", _LOADED_FIRST, "transfer", *files, "--size", "64"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell that runs the tests in the background has told its children to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.startswith(b"nst: interrupted"), err
    assert err.count(b"\n") == 1, err
    assert (tmp_path / "out.png").exists() == (b"the picture so far" in err)
