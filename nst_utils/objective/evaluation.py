"""Rows that go through the network together: their losses, and the way back to the pixels.

Both can be had in one go, or tile by tile at the memory of one tile. A Gram matrix is a sum over
positions, and so is equation 1; so a first pass adds up what each tile contributes, and keeps
nothing else. The losses and their derivatives towards those sums are then known, and a second pass
takes every tile, seen again, back to its pixels alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nst_utils.losses import content_loss, gram_loss, gram_matrix, total_variation
from nst_utils.networks.network import Network
from nst_utils.objective import tiles
from nst_utils.objective.targets import Target, guide
from nst_utils.objective.tiles import Tile


class Formulas(NamedTuple):
    """Which variants of the equations are meant: :class:`nst_utils.Objective` explains them."""

    content_reduction: str = "mean"
    style_reduction: str = "paper"
    tv_power: int = 2


class Column(NamedTuple):
    """A loss term: its number in the table, what it is, and what it aims at."""

    number: int
    kind: str  # content, style or total_variation
    layer: str
    targets: list[Target]  # one for each region; none for total variation


class Group:
    """Rows that use the same layers and regions.

    Args:
        rows: their numbers in the table.
        columns: the K loss terms that they have.
        formulas: for all of them.
    """

    def __init__(self, rows: list[int], columns: list[Column], formulas: Formulas) -> None:
        self.rows = rows
        self.numbers = [column.number for column in columns]
        self._columns = columns
        self._formulas = formulas
        self._layers = list(dict.fromkeys(each.layer for each in columns if each.targets))
        self._guides: dict[tuple[int, str], Tensor] = {}

    def evaluate(
        self, net: Network, images: Tensor, rows: list[int], weights: Tensor, tile: int | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss (n,), its gradient (n, 3, H, W), and each column (n, K).

        Args:
            net: the network, on the device of all tensors here.
            images: (n, 3, H, W). rows: whose pictures they are, by number in the table.
            weights: (n, K), of each column in the loss.
            tile: the side of the tiles in pixels; ``None`` for the whole picture in one go.
        """
        members = [self.rows.index(row) for row in rows]
        parts = tiles.cut(net.architecture, self._layers, images.shape[2:], tile)
        x = images.detach().requires_grad_(True)
        with torch.enable_grad():
            if len(parts) == 1:
                sums = self._sums(net, x, parts[0], members)
            else:
                sums = self._added_up(net, x, parts, members)
            columns = self._losses(net, x, sums, members)
            loss = (columns * weights).sum(1)
            if len(parts) == 1:
                (gradient,) = torch.autograd.grad(loss.sum(), x)
                return loss.detach(), gradient, columns.detach()
            # Towards the pixels themselves it is the gradient of total variation, if any.
            gradient, *of_sums = torch.autograd.grad(
                loss.sum(), [x, *sums], allow_unused=True, materialize_grads=True
            )
            for part in parts:
                seen = part.pixels(x).detach().requires_grad_(True)
                its = self._sums(net, seen, part, members)
                part.pixels(gradient).add_(torch.autograd.grad(its, seen, of_sums)[0])
        return loss.detach(), gradient, columns.detach()

    @torch.no_grad()
    def _added_up(
        self, net: Network, x: Tensor, parts: list[Tile], members: list[int]
    ) -> list[Tensor]:
        """What :meth:`_sums` gives for the whole picture, to go on from with a gradient."""
        first, *others = parts
        sums = self._sums(net, first.pixels(x), first, members)
        for part in others:
            its = self._sums(net, part.pixels(x), part, members)
            for total, more in zip(sums, its, strict=True):
                total.add_(more)
        return [total.requires_grad_(True) for total in sums]

    def _sums(self, net: Network, seen: Tensor, part: Tile, members: list[int]) -> list[Tensor]:
        """What tiles add up to, for each target of each column: eq. 1 (n,), or eq. 3 (n, N, N)."""
        found = net(seen, self._layers)
        responses = {x: part.of_seen(found.pop(x), net.stride(x)) for x in self._layers}
        sums = []
        for column in self._columns:
            for target in column.targets:
                F, stride = responses[column.layer], net.stride(column.layer)
                size = net.architecture.size(column.layer, part.size)
                if column.kind == "content":
                    P = part.of_whole(_values(target, members), stride).to(F)
                    reduction, M = self._formulas.content_reduction, math.prod(size)
                    sums.append(content_loss(F, P, reduction, positions=M))
                    continue
                if target.region is not None:
                    mask = self._guide(target.region, column.layer, size)
                    F = F * part.of_whole(mask, stride).to(F)
                sums.append(gram_matrix(F))
        return sums

    def _losses(
        self, net: Network, images: Tensor, sums: list[Tensor], members: list[int]
    ) -> Tensor:
        """(n, K): each column, from its sums; total variation from the pictures themselves."""
        left = iter(sums)
        reduction = self._formulas.style_reduction
        losses = []
        for column in self._columns:
            if column.kind == "total_variation":
                losses.append(total_variation(images, self._formulas.tv_power))
            elif column.kind == "content":
                losses.append(next(left))
            else:
                M = math.prod(net.architecture.size(column.layer, images.shape[2:]))
                regions = [  # a target is divided by its number of positions
                    gram_loss(G, _values(target, members).to(G), M, 1, reduction) * target.area
                    for target, G in zip(column.targets, left, strict=False)
                ]
                losses.append(regions[0] if len(regions) == 1 else torch.stack(regions).sum(0))
        return torch.stack(losses, dim=1)

    def _guide(self, region: Tensor, layer: str, size: tuple[int, int]) -> Tensor:
        key = (id(region), layer)
        if key not in self._guides:
            self._guides[key] = guide(region, size)
        return self._guides[key]


def _values(target: Target, members: list[int]) -> Tensor:
    """The target's values for these rows; batch 1 where all share them."""
    return target.values if target.values.shape[0] == 1 else target.values[members]
