"""The loop: history in the paper's units, callbacks, early stop, interrupts, determinism."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor

import nst_utils as nst
from nst_utils.networks.network import Network
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Evaluation, Objective
from nst_utils.optimize import recorded
from nst_utils.optimize.adam import Adam
from nst_utils.optimize.coarse_to_fine import Level
from nst_utils.optimize.lbfgs import LBFGS
from nst_utils.optimize.loop import minimize
from nst_utils.optimize.results import Result, Step
from nst_utils.optimize.settings import Settings


@pytest.fixture(scope="module")
def objective(net: Network, content: Tensor, style: Tensor) -> Objective:
    layers = {"conv1_1": 0.5, "conv2_1": 0.5}
    rows = [Row(content, style, {"conv3_2": 1.0}, layers, ratio, 1.0) for ratio in (1e-3, 1e-1)]
    return Objective(net, rows)


@pytest.fixture(scope="module")
def start(content: Tensor) -> Tensor:
    return nst.noise_image(content.shape[2], content.shape[3]).repeat(2, 1, 1, 1)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_every_term_is_told_at_every_step(
    objective: Objective, start: Tensor, optimizer: str
) -> None:
    result = minimize(objective, start, steps=12, optimizer=optimizer, progress=False)
    assert result.steps == 12
    assert (
        set(result.history)
        == set(result.start)
        == {
            *("content_loss", "style_loss", "total_loss"),
            *("content/conv3_2", "style/conv1_1", "style/conv2_1"),
        }
    )
    for name, values in result.history.items():
        assert values.shape == (12, 2)
        assert values.dtype == torch.float64
        assert result.start[name].shape == (2,)
    assert (result.history["total_loss"][-1] < 0.5 * result.start["total_loss"]).all()
    assert result.image.shape == start.shape
    assert result.image.min() >= 0
    assert result.image.max() <= 1
    assert result.evaluations >= 13
    assert result.seconds > 0
    assert result.device == "cpu"
    assert not result.interrupted


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_last_losses_are_those_of_the_picture(
    objective: Objective, start: Tensor, optimizer: str
) -> None:
    result = minimize(objective, start, steps=5, optimizer=optimizer, progress=False)
    again = objective.paper_losses(objective.evaluate(result.image).terms)
    for name, values in again.items():
        torch.testing.assert_close(result.history[name][-1], values, rtol=1e-5, atol=0)


def test_the_same_start_gives_the_same_picture(objective: Objective, start: Tensor) -> None:
    first, second = (minimize(objective, start, steps=6, progress=False) for _ in range(2))
    assert torch.equal(first.image, second.image)


def test_it_does_not_change_the_start(objective: Objective, start: Tensor) -> None:
    for optimizer in ("lbfgs", "adam"):
        before = start.clone()
        minimize(objective, start, steps=2, optimizer=optimizer, progress=False)
        assert torch.equal(start, before)


def test_the_callback_is_told_each_step(objective: Objective, start: Tensor) -> None:
    told: list[Step] = []
    result = minimize(objective, start, steps=4, callback=told.append, progress=False)
    assert [step.number for step in told] == [1, 2, 3, 4]
    for step in told:
        expected = result.history["total_loss"][step.number - 1]
        assert torch.equal(step.losses["total_loss"], expected)


def test_an_interrupt_returns_the_picture_so_far(objective: Objective, start: Tensor) -> None:
    def stop(step: Step) -> None:
        if step.number == 3:
            raise KeyboardInterrupt

    result = minimize(objective, start, steps=50, callback=stop, progress=False)
    assert result.interrupted
    assert result.steps == 3
    whole = minimize(objective, start, steps=3, progress=False)
    assert torch.equal(result.image, whole.image)


def test_the_result_tells_where_the_run_ended(
    objective: Objective, start: Tensor, net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where memory runs out in the middle, the work moves to another device."""
    evaluate, calls, elsewhere = Objective.evaluate, [], copy.copy(net)
    elsewhere._about = "a network elsewhere"

    def moving(self: Objective, images: Tensor, rows: Any = None) -> Evaluation:
        calls.append(1)
        if len(calls) == 3:
            self.net = elsewhere
        return evaluate(self, images, rows)

    monkeypatch.setattr(Objective, "evaluate", moving)
    result = minimize(objective, start, steps=5, progress=False)
    assert result.settings["network"] == elsewhere.description != net.description


