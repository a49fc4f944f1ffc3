"""A print before it begins: tiles where they are needed, and how long it will take."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nst_utils.cli.prints import DPI, LARGEST_UNTILED, millimeters, passes, pixels
from nst_utils.experiments.presets import preset
from nst_utils.experiments.style_transfer import transfer
from nst_utils.images.files import load_image, resize
from nst_utils.memory.available import available
from nst_utils.memory.estimate import estimate
from nst_utils.networks.network import Network
from nst_utils.objective.rows import Row
from nst_utils.optimize.settings import SmallerFirst, checked_shares
from nst_utils.support import checks
from nst_utils.support.messages import say

# How much longer a step takes in tiles; at 1024 px, see benchmarks/README.md.
_SLOWER_IN_TILES = {1024: 2.25, 512: 2.25, 256: 3.09}
# Pixels and steps of what is timed; smaller pictures take less time for a pixel.
_PROBE, _PROBE_STEPS = 512, 3
_BEGINNING = (
    3  # steps' worth of time before the first one of a size: what is aimed at, and a search
)


def as_print(args: Namespace) -> None:
    """Give the command the size of the print, and smaller passes before it."""
    args.dpi = args.dpi or DPI
    height, width = load_image(args.content).shape[2:]
    across, down = pixels(args.sheet, args.dpi, width, height)
    args.size = max(across, down)
    if args.size > max(height, width) and not args.quiet:
        say(
            f"the photograph has {width}x{height} px and is enlarged "
            f"{args.size / max(height, width):.1f} times"
        )
    theirs = preset(args.preset)
    from_noise = (args.init or theirs.init) == "noise"
    if args.smaller_first is None and theirs.smaller_first is None and from_noise:
        args.smaller_first = passes(args.size, args.steps or theirs.steps)


def foretold(
    args: Namespace, content: Tensor, style: Tensor, net: Network, settings: Mapping[str, Any]
) -> int | None:
    """Say what the print takes; return the tiles that it is made in."""
    height, width = content.shape[2:]
    row = Row(
        content=content,
        style=style,
        content_layers=dict.fromkeys(settings["content_layers"], 1.0),
        style_layers=dict.fromkeys(settings["style_layers"], 1.0),
    )
    given = settings.get("tile")
    tile, need = tile_that_fits(net, row, checks.device(args.device), given)
    if not args.quiet:
        first = settings.get("smaller_first")
        long = seconds(
            content,
            style,
            net,
            steps=settings["steps"],
            smaller_first=first,
            tile=tile,
            device=args.device,
        )
        in_tiles = f" in tiles of {tile} px" if tile else ""
        say(
            f"{millimeters(width, args.dpi)}x{millimeters(height, args.dpi)} mm at {args.dpi} dpi "
            f"are {width}x{height} px: about {need / 1e9:.1f} GB of memory{in_tiles}, and about "
            f"{duration(long)}"
        )
    return tile


def duration(seconds: float) -> str:
    """Roughly: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def tile_that_fits(
    net: Network, row: Row, device: torch.device, given: int | None
) -> tuple[int | None, int]:
    """The largest tiles that fit into memory, ``None`` for none, or the given; and the bytes."""
    assert row.content is not None
    size = (row.content.shape[2], row.content.shape[3])
    ways = [None, *_SLOWER_IN_TILES] if max(size) > LARGEST_UNTILED else [None]
    needs = {tile: estimate(net, [row], size, tile=tile) for tile in ([given] if given else ways)}
    free = 0.9 * available(device)
    fitting = [tile for tile, need in needs.items() if need <= free]
    chosen = fitting[0] if fitting else [*needs][-1]  # nst.transfer refuses what is too much
    return chosen, needs[chosen]


def seconds(
    content: Tensor,
    style: Tensor,
    net: Network,
    *,
    steps: int,
    smaller_first: SmallerFirst | None,
    tile: int | None,
    device: str,
) -> float:
    """About how long it will take: a few steps of a small picture are made, and their time is
    carried over by pixels."""
    small = [resize(each, min(_PROBE, max(each.shape[2:]))) for each in (content, style)]
    settings: dict[str, Any] = {"net": net, "device": device, "progress": False, "exact": True}
    probe = transfer(small[0], small[1], steps=_PROBE_STEPS, **settings)
    a_pixel = probe.seconds / max(1, probe.evaluations) / (small[0].shape[2] * small[0].shape[3])
    first = checked_shares(smaller_first or {}, steps, content.shape[2:])
    levels = [*first, (1.0, steps - sum(made for _, made in first))]
    total = 0.0
    for share, made in levels:
        pixels = content.shape[2] * content.shape[3] * share**2
        tiled = tile is not None and share * max(content.shape[2:]) > tile
        total += (
            a_pixel
            * pixels
            * (made + _BEGINNING)
            * (_SLOWER_IN_TILES.get(tile or 0, 2.25) if tiled else 1)
        )
    return total
