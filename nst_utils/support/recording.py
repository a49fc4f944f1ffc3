"""While work is recorded for a CUDA device, to be replayed by it, some things cannot be done."""

from __future__ import annotations

import torch


class NotRecordableError(RuntimeError):
    """This work cannot be recorded as it is done now; another time, or in another run, it can."""


def is_going_on() -> bool:
    """Whether what is asked of the device is only written down."""
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
