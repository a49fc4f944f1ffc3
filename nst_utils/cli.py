"""The command line, ``nst``: bad input ends with exit code 2 and one line that says what to do."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from torch import Tensor

from nst_utils import __version__, checks
from nst_utils.doctor import doctor
from nst_utils.images import MAX_SEED, check_output, load_image, samples, save_image
from nst_utils.losses import CONTENT_REDUCTIONS
from nst_utils.networks import POOLINGS, VGG19, check_layers
from nst_utils.optimizers import OPTIMIZERS
from nst_utils.paths import check_writable, user_path, write_whole
from nst_utils.presets import NETWORKS, preset, preset_table
from nst_utils.runs import Result
from nst_utils.synthesis import (
    INITS,
    RECONSTRUCTION_LAYERS,
    STYLE_LAYER_SETS,
    reconstruct_content,
    reconstruct_style,
    transfer,
)

BAD_INPUT = 2
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line instead of argparse's usage dump."""
        raise SystemExit(_refuse(f"{message} (see {self.prog} --help)"))


def _refuse(message: object) -> int:
    """Say on one line what is wrong; return the exit code."""
    print("nst:", " ".join(str(message).splitlines()), file=sys.stderr)
    return BAD_INPUT


def _whole(least: int, most: int = 10**9) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            return checks.count("it", int(text), least, most)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {least} to {most}, got '{text}'"
            ) from None

    return convert


