"""The steps of one run, level by level, and all that has to be known to go on with it later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from nst_utils.objective.rows import Weighting
from nst_utils.objective.table import Objective
from nst_utils.optimize.account import Account
from nst_utils.optimize.coarse_to_fine import Level, at_size, plan, plan_again
from nst_utils.optimize.optimizer import Optimizer
from nst_utils.optimize.recorded import fastest_convolutions
from nst_utils.optimize.records import Record, Trouble, part
from nst_utils.optimize.results import LateLosses, Step
from nst_utils.optimize.settings import Settings
from nst_utils.support import checks

# Makes the optimizer of an objective, beginning with these pictures.
MakeOptimizer = Callable[[Objective, Tensor], Optimizer]


class Descent:
    """One run. ``for number in descent`` makes the steps that are left, 1, 2, ...

    Args:
        levels: coarsest first. steps: how many they get altogether.
        images: (B, 3, H, W), where the pictures begin.
        make_optimizer: see ``MakeOptimizer``.
        tolerance: see :func:`nst_utils.minimize`.
        columns: names of the loss terms.

    Attributes:
        images: (B, 3, h, w), the pictures after the last whole step, in the size of their level.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        steps: int,
        images: Tensor,
        make_optimizer: MakeOptimizer,
        tolerance: float | None,
        columns: Sequence[str],
    ) -> None:
        self._levels, self._steps = levels, steps
        self._plan = plan(levels, steps)  # each level with its number of steps
        self._make_optimizer = make_optimizer
        self._tolerance = tolerance
        self._size = levels[-1].size
        self.images = self._best = images
        self._account = Account(columns)  # which keeps the record
        self._failed = False
        self._at_work: tuple[Objective, Optimizer] | None = None  # of the level that is going on
        self._begun = time.perf_counter()

    def __iter__(self) -> Iterator[int]:
        """Make step after step, until all are made or no picture can go on.

        Raises:
            ValueError: not one picture has a finite loss at the start.
            MemoryError, RuntimeError: memory or the device failed before a step was made; later,
                that is on record, and the iteration ends.
        """
        with self._fault_on_record():
            while self._level_goes_on() or self._enter_next_level():
                self._make_step()
                if self._account.all_broken:
                    return
                yield self.number
                # Known by now where the losses were caught up with.
                if self._failed or self._account.all_broken:
                    return
            if not self._account.all_broken:
                self._finish()

    @property
    def objective(self) -> Objective | None:
        """Of the level that goes on, or was the last; its network may have been moved since."""
        return None if self._at_work is None else self._at_work[0]

    @property
    def number(self) -> int:
        """How many steps were made."""
        return self.record.made

    @property
    def record(self) -> Record:
        """What has happened so far; the losses of the last steps may not be known yet."""
        return self._account.record

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the losses."""
        return self._account.names

    @property
    def done(self) -> int:
        """The pixels that all steps so far have moved."""
        return sum(height * width * made for height, width, made in self.record.levels)

    @property
    def total(self) -> int:
        """The pixels that will have been moved at the end, unless a level is left early."""
        level, steps = self._plan[max(0, self.record.level)]
        to_come = self._plan[self.record.level + 1 :]
        left = sum(level.pixels * steps for level, steps in to_come)
        if self._at_work is not None and not self.record.finished:
            left += (steps - self.record.levels[-1][2]) * level.pixels
        return self.done + left

    @property
    def seconds(self) -> float:
        """How long it has taken so far, with what went before a resumption."""
        return self.record.seconds + time.perf_counter() - self._begun

    @property
    def step(self) -> Step:
        """The last one, as a callback is told of it."""
        assert self.objective is not None
        images = at_size(self.images, self._size).clone()
        losses = LateLosses(self._account.reader(self.objective))
        return Step(self.number, images, losses, self.done / self.total)

    @property
    def pictures(self) -> Tensor:
        """(B, 3, H, W): those of the end, or of the lowest loss so far if it was not reached."""
        return at_size(self.images if self.record.finished else self._best, self._size).clone()

    def catch_up(self) -> None:
        """Let the losses of all steps be known."""
        with self._fault_on_record():
            self._account.read(self.objective, self.images, wait=True)

    def reweigh(self, new: Weighting) -> None:
        """Go on with other weights; ``ValueError`` for some that cannot be."""
        self.catch_up()
        assert self._at_work is not None
        objective, optimizer = self._at_work
        with self._fault_on_record():
            weighed = self._weighed(objective, new, self.record.level)
            if weighed is not None:
                optimizer.go_on_with(weighed.evaluate)
                self._best = optimizer.best
                self.record.evaluations[-1] = optimizer.evaluations
                self.record.comparable = self.number
            self._at_work = None if weighed is None else (weighed, optimizer)
            self.record.weighting = self.record.weighting.then(new.in_floats)
            self.record.reweighed.append((self.number, new.in_floats))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors by name, and plain values: with them :meth:`restore` goes on as if nothing had
        happened; of a finished run, too, which may be given more steps."""
        self.catch_up()
        tensors, values = self.record.plain(self.names, rows=len(self.images))
        tensors |= {"images": self.images}
        tile = None
        if self._at_work is not None:
            objective, optimizer = self._at_work
            tensors |= {f"optimizer/{name}": x for name, x in optimizer.state().items()}
            tile = objective.tile  # memory may have run out
        planned = [(*level.size, steps) for level, steps in self._plan]
        return tensors, values | {"seconds": self.seconds, "tile": tile, "plan": planned}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Go on from where :meth:`state` was taken, of the same problem; with another number of
        steps only on the last level."""
        self._account.record = Record.of(tensors, values)
        self.images = self._best = tensors["images"].to(self.images)
        if sum(steps for *_, steps in values["plan"]) != self._steps:
            self.record.go_on()
        self._plan = plan_again(self._levels, values["plan"], self._steps)
        of_optimizer = part("optimizer", tensors)
        if of_optimizer and not self.record.finished:
            level = self._plan[self.record.level][0].objective()
            objective = self._weighed(level, self.record.weighting, self.record.level)
            assert objective is not None
            objective.tile = min(filter(None, (objective.tile, values["tile"])), default=None)
            optimizer = self._make_optimizer(objective, self.images)
            optimizer.restore(of_optimizer)
            self._at_work = objective, optimizer
            self.images, self._best = optimizer.images, optimizer.best

    def _level_goes_on(self) -> bool:
        if self._at_work is None:
            return False
        made, asked = self.record.levels[-1][2], self._plan[self.record.level][1]
        return made < asked and not self._account.has_settled(self._tolerance)

    def _enter_next_level(self) -> bool:
        """Begin the next level in which a term has a weight; ``False`` if there is none."""
        self._account.read(self.objective, self.images, wait=True)
        if self._account.all_broken:
            return False
        record = self.record
        for level, _ in self._plan[record.level + 1 :]:
            record.level += 1
            self._at_work = None  # before the memory of the next ones is taken
            objective = self._weighed(level.objective(), record.weighting, record.level)
            if objective is None:
                continue
            self.images = self._best = at_size(self.images, level.size)
            optimizer = self._make_optimizer(objective, self.images)
            self._account.level_begins(objective, optimizer)
            self._at_work = objective, optimizer
            return True
        return False

    def _make_step(self) -> None:
        assert self._at_work is not None
        objective, optimizer = self._at_work
        with fastest_convolutions(self.images.device):
            optimizer.step(self.number + 1)
        # Everything after this line is quick: an interrupt hardly ever falls in here.
        self.images, self._best = optimizer.images, optimizer.best
        self._account.step_made(optimizer)
        self._account.read(objective, self.images)

    def _finish(self) -> None:
        """Of a picture that ended worse than it began, keep the best on the way."""
        if self._at_work is not None:
            for picture in self._at_work[1].diverged.cpu().nonzero().flatten().tolist():
                self.images = self.images.clone()
                self.images[picture] = self._best[picture]
                worse = (
                    f"the loss of picture {picture + 1} ended higher than it began, its best one "
                    "on the way is kept; take a smaller learning_rate "
                    f"({Settings.learning_rate} is the default)"
                )
                self._account.note(Trouble(worse, picture, at_the_end=True))
        self.record.finished = True

    @contextmanager
    def _fault_on_record(self) -> Iterator[None]:
        """Where memory or the device fails after a step was made, no other follows; the pictures
        so far stay, and why is on record."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            why = checks.explain(error)
            if why is None or not self.number:
                raise
            self._failed = True
            self._account.note(Trouble(f"stopped after step {self.number}: {why}"))

    def _weighed(self, objective: Objective, new: Weighting, level: int) -> Objective | None:
        """The table with other weights; ``None`` for a coarse level where nothing would count."""
        try:
            return objective.reweighed(new)
        except ValueError:
            if level + 1 == len(self._plan):
                raise
            return None
