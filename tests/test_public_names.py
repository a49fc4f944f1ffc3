"""``import nst_utils as nst``: names are loaded when asked for, and nobody sees a difference."""

from __future__ import annotations

import ast
import inspect
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import nst_utils as nst

FACE = Path(nst.__file__)


# Each code in a process where others' packages have been loaded, and nothing of this one.
FORKS = """
import json, os, sys
import ipywidgets, matplotlib.pyplot, torch
codes, folder = json.loads(sys.argv[1]), sys.argv[2]
assert not [name for name in sys.modules if name.startswith("nst_utils")]
for number, code in enumerate(codes):
    if not os.fork():
        os.dup2(os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY), 1)
        exec(code, {"__name__": "__main__"})
        sys.stdout.flush()
        os._exit(0)  # what Python does at its end takes a second
    assert os.wait()[1] == 0, code
"""


def fresh(codes: Sequence[str], folder: Path) -> list[str]:
    """What each prints where nothing of the package has been loaded."""
    done = subprocess.run(
        [sys.executable, "-c", FORKS, json.dumps(codes), folder],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(folder / str(number)).read_text() for number in range(len(codes))]


def test_types_are_told_the_same_as_python() -> None:
    """The imports that only type checkers read, ``__all__``, and where the names are."""
    tree = ast.parse(FACE.read_text(encoding="utf-8"))
    told = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == nst._HOMES
    assert {*told} == {*nst.__all__}
    assert {*nst.__all__} <= {*dir(nst)}


@pytest.mark.parametrize("name", nst.__all__)
def test_a_name_is_what_its_home_has(name: str) -> None:
    thing = getattr(nst, name)
    assert thing is getattr(sys.modules[nst._HOMES[name]], name)
    if inspect.isfunction(thing) or inspect.isclass(thing):
        assert pickle.loads(pickle.dumps(thing)) is thing
        assert inspect.signature(thing)
        assert thing.__module__ == nst._HOMES[name]  # moved, not passed on


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    for name in ("tranfser", "_no", "__wrapped__", "__main__", "a b", ""):
        assert not hasattr(nst, name)
        assert not hasattr(nst.images, name)


FIRST = [
    "import nst_utils as nst; print(nst.losses.gram_matrix.__name__)",
    "import nst_utils as nst; nst.load_image; print(nst.images.color.match_color.__name__)",
    "import nst_utils.images.files; print(nst_utils.plots.film.__name__)",
    "from nst_utils import app; print(app.recipes.Recipe.__name__)",
    "from nst_utils import *; print(transfer, PRESETS, studio)",
    "from nst_utils.images import color; print(color.__name__)",
    "import nst_utils, importlib; nst_utils.show; print(importlib.reload(nst_utils).transfer)",
]
THREADS = """
import threading
import nst_utils as nst
names = [*nst.__all__, "losses", "images", "networks"] * 2
gate, found = threading.Barrier(len(names)), []
def ask(name):
    gate.wait()
    found.append(getattr(nst, name))
threads = [threading.Thread(target=ask, args=(name,)) for name in names]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(found) == len(names))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_every_way_of_naming_works_first_of_all(tmp_path: Path) -> None:
    said = fresh(FIRST, tmp_path)
    assert [bool(each.strip()) for each in said] == [True] * len(FIRST), said


def test_names_work_where_nothing_at_all_has_been_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
