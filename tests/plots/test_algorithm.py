"""Figure 2: every layer, every comparison, and the three pictures are in it."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from PIL import Image
from torch import Tensor

import nst_utils as nst
from nst_utils.plots.algorithm import plot_algorithm


def test_the_diagram_names_layers_losses_and_pictures(
    content: Tensor, style: Tensor, net: nst.Network
) -> None:
    figure = plot_algorithm(content, style, content, net)
    words = " ".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))
    for word in ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2", "conv5_1"):
        assert word in words
    for word in ("E_1", "E_5", "L_{content}", "L_{total}", "painting", "photograph", "L-BFGS"):
        assert word in words
    shown = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    # Six layers of three filters, five pairs of Gram matrices, one more row of three, the pictures.
    assert len(shown) == 18 + 10 + 3 + 3
    for picture in (content, style):
        expected = picture[0].permute(1, 2, 0).numpy()
        assert any(np.array_equal(each, expected) for each in shown if each is not None)


def test_a_picture_with_the_style_shows_the_same_gram_matrices(
    content: Tensor, style: Tensor, net: nst.Network
) -> None:
    def grams(image: Tensor) -> list[np.ndarray]:
        figure = plot_algorithm(content, style, image, net)
        shown = [np.asarray(axis.images[0].get_array()) for axis in figure.axes if axis.images]
        return [array for array in shown if array.shape == (32, 32)]

    same, other = grams(style), grams(content)
    for left, right in zip(same[::2], same[1::2], strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.allclose(other[0], other[1])


@pytest.mark.parametrize("size", [16, 64])
def test_it_can_be_drawn_whatever_the_size(size: int, content: Tensor, net: nst.Network) -> None:
    picture = nst.resize(content, (size, size))
    buffer = io.BytesIO()
    plot_algorithm(picture, picture, picture, net).savefig(buffer, format="png", dpi=40)
    assert np.asarray(Image.open(buffer).convert("L")).std() > 10


def test_a_batch_is_refused(content: Tensor, net: nst.Network) -> None:
    with pytest.raises(ValueError, match="image"):
        plot_algorithm(content, content, torch.cat([content, content]), net)
