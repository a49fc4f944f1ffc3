"""How near a picture's Gram matrices are to the painting's: the style loss, made visible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nst_utils.losses import gram_matrix
from nst_utils.networks.network import Network
from nst_utils.plots.figures import Drawing
from nst_utils.support import checks

# A choice of ours: at the default ratio a run of 300 steps ends with the shallow layers below the
# first and the deep ones, where content holds on, between the two.
MATCHED, NEARLY = 0.15, 0.4
_SHOWN = 64  # filters; a picture of 512 x 512 values would show nothing but grain


class GramPair(NamedTuple):
    """A layer's Gram matrix in a picture and in the painting, each (N_l, N_l), divided by M_l."""

    now: Tensor
    target: Tensor

    @property
    def difference(self) -> float:
        """|G - A| / |A|, Frobenius norms: 0 is a perfect match, 1 where no filter fires.

        >>> GramPair(torch.tensor([[2.0]]), torch.tensor([[4.0]])).difference
        0.5
        """
        size = self.target.norm().clamp(min=torch.finfo(self.target.dtype).tiny)
        return float((self.now - self.target).norm() / size)

    @property
    def verdict(self) -> str:
        """``"matched"``, ``"nearly"`` or ``"not yet"``."""
        if self.difference <= MATCHED:
            return "matched"
        return "nearly" if self.difference <= NEARLY else "not yet"


@torch.inference_mode()
def gram_matrices(net: Network, picture: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Layer -> G_l / M_l of a picture (1, 3, H, W), RGB, 0..1, on the CPU (eq. 3)."""
    responses = net(picture, layers)
    return {layer: gram_matrix(F)[0].cpu() / F[0, 0].numel() for layer, F in responses.items()}


def compare_styles(
    net: Network, image: Tensor, style: Tensor, layers: Sequence[str]
) -> dict[str, GramPair]:
    """The Gram matrices of a picture beside those it shall have (eq. 3), layer by layer.

    Args:
        net: the network.
        image: (1, 3, H, W), RGB, 0..1. style: (1, 3, H', W'), of any size.
        layers: by name.
    """
    now = gram_matrices(net, checks.one_image("image", image), layers)
    target = gram_matrices(net, checks.one_image("style", style), layers)
    return {layer: GramPair(now[layer], target[layer]) for layer in now}


def plot_grams(pair: GramPair, layer: str) -> Drawing:
    """Draw a layer's two Gram matrices and where they differ.

    Of a layer with many filters those 64 that fire most in the painting, the most active first.
    """
    order = pair.target.diagonal().argsort(descending=True)[:_SHOWN]
    target = pair.target[order][:, order]
    now = pair.now[order][:, order]
    figure = Drawing(figsize=(6.6, 2.6), dpi=100, layout="constrained")
    axes = figure.subplots(1, 3)
    # Few filters fire strongly: the root leaves something to see of the others.
    top = float(target.amax().sqrt()) or 1.0
    panels = [("target A", target), ("now G", now), ("|G - A|", (now - target).abs())]
    for axis, (title, values) in zip(axes, panels, strict=True):
        axis.imshow(values.sqrt().numpy(), cmap="magma", vmin=0, vmax=top, interpolation="nearest")
        axis.set_title(title, fontsize=10)
        axis.set(xticks=[], yticks=[])
    number = f"{len(order)} of {len(pair.target)}" if len(order) < len(pair.target) else "all"
    axes[1].set_xlabel(f"{layer}, {number} filters", fontsize=9)
    figure.alt = (
        f"Gram matrices of {layer}: the painting's, the picture's, and their difference, which is "
        f"{pair.difference:.0%} of the painting's"
    )
    return figure
