"""What is minimized: a table with one row for each picture and one column for each layer.

Every experiment of the paper is this table with other numbers in it. A content reconstruction has
one content column, a style reconstruction a nested set of style columns, a transfer both; figure 4
is the same columns with another ratio in each row. Rows never influence one another.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nst_utils import checks
from nst_utils.losses import (
    CONTENT_REDUCTIONS,
    STYLE_REDUCTIONS,
    content_loss,
    style_loss,
    total_loss,
    total_variation,
    weighted_style_loss,
)
from nst_utils.networks import Network, check_layers
from nst_utils.rows import Row, Weighting
from nst_utils.targets import Target, Targets, guide

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


class _Group(NamedTuple):
    """Rows that use the same layers and regions, and so go through the network together."""

    rows: list[int]
    columns: list[int]
    layers: list[str]
    targets: list[list[Target]]  # for each column, one for each region


class Objective:
    """The table: takes every target once, then gives losses and gradients for any pictures.

    Args:
        net: the feature network, on the device where the work is to be done.
        rows: one for each picture.
        content_reduction: how eq. 1 is reduced (see :func:`nst_utils.losses.content_loss`).
        style_reduction: how eq. 4 is reduced (see :func:`nst_utils.losses.style_loss`).
        tv_power: 1 or 2 (see :func:`nst_utils.losses.total_variation`).

    Attributes:
        columns: names of the loss terms: ``"content/conv4_2"``, ``"style/conv1_1"``, ...

    Raises:
        ValueError: bad layers or weights, or pictures too small for the deepest layer.
    """

    def __init__(
        self,
        net: Network,
        rows: Sequence[Row],
        content_reduction: str = "mean",
        style_reduction: str = "paper",
        tv_power: int = 2,
    ) -> None:
        if not rows:
            raise ValueError("there is no picture to make: the list of rows is empty")
        for row in rows:
            row.check()
        self.net = net
        self.device: torch.device = net.mean.device
        self.content_reduction = checks.one_of(
            "content reduction", content_reduction, CONTENT_REDUCTIONS
        )
        self.style_reduction = checks.one_of("style reduction", style_reduction, STYLE_REDUCTIONS)
        self._tv_power = checks.count("tv_power", tv_power, 1, 2)
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
        self._guides: dict[tuple[int, str], Tensor] = {}
        self._groups = self._make_groups(rows)

    def __len__(self) -> int:
        return len(self.layer_weights)

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
        self._relative = relative.to(self.device, torch.float32)

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
    def _make_groups(self, rows: Sequence[Row]) -> list[_Group]:
        members: dict[tuple[tuple[int, ...], ...], list[int]] = {}
        for index, row in enumerate(rows):
            used = tuple(i for i, kind in enumerate(self._kinds) if _is_used(row, *kind))
            regions = tuple(id(region) for region in row.regions)
            members.setdefault((used, regions), []).append(index)
        targets = Targets(self.net, [kind for kind in self._kinds if kind != TOTAL_VARIATION])
        groups = []
        for (used, _), indices in members.items():
            group_rows = [rows[i] for i in indices]
            kinds = [self._kinds[column] for column in used]
            layers = [layer for kind, layer in kinds if (kind, layer) != TOTAL_VARIATION]
            taken = [
                [] if kind == TOTAL_VARIATION else targets.take(group_rows, *kind) for kind in kinds
            ]
            groups.append(_Group(indices, list(used), list(dict.fromkeys(layers)), taken))
        return groups

    @torch.inference_mode(False)  # the gradient is needed whatever mode the caller is in
    def evaluate(self, images: Tensor, rows: Tensor | None = None) -> Evaluation:
        """Loss, gradient and terms of ``images`` (n, 3, H, W), which stand for the given rows.

        Args:
            images: one picture for each of ``rows``.
            rows: (n,) indices into the table; all rows by default.
        """
        asked = list(range(len(self))) if rows is None else rows.tolist()
        if len(asked) != len(images) or not all(0 <= row < len(self) for row in asked):
            raise ValueError(
                f"{len(images)} pictures for the rows {asked} of a table of {len(self)}; give one "
                "picture for each row"
            )
        loss = images.new_zeros(len(asked))
        gradient = torch.zeros_like(images)
        terms = images.new_full((len(asked), len(self.columns)), torch.nan)
        for group, here in self._parts(asked):
            members = [group.rows.index(asked[i]) for i in here]
            x = images[here].detach().requires_grad_(True)
            with torch.enable_grad():
                losses = self._column_losses(group, x, members)
                relative = self._relative[[asked[i] for i in here]][:, group.columns]
                group_loss = (losses * relative).sum(1)
                (group_gradient,) = torch.autograd.grad(group_loss.sum(), x)
            loss[here] = group_loss.detach()
            gradient[here] = group_gradient
            terms[torch.tensor(here)[:, None], torch.tensor(group.columns)] = losses.detach()
        return Evaluation(loss, gradient, terms)

    def _parts(self, asked: list[int]) -> Iterator[tuple[_Group, list[int]]]:
        """Places in ``asked`` that go through the network together, with their group.

        A GPU takes a whole group at once; a processor's cache holds one picture better than many.
        """
        for group in self._groups:
            here = [i for i, row in enumerate(asked) if row in group.rows]
            at_once = 1 if self.device.type == "cpu" else max(1, len(here))
            for first in range(0, len(here), at_once):
                yield group, here[first : first + at_once]

    def _column_losses(self, group: _Group, images: Tensor, members: list[int]) -> Tensor:
        """(n, columns of the group): eq. 1 or eq. 4 of each column, or total variation."""
        responses = self.net(images, group.layers) if group.layers else {}
        losses = []
        for column, targets in zip(group.columns, group.targets, strict=True):
            kind, layer = self._kinds[column]
            if kind == "total_variation":
                losses.append(total_variation(images, self._tv_power))
                continue
            parts = [self._loss(kind, responses[layer], each, layer, members) for each in targets]
            losses.append(parts[0] if len(parts) == 1 else torch.stack(parts).sum(0))
        return torch.stack(losses, dim=1)

    def _loss(
        self, kind: str, response: Tensor, target: Target, layer: str, members: list[int]
    ) -> Tensor:
        """(n,): one column in one region, which counts by its area."""
        values = target.values if target.values.shape[0] == 1 else target.values[members]
        if kind == "content":
            return content_loss(response, values, self.content_reduction)
        if target.region is not None:
            key = (id(target.region), layer)
            if key not in self._guides:
                self._guides[key] = guide(target.region, response)
            response = response * self._guides[key]
        loss = style_loss(response, values, positions=1, reduction=self.style_reduction)
        return loss * target.area

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
