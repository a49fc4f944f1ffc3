"""benchmarks/many.py at 32 px: its sweeps by the thin network, all in this process.

The processes of ``resume``, ``engines`` and ``empty`` would each load torch for seconds.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import benchmark_scripts
import pytest

import nst_utils as nst
from nst_utils.many import engine, loading
from nst_utils.networks import builders
from nst_utils.networks.network import Network


@pytest.fixture
def script(thin_net: Network, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(builders, "NETWORKS", {"vgg19": lambda **_: thin_net})
    monkeypatch.setattr(loading, "_networks", {})
    return benchmark_scripts.script("many")


def test_each_way_makes_the_same_pictures(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def here(*given: Any, executor: Any, **more: Any) -> nst.Sweep:
        asked.append(executor)
        few: dict[str, Any] = {"content_weight": [1e-3, 1e-1], "seed": [0]}
        return nst.sweep(*given, **more | few)

    monkeypatch.setattr(script, "nst", type("nst", (), {"sweep": staticmethod(here)}))
    monkeypatch.setattr(script, "dask", lambda workers: contextlib.nullcontext(f"{workers} there"))
    script.engines(32, 1)
    assert asked == [None, 2, "2 there"]
    rows = re.findall(
        r"^\| (.+) \| \d+ \| [\d.]+ \| [\d.]+ \| (\w+) \|$", capsys.readouterr().out, re.M
    )
    assert rows == [
        (way, "yes") for way in ("this process", "a pool of two processes", "two Dask workers")
    ]


def test_memory_is_told_after_so_many_jobs(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of jobs that do nothing."""
    monkeypatch.setattr(engine, "paint", script.nothing)
    take = engine.Run._take
    script.memory(16)
    told = re.fullmatch(r"memory: (.+) jobs of 16 and 32 px\n", capsys.readouterr().out)
    assert told is not None
    after = re.findall(r"(\d+) MB after (\d+)", told[1])
    assert [number for _, number in after] == ["1", "10", "25", "50", "100"]
    assert all(int(size) > 0 for size, _ in after)
    assert engine.Run._take is take


def test_the_step_of_a_picture_is_read_from_its_status(script: ModuleType, tmp_path: Path) -> None:
    jobs = tmp_path / ".nst-jobs"
    jobs.mkdir()
    (jobs / "03_seed=2.json").write_text(json.dumps({"step": 27}))
    (jobs / "02_seed=1.json").write_text("half of")
    assert [script.step_of(tmp_path, number) for number in range(3)] == [0, 0, 27]
