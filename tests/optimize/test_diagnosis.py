"""NaN, infinity, weights that are too large: a step is undone and retried, or the run says why."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from outcome import Outcome
from thin import thin_vgg19
from torch import Tensor

import nst_utils as nst
from nst_utils.networks import builders
from nst_utils.networks.network import Network
from nst_utils.objective.table import Evaluation
from nst_utils.optimize import diagnosis
from nst_utils.optimize.adam import Adam
from nst_utils.optimize.lbfgs import LBFGS
from nst_utils.optimize.optimizer import GIVE_UP_AFTER
from nst_utils.optimize.settings import OPTIMIZERS

Run = Callable[..., Outcome]
LAYERS: dict[str, Any] = {
    "content_layers": ["conv3_2"],
    "style_layers": ["conv1_1", "conv2_1"],
    "steps": 12,
    "progress": False,
}
PRECISIONS = ("float32", "bfloat16")
FAULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "nan": lambda response: response * torch.nan,
    "inf": lambda response: response + torch.inf,
    "huge": lambda response: response * 1e30,
    "one value": lambda response: response.index_fill(3, torch.tensor([3]), torch.nan),
}


@pytest.fixture(scope="module", params=PRECISIONS)
def sound(request: pytest.FixtureRequest) -> Network:
    """A network that works, in each precision."""
    return thin_vgg19(request.param)


class _Backwards(torch.autograd.Function):
    """Nothing forwards; backwards, what it is given."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fault: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.fault = fault
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return ctx.fault(gradients[0]), None


def broken(
    net: Network,
    fault: Callable[[Tensor], Tensor],
    when: Callable[[int], bool],
    layer: str = "conv2_1",
    backwards: bool = False,
) -> Network:
    """A copy of which one layer gives something else at some of its evaluations (1, 2, ...)."""
    copied = copy.deepcopy(net)
    evaluations = 0

    def hook(_module: object, _inputs: object, response: Tensor) -> Tensor | None:
        nonlocal evaluations
        evaluations += response.requires_grad  # targets are taken without
        if not response.requires_grad or not when(evaluations):
            return None
        return _Backwards.apply(response, fault) if backwards else fault(response)

    copied._steps[layer].register_forward_hook(hook)
    return copied


def keep(seen: list[tuple[Tensor, Tensor]]) -> Callable[[nst.Step], None]:
    """A callback that keeps loss and picture of every step."""
    return lambda step: seen.append((step.losses["total_loss"], step.images))


def best_of(seen: list[tuple[Tensor, Tensor]]) -> Tensor:
    return min(seen, key=lambda pair: float(pair[0]))[1]


def transfer(net: Network, content: Tensor, style: Tensor, **options: Any) -> nst.Result:
    return nst.transfer(content, style, net=net, **LAYERS | options)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_moment_is_undone_and_the_run_goes_on(
    optimizer: str, fault: str, sound: Network, content: Tensor, style: Tensor
) -> None:
    net = broken(sound, FAULTS[fault], lambda evaluation: evaluation in (1, 5, 6, 9))
    seen: list[Tensor] = []
    result = transfer(
        net,
        content,
        style,
        optimizer=optimizer,
        steps=20,
        callback=lambda step: seen.append(step.images),
    )
    assert (result.steps, result.trouble) == (20, "")
    for image in (result.image, *seen):
        assert image.isfinite().all()
        assert ((image >= 0) & (image <= 1)).all()
    total = result.history["total_loss"]
    assert total.isfinite().all()
    assert total[-1] < 0.5 * total[0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("fault", "backwards", "why"),
    [
        ("nan", False, "the responses of conv2_1 are not finite; values before it are of ordinary"),
        ("huge", False, r"the loss .*conv\d_\d is not finite, .* are too large; use other weights"),
        ("nan", True, "the gradient at conv1_2 is not finite"),
    ],
)
def test_a_fault_that_stays_ends_the_run_with_its_layer_and_the_last_good_picture(
    optimizer: str,
    fault: str,
    backwards: bool,
    why: str,
    sound: Network,
    content: Tensor,
    style: Tensor,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    net = broken(sound, FAULTS[fault], lambda evaluation: evaluation > 6, backwards=backwards)
    result = transfer(net, content, style, optimizer=optimizer, callback=keep(seen), steps=40)
    # One evaluation at the start, five good steps, and those that end where they begin.
    assert result.steps == 5 + GIVE_UP_AFTER
    assert not result.interrupted
    assert torch.equal(result.image, best_of(seen)), "the last good picture is not kept"
    pattern = f"picture 1 cannot go on after step {result.steps}: {why}"
    assert re.match(pattern, result.trouble), result.trouble
    assert capsys.readouterr().err == f"nst: {result.trouble}\n"
    assert result.history["total_loss"].isfinite().all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("layer", "factor"), [("conv1_1", 1e36), ("conv3_1", 1e30)])
