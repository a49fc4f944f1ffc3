"""Threads that wait sleep sooner in a command's process, unless the user has chosen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nst_utils.cli import parser
from nst_utils.cli.waiting import SPINS

CODE = """
import os, sys
from nst_utils.cli.parser import main
sys.argv = ["nst", "--version"]
main()
print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)
"""
CHOSEN = {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "passive"}


def of_a_process(**chosen: str) -> str:
    """What a command's process has set when it ends, and whether torch could see it."""
    others = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = [sys.executable, "-c", CODE]
    done = subprocess.run(code, env=others | chosen, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_a_commands_process_sets_it_before_torch_is_there() -> None:
    assert of_a_process() == f"{SPINS} False"


@pytest.mark.parametrize("chosen", CHOSEN, ids=" ".join)
def test_what_the_user_has_chosen_stays(chosen: dict[str, str]) -> None:
    assert of_a_process(**chosen) == f"{chosen.get('GOMP_SPINCOUNT')} False"


def test_a_process_of_somebody_else_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    parser.main(["samples"])
    assert "GOMP_SPINCOUNT" not in os.environ
