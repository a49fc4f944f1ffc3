"""Whatever becomes of the streams, the work is done, and the exit code says so."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


@FULL
@pytest.mark.parametrize(
    "streams",
    [">/dev/full", ">/dev/full 2>&1", ">&- 2>&- <&-", "2>&1 | true"],
)
def test_real_streams_that_take_nothing_cost_nothing(streams: str, tmp_path: Path) -> None:
    done = shell(f"{NST} {TRANSFER} {streams}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["run", "ü.json", "ü.png"]
    assert nst.load_image(tmp_path / "ü.png").shape == (1, 3, 43, 64)
    if "2>" not in streams:
        assert "step=2/2" in done.stderr


@FULL
def test_what_was_only_to_be_printed_is_missed_in_a_sentence(tmp_path: Path) -> None:
    for command, code in (("presets", 1), ("--help", 1), ("doctor", 0)):
        done = shell(f"{NST} {command} >/dev/full", tmp_path)
        assert done.returncode == code, (command, done.stderr)
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
