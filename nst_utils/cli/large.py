"""A print before it begins: its size, and what it will take."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nst_utils.cli.prints import millimeters, pixels
from nst_utils.experiments.defaults import DPI
from nst_utils.experiments.large import demand, passes_of, seconds
from nst_utils.experiments.presets import preset
from nst_utils.images.files import load_image
from nst_utils.networks.network import Network
from nst_utils.support.messages import duration, gigabytes, say


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
    if args.smaller_first is None:
        steps, init = args.steps or theirs.steps, args.init or theirs.init
        args.smaller_first = passes_of(theirs, args.size, steps, init)


def foretold(
    args: Namespace, content: Tensor, style: Tensor, net: Network, settings: Mapping[str, Any]
) -> int | None:
    """Say what the print takes; return the tiles that it is made in."""
    settings = {**settings, "device": args.device}
    takes = demand(net, content, style, settings)
    if not args.quiet:
        height, width = takes.size
        in_tiles = f" in tiles of {takes.tile} px" if takes.tile else ""
        long = seconds(net, content, style, settings, takes.tile)
        say(
            f"{millimeters(width, args.dpi)}x{millimeters(height, args.dpi)} mm at {args.dpi} dpi "
            f"are {width}x{height} px: about {gigabytes(takes.need)} of memory{in_tiles}, and "
            f"about {duration(long)}"
        )
    return takes.tile
