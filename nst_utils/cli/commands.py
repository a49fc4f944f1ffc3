"""What the commands do that paint, once :mod:`nst_utils.cli.parser` has parsed their options.

Loaded when one runs, and after :mod:`nst_utils.cli.early` has looked at it: torch takes seconds.
"""

from __future__ import annotations

import contextlib
import json
import math
from argparse import Namespace
from pathlib import Path
from typing import Any

from torch import Tensor

from nst_utils.cli.early import (
    network_name,
    overrides,
    reconstruction_settings,
    transfer_settings,
)
from nst_utils.cli.exit_codes import COULD_NOT_GO_ON
from nst_utils.cli.handing_out import open_picture
from nst_utils.cli.large import as_print, foretold
from nst_utils.cli.numbered import NumberedPictures
from nst_utils.experiments.complete_settings import OF_NETWORK
from nst_utils.experiments.defaults import INITS
from nst_utils.experiments.presets import preset
from nst_utils.experiments.reconstructions import reconstruct_content, reconstruct_style
from nst_utils.experiments.style_transfer import transfer
from nst_utils.images.files import dpi_of, load_image
from nst_utils.images.guided import photorealistic_if_it_fits
from nst_utils.images.masks import load_alpha, load_mask
from nst_utils.images.names import samples
from nst_utils.images.rescue import save_or_rescue
from nst_utils.networks.network import Network
from nst_utils.objective.table import PAPER_LOSSES
from nst_utils.optimize.results import Result
from nst_utils.support import checks
from nst_utils.support.interrupts import exit_code, held_back
from nst_utils.support.messages import say, tell
from nst_utils.support.paths import write_whole
from nst_utils.support.repeatable import deterministic


def _network_options(args: Namespace) -> dict[str, Any]:
    return overrides(args, ("network", *OF_NETWORK))


def _network(args: Namespace) -> Network:
    return preset(args.preset).build_network(**_network_options(args))


def _how(args: Namespace) -> dict[str, Any]:
    """What every experiment is given besides its settings."""
    how = {"net": _network(args), "progress": not args.quiet}
    every = args.save_every
    return how | ({"callback": NumberedPictures(args.output, every)} if every else {})


def _repeated(args: Namespace) -> contextlib.AbstractContextManager[None]:
    """Where it is asked for, to the last bit."""
    return deterministic() if args.deterministic else contextlib.nullcontext()


def transfer_command(args: Namespace) -> int:
    if args.sheet:
        as_print(args)
    settings = transfer_settings(args)
    content = load_image(args.content, args.size)
    alpha = load_alpha(args.content, args.size)
    styles = [load_image(each, args.style_size or args.size) for each in args.style]
    style = styles[0] if len(styles) == 1 else styles
    for option in ("masks", "style_masks"):
        if settings.get(option):
            settings[option] = [load_mask(file) for file in settings[option]]
    init: str | Tensor = settings["init"]
    if isinstance(init, str) and init not in INITS:
        settings["init"] = load_image(init, (content.shape[2], content.shape[3]))
    how = _how(args)
    if args.sheet:
        settings["tile"] = foretold(args, content, styles[0], how["net"], settings)
    with _repeated(args):
        result = transfer(content, style, **how, **settings)
    if args.photorealistic:
        with held_back(drop=True):  # the run is over
            mended = photorealistic_if_it_fits(result.image, content, settings.get("masks"))
            if mended is None:
                say("too little memory for --photorealistic; the picture is kept as painted")
            result.image = result.image if mended is None else mended
    return _finish(args, result, alpha)


def _reconstruction(args: Namespace) -> tuple[Tensor, dict[str, Any]]:
    """The picture of a reconstruction, and what it takes of a preset and of the options."""
    image = load_image(args.image, args.size)
    return image, reconstruction_settings(args) | _how(args)


def reconstruct_content_command(args: Namespace) -> int:
    image, options = _reconstruction(args)
    with _repeated(args):
        result = reconstruct_content(image, args.layers, **options)
    return _finish(args, result)


def reconstruct_style_command(args: Namespace) -> int:
    image, options = _reconstruction(args)
    with _repeated(args):
        result = reconstruct_style(image, args.layer_sets, **options)
    return _finish(args, result)


def _finish(args: Namespace, result: Result, alpha: Tensor | None = None) -> int:
    """Write the picture, then the report; say where they are."""
    with held_back(drop=True):  # the run is over
        dpi = getattr(args, "dpi", None)
        if args.bits == 16 and dpi is None:
            dpi = dpi_of(_photograph(args))
        path = save_or_rescue(result.image, args.output, alpha, bits=args.bits, dpi=dpi)
        if args.report:
            text = json.dumps(_report(args, result), indent=2, allow_nan=False) + "\n"
            try:
                write_whole(args.report, lambda file: file.write(text.encode()))
            except (OSError, ValueError) as error:
                raise ValueError(f"{error}; the picture is in {path}") from None
    if not args.quiet:  # the picture is there, whether that can be said or not
        tell(f"{path}  ({result.steps} steps, {result.seconds:.1f} s on {result.device})")
    if args.open:
        open_picture(path)
    if result.interrupted:
        say(f"interrupted; the picture so far is in {path}")
        return exit_code()
    if result.trouble:
        say(f"the last good picture is in {path}")
        return COULD_NOT_GO_ON
    return 0


def _photograph(args: Namespace) -> str:
    return str(args.content if "content" in args else args.image)


def _report(args: Namespace, result: Result) -> dict[str, Any]:
    """The report; for one picture its losses are lists of numbers, for several lists of lists."""
    left_out = ("run", "quiet", "open")
    asked = {k: v for k, v in vars(args).items() if k not in left_out and v is not None}
    files = ("content", "style", "image", "init", "masks", "style_masks")
    pictures = {k: asked[k] for k in files if k in asked}
    if len(asked.get("style", [])) == 1:
        pictures["style"] = asked["style"][0]
    of_network = preset(args.preset).network_settings(**_network_options(args))
    config = asked | result.settings | pictures | of_network
    config["network"] = network_name(args)
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
    for name in PAPER_LOSSES:
        # JSON knows no NaN, which the losses of a picture that could not go on may be.
        rows = [
            [x if math.isfinite(x) else None for x in row] for row in result.history[name].tolist()
        ]
        report[name] = [row[0] for row in rows] if result.history[name].shape[1] == 1 else rows
    return report


def demo_arguments(output: str, device: str) -> list[str]:
    """The ``nst transfer`` that shows most on this device in a few minutes.

    Sized so that two processor cores need under three minutes.
    """
    pictures = []
    for name in ("chenonceau", "starry-night"):  # ours, also where a file is called so
        pictures.append(str(samples()[name].path) if Path(name).is_file() else name)
    size = "448" if checks.device(device).type == "cpu" else "512"
    return [
        *("transfer", *pictures, "--output", output, "--size", size),
        *("--precision", "auto", "--device", device),
    ]
