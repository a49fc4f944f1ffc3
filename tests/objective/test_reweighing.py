"""Other weights while a run goes on: the table with them, and what comes of the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

import nst_utils as nst
from nst_utils.objective.rows import Row, Weighting

STYLE = {"conv1_1": 0.5, "conv2_1": 0.5}
ALPHA, BETA, LAYERS = 3.0, 2.0, {"conv1_1": 0.1, "conv2_1": 0.9}
NEW = Weighting(ALPHA, BETA, LAYERS)

MakeTable = Callable[..., nst.Objective]


@pytest.fixture(scope="module")
def table(net: nst.Network, content: Tensor, style: Tensor) -> MakeTable:
    def make(
        alpha: float = 0.05, beta: float = 1.0, layers: Mapping[str, float] = STYLE
    ) -> nst.Objective:
        return nst.Objective(net, [Row(content, style, {"conv2_2": 1.0}, layers, alpha, beta)])

    return make


@pytest.fixture(scope="module")
def start(content: Tensor) -> Tensor:
    return nst.noise_image(content.shape[2], content.shape[3])


def at(number: int, *new: Weighting) -> Callable[[nst.Step], Weighting | None]:
    """A callback that gives new weights after that step and the next ones."""
    return lambda step: dict(enumerate(new, start=number)).get(step.number)


def weighted(losses: Mapping[str, Tensor]) -> Tensor:
    """Eq. 7 with the new weights, by hand."""
    style = 0.1 * losses["style/conv1_1"] + 0.9 * losses["style/conv2_1"]
    return ALPHA * losses["content_loss"] + BETA * style


def minimize(objective: nst.Objective, start: Tensor, **options: Any) -> nst.Result:
    return nst.minimize(objective, start, progress=False, **options)


def test_a_reweighed_table_is_a_new_table_with_these_weights(
    table: MakeTable, content: Tensor
) -> None:
    old, fresh = table(), table(ALPHA, BETA, LAYERS)
    before = old.evaluate(content.flip(2))
    changed = old.reweighed(NEW)
    one, other = (each.evaluate(content.flip(2)) for each in (changed, fresh))
    for mine, theirs in zip(one, other, strict=True):
        assert torch.equal(mine, theirs)
        assert mine.isfinite().all()
    assert not torch.equal(one.gradient, before.gradient)
    for name, value in changed.paper_losses(one.terms).items():
        assert torch.equal(value, fresh.paper_losses(other.terms)[name])
    total = changed.paper_losses(one.terms)["total_loss"]
    torch.testing.assert_close(total, weighted(changed.paper_losses(one.terms)))


def test_every_row_of_a_table_gets_the_weights_and_keeps_the_others(
    net: nst.Network, content: Tensor, style: Tensor, start: Tensor
) -> None:
    def rows(beta: float) -> list[Row]:
        layers = [STYLE, {"conv1_1": 1.0}]
        return [Row(content, style, {"conv2_2": 1.0}, each, 0.05, beta) for each in layers]

    changed = nst.Objective(net, rows(1.0)).reweighed(Weighting(style_weight=7.0))
    fresh = nst.Objective(net, rows(7.0))
    images = start.repeat(2, 1, 1, 1)
    assert torch.equal(changed.evaluate(images).gradient, fresh.evaluate(images).gradient)


def test_a_layer_of_weight_0_is_measured_does_not_count_and_can_get_weight_later(
    table: MakeTable, start: Tensor
) -> None:
    objective = table(layers={"conv1_1": 0.5, "conv2_1": 0.0})
    without = table(layers={"conv1_1": 0.5})
    one, other = objective.evaluate(start), without.evaluate(start)
    losses = objective.paper_losses(one.terms)
    assert losses["style/conv2_1"] > 0
    torch.testing.assert_close(
        losses["total_loss"], without.paper_losses(other.terms)["total_loss"]
    )
    torch.testing.assert_close(one.gradient, other.gradient, rtol=1e-4, atol=1e-8)
    objective = objective.reweighed(Weighting(style_layers={"conv2_1": 0.5}))
    assert torch.equal(objective.evaluate(start).gradient, table().evaluate(start).gradient)


def test_layers_that_a_row_lacks_are_ignored(table: MakeTable, start: Tensor) -> None:
    objective = table()
    before = objective.evaluate(start)
    objective = objective.reweighed(Weighting(style_layers={"conv5_1": 9.0, "conv2_2": 9.0}))
    assert objective.columns == table().columns
    assert torch.equal(objective.evaluate(start).gradient, before.gradient)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (Weighting(0.0, 0.0), "all weights are 0: there is nothing to optimize"),
        (Weighting(0.0, style_layers=dict.fromkeys(STYLE, 0.0)), "all weights are 0"),
        (Weighting(-1.0), "content_weight must be a finite number of at least 0"),
        (Weighting(style_weight=math.nan), "style_weight must be a finite number"),
        (Weighting(style_layers={"conv1_1": math.inf}), "the weight of conv1_1 must be a finite"),
        (Weighting(style_layers={"conv1_1": "much"}), "the weight of conv1_1 must be a number"),  # type: ignore[dict-item]
    ],
)
def test_impossible_weights_are_sentences_and_change_nothing(
    new: Weighting, message: str, table: MakeTable, start: Tensor
) -> None:
    objective = table()
    before = objective.evaluate(start)
    with pytest.raises(ValueError, match=message):
        objective.reweighed(new)
    assert torch.equal(objective.evaluate(start).gradient, before.gradient)
    with pytest.raises(ValueError, match=message):
        minimize(objective, start, steps=3, callback=at(1, new))


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_new_weights_hold_from_the_next_step_on(
    optimizer: str, table: MakeTable, start: Tensor
) -> None:
    pictures: list[Tensor] = []

    def callback(step: nst.Step) -> Weighting | None:
        pictures.append(step.images)
        return NEW if step.number == 3 else None

    plain = minimize(table(), start, steps=8, optimizer=optimizer)
    result = minimize(table(), start, steps=8, optimizer=optimizer, callback=callback)
    total = result.history["total_loss"]
    assert torch.equal(total[:3], plain.history["total_loss"][:3])
    assert not torch.equal(result.image, plain.image)
    torch.testing.assert_close(total[3:], weighted(result.history)[3:])
    fresh = table(ALPHA, BETA, LAYERS)
    then, now = (
        fresh.paper_losses(fresh.evaluate(image).terms)["total_loss"]
        for image in (pictures[2], pictures[-1])
    )
    assert total[3] < then, "the first step under the new weights made it worse"
    assert now < 0.8 * then
    if optimizer == "lbfgs":
        assert (total[3:].diff(dim=0) <= 0).all()


def test_the_same_ratio_in_larger_numbers_changes_nothing(table: MakeTable, start: Tensor) -> None:
    thousandfold = Weighting(50.0, 1000.0)
    plain = minimize(table(), start, steps=6)
    result = minimize(table(), start, steps=6, callback=at(3, thousandfold))
    assert torch.equal(result.image, plain.image)
    expected = plain.history["total_loss"][3:] * 1000
    torch.testing.assert_close(result.history["total_loss"][3:], expected)


def test_what_was_changed_is_in_the_settings(table: MakeTable, start: Tensor) -> None:
    second = Weighting(style_layers={"conv1_1": 0.3})
    told = minimize(table(), start, steps=4, callback=at(2, NEW, second)).settings["reweighed"]
    assert [number for number, _ in told] == [2, 3]
    assert [Weighting(**values) for _, values in told] == [NEW, second]
    assert "reweighed" not in minimize(table(), start, steps=1).settings


def test_the_jump_of_the_loss_does_not_count_as_settled(table: MakeTable, start: Tensor) -> None:
    higher = Weighting(50.0, 1000.0)
    result = minimize(table(), start, steps=16, tolerance=1e-9, callback=at(12, higher))
    assert result.steps == 16
    assert minimize(table(), start, steps=20, tolerance=0.99).steps < 20
    late = minimize(table(), start, steps=20, tolerance=0.99, callback=at(8, higher))
    assert late.steps == 8 + 11, "ten steps after the change can be compared"


@pytest.mark.parametrize("changed", [1, 3])
def test_new_weights_hold_on_finer_levels_too(changed: int, net: nst.Network) -> None:
    """Six steps: one on the coarse level, five on the fine one."""
    photograph, painting = (nst.resize(nst.load_image(n), (128, 128)) for n in ("chelsea", "china"))
    told: list[nst.Step] = []

    def callback(step: nst.Step) -> Weighting | None:
        told.append(step)
        return NEW if step.number == changed else None

    layers: dict[str, Any] = {"content_layers": ["conv2_2"], "style_layers": list(STYLE)}
    options: dict[str, Any] = {"net": net, "steps": 6, "callback": callback, "progress": False}
    result = nst.transfer(photograph, painting, **layers, **options)
    assert result.levels == [(64, 64, 1), (128, 128, 5)]
    torch.testing.assert_close(
        result.history["total_loss"][changed:], weighted(result.history)[changed:]
    )
    assert result.settings["reweighed"][0][0] == changed
    done = [step.done for step in told]
    assert done == sorted(set(done))
    assert done[0] == pytest.approx(1 / 21)  # a coarse step is a quarter of a fine one
    assert done[-1] == 1.0


def test_weights_of_layers_that_a_coarse_level_lacks_are_not_refused_there(
    net: nst.Network,
) -> None:
    """conv4_1 has 512 filters, and 64 positions where the picture has 64x64 px."""
    picture = nst.resize(nst.load_image("chelsea"), (128, 128))
    only_deep = Weighting(0.0, 1.0, {"conv1_1": 0.0, "conv4_1": 1.0})
    layers: dict[str, Any] = {"content_layers": ["conv2_2"], "style_layers": ["conv1_1", "conv4_1"]}
    options: dict[str, Any] = {
        "net": net,
        "steps": 6,
        "callback": at(1, only_deep),
        "progress": False,
    }
    result = nst.transfer(picture, picture.flip(3), **layers, **options)
    assert result.steps == 6
    assert torch.equal(result.history["total_loss"][1:], result.history["style/conv4_1"][1:])


def test_a_run_without_coarse_levels_says_how_much_is_done(table: MakeTable, start: Tensor) -> None:
    told: list[float] = []
    minimize(table(), start, steps=4, callback=lambda step: told.append(step.done))
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_a_run_leaves_the_table_as_it_was(table: MakeTable, start: Tensor) -> None:
    """The same call gives the same picture again."""
    objective = table()
    first, second = (minimize(objective, start, steps=4, callback=at(2, NEW)) for _ in range(2))
    assert torch.equal(first.image, second.image)
