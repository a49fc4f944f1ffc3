"""Whatever becomes of the streams, the work is done, and the exit code says so."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from torch import Tensor

import nst_utils as nst
from nst_utils.cli import parser
from nst_utils.support.messages import say

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
NST = f'"{sys.executable}" -m nst_utils'
TRANSFER = "transfer chelsea china -o ü.png --report ü.json --checkpoint run --size 64 --steps 2"
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")


@pytest.fixture(scope="module")
def net(thin_net: nst.Network) -> nst.Network:
    """What is tested here goes on around the network."""
    return thin_net


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What bash makes of it, with its exit code of the first program that failed."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )


# Loads torch once, and makes a process for each command, which ends as Python ends. It takes a JSON
# list of (the command, its folder, where stdout and where stderr go).
FORKS = """
import json, os, sys
from forked import thin
from nst_utils.cli import commands, parser

thin()
for command, folder, stdout, stderr in json.load(sys.stdin):
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.chdir(folder)
    reader, nobody_reads = os.pipe()
    os.close(reader)
    for number, path in ((1, stdout), (2, stderr)):
        to = nobody_reads if path == "|" else os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(to, number)
    sys.argv = ["nst", *command.split()]
    sys.exit(parser.main())
"""


class Done(NamedTuple):
    """What came of a command: its exit code, its folder, and what it said there."""

    code: int
    folder: Path
    stderr: str


# What their commands get as stdout and stderr: ``|`` is a pipe that nobody reads; what comes to
# ``kept`` is told.
TAKING_NOTHING = (("/dev/full", "kept"), ("/dev/full", "/dev/full"), ("|", "|"))
ONLY_PRINTED = {"presets": 1, "--help": 1, "doctor": 0}


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> list[Done]:
    """What comes of :data:`TRANSFER` with each of the streams, and then of the other commands."""
    folder = tmp_path_factory.mktemp("forked")
    jobs = [(TRANSFER, *each) for each in TAKING_NOTHING]
    jobs += [(command, "/dev/full", "kept") for command in ONLY_PRINTED]
    folders = [folder / str(number) for number in range(len(jobs))]
    errors = [folder / f"{each.name}.txt" for each in folders]
    given = []
    for (command, stdout, stderr), where, error in zip(jobs, folders, errors, strict=True):
        where.mkdir()
        given.append((command, str(where), stdout, stderr.replace("kept", str(error))))
    done = subprocess.run(
        [sys.executable, "-c", FORKS],
        env=ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(sys.path)},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    said = [each.read_text(encoding="utf-8") if each.exists() else "" for each in errors]
    codes = map(int, done.stdout.split())
    return [Done(*each) for each in zip(codes, folders, said, strict=True)]


def check_pictures(folder: Path) -> None:
    assert sorted(each.name for each in folder.iterdir()) == ["run", "ü.json", "ü.png"]
    assert nst.load_image(folder / "ü.png").shape == (1, 3, 43, 64)


@FULL
@pytest.mark.parametrize("number", range(len(TAKING_NOTHING)))
def test_real_streams_that_take_nothing_cost_nothing(number: int, forked: list[Done]) -> None:
    done = forked[number]
    assert done.code == 0, done
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    check_pictures(done.folder)
    if "kept" in TAKING_NOTHING[number]:
        assert "step=2/2" in done.stderr


@FULL
def test_streams_that_are_closed_when_python_begins_cost_nothing(tmp_path: Path) -> None:
    done = shell(f"{NST} {TRANSFER} >&- 2>&- <&-", tmp_path)
    assert done.returncode == 0
    check_pictures(tmp_path)


@FULL
def test_what_was_only_to_be_printed_is_missed_in_a_sentence(
    forked: list[Done], tmp_path: Path
) -> None:
    found = forked[len(TAKING_NOTHING) :]
    for (command, code), done in zip(ONLY_PRINTED.items(), found, strict=True):
        assert done.code == code, (command, done.stderr)
        assert done.stderr.count("\n") == code, done.stderr
        assert not code or "standard output cannot be written" in done.stderr
    assert shell(f"{NST} samples | head -n 1", tmp_path).returncode == 0, "who reads has had enough"


class Raising(io.StringIO):
    """What a front end that is gone may be like."""

    def write(self, text: str) -> int:
        raise RuntimeError("nobody is here")


class Late(io.StringIO):
    """Takes what it gets, and says only when it is flushed that there was no room."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS: dict[str, Callable[[], Any]] = {
    "missing": lambda: None,
    "closed": closed,
    "raising": Raising,
    "full": Late,
    "ascii": lambda: io.TextIOWrapper(io.BytesIO(), encoding="ascii"),
    "strange": object,
}


@contextlib.contextmanager
def replaced(names: str, kind: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in names.split():
            patch.setattr(sys, name, STREAMS[kind]())
        yield


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("names", ["stderr", "stdout", "stdout stderr"])
def test_streams_of_python_that_take_nothing_cost_nothing(
    names: str,
    kind: str,
    shared_net: object,
    net: nst.Network,
    content: Tensor,
    style: Tensor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    codes = {}
    with replaced(names, kind):
        say("Gemälde")
        result = nst.transfer(content, style, net=net, steps=1)
        codes["transfer"] = parser.main([*TRANSFER.split(), "--save-every", "1"])
        codes["bad"] = parser.main(["transfer", "nö.png", "china", "-o", "a.png"])
        for command in ("presets", "samples"):
            codes[command] = parser.main([command])
    printed = int("stdout" in names and kind != "ascii")
    assert codes == {"transfer": 0, "bad": 2, "presets": printed, "samples": printed}
    assert result.steps == 1
    files = ["run", "ü-0001.png", "ü-0002.png", "ü.json", "ü.png"]
    assert sorted(each.name for each in tmp_path.iterdir()) == files
