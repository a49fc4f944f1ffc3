"""One picture that is to be made, as plain values and paths, so that any process can make it.

Everything is checked here that can be without torch, which takes seconds to load.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from nst_utils.experiments.complete_settings import OF_NETWORK, OF_TRANSFER
from nst_utils.experiments.defaults import INITS, PRESERVE_COLORS
from nst_utils.experiments.presets import preset
from nst_utils.images.names import MAX_SEED, find_picture, samples
from nst_utils.networks.architectures import (
    ARCHITECTURES,
    POOLINGS,
    PRECISIONS,
    check_layers,
    check_reading,
)
from nst_utils.objective.formulas import STYLE_STATISTICS
from nst_utils.optimize.settings import Settings, checked_shares
from nst_utils.support import checks
from nst_utils.support.paths import user_path
from nst_utils.support.quick import is_quick

SETTINGS = (
    "content",
    "style",
    "size",
    "style_size",
    "preset",
    "network",
    *OF_NETWORK,
    *OF_TRANSFER,
    "photorealistic",
)
# What a picture's settings say only where it is so.
_MARKS = ("quick", "photorealistic")
SIZE = 512  # longest side in pixels, where none is given


@dataclass(frozen=True)
class Job:
    """One picture that is to be made.

    Attributes:
        name: of its file, without an ending.
        what: all that decides what it looks like, plain values; pictures by name and SHA-256.
        files: where the pictures are: ``content``, ``style`` and whichever else there are.
        device: where it is to be made.
    """

    name: str
    what: Mapping[str, Any]
    files: Mapping[str, Any]
    device: str = "auto"

    @property
    def digest(self) -> str:
        """Of what decides the picture; another name of the same file makes no difference."""
        return _digest_of(self.what)

    def is_told_by(self, settings: Mapping[str, Any] | None) -> bool:
        """Whether the settings that were found in a picture are those of this job."""
        if settings is None or settings.get("trouble"):
            return False
        told = {name: settings[name] for name in (*self.what, *_MARKS) if name in settings}
        return _digest_of(told) == self.digest


def _digest_of(what: Mapping[str, Any]) -> str:
    plain = json.dumps(_without_names(json.loads(json.dumps(what))), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def _without_names(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_names(each) for key, each in value.items() if key != "file"}
    return [_without_names(each) for each in value] if isinstance(value, list) else value


def make_job(name: str, given: Mapping[str, Any], network: str | None = None) -> Job:
    """The job of one row of a table.

    Args:
        name: of the picture's file. given: settings by name; what is not there is the preset's.
        network: the name of one that the caller brings, instead of one of ours.

    Raises:
        ValueError, FileNotFoundError: what cannot be used.
    """
    for setting in given:
        checks.one_of("setting", setting, SETTINGS)
    rest = {setting: value for setting, value in given.items() if value is not None}
    theirs = preset(rest.pop("preset", "paper"))
    paintings = rest.pop("style")
    paintings = paintings if isinstance(paintings, list) else [paintings]
    files: dict[str, Any] = {"content": rest.pop("content"), "style": paintings}
    size = checks.count("size", rest.pop("size", SIZE))
    style_size = checks.count("style_size", rest.pop("style_size", size))
    device = str(rest.pop("device", "auto"))
    photorealistic = checks.flag("photorealistic", rest.pop("photorealistic", False))
    of_network = {key: rest.pop(key) for key in ("network", *OF_NETWORK) if key in rest}
    if network is not None and of_network:
        raise ValueError(f"{next(iter(of_network))} is of no use beside net; leave one of them out")
    settings = theirs.transfer_settings(**{"seed": 0, **rest})
    if network is None:
        net = _checked_network(theirs, of_network)
        if net["weights"] not in ("bundled", "torchvision"):
            files["weights"], net["weights"] = net["weights"], "file"
    else:
        net = {"given": network}
    _check(settings, len(paintings), None if network is not None else str(net["network"]))
    files |= {each: settings.pop(each) for each in ("masks", "style_masks") if settings.get(each)}
    if settings["init"] not in INITS:
        files["init"] = settings.pop("init")
    files = {each: _found(each, value) for each, value in files.items()}
    what = {each: _named(value) for each, value in files.items()}
    what |= {"size": size, "style_size": style_size, "network": net, "settings": settings}
    marks = dict(zip(_MARKS, (is_quick(), photorealistic), strict=True))
    what |= {mark: True for mark, holds in marks.items() if holds}
    return Job(name, what, files, device)


def _found(name: str, given: Any) -> Any:
    """The files that are meant, as paths that do not depend on the current folder."""
    if isinstance(given, list):
        return [_found(name, each) for each in given]
    if not isinstance(given, (str, Path)):
        raise ValueError(
            f"{name} must be the name of a picture file or of a bundled picture, which every "
            f"process can load for itself, got {checks.shown(given)}; save it first (save_image)"
        )
    if name == "weights":
        path = user_path(given)
        if not path.is_file():
            raise FileNotFoundError(f"there is no weights file {path}; check the path")
        return str(path.resolve())
    try:
        return str(find_picture(given).resolve())
    except FileNotFoundError as error:
        if name == "init":
            raise ValueError(f"init is {', '.join(INITS)} or a picture; {error}") from None
        raise


def _named(path: Any) -> Any:
    if isinstance(path, list):
        return [_named(each) for each in path]
    return {"file": Path(path).name, "sha256": _sha256(Path(path))}


def _sha256(path: Path) -> str:
    """Of a file; of one that cannot be read, why. Whoever loads it says so in a sentence."""
    try:
        if not path.is_file():
            return "no file"
        stat = path.stat()
        return _sha256_as_of(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        return str(error.strerror)


@lru_cache(maxsize=4096)
def _sha256_as_of(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked_network(theirs: Any, given: dict[str, Any]) -> dict[str, Any]:
    name = checks.one_of("network", given.get("network", theirs.network), tuple(ARCHITECTURES))
    settings = theirs.network_settings(**given)
    checks.one_of("pooling", settings["pooling"], POOLINGS)
    checks.one_of("precision", settings["precision"], PRECISIONS)
    check_reading(ARCHITECTURES[name], settings["normalized"], settings["padding"])
    return {"network": name} | settings | {"weights": str(settings["weights"])}


def _check(settings: Mapping[str, Any], paintings: int, network: str | None) -> None:
    """What a run would refuse only when its turn has come."""
    for name in ("content_layers", "style_layers"):
        if network is not None:
            layers = settings[name]
            layers = [layers] if isinstance(layers, str) else list(layers)
            try:
                check_layers(layers, known=ARCHITECTURES[network].layers)
            except ValueError as error:
                raise ValueError(f"{name} names layers of {network}: {error}") from None
    for name in ("content_weight", "style_weight", "tv_weight"):
        checks.weight(name, settings[name])
    statistics = settings.get("style_statistics", STYLE_STATISTICS[0])
    checks.one_of("style_statistics", statistics, STYLE_STATISTICS)
    if not settings["content_weight"] and not settings["style_weight"]:
        raise ValueError("content_weight and style_weight are both 0; raise one of them")
    names = ("steps", "optimizer", "learning_rate", "tolerance", "exact")
    Settings(**{name: settings[name] for name in names if name in settings})
    if settings["smaller_first"]:
        checked_shares(settings["smaller_first"], settings["steps"])
    checks.count("seed", settings.get("seed", 0), 0, MAX_SEED)
    if settings.get("preserve_color") is not None:
        checks.one_of("preserve_color", settings["preserve_color"], PRESERVE_COLORS)
    _check_number("style_layer_weights", settings, len(settings["style_layers"]), "style layers")
    for name in ("style_blend", "masks", "style_masks"):
        _check_number(name, settings, paintings, "paintings")
    if paintings > 1 and not (settings.get("style_blend") or settings.get("masks")):
        raise ValueError(
            f"{paintings} paintings are given for one picture; say with style_blend what share "
            "each has, or with masks where each belongs"
        )


def _check_number(name: str, settings: Mapping[str, Any], number: int, of: str) -> None:
    given = settings.get(name)
    if given is not None and (not isinstance(given, Sequence) or len(given) != number):
        got = len(given) if isinstance(given, Sequence) else checks.shown(given)
        raise ValueError(f"{name} has {got} values for {number} {of}; give one for each")


def shown_name(path: str) -> str:
    """A picture's file as people call it: a bundled one by its name, others by theirs."""
    for name, sample in samples().items():
        if str(sample.path.resolve()) == path:
            return name
    return Path(path).stem
