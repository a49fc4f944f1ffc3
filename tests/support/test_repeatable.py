"""Torch's switches: set for as long as a run lasts, and put back; what they do to a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from outcome import Outcome
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import nst_utils as nst
from nst_utils.cli import commands
from nst_utils.networks.network import Network
from nst_utils.objective.table import Evaluation
from nst_utils.optimize.lbfgs import LBFGS
from nst_utils.optimize.recorded import fastest_convolutions
from nst_utils.support import checks, repeatable
from nst_utils.support.switches import full_on_processor, full_products, switched

BACKENDS: Any = torch.backends
UTILS: Any = torch.utils
GPU = torch.device("cuda")


def state() -> dict[str, object]:
    """What somebody may have set in torch, as it is now."""
    return {
        "algorithms": torch.get_deterministic_debug_mode(),
        "cudnn": (BACKENDS.cudnn.deterministic, BACKENDS.cudnn.benchmark),
        "memory": UTILS.deterministic.fill_uninitialized_memory,
        "products": (BACKENDS.cuda.matmul.fp32_precision, BACKENDS.mkldnn.matmul.fp32_precision),
        "older": (BACKENDS.cuda.matmul.allow_tf32, torch.get_float32_matmul_precision()),
    }


@pytest.mark.parametrize("warns_only", [False, True])
def test_what_is_set_is_put_back_however_it_ends(warns_only: bool) -> None:
    def interrupted() -> None:
        with nst.deterministic():
            assert torch.get_deterministic_debug_mode() == 2
            assert (BACKENDS.cudnn.deterministic, BACKENDS.cudnn.benchmark) == (True, False)
            with nst.deterministic():
                pass
            assert torch.get_deterministic_debug_mode() == 2
            raise KeyboardInterrupt

    torch.use_deterministic_algorithms(warns_only, warn_only=True)
    try:
        before = state()
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert state() == before
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_last_who_holds_a_switch_puts_it_back() -> None:
    """Two threads may end in another order than they began."""

    class Owner:
        value = "before"

    first, second = (switched(Owner, "value", "held") for _ in range(2))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert Owner.value == "held"
    second.__exit__(None, None, None)
    assert Owner.value == "before"


def test_cudnn_does_not_choose_by_time_where_the_same_bits_are_wanted() -> None:
    with nst.deterministic(), fastest_convolutions(GPU):
        assert not BACKENDS.cudnn.benchmark
    with switched(BACKENDS.cudnn, "deterministic", True), fastest_convolutions(GPU):
        assert not BACKENDS.cudnn.benchmark  # by torch's own switch, too
    with fastest_convolutions(GPU):
        assert BACKENDS.cudnn.benchmark


def test_cublas_is_told_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    used = [True]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used[0])
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    before = state()
    with pytest.raises(ValueError, match=r"start Python with CUBLAS_WORKSPACE_CONFIG=:4096:8"):
        nst.deterministic().__enter__()
    assert state() == before
    used[:] = [False]
    with nst.deterministic():
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    used[:] = [True]
    with nst.deterministic():  # as it was told before
        pass
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with nst.deterministic():
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_what_a_gpu_cannot_do_so_is_a_sentence() -> None:
    error = RuntimeError(
        "max_pool2d_with_indices_backward_cuda does not have a deterministic implementation, but "
        "you set 'torch.use_deterministic_algorithms(True)'."
    )
    told = checks.explain(error)
    assert told is not None
    assert "max_pool2d" in told
    assert 'pooling="avg"' in told


def test_a_run_and_one_taken_up_again_are_the_same_here_and_set_back(
    thin_net: Network, content: Tensor, style: Tensor, tmp_path: Path
) -> None:
    """On a CPU they are without it, too."""
    seen: list[bool] = []

    def stop(step: nst.Step) -> None:
        seen.append(repeatable.is_asked_for())
        if step.number == 3:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"net": thin_net, "steps": 5, "progress": False, "device": "cpu"}
    expected = nst.transfer(content, style, **options).image
    before = state()
    with nst.deterministic(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("nst_utils.optimize.checkpoints._SHARE", 1e9)
        options["checkpoint"] = tmp_path / "run.ckpt"
        nst.transfer(content, style, callback=stop, **options)
        again = nst.transfer(content, style, **options)
    assert seen == [True] * 3
    assert again.resumed
    assert torch.equal(again.image, expected)
    assert state() == before


@pytest.mark.parametrize("command", ["transfer", "reconstruct-content", "reconstruct-style"])
def test_the_command_line_sets_it_for_its_run(
    command: str,
    run: Callable[..., Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []

    def painted(*_: object, **__: object) -> None:
        asked.append(repeatable.is_asked_for())
        raise ValueError("that is all")

    monkeypatch.setattr(commands, command.replace("-", "_"), painted)
    monkeypatch.setattr(commands, "_network", lambda _: None)
    pictures = ["chelsea", "starry-night"] if command == "transfer" else ["chelsea"]
    for option in ([], ["--deterministic"]):
        run(command, *pictures, "-o", str(tmp_path / "a.png"), "--size", "32", *option)
    assert asked == [False, True]
    assert not repeatable.is_asked_for()


@pytest.mark.parametrize("by_the_older_switch", [True, False])
def test_products_of_matrices_are_full_for_as_long_as_asked(by_the_older_switch: bool) -> None:
    try:
        if by_the_older_switch:
            torch.set_float32_matmul_precision("medium")
        else:
            BACKENDS.cuda.matmul.fp32_precision = "tf32"
        before = products()
        with full_products(), full_on_processor():
            assert products() == ("ieee", "ieee")
        assert products() == before != ("ieee", "ieee")
    finally:
        torch.set_float32_matmul_precision("highest")


def products() -> tuple[str, str]:
    return BACKENDS.cuda.matmul.fp32_precision, BACKENDS.mkldnn.matmul.fp32_precision


class Watch(TorchDispatchMode):
    """Writes down in what each product of matrices is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        if name in ("mm", "bmm", "addmm", "baddbmm", "addbmm", "addmv", "mv", "dot", "vdot"):
            self.found.add((name, BACKENDS.cuda.matmul.fp32_precision))
        if name == "linalg_solve_triangular":
            self.found.add((name, BACKENDS.cuda.matmul.fp32_precision))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("curvature", [False, True])
def test_l_bfgs_computes_in_full_where_torch_may_use_tf32(curvature: bool) -> None:
    """Its estimate is made of differences of sums; the loss itself is what somebody has set."""

    def evaluate(images: Tensor) -> Evaluation:
        x = images.flatten(1)
        loss = (x.square() * torch.linspace(1, 9, x.shape[1])).sum(1)
        gradient = 2 * images * torch.linspace(1, 9, x.shape[1]).view(images.shape[1:])
        asked.append(BACKENDS.cuda.matmul.fp32_precision)
        return Evaluation(loss, gradient, loss[:, None])

    asked: list[str] = []
    lbfgs = LBFGS(evaluate, torch.rand(2, 3, 6, 7), curvature=curvature)
    torch.set_float32_matmul_precision("high")
    try:
        before = state()
        with Watch() as watch:
            for _ in range(14):
                lbfgs.step()
        assert state() == before
    finally:
        torch.set_float32_matmul_precision("highest")
    assert set(asked[1:]) == {"tf32"}
    assert {name for name, _ in watch.found} >= {"bmm", "baddbmm", "linalg_solve_triangular"}
    assert {precision for _, precision in watch.found} == {"ieee"}
