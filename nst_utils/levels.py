"""Coarse to fine: the large shapes are settled where a step is cheap.

A picture that starts from noise is first optimized at a half, a quarter, ... of its size, and each
result is the start of the next. Half the size is a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from nst_utils.images import resize
from nst_utils.networks import VGG19, block_of
from nst_utils.objective import Objective, Row

# A level whose shorter side would have fewer pixels is not worth its start.
_LEAST_SIDE = 64


class Level(NamedTuple):
    """A smaller copy of the problem."""

    size: tuple[int, int]  # (height, width) in pixels
    objective: Callable[[], Objective]  # made when its turn comes, so that it can be let go


def coarse_levels(
    net: VGG19, rows: Sequence[Row], size: Sequence[int], content_reduction: str
) -> list[Level]:
    """The levels below ``size`` (height, width), coarsest first; none for a small picture.

    With fewer positions than filters a Gram matrix nearly determines the picture: it would copy the
    painting, and the copy would stay. So a level takes only those style layers that have at least
    as many positions as filters there: half the size, about one block less. In the painting's own
    terms nothing is lost by it: a layer sees twice as much of a picture of half the size.
    """
    levels: list[Level] = []
    for halvings in range(1, 10):
        height, width = size[0] >> halvings, size[1] >> halvings
        if min(height, width) < _LEAST_SIDE:
            break
        scaled = [_at(row, net, (height, width), 2**halvings) for row in rows]
        pairs = zip(rows, scaled, strict=True)
        if any(row.style_layers and not small.style_layers for row, small in pairs):
            break
        make = partial(Objective, net, scaled, content_reduction)
        levels.insert(0, Level((height, width), make))
    return levels


def _at(row: Row, net: VGG19, size: tuple[int, int], divisor: int) -> Row:
    """The row for pictures of ``size``, its painting smaller by the same factor."""
    content, style = row.content, row.style
    if content is not None:
        content = resize(content, size)
    if style is not None:
        height, width = style.shape[2:]
        style = resize(style, (max(1, height // divisor), max(1, width // divisor)))
    layers = {
        layer: weight
        for layer, weight in row.style_layers.items()
        if _positions(layer, size) >= net.filters(layer)
    }
    return replace(row, content=content, style=style, style_layers=layers)


def _positions(layer: str, size: tuple[int, int]) -> int:
    halvings = block_of(layer) - 1
    return (size[0] >> halvings) * (size[1] >> halvings)