def _weight(text: str) -> float:
    try:
        return checks.weight("it", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _layers(text: str) -> list[str]:
    try:
        return check_layers([name.strip() for name in text.split(",") if name.strip()])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _layer_sets(text: str) -> list[list[str]]:
    return [_layers(part) for part in text.split(";") if part.strip()] or [_layers("")]


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``nst`` and its commands."""
    parser = _Parser(prog="nst", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"nst {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=_Parser
    )

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> _Parser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(run=run)
        return sub

    sub = command("transfer", _transfer, "paint a photograph in the style of a painting")
    sub.add_argument("content", metavar="CONTENT", help="photograph: a file or a bundled name")
    sub.add_argument("style", metavar="STYLE", help="painting: a file or a bundled name")
    sub.add_argument("--content-weight", type=_weight, help="alpha (preset paper: 1e-3)")
    sub.add_argument("--style-weight", type=_weight, help="beta (1)")
    sub.add_argument("--content-layers", type=_layers, help="comma separated (conv4_2)")
    sub.add_argument("--style-layers", type=_layers, help="comma separated (conv1_1,...,conv5_1)")
    sub.add_argument("--content-reduction", choices=CONTENT_REDUCTIONS, help="of eq. 1 (mean)")
    sub.add_argument("--init", metavar="noise|content|style|FILE", help="where it begins (noise)")
    sub.add_argument("--preset", default="paper", help="complete settings by name (paper)")
    _add_run_options(sub)

    sub = command("reconstruct-content", _reconstruct_content, "figure 1, top: one layer at a time")
    sub.add_argument("image", metavar="IMAGE", help="photograph: a file or a bundled name")
    sub.add_argument("--layers", type=_layers, default=list(RECONSTRUCTION_LAYERS))
    sub.set_defaults(preset="paper")
    _add_run_options(sub)

    sub = command("reconstruct-style", _reconstruct_style, "figure 1, bottom: sets of layers")
    sub.add_argument("image", metavar="IMAGE", help="painting: a file or a bundled name")
    sub.add_argument(
        "--layer-sets",
        type=_layer_sets,
        default=[list(layers) for layers in STYLE_LAYER_SETS],
        help='sets separated by semicolons: "conv1_1;conv1_1,conv2_1"',
    )
    sub.set_defaults(preset="paper")
    _add_run_options(sub)

    command("presets", _presets, "print every preset's settings")
    command("samples", _samples, "print the bundled pictures, which can be used by name")
    sub = command("doctor", lambda args: doctor(args.device), "check this installation")
    sub.add_argument("--device", default="auto")
    return parser


def _add_run_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("-o", "--output", required=True, metavar="OUT.png", help="picture to write")
    sub.add_argument("--size", type=_whole(1), default=512, help="longest side in pixels (512)")
    sub.add_argument("--steps", type=_whole(1), help="optimization steps (preset paper: 300)")
    sub.add_argument("--optimizer", choices=OPTIMIZERS, help="(lbfgs)")
    sub.add_argument("--learning-rate", type=_weight, help="of adam, on the 0..1 scale (0.02)")
    sub.add_argument("--pooling", choices=POOLINGS, help="(avg)")
    sub.add_argument("--network", choices=tuple(NETWORKS), help="(vgg19)")
    sub.add_argument("--weights", metavar="bundled|torchvision|FILE", help="(bundled)")
    sub.add_argument("--plain", action="store_true", help="do not normalize the network")
    sub.add_argument("--seed", type=_whole(0, MAX_SEED), default=0, help="of the noise (0)")
    sub.add_argument("--device", default="auto", metavar="auto|cpu|cuda|mps")
    sub.add_argument("--report", metavar="REPORT.json", help="write settings and losses here")
    sub.add_argument("--quiet", action="store_true", help="no progress bar, no closing line")


def _overrides(args: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """The options that were given on the command line."""
    return {name: value for name in names if (value := getattr(args, name, None)) is not None}


def _network_settings(args: argparse.Namespace) -> dict[str, Any]:
    settings = preset(args.preset).network_settings() | _overrides(args, ("weights", "pooling"))
    return settings | {"normalized": settings["normalized"] and not args.plain}


def _network(args: argparse.Namespace) -> VGG19:
    return NETWORKS[args.network or preset(args.preset).network](**_network_settings(args))


def _check_outputs(args: argparse.Namespace) -> None:
    """Everything that could fail after the run, before it."""
    output = check_output(args.output)
    if args.report:
        check_writable(user_path(args.report))
        if user_path(args.report).resolve() == output.resolve():
            raise ValueError(f"--output and --report are both {output}; name two files")
    preset(args.preset)
    args.device = str(checks.device(args.device))


def _transfer(args: argparse.Namespace) -> int:
    _check_outputs(args)
    content, style = load_image(args.content, args.size), load_image(args.style, args.size)
    settings = preset(args.preset).transfer_settings()
    names = (*settings, "seed", "device")
    settings |= _overrides(args, names)
    init: str | Tensor = settings.pop("init")
    if isinstance(init, str) and init not in INITS:
        try:
            init = load_image(init, (content.shape[2], content.shape[3]))
        except FileNotFoundError as error:
            raise ValueError(f"--init is {', '.join(INITS)} or a picture; {error}") from None
    if not settings["content_weight"] and not settings["style_weight"]:
        raise ValueError("--content-weight and --style-weight are both 0; raise one of them")
    result = transfer(
        content, style, net=_network(args), init=init, progress=not args.quiet, **settings
    )
    return _finish(args, result)


def _reconstruction(args: argparse.Namespace) -> tuple[Tensor, dict[str, Any]]:
    """The picture of a reconstruction, and what it takes of a preset and of the options."""
    _check_outputs(args)
    image = load_image(args.image, args.size)
    names = ("optimizer", "learning_rate", "steps")
    chosen = {name: getattr(preset(args.preset), name) for name in names}
    chosen |= _overrides(args, (*names, "seed", "device"))
    return image, chosen | {"net": _network(args), "progress": not args.quiet}


def _reconstruct_content(args: argparse.Namespace) -> int:
    image, options = _reconstruction(args)
    return _finish(args, reconstruct_content(image, args.layers, **options))


def _reconstruct_style(args: argparse.Namespace) -> int:
    image, options = _reconstruction(args)
    return _finish(args, reconstruct_style(image, args.layer_sets, **options))


def _finish(args: argparse.Namespace, result: Result) -> int:
    """Write the picture, then the report; say where they are."""
    path = save_image(result.image, args.output)
    if args.report:
        text = json.dumps(_report(args, result), indent=2, allow_nan=False) + "\n"
        write_whole(user_path(args.report), lambda file: file.write(text.encode()))
    if not args.quiet:
        print(f"{path}  ({result.steps} steps, {result.seconds:.1f} s on {result.device})")
    if result.interrupted:
        print(f"nst: interrupted; the picture so far is in {path}", file=sys.stderr)
        return INTERRUPTED
    return 0


def _report(args: argparse.Namespace, result: Result) -> dict[str, Any]:
    """The report; for one picture its losses are lists of numbers, for several lists of lists."""
    left_out = ("run", "quiet", "plain")
    asked = {k: v for k, v in vars(args).items() if k not in left_out and v is not None}
    config = result.settings | asked | _network_settings(args)  # asked: the pictures' names
    config["network"] = args.network or preset(args.preset).network
    report: dict[str, Any] = {
        "config": config | {"network_description": result.settings["network"]},
        "device": result.device,
        "seconds": result.seconds,
        "evaluations": result.evaluations,
        "peak_memory_bytes": result.peak_memory_bytes,
        "interrupted": result.interrupted,
    }
    for name in ("content_loss", "style_loss", "total_loss"):
        values = result.history[name]
        report[name] = (values[:, 0] if values.shape[1] == 1 else values).tolist()
    return report


def _presets(_: argparse.Namespace) -> int:
    print(preset_table())
    return 0


def _samples(_: argparse.Namespace) -> int:
    width = max(len(name) for name in samples())
    for sample in samples().values():
        year = f", {sample.year}" if sample.year else ""
        about = f"{sample.title} ({sample.author}{year}; {sample.license})"
        print(f"{sample.name:<{width}}  {sample.kind:<9}  {about}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``nst``; return its exit code: 0, 2 for bad input, 130 when interrupted."""
    try:
        args = build_parser().parse_args(argv)
        return int(args.run(args))
    except (ValueError, OSError) as error:
        return _refuse(error)
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        return _refuse("there is not enough memory for this; use a smaller --size")
    except SystemExit as stop:  # argparse: --help, --version or bad options
        return int(stop.code or 0)
    except KeyboardInterrupt:
        print("nst: interrupted before the first step; nothing was written", file=sys.stderr)
        return INTERRUPTED
