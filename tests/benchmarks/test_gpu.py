"""benchmarks/gpu.py rehearsed on the CPU, so that no minute of a GPU is lost to a typo."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from benchmark_scripts import script

import nst_utils as nst
from nst_utils.networks.network import Network


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    return script("gpu")


@pytest.fixture
def thin(thin_net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it does not matter what the network sees."""
    monkeypatch.setattr(nst, "vgg19", lambda **_: thin_net)


@pytest.mark.parametrize("stage", ["machine", "tests", "speed", "picture", "memory", "profile"])
def test_every_stage_gives_what_a_file_can_hold(
    stage: str, gpu: ModuleType, thin: None, tmp_path: Path
) -> None:
    told = getattr(gpu, stage)("cpu", 48, tmp_path)
    assert told
    assert json.loads(json.dumps(told)) == told
    assert "failed" not in json.dumps(told)


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
def test_a_recorded_run_is_compared_with_one_that_is_not(gpu: ModuleType) -> None:
    assert gpu.recorded_against_not("cpu", 32) == {"at step 14": 0, "at the end": 0}


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
