"""Losses that are read late: a device that computes is not asked for a number at every step.

To read one value, a processor waits until all that was asked of the device before is done; then the
device waits in turn for what is to be done next. So values travel some steps together, while the
device goes on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

# Steps whose values travel together.
TOGETHER = 16
# So many such blocks may be on their way: the processor is never further ahead of the device.
_ON_THE_WAY = 2


class _Block(NamedTuple):
    values: Tensor  # (steps, ...), on the CPU once the event has happened
    event: torch.cuda.Event


class Late:
    """Takes a tensor at each step and gives all of them back on the CPU, in order."""

    def __init__(self) -> None:
        self._here: list[Tensor] = []
        self._gathered: list[Tensor] = []
        self._blocks: list[_Block] = []

    def put(self, values: Tensor) -> None:
        """The values of one step, of the same shape each time; they must not change any more."""
        if values.device.type == "cpu":
            self._here.append(values)
            return
        self._gathered.append(values)
        if len(self._gathered) == TOGETHER:
            self._send()
        while len(self._blocks) > _ON_THE_WAY or (self._blocks and self._blocks[0].event.query()):
            self._receive()

    def ready(self) -> list[Tensor]:
        """Those that have arrived since the last call."""
        here, self._here = self._here, []
        return here

    def all(self) -> list[Tensor]:
        """Those that are left, waited for."""
        self._send()
        while self._blocks:
            self._receive()
        return self.ready()

    def drop(self) -> None:
        """Those on their way are wanted no more."""
        self._here, self._gathered, self._blocks = [], [], []

    def _send(self) -> None:
        """Let what was gathered begin to travel."""
        if not self._gathered:
            return
        together, self._gathered = torch.stack(self._gathered), []
        if together.device.type != "cuda":  # the others copy at once
            self._here.extend(together.cpu().unbind())
            return
        # Only memory that the system cannot move is copied to while both go on.
        like: dict[str, Any] = {"dtype": together.dtype, "device": "cpu"}
        values = torch.empty(together.shape, pin_memory=True, **like)
        values.copy_(together, non_blocking=True)
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(together.device))
        self._blocks.append(_Block(values, event))

    def _receive(self) -> None:
        values, event = self._blocks.pop(0)
        event.synchronize()
        self._here.extend(values.unbind())
