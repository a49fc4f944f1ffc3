"""What the columns of the table aim at: responses of the photograph, Gram matrices of paintings.

Gram matrices, or what else the style is measured by (:mod:`nst_utils.objective.statistics`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as fn

from nst_utils.networks.network import Network
from nst_utils.objective import tiles
from nst_utils.objective.rows import Row
from nst_utils.objective.statistics import STATISTICS, Statistic
from nst_utils.style_statistics.distributions import alike


class Target(NamedTuple):
    """What a column aims at in one region: P^l, or A^l divided by its number of positions."""

    region: Tensor | None  # (1, 1, H, W), or everywhere
    area: float  # the region's share of all regions
    values: Tensor  # one for each row; batch 1 where the rows share it


class Targets:
    """Takes every target once, for each picture and set of layers.

    Args:
        net: the feature network.
        kinds: all columns, each ``("content", layer)`` or ``("style", layer)``.
        tile: the side of the tiles in which a picture is looked at; by default, in one go.
    """

    def __init__(
        self, net: Network, kinds: Sequence[tuple[str, str]], tile: int | None = None
    ) -> None:
        self._net = net
        self._kinds = kinds
        self._tile = tile
        self._taken: dict[tuple[int, int, str, str], Tensor] = {}

    def take(self, rows: Sequence[Row], kind: str, layer: str) -> list[Target]:
        """One column's targets, one for each region, for rows with the same regions and statistics.

        Raises:
            ValueError: a picture is too small for the layer.
        """
        if kind == "content":
            values = [self._content(row, layer) for row in rows]
            return [Target(None, 1.0, _shared(values))]
        regions = rows[0].regions
        areas = rows[0].areas
        statistic = STATISTICS[rows[0].style_statistics]
        return [
            Target(
                None if region is None else region.to(self._net.mean),
                area / sum(areas),
                statistic.target(_shared([self._blend(row, region, layer) for row in rows])),
            )
            for region, area in zip(regions, areas, strict=True)
        ]

    def _content(self, row: Row, layer: str) -> Tensor:
        """P^l, of the photograph, or as they are given."""
        if layer in row.responses:
            return row.responses[layer].detach().to(self._net.mean)
        return self._measured(row, row.content, None, "content", layer)

    def _blend(self, row: Row, region: Tensor | None, layer: str) -> Tensor:
        """The Gram matrices of a region's paintings, blended by their shares.

        That is the same as blending their losses: sum_k b_k |G - A_k|^2, with shares that sum to 1,
        is |G - sum_k b_k A_k|^2 plus a constant. So it is with all statistics whose loss is a
        square; the others aim at what has the blended moments.
        """
        paintings = [p for p in row.paintings if p.region is region and p.share > 0]
        total = sum(painting.share for painting in paintings)
        measures = [self._measured(row, p.picture, p.source, "style", layer) for p in paintings]
        if len(measures) == 1:
            return measures[0]
        pairs = zip(paintings, alike(measures), strict=True)
        return torch.stack([measure * (p.share / total) for p, measure in pairs]).sum(0)

    @torch.no_grad()
    def _measured(
        self, row: Row, picture: Tensor | None, mask: Tensor | None, kind: str, layer: str
    ) -> Tensor:
        """P^l, or A^l divided by its number of positions; all layers of the row in one go."""
        assert picture is not None  # Row.check
        which = (id(picture), id(mask), row.style_statistics if kind == "style" else "")
        if (*which, layer) not in self._taken:
            layers = [name for k, name in self._kinds if k == kind and name in row.layers(k)]
            try:
                statistic = STATISTICS[row.style_statistics] if kind == "style" else None
                found = self._look(picture.detach().to(self._net.mean), mask, statistic, layers)
            except ValueError as error:
                raise ValueError(f"the {kind} picture cannot be used: {error}") from None
            self._taken |= {(*which, name): values for name, values in found.items()}
        return self._taken[(*which, layer)]

    def _look(
        self, picture: Tensor, mask: Tensor | None, statistic: Statistic | None, layers: list[str]
    ) -> dict[str, Tensor]:
        """layer -> P^l, or A^l where there is a statistic, put together from tiles."""
        architecture = self._net.architecture
        parts = tiles.cut(architecture, layers, picture.shape[2:], self._tile)
        found: dict[str, Tensor] = {}
        for part in parts:
            for name, response in self._net(part.pixels(picture), layers).items():
                stride, size = self._net.stride(name), architecture.size(name, part.size)
                response = part.of_seen(response, stride)
                if statistic is not None:
                    its = None
                    if mask is not None:
                        its = part.of_whole(guide(mask.to(picture), size), stride)
                    A = statistic.measure(response, its)
                    A = A / math.prod(size) if statistic.adds_up else A
                    found[name] = found[name] + A if name in found else A
                elif len(parts) == 1:
                    found[name] = response
                else:
                    whole = found.setdefault(name, response.new_empty(*response.shape[:2], *size))
                    part.of_whole(whole, stride).copy_(response)
        return found


def _shared(values: list[Tensor]) -> Tensor:
    """The targets of some rows as one batch; of 1 where all are the same tensor."""
    return values[0] if all(value is values[0] for value in values) else torch.cat(alike(values))


def guide(mask: Tensor, size: Sequence[int]) -> Tensor:
    """A mask at a layer's size (H_l, W_l), as (1, 1, H_l, W_l), scaled to mean square 1.

    Responses times this have the region's own Gram matrix, divided by the region's own number of
    positions (Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer", CVPR 2017:
    guided Gram matrices).
    """
    small = fn.interpolate(mask, tuple(size), mode="area")
    small = small / small.amax()  # or the squares of a faint mask vanish in float32
    return small / small.square().mean().sqrt()
