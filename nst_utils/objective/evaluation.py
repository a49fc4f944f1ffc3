"""Equation 7 of pictures that go through the network together, and its gradient at their pixels.

Both can be had in one go, or tile by tile at the memory of one tile. A Gram matrix is a sum over
positions, and so is equation 1; so a first pass adds up what each tile contributes, and keeps
nothing else. The losses and their derivatives towards those sums are then known, and a second pass
takes every tile, seen again, back to its pixels alone. Other statistics than Gram matrices that are
sums go the same way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from nst_utils.losses import content_loss, total_loss, total_variation, weighted_style_loss
from nst_utils.networks.network import Network
from nst_utils.objective import tiles
from nst_utils.objective.formulas import Formulas
from nst_utils.objective.statistics import Statistic
from nst_utils.objective.targets import Target, guide
from nst_utils.objective.tiles import Tile


class Kind(NamedTuple):
    """What a loss term is; :data:`KINDS` is their order in every table."""

    name: str  # content, style or total_variation
    layer: str = ""  # the pixels themselves for total variation

    @property
    def label(self) -> str:
        """``"style/conv1_1"``, or ``"total_variation"``."""
        return f"{self.name}/{self.layer}" if self.layer else self.name


OF_LAYERS = ("content", "style")
KINDS = (*OF_LAYERS, "total_variation")
# Some of a group's rows, by their place in it.
Members = slice | list[int]


class Column(NamedTuple):
    """A loss term: its number in the table, what it is, and what it aims at."""

    number: int
    kind: Kind
    targets: list[Target]  # one for each region; none for total variation


class TermWeights(NamedTuple):
    """What eq. 7 weighs the terms of n pictures with."""

    alpha: Tensor  # (n,), of content
    beta: Tensor  # (n,), of style
    gamma: Tensor  # (n,), of total variation, which the paper does not have
    layers: Tensor  # (n, K), of each term among those of its kind: w_l of eq. 5


class PaperLosses(NamedTuple):
    """Eq. 1 over the content layers, eq. 5 and eq. 7 with total variation, each (n,)."""

    content: Tensor
    style: Tensor
    total: Tensor


def equation_7(terms: Tensor, kinds: Sequence[Kind], weights: TermWeights) -> PaperLosses:
    """What is minimized, from the loss terms (n, K), whose ``kinds`` stand in the order of KINDS.

    This is the only place where content and style meet: for the gradient, in float32, and for what
    is told of a run, in float64.
    """
    counts = [sum(kind.name == each for kind in kinds) for each in KINDS]
    content, style, variation = terms.split(counts, dim=1)
    w_content, w_style, _ = weights.layers.split(counts, dim=1)
    # Paper: content from one layer. Here: a weighted sum, because figure 5 asks for several, one by
    # one, and users for several at once; one layer has weight 1.
    of_content = (content * w_content).sum(1)
    of_style = weighted_style_loss(style, w_style)
    total = total_loss(of_content, of_style, alpha=weights.alpha, beta=weights.beta)
    # Paper: no image prior. Here: total variation too, for the presets that have it.
    return PaperLosses(of_content, of_style, total + weights.gamma * variation.sum(1))


class Group:
    """Rows that use the same layers, regions and statistics.

    Args:
        rows: their numbers in the table.
        columns: the K loss terms that they have.
        formulas: for all of them.
        statistic: what of the responses their style is; eq. 3 in the paper.

    Attributes:
        rows: as given. numbers: of the columns in the table.
    """

    def __init__(
        self, rows: list[int], columns: list[Column], formulas: Formulas, statistic: Statistic
    ) -> None:
        self.rows = rows
        self.numbers = [column.number for column in columns]
        self._columns = columns
        self._kinds = [column.kind for column in columns]
        self._formulas = formulas
        self._statistic = statistic
        self._layers = list(dict.fromkeys(each.kind.layer for each in columns if each.targets))
        self._guides: dict[tuple[int, str], Tensor] = {}

    def evaluate(
        self, net: Network, images: Tensor, members: Members, weights: TermWeights, tile: int | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Equation 7 (n,), its gradient (n, 3, H, W), and each column (n, K).

        Args:
            net: the network, on the device of all tensors here.
            images: (n, 3, H, W). members: which of the group's rows they stand for.
            weights: of each row.
            tile: the side of the tiles in pixels; ``None`` for the whole picture in one go.
        """
        parts = tiles.cut(net.architecture, self._layers, images.shape[2:], tile)
        x = images.detach().requires_grad_(True)
        with torch.enable_grad():
            if len(parts) == 1:
                sums = self._sums(net, x, parts[0], members)
            else:
                sums = self._added_up(net, x, parts, members)
            columns = self._losses(net, x, sums, members)
            loss = equation_7(columns, self._kinds, weights).total
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
        self, net: Network, x: Tensor, parts: list[Tile], members: Members
    ) -> list[Tensor]:
        """What :meth:`_sums` gives for the whole picture, without the way back to the pixels."""
        first, *others = parts
        sums = self._sums(net, first.pixels(x), first, members)
        for part in others:
            its = self._sums(net, part.pixels(x), part, members)
            for total, more in zip(sums, its, strict=True):
                total.add_(more)
        return [total.requires_grad_(True) for total in sums]

    def _sums(self, net: Network, seen: Tensor, part: Tile, members: Members) -> list[Tensor]:
        """What tiles add up to, for each target of each column: eq. 1 (n,), or eq. 3 (n, N, N)."""
        found = net(seen, self._layers)
        responses = {x: part.of_seen(found.pop(x), net.stride(x)) for x in self._layers}
        sums = []
        for column in self._columns:
            for target in column.targets:
                layer = column.kind.layer
                F, stride = responses[layer], net.stride(layer)
                size = net.architecture.size(layer, part.size)
                if column.kind.name == "content":
                    P = part.of_whole(_values(target, members), stride).to(F)
                    reduction = self._formulas.content_reduction
                    # A mean over the tile: its share in the mean over the picture.
                    share = math.prod(F.shape[2:]) / math.prod(size) if reduction == "mean" else 1.0
                    sums.append(content_loss(F, P, reduction=reduction) * share)
                    continue
                mask = None
                if target.region is not None:
                    guide_here = self._guide(target.region, layer, size)
                    mask = part.of_whole(guide_here, stride).to(F)
                sums.append(self._statistic.measure(F, mask))
        return sums

    def _losses(self, net: Network, images: Tensor, sums: list[Tensor], members: Members) -> Tensor:
        """(n, K): each column, from its sums; total variation from the pictures themselves."""
        left = iter(sums)
        reduction = self._formulas.style_reduction
        losses = []
        for column in self._columns:
            if column.kind.name == "total_variation":
                how = self._formulas
                tv = {"power": how.tv_power, "reduction": how.tv_reduction, "color": how.tv_color}
                losses.append(total_variation(images, **tv))
            elif column.kind.name == "content":
                losses.append(next(left))
            else:
                M = math.prod(net.architecture.size(column.kind.layer, images.shape[2:]))
                regions = []
                here = islice(left, len(column.targets))
                for target, G in zip(column.targets, here, strict=True):
                    A = _values(target, members).to(G)  # divided by its number of positions
                    loss = self._statistic.loss(G, A, M, reduction)  # eq. 4
                    # Paper: one painting for the whole picture. Here: each region by its share of
                    # all of them, because a small one would else count as much as a large one.
                    regions.append(loss * target.area)
                losses.append(regions[0] if len(regions) == 1 else torch.stack(regions).sum(0))
        return torch.stack(losses, dim=1)

    def _guide(self, region: Tensor, layer: str, size: tuple[int, int]) -> Tensor:
        key = (id(region), layer)
        if key not in self._guides:
            self._guides[key] = guide(region, size)
        return self._guides[key]


def _values(target: Target, members: Members) -> Tensor:
    """The target's values for these rows, (n, ...); batch 1 where all share them."""
    return target.values if target.values.shape[0] == 1 else target.values[members]
