"""An objective that goes on with less at a time from the moment when memory runs out.

What comes out is the same, up to rounding, however it was computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from nst_utils.networks.network import Network, on_device
from nst_utils.objective import tiles
from nst_utils.objective.evaluation import Group
from nst_utils.objective.rows import Row
from nst_utils.objective.statistics import add_up
from nst_utils.objective.table import Evaluation, Objective
from nst_utils.support import checks, recording
from nst_utils.support.freeing import give_back
from nst_utils.support.messages import say

T = TypeVar("T")


class WithinMemory(Objective):
    """The same table, losses and gradients; whenever memory runs out, the work is done again with
    less at a time, and so from then on.

    Args:
        net, rows, and the settings of :class:`nst_utils.Objective`: see there.
        may_move: whether the work may be moved from a GPU to the CPU, as the last measure.

    Raises:
        MemoryError: there is nothing left to do with less; by ``evaluate`` too.
    """

    def __init__(
        self, net: Network, rows: Sequence[Row], *, may_move: bool = False, **settings: Any
    ) -> None:
        self._tile_asked_for = settings.get("tile")
        self._may_move = may_move
        super().__init__(net, rows, **settings)

    def evaluate(self, images: Tensor, rows: Sequence[int] | None = None) -> Evaluation:
        if images.device != self.device and recording.is_going_on():
            raise recording.NotRecordableError(f"the network runs on {self.device}")
        evaluate = partial(super().evaluate, images, rows)
        together = min(len(images), max(len(group.rows) for group in self._groups))
        return self._with_less(evaluate, together, max(images.shape[2:]))

    def _take_targets(self) -> list[Group]:
        longest = max(max(x.shape[2:]) for row in self.rows for x in row.pictures)
        return self._with_less(super()._take_targets, 1, longest)

    def _with_less(self, work: Callable[[], T], pictures: int, side: int) -> T:
        """Do the work. So many pictures go through at once, the longest with a side of so many
        pixels."""
        while True:
            try:
                return work()
            except Exception as error:
                # While a step is recorded, nothing can be given back; it goes on unrecorded.
                if recording.is_going_on() or not checks.is_out_of_memory(error):
                    raise
            give_back()
            say(f"memory ran out; from here on {self._step_down(pictures, side)}")

    def _step_down(self, pictures: int, side: int) -> str:
        """Take the next measure, and say which."""
        now = min(side, self.tile or side)
        smaller = max(tiles.LEAST_TILE, now // 2)
        together = min(pictures, self.at_once or pictures)
        if together > 1:
            self.at_once = together // 2
            if self.at_once == 1:
                return "one picture at a time goes through the network"
            return f"{self.at_once} pictures at a time go through the network"
        if smaller < now and tiles.can_be_cut(self.net.architecture) and add_up(self.rows):
            self.tile = smaller
            return f"the network sees tiles of {smaller} px, which takes longer"
        if self._may_move and self.device.type != "cpu":
            self.net = on_device(self.net, torch.device("cpu"))
            self.tile, self.at_once = self._tile_asked_for, 1
            return "the network runs on the CPU, which takes longer"
        raise MemoryError(
            "there is not enough memory, however a picture is cut; use a smaller size"
        )
