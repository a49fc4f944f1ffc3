"""The command line, ``nst``: bad input ends with exit code 2 and one line that says what to do."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from functools import partial

from nst_utils import __version__
from nst_utils.cli import early, handing_out, lists
from nst_utils.cli.converters import layer_sets, layers, learning_rate, weight, weights, whole
from nst_utils.cli.exit_codes import INTERRUPTED
from nst_utils.cli.grammar import Command, Parser, refuse
from nst_utils.cli.wording import in_options
from nst_utils.experiments.defaults import (
    CONTENT_WEIGHT,
    PRESERVE_COLORS,
    RECONSTRUCTION_LAYERS,
    STYLE_LAYER_SETS,
)
from nst_utils.images.names import MAX_SEED
from nst_utils.networks.architectures import ARCHITECTURES, POOLINGS, PRECISIONS
from nst_utils.objective.formulas import CONTENT_REDUCTIONS, STYLE_REDUCTIONS, Formulas
from nst_utils.optimize.settings import OPTIMIZERS, Settings
from nst_utils.support import checks
from nst_utils.support.messages import wording


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``nst`` and its commands."""
    parser = Parser(prog="nst", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"nst {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Command
    )

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> Command:
        sub = subparsers.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(run=run)
        return sub

    sub = command("transfer", _transfer, "paint a photograph in the style of a painting")
    sub.add_argument("content", metavar="CONTENT", help="photograph: a file or a bundled name")
    sub.add_argument(
        "style",
        metavar="STYLE",
        nargs="+",
        help="painting: a file or a bundled name; several for --style-blend or --masks",
    )
    sub.add_argument("--preset", default="paper", help="complete settings by name (paper)")
    _add_loss_options(sub)
    _add_style_options(sub)
    sub.add_argument("--init", metavar="noise|content|style|FILE", help="where it begins (noise)")
    _add_run_options(sub)

    sub = command(
        "reconstruct-content",
        _reconstruct_content,
        "figure 1, top: one layer at a time",
    )
    sub.add_argument("image", metavar="IMAGE", help="photograph: a file or a bundled name")
    sub.add_argument("--layers", type=layers, default=list(RECONSTRUCTION_LAYERS))
    sub.set_defaults(preset="paper")
    _add_run_options(sub)

    sub = command("reconstruct-style", _reconstruct_style, "figure 1, bottom: sets of layers")
    sub.add_argument("image", metavar="IMAGE", help="painting: a file or a bundled name")
    sub.add_argument(
        "--layer-sets",
        type=layer_sets,
        default=[list(layers) for layers in STYLE_LAYER_SETS],
        help='sets separated by semicolons: "conv1_1;conv1_1,conv2_1"',
    )
    sub.set_defaults(preset="paper")
    _add_run_options(sub)

    sub = command("demo", _demo, "a bundled photograph as a bundled painting")
    sub.add_argument("-o", "--output", required=True, metavar="OUT.png", help="picture to write")
    sub.add_argument("--device", default="auto", metavar="auto|cpu|cuda|mps")

    command("presets", lists.presets_command, "print every preset's settings")
    command(
        "samples", lists.samples_command, "print the bundled pictures, which can be used by name"
    )
    sub = command("notebooks", handing_out.notebooks_command, "copy the notebooks into a folder")
    sub.add_argument("folder", metavar="DIR", help="made where it is not there")
    sub = command("doctor", _doctor, "check this installation")
    sub.add_argument("--device", default="auto")
    return parser


def _add_loss_options(sub: argparse.ArgumentParser) -> None:
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


def _add_style_options(sub: argparse.ArgumentParser) -> None:
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


def _add_run_options(sub: argparse.ArgumentParser) -> None:
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
    sub.add_argument("--plain", action="store_true", help="do not normalize the network")
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
    sub.add_argument("--report", metavar="REPORT.json", help="write settings and losses here")
    sub.add_argument("--open", action="store_true", help="show the picture when it is made")
    sub.add_argument("--quiet", action="store_true", help="no progress bar, no closing line")


# What needs torch is loaded here, when it is known that the command can be done.


def _transfer(args: argparse.Namespace) -> int:
    early.check_transfer(args)
    from nst_utils.cli import commands

    return commands.transfer_command(args)


def _reconstruct_content(args: argparse.Namespace) -> int:
    early.check_reconstruction(args)
    from nst_utils.cli import commands

    return commands.reconstruct_content_command(args)


def _reconstruct_style(args: argparse.Namespace) -> int:
    early.check_reconstruction(args)
    from nst_utils.cli import commands

    return commands.reconstruct_style_command(args)


def _doctor(args: argparse.Namespace) -> int:
    from nst_utils.cli.doctor import doctor

    return doctor(args.device)


def _demo(args: argparse.Namespace) -> int:
    """Print the command that makes the demo's picture, and run it."""
    from nst_utils.cli import commands

    arguments = commands.demo_arguments(args.output, args.device)
    print("nst", *arguments, flush=True)
    return main(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``nst``; return its exit code: 0, 2 for bad input, 130 when interrupted, 1 when a picture
    could not go on to the end."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that cannot be shown is no error
        sys.stdout.reconfigure(errors="backslashreplace")
    before = wording.set(str)
    try:
        args = build_parser().parse_args(argv)
        wording.set(partial(in_options, known=vars(args)))
        return int(args.run(args))
    except Exception as error:
        sentence = checks.explain(error)
        if sentence is None:
            raise  # a bug of ours is not bad input
        return refuse(wording.get()(sentence))
    except SystemExit as stop:  # argparse: --help, --version or bad options
        return int(stop.code or 0)
    except KeyboardInterrupt:
        print("nst: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    finally:
        wording.reset(before)
