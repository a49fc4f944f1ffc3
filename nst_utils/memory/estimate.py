"""How much memory a run will need: known before it starts, from the sizes of its pictures.

A few numbers, fitted to runs on a CPU (benchmarks/README.md); on a GPU they are not calibrated.
Where memory runs out all the same, the run goes on with less of it at a time.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from nst_utils.memory.available import available
from nst_utils.networks.convolutions import transformed_bytes
from nst_utils.networks.network import Network
from nst_utils.objective import tiles
from nst_utils.objective.rows import Row
from nst_utils.objective.statistics import add_up
from nst_utils.support.messages import gigabytes

# Copies of a picture that an optimizer keeps, and that each of its steps works on: L-BFGS 20 pairs,
# and about as much again for the curvature and the line search.
_COPIES_OF_PICTURE = {"lbfgs": 40 + 40, "adam": 16}
# Copies of the first layer's response, the largest one, that lie side by side: on the way back,
# there also with what is cut out for a tile, and on the way there alone. In float32, whatever the
# network computes in, there is one more copy, and on the way back one for each region of a style.
_COPIES_BACK, _COPIES_BACK_CUT, _COPIES_THERE = 6, 8, 2
# And of a style that is sorted: values, their places, and those of the painting.
_COPIES_SORTED = 9
# The code that oneDNN writes for each size, and what the allocator does not give back at once.
_ANYWAY = 100_000_000
# torch imports its compiler when an Adam is made for the first time.
_COMPILER = 160_000_000
# Tiles that are proposed.
_TILES = (1024, 512, 256, tiles.LEAST_TILE)

Size = tuple[int, int]


def check_fits(
    net: Network, rows: Sequence[Row], size: Size, optimizer: str, tile: int | None = None
) -> None:
    """Raise ``ValueError`` with the way out where a run needs more memory than there is.

    Args:
        net: the network, on the device where the work is to be done.
        rows: what the pictures shall match. size: (height, width) of the pictures.
        optimizer: ``"lbfgs"`` or ``"adam"``. tile: the side of tiles, if there are any.
    """
    free = available(net.mean.device)

    def fits(limit: int, tile: int | None) -> bool:
        return estimate(net, rows, size, optimizer, tile, limit) <= free

    height, width = max([size, *_sizes(rows)], key=max)
    longest = max(height, width)
    if fits(longest, tile):
        return
    ways = []
    its_tiles = _TILES if tiles.can_be_cut(net.architecture) and add_up(rows) else ()
    smaller = [side for side in its_tiles if side < min(longest, tile or longest)]
    fitting = next((side for side in smaller if fits(longest, side)), None)
    if fitting:
        ways.append(f"tiles of {fitting} px, which take longer (tile={fitting})")
    if len(rows) > 1 and estimate(net, rows[:1], size, optimizer, tile) <= free:
        ways.append("fewer pictures in one run")
    sides = range(1, longest + 1)
    limit = bisect.bisect_left(sides, True, key=lambda side: not fits(side, tile))
    if limit:
        ways.append(f"pictures of at most {limit} px (size={limit})")
    need = estimate(net, rows, size, optimizer, tile)
    raise ValueError(
        f"a picture of {width}x{height} px needs about {gigabytes(need)} of memory here, but "
        f"{gigabytes(free)} are free; use {', or '.join(ways) or 'a machine with more memory'}"
    )


def estimate(
    net: Network,
    rows: Sequence[Row],
    size: Size,
    optimizer: str = "lbfgs",
    tile: int | None = None,
    limit: int | None = None,
) -> int:
    """Bytes that a run will add to what the process has before; arguments of :func:`check_fits`.

    ``limit`` is a longest side that no picture exceeds, since all larger ones are scaled to it.
    """
    (height, width), *pictures = (_scaled(each, limit) for each in (size, *_sizes(rows)))
    content = {layer for row in rows for layer in row.content_layers}
    layers = [*content, *(layer for row in rows for layer in row.style_layers)]
    value = min(buffer.element_size() for buffer in net.buffers())  # bytes, in its convolutions
    first = _density(net, net.layers[0])

    def seen(size: Size) -> int:
        """How many pixels the network sees at a time."""
        spans = [part.seen for part in tiles.cut(net.architecture, layers, size, tile)]
        return max((y.end - y.first) * (x.end - x.first) for y, x in spans)

    pixels, at_a_time = height * width, seen((height, width))
    copies = _COPIES_BACK if at_a_time == pixels else _COPIES_BACK_CUT
    held = 4 * (1 + max(len(row.regions) for row in rows))
    held += 0 if add_up(rows) else 4 * _COPIES_SORTED
    # One picture at a time: a GPU takes all of them at once only as long as there is memory for it.
    back = (copies * value + held) * first * at_a_time
    steps = 12 * len(rows) * _COPIES_OF_PICTURE.get(str(optimizer), 0) * pixels
    contents = len({id(row.content) for row in rows if row.content is not None})
    targets = 4 * contents * sum(_density(net, layer) for layer in content) * pixels
    fixed = 0
    if net.mean.device.type == "cpu":
        fixed = _ANYWAY + (_COMPILER if optimizer == "adam" else 0)
        fixed += _kernels(net, layers, max(at_a_time, *map(seen, pictures))) if value == 4 else 0
    there = (_COPIES_THERE * value + 4) * first * max(map(seen, pictures))
    return int(fixed + targets + max(there, back + steps))


def _kernels(net: Network, layers: Sequence[str], pixels: int) -> int:
    """Bytes of the kernels that are transformed when so many pixels are first seen."""
    deepest = max(net.layers.index(layer) for layer in layers)
    shapes = net.architecture.shapes
    used = [layer for layer in net.layers[: deepest + 1] if layer in shapes]
    return sum(
        transformed_bytes(*shapes[layer][:2], pixels // net.stride(layer) ** 2) for layer in used
    )


def _density(net: Network, layer: str) -> float:
    """How many values a layer has for each pixel."""
    return net.filters(layer) / net.stride(layer) ** 2


def _sizes(rows: Sequence[Row]) -> list[Size]:
    return [(x.shape[2], x.shape[3]) for row in rows for x in row.pictures]


def _scaled(size: Size, limit: int | None) -> Size:
    scale = 1.0 if limit is None else min(1.0, limit / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
