"""What each command of ``nst`` does, once :mod:`nst_utils.cli.parser` has parsed its options."""

from __future__ import annotations

import inspect
import json
import math
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from nst_utils.experiments.arguments import INITS
from nst_utils.experiments.presets import preset, preset_table
from nst_utils.experiments.reconstructions import reconstruct_content, reconstruct_style
from nst_utils.experiments.style_transfer import transfer
from nst_utils.images.files import check_output, load_image, samples
from nst_utils.images.masks import load_alpha, load_mask
from nst_utils.images.rescue import save_or_rescue
from nst_utils.networks.architectures import ARCHITECTURES
from nst_utils.networks.network import Network, check_layers
from nst_utils.optimize.results import Result
from nst_utils.support import checks
from nst_utils.support.interrupts import held_back
from nst_utils.support.paths import check_writable, user_path, write_whole

INTERRUPTED = 130
COULD_NOT_GO_ON = 1
_ACCEPTED = inspect.signature(transfer).parameters.keys() - {"content", "style", "progress"}


def _overrides(args: Namespace, names: Sequence[str]) -> dict[str, Any]:
    """The options that were given on the command line."""
    return {name: value for name in names if (value := getattr(args, name, None)) is not None}


def _network_options(args: Namespace) -> dict[str, Any]:
    given = _overrides(args, ("network", "weights", "pooling", "precision"))
    return given | ({"normalized": False} if args.plain else {})


def _network_name(args: Namespace) -> str:
    return str(args.network or preset(args.preset).network)


def _network(args: Namespace) -> Network:
    return preset(args.preset).build_network(**_network_options(args))


def _check_layers(args: Namespace, *lists: Sequence[str]) -> None:
    """Refuse layers that the network does not have, before it is loaded."""
    name = _network_name(args)
    for layers in lists:
        try:
            check_layers(layers, known=ARCHITECTURES[name].layers)
        except ValueError as error:
            raise ValueError(f"{name} has other layers: {error}; name its own") from None


def _inputs(args: Namespace) -> list[str]:
    """Every file that a command reads."""
    names = ("content", "style", "image", "init", "weights", "masks", "style_masks")
    given = [getattr(args, name, None) or [] for name in names]
    return [file for each in given for file in ([each] if isinstance(each, str) else each)]


def _check_outputs(args: Namespace) -> None:
    """Everything that could fail after the run, before it."""
    check_output(args.output)
    options = {name: getattr(args, name) for name in ("output", "report", "checkpoint")}
    written: dict[Path, str] = {}
    for name, file in options.items():
        if not file:
            continue
        path = user_path(file).resolve()
        for given in _inputs(args):
            if user_path(given).resolve() == path:
                raise ValueError(f"--{name} would overwrite the input {given}; name another file")
        if path in written:
            raise ValueError(f"--{written[path]} and --{name} are both {file}; name two files")
        written[path] = name
        check_writable(user_path(file))
    preset(args.preset)
    checks.device(args.device)


def transfer_command(args: Namespace) -> int:
    _check_outputs(args)
    if len(args.style) > 1 and not (args.style_blend or args.masks):
        raise ValueError(
            f"{len(args.style)} paintings are given; say with --style-blend what share each has, "
            "or with --masks where each belongs"
        )
    settings = preset(args.preset).transfer_settings(**_overrides(args, sorted(vars(args))))
    settings = {name: value for name, value in settings.items() if name in _ACCEPTED}
    _check_layers(args, settings["content_layers"], settings["style_layers"])
    content = load_image(args.content, args.size)
    alpha = load_alpha(args.content, args.size)
    styles = [load_image(each, args.style_size or args.size) for each in args.style]
    style = styles[0] if len(styles) == 1 else styles
    for option in ("masks", "style_masks"):
        if settings.get(option):
            settings[option] = [load_mask(file) for file in settings[option]]
    init: str | Tensor = settings["init"]
    if isinstance(init, str) and init not in INITS:
        try:
            settings["init"] = load_image(init, (content.shape[2], content.shape[3]))
        except FileNotFoundError as error:
            raise ValueError(f"--init is {', '.join(INITS)} or a picture; {error}") from None
    if not settings["content_weight"] and not settings["style_weight"]:
        raise ValueError("--content-weight and --style-weight are both 0; raise one of them")
    result = transfer(content, style, net=_network(args), progress=not args.quiet, **settings)
    return _finish(args, result, alpha)


