"""Waiting for what happens in another thread, with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nst_utils.networks.network import between_layers


def comes_true(condition: Callable[[], object], seconds: float = 20.0) -> bool:
    """Whether it is true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


@contextmanager
def no_thread_is_left() -> Iterator[None]:
    """Fails where a run still goes on after the block, or an exception has ended its thread."""
    died: list[threading.ExceptHookArgs] = []
    hook, threading.excepthook = threading.excepthook, died.append
    try:
        yield
        left = [thread for thread in threading.enumerate() if thread.name == "nst session"]
        for thread in left:
            thread.join(5)
    finally:
        threading.excepthook = hook
    assert not [thread for thread in left if thread.is_alive()]
    assert not died, died
    assert between_layers.get() is None
