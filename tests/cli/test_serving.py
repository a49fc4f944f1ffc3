"""``nst studio``: what it makes of its options, and what it refuses in a line."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from outcome import Outcome

from nst_utils.app.limits import Limits
from nst_utils.cli import serving

Run = Callable[..., Outcome]
TOLD = ("OMP_NUM_THREADS", "NST_STUDIO_SIZE", "NST_STUDIO_STEPS", "NST_STUDIO_SERVED")


class Asked(dict[str, Any]):
    """What the server was asked for, by name."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """In place of the server, which needs Voila and would not end."""
    told = Asked()
    names = ("address", "port", "token", "password", "visitors", "opens_browser")
    server = ModuleType("nst_utils.app.server")
    server.Serving = lambda *values: dict(zip(names, values, strict=True))  # type: ignore[attr-defined]
    server.serve = told.update  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nst_utils.app.server", server)
    monkeypatch.setattr(serving, "find_spec", lambda name: object())
    monkeypatch.setattr(os, "environ", {**os.environ})
    for name in TOLD:
        os.environ.pop(name, None)
    return told


def test_by_default_it_is_for_this_machine_alone(run: Run, asked: Asked) -> None:
    assert run("studio").code == 0
    assert asked["address"] == "127.0.0.1"
    assert (asked["token"], asked["password"], asked["opens_browser"]) == ("", "", True)
    assert asked["port"] in range(serving.PORT, serving.PORT + serving.PORTS)
    assert asked["visitors"] == serving.VISITORS
    assert Limits.here() == Limits(None, None, is_served=True)
    assert "OMP_NUM_THREADS" not in os.environ


def test_where_others_come_in_there_is_a_token_and_threads_are_shared_out(
    run: Run, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_cores", lambda: 8)
    outcome = run("studio", "--address", "0.0.0.0", "--visitors", 3, "--no-browser")
    assert outcome.code == 0
    assert "the link below has a token" in outcome.err
    assert len(asked["token"]) > 16
    assert (asked["opens_browser"], os.environ["OMP_NUM_THREADS"]) == (False, "2")
    os.environ[serving.PASSWORD] = "swordfish"
    assert run("studio", "--address", "0.0.0.0", "--visitors", 30).err == ""
    assert (asked["token"], asked["password"]) == ("", "swordfish")
    assert serving.PASSWORD not in os.environ
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert Limits.here().size == 1024


def test_limits_are_told_to_the_studios(run: Run, asked: Asked) -> None:
    options = ("--threads", 2, "--max-size", 512, "--max-steps", 200)
    assert run("studio", *options).code == 0
    assert Limits.here() == Limits(512, 200, is_served=True)
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_a_port_that_is_taken_is_a_line_or_the_next_one(
    run: Run, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = run("studio", "--port", port)
        assert outcome.code == 2
        assert f"port {port} is not free at 127.0.0.1" in outcome.complaint
        monkeypatch.setattr(serving, "PORT", port)
        monkeypatch.setattr(serving, "PORTS", 1)
        assert f"each of the ports {port} to {port} is not free" in run("studio").complaint
        monkeypatch.setattr(serving, "PORTS", 50)
        assert run("studio").code == 0
        assert asked["port"] > port


def test_without_voila_it_says_what_to_install(
    run: Run, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    outcome = run("studio")
    assert outcome.code == 2
    assert "needs Voila: pip install voila" in outcome.complaint
