"""Whoever asks a run to end, however often, at whatever moment of its work: the picture stays."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import Forked, thin
from torch import Tensor

import nst_utils as nst

if sys.platform == "win32":
    pytest.skip("Windows sends signals in another way", allow_module_level=True)

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TRANSFER = "transfer chelsea china -o out.png --report out.json --size 64 --steps 100000"
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def as_at_a_terminal() -> None:
    """A shell that runs the tests in the background has told its children to ignore some."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()  # a group of its own, which gets the signal as a whole


def thin_at_a_terminal() -> None:
    thin()
    as_at_a_terminal()


def as_with_nohup() -> None:
    thin()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


# name -> (the signals, the seconds between them, the seconds after the first step)
RHYTHMS: dict[str, tuple[list[signal.Signals], float, float]] = {
    "one": ([signal.SIGINT], 0, 0.2),
    "five in a tenth of a second": ([signal.SIGINT] * 5, 0.02, 0.1),
    "five at once": ([signal.SIGINT] * 5, 0, 0.3),
    "held": ([signal.SIGINT] * 13, 1 / 30, 0),
    "held until it has ended": ([signal.SIGINT] * 1800, 1 / 30, 0.15),  # at most a minute
    "SIGTERM": ([signal.SIGTERM], 0, 0.1),
    "SIGHUP": ([signal.SIGHUP], 0, 0.1),
    "a terminal that is closed": ([signal.SIGHUP, signal.SIGTERM, signal.SIGINT], 0.01, 0.2),
}


def ends_by(name: str, process: Forked | subprocess.Popen[bytes], folder: Path) -> None:
    """It does as it should, when it gets the signals of that rhythm."""
    signals, pause, moment = RHYTHMS[name]
    assert process.stderr is not None
    said = process.stderr.readline()
    assert b"step=1/100000" in said, said
    time.sleep(moment)
    for number in signals:
        if process.poll() is not None:
            break
        process.send_signal(number)
        time.sleep(pause)
    said = process.stderr.read()
    assert process.wait(60) == 128 + signals[0], said
    assert said == b"nst: interrupted; the picture so far is in out.png\n"
    assert sorted(each.name for each in folder.iterdir()) == ["out.json", "out.png"]
    assert nst.load_image(folder / "out.png").shape == (1, 3, 43, 64)


@pytest.mark.parametrize("name", RHYTHMS)
def test_the_first_signal_counts_and_the_picture_is_there(name: str, tmp_path: Path) -> None:
    with Forked(TRANSFER.split(), tmp_path, thin_at_a_terminal) as process:
        ends_by(name, process, tmp_path)


def test_signals_count_once_until_python_has_ended(tmp_path: Path) -> None:
    """In a process that nobody has prepared: they come while Python takes itself down, too."""
    with subprocess.Popen(
        [sys.executable, "-m", "nst_utils", *TRANSFER.split()],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=as_at_a_terminal,
    ) as process:
        ends_by("held until it has ended", process, tmp_path)


def test_a_reader_that_dies_at_once_takes_nothing_with_it(tmp_path: Path) -> None:
    with Forked(TRANSFER.split(), tmp_path, thin_at_a_terminal) as process:
        assert b"step=1/" in process.stderr.readline()
        process.stderr.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert (tmp_path / "out.json").exists()
    assert nst.load_image(tmp_path / "out.png").shape == (1, 3, 43, 64)


def test_a_reader_that_dies_of_the_same_ctrl_c_takes_nothing_with_it(tmp_path: Path) -> None:
    """``nst ... 2>&1 | tee log``: tee is gone before the picture is there."""
    command = f'"{sys.executable}" -m nst_utils {TRANSFER} 2>&1; echo $? > code'
    # The shells take no notice, so that the code can be written down; what they start does.
    script = f"trap : INT; ({{ {command}; }}) | tee log"
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=as_at_a_terminal,
    ) as process:
        log, until = tmp_path / "log", time.monotonic() + 120
        while not (log.exists() and "step=1/" in log.read_text()):
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
    assert (tmp_path / "code").read_text() == "130\n"
    assert (tmp_path / "out.json").exists()
    assert nst.load_image(tmp_path / "out.png").shape == (1, 3, 43, 64)


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """``nohup``: the run goes on to its end."""
    command = TRANSFER.replace("100000", "20").split()
    with Forked(command, tmp_path, as_with_nohup) as process:
        process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        assert b"step=20/20" in process.stderr.read()
        assert process.wait(60) == 0


def test_in_python_the_handlers_are_given_back(
    thin_net: nst.Network, content: Tensor, style: Tensor, ctrl_c: Callable[[], None]
) -> None:
    def often(step: nst.Step) -> None:
        for _ in range(3):
            try:
                ctrl_c()
            except KeyboardInterrupt:
                came.append(step.number)
                raise

    came: list[int] = []
    before = [signal.getsignal(number) for number in ENDS]
    result = nst.transfer(content, style, net=thin_net, steps=5, callback=often, progress=False)
    assert result.interrupted
    assert came == [1]
    assert [signal.getsignal(number) for number in ENDS] == before
    with pytest.raises(KeyboardInterrupt):
        ctrl_c()


def test_an_interrupt_that_got_lost_ends_the_run_at_the_next_step(
    thin_net: nst.Network, content: Tensor, style: Tensor, ctrl_c: Callable[[], None]
) -> None:
    def lose(step: nst.Step) -> None:
        if step.number == 2:
            with contextlib.suppress(KeyboardInterrupt):  # as a destructor does
                ctrl_c()

    result = nst.transfer(content, style, net=thin_net, steps=9, callback=lose, progress=False)
    assert (result.interrupted, result.steps) == (True, 3)
