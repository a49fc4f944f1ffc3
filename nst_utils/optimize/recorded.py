"""A step that is recorded once and then replayed by the GPU alone (a CUDA graph)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch

from nst_utils.networks.network import between_layers

# Steps that are made one operation at a time before: until then the optimizer does not yet do all
# that it will do, and libraries choose their methods.
_BEFORE = 12


class Recorded:
    """Does work that is the same each time, on the same tensors: called with it, as often as it is
    to be done.

    On a CUDA device a step is some hundred small operations, and Python takes longer to ask for
    them than the device to do them; replayed, they follow each other at once. What cannot be
    recorded is done as everywhere else, one operation at a time.

    The work must read no value from the device, and change its tensors in place. It is not kept:
    what is not in a circle is let go at once, with its memory.

    Args:
        device: where it is done.
    """

    def __init__(self, device: torch.device) -> None:
        self._left: int | None = _BEFORE if device.type == "cuda" else None
        self._graph: torch.cuda.CUDAGraph | None = None

    @property
    def replayed(self) -> bool:
        """Whether it was recorded."""
        return self._graph is not None

    def __call__(self, work: Callable[[], None]) -> None:
        if self._left == 0:
            self._record(work)
        if self._graph is None:
            work()
            self._left = self._left and self._left - 1
            return
        pulse = between_layers.get()
        if pulse is not None:  # there are no layers to be between
            pulse()
        self._graph.replay()

    def _record(self, work: Callable[[], None]) -> None:
        self._left = None
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()  # a recorded step has memory of its own
        with contextlib.suppress(RuntimeError):
            # Other threads may go on using the device for something else.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                work()  # is not done, only written down
            self._graph = graph
        if self._graph is None:
            torch.cuda.synchronize()


@contextlib.contextmanager
def fastest_convolutions(device: torch.device) -> Iterator[None]:
    """Let cuDNN try its methods for each new size and take the fastest, as long as this lasts."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