def test_weights_that_are_too_large_are_a_sentence_at_the_start(
    optimizer: str, layer: str, factor: float, sound: Network, content: Tensor, style: Tensor
) -> None:
    net = copy.deepcopy(sound)
    net.get_buffer(f"_steps.{layer}.kernel").mul_(factor)
    with pytest.raises(ValueError, match=r"picture 1 cannot go on: .* not finite.*; use other"):
        transfer(net, content, style, optimizer=optimizer)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_broken_picture_does_not_end_the_others(
    optimizer: str, net: Network, content: Tensor, style: Tensor
) -> None:
    evaluate, calls = nst.Objective.evaluate, []

    def poisoned(self: nst.Objective, images: Tensor, rows: list[int] | None = None) -> Any:
        calls.append(1)
        loss, gradient, terms = evaluate(self, images, rows)
        if len(calls) > 5 and rows is None:
            loss[1] = torch.nan
        return Evaluation(loss, gradient, terms)

    options: dict[str, Any] = {
        "content_weight": [1e-2, 1e-1, 1.0],
        "optimizer": optimizer,
        "steps": 20,
    }
    whole = transfer(net, content, style, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nst.Objective, "evaluate", poisoned)
        result = transfer(net, content, style, **options)
    assert result.steps == 20
    assert result.trouble.startswith("picture 2 cannot go on after step")
    assert result.trouble.count("cannot go on") == 1
    assert result.troubles == ["", result.trouble, ""]
    for picture in (0, 2):
        assert torch.equal(result.image[picture], whole.image[picture])
    assert result.image.isfinite().all()


@pytest.mark.parametrize("init", ["noise", "content"])
@pytest.mark.parametrize("learning_rate", [10.0, 1e6, 1e30])
def test_a_learning_rate_that_is_too_large_does_not_ruin_the_picture(
    init: str, learning_rate: float, real_net: Network, content: Tensor, style: Tensor
) -> None:
    result = transfer(
        real_net, content, style, optimizer="adam", init=init, learning_rate=learning_rate
    )
    assert result.image.isfinite().all()
    total = result.history["total_loss"]
    if total[-1] > max(result.start["total_loss"], total.min()):
        assert "ended higher than it began" in result.trouble
    else:
        assert result.trouble == ""


def test_of_a_picture_that_ended_worse_the_best_is_kept(
    real_net: Network, content: Tensor, style: Tensor
) -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    result = transfer(
        real_net,
        content,
        style,
        optimizer="adam",
        learning_rate={1: 0.02, 8: 1e6},
        callback=keep(seen),
    )
    assert "ended higher than it began, its best one on the way is kept" in result.trouble
    assert result.troubles == [result.trouble]
    assert torch.equal(result.image, best_of(seen))


@pytest.mark.parametrize("when", [3, 9])
def test_an_interrupted_adam_returns_the_best_picture_so_far(
    when: int, net: Network, content: Tensor, style: Tensor
) -> None:
    """The rate grows so much that the loss rises again before the interrupt."""
    seen: list[tuple[Tensor, Tensor]] = []

    def stop(step: nst.Step) -> None:
        keep(seen)(step)
        if step.number == when:
            raise KeyboardInterrupt

    result = transfer(
        net,
        content,
        style,
        optimizer="adam",
        learning_rate={1: 0.02, 6: 0.5},
        callback=stop,
        steps=50,
    )
    assert result.interrupted
    assert result.steps == when
    assert torch.equal(result.image, best_of(seen))
    assert (best_of(seen) is seen[-1][1]) == (when == 3)


