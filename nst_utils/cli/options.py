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
from nst_utils.cli.prints import PAPERS, paper
from nst_utils.experiments.defaults import CONTENT_WEIGHT, DPI, PRESERVE_COLORS
from nst_utils.images.names import MAX_SEED
from nst_utils.networks.architectures import (
    ARCHITECTURES,
    NORMALIZATIONS,
    PADDINGS,
    POOLINGS,
    PRECISIONS,
)
from nst_utils.objective.formulas import (
    CONTENT_REDUCTIONS,
    STYLE_REDUCTIONS,
    STYLE_STATISTICS,
    TV_REDUCTIONS,
    Formulas,
)
from nst_utils.optimize.settings import OPTIMIZERS, Settings


def add_loss_options(sub: argparse.ArgumentParser) -> None:
    """What is minimized."""
    group = sub.add_argument_group("how much of the photograph, how much of the painting")
    group.add_argument(
        "--preset", default="paper", help='complete settings by name, see "nst presets" (paper)'
    )
    group.add_argument(
        "--content-weight",
        type=weight,
        help="alpha: more shows more of the photograph; 1e-4 hardly any, 1e-1 all of it, in the "
        f"painting's colors (preset paper: {CONTENT_WEIGHT:g})",
    )
    group.add_argument(
        "--style-weight", type=weight, help="beta; only the ratio alpha/beta matters (1)"
    )
    group.add_argument(
        "--content-layers", type=layers, help="that hold the photograph, comma separated (conv4_2)"
    )
    group.add_argument(
        "--style-layers",
        type=layers,
        help="that hold the style, comma separated (conv1_1,conv2_1,conv3_1,conv4_1,conv5_1)",
    )
    group.add_argument(
        "--style-layer-weights", type=weights, help="w_l, comma separated (all alike)"
    )
    group.add_argument(
        "--content-reduction",
        choices=CONTENT_REDUCTIONS,
        help=f"equation 1 as a mean, or as a sum as it is printed ({Formulas.content_reduction})",
    )
    group.add_argument(
        "--style-reduction",
        choices=STYLE_REDUCTIONS,
        help="equation 4 as in the paper, or with the constants of other projects "
        f"({Formulas.style_reduction})",
    )
    add_statistics_option(group)
    group.add_argument("--tv-weight", type=weight, help="of total variation, which smooths (0)")
    group.add_argument(
        "--tv-power",
        type=whole(1, 2),
        help=f"total variation of differences (1) or of their squares (2) ({Formulas.tv_power})",
    )
    group.add_argument(
        "--tv-reduction",
        choices=TV_REDUCTIONS,
        help=f"as a sum, or as a mean, which is the same in all sizes ({Formulas.tv_reduction})",
    )
    group.add_argument(
        "--tv-color",
        type=weight,
        help=f"how many times it counts differences in color ({Formulas.tv_color:g})",
    )


def add_statistics_option(group: argparse._ActionsContainer) -> None:
    """What of the responses the style is; also of a reconstruction."""
    group.add_argument(
        "--style-statistics",
        choices=STYLE_STATISTICS,
        help="what the style is in each layer: Gram matrices, or what others compare "
        f"({STYLE_STATISTICS[0]})",
    )


def add_style_options(sub: argparse.ArgumentParser) -> None:
    """What is done with paintings and colors."""
    group = sub.add_argument_group("paintings and colors")
    group.add_argument(
        "--style-size",
        type=whole(1),
        help="longest side of the painting in pixels: larger makes larger strokes (as --size)",
    )
    group.add_argument(
        "--style-blend", type=weights, metavar="SHARE,SHARE", help="several paintings in one"
    )
    group.add_argument(
        "--masks",
        nargs="+",
        action="extend",
        metavar="MASK",
        help="for each painting a picture that is white where it belongs",
    )
    group.add_argument(
        "--style-masks",
        nargs="+",
        action="extend",
        metavar="MASK",
        help="for each painting a picture that is white where to look",
    )
    group.add_argument(
        "--preserve-color", choices=PRESERVE_COLORS, help="keep the photograph's colors"
    )
    group.add_argument(
        "--photorealistic",
        action="store_true",
        help="give the finished picture the photograph's edges and texture: for a photograph "
        "in the style of another, as in figure 7",
    )