def _reconstruction(args: Namespace) -> tuple[Tensor, dict[str, Any]]:
    """The picture of a reconstruction, and what it takes of a preset and of the options."""
    _check_outputs(args)
    image = load_image(args.image, args.size)
    names = ("optimizer", "learning_rate", "steps")
    chosen = {name: getattr(preset(args.preset), name) for name in names}
    chosen |= _overrides(args, (*names, "seed", "device", "exact", "tile", "checkpoint"))
    _check_layers(args, *getattr(args, "layer_sets", None) or [args.layers])
    return image, chosen | {"net": _network(args), "progress": not args.quiet}


def reconstruct_content_command(args: Namespace) -> int:
    image, options = _reconstruction(args)
    return _finish(args, reconstruct_content(image, args.layers, **options))


def reconstruct_style_command(args: Namespace) -> int:
    image, options = _reconstruction(args)
    return _finish(args, reconstruct_style(image, args.layer_sets, **options))


def _finish(args: Namespace, result: Result, alpha: Tensor | None = None) -> int:
    """Write the picture, then the report; say where they are."""
    with held_back(drop=True):  # the run is over
        path = save_or_rescue(result.image, args.output, alpha)
        if args.report:
            text = json.dumps(_report(args, result), indent=2, allow_nan=False) + "\n"
            try:
                write_whole(args.report, lambda file: file.write(text.encode()))
            except (OSError, ValueError) as error:
                raise ValueError(f"{error}; the picture is in {path}") from None
    if not args.quiet:
        print(f"{path}  ({result.steps} steps, {result.seconds:.1f} s on {result.device})")
    if result.interrupted:
        print(f"nst: interrupted; the picture so far is in {path}", file=sys.stderr)
        return INTERRUPTED
    if result.trouble:
        print(f"nst: the last good picture is in {path}", file=sys.stderr)
        return COULD_NOT_GO_ON
    return 0


def _report(args: Namespace, result: Result) -> dict[str, Any]:
    """The report; for one picture its losses are lists of numbers, for several lists of lists."""
    left_out = ("run", "quiet", "plain")
    asked = {k: v for k, v in vars(args).items() if k not in left_out and v is not None}
    files = ("content", "style", "image", "init", "masks", "style_masks")
    pictures = {k: asked[k] for k in files if k in asked}
    if len(asked.get("style", [])) == 1:
        pictures["style"] = asked["style"][0]
    of_network = preset(args.preset).network_settings(**_network_options(args))
    config = asked | result.settings | pictures | of_network
    config["network"] = _network_name(args)
    report: dict[str, Any] = {
        "config": config | {"network_description": result.settings["network"]},
        "device": result.device,
        "seconds": result.seconds,
        "evaluations": result.evaluations,
        "peak_memory_bytes": result.peak_memory_bytes,
        "levels": [{"height": h, "width": w, "steps": n} for h, w, n in result.levels],
        "interrupted": result.interrupted,
        "trouble": result.trouble,
        "resumed": result.resumed,
    }
    for name in ("content_loss", "style_loss", "total_loss"):
        # JSON knows no NaN, which the losses of a picture that could not go on may be.
        rows = [
            [x if math.isfinite(x) else None for x in row] for row in result.history[name].tolist()
        ]
        report[name] = [row[0] for row in rows] if result.history[name].shape[1] == 1 else rows
    return report


def presets_command(_: Namespace) -> int:
    print(preset_table())
    return 0


def samples_command(_: Namespace) -> int:
    width = max(len(name) for name in samples())
    for sample in samples().values():
        year = f", {sample.year}" if sample.year else ""
        about = f"{sample.title} ({sample.author}{year}; {sample.license})"
        print(f"{sample.name:<{width}}  {sample.kind:<9}  {about}")
    return 0


def demo_arguments(output: str, device: str) -> list[str]:
    """The ``nst transfer`` that shows most on this device in a few minutes.

    Sized so that two processor cores need under three minutes.
    """
    size = "448" if checks.device(device).type == "cpu" else "512"
    return [
        *("transfer", "chenonceau", "starry-night", "--output", output, "--size", size),
        *("--precision", "auto", "--device", device),
    ]
