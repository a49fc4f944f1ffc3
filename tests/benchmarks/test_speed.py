"""benchmarks/speed.py: all contenders run on one device; the figures of each are kept apart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from benchmark_scripts import script

import nst_utils as nst


@pytest.fixture(scope="module")
def speed() -> ModuleType:
    return script("speed")


@pytest.mark.parametrize("name", ["plain", "pastiche", "ours", "ours-exact"])
def test_every_contender_runs_where_it_is_told_to(
    name: str, speed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[str] = []

    def other(size: int, evaluations: int, seen: Any, device: str) -> None:
        where.append(device)
        for _ in range(8):
            seen(torch.zeros(1, 3, size, size))

    def transfer(*_pictures: Any, device: str, callback: Any, **_settings: Any) -> None:
        where.append(device)
        net = nst.vgg19(**speed.READING)
        image = torch.rand_like(nst.load_image(speed.PICTURES[0], size=32))
        objective = nst.Objective(net, speed.equation_7(32, [speed.RATIO]))
        for _ in range(8):
            objective.evaluate(image)
            callback(nst.Step(1, image, {}, 0.5))

    monkeypatch.setattr(nst.Objective, "evaluate", nst.Objective.evaluate)  # it counts by it
    monkeypatch.setattr(speed, "plain", other)
    monkeypatch.setattr(speed, "pastiche", other)
    monkeypatch.setattr(nst, "transfer", transfer)
    told = speed.child(name, 32, 8, 0, tmp_path, "mps")
    assert where == ["mps"]
    assert told["seconds"] > 0
    asked: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "{}\n")

    monkeypatch.setattr(subprocess, "run", run)
    speed.ask(name, 32, 8, 0, tmp_path, "cuda:1")
    assert asked[0][-1] == "cuda:1"


@pytest.mark.parametrize(("device", "file"), [("cpu", "speed.json"), ("mps", "speed-mps.json")])
def test_figures_of_devices_are_kept_apart(
    device: str, file: str, speed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raced: list[tuple[Any, ...]] = []
    monkeypatch.setattr(speed, "race", lambda *given: raced.append(given) or {})
    options = ["race", "--size", "32", "--device", device, "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["speed.py", *options])
    speed.main()
    assert raced[0][-1] == device
    assert [path.name for path in tmp_path.glob("*.json")] == [file]
    assert json.loads((tmp_path / file).read_text())["race"] == {"32": {}}
