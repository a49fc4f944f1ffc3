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

from nst_utils.networks.network import Network
from nst_utils.objective import tiles
from nst_utils.objective.batches import Batches, batches
from nst_utils.objective.evaluation import (
    KINDS,
    OF_LAYERS,
    Column,
    Group,
    Kind,
    TermWeights,
    equation_7,
)
from nst_utils.objective.formulas import Formulas
from nst_utils.objective.rows import Row, Weighting
from nst_utils.objective.statistics import STATISTICS, check_rows
from nst_utils.objective.targets import Targets
from nst_utils.support import checks
from nst_utils.support.neutral import neutral

# What equations 1, 5 and 7 are called in a history, a report, a table and a picture's file.
PAPER_LOSSES = ("content_loss", "style_loss", "total_loss")


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
        formulas: the readings of the equations.
        tile: the network sees pictures in tiles of so many pixels a side: less memory, more time,
            the same losses (see :mod:`nst_utils.objective.evaluation`).

    Attributes:
        net, formulas, tile: as given.
        at_once: how many pictures go through the network together; ``None`` for all. A GPU takes
            all of them; a processor's cache holds one picture better than many.
        columns: names of the loss terms: ``"content/conv4_2"``, ``"style/conv1_1"``, ...

    Where memory runs out, that is an error here; the experiments use
    :class:`nst_utils.memory.step_down.WithinMemory`, which then goes on with less at a time.

    Raises:
        ValueError: bad layers, weights or tiles, or pictures too small for the deepest layer.
    """

    def __init__(
        self,
        net: Network,
        rows: Sequence[Row],
        *,
        formulas: Formulas = Formulas(),
        tile: int | None = None,
    ) -> None:
        if not rows:
            raise ValueError("there is no picture to make: the list of rows is empty")
        for row in rows:
            row.check()
        tiles.check(net.architecture, tile)
        check_rows(rows, formulas, tile)
        self.net, self.formulas, self.tile = net, formulas, tile
        self.at_once = 1 if net.mean.device.type == "cpu" else None
        self._kinds = _kinds(rows, net.layers)
        self.columns = [kind.label for kind in self._kinds]
        self._rows = list(rows)
        self._weigh()
        self._groups = self._take_targets()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def device(self) -> torch.device:
        """Where the work is done."""
        return self.net.mean.device

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

    def has(self, row: int, column: int) -> bool:
        """Whether a loss term counts for a picture: its weight is not 0."""
        return bool(self._weights.layers[row, column] > 0)

    @neutral()  # of what the caller has set in torch
    def evaluate(self, images: Tensor, rows: Sequence[int] | None = None) -> Evaluation:
        """Loss, gradient and terms of ``images`` (n, 3, H, W), which stand for the given rows.

        Args:
            images: one picture for each of ``rows``.
            rows: n numbers of rows of the table; all rows by default.
        """
        asked = list(range(len(self))) if rows is None else [int(row) for row in rows]
        if len(asked) != len(images) or not all(0 <= row < len(self) for row in asked):
            raise ValueError(
                f"{len(images)} pictures for the rows {asked} of a table of {len(self)}; give one "
                "picture for each row"
            )
        together = self._all_batches() if rows is None else self._batches(asked)
        found = []
        for batch in together.parts:
            x = images.to(self.device)  # where the pictures are, unless the work moved
            x = x if batch.places is None else x[batch.places]
            loss, gradient, terms = batch.group.evaluate(
                self.net, x, batch.members, batch.weights, self.tile
            )
            if batch.columns is not None:  # NaN for those that these pictures do not have
                missing = terms.new_full((len(terms), 1), torch.nan)
                terms = torch.cat([terms, missing], dim=1)[:, batch.columns]
            # In memory as the pictures are: sums over them depend on that in their last digits.
            told = (each.to(images.device).contiguous() for each in (loss, gradient, terms))
            found.append(tuple(told))
        parts = found[0] if len(found) == 1 else (torch.cat(x) for x in zip(*found, strict=True))
        # Read from places by number, not written to them, which a GPU does by chance.
        order = together.order
        return Evaluation(*(x if order is None else x[order.to(x.device)] for x in parts))

    def _all_batches(self) -> Batches:
        """Those of all rows, whose indices and weights are brought to the device only once."""
        how = (self.at_once, self.device)
        if self._prepared is None or self._prepared[0] != how:
            self._prepared = how, self._batches(list(range(len(self))))
        return self._prepared[1]

    def _batches(self, asked: list[int]) -> Batches:
        how: dict[str, Any] = {"at_once": self.at_once, "device": self.device}
        return batches(self._groups, asked, self._scaled, **how)

    def paper_losses(self, terms: Tensor) -> dict[str, Tensor]:
        """From the terms of all rows, (B, K), to the paper's units, each (B,), float64 on the CPU.

        ``content_loss`` (eq. 1 over the content layers), ``style_loss`` (eq. 5), ``total_loss``
        (eq. 7) and every column by itself.
        """
        values = terms.detach().cpu().double()
        present = torch.where(self._weights.layers > 0, values, torch.zeros_like(values))
        sums = equation_7(present, self._kinds, self._weights)
        losses = dict(zip(PAPER_LOSSES, sums, strict=True))
        return losses | {name: values[:, i] for i, name in enumerate(self.columns)}

    def _weigh(self) -> None:
        """From the rows to their weights as tensors, (B,) or (B, K)."""

        def numbers(values: Sequence[Any]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device="cpu")

        self._weights = TermWeights(
            numbers([row.content_weight for row in self._rows]),
            numbers([row.style_weight for row in self._rows]),
            numbers([row.tv_weight for row in self._rows]),
            numbers([[_weight(row, kind) for kind in self._kinds] for row in self._rows]),
        )
        self._scaled = _scaled(self._weights, self._kinds)
        self._prepared: tuple[Any, Batches] | None = None

    @neutral()
    def _take_targets(self) -> list[Group]:
        """Rows that go through the network together, with what their columns aim at."""
        members: dict[tuple[tuple[int, ...], tuple[int, ...], str], list[int]] = {}
        for index, row in enumerate(self._rows):
            used = tuple(i for i, kind in enumerate(self._kinds) if _is_used(row, kind))
            regions = tuple(id(region) for region in row.regions)
            members.setdefault((used, regions, row.style_statistics), []).append(index)
        targets = Targets(self.net, [kind for kind in self._kinds if kind.layer], self.tile)
        groups = []
        for (used, _, name), indices in members.items():
            rows = [self._rows[i] for i in indices]
            columns = []
            for number in used:
                kind = self._kinds[number]
                aims = targets.take(rows, *kind) if kind.layer else []
                columns.append(Column(number, kind, aims))
            groups.append(Group(indices, columns, self.formulas, STATISTICS[name]))
        return groups


def _kinds(rows: Sequence[Row], layers: Sequence[str]) -> list[Kind]:
    """The columns that the rows need, in the order of KINDS, and of layers from the picture on."""
    named = {kind: {layer for row in rows for layer in row.layers(kind)} for kind in OF_LAYERS}
    for layer in sorted(set().union(*named.values())):
        checks.one_of("layer", layer, layers)
    kinds = [Kind(kind, layer) for kind in OF_LAYERS for layer in layers if layer in named[kind]]
    variation = [Kind("total_variation")] if any(row.tv_weight for row in rows) else []
    return kinds + variation


def _is_used(row: Row, kind: Kind) -> bool:
    return kind.layer in row.layers(kind.name) if kind.layer else row.tv_weight > 0


def _weight(row: Row, kind: Kind) -> float:
    """The weight of a column of the row within its kind; 0 where it is not used."""
    if not kind.layer:
        return float(row.tv_weight > 0)
    return float(row.layers(kind.name).get(kind.layer, 0.0))


def _scaled(weights: TermWeights, kinds: Sequence[Kind]) -> TermWeights:
    """The same in proportion, with 1 for the largest: what float32 holds, whatever their scale."""
    # Paper: alpha L_content + beta L_style. Here: divided by the largest weight, because only the
    # ratio decides which picture is the best, and losses are told in the paper's units anyway.
    layers, factors = weights.layers.clone(), []
    for name, factor in zip(KINDS, weights[:3], strict=True):
        these = [i for i, kind in enumerate(kinds) if kind.name == name]
        largest = layers[:, these].amax(1) if these else torch.zeros_like(factor)
        layers[:, these] /= torch.where(largest > 0, largest, 1)[:, None]
        factors.append(factor * largest)
    alpha, beta, gamma = torch.stack(factors) / torch.stack(factors).amax(0)
    return TermWeights(alpha.float(), beta.float(), gamma.float(), layers.float())
