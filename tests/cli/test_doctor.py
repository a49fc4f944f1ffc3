"""``nst doctor`` says what is there, and notices what is broken."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
import torch
from outcome import Outcome

import nst_utils as nst
from nst_utils.cli import doctor
from nst_utils.optimize.lbfgs import LBFGS

Run = Callable[..., Outcome]


def test_a_good_installation_works(run: Run) -> None:
    outcome = run("doctor", "--device", "cpu")
    assert (outcome.code, outcome.err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in outcome.out.splitlines())
    for package in ("torch", "torchvision", "pillow", "safetensors", "matplotlib"):
        assert lines[package] == version(package)
    assert lines["python"][0] == "3"
    assert lines["device"].startswith("cpu (")
    assert lines["pictures"] == f"{len(nst.samples())} bundled"
    assert "bundled Oxford VGG-19" in lines["weights"]
    assert "works" in lines["tiny"]


@pytest.mark.gpu
def test_the_gpu_is_named(run: Run) -> None:
    outcome = run("doctor", "--device", "cuda")
    assert outcome.code == 0
    assert torch.cuda.get_device_name() in outcome.out


def test_a_missing_package_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package-here"))
    monkeypatch.setattr(doctor, "vgg19", broken(ValueError("stop here")))
    out = run("doctor").out
    assert "no-such-package-here not installed" in out
    assert "torchvision" not in out


def broken(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    "error", [ValueError("the weights are damaged"), FileNotFoundError("the weights are missing")]
)
def test_broken_weights_are_reported_and_not_raised(
    error: Exception, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "vgg19", broken(error))
    outcome = run("doctor")
    assert (outcome.code, outcome.err) == (1, "")
    assert f"FAILED: {error}" in outcome.out
    assert "works" not in outcome.out


def test_a_device_that_computes_wrongly_is_noticed(
    run: Run, net: nst.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "vgg19", lambda: net)
    monkeypatch.setattr(LBFGS, "step", lambda self, number: None)
    outcome = run("doctor")
    assert outcome.code == 1
    assert "FAILED: the loss did not fall" in outcome.out
