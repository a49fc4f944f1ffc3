"""Ctrl-C at moments that it must not tear apart."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def held_back(drop: bool = False) -> Iterator[None]:
    """Let no Ctrl-C in while something short is done; it comes right after, unless it is dropped.

    Libraries that are interrupted while they write turn that into errors of their own.
    """
    if threading.current_thread() is not threading.main_thread():  # other threads get none
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
        if came and not drop:
            signal.raise_signal(signal.SIGINT)
