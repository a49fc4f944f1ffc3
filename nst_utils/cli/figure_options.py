"""The commands that make a figure of the paper: a transfer, and both kinds of reconstruction."""

from __future__ import annotations

import argparse

from nst_utils.cli.converters import layer_sets, layers
from nst_utils.cli.options import (
    add_loss_options,
    add_output_options,
    add_print_options,
    add_run_options,
    add_start_options,
    add_statistics_option,
    add_style_options,
)
from nst_utils.experiments.defaults import RECONSTRUCTION_LAYERS, STYLE_LAYER_SETS

TRANSFER = "paint a photograph in the style of a painting"
RECONSTRUCT_CONTENT = "what each layer remembers of a photograph (figure 1, top)"
RECONSTRUCT_STYLE = "what layers together remember of a painting (figure 1, bottom)"


def add_transfer_options(sub: argparse.ArgumentParser) -> None:
    """Of ``nst transfer``."""
    sub.add_argument("content", metavar="CONTENT", help="photograph: a file or a bundled name")
    sub.add_argument(
        "style",
        metavar="STYLE",
        nargs="+",
        help="painting: a file or a bundled name; several for --style-blend or --masks",
    )
    add_output_options(sub)
    add_print_options(sub)
    add_loss_options(sub)
    add_style_options(sub)
    add_start_options(sub)
    add_run_options(sub)


def add_content_options(sub: argparse.ArgumentParser) -> None:
    """Of ``nst reconstruct-content``."""
    sub.add_argument(
        "--layers",
        type=layers,
        default=list(RECONSTRUCTION_LAYERS),
        help=f"a picture for each, comma separated ({','.join(RECONSTRUCTION_LAYERS)})",
    )
    _add_reconstruction_options(sub, "photograph")


def add_texture_options(sub: argparse.ArgumentParser) -> None:
    """Of ``nst reconstruct-style``."""
    sub.add_argument(
        "--layer-sets",
        type=layer_sets,
        default=[list(layers) for layers in STYLE_LAYER_SETS],
        help='sets separated by semicolons: "conv1_1;conv1_1,conv2_1"',
    )
    add_statistics_option(sub)
    _add_reconstruction_options(sub, "painting")


def _add_reconstruction_options(sub: argparse.ArgumentParser, what: str) -> None:
    sub.add_argument("image", metavar="IMAGE", help=f"{what}: a file or a bundled name")
    sub.set_defaults(preset="paper")
    add_output_options(sub)
    add_run_options(sub)
