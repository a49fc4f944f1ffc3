"""Settings with several values each, and the table of all pictures that come of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_utils.support import checks

# Of these, one value is a list already; several are a list of lists.
LISTS = (
    *("content_layers", "style_layers", "style_layer_weights", "style_blend"),
    *("masks", "style_masks"),
)


@dataclass(frozen=True)
class Axis:
    """What varies: a setting, or several that walk together.

    Attributes:
        name: of the setting; of several, separated by commas.
        labels: of its values.
    """

    name: str
    labels: tuple[str, ...]


def values(name: str, given: Any, is_list: bool | None = None) -> list[Any]:
    """The values of a setting, one or several; ``ValueError`` where there is none.

    Args:
        name: of the setting. given: as a user gives it.
        is_list: whether one value is a list already; by default as :data:`LISTS` says.
    """
    is_list = name in LISTS if is_list is None else is_list
    if isinstance(given, Mapping) or not checks.is_several(given):
        return [_plain(given)]
    found = list(given)
    if not found:
        raise ValueError(f"{name} holds no value; give at least one")
    inside = [isinstance(each, Mapping) or checks.is_several(each) for each in found]
    if is_list and not any(inside):
        return [[_plain(each) for each in found]]
    if is_list and not all(inside):
        raise ValueError(f"{name} must be one list, or a list of lists, got {checks.shown(given)}")
    return [_plain(each) for each in found]


def _plain(value: Any) -> Any:
    """Python's own numbers for those of NumPy and torch; lists for what else holds several."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(each) for key, each in value.items()}
    if checks.is_several(value):
        return [_plain(each) for each in value]
    return value.item() if hasattr(value, "item") and not isinstance(value, str) else value


def table(
    settings: Mapping[str, list[Any]], zipped: bool = False
) -> tuple[list[Axis], list[dict[str, Any]]]:
    """What varies, and one dict of settings for each picture; the last setting varies fastest.

    Args:
        settings: name -> its values, at least one.
        zipped: the lists walk together, first with first and second with second, instead of each
            value with each.

    Raises:
        ValueError: lists of different lengths that are to walk together.
    """
    several = {name: each for name, each in settings.items() if len(each) > 1}
    if not zipped:
        axes = [Axis(name, tuple(map(label, each))) for name, each in several.items()]
        rows = [
            dict(zip(settings, row, strict=True)) for row in itertools.product(*settings.values())
        ]
        return axes, rows
    lengths = {name: len(each) for name, each in several.items()}
    if len({*lengths.values()}) > 1:
        told = ", ".join(f"{name}: {number}" for name, number in lengths.items())
        raise ValueError(
            f"settings that walk together need as many values each ({told}); give one for each "
            "picture, or leave zipped out for every value with every other"
        )
    number = max([1, *lengths.values()])
    rows = [
        {name: each[i if len(each) > 1 else 0] for name, each in settings.items()}
        for i in range(number)
    ]
    if not several:
        return [], rows
    labels = tuple(", ".join(label(each[i]) for each in several.values()) for i in range(number))
    return [Axis(", ".join(several), labels)], rows


def label(value: Any) -> str:
    """A value in a few characters: a picture by its name, a number without zeros.

    >>> label(1e-3), label("photos/a.jpg"), label(["conv1_1", "conv2_1"]), label({"conv1_1": 0.5})
    ('0.001', 'a', 'conv1_1,conv2_1', 'conv1_1:0.5')
    """
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ",".join(f"{label(key)}:{label(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(label, value))
    path = Path(str(value))
    return path.stem if path.suffix else str(value)
