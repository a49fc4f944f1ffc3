"""benchmarks/gpu.py rehearsed on the CPU, so that no minute of a GPU is lost to a typo."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from benchmark_scripts import script
from thin import thin_vgg19

import nst_utils as nst
from nst_utils.networks.network import Network
from nst_utils.optimize import recorded
from nst_utils.optimize.lbfgs import LBFGS


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    return script("gpu")


@pytest.fixture
def thin(thin_net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it does not matter what the network sees."""
    monkeypatch.setattr(nst, "vgg19", lambda **_: thin_net)


@pytest.mark.parametrize(
    "stage", ["machine", "tests", "speed", "together", "waits", "picture", "memory", "profile"]
)
def test_every_stage_gives_what_a_file_can_hold(
    stage: str, gpu: ModuleType, thin: None, tmp_path: Path
) -> None:
    told = getattr(gpu, stage)("cpu", 48, tmp_path)
    assert told
    assert json.loads(json.dumps(told)) == told
    assert "failed" not in json.dumps(told)
    if stage in ("speed", "picture"):  # a time says whether it is that of steps that are replayed
        ours = [told[name] for name in told if name.startswith(("48 px, fl", "default, fi"))]
        assert [each["steps"].split(":")[0] for each in ours] == ["not recorded"]


def test_the_race_and_the_agreement_are_of_the_real_network(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "recorded_against_not", lambda *_: {})  # sixty steps; below, thin
    agreement = gpu.agreement("cpu", 32, tmp_path)
    assert agreement["float32"]["gradient"] < 1e-5
    race = gpu.race("cpu", 24, tmp_path)
    assert race["of theirs"] > 0
    assert (tmp_path / "ours-at-their-loss.jpg").exists()


