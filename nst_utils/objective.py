"""What is minimized: a table with one row for each picture and one column for each layer.

Every experiment of the paper is this table with other numbers in it. A content reconstruction has
one content column, a style reconstruction a nested set of style columns, a transfer both; figure 4
is the same columns with another ratio in each row. Rows never influence one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from nst_utils import checks
from nst_utils.losses import (
    CONTENT_REDUCTIONS,
    content_loss,
    gram_matrix,
    style_loss,
    total_loss,
    weighted_style_loss,
)
from nst_utils.networks import VGG19, check_layers


@dataclass(frozen=True)
class Row:
    """One picture to be made: what it shall match, and how much that counts (eq. 7).

    ``content`` and ``style`` are (1, 3, H, W), RGB, 0..1; they may differ in size.
    ``content_layers`` and ``style_layers`` give each layer its weight in the sum over layers
    (w_l of eq. 5), ``content_weight`` is alpha, ``style_weight`` beta.
    """

    content: Tensor | None = None
    style: Tensor | None = None
    content_layers: Mapping[str, float] = field(default_factory=dict)
    style_layers: Mapping[str, float] = field(default_factory=dict)
    content_weight: float = 0.0
    style_weight: float = 0.0

    def check(self) -> None:
        """Raise ``ValueError`` for a row that asks for nothing or for something impossible."""
        weights = {"content_weight": self.content_weight, "style_weight": self.style_weight}
        for layers in (self.content_layers, self.style_layers):
            weights |= {f"the weight of {layer}": value for layer, value in layers.items()}
        for name, value in weights.items():
            checks.weight(name, value)
        alpha = self.content_weight * sum(self.content_layers.values())
        beta = self.style_weight * sum(self.style_layers.values())
        if alpha == 0 and beta == 0:
            raise ValueError("all weights are 0: there is nothing to optimize; raise one of them")
        if self.content_layers and self.content is None:
            raise ValueError("content layers are given, but no content picture")
        if self.style_layers and self.style is None:
            raise ValueError("style layers are given, but no style picture")


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
    """Rows that use the same layers, and so go through the network together."""

    rows: list[int]
    columns: list[int]
    layers: list[str]
    targets: list[Tensor]  # one for each column; batch 1 where the rows share the picture


class Objective:
    """The table: takes every target once, then gives losses and gradients for any pictures.

    Args:
        net: the feature network, on the device where the work is to be done.
        rows: one for each picture.
        content_reduction: how eq. 1 is reduced, ``"mean"`` or ``"sum"`` (see
            :func:`nst_utils.losses.content_loss`).

    Attributes:
        columns: names of the loss terms: ``"content/conv4_2"``, ``"style/conv1_1"``, ...

    Raises:
        ValueError: bad layers or weights, or pictures too small for the deepest layer.
    """

    def __init__(self, net: VGG19, rows: Sequence[Row], content_reduction: str = "mean") -> None:
        if not rows:
            raise ValueError("there is no picture to make: the list of rows is empty")
        for row in rows:
            row.check()
        self.net = net
        self.device: torch.device = net.mean.device
        self.content_reduction = checks.one_of(
            "content reduction", content_reduction, CONTENT_REDUCTIONS
        )
        content = {layer for row in rows for layer in row.content_layers}
        style = {layer for row in rows for layer in row.style_layers}
        check_layers(list(content | style))
        self._kinds = [("content", layer) for layer in net.layers if layer in content]
        self._kinds += [("style", layer) for layer in net.layers if layer in style]
        self.columns = [f"{kind}/{layer}" for kind, layer in self._kinds]

        table = [[self._layer_weight(row, *kind) for kind in self._kinds] for row in rows]
        self.layer_weights = torch.tensor(table, dtype=torch.float64)
        self.alpha = torch.tensor([row.content_weight for row in rows], dtype=torch.float64)
        self.beta = torch.tensor([row.style_weight for row in rows], dtype=torch.float64)
        is_content = torch.tensor([kind == "content" for kind, _ in self._kinds])
        self._is_content = is_content
        factors = torch.where(is_content, self.alpha[:, None], self.beta[:, None])
        factors = factors * self.layer_weights
        relative = factors / factors.amax(1, keepdim=True)
        self._relative = relative.to(self.device, torch.float32)
        self._groups = self._make_groups(rows)

    def __len__(self) -> int:
        return len(self.layer_weights)

    @staticmethod
    def _layer_weight(row: Row, kind: str, layer: str) -> float:
        layers = row.content_layers if kind == "content" else row.style_layers
        return float(layers.get(layer, 0.0))

    @torch.inference_mode(False)
    def _make_groups(self, rows: Sequence[Row]) -> list[_Group]:
        members: dict[tuple[int, ...], list[int]] = {}
        for index, weights in enumerate(self.layer_weights):
            used = tuple(torch.nonzero(weights).flatten().tolist())
            members.setdefault(used, []).append(index)
        cache: dict[tuple[int, str, str], Tensor] = {}
        groups = []
        for used, indices in members.items():
            layers = list(dict.fromkeys(self._kinds[column][1] for column in used))
            targets = []
            for column in used:
                kind, layer = self._kinds[column]
                of_row = [self._target(rows[i], kind, layer, cache) for i in indices]
                shared = all(target is of_row[0] for target in of_row)
                targets.append(of_row[0] if shared else torch.cat(of_row))
            groups.append(_Group(indices, list(used), layers, targets))
        return groups

    @torch.no_grad()
    def _target(
        self, row: Row, kind: str, layer: str, cache: dict[tuple[int, str, str], Tensor]
    ) -> Tensor:
        """P^l, or A^l over its number of positions; once for each picture and set of layers."""
        picture = row.content if kind == "content" else row.style
        assert picture is not None  # Row.check
        if (id(picture), kind, layer) not in cache:
            layers = [name for k, name in self._kinds if k == kind]
            layers = [name for name in layers if self._layer_weight(row, kind, name) > 0]
            try:
                responses = self.net(picture.detach().to(self.net.mean), layers)
            except ValueError as error:
                raise ValueError(f"the {kind} picture cannot be used: {error}") from None
            for name, response in responses.items():
                if kind == "style":
                    response = gram_matrix(response) / response[0, 0].numel()
                cache[id(picture), kind, name] = response
        return cache[id(picture), kind, layer]

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
        """(n, columns of the group): eq. 1 or eq. 4 of each column."""
        responses = self.net(images, group.layers)
        losses = []
        for column, target in zip(group.columns, group.targets, strict=True):
            kind, layer = self._kinds[column]
            target = target if target.shape[0] == 1 else target[members]
            if kind == "content":
                losses.append(content_loss(responses[layer], target, self.content_reduction))
            else:
                losses.append(style_loss(responses[layer], target, positions=1))
        return torch.stack(losses, dim=1)

    def paper_losses(self, terms: Tensor) -> dict[str, Tensor]:
        """From the terms of all rows, (B, K), to the paper's units, each (B,) in float64.

        ``content_loss`` (eq. 1 over the content layers), ``style_loss`` (eq. 5), ``total_loss``
        (eq. 7) and every column by itself.
        """
        values = terms.detach().cpu().double()
        present = torch.where(self.layer_weights > 0, values, torch.zeros_like(values))
        content = (present * self.layer_weights)[:, self._is_content].sum(1)
        style = weighted_style_loss(
            present[:, ~self._is_content], self.layer_weights[:, ~self._is_content]
        )
        losses = {
            "content_loss": content,
            "style_loss": style,
            "total_loss": total_loss(content, style, self.alpha, self.beta),
        }
        return losses | {name: values[:, i] for i, name in enumerate(self.columns)}
