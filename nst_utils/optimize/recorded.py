"""A step that is recorded once and then replayed by the GPU alone (a CUDA graph)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import torch

from nst_utils.networks.network import between_layers
from nst_utils.support.checks import is_out_of_memory
from nst_utils.support.freeing import give_back
from nst_utils.support.messages import one_line
from nst_utils.support.recording import NotRecordableError
from nst_utils.support.repeatable import is_asked_for
from nst_utils.support.switches import switched

# Steps that are made one operation at a time before. A step does from the first one on all that it
# will do; in that one libraries load their code and choose their methods, which must not happen
# while a step is recorded. Three is what torch.cuda.make_graphed_callables takes.
BEFORE = 3

# One recording at a time in a process, and on one stream a device: a stream has memory of its own.
_one_at_a_time = threading.Lock()
_streams: dict[int, torch.cuda.Stream] = {}
# Why one failed; then no other is tried. Not for what another run need not meet with.
_impossible: list[str] = []


class Recorded:
    """Does work that is the same each time, on the same tensors: called with it, as often as it is
    to be done.

    On a CUDA device a step is some hundred small operations, and Python takes longer to ask for
    them than the device to do them; replayed, they follow each other at once. What cannot be
    recorded is done as everywhere else, one operation at a time.

    The work must read no value from the device, and change its tensors in place. No reference to it
    is kept, so that the optimizer that calls this is freed as soon as it is not used any more.

    Args:
        device: where it is done.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._left: int | None = BEFORE if device.type == "cuda" else None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._why_not = "" if device.type == "cuda" else f"that is for CUDA, not {device.type}"

    @property
    def replayed(self) -> bool:
        """Whether it was recorded."""
        return self._graph is not None

    @property
    def told(self) -> str:
        """Whether it is replayed, in words, and where it is not, why."""
        if self._graph is not None:
            return "replayed"
        return f"not recorded: {self._why_not}" if self._why_not else "not recorded yet"

    def __call__(self, work: Callable[[], None]) -> None:
        if self._left == 0:
            self._left = None
            self._record(work)
            if self._graph is None:
                give_back()  # what was taken for it; the same work may need it now
        if self._graph is None:
            work()
            self._left = self._left and self._left - 1
            return
        pulse = between_layers.get()
        if pulse is not None:  # there are no layers to be between
            pulse()
        self._graph.replay()

    def _record(self, work: Callable[[], None]) -> None:
        """The work is not done, only written down; where that fails, nothing has happened."""
        if _impossible:
            self._why_not = _impossible[0]
            return
        with _one_at_a_time, torch.cuda.device(self._device):
            before, graph = torch.cuda.current_stream(), torch.cuda.CUDAGraph()
            stream = _streams.setdefault(torch.cuda.current_device(), torch.cuda.Stream())
            token = between_layers.set(None)  # a pause would hold the recording open
            try:
                # Other threads may go on using the device for something else.
                with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                    work()
                self._graph = graph
            except (RuntimeError, MemoryError) as error:
                self._why_not = _why(error)
            finally:
                between_layers.reset(token)
                torch.cuda.set_stream(before)  # which torch leaves undone where it failed


def _why(error: BaseException) -> str:
    """What made a recording fail, in one line; remembered where it would fail again."""
    errors = [error]
    # The end of a recording fails, too, where something within it did: that came first.
    while errors[-1].__context__ is not None:
        errors.append(errors[-1].__context__)
    why = one_line(errors[-1])
    if not any(is_out_of_memory(each) or isinstance(each, NotRecordableError) for each in errors):
        _impossible.append(why)
    return why


@contextlib.contextmanager
def fastest_convolutions(device: torch.device) -> Iterator[None]:
    """Let cuDNN try its methods for each new size and take the fastest, as long as this lasts;
    not where the same bits are wanted each time, because the fastest may be another one."""
    if device.type != "cuda" or is_asked_for():
        yield
        return
    with switched(torch.backends.cudnn, "benchmark", True):
        yield
