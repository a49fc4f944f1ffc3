"""What is minimized: a table with one row for each picture and one column for each layer.

Every experiment of the paper is this table with other numbers in it. A content reconstruction has
one content column, a style reconstruction a nested set of style columns, a transfer both; figure 4
is the same columns with another ratio in each row. Rows never influence one another.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nst_utils.losses import (
    CONTENT_REDUCTIONS,
    STYLE_REDUCTIONS,
    total_loss,
    weighted_style_loss,
)
from nst_utils.networks.network import Network, check_layers
from nst_utils.objective.evaluation import Column, Formulas, Group
from nst_utils.objective.rows import Row, Weighting
from nst_utils.objective.step_down import Capacity
from nst_utils.objective.targets import Targets
from nst_utils.support import checks

TOTAL_VARIATION = ("total_variation", "pixels")


class Evaluation(NamedTuple):
    """What the objective says of n pictures; ``loss`` and ``gradient`` are what is descended.

    ``loss`` (n,) is eq. 7 divided by the row's largest weight, which keeps float32 safe whatever
    the scale of alpha and beta; ``gradient`` (n, 3, H, W) is its derivative; ``terms`` (n, K) are
    the losses of each column in the paper's units, NaN where a row has no such column.
    """

    loss: Tensor
    gradient: Tensor
    terms: Tensor


class Objective:
    """The table: takes every target once, then gives losses and gradients for any pictures.

    Args:
        net: the feature network, on the device where the work is to be done.
        rows: one for each picture.
        content_reduction: how eq. 1 is reduced (see :func:`nst_utils.losses.content_loss`).
        style_reduction: how eq. 4 is reduced (see :func:`nst_utils.losses.style_loss`).
        tv_power: 1 or 2 (see :func:`nst_utils.losses.total_variation`).
        tile: the network sees pictures in tiles of so many pixels a side: less memory, more time,
            the same losses (see :mod:`nst_utils.objective.evaluation`). Whenever memory runs out,
            that is done anyway (see :mod:`nst_utils.objective.step_down`).
        may_move: whether the work may go on on the CPU where a GPU's memory does not do.

    Attributes:
        columns: names of the loss terms: ``"content/conv4_2"``, ``"style/conv1_1"``, ...
        formulas: the readings of the equations that were asked for.

    Raises:
        ValueError: bad layers, weights or tiles, or pictures too small for the deepest layer.
        MemoryError: the targets do not fit into memory, however they are taken.
    """

    def __init__(
        self,
        net: Network,
        rows: Sequence[Row],
        content_reduction: str = "mean",
        style_reduction: str = "paper",
        tv_power: int = 2,
        tile: int | None = None,
        may_move: bool = False,
    ) -> None:
        if not rows:
            raise ValueError("there is no picture to make: the list of rows is empty")
        for row in rows:
            row.check()
        self._capacity = Capacity(net, tile, may_move)
        self.formulas = Formulas(
            checks.one_of("content reduction", content_reduction, CONTENT_REDUCTIONS),
            checks.one_of("style reduction", style_reduction, STYLE_REDUCTIONS),
            checks.count("tv_power", tv_power, 1, 2),
        )
        content = {layer for row in rows for layer in row.content_layers}
        style = {layer for row in rows for layer in row.style_layers}
        check_layers(list(content | style), known=net.layers)
        self._kinds = [("content", layer) for layer in net.layers if layer in content]
        self._kinds += [("style", layer) for layer in net.layers if layer in style]
        self.columns = [f"{kind}/{layer}" for kind, layer in self._kinds]
        if any(row.tv_weight for row in rows):
            self._kinds.append(TOTAL_VARIATION)
            self.columns.append("total_variation")

        self._rows = list(rows)
        self._weigh()
        pictures = [picture for row in rows for picture in row.pictures]
        longest = max(max(picture.shape[2:]) for picture in pictures)
        self._groups = self._capacity.run(self._make_groups, 1, longest)

    def __len__(self) -> int:
        return len(self.layer_weights)

    @property
    def net(self) -> Network:
        """The feature network."""
        return self._capacity.net

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.net.mean.device

    @property
    def tile(self) -> int | None:
        """The side in pixels of the tiles that the network sees, if there are any, by now."""
        return self._capacity.tile

    @tile.setter
    def tile(self, side: int | None) -> None:
        self._capacity.tile = side

    def _weigh(self) -> None:
        """From the rows to tables of numbers, (B,) or (B, columns)."""

        def table(values: Sequence[Any]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64)

        rows = self._rows
        self.layer_weights = table([[_weight(row, *kind) for kind in self._kinds] for row in rows])
        self.alpha = table([row.content_weight for row in rows])
        self.beta = table([row.style_weight for row in rows])
        self.gamma = table([row.tv_weight for row in rows])
        by_kind = {"content": self.alpha, "style": self.beta, "total_variation": self.gamma}
        factors = torch.stack([by_kind[kind] for kind, _ in self._kinds], dim=1)
        factors = factors * self.layer_weights
        relative = factors / factors.amax(1, keepdim=True)
        self._relative = relative.float()

    @property
    def rows(self) -> list[Row]:
        """What each picture shall match, with the weights that hold now."""
        return list(self._rows)

    def reweighed(self, new: Weighting) -> Objective:
        """The same table with other weights in every row; the targets are shared.

        Raises ``ValueError`` for weights that are negative, or all 0 in a row.
        """
        other = copy.copy(self)
        other._rows = [row.reweighed(new) for row in self._rows]
        for row in other._rows:
            row.check()
        other._weigh()
        return other

    @torch.inference_mode(False)
    def _make_groups(self) -> list[Group]:
        members: dict[tuple[tuple[int, ...], ...], list[int]] = {}
        for index, row in enumerate(self._rows):
            used = tuple(i for i, kind in enumerate(self._kinds) if _is_used(row, *kind))
            regions = tuple(id(region) for region in row.regions)
            members.setdefault((used, regions), []).append(index)
        taken = [kind for kind in self._kinds if kind != TOTAL_VARIATION]
        targets = Targets(self.net, taken, self._capacity.tile)
        groups = []
        for (used, _), indices in members.items():
            rows = [self._rows[i] for i in indices]
            columns = []
            for number in used:
                kind = self._kinds[number]
                aims = [] if kind == TOTAL_VARIATION else targets.take(rows, *kind)
                columns.append(Column(number, *kind, aims))
            groups.append(Group(indices, columns, self.formulas))
        return groups

    def evaluate(self, images: Tensor, rows: Tensor | None = None) -> Evaluation:
        """Loss, gradient and terms of ``images`` (n, 3, H, W), which stand for the given rows.

        Args:
            images: one picture for each of ``rows``.
            rows: (n,) indices into the table; all rows by default.

        Raises:
            MemoryError: even the smallest tile does not fit into memory.
        """
        asked = list(range(len(self))) if rows is None else rows.tolist()
        if len(asked) != len(images) or not all(0 <= row < len(self) for row in asked):
            raise ValueError(
                f"{len(images)} pictures for the rows {asked} of a table of {len(self)}; give one "
                "picture for each row"
            )
        longest = max(images.shape[2:])
        return self._capacity.run(lambda: self._evaluate(images, asked), len(asked), longest)

    @torch.inference_mode(False)  # the gradient is needed whatever mode the caller is in
    def _evaluate(self, images: Tensor, asked: list[int]) -> Evaluation:
        loss = images.new_zeros(len(asked))
        gradient = torch.zeros_like(images)
        terms = images.new_full((len(asked), len(self.columns)), torch.nan)
        for group in self._groups:
            places = [i for i, row in enumerate(asked) if row in group.rows]
            at_once = self._capacity.at_once(len(places))
            for first in range(0, len(places), at_once):
                here = places[first : first + at_once]
                members = [asked[i] for i in here]
                weights = self._relative[members][:, group.numbers].to(self.device)
                x = images[here].to(self.device)  # where the pictures are, unless the work moved
                found = group.evaluate(self.net, x, members, weights, self._capacity.tile)
                loss[here], gradient[here], losses = (each.to(images.device) for each in found)
                terms[torch.tensor(here)[:, None], torch.tensor(group.numbers)] = losses
        return Evaluation(loss, gradient, terms)

    def paper_losses(self, terms: Tensor) -> dict[str, Tensor]:
        """From the terms of all rows, (B, K), to the paper's units, each (B,) in float64.

        ``content_loss`` (eq. 1 over the content layers), ``style_loss`` (eq. 5), ``total_loss``
        (eq. 7) and every column by itself.
        """
        values = terms.detach().cpu().double()
        present = torch.where(self.layer_weights > 0, values, torch.zeros_like(values))
        of_kind = [
            torch.tensor([kind == each for kind, _ in self._kinds])
            for each in ("content", "style", "total_variation")
        ]
        content, style, variation = (
            weighted_style_loss(present[:, these], self.layer_weights[:, these])
            for these in of_kind
        )
        total = total_loss(content, style, self.alpha, self.beta) + self.gamma * variation
        losses = {"content_loss": content, "style_loss": style, "total_loss": total}
        return losses | {name: values[:, i] for i, name in enumerate(self.columns)}


def _is_used(row: Row, kind: str, layer: str) -> bool:
    return row.tv_weight > 0 if kind == "total_variation" else layer in row.layers(kind)


def _weight(row: Row, kind: str, layer: str) -> float:
    """The weight of a column of the row within its kind; 0 where it is not used."""
    if kind == "total_variation":
        return float(row.tv_weight > 0)
    return float(row.layers(kind).get(layer, 0.0))