def add_start_options(sub: argparse.ArgumentParser) -> None:
    """Where a transfer begins, and at which size."""
    group = sub.add_argument_group("where it begins")
    group.add_argument(
        "--init",
        metavar="noise|content|style|FILE",
        help="from noise, from the photograph, from the painting, or from a picture (noise)",
    )
    group.add_argument(
        "--smaller-first",
        type=shares_of_steps,
        metavar="SHARE:STEPS[,...]",
        help="how many of the steps are made at which share of the size, which is enlarged then: "
        "0.5:200; growing, by the square root of 2; or none",
    )


def add_print_options(sub: argparse.ArgumentParser) -> None:
    """A picture that is to be printed."""
    group = sub.add_argument_group("in print")
    group.add_argument(
        "--print",
        dest="sheet",
        type=paper,
        metavar="A4|WIDTHxHEIGHT",
        help=f"as large as fits on that paper ({', '.join(PAPERS)}, or millimeters), instead of "
        "--size; made smaller first, in tiles where memory asks for it, and it is said before how "
        "long that will take",
    )
    group.add_argument(
        "--dpi",
        type=whole(10, 2400),
        help=f"dots to an inch, which are written into the file, too ({DPI} with --print)",
    )


def add_run_options(sub: argparse.ArgumentParser, *, checkpoint: bool = True) -> None:
    """How every command that paints goes about it; those of many pictures keep their own
    checkpoints."""
    _add_step_options(sub)
    _add_network_options(sub)
    group = _add_machine_options(sub)
    if checkpoint:
        group.add_argument(
            "--checkpoint",
            metavar="FILE",
            help="save the run here now and then; the same command goes on from it",
        )
        group.add_argument(
            "--deterministic",
            action="store_true",
            help="on a GPU, the same picture to the last bit each time; takes longer",
        )


def add_output_options(sub: argparse.ArgumentParser) -> None:
    """What every command that paints leaves behind."""
    group = sub.add_argument_group("the picture")
    group.add_argument("-o", "--output", required=True, metavar="OUT.png", help="picture to write")
    group.add_argument("--size", type=whole(1), default=512, help="longest side in pixels (512)")
    group.add_argument(
        "--save-every", type=whole(1), metavar="STEPS", help="pictures on the way: out-0050.png"
    )
    group.add_argument("--report", metavar="REPORT.json", help="write settings and losses here")
    group.add_argument(
        "--bits",
        type=int,
        choices=(8, 16),
        default=8,
        help="of each color; 16 in PNG and TIFF, with the dots an inch of the photograph (8)",
    )
    group.add_argument("--open", action="store_true", help="show the picture when it is made")
    group.add_argument("--quiet", action="store_true", help="no progress bar, no closing line")


def _add_step_options(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("the steps")
    group.add_argument("--steps", type=whole(1), help=f"how many (preset paper: {Settings.steps})")
    group.add_argument(
        "--optimizer", choices=OPTIMIZERS, help=f"what takes them ({Settings.optimizer})"
    )
    group.add_argument(
        "--learning-rate",
        type=learning_rate,
        metavar="RATE[,STEP:RATE]",
        help="of adam, on the 0..1 scale, and from which step another holds "
        f"({Settings.learning_rate})",
    )
    group.add_argument(
        "--exact",
        action=argparse.BooleanOptionalAction,
        help="the paper's procedure, no shortcuts; or, with a preset that has it, the shortcuts",
    )
    group.add_argument("--seed", type=whole(0, MAX_SEED), default=0, help="of the noise (0)")


def _add_network_options(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("the network")
    group.add_argument("--network", choices=tuple(ARCHITECTURES), help="which one (vgg19)")
    group.add_argument(
        "--weights", metavar="bundled|torchvision|FILE", help="where its numbers are (bundled)"
    )
    group.add_argument("--pooling", choices=POOLINGS, help="average or maximum (avg)")
    group.add_argument(
        "--normalized",
        choices=NORMALIZATIONS,
        help="scale filters to mean activation 1, as measured with max pooling (authors), with the "
        "network's own (pooling), or not at all (none)",
    )
    group.add_argument(
        "--padding",
        choices=PADDINGS,
        help="what it sees around the picture: its edge again, or zeros (nearest)",
    )


def add_device_option(group: argparse._ActionsContainer) -> None:
    metavar = "auto|cpu|cuda|mps"
    group.add_argument("--device", default="auto", metavar=metavar, help="what computes (auto)")


def _add_machine_options(sub: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = sub.add_argument_group("the machine, and long runs")
    add_device_option(group)
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="of the convolutions; auto is the fastest on the device: bfloat16, float16 on an "
        "older GPU, or float32 (float32)",
    )
    group.add_argument(
        "--tile", type=whole(1), metavar="PIXELS", help="work in tiles: less memory, more time"
    )
    return group
