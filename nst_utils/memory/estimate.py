"""How much memory a run will need: known before it starts, from the sizes of its pictures.

The estimate follows what is held at the worst moment: the way back through one of the first
layers, beside the memory of L-BFGS. Its constants were fitted to runs on a CPU
(benchmarks/README.md); on a GPU they are not calibrated.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence

from nst_utils.memory.available import available
from nst_utils.networks.convolutions import transformed_bytes
from nst_utils.networks.network import Network
from nst_utils.objective import tiles
from nst_utils.objective.rows import Row

# Copies of a picture that an optimizer keeps, and that each of its steps works on: L-BFGS 20 pairs,
# and about as much again for the curvature and the line search.
_COPIES_OF_PICTURE = {"lbfgs": 40 + 25, "adam": 16}
# The code that oneDNN writes for each size, and what the allocator does not give back at once.
_ANYWAY = 100_000_000
# torch imports its compiler when an Adam is made for the first time.
_COMPILER = 160_000_000
# Copies of a layer's response that lie side by side: on the way back, there also with what is cut
# out of it for a tile, and on the way there alone.
_COPIES_BACK, _COPIES_BACK_CUT, _COPIES_THERE = 6, 8, 2
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
    if free is None:
        return

    def fits(limit: int, tile: int | None) -> bool:
        return estimate(net, rows, size, optimizer, tile, limit) <= free

    height, width = max([size, *_sizes(rows)], key=max)
    longest = max(height, width)
    if fits(longest, tile):
        return
    ways = []
    its_tiles = _TILES if tiles.can_be_cut(net.architecture) else ()
    smaller = [side for side in its_tiles if side < min(longest, tile or longest)]
    fitting = next((side for side in smaller if fits(longest, side)), None)
    if fitting:
        ways.append(f"tiles of {fitting} px, which take longer (tile={fitting}, --tile {fitting})")
    if len(rows) > 1 and estimate(net, rows[:1], size, optimizer, tile) <= free:
        ways.append("fewer pictures in one run")
    limit = _largest(lambda side: fits(side, tile), longest)
    if limit:
        ways.append(f"pictures of at most {limit} px (--size {limit})")
    need = estimate(net, rows, size, optimizer, tile)
    raise ValueError(
        f"a picture of {width}x{height} px needs about {_gigabytes(need)} of memory here, but "
        f"{_gigabytes(free)} are free; use {', or '.join(ways) or 'a machine with more memory'}"
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
    on_cpu = net.mean.device.type == "cpu"
    size, pictures = _scaled(size, limit), [_scaled(each, limit) for each in _sizes(rows)]
    content, style = ({x for row in rows for x in row.layers(k)} for k in ("content", "style"))
    layers = list(content | style)
    regions = max(len(row.regions) for row in rows)
    there = _there(net, content | style) * max(_seen(net, layers, x, tile) for x in pictures)
    seen = _seen(net, layers, size, tile)
    copies = _COPIES_BACK if seen == _pixels(size) else _COPIES_BACK_CUT
    # One picture at a time: a GPU takes all of them at once only as long as there is memory for it.
    back = _back(net, layers, style, regions, copies) * seen
    steps = 12 * len(rows) * _COPIES_OF_PICTURE.get(str(optimizer), 0) * _pixels(size)
    fixed = _kernels(net, layers) + _ANYWAY + (_COMPILER if optimizer == "adam" else 0)
    contents = len({id(row.content) for row in rows if row.content is not None})
    targets = 4 * contents * sum(_density(net, layer) for layer in content) * _pixels(size)
    return int((fixed if on_cpu else 0) + targets + max(there, back + steps))


def _back(net: Network, layers: list[str], style: set[str], regions: int, copies: int) -> float:
    """Bytes for each pixel, at the worst moment of a loss and its gradient."""
    masks = held = worst = before = 0.0
    for layer in _up_to_deepest(net, layers):
        density = _density(net, layer)
        masks += density  # where the ReLU is open: one byte a value
        if layer in style:  # a response, then its gradient, in float32
            held += density * regions * (4 if _value(net) >= 4 else 4 + _value(net))
        at_work = copies * _value(net) * max(density, before)
        worst = max(worst, masks + held + at_work)
        before = density
    return worst


def _there(net: Network, layers: set[str]) -> float:
    """Bytes for each pixel, at the worst moment of the responses alone."""
    densities = {layer: _density(net, layer) for layer in _up_to_deepest(net, list(layers))}
    held = 4 * sum(densities[layer] for layer in layers)
    return held + _COPIES_THERE * _value(net) * max(densities.values())


def _kernels(net: Network, layers: list[str]) -> int:
    """Bytes of the kernels that are transformed when they are first used."""
    if _value(net) != 4:
        return 0
    shapes = net.architecture.shapes
    return sum(
        transformed_bytes(*shapes[layer][:2])
        for layer in _up_to_deepest(net, layers)
        if layer in shapes
    )


def _seen(net: Network, layers: list[str], size: Size, tile: int | None) -> int:
    """How many pixels the network sees at a time."""
    spans = [part.seen for part in tiles.cut(net.architecture, layers, size, tile)]
    return max((rows.end - rows.first) * (columns.end - columns.first) for rows, columns in spans)


def _up_to_deepest(net: Network, layers: list[str]) -> Sequence[str]:
    return net.layers[: max(net.layers.index(layer) for layer in layers) + 1]


def _density(net: Network, layer: str) -> float:
    """How many values a layer has for each pixel."""
    return net.filters(layer) / net.stride(layer) ** 2


def _value(net: Network) -> int:
    """Bytes of a value in the network's convolutions."""
    return min(buffer.element_size() for buffer in net.buffers())


def _sizes(rows: Sequence[Row]) -> list[Size]:
    return [(x.shape[2], x.shape[3]) for row in rows for x in row.pictures]


def _pixels(size: Size) -> int:
    return size[0] * size[1]


def _scaled(size: Size, limit: int | None) -> Size:
    scale = 1.0 if limit is None else min(1.0, limit / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest number from 1 to ``most`` that fits; 0 if there is none."""
    return bisect.bisect_left(range(1, most + 1), True, key=lambda side: not fits(side))


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB"