@pytest.mark.usefixtures("thin")
def test_a_recorded_run_is_compared_with_one_that_is_not(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = gpu.recorded_against_not("cpu", 32)
    # Nothing was, and that is said: that both runs agree would prove nothing.
    assert found.pop("steps") == "not recorded: it was not tried"
    assert list(found.values()) == [0, 0]
    monkeypatch.setattr(recorded, "_impossible", ["no such kernel"])
    with gpu.recordings() as tried:
        one = recorded.Recorded(torch.device("cuda"))
        for _ in range(recorded.BEFORE + 2):
            one(lambda: None)
    assert gpu.in_words(tried) == "not recorded: no such kernel"
    assert recorded.Recorded._record.__name__ == "_record"


def test_the_rate_is_that_of_the_convolutions(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nst, "vgg19", lambda *, precision: thin_vgg19(precision))
    told = gpu.rate("cpu", 48, tmp_path)
    assert json.loads(json.dumps(told)) == told
    assert told["share"] > 0
    net, operations = thin_vgg19(), 0
    for layer in net.layers[: net.layers.index("conv5_1") + 1]:
        kernel = net.modules_by_layer()[layer].kernel
        assert isinstance(kernel, torch.Tensor)
        operations += 4 * kernel.numel() * (48 // net.stride(layer)) ** 2
    counted = told["convolutions, 10^12 a second"] * told["convolutions, ms"] * 1e9
    assert counted == pytest.approx(operations)


def test_waits_are_those_that_more_steps_cost(
    gpu: ModuleType, thin: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch warns of each where it is told to; here every step warns twice."""
    modes: list[str] = []
    step = LBFGS.step

    def waiting(self: LBFGS, number: int) -> None:
        step(self, number)
        for _ in range(2):
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)

    monkeypatch.setattr(LBFGS, "step", waiting)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    told = gpu.waits("cpu", 48, tmp_path)
    assert told["a step"] == 2
    assert sum(told["of which by line"].values()) == 4
    assert modes == []


def test_figures_of_another_machine_or_size_are_put_aside(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    card = {"name": "a card"}

    def found(stage: str, *_: Any) -> dict[str, Any]:
        return dict(card) if stage == "machine" else {stage: 1.0}

    def call(*options: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path), *options])
        gpu.main()
        kept: dict[str, Any] = json.loads((tmp_path / "gpu.json").read_text())
        return kept

    monkeypatch.setattr(gpu, "run_stage", found)
    call("--stages", "speed")
    (tmp_path / "default.jpg").touch()
    (tmp_path / gpu.TEXTS).write_text("of an earlier call")
    kept = call("--stages", "race")
    assert {"machine", "speed", "race"} < set(kept)
    assert not (tmp_path / gpu.TEXTS).exists()
    assert (tmp_path / "default.jpg").exists()
    card["name"] = "another card"
    kept = call("--stages", "memory")
    assert "speed" not in kept
    assert kept["machine"]["name"] == "another card"
    assert "race" in json.loads((tmp_path / gpu.BEFORE).read_text())
    assert not (tmp_path / "default.jpg").exists()
    for option in (["--size", "256"], ["--device", "cpu"]):
        assert "memory" not in call(*option, "--stages", "bits")
        call("--stages", "memory")
    assert "another card" in capsys.readouterr().out


def test_the_file_is_written_whole_or_not_at_all(gpu: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    gpu.write(file, {"size": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            gpu.write(file, {"size": 2})
    assert json.loads(file.read_text()) == {"size": 1}


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_no_more_files_come_of_it_than_are_given_back(gpu: ModuleType) -> None:
    """Eight: the figures, those before, the texts, the pictures and the notebooks."""
    assert len({"gpu.json", gpu.BEFORE, gpu.TEXTS, *gpu.PICTURES, gpu.ZIP}) <= 8
    written = set(re.findall(r'"([a-z-]+\.jpg)"', (gpu.HERE / "gpu.py").read_text()))
    assert written <= set(gpu.PICTURES)


def test_a_stage_that_fails_or_hangs_does_not_take_the_others_with_it(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert "not finished" in gpu.run_stage("machine", "cpu", 32, tmp_path, 0.01)["failed"]
    found = iter([{"name": "a card", "took": 1.0}, {"failed": "exit code 1: no kernel"}])
    monkeypatch.setattr(gpu, "run_stage", lambda *_: next(found))
    stages = ["--stages", "machine", "speed"]
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path / "new"), *stages])
    gpu.main()
    kept = json.loads((tmp_path / "new" / "gpu.json").read_text())
    assert kept["speed"] == {"failed": "exit code 1: no kernel"}
    shown = capsys.readouterr().out
    assert "a card" in shown
    assert "exit code 1: no kernel" in shown
    assert "not run" in shown


# What the tests of other things need, and a machine that has only Python and torch does not have.
BARE = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {
            *("nbformat", "nbclient", "nbval", "ipywidgets", "IPython", "ipykernel", "shtab"),
            *("voila", "playwright", "xdist", "jsonschema", "traitlets", "jupyter_client"),
        }:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_the_tests_of_a_gpu_are_found_on_a_machine_that_has_little(gpu: ModuleType) -> None:
    files = gpu.tests_of_gpu()
    assert {"test_loop.py", "test_commands.py"} <= {file.name for file in files}
    assert Path(__file__) not in files
    options = ["-p", "no:nbval", "-p", "no:xdist", "-q", "-m", "gpu", "--collect-only"]
    command = [sys.executable, "-c", BARE, *options, *map(str, files)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=gpu.HERE.parent)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for file in files:
        assert f"{file.name}::" in ran.stdout


def test_the_stage_asks_for_those_files_alone_and_keeps_what_failed(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def ran(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 1, "a test failed\n1 failed\n", "")

    monkeypatch.setattr(subprocess, "run", ran)
    told = gpu.tests("cuda", 48, tmp_path)
    assert told == {"exit code": 1, "last line": ["1 failed"]}
    assert asked[0][-len(gpu.tests_of_gpu()) :] == [str(file) for file in gpu.tests_of_gpu()]
    assert str(gpu.HERE.parent / "tests") not in asked[0]
    gpu.keep_text(tmp_path, "speed", "no kernel")
    assert [file.name for file in tmp_path.iterdir()] == [gpu.TEXTS]
    text = (tmp_path / gpu.TEXTS).read_text()
    assert "a test failed" in text
    assert "no kernel" in text


def test_a_notebook_that_came_to_its_end_is_kept_whatever_becomes_of_the_next(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = {"cell_type": "code", "source": ["6 * 7"], "metadata": {}, "outputs": [], "id": "a"}
    for name, source in (("00_good.ipynb", "6 * 7"), ("01_bad.ipynb", "1 / 0")):
        metadata = {"language_info": {"name": "python"}}
        book = {"cells": [good | {"source": source}], "metadata": metadata}
        text = json.dumps(book | {"nbformat": 4, "nbformat_minor": 5})
        (tmp_path / name).write_text(text, encoding="utf-8")
    for tool in ("render.py", "plain.py"):
        (tmp_path / tool).write_text((gpu.NOTEBOOKS / tool).read_text())
    monkeypatch.setattr(gpu, "NOTEBOOKS", tmp_path)
    names = gpu.each_by_itself(["machine", "notebooks"], [""])
    assert names == ["machine", "notebook 00_good.ipynb", "notebook 01_bad.ipynb"]
    assert gpu.each_by_itself(["notebooks"], ["01"]) == ["notebook 01_bad.ipynb"]
    assert gpu.notebook("cpu", 64, tmp_path, "00_good.ipynb") == {"quick": True}
    with pytest.raises(SystemExit):
        gpu.notebook("cpu", 64, tmp_path, "01_bad.ipynb")
    with zipfile.ZipFile(tmp_path / gpu.ZIP) as archive:
        assert archive.namelist() == ["00_good.ipynb"]
        (cell,) = json.loads(archive.read("00_good.ipynb"))["cells"]
    assert cell["outputs"][0]["data"]["text/plain"] == ["42"]
