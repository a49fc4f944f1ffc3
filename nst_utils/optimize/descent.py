"""The steps of one run, level by level, and all that has to be known to go on with it later."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nst_utils.images.files import resize
from nst_utils.objective.rows import Weighting
from nst_utils.objective.table import Objective
from nst_utils.optimize.adam import Adam
from nst_utils.optimize.coarse_to_fine import Level
from nst_utils.optimize.lbfgs import LBFGS
from nst_utils.optimize.records import Losses, Record, part

# Makes the optimizer of an objective, beginning with these pictures.
MakeOptimizer = Callable[[Objective, Tensor], LBFGS | Adam]


class Descent:
    """One run: :meth:`step` until it says that there is nothing left to do.

    Args:
        plan: the levels, coarsest first, and how many steps each gets.
        images: (B, 3, H, W), where the pictures begin.
        make_optimizer: see there.
        rates: step -> learning rate from then on, for Adam.
        tolerance: see :func:`nst_utils.optimize.loop.minimize`.

    Attributes:
        images: (B, 3, h, w), the pictures after the last whole step, in the size of their level.
        record: what has happened so far.
        names: of the losses.
    """

    def __init__(
        self,
        plan: Sequence[tuple[Level, int]],
        images: Tensor,
        make_optimizer: MakeOptimizer,
        rates: Mapping[int, float],
        tolerance: float | None,
        columns: Sequence[str],
    ) -> None:
        self._plan = plan
        self._make_optimizer = make_optimizer
        self._rates = rates
        self._tolerance = tolerance
        self.size = plan[-1][0].size
        self.names = ("content_loss", "style_loss", "total_loss", *columns)
        self.images = self._best = images
        self.record = Record()
        self._here: Objective | None = None
        self._mover: LBFGS | Adam | None = None
        self._begun = time.perf_counter()

    @property
    def number(self) -> int:
        """How many steps were made."""
        return len(self.record.history)

    @property
    def done(self) -> int:
        """The pixels that all steps so far have moved."""
        return sum(height * width * made for height, width, made in self.record.levels)

    @property
    def total(self) -> int:
        """The pixels that will have been moved at the end, unless a level is left early."""
        level, steps = self._plan[max(0, self.record.level)]
        to_come = self._plan[self.record.level + 1 :]
        left = sum(_pixels(level) * steps for level, steps in to_come)
        if self._here is not None and not self.record.finished:
            left += (steps - self.record.levels[-1][2]) * _pixels(level)
        return self.done + left

    @property
    def seconds(self) -> float:
        """How long it has taken so far, with what went before a resumption."""
        return self.record.seconds + time.perf_counter() - self._begun

    @property
    def at_full_size(self) -> Tensor:
        """(B, 3, H, W), a copy of the pictures as they would be if the run ended now."""
        return at_size(self.images, self.size).clone()

    @property
    def best(self) -> Tensor:
        """(B, 3, H, W), those of the lowest loss so far."""
        return at_size(self._best, self.size).clone()

    @property
    def broken(self) -> Tensor:
        """(B,), which pictures cannot go on."""
        assert self._mover is not None
        return self._mover.broken

    @property
    def here(self) -> tuple[Objective, Tensor]:
        """The table of the level that is going on, and its pictures as they were last seen."""
        assert self._here is not None
        return self._here, self.images

    def step(self) -> bool:
        """Make the next step; ``False`` if there is none."""
        while self._is_level_over():
            if not self._enter_next_level():
                return self._finish()
        here, mover = self._here, self._mover
        assert here is not None
        assert mover is not None
        if isinstance(mover, Adam):
            latest = max(step for step in self._rates if step <= self.number + 1)
            mover.set_learning_rate(self._rates[latest])
        mover.step()
        # Everything after this line is quick: an interrupt hardly ever falls in here.
        self.images, self._best = mover.images, mover.best
        self.record.history.append(self._named(here.paper_losses(mover.terms)))
        self.record.evaluations[-1] = int(mover.evaluations.max())
        height, width, made = self.record.levels[-1]
        self.record.levels[-1] = (height, width, made + 1)
        return True

    def reweigh(self, new: Weighting) -> None:
        """Go on with other weights; ``ValueError`` for some that cannot be."""
        assert self._here is not None
        assert self._mover is not None
        self._here = self._weighed(self._here, new, self.record.level)
        new = new.in_floats
        self.record.weighting = self.record.weighting.then(new)
        self.record.reweighed.append((self.number, new))
        if self._here is not None:
            self.record.comparable = self.number
            self._mover.go_on_with(self._here.evaluate)
            self._best = self._mover.best
            self.record.evaluations[-1] = int(self._mover.evaluations.max())

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors by name, and plain values: with them :meth:`restore` goes on as if nothing had
        happened. Of a finished run only its pictures and losses."""
        tensors, values = self.record.plain(self.names, rows=len(self.images))
        tensors |= {"images": self.images}
        if self._here is not None and self._mover is not None and not self.record.finished:
            tensors |= {f"optimizer/{name}": each for name, each in self._mover.state().items()}
        tile = None if self._here is None else self._here.tile
        return tensors, values | {"seconds": self.seconds, "tile": tile}  # memory may have run out

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Go on from where :meth:`state` was taken, of the same problem."""
        self.record = Record.of(tensors, values)
        self.images = self._best = tensors["images"].to(self.images)
        of_optimizer = part("optimizer", tensors)
        if of_optimizer:
            level = self._plan[self.record.level][0]
            self._here = self._weighed(level.objective(), self.record.weighting, self.record.level)
            assert self._here is not None
            self._here.tile = min(filter(None, (self._here.tile, values["tile"])), default=None)
            self._mover = self._make_optimizer(self._here, self.images)
            self._mover.restore(of_optimizer)
            self.images, self._best = self._mover.images, self._mover.best

    def _is_level_over(self) -> bool:
        if self._here is None:
            return True
        made, asked = self.record.levels[-1][2], self._plan[self.record.level][1]
        return made == asked or self._has_settled()

    def _enter_next_level(self) -> bool:
        record = self.record
        if record.level + 1 == len(self._plan):
            return False
        record.level += 1
        level = self._plan[record.level][0]
        self._here = self._mover = None  # their memory goes before the next ones' is taken
        here = self._weighed(level.objective(), record.weighting, record.level)
        if here is None:
            return True
        self.images = self._best = at_size(self.images, level.size)
        self._mover = self._make_optimizer(here, self.images)
        record.at_start = record.at_start or self._named(here.paper_losses(self._mover.terms))
        record.evaluations.append(int(self._mover.evaluations.max()))
        record.levels.append((*level.size, 0))
        record.comparable = self.number
        self._here = here
        return True

    def _finish(self) -> bool:
        """Of a picture that ended worse than it began, the best on the way counts."""
        if self._mover is not None:
            for picture in self._mover.diverged.nonzero().flatten().tolist():
                self.images = self.images.clone()
                self.images[picture] = self._best[picture]
                self.record.trouble.append(
                    f"the loss of picture {picture + 1} ended higher than it began, its best one "
                    "on the way is kept; take a smaller learning_rate (0.02 is the default)"
                )
        self.record.finished = True
        return False

    def _weighed(self, objective: Objective, new: Weighting, level: int) -> Objective | None:
        """The table with other weights; ``None`` for a coarse level where nothing would count."""
        try:
            return objective.reweighed(new)
        except ValueError:
            if level + 1 == len(self._plan):
                raise
            return None

    def _named(self, losses: Losses) -> Losses:
        """The losses that are told of, NaN for those that a level does not have."""
        missing = torch.full_like(losses["total_loss"], torch.nan)
        return {name: losses.get(name, missing) for name in self.names}

    def _has_settled(self, window: int = 10) -> bool:
        history = self.record.history[self.record.comparable :]
        if self._tolerance is None or len(history) <= window:
            return False
        before, now = history[-1 - window]["total_loss"], history[-1]["total_loss"]
        return bool((before - now <= self._tolerance * before.abs()).all())


def at_size(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The pictures in that size, on their device."""
    if tuple(images.shape[2:]) == size:
        return images
    return resize(images.cpu(), size).to(images)  # on the CPU: not every device can do it


def _pixels(level: Level) -> int:
    return level.size[0] * level.size[1]