def test_an_interrupt_within_the_line_search_keeps_a_whole_step(
    objective: Objective, start: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = objective.evaluate
    calls = []

    def interrupted(images: Tensor) -> object:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return original(images)

    monkeypatch.setattr(objective, "evaluate", interrupted)
    result = minimize(objective, start, steps=50, progress=False)
    monkeypatch.undo()
    assert result.interrupted
    losses = objective.paper_losses(objective.evaluate(result.image).terms)
    torch.testing.assert_close(
        losses["total_loss"], result.history["total_loss"][-1], rtol=1e-5, atol=0
    )


def test_it_stops_early_only_when_told_to(objective: Objective, start: Tensor) -> None:
    assert minimize(objective, start, steps=30, progress=False).steps == 30
    early = minimize(objective, start, steps=30, tolerance=0.9, progress=False)
    assert early.steps < 30
    with pytest.raises(ValueError, match="tolerance must be a finite number"):
        minimize(objective, start, steps=30, tolerance=-1, progress=False)


def test_peak_memory_is_plausible(objective: Objective, start: Tensor) -> None:
    pytest.importorskip("resource", reason="Windows does not tell the peak memory")
    peak = minimize(objective, start, steps=1, progress=False).peak_memory_bytes
    assert peak is not None
    assert 80e6 < peak < 100e9  # the network alone takes 80 MB


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"steps": 1.5}, "steps must be a whole number"),
        ({"optimizer": "sgd"}, "unknown optimizer 'sgd'; Known: lbfgs, adam"),
        ({"optimizer": "adam", "learning_rate": -1}, "learning_rate must be a finite number"),
    ],
)
def test_impossible_settings_are_sentences(
    objective: Objective, start: Tensor, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        minimize(objective, start, progress=False, **options)  # type: ignore[arg-type]


def test_the_bar_shows_the_losses(
    objective: Objective, start: Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    minimize(objective, start, steps=2)
    shown = capsys.readouterr().err
    for word in ("content=", "style=", "total=", "2/2"):
        assert word in shown


@pytest.mark.gpu
def test_the_gpu_agrees_with_the_cpu(content: Tensor, style: Tensor) -> None:
    results: list[Result] = [
        nst.transfer(content, style, steps=5, device=device, progress=False)
        for device in ("cpu", "cuda")
    ]
    cpu, gpu = (result.history["total_loss"] for result in results)
    torch.testing.assert_close(cpu, gpu, rtol=0.02, atol=0)
    assert results[1].device.startswith("cuda")
    assert results[1].peak_memory_bytes


@pytest.mark.gpu
@pytest.mark.parametrize("reweighed", [False, True])
def test_a_recorded_step_on_the_gpu_is_the_step(
    reweighed: bool, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some steps, of which all but the first are replayed, against one operation at a time."""

    def turn(step: nst.Step) -> nst.Weighting | None:
        return nst.Weighting(content_weight=1.0) if reweighed and step.number == 20 else None

    def run() -> tuple[Result, list[bool]]:
        made: list[LBFGS] = []
        original = LBFGS.__init__

        def keep(self: LBFGS, *given: Any, **options: Any) -> None:
            made.append(self)
            original(self, *given, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LBFGS, "__init__", keep)
            result = nst.transfer(
                content, style, steps=34, device="cuda", progress=False, callback=turn
            )
        return result, [each._recorded.replayed for each in made]

    replayed, was = run()
    monkeypatch.setattr(recorded, "BEFORE", 10**9)
    alone, was_not = run()
    assert any(was)
    assert not any(was_not)
    losses = (each.history["total_loss"] for each in (replayed, alone))
    torch.testing.assert_close(*losses, rtol=0.02, atol=0)


@pytest.mark.parametrize("kind", [LBFGS, Adam])
def test_what_a_run_took_is_let_go_as_soon_as_it_is_done(
    kind: type[LBFGS] | type[Adam],
    objective: Objective,
    start: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its memory is that of forty pictures; no garbage collection is waited for."""
    made: list[weakref.ref[Any]] = []
    original = kind.__init__

    def keep(self: Any, *given: Any, **options: Any) -> None:
        made.append(weakref.ref(self))
        original(self, *given, **options)

    monkeypatch.setattr(kind, "__init__", keep)
    gc.disable()
    try:
        optimizer = kind.__name__.lower()
        minimize(objective, start, steps=2, optimizer=optimizer, progress=False)
        assert [each() for each in made] == [None]
    finally:
        gc.enable()


def test_adam_asks_for_the_rate_of_each_step_of_the_run(
    objective: Objective, start: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over all levels, each with an Adam of its own."""
    asked: list[int] = []
    original = Settings.rate

    def rate(self: Settings, step: int) -> float:
        asked.append(step)
        return original(self, step)

    monkeypatch.setattr(Settings, "rate", rate)
    coarse = Level((start.shape[2], start.shape[3]), lambda: objective, 3)
    minimize(objective, start, steps=5, optimizer="adam", coarse=[coarse], progress=False)
    assert [step for step in asked if step > 1] == [2, 3, 4, 5]  # 1 also when an Adam is made
