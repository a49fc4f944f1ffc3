"""The options of the commands that paint; each stands for a setting of the library."""

from __future__ import annotations

import argparse

from nst_utils.cli.converters import (
    layers,
    learning_rate,
    shares_of_steps,
    weight,
    weights,
    whole,
)
from nst_utils.experiments.defaults import CONTENT_WEIGHT, PRESERVE_COLORS
from nst_utils.images.names import MAX_SEED
from nst_utils.networks.architectures import (
    ARCHITECTURES,
    NORMALIZATIONS,
    PADDINGS,
    POOLINGS,
    PRECISIONS,
)
from nst_utils.objective.formulas import CONTENT_REDUCTIONS, STYLE_REDUCTIONS, Formulas
from nst_utils.optimize.settings import OPTIMIZERS, Settings


def add_loss_options(sub: argparse.ArgumentParser) -> None:
    """What is minimized."""
    sub.add_argument(
        "--content-weight", type=weight, help=f"alpha (preset paper: {CONTENT_WEIGHT:g})"
    )
    sub.add_argument("--style-weight", type=weight, help="beta (1)")
    sub.add_argument("--content-layers", type=layers, help="comma separated (conv4_2)")
    sub.add_argument("--style-layers", type=layers, help="comma separated (conv1_1,...,conv5_1)")
    sub.add_argument("--style-layer-weights", type=weights, help="w_l, comma separated (all alike)")
    sub.add_argument(
        "--content-reduction",
        choices=CONTENT_REDUCTIONS,
        help=f"of eq. 1 ({Formulas.content_reduction})",
    )
    sub.add_argument(
        "--style-reduction", choices=STYLE_REDUCTIONS, help=f"of eq. 4 ({Formulas.style_reduction})"
    )
    sub.add_argument("--tv-weight", type=weight, help="of total variation, which smooths (0)")
    sub.add_argument(
        "--tv-power", type=whole(1, 2), help=f"of its differences: 1 or 2 ({Formulas.tv_power})"
    )


def add_style_options(sub: argparse.ArgumentParser) -> None:
    """What is done with paintings and colors."""
    sub.add_argument(
        "--style-size", type=whole(1), help="longest side of the painting: larger, larger strokes"
    )
    sub.add_argument(
        "--style-blend", type=weights, metavar="SHARE,SHARE", help="of several paintings in one"
    )
    sub.add_argument(
        "--masks",
        nargs="+",
        action="extend",
        metavar="MASK",
        help="for each painting: white where it belongs",
    )
    sub.add_argument(
        "--style-masks",
        nargs="+",
        action="extend",
        metavar="MASK",
        help="for each painting: white where to look",
    )
    sub.add_argument(
        "--preserve-color", choices=PRESERVE_COLORS, help="keep the photograph's colors"
    )


def add_start_options(sub: argparse.ArgumentParser) -> None:
    """Where a transfer begins, and at which size."""
    sub.add_argument("--init", metavar="noise|content|style|FILE", help="where it begins (noise)")
    sub.add_argument(
        "--smaller-first",
        type=shares_of_steps,
        metavar="SHARE:STEPS[,...]",
        help="how many of the steps are made at which share of the size, which is enlarged then: "
        "0.5:200, or none",
    )


def add_run_options(sub: argparse.ArgumentParser) -> None:
    """What every command that paints takes."""
    sub.add_argument("-o", "--output", required=True, metavar="OUT.png", help="picture to write")
    sub.add_argument("--size", type=whole(1), default=512, help="longest side in pixels (512)")
    sub.add_argument(
        "--steps", type=whole(1), help=f"optimization steps (preset paper: {Settings.steps})"
    )
    sub.add_argument("--optimizer", choices=OPTIMIZERS, help=f"({Settings.optimizer})")
    sub.add_argument(
        "--learning-rate",
        type=learning_rate,
        metavar="RATE[,STEP:RATE]",
        help="of adam, on the 0..1 scale, and from which step another holds "
        f"({Settings.learning_rate})",
    )
    sub.add_argument(
        "--exact", action="store_const", const=True, help="the paper's procedure to the letter"
    )
    sub.add_argument("--pooling", choices=POOLINGS, help="(avg)")
    sub.add_argument("--network", choices=tuple(ARCHITECTURES), help="(vgg19)")
    sub.add_argument("--weights", metavar="bundled|torchvision|FILE", help="(bundled)")
    sub.add_argument("--precision", choices=PRECISIONS, help="of the convolutions (float32)")
    sub.add_argument(
        "--normalized",
        choices=NORMALIZATIONS,
        help="scale filters to mean activation 1, as measured with max pooling (authors), with the "
        "network's own (pooling), or not at all (none)",
    )
    sub.add_argument("--padding", choices=PADDINGS, help="around the picture (nearest)")
    sub.add_argument("--seed", type=whole(0, MAX_SEED), default=0, help="of the noise (0)")
    sub.add_argument("--device", default="auto", metavar="auto|cpu|cuda|mps")
    sub.add_argument(
        "--tile", type=whole(1), metavar="PIXELS", help="work in tiles: less memory, more time"
    )
    sub.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="save the run here now and then; the same command goes on from it",
    )
    sub.add_argument(
        "--save-every",
        type=whole(1),
        metavar="STEPS",
        help="save numbered pictures on the way, too: out-0050.png",
    )
    sub.add_argument("--report", metavar="REPORT.json", help="write settings and losses here")
    sub.add_argument("--open", action="store_true", help="show the picture when it is made")
    sub.add_argument("--quiet", action="store_true", help="no progress bar, no closing line")
