"""A large picture: begun small, in tiles where memory asks for it, and what it takes is known
before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from nst_utils.experiments.complete_settings import Preset
from nst_utils.experiments.style_transfer import transfer
from nst_utils.images.files import resize
from nst_utils.memory.available import available
from nst_utils.memory.estimate import estimate
from nst_utils.networks.network import Network
from nst_utils.objective import tiles
from nst_utils.objective.rows import Row
from nst_utils.objective.statistics import add_up
from nst_utils.optimize.settings import Settings, checked_shares
from nst_utils.support import checks

# What a picture is begun at, where strokes and shapes are found; then it is enlarged twice.
BEGUN_AT, LARGEST_UNTILED = 512, 1024
_SHARES_OF_STEPS = (0.65, 0.2)
# How much longer a step takes in tiles; at 1024 px, see benchmarks/README.md.
_SLOWER_IN_TILES = {1024: 2.25, 512: 2.25, 256: 3.09}
# Pixels and steps of what is timed; smaller pictures take less time for a pixel.
_PROBE, _PROBE_STEPS = 512, 3
# Steps' worth of time before the first one of a size: what is aimed at, and a search.
_BEGINNING = 3
# Those of a transfer's settings that its time and its memory depend on.
_COUNT = ("content_layers", "style_layers", "style_statistics", "optimizer", "device")


class Demand(NamedTuple):
    """What a picture takes.

    Attributes:
        size: (height, width) in pixels.
        tile: the side of the tiles that it is made in, ``None`` for none.
        need: bytes of memory. free: bytes that there are.
        stages: (longest side, steps) of each size that it is painted in, the smallest first.
    """

    size: tuple[int, int]
    tile: int | None
    need: int
    free: int
    stages: tuple[tuple[int, int], ...]

    def side_at(self, step: int) -> int:
        """The longest side at which that step, 1, 2, ..., is made."""
        for side, steps in self.stages:
            if step <= steps:
                return side
            step -= steps
        return max(self.size)


def is_large(size: tuple[int, ...]) -> bool:
    """Whether a picture of (height, width) is one."""
    return max(size) > LARGEST_UNTILED


def passes(longest: int, steps: int) -> dict[float, int] | None:
    """Shares of the size, and how many steps are made there, before those at full size.

    At full size from the start, strokes would be as fine as those of a small picture, on a large
    sheet, and most of the time would go into finding out where things are.

    >>> passes(3507, 300)
    {0.146: 195, 0.5: 60}
    """
    share = round(BEGUN_AT / longest, 3)
    shares = [each for each in (share, 0.5) if each < 0.9 and (each == share or share < 0.4)]
    made = [int(part * steps) for part in _SHARES_OF_STEPS]
    if not shares or not all(made):
        return None
    return dict(zip(shares, made, strict=False))


def passes_of(theirs: Preset, longest: int, steps: int, init: object) -> dict[float, int] | None:
    """The :func:`passes` of a preset; ``None`` where it has its own, or begins with a picture."""
    from_noise = isinstance(init, str) and init == "noise"
    return passes(longest, steps) if from_noise and theirs.smaller_first is None else None


def demand(net: Network, content: Tensor, style: Tensor, settings: Mapping[str, Any]) -> Demand:
    """What a transfer of these pictures will take, in the largest tiles that fit into memory.

    Args:
        net: the network. content, style: (1, 3, H, W), in the size that is used.
        settings: of :func:`nst_utils.transfer`: the layers, ``steps`` and ``device`` at least; a
            ``tile`` that is given stays.
    """
    row = Row(
        content=content,
        style=style,
        content_layers=dict.fromkeys(settings["content_layers"], 1.0),
        style_layers=dict.fromkeys(settings["style_layers"], 1.0),
        style_statistics=settings.get("style_statistics", Row.style_statistics),
    )
    size = (content.shape[2], content.shape[3])
    free = available(checks.device(settings["device"]))
    optimizer = settings.get("optimizer", Settings.optimizer)
    tile, need = tile_that_fits(net, row, 0.9 * free, settings.get("tile"), optimizer)
    stages = _stages(settings, size)
    return Demand(size, tile, need, free, tuple((round(s * max(size)), n) for s, n in stages))


def tile_that_fits(
    net: Network, row: Row, free: float, given: int | None, optimizer: str = Settings.optimizer
) -> tuple[int | None, int]:
    """The largest tiles that fit into so many bytes, ``None`` for none, or the given; and what they
    need."""
    assert row.content is not None
    size = (row.content.shape[2], row.content.shape[3])
    can_be_cut = is_large(size) and tiles.can_be_cut(net.architecture) and add_up([row])
    ways = [given] if given else [None, *_SLOWER_IN_TILES] if can_be_cut else [None]
    needs = {tile: estimate(net, [row], size, optimizer, tile) for tile in ways}
    fitting = [tile for tile, need in needs.items() if need <= free]
    chosen = fitting[0] if fitting else [*needs][-1]  # nst.transfer refuses what is too much
    return chosen, needs[chosen]


def seconds(
    net: Network,
    content: Tensor,
    style: Tensor,
    settings: Mapping[str, Any],
    tile: int | None,
) -> float:
    """About how long it will take: a few steps of a small picture are made, and their time is
    carried over by pixels.

    Arguments as in :func:`demand`. An interrupt on the way is raised, ``KeyboardInterrupt``.
    """
    small = [resize(each, min(_PROBE, max(each.shape[2:]))) for each in (content, style)]
    how = {name: settings[name] for name in _COUNT if name in settings}
    how |= {"exact": how.get("optimizer", Settings.optimizer) == "lbfgs", "progress": False}
    probe = transfer(small[0], small[1], net=net, steps=_PROBE_STEPS, **how)
    if probe.interrupted:
        raise KeyboardInterrupt
    a_pixel = probe.seconds / max(1, probe.evaluations) / (small[0].shape[2] * small[0].shape[3])
    size = (content.shape[2], content.shape[3])
    total = 0.0
    for share, made in _stages(settings, size):
        pixels = size[0] * size[1] * share**2
        tiled = tile is not None and share * max(size) > tile
        slower = _SLOWER_IN_TILES.get(tile or 0, 2.25) if tiled else 1
        total += a_pixel * pixels * (made + _BEGINNING) * slower
    return total


def _stages(settings: Mapping[str, Any], size: tuple[int, int]) -> list[tuple[float, int]]:
    """Shares of the size and their steps, the full size last."""
    steps = settings["steps"]
    first = checked_shares(settings.get("smaller_first") or {}, steps, size)
    return [*first, (1.0, steps - sum(made for _, made in first))]
