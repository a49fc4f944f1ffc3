"""How far a picture's Gram matrices are from the painting's, by hand and on the network."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import nst_utils as nst
from nst_utils.plots.style_match import MATCHED, NEARLY, GramPair, compare_styles, plot_grams

LAYERS = ["conv1_1", "conv2_1", "conv3_1"]


def pair(now: float, target: float = 1.0) -> GramPair:
    return GramPair(torch.tensor([[now]]), torch.tensor([[target]]))


def test_the_difference_is_relative_to_the_painting_by_hand() -> None:
    """|G - A| = |(0, 3; 3, 1)| = sqrt(19), |A| = |(1, 2; 2, 4)| = 5."""
    now, target = torch.tensor([[1.0, 5.0], [5.0, 5.0]]), torch.tensor([[1.0, 2.0], [2.0, 4.0]])
    assert GramPair(now, target).difference == pytest.approx(math.sqrt(19) / 5)
    assert GramPair(target, target).difference == 0
    assert GramPair(torch.zeros(2, 2), target).difference == pytest.approx(1)
    assert GramPair(7 * now, 7 * target).difference == pytest.approx(math.sqrt(19) / 5)


def test_a_painting_on_which_a_layer_is_silent_can_be_matched_too() -> None:
    assert pair(0.0, 0.0).difference == 0
    assert pair(0.0, 0.0).verdict == "matched"
    assert pair(1.0, 0.0).verdict == "not yet"


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        (0.0, "matched"),
        (MATCHED - 0.01, "matched"),
        (MATCHED + 0.01, "nearly"),
        (NEARLY - 0.01, "nearly"),
        (NEARLY + 0.01, "not yet"),
        (9.0, "not yet"),
    ],
)
def test_the_verdict_follows_the_difference(difference: float, verdict: str) -> None:
    assert pair(1 + difference).verdict == verdict


def test_a_picture_matches_itself_and_not_noise(net: nst.Network, style: Tensor) -> None:
    same = compare_styles(net, style, style, LAYERS)
    assert list(same) == LAYERS
    assert [each.difference for each in same.values()] == [0, 0, 0]
    noise = compare_styles(net, nst.noise_image(40, 64), style, LAYERS)
    assert all(each.verdict == "not yet" for each in noise.values())


def test_the_matrices_are_those_of_the_style_loss(
    net: nst.Network, content: Tensor, style: Tensor
) -> None:
    """Of pictures that differ in size; each is divided by its own number of positions."""
    pairs = compare_styles(net, content, style, LAYERS)
    for layer, (now, target) in pairs.items():
        for picture, matrix in ((content, now), (style, target)):
            F = net(picture, [layer])[layer]
            expected = nst.gram_matrix(F)[0] / (F.shape[2] * F.shape[3])
            torch.testing.assert_close(matrix, expected)
            assert matrix.shape == (net.filters(layer),) * 2
            assert not matrix.requires_grad
    by_hand = nst.style_loss(
        net(content, ["conv1_1"])["conv1_1"], net(style, ["conv1_1"])["conv1_1"]
    )
    now, target = pairs["conv1_1"]
    torch.testing.assert_close((now - target).square().sum() / (4 * 64**2), by_hand[0])


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 32, 32), torch.full((1, 3, 32, 32), 128.0)])
def test_what_is_no_single_picture_is_refused(
    wrong: Tensor, net: nst.Network, style: Tensor
) -> None:
    with pytest.raises(ValueError, match=r"\Aimage holds "):
        compare_styles(net, wrong, style, LAYERS)
    with pytest.raises(ValueError, match=r"\Astyle holds "):
        compare_styles(net, style, wrong, LAYERS)


@pytest.mark.parametrize(
    ("filters", "label", "shown"), [(3, "all", 3), (64, "all", 64), (80, "64 of 80", 64)]
)
def test_the_matrices_are_drawn_and_described(filters: int, label: str, shown: int) -> None:
    target = torch.rand(filters, filters, generator=torch.Generator().manual_seed(0))
    figure = plot_grams(GramPair(target * 0.5, target), "conv2_1")
    assert "conv2_1" in figure.alt
    assert "50%" in figure.alt
    assert len(figure.axes) == 3
    assert label in figure.axes[1].get_xlabel()
    sizes = [np.shape(np.asarray(axis.get_images()[0].get_array())) for axis in figure.axes]
    assert sizes == [(shown, shown)] * 3
    with Image.open(io.BytesIO(figure.encode())) as drawn:
        assert drawn.width > drawn.height > 100


def test_the_filters_that_fire_most_come_first_and_one_scale_holds_for_all() -> None:
    target = torch.diag(torch.tensor([1.0, 9.0, 4.0]))
    now = torch.diag(torch.tensor([1.0, 4.0, 0.0]))
    figure = plot_grams(GramPair(now, target), "conv1_1")
    drawn = [axis.get_images()[0] for axis in figure.axes]
    diagonals = [np.diagonal(np.asarray(each.get_array())).tolist() for each in drawn]
    assert diagonals[0] == [3, 2, 1]
    assert diagonals[1] == [2, 0, 1]
    assert diagonals[2] == pytest.approx([math.sqrt(5), 2, 0])
    assert [each.get_clim() for each in drawn] == [(0, 3)] * 3


def test_a_silent_layer_can_be_drawn() -> None:
    figure = plot_grams(GramPair(torch.zeros(4, 4), torch.zeros(4, 4)), "conv1_1")
    assert "0%" in figure.alt
    assert figure.encode()
