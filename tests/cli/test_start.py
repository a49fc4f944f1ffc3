"""``nst`` starts without what a command does not need: torch takes seconds, and may be broken."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nst_utils as nst
from nst_utils.cli.parser import build_parser
from nst_utils.networks.architectures import ARCHITECTURES
from nst_utils.networks.builders import NETWORKS

HEAVY = ("torch", "torchvision", "matplotlib", "scipy", "IPython", "ipywidgets", "numpy", "PIL")
WITHOUT = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise AssertionError(f"{{name}} is loaded")

sys.meta_path.insert(0, Refuse())
"""
Light = dict[str, tuple[int, str, str]]
ASKED, VERSIONS = ["", "-h", "--help"], ["-V", "--version"]
NST = "from nst_utils.cli.parser import main; sys.exit(main(sys.argv[1:]))"


# Each command in a process made from one that has loaded what every command begins with.
FORKS = f"""
{WITHOUT}
import json, os
from nst_utils.cli.parser import main

commands, folder = json.loads(sys.argv[1]), sys.argv[2]
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for number, command in enumerate(commands):
    child = os.fork()
    if not child:
        for stream in (1, 2):
            name = f"{{folder}}/{{number}}-{{stream}}"
            os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY), stream)
        sys.exit(main(command.split()))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with open(f"{{folder}}/{{number}}-0", "w") as file:
        file.write(str(code))
"""


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Light:
    """Exit code, output and errors of every command that needs nothing heavy."""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    folder, commands = tmp_path_factory.mktemp("light"), [*LIGHT, *MISTAKES, *ASKED, *VERSIONS]
    done = python(FORKS, json.dumps(commands), str(folder))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return {
        command: (
            int((folder / f"{number}-0").read_text()),
            (folder / f"{number}-1").read_text(),
            (folder / f"{number}-2").read_text(),
        )
        for number, command in enumerate(commands)
    }


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a process of its own does and says."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


COMMANDS = [
    "",
    "transfer",
    "reconstruct-content",
    "reconstruct-style",
    "sweep",
    "batch",
    "demo",
    "doctor",
    "notebooks",
    "studio",
]
LIGHT = [f"{command} --help".strip() for command in COMMANDS] + ["--version", "samples", "presets"]


@pytest.mark.parametrize("command", LIGHT)
def test_what_only_prints_needs_nothing_heavy(command: str, light: Light) -> None:
    code, out, err = light[command]
    assert (code, err) == (0, "")
    assert out


# A mistake of each kind that can be seen before the run.
MISTAKES = [
    "transfr",
    "--quiet transfer chelsea china",
    "transfer chelsea china",
    "transfer chelsea china -o a.png --sise 3",
    "transfer chelsea china -o a.png --steps x",
    "transfer chelsea china -o a.gif",
    "transfer chelsea china -o missing/a.png",
    "transfer missing.jpg china -o a.png",
    "transfer chelsea missing.jpg -o a.png",
    "transfer chelsea china -o a.png --init missing.jpg",
    "transfer chelsea china -o a.png --masks missing.jpg",
    "transfer chelsea china -o a.png --preset papr",
    "transfer chelsea china -o a.png --content-layers fire2",
    "transfer chelsea china -o a.png --style-layer-weights 1,2",
    "transfer chelsea china -o a.png --optimizer adam --exact",
    "transfer chelsea china -o a.png --device gpu",
    "transfer chelsea china -o a.png --smaller-first 0.5",
    "transfer chelsea china -o a.png --smaller-first 1.5:3",
    "transfer chelsea china -o a.png --smaller-first 0.5:3,0.5:4",
    "transfer chelsea china -o a.png --smaller-first 0.5:400 --steps 300",
    "transfer chelsea china -o a.png --network squeezenet1_1 --padding nearest",
    "transfer chelsea china -o a.png --network squeezenet1_1 --normalized authors",
    "transfer chelsea china china -o a.png",
    "transfer chelsea china -o a.png --print A44",
    "transfer chelsea china -o a.webp --print A4",
    "reconstruct-content chelsea -o a.png --layers conv42",
    "reconstruct-content chelsea -o a.png --normalized author",
    "reconstruct-style missing.jpg -o a.png",
    "sweep chelsea china -o missing/out --seed 0..3",
    "sweep chelsea china missing.jpg -o out",
    "sweep chelsea china -o out --content-weight 1e-3..1e-1",
    "batch missing china -o out",
    "studio --port 0",
    "studio --visitors none",
    "studio --address nowhere.invalid",
    "studio --max-size 8",
    "studio --password",
]


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_needs_nothing_heavy(command: str, light: Light) -> None:
    code, out, err = light[command]
    assert (code, out) == (2, "")
    assert err.startswith("nst: ")
    assert err.count("\n") == 1


def test_a_process_of_its_own_needs_nothing_heavy_either() -> None:
    done = python(WITHOUT + NST, "presets")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("command", ASKED)
def test_who_asks_for_nothing_is_told_what_there_is(command: str, light: Light) -> None:
    code, out, err = light[command]
    assert (code, err) == (0, "")
    assert "Paints a photograph in the style of a painting" in out
    examples = re.findall(r"^  nst (.*?)(?:  .*)?$", out, flags=re.MULTILINE)
    assert len(examples) == 3
    for example in examples:
        assert build_parser().parse_args(example.split()).run


@pytest.mark.parametrize("option", VERSIONS)
def test_its_version_is_told(option: str, light: Light) -> None:
    assert light[option] == (0, f"nst {nst.__version__}\n", "")


def test_the_package_is_imported_without_what_is_not_asked_for() -> None:
    code = "import nst_utils as nst; print(len(nst.samples()), nst.preset('paper').steps, dir(nst))"
    done = python(WITHOUT + code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{len(nst.samples())} 300")


def test_a_run_that_draws_nothing_does_not_look_at_matplotlib(tmp_path: Path) -> None:
    """Its settings may be broken, its folder not to be written to; it would say so."""
    home = tmp_path / "home"
    home.write_text("no folder")
    command = f"transfer chelsea china -o {tmp_path / 'a.png'} --size 32 --steps 1 --quiet"
    code = "import sys; " + NST
    done = python(code, *command.split(), MPLBACKEND="qt4agg", HOME=str(home), XDG_CONFIG_HOME="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_names_that_need_no_network_are_those_of_the_networks() -> None:
    assert list(ARCHITECTURES) == list(NETWORKS)
