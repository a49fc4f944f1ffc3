"""What the columns of the table aim at: responses of the photograph, Gram matrices of paintings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as fn

from nst_utils.losses import gram_matrix
from nst_utils.networks import Network
from nst_utils.rows import Row


class Target(NamedTuple):
    """What a column aims at in one region: P^l, or A^l over its number of positions."""

    region: Tensor | None  # (1, 1, H, W), or everywhere
    area: float  # the region's share of all regions
    values: Tensor  # one for each row; batch 1 where the rows share it


class Targets:
    """Takes every target once, for each picture and set of layers.

    Args:
        net: the feature network.
        kinds: all columns, each ``("content", layer)`` or ``("style", layer)``.
    """

    def __init__(self, net: Network, kinds: Sequence[tuple[str, str]]) -> None:
        self._net = net
        self._kinds = kinds
        self._taken: dict[tuple[int, int, str, str], Tensor] = {}

    def take(self, rows: Sequence[Row], kind: str, layer: str) -> list[Target]:
        """One column's targets, one for each region, for rows that have the same regions.

        Raises:
            ValueError: a picture is too small for the layer.
        """
        if kind == "content":
            values = [self._responses(row, row.content, None, kind, layer) for row in rows]
            return [Target(None, 1.0, _shared(values))]
        regions = rows[0].regions
        areas = [1.0 if region is None else float(region.mean()) for region in regions]
        return [
            Target(
                None if region is None else region.to(self._net.mean),
                area / sum(areas),
                _shared([self._blend(row, region, layer) for row in rows]),
            )
            for region, area in zip(regions, areas, strict=True)
        ]

    def _blend(self, row: Row, region: Tensor | None, layer: str) -> Tensor:
        """The Gram matrices of a region's paintings, blended by their shares.

        That is the same as blending their losses: sum_k b_k |G - A_k|^2, with shares that sum to 1,
        is |G - sum_k b_k A_k|^2 plus a constant.
        """
        paintings = [p for p in row.paintings if p.region is region and p.share > 0]
        total = sum(painting.share for painting in paintings)
        grams = [self._responses(row, p.picture, p.source, "style", layer) for p in paintings]
        if len(grams) == 1:
            return grams[0]
        pairs = zip(paintings, grams, strict=True)
        return torch.stack([gram * (p.share / total) for p, gram in pairs]).sum(0)

    @torch.no_grad()
    def _responses(
        self, row: Row, picture: Tensor | None, mask: Tensor | None, kind: str, layer: str
    ) -> Tensor:
        """P^l, or A^l over its number of positions; all layers of the row in one go."""
        assert picture is not None  # Row.check
        which = (id(picture), id(mask), kind)
        if (*which, layer) not in self._taken:
            layers = [name for k, name in self._kinds if k == kind and name in row.layers(k)]
            try:
                responses = self._net(picture.detach().to(self._net.mean), layers)
            except ValueError as error:
                raise ValueError(f"the {kind} picture cannot be used: {error}") from None
            for name, response in responses.items():
                if kind == "style":
                    if mask is not None:
                        response = response * guide(mask.to(response), response)
                    response = gram_matrix(response) / response[0, 0].numel()
                self._taken[(*which, name)] = response
        return self._taken[(*which, layer)]


def _shared(values: list[Tensor]) -> Tensor:
    """The targets of some rows as one batch; of 1 where all are the same tensor."""
    return values[0] if all(value is values[0] for value in values) else torch.cat(values)


def guide(mask: Tensor, response: Tensor) -> Tensor:
    """A mask at a layer's size, (1, 1, H_l, W_l), scaled to mean square 1.

    Responses times this have the region's own Gram matrix, divided by the region's own number of
    positions (Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer", CVPR 2017:
    guided Gram matrices).
    """
    small = fn.interpolate(mask, response.shape[2:], mode="area")
    small = small / small.amax()  # or the squares of a faint mask vanish in float32
    return small / small.square().mean().sqrt()
