"""Coarse to fine: the large shapes are settled where a step is cheap.

A picture that starts from noise is first optimized at a half, a quarter, ... of its size, and each
result is the start of the next. Half the size is a quarter of the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from torch import Tensor

from nst_utils.images.files import resize
from nst_utils.networks.network import Network
from nst_utils.objective.rows import Painting, Row, check_mask
from nst_utils.objective.table import Objective

# What was scaled for a level: (id of the tensor, size) -> the smaller one.
Made = dict[tuple[int, tuple[int, int]], Tensor]

# A level whose shorter side would have fewer pixels is not worth its start.
_LEAST_SIDE = 64


class Level(NamedTuple):
    """A smaller copy of the problem."""

    size: tuple[int, int]  # (height, width) in pixels
    objective: Callable[[], Objective]  # made when its turn comes, so that it can be let go

    @property
    def pixels(self) -> int:
        """How many a step moves."""
        return math.prod(self.size)


def coarse_levels(
    net: Network,
    rows: Sequence[Row],
    size: Sequence[int],
    make_objective: Callable[[Sequence[Row]], Objective],
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
        made: Made = {}
        scaled = [_at(row, net, (height, width), 2**halvings, made) for row in rows]
        pairs = zip(rows, scaled, strict=True)
        if any(not _is_like(row, small) for row, small in pairs):
            break
        levels.insert(0, Level((height, width), partial(make_objective, scaled)))
    return levels


def plan(levels: Sequence[Level], steps: int) -> list[tuple[Level, int]]:
    """How many steps each level gets: a coarse one a fifth, the last at least half of all."""
    *coarse, full = levels
    each = steps // max(5, 2 * len(coarse))
    return [(level, each) for level in coarse if each] + [(full, steps - each * len(coarse))]


def at_size(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The pictures in that size, on their device."""
    if tuple(images.shape[2:]) == size:
        return images
    return resize(images.cpu(), size).to(images)  # on the CPU: not every device can do it


def _is_like(row: Row, small: Row) -> bool:
    """Whether the small row still has a style, if the row has one, and weighs something."""
    return bool(small.style_layers or not row.style_layers) and small.weighs_something


def _at(row: Row, net: Network, size: tuple[int, int], divisor: int, made: Made) -> Row:
    """The row for pictures of ``size``, its paintings smaller by the same factor."""
    paintings = [_painting_at(painting, size, divisor, made) for painting in row.paintings]
    areas = [1.0 if region is None else float(region.mean()) for region in row.regions]
    positions = {layer: math.prod(net.architecture.size(layer, size)) for layer in row.style_layers}
    layers = {
        layer: weight
        for layer, weight in row.style_layers.items()
        if min(areas, default=1.0) * positions[layer] >= net.filters(layer)
    }
    content = None if row.content is None else _scaled(row.content, size, made)
    return replace(row, content=content, style=paintings, style_layers=layers)


def _painting_at(painting: Painting, size: tuple[int, int], divisor: int, made: Made) -> Painting:
    height, width = painting.picture.shape[2:]
    smaller = (max(1, height // divisor), max(1, width // divisor))
    region, source = painting.region, painting.source
    return replace(
        painting,
        picture=_scaled(painting.picture, smaller, made),
        region=None if region is None else _scaled(region, size, made),
        source=None if source is None else _scaled(source, smaller, made),
    )


def _scaled(picture: Tensor, size: tuple[int, int], made: Made) -> Tensor:
    """A picture or a mask in that size; the same one for all that share it."""
    key = (id(picture), size)
    if key not in made:
        is_mask = picture.shape[1] == 1
        made[key] = check_mask("a mask", picture, size) if is_mask else resize(picture, size)
    return made[key]
