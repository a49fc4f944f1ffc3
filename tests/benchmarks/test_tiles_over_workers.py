"""benchmarks/tiles_over_workers.py at 32 px, its workers threads of this process."""

from __future__ import annotations

import multiprocessing
import re
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import benchmark_scripts
import pytest
import torch

import nst_utils as nst
from nst_utils.networks.network import Network


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return benchmark_scripts.script("tiles_over_workers")


@pytest.fixture
def threads(thin_net: Network, script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process takes seconds to begin, and a thin network cannot be sent to it."""

    def thread(target: Any, args: Any, daemon: bool) -> threading.Thread:
        return threading.Thread(target=target, args=args, daemon=daemon)

    context = SimpleNamespace(Pipe=multiprocessing.Pipe, Process=thread)
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: context)
    monkeypatch.setattr(script, "peak", lambda: 100.0)
    monkeypatch.setattr(script, "MESSAGE", 1000)
    monkeypatch.setattr(script, "MEGAPIXELS", (1, 4))
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    monkeypatch.setattr(nst, "vgg19", lambda **_: thin_net)


def test_the_gradient_over_workers_is_that_of_one_process(
    threads: None, script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    script.reckon(512, *script.measure(script.Given(32, 16, "float32"), 1))
    out = capsys.readouterr().out
    agrees = re.findall(r"^\| two.*\| ([^|]+) \|$", out, flags=re.MULTILINE)
    assert agrees[1] == "bit for bit"
    found = re.fullmatch(r"to (\S+) of the largest value", agrees[0])
    assert agrees[0] == "bit for bit" or (found is not None and float(found[1]) < 1e-5)
    measured, reckoned = out.split("\nreckoned, ")
    assert "measured: 32x24 px, 2 tiles" in measured
    rows = re.findall(r"^\| (\d+) \| (\d+) ", reckoned, flags=re.MULTILINE)
    assert rows == [("1", "1"), ("1", "2"), ("4", "1"), ("4", "2"), ("4", "8")]


def test_what_is_exchanged_is_what_is_reckoned(threads: None, script: ModuleType) -> None:
    given = script.Given(32, 16, "float32")
    objective = script.objective_of(given)
    x = nst.noise_image(24, 32)
    parts = script.cut(objective, x.shape[2:], given.tile)
    workers = script.Workers(given, parts, 2)
    workers.evaluate(objective, x, False)
    grams = 4 * sum((n // 8) ** 2 for n in (64, 128, 256, 512, 512))
    rows = sum(each.stop - each.start for each in workers.rows)
    reckoned = 2 * script.PICTURE * 32 * rows + 2 * 2 * grams
    assert reckoned < workers.sent + workers.came < reckoned + 10_000  # names and shapes
    workers.close()
