"""What is on record of a run that goes on: the losses of its steps as they arrive, and its trouble.

The losses of a step are known once they have come from the device, some steps later (see
:mod:`nst_utils.optimize.late`); on a CPU that is at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nst_utils.objective.table import PAPER_LOSSES, Objective
from nst_utils.optimize import diagnosis
from nst_utils.optimize.late import Late
from nst_utils.optimize.optimizer import Optimizer
from nst_utils.optimize.records import Losses, Record, Trouble
from nst_utils.support.messages import say

# Steps over which a loss must fall for the run to go on, where it may end early.
_WINDOW = 10


class Account:
    """Keeps the record of one run.

    Args:
        columns: names of the loss terms.

    Attributes:
        record: what is known so far. names: of the losses.
        all_broken: whether no picture can go on.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.names = (*PAPER_LOSSES, *columns)
        self.record = Record()
        self.all_broken = False
        self._late = Late()
        self._last: Tensor | None = None  # the terms of the step that was made last

    def level_begins(self, objective: Objective, optimizer: Optimizer) -> None:
        """Put on record that a level begins, whose pictures were evaluated once."""
        record = self.record
        losses = self._named(objective.paper_losses(optimizer.terms))
        record.at_start = record.at_start or losses
        record.evaluations.append(optimizer.evaluations)
        height, width = optimizer.images.shape[2:]
        record.levels.append((height, width, 0))
        record.comparable = record.made  # losses at another size say nothing about these

    def step_made(self, optimizer: Optimizer) -> None:
        """Begin to copy the losses of a step to the processor."""
        self._last = optimizer.terms.clone()
        self._late.put(torch.cat([self._last, optimizer.broken[:, None]], dim=1))
        self.record.evaluations[-1] = optimizer.evaluations
        height, width, made = self.record.levels[-1]
        self.record.levels[-1] = (height, width, made + 1)

    def read(self, objective: Objective | None, images: Tensor, *, wait: bool = False) -> None:
        """Take in the steps of a level that have arrived, or all of them.

        Args:
            objective: of the level. images: the pictures now.

        Raises:
            ValueError: not one picture has a finite loss, and none had one at the start.
        """
        for told in self._late.all() if wait else self._late.ready():
            assert objective is not None
            terms, broken = told[:, :-1], told[:, -1] > 0
            self.record.history.append(self._named(objective.paper_losses(terms)))
            self._tell_of_broken(broken, objective, images)
            if broken.all():  # no picture has moved since
                self.all_broken = True
                self._late.drop()
                height, width, made = self.record.levels[-1]
                too_many = self.record.made - len(self.record.history)
                self.record.levels[-1] = (height, width, made - too_many)
                return

    def reader(self, objective: Objective) -> Callable[[], Losses]:
        """What reads the losses of the step that was made last, whenever it is asked."""
        terms = self._last
        assert terms is not None
        return lambda: self._named(objective.paper_losses(terms))

    def has_settled(self, tolerance: float | None) -> bool:
        """Whether the loss of every picture fell by less than this fraction lately."""
        history = self.record.history[self.record.comparable :]
        if tolerance is None or len(history) <= _WINDOW:
            return False
        before, now = history[-1 - _WINDOW]["total_loss"], history[-1]["total_loss"]
        return bool((before - now <= tolerance * before.abs()).all())

    def note(self, trouble: Trouble) -> None:
        """Put it on record, and say it."""
        self.record.troubles.append(trouble)
        say(trouble.sentence)

    def _tell_of_broken(self, broken: Tensor, objective: Objective, images: Tensor) -> None:
        """Say why pictures cannot go on, each once, after the step that was read last."""
        number = len(self.record.history)
        for picture in broken.nonzero().flatten().tolist():
            if not any(each.picture == picture for each in self.record.troubles):
                which = f"picture {picture + 1} cannot go on"
                why = _why_broken(objective, images, picture)
                began = number > 1 or self.record.at_start["total_loss"].isfinite().any()
                if broken.all() and not began:
                    raise ValueError(f"{which}: {why}")
                self.note(Trouble(f"{which} after step {number}: {why}", picture))

    def _named(self, losses: Losses) -> Losses:
        """The losses that are told of, NaN for those that a level does not have."""
        missing = torch.full_like(losses["total_loss"], torch.nan)
        return {name: losses.get(name, missing) for name in self.names}


def _why_broken(objective: Objective, images: Tensor, picture: int) -> str:
    try:
        return diagnosis.describe(objective, images, picture)
    except (MemoryError, RuntimeError):  # looking takes more memory than a step
        return "its loss is not finite, and it could not be looked at where that begins"
