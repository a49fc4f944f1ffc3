"""Coarse to fine: the large shapes are settled where a step is cheap.

A picture that starts from noise is first optimized at a half, a quarter, ... of its size, and each
result is the start of the next. Half the size is a quarter of the work. Others make a whole picture
at a smaller size, enlarge it and go on, as the paper's authors came to do; they say how many steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from torch import Tensor

from nst_utils.images.files import resize
from nst_utils.images.masks import scale_mask
from nst_utils.networks.network import Network
from nst_utils.objective.rows import Painting, Row
from nst_utils.objective.table import Objective
from nst_utils.optimize.settings import LEAST_SIDE, SmallerFirst, checked_shares
from nst_utils.support.quick import quick_steps

# What was scaled for a level: (id of the tensor, size) -> the smaller one.
Made = dict[tuple[int, tuple[int, int]], Tensor]


class Level(NamedTuple):
    """The problem at one size."""

    size: tuple[int, int]  # (height, width) in pixels
    objective: Callable[[], Objective]  # made when its turn comes, so that it can be let go
    steps: int | None = None  # None leaves them to the plan

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
    as many positions as filters there: each halving drops about one block. In the painting's own
    terms nothing is lost by it: a layer sees twice as much of a picture of half the size.
    """
    levels: list[Level] = []
    for halvings in range(1, 10):
        height, width = size[0] >> halvings, size[1] >> halvings
        if min(height, width) < LEAST_SIDE:
            break
        made: Made = {}
        scaled = [_at(row, (height, width), 0.5**halvings, made) for row in rows]
        scaled = [_without_copying(row, net, (height, width)) for row in scaled]
        pairs = zip(rows, scaled, strict=True)
        if any(not _is_like(row, small) for row, small in pairs):
            break
        levels.insert(0, Level((height, width), partial(make_objective, scaled)))
    return levels


def smaller_levels(
    net: Network,
    rows: Sequence[Row],
    size: Sequence[int],
    make_objective: Callable[[Sequence[Row]], Objective],
    *,
    first: SmallerFirst,
    steps: int,
) -> list[Level]:
    """The levels that a user asks for, smallest first; whole problems, with every style layer.

    Args:
        first: share of the full size (height, width) -> how many of all ``steps`` are made there;
            in quick mode as large a part of those that are made then. Or ``"growing"``.

    Raises:
        ValueError: see :func:`nst_utils.optimize.settings.checked_shares`; a share of this size is
            too small for the network, or as large as another.
    """
    made: Made = {}
    levels: list[Level] = []
    taken, total = 0, quick_steps(steps)
    layers = {layer for row in rows for layer in (*row.content_layers, *row.style_layers)}
    for share, here in checked_shares(first, steps, size):
        height, width = (int(share * side) for side in size)
        for layer in net.layers:
            if layer in layers and min(height, width) < net.architecture.least_side(layer):
                raise ValueError(
                    f"the share {share:g} of smaller_first makes {width}x{height} px of "
                    f"{size[1]}x{size[0]} px, too small for {layer}; use a larger size"
                )
        if any(level.size == (height, width) for level in levels):
            raise ValueError(
                f"two shares of smaller_first make {width}x{height} px; name each size once"
            )
        here = min(round(here * total / steps), total - 1 - taken)
        taken += here
        scaled = [_at(row, (height, width), share, made) for row in rows]
        levels.append(Level((height, width), partial(make_objective, scaled), here))
    return levels


def plan(levels: Sequence[Level], steps: int) -> list[tuple[Level, int]]:
    """How many steps each level gets: its own number, or else a fifth of all; the last level gets
    the rest, at least half of all where no level has its own."""
    *coarse, full = levels
    each = steps // max(5, 2 * len(coarse))
    planned = [(level, each if level.steps is None else level.steps) for level in coarse]
    planned = [(level, count) for level, count in planned if count]
    return [*planned, (full, steps - sum(count for _, count in planned))]


def plan_again(
    levels: Sequence[Level], planned: Sequence[Sequence[int]], steps: int
) -> list[tuple[Level, int]]:
    """The plan that was kept as (height, width, steps) of each level, for ``steps`` altogether: the
    last level gets what there is more or less of them."""
    by_size = {level.size: level for level in levels}
    again = [(by_size[height, width], each) for height, width, each in planned]
    level, last = again[-1]
    return [*again[:-1], (level, last + steps - sum(each for _, each in again))]


def at_size(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The pictures in that size, on their device."""
    if tuple(images.shape[2:]) == size:
        return images
    if images.device.type == "cuda":
        return resize(images, size)
    return resize(images.cpu(), size).to(images)  # on the CPU: not every device can do it


def _is_like(row: Row, small: Row) -> bool:
    """Whether the small row still has a style, if the row has one, and weighs something."""
    return bool(small.style_layers or not row.style_layers) and small.weighs_something


def _at(row: Row, size: tuple[int, int], share: float, made: Made) -> Row:
    """The row for pictures of ``size``, its paintings smaller by the same factor."""
    paintings = [_painting_at(painting, size, share, made) for painting in row.paintings]
    content = None if row.content is None else _scaled(row.content, size, made)
    return replace(row, content=content, style=paintings)


def _without_copying(row: Row, net: Network, size: tuple[int, int]) -> Row:
    """The row without the style layers that would nearly determine a picture of ``size``."""
    area = min(row.areas, default=1.0)
    positions = {layer: math.prod(net.architecture.size(layer, size)) for layer in row.style_layers}
    layers = {
        layer: weight
        for layer, weight in row.style_layers.items()
        if area * positions[layer] >= net.filters(layer)
    }
    return replace(row, style_layers=layers)


def _painting_at(painting: Painting, size: tuple[int, int], share: float, made: Made) -> Painting:
    height, width = painting.picture.shape[2:]
    smaller = (max(1, int(height * share)), max(1, int(width * share)))
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
        made[key] = scale_mask(picture, size) if is_mask else resize(picture, size)
    return made[key]
