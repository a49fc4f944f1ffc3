"""The scripts of ``benchmarks/``, which are no package, as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def script(name: str) -> ModuleType:
    """A fresh copy of that script, so that what a test changes in it is gone afterwards; what it
    puts on the path of imports is taken off again, but for the folder."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = [str(FOLDER), *sys.path]
    sys.path[:] = before  # scripts use one another
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module