def test_a_device_that_fails_midway_leaves_the_last_picture(
    net: Network, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate, calls = nst.Objective.evaluate, []

    def failing(self: nst.Objective, *given: Any) -> Any:
        calls.append(1)
        if len(calls) > 6:
            raise torch.AcceleratorError("CUDA error: unspecified launch failure\nmore")
        return evaluate(self, *given)

    seen: list[Tensor] = []
    monkeypatch.setattr(nst.Objective, "evaluate", failing)
    result = transfer(net, content, style, callback=lambda step: seen.append(step.images))
    assert "stopped after step 5: the device could not do this (CUDA error" in result.trouble
    assert torch.equal(result.image, seen[-1])
    with pytest.raises(torch.AcceleratorError):
        transfer(net, content, style)


def test_a_bug_is_not_taken_for_trouble(
    net: Network, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def buggy(self: object, number: int) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(LBFGS, "step", buggy)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        transfer(net, content, style)


def test_the_command_saves_the_last_good_picture_and_says_so(
    net: Network, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = broken(net, FAULTS["nan"], lambda evaluation: evaluation > 5)
    monkeypatch.setattr(builders, "NETWORKS", {"vgg19": lambda **_: bad})
    output, report = tmp_path / "a.png", tmp_path / "a.json"
    options = ("--size", 48, "--steps", 30, "--quiet", "--device", "cpu", "--report", report)
    outcome = run("transfer", "chelsea", "china", "-o", output, *options)
    assert outcome.code == 1
    first, second = outcome.err.splitlines()
    assert first.startswith("nst: picture 1 cannot go on after step")
    assert "the responses of conv2_1 are not finite" in first
    assert second == f"nst: the last good picture is in {output}"
    assert nst.load_image(output).isfinite().all()
    assert json.loads(report.read_text())["trouble"] == first.removeprefix("nst: ")


def test_adams_unit_does_not_underflow() -> None:
    """Gradients of 1e-25, whose squares float32 cannot hold, move the picture as any others do."""

    def evaluate(scale: float) -> Any:
        def of(images: Tensor) -> Any:
            loss = scale * (images - 0.3).abs().flatten(1).sum(1)
            return loss, scale * (images - 0.3).sign(), loss[:, None]

        return lambda images: Evaluation(*of(images))

    moved = []
    for scale in (1.0, 1e-25):
        adam = Adam(evaluate(scale), torch.full((1, 3, 4, 4), 0.9), learning_rate=lambda _: 0.1)
        adam.step()
        moved.append(adam.images)
    torch.testing.assert_close(moved[0], moved[1])
    assert (moved[0] < 0.85).all()


def test_memory_that_runs_out_at_new_weights_leaves_the_last_picture(
    net: Network, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def turn(step: nst.Step) -> nst.Weighting | None:
        seen.append(step.images)
        if step.number < 3:
            return None

        def none_left(*_: object) -> None:
            raise MemoryError("there is not enough memory")

        monkeypatch.setattr(nst.Objective, "evaluate", none_left)
        return nst.Weighting(0.5)

    result = transfer(net, content, style, callback=turn)
    assert "stopped after step 3: there is not enough memory" in result.trouble
    assert result.troubles == [result.trouble]
    assert torch.equal(result.image, seen[-1])


def test_a_fault_that_cannot_be_looked_at_is_still_a_sentence(
    net: Network, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> str:
        raise MemoryError

    monkeypatch.setattr(diagnosis, "describe", no_memory)
    bad = broken(net, FAULTS["nan"], lambda evaluation: evaluation > 6)
    result = transfer(bad, content, style, steps=20)
    assert "it could not be looked at where that begins" in result.trouble


def test_a_compiled_network_is_not_said_to_respond_well(
    net: Network, content: Tensor, style: Tensor
) -> None:
    bad = copy.deepcopy(net)
    compiled: Any = torch.compile(bad, backend="eager")

    def spoil(step: nst.Step) -> None:  # in place: what is compiled stays valid
        if step.number == 3:
            bad.get_buffer("_steps.conv2_1.bias").fill_(torch.nan)

    # No deeper: compiling what is between takes half a minute.
    options: dict[str, Any] = {"content_layers": ["conv2_1"], "callback": spoil}
    trouble = transfer(compiled, content, style, **options).trouble
    assert "not finite" in trouble
    assert "though the responses" not in trouble


def test_adam_from_the_photograph_may_climb_first(
    real_net: Network, content: Tensor, style: Tensor
) -> None:
    """It starts at the least of the content loss; no step is undone, so the last picture counts."""
    seen: list[Tensor] = []
    result = transfer(
        real_net,
        content,
        style,
        optimizer="adam",
        init="content",
        content_weight=100.0,
        callback=lambda step: seen.append(step.images),
    )
    assert result.history["total_loss"][-1] > result.start["total_loss"]
    assert result.trouble == ""
    assert torch.equal(result.image, seen[-1])
