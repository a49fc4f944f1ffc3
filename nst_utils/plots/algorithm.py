"""Figure 2 of the paper: the algorithm as a diagram, drawn with real pictures and responses."""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from nst_utils.experiments.defaults import CONTENT_LAYERS, STYLE_LAYERS
from nst_utils.losses import gram_matrix
from nst_utils.networks.network import Network, block_of
from nst_utils.plots.figures import Drawing
from nst_utils.support import checks

_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2", "conv5_1")  # bottom to top
_SIZE = (11.0, 9.6)  # inches
# In parts of the figure, from left to right: the painting's Gram matrices, the picture's, the way
# of the gradient, the picture, names of layers, the photograph; then rows and boxes.
_PAINTING, _GRAM, _GRADIENT, _PICTURE, _NAMES, _PHOTOGRAPH = 0.13, 0.3, 0.37, 0.51, 0.625, 0.87
_LOWEST, _ROW, _BOX = 0.255, 0.102, 0.075
_BLUE, _RED, _GREEN = "#1f4e9e", "#b0321f", "#2b7a3d"


@torch.no_grad()
def plot_algorithm(content: Tensor, style: Tensor, image: Tensor, net: Network) -> Figure:
    """Draw the algorithm: what goes up through the network, and what is compared.

    On the left the painting with its Gram matrices, on the right the photograph with its responses
    in the content layer, between them the picture that is changed until it agrees with both.

    Args:
        content, style, image: (1, 3, H, W), RGB, 0..1: the photograph p, the painting a and the
            picture x.
        net: whose responses are drawn.
    """
    for name, picture in (("content", content), ("style", style), ("image", image)):
        checks.one_image(name, picture)
    figure = Drawing(figsize=_SIZE)
    figure.file_type = "jpeg"  # most of it is pictures
    canvas = figure.add_axes((0, 0, 1, 1), zorder=-1, xlim=(0, 1), ylim=(0, 1))
    canvas.axis("off")
    of_style, of_image = net(style, _LAYERS), net(image, _LAYERS)
    of_content = net(content, CONTENT_LAYERS)
    for row, layer in enumerate(_LAYERS):
        height = _LOWEST + row * _ROW
        filters = _strongest(of_content.get(layer, of_image[layer]))
        _responses(figure, of_image[layer], filters, _PICTURE, height)
        figure.text(_NAMES, height, layer, va="center", weight="bold")
        if layer in STYLE_LAYERS:
            _gram(figure, of_style[layer], _PAINTING, height)
            _gram(figure, of_image[layer], _GRAM, height)
            _compared(canvas, f"$E_{block_of(layer)}$", _PAINTING, _GRAM, height, _BLUE)
        if layer in CONTENT_LAYERS:
            _responses(figure, of_content[layer], filters, _PHOTOGRAPH, height)
            _compared(canvas, "$L_{content}$", _NAMES + 0.03, _PHOTOGRAPH - 0.07, height, _RED)
    _foot(figure, style, _PAINTING, "painting $a$", _BLUE)
    _foot(figure, image, _PICTURE, "picture $x$", _GREEN)
    _foot(figure, content, _PHOTOGRAPH, "photograph $p$", _RED)
    _words_and_ways(canvas)
    figure.alt = (
        "The algorithm: painting, picture and photograph go up through the network. Gram matrices "
        "of the picture are compared with the painting's in conv1_1 to conv5_1, its responses in "
        "conv4_2 with the photograph's. The gradient of both losses goes back to the pixels."
    )
    return figure


def _words_and_ways(canvas: Axes) -> None:
    """Up through the network in all three columns, and the gradient down to the pixels."""
    highest = _LOWEST + (len(_LAYERS) - 1) * _ROW
    content_row = _LOWEST + _LAYERS.index(CONTENT_LAYERS[0]) * _ROW
    tops = {_PAINTING: highest, _PICTURE: highest, _PHOTOGRAPH: content_row}
    for x, top in tops.items():
        up = {"arrowstyle": "-|>", "color": "0.8", "linewidth": 7, "mutation_scale": 25}
        canvas.annotate("", (x, top - _BOX / 2), (x, 0.18), arrowprops=up)
    head = r"$L_{total} = \alpha\, L_{content} + \beta\, \sum_l w_l E_l$"
    canvas.text(_PICTURE, 0.95, head, ha="center", va="center", fontsize=16)
    question: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 10}
    middle = (_PAINTING + _GRAM) / 2
    canvas.text(middle, 0.86, "Gram matrices: alike?", color=_BLUE, **question)
    canvas.text(_PHOTOGRAPH, content_row + 0.1, "responses: alike?", color=_RED, **question)
    canvas.text(_PICTURE, 0.86, "responses of three filters", color="0.3", **question)
    down = {
        "arrowstyle": "-|>",
        "color": _GREEN,
        "linewidth": 1.8,
        "connectionstyle": "angle,angleA=-90,angleB=180,rad=10",
    }
    canvas.annotate("", (_PICTURE - 0.085, 0.1), (_GRADIENT, 0.92), arrowprops=down)
    way = r"gradient $\partial L_{total} / \partial x$: L-BFGS moves the pixels"
    canvas.text(_GRADIENT - 0.013, 0.5, way, color=_GREEN, rotation=90, **question)


def _strongest(F: Tensor) -> list[int]:
    """The three filters that vary most, not looking at the border, where some always fire."""
    inner = F[0, :, 1:-1, 1:-1] if min(F.shape[2:]) > 4 else F[0]
    return inner.var(dim=(1, 2), correction=0).topk(3).indices.tolist()


def _axes(figure: Figure, x: float, y: float, width: float, height: float) -> Axes:
    axis = figure.add_axes((x - width / 2, y - height / 2, width, height))
    axis.set(xticks=[], yticks=[])
    return axis


def _foot(figure: Figure, picture: Tensor, x: float, name: str, color: str) -> None:
    """One of the three pictures, in the lowest row, with its name."""
    axis = _axes(figure, x, 0.1, 0.17, 0.15)
    axis.imshow(picture[0].clamp(0, 1).permute(1, 2, 0).cpu().numpy())
    axis.set_xlabel(name, color=color, fontsize=12)


def _responses(figure: Figure, F: Tensor, filters: list[int], x: float, y: float) -> None:
    """Three filters of a layer side by side, bright where they fire."""
    for i, index in enumerate(filters):
        axis = _axes(figure, x + (i - 1) * 0.07, y, 0.066, _BOX)
        axis.imshow(F[0, index].cpu().numpy(), cmap="magma", aspect="auto")


def _gram(figure: Figure, F: Tensor, x: float, y: float) -> None:
    """The Gram matrix of the first 32 filters."""
    G = gram_matrix(F)[0, :32, :32] / F[0, 0].numel()
    axis = _axes(figure, x, y, _BOX * _SIZE[1] / _SIZE[0], _BOX)
    axis.imshow(G.sqrt().cpu().numpy(), cmap="Blues", vmax=2.5)


def _compared(
    canvas: Axes, name: str, left: float, right: float, height: float, color: str
) -> None:
    """A double arrow between two boxes, with the name of the loss that compares them."""
    both = {"arrowstyle": "<|-|>", "color": color, "linewidth": 1.4}
    canvas.annotate("", (right - 0.04, height), (left + 0.04, height), arrowprops=both)
    middle = (left + right) / 2
    canvas.text(middle, height + 0.018, name, color=color, ha="center", va="center", fontsize=12)
