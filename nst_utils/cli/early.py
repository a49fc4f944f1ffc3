"""What can be said of a command before torch is loaded, which takes seconds, and the run begins."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nst_utils.experiments.complete_settings import OF_NETWORK, OF_TRANSFER
from nst_utils.experiments.defaults import INITS
from nst_utils.experiments.presets import preset
from nst_utils.images.names import check_bits, check_output, find_picture, output_format
from nst_utils.networks.architectures import ARCHITECTURES, check_layers, check_reading
from nst_utils.optimize.settings import Settings, checked_shares
from nst_utils.support import checks
from nst_utils.support.paths import check_writable, user_path


def overrides(args: Namespace, names: Sequence[str]) -> dict[str, Any]:
    """The options that were given on the command line."""
    return {name: value for name in names if (value := getattr(args, name, None)) is not None}


def network_name(args: Namespace) -> str:
    return str(args.network or preset(args.preset).network)


def transfer_settings(args: Namespace) -> dict[str, Any]:
    """The preset's, but for what was given."""
    return preset(args.preset).transfer_settings(**overrides(args, (*OF_TRANSFER, "checkpoint")))


def reconstruction_settings(args: Namespace) -> dict[str, Any]:
    """What a reconstruction takes of a preset and of the options."""
    names = ("optimizer", "learning_rate", "steps")
    chosen = {name: getattr(preset(args.preset), name) for name in names}
    others = ("style_statistics", "seed", "device", "exact", "tile", "checkpoint")
    return chosen | overrides(args, (*names, *others))


def check_transfer(args: Namespace) -> None:
    """Raise ``ValueError``, ``FileNotFoundError`` for a command that cannot be done."""
    _check_outputs(args)
    if (args.sheet or args.dpi) and output_format(args.output) == "WEBP":
        raise ValueError("WebP holds no dots to an inch; let --output end in .png, .tif or .jpg")
    settings = transfer_settings(args)
    # Those that were typed first: a mistake there may be why the others do not fit.
    for name in sorted(("content_layers", "style_layers"), key=lambda x: getattr(args, x) is None):
        _check_layers(args, name, settings[name])
    _check_paintings(args)
    weights, layers = args.style_layer_weights, settings["style_layers"]
    if weights and len(weights) != len(layers):
        raise ValueError(
            f"--style-layer-weights has {len(weights)} values for {len(layers)} style layers; "
            "give one for each"
        )
    if not settings["content_weight"] and not settings["style_weight"]:
        raise ValueError("--content-weight and --style-weight are both 0; raise one of them")
    _check_network(args)
    _check_loop(settings)
    for picture in (args.content, *args.style, *(args.masks or []), *(args.style_masks or [])):
        find_picture(picture)
    if settings["init"] not in INITS:
        try:
            find_picture(settings["init"])
        except FileNotFoundError as error:
            raise ValueError(f"--init is {', '.join(INITS)} or a picture; {error}") from None
    checks.device(args.device)


def check_reconstruction(args: Namespace) -> None:
    """As :func:`check_transfer`."""
    _check_outputs(args)
    for name in ("layers", "layer_sets"):
        if hasattr(args, name):
            given = getattr(args, name)
            for layers in given if name == "layer_sets" else [given]:
                _check_layers(args, name, layers)
    _check_network(args)
    _check_loop(reconstruction_settings(args))
    find_picture(args.image)
    checks.device(args.device)


def _check_loop(settings: dict[str, Any]) -> None:
    names = ("steps", "optimizer", "learning_rate", "exact")
    Settings(**{name: settings[name] for name in names if name in settings})
    if settings.get("smaller_first"):
        checked_shares(settings["smaller_first"], settings["steps"])


def _check_network(args: Namespace) -> None:
    given = overrides(args, ("network", *OF_NETWORK))
    settings = preset(args.preset).network_settings(**given)
    architecture = ARCHITECTURES[network_name(args)]
    check_reading(architecture, settings["normalized"], settings["padding"])


def _check_layers(args: Namespace, name: str, layers: Sequence[str]) -> None:
    """Whether the network has them: each has its own."""
    network, option = network_name(args), f"--{name.replace('_', '-')}"
    try:
        check_layers(layers, known=ARCHITECTURES[network].layers)
    except ValueError as error:
        if getattr(args, name) is not None:
            raise ValueError(f"{option} names layers of {network}: {error}") from None
        raise ValueError(
            f"{network} has other layers: {error}; name its own with {option}"
        ) from None


def _check_paintings(args: Namespace) -> None:
    """One share, one mask for each; several paintings only with either."""
    paintings = len(args.style)
    for name in ("style_blend", "masks", "style_masks"):
        given = getattr(args, name)
        if given and len(given) != paintings:
            option = f"--{name.replace('_', '-')}"
            order = f"CONTENT STYLE ... {option} FILE ..."
            raise ValueError(
                f"{option} has {len(given)} values for {_paintings(paintings)}; give one for each"
                + ("" if name == "style_blend" else f", and the pictures first: {order}")
            )
    if paintings > 1 and not (args.style_blend or args.masks):
        raise ValueError(
            f"{_paintings(paintings)} are given; say with --style-blend what share each has, "
            "or with --masks where each belongs"
        )


def _paintings(number: int) -> str:
    return f"{number} painting{'s' if number != 1 else ''}"


def _inputs(args: Namespace) -> list[str]:
    """Every file that a command reads."""
    names = ("content", "style", "image", "init", "weights", "masks", "style_masks")
    given = [getattr(args, name, None) or [] for name in names]
    return [file for each in given for file in ([each] if isinstance(each, str) else each)]


def _check_outputs(args: Namespace) -> None:
    """Everything that could fail after the run, before it."""
    check_output(args.output)
    check_bits(args.bits, args.output)
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
    for file in [*_inputs(args), *filter(None, options.values())]:
        if args.save_every and may_be_numbered(user_path(file), of=user_path(args.output)):
            raise ValueError(f"--save-every could overwrite {file}; give --output another name")


def numbered_picture(output: Path, step: int) -> Path:
    """Where the picture after that step is saved: ``out-0050.png`` beside ``out.png``."""
    return output.with_stem(f"{output.stem}-{step:04d}")


def may_be_numbered(path: Path, *, of: Path) -> bool:
    """Whether :func:`numbered_picture` gives such a name."""
    own = re.escape(f"{of.stem}-") + r"\d{4,}" + re.escape(of.suffix)
    same_folder = path.resolve().parent == of.resolve().parent
    return same_folder and re.fullmatch(own, path.name) is not None
