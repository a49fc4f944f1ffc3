"""What has happened in a run so far, as it goes into a result, and as plain values into a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nst_utils.objective.rows import Weighting

Losses = dict[str, Tensor]


class Trouble(NamedTuple):
    """What befell a picture (0, 1, ...), or all of them (``None``)."""

    sentence: str
    picture: int | None = None
    at_the_end: bool = False  # and of no account where more steps follow


@dataclass
class Record:
    """What has happened in a run so far."""

    at_start: Losses = field(default_factory=dict)
    history: list[Losses] = field(default_factory=list)
    evaluations: list[int] = field(default_factory=list)  # of each level
    levels: list[tuple[int, int, int]] = field(default_factory=list)  # height, width, steps
    weighting: Weighting = field(default_factory=Weighting)  # what has changed since the start
    reweighed: list[tuple[int, Weighting]] = field(default_factory=list)
    comparable: int = 0  # losses from here on are of one size and one weighting
    level: int = -1  # the one that goes on, by its place in the run's plan; -1 before the first
    seconds: float = 0.0
    troubles: list[Trouble] = field(default_factory=list)
    finished: bool = False

    @property
    def made(self) -> int:
        """How many steps were made; the losses of the last ones may not be known yet."""
        return sum(made for *_, made in self.levels)

    def history_of(self, names: Sequence[str], rows: int) -> Losses:
        """name -> (steps, rows) float64."""
        return {
            name: torch.stack([losses[name] for losses in self.history])
            if self.history
            else torch.zeros(0, rows, dtype=torch.float64, device="cpu")
            for name in names
        }

    def plain(self, names: Sequence[str], rows: int) -> tuple[Losses, dict[str, Any]]:
        """Tensors by name, and values that JSON can hold, for :meth:`of`."""
        history = self.history_of(names, rows)
        tensors = {f"history/{name}": losses for name, losses in history.items()}
        tensors |= {f"start/{name}": losses for name, losses in self.at_start.items()}
        return tensors, asdict(replace(self, at_start={}, history=[]))

    def trouble_of(self, picture: int) -> str:
        """The sentences on that picture (0, 1, ...), and those on all."""
        return "; ".join(each.sentence for each in self.troubles if each.picture in (None, picture))

    def go_on(self) -> None:
        """Undo what was recorded at the end: more steps follow."""
        self.finished = False
        self.troubles = [each for each in self.troubles if not each.at_the_end]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Record:
        """The record of which :meth:`plain` gave these, among others."""
        history = part("history", tensors)
        steps = range(len(history["total_loss"]))
        read: dict[str, Any] = {
            "at_start": part("start", tensors),
            "history": [{name: losses[i] for name, losses in history.items()} for i in steps],
            "levels": [(height, width, made) for height, width, made in values["levels"]],
            "weighting": Weighting(**values["weighting"]),
            "reweighed": [(number, Weighting(**new)) for number, new in values["reweighed"]],
            "troubles": [Trouble(*each) for each in values.get("troubles", [])],
        }
        own: dict[str, Any] = {each.name: values.get(each.name) for each in fields(cls)}
        return cls(**own | read)


def part(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``name/``, without that."""
    start = f"{name}/"
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
