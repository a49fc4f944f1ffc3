"""The table: rows are independent, targets right, weights in the paper's units."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import nst_utils as nst
from nst_utils.losses import content_loss, style_loss
from nst_utils.networks.network import Network
from nst_utils.objective.formulas import Formulas
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Objective

STYLE = {"conv1_1": 0.5, "conv2_1": 0.5}


@pytest.fixture(scope="module")
def rows(content: Tensor, style: Tensor) -> list[Row]:
    """Four rows that have little in common: layers, depth, pictures, ratio."""
    return [
        Row(content=content, content_layers={"conv2_2": 1.0}, content_weight=1.0),
        Row(style=style, style_layers=STYLE, style_weight=3.0),
        Row(content, style, {"conv3_2": 1.0}, STYLE, 1e-3, 1.0),
        Row(content, style.flip(3), {"conv3_2": 1.0}, STYLE, 1e-1, 1.0),
    ]


@pytest.fixture(scope="module")
def images(content: Tensor) -> Tensor:
    size = (content.shape[2], content.shape[3])
    return torch.cat([nst.noise_image(*size, seed=seed) for seed in range(4)])


def test_a_batch_of_four_equals_four_batches_of_one(
    net: Network, rows: list[Row], images: Tensor
) -> None:
    together = Objective(net, rows).evaluate(images)
    for i, row in enumerate(rows):
        alone = Objective(net, [row])
        one = alone.evaluate(images[i : i + 1])
        torch.testing.assert_close(together.loss[i], one.loss[0], rtol=1e-5, atol=0)
        torch.testing.assert_close(together.gradient[i], one.gradient[0], rtol=1e-3, atol=1e-8)
        known = together.terms[i][~together.terms[i].isnan()]
        torch.testing.assert_close(known, one.terms[0], rtol=1e-5, atol=0)


def test_a_picture_does_not_feel_the_others(net: Network, rows: list[Row], images: Tensor) -> None:
    objective = Objective(net, rows)
    changed = images.clone()
    changed[0], changed[3] = 0.0, 1.0
    before, after = objective.evaluate(images), objective.evaluate(changed)
    torch.testing.assert_close(before.gradient[1:3], after.gradient[1:3], rtol=1e-3, atol=1e-8)


def test_any_subset_of_rows_can_be_evaluated(net: Network, rows: list[Row], images: Tensor) -> None:
    objective = Objective(net, rows)
    whole = objective.evaluate(images)
    for subset in ([2], [3, 0], [1, 2, 3]):
        part = objective.evaluate(images[subset], subset)
        torch.testing.assert_close(part.loss, whole.loss[subset], rtol=1e-5, atol=0)
        torch.testing.assert_close(part.gradient, whole.gradient[subset], rtol=1e-3, atol=1e-8)
        torch.testing.assert_close(
            part.terms, whole.terms[subset], rtol=1e-5, atol=0, equal_nan=True
        )


def test_terms_are_the_equations_on_the_networks_responses(
    net: Network, content: Tensor, style: Tensor
) -> None:
    row = Row(content, style, {"conv3_2": 1.0}, {"conv1_1": 0.25, "conv2_1": 0.75}, 0.01, 2.0)
    objective = Objective(net, [row])
    image = nst.noise_image(*content.shape[2:])
    layers = ["conv1_1", "conv2_1", "conv3_2"]
    F, P, A = (net(x, layers) for x in (image, content, style))
    c = content_loss(F["conv3_2"], P["conv3_2"]).double()
    e1 = style_loss(F["conv1_1"], A["conv1_1"]).double()
    e2 = style_loss(F["conv2_1"], A["conv2_1"]).double()
    losses = objective.paper_losses(objective.evaluate(image).terms)
    expected = {
        "content/conv3_2": c,
        "style/conv1_1": e1,
        "style/conv2_1": e2,
        "content_loss": c,
        "style_loss": 0.25 * e1 + 0.75 * e2,
        "total_loss": 0.01 * c + 2.0 * (0.25 * e1 + 0.75 * e2),
    }
    assert set(losses) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=1e-5, atol=0)


def test_the_loss_is_zero_at_the_target(net: Network, content: Tensor) -> None:
    row = Row(content, content, {"conv3_2": 1.0}, STYLE, 1.0, 1.0)
    objective = Objective(net, [row])
    evaluation = objective.evaluate(content)
    assert evaluation.loss.item() < 1e-9
    assert objective.evaluate(nst.noise_image(*content.shape[2:])).loss.item() > 0.1


def test_the_gradient_is_the_slope_of_the_loss(
    net: Network, content: Tensor, style: Tensor
) -> None:
    """A directional derivative by central differences, in float64."""
    row = Row(content.double(), style.double(), {"conv3_2": 1.0}, STYLE, 0.5, 1.0)
    objective = Objective(copy.deepcopy(net).double(), [row])
    generator = torch.Generator().manual_seed(0)
    # A lively picture: near a flat one, many responses lie at the kink of their ReLU.
    image = torch.rand(content.shape, generator=generator).double()
    direction = torch.randn(content.shape, generator=generator).double()
    h = 1e-7
    up, down = (objective.evaluate(image + s * h * direction).loss for s in (1, -1))
    slope = (objective.evaluate(image).gradient * direction).sum()
    torch.testing.assert_close(slope, ((up - down) / (2 * h))[0], rtol=1e-5, atol=0)


def test_columns_a_row_does_not_have_are_not_measured(
    net: Network, rows: list[Row], images: Tensor
) -> None:
    objective = Objective(net, rows)
    assert objective.columns == [
        *("content/conv2_2", "content/conv3_2"),
        *("style/conv1_1", "style/conv2_1"),
    ]
    terms = objective.evaluate(images).terms
    expected = [[0, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    assert terms.isnan().int().tolist() == expected
    assert all(
        losses.isfinite().all()
        for name, losses in objective.paper_losses(terms).items()
        if name.endswith("_loss")
    )


@given(st.floats(-12, 12), st.floats(-6, 6))
@settings(deadline=None, max_examples=15)
def test_the_scale_of_the_weights_changes_nothing_but_the_units(scale: float, ratio: float) -> None:
    """alpha and beta times 10^12 or 10^-12: the same descent, the same finite numbers."""
    first, second = _tiny_objective(ratio, 1.0), _tiny_objective(ratio, 10**scale)
    a, b = first.evaluate(_tiny_image()), second.evaluate(_tiny_image())
    torch.testing.assert_close(a.loss, b.loss, rtol=1e-5, atol=0)
    torch.testing.assert_close(a.gradient, b.gradient, rtol=1e-3, atol=1e-12)
    total = first.paper_losses(a.terms)["total_loss"].item()
    scaled = second.paper_losses(b.terms)["total_loss"].item()
    assert math.isclose(scaled, total * 10**scale, rel_tol=1e-6)


def _tiny_image() -> Tensor:
    return nst.noise_image(32, 32, seed=3)


_tiny_net: list[Network] = []


def _tiny_objective(log_ratio: float, scale: float) -> Objective:
    if not _tiny_net:
        _tiny_net.append(nst.vgg19())
    photograph, painting = nst.noise_image(32, 32, seed=1), nst.noise_image(32, 32, seed=2)
    row = Row(photograph, painting, {"conv2_2": 1.0}, STYLE, 10**log_ratio * scale, scale)
    return Objective(_tiny_net[0], [row])


def test_the_style_picture_may_have_another_size(net: Network, content: Tensor) -> None:
    style = nst.load_image("starry-night", size=80)
    objective = Objective(net, [Row(style=style, style_layers=STYLE, style_weight=1.0)])
    evaluation = objective.evaluate(nst.noise_image(*content.shape[2:]))
    expected = sum(
        weight * style_loss(net(nst.noise_image(*content.shape[2:]), [layer])[layer], A)
        for (layer, A), weight in zip(net(style, list(STYLE)).items(), STYLE.values(), strict=True)
    )
    losses = objective.paper_losses(evaluation.terms)
    torch.testing.assert_close(losses["style_loss"].float(), expected, rtol=1e-5, atol=0)


def test_each_picture_is_looked_at_once(
    net: Network, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Targets are taken once for each picture, however many rows share it."""
    calls = itertools.count()
    original = Network.forward

    def counting(self: Network, *args: object) -> dict[str, Tensor]:
        next(calls)
        return original(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Network, "forward", counting)
    layers = {"conv1_1": 0.5, "conv2_1": 0.5}
    rows = [Row(content, style, {"conv2_2": 1.0}, layers, 10.0**-i, 1.0) for i in range(4)]
    Objective(net, rows)
    assert next(calls) == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row(), "all weights are 0"),
        (Row(content_layers={"conv1_1": 1.0}, content_weight=1.0), "no content picture"),
        (Row(style_layers={"conv1_1": 1.0}, style_weight=1.0), "no style picture"),
        (Row(style_layers={"conv1_1": 1.0}, style_weight=-1.0), "style_weight must be a finite"),
        (Row(style_layers={"conv1_1": math.nan}, style_weight=1.0), "weight of conv1_1 must be"),
        (Row(content_layers={"conv1_1": 1.0}, content_weight=math.inf), "content_weight must be"),
    ],
)
def test_impossible_rows_are_sentences(net: Network, row: Row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Objective(net, [row])


def test_only_content_and_style_have_layers(content: Tensor) -> None:
    row = Row(content, content, {"conv1_1": 1.0}, {"conv2_1": 0.5}, 1.0, 1.0)
    assert row.layers("content") == {"conv1_1": 1.0}
    assert row.layers("style") == {"conv2_1": 0.5}
    with pytest.raises(KeyError):
        row.layers("total_variation")


def test_impossible_tables_are_sentences(net: Network, content: Tensor) -> None:
    with pytest.raises(ValueError, match="list of rows is empty"):
        Objective(net, [])
    row = Row(content=content, content_layers={"conv9_1": 1.0}, content_weight=1.0)
    with pytest.raises(ValueError, match="unknown layer 'conv9_1'"):
        Objective(net, [row])
    with pytest.raises(ValueError, match="unknown content reduction 'average'"):
        Formulas(content_reduction="average")
