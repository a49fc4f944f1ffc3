"""Which pictures go through the network together, and where what comes back belongs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nst_utils.objective.evaluation import Group, Members, TermWeights


class Batch(NamedTuple):
    """Pictures that go through the network at once; all tensors are on its device."""

    group: Group
    members: Members  # which of the group's rows
    places: Tensor | None  # (n,), of its pictures among those asked for; None for all in order
    columns: Tensor | None  # (K,), of the table, among its own; None for all in order
    weights: TermWeights


class Batches(NamedTuple):
    """All of an evaluation."""

    parts: list[Batch]
    order: Tensor | None  # (n,), where each picture asked for is among theirs; None for in order


def batches(
    groups: Sequence[Group],
    asked: list[int],
    weights: TermWeights,
    *,
    at_once: int | None,
    device: torch.device,
) -> Batches:
    """How pictures that stand for the rows ``asked`` are evaluated.

    Args:
        groups: rows that can go together, for the whole table.
        weights: of the whole table.
        at_once: the most that go together; ``None`` for all of a group.
        device: of the network.
    """
    made, order = [], []
    in_table = list(range(weights.layers.shape[1]))
    for group in groups:
        places = [i for i, row in enumerate(asked) if row in group.rows]
        size = at_once or max(1, len(places))
        for first in range(0, len(places), size):
            here = places[first : first + size]
            rows = [asked[i] for i in here]
            order += here
            made.append(
                Batch(
                    group,
                    _as_slice([group.rows.index(row) for row in rows]),
                    None if here == list(range(len(asked))) else _indices(here, device),
                    None if group.numbers == in_table else _among(group.numbers, in_table, device),
                    _part(weights, rows, group.numbers, device),
                )
            )
    in_order = order == list(range(len(asked)))
    return Batches(made, None if in_order else _among(order, range(len(asked)), device))


def _as_slice(numbers: list[int]) -> Members:
    """Numbers that follow each other as a slice, which needs no copy."""
    first, end = numbers[0], numbers[-1] + 1
    return slice(first, end) if numbers == list(range(first, end)) else numbers


def _among(numbers: list[int], wanted: Sequence[int], device: torch.device) -> Tensor:
    """The place of each wanted one in ``numbers``; ``len(numbers)`` if it is not there."""
    places = {number: place for place, number in enumerate(numbers)}
    return _indices([places.get(each, len(numbers)) for each in wanted], device)


def _indices(numbers: list[int], device: torch.device) -> Tensor:
    return torch.tensor(numbers, device=device)


def _part(
    weights: TermWeights, rows: list[int], columns: list[int], device: torch.device
) -> TermWeights:
    alpha, beta, gamma = (each[rows].to(device) for each in weights[:3])
    return TermWeights(alpha, beta, gamma, weights.layers[rows][:, columns].to(device))
