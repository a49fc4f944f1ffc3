"""What a run tells while it goes on, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor


class LateLosses(Mapping[str, Tensor]):
    """Losses that are read from the device when somebody looks at them."""

    def __init__(self, read: Callable[[], Mapping[str, Tensor]]) -> None:
        self._read: Callable[[], Mapping[str, Tensor]] | None = read
        self._losses: Mapping[str, Tensor] = {}

    @property
    def _known(self) -> Mapping[str, Tensor]:
        if self._read is not None:
            self._losses, self._read = self._read(), None  # which holds on to much else
        return self._losses

    def __getitem__(self, name: str) -> Tensor:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return repr(dict(self._known))


class Step(NamedTuple):
    """What a callback is told after each step."""

    number: int  # 1, 2, ...
    images: Tensor  # (B, 3, H, W), a copy, on the device; of full size on coarse levels too
    # As in Result.history, each (B,). Reading them makes a GPU wait for that moment.
    losses: Mapping[str, Tensor]
    done: float = 0.0  # how much of the work is done, 0..1; a coarse step is less than a full one


Callback = Callable[[Step], object]


@dataclass
class Result:
    """What a run returns.

    Attributes:
        image: (B, 3, H, W) float32 on the CPU, RGB, 0..1: the pictures.
        history: name -> (steps, B) float64, the losses after each step in the paper's units:
            ``content_loss`` (eq. 1 of each content layer, weighted and added), ``style_loss``
            (eq. 5), ``total_loss`` (eq. 7), and each term by itself (``content/conv4_2``, eq. 1;
            ``style/conv1_1``, eq. 4, ...; NaN where a picture has no such term). On a level of
            :mod:`nst_utils.optimize.coarse_to_fine` they are that level's.
        start: name -> (B,), the same losses before the first step.
        settings: every setting that was used.
        device: where it ran. seconds: the optimization alone.
        evaluations: of loss and gradient; each is one of every picture.
        peak_memory_bytes: of the GPU during the run; on a CPU the most that the process has used
            so far; ``None`` where the system does not tell.
        levels: (height, width, steps) of each level, coarsest first; one for an exact run.
        interrupted: whether it was stopped (Ctrl-C, or the notebook's stop button); then ``image``
            holds of each picture the one of the lowest total loss so far.
        trouble: a sentence on why pictures could not go on to the end, empty if all did; ``image``
            holds the last good ones.
        troubles: the same for each picture.
        resumed: after how many steps the run was taken up from its checkpoint; 0 if it was not.
    """

    image: Tensor
    history: dict[str, Tensor]
    start: dict[str, Tensor]
    settings: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    seconds: float = 0.0
    evaluations: int = 0
    peak_memory_bytes: int | None = None
    levels: list[tuple[int, int, int]] = field(default_factory=list)
    interrupted: bool = False
    trouble: str = ""
    troubles: list[str] = field(default_factory=list)
    resumed: int = 0

    def __repr__(self) -> str:
        """A few lines: what was made, where, how, and what became of the losses."""
        first, last = self.start.get("total_loss"), self.history["total_loss"][-1:]
        losses = (
            ", ".join(f"{a:.3g} to {b:.3g}" for a, b in zip(first, last[0], strict=True))
            if first is not None and len(last)
            else "none yet"
        )
        ended = self.trouble or ("interrupted" if self.interrupted else "")
        return (
            f"Result: {len(self.image)} of {self.image.shape[3]}x{self.image.shape[2]} px, "
            f"{self.steps} steps in {self.seconds:.1f} s on {self.device}\n"
            f"total_loss: {losses}" + (f"\n{ended}" if ended else "")
        )

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return len(self.history["total_loss"])


def plain_settings(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an experiment as they go into the result: plain values only."""
    left_out = ("net", "callback", "progress", "checkpoint")
    return {k: _plain(v) for k, v in arguments.items() if k not in left_out}


def listed(*values: Any) -> tuple[Any, ...]:
    """The values, an iterator as a list: it can be gone through only once."""
    return tuple(list(each) if isinstance(each, Iterator) else each for each in values)


def _plain(value: Any) -> Any:
    """As JSON and pickle take it: a picture by its size, NumPy's numbers as Python's."""
    if isinstance(value, (Tensor, np.ndarray)) and value.ndim >= 2:  # masks may be (H, W)
        return f"picture {value.shape[-1]}x{value.shape[-2]}"
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        plain_keys = (_plain(key) for key in value)
        keys = (key if isinstance(key, (str, int, float)) else str(key) for key in plain_keys)
        return dict(zip(keys, map(_plain, value.values()), strict=True))
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)  # a path, a device
