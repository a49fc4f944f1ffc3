"""The sizes that can be chosen in the studio, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nst_utils.app.layout import text
from nst_utils.app.sentences import paragraph
from nst_utils.experiments.defaults import DPI
from nst_utils.experiments.large import Demand, is_large
from nst_utils.images.names import samples
from nst_utils.support.messages import duration, gigabytes

SIZES = (128, 192, 256, 320, 384, 448, 512, 640, 768, 1024, 1536, 2048, 3072, 4096)
_CENTIMETERS = 2.54  # of an inch


def options(most: int | None, also: int) -> list[tuple[str, int]]:
    """What the control offers: labels and sizes, up to ``most``, and ``also`` that one."""
    sizes = {size for size in SIZES if most is None or size <= most}
    return [(_label(size), size) for size in sorted({*sizes, also})]


def _label(size: int) -> str:
    """A large one with what it is in print.

    >>> _label(1024), _label(2048)
    ('1024', '2048 (17 cm at 300 dpi)')
    """
    if not is_large((size,)):
        return str(size)
    return f"{size} ({size * _CENTIMETERS / DPI:.0f} cm at {DPI} dpi)"


def enlarged(size: int, content: str, style: str, uploaded: Mapping[str, Tensor]) -> str:
    """A sentence on which of the two pictures are smaller than the size; empty where none is."""
    said = []
    for what, name in (("photograph", content), ("painting", style)):
        height, width = _own_size(name, uploaded)
        times = size / max(height, width)
        if times >= 1.05:
            said.append(f"the {what} ({width}x{height} px) is enlarged {times:.1f} times")
    sentence = " and ".join(said)
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""


def _own_size(name: str, uploaded: Mapping[str, Tensor]) -> tuple[int, int]:
    """(height, width) before it is scaled."""
    if name in uploaded:
        return uploaded[name].shape[2], uploaded[name].shape[3]
    return samples()[name].height, samples()[name].width


class Takes:
    """The line that says what a large picture takes; empty for any other."""

    def __init__(self) -> None:
        self._demand: Demand | None = None
        self.widget = text("nst-takes")

    def __call__(self, demand: Demand, seconds: float | None) -> None:
        """Say it; in the working thread, before it is begun."""
        self._demand = demand
        self.widget.value = paragraph(takes(demand, seconds))

    def clear(self) -> None:
        """Of another picture it is not known."""
        self._demand, self.widget.value = None, ""

    def side_at(self, step: int) -> int | None:
        """The longest side at which that step is made, where it is known."""
        return None if self._demand is None else self._demand.side_at(step)


def takes(demand: Demand, seconds: float | None) -> str:
    """What a large picture takes, in a sentence; its time is ``None`` while that is measured."""
    (height, width), first = demand.size, [f"{side} px" for side, _ in demand.stages[:-1]]
    in_tiles = f" in tiles of {demand.tile} px" if demand.tile else ""
    begun = f", begun at {', then '.join(first)}" if first else ""
    long = "a few steps are timed now" if seconds is None else f"about {duration(seconds)}"
    return (
        f"{width}x{height} px{begun}: about {gigabytes(demand.need)} of memory{in_tiles} "
        f"({gigabytes(demand.free)} are free), and {long}."
    )
