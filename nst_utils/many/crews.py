"""Who does the work: any executor that somebody lends, or processes of our own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any

from nst_utils.support import checks
from nst_utils.support.messages import one_line


class Crew:
    """An executor that somebody lends: it is given work, and never shut down.

    Args:
        executor: any of ``concurrent.futures``.

    Attributes:
        lost: the sentence for work that is lost and cannot be given to others.
    """

    lost = "a process that painted has ended (killed, or out of memory)"

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, work: Callable[..., Any], order: dict[str, Any]) -> Future[Any]:
        """Hand in an order."""
        return self._executor.submit(work, order)

    def renew(self) -> bool:
        """Replace what has broken; ``False`` where that is not ours to do."""
        return False

    def gone(self) -> str:
        """A sentence where nobody can be reached any more; else empty."""
        return ""


class Processes(Crew):
    """Processes on this machine, ours: where one dies, they are replaced.

    Args:
        number: of processes. gpus: what ``CUDA_VISIBLE_DEVICES`` is to be in one after the other;
            empty leaves it.
    """

    def __init__(self, number: int, gpus: Sequence[str] = ()) -> None:
        self._number, self._gpus = number, list(gpus)
        super().__init__(self._start())

    def _start(self) -> ProcessPoolExecutor:
        # Spawned: a forked process cannot use CUDA, nor the threads of the one it came from.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(
            self._number, context, _begin, (context.Value("i", 0), self._gpus)
        )

    def submit(self, work: Callable[..., Any], order: dict[str, Any]) -> Future[Any]:
        with _no_interrupt():
            return super().submit(work, order)

    def renew(self) -> bool:
        self.close()
        self._executor = self._start()
        return True

    def close(self) -> None:
        """Wait for what runs, and end them."""
        self._executor.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """What begins now does not take Ctrl-C, not even while it loads Python: that is for who waits,
    who then cancels."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begin(taken: Any, gpus: list[str]) -> None:
    """The first thing in each process."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where the method of starting has not kept it
    if gpus:
        with taken.get_lock():
            number = taken.value
            taken.value += 1
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]


def _end_with_parent() -> None:
    """Who is left behind, its parent killed, would paint on for nobody, and then wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def is_at_work(future: Future[Any], said: Mapping[str, Any] | None) -> bool:
    """Whether a worker is, which has last said that. Dask calls done what is cancelled, though its
    worker goes on."""
    if said is not None and "outcome" in said:
        return False
    return not future.done() or (future.cancelled() and said is not None)


def why_lost(error: BaseException) -> str:
    """The sentence for work that a worker could not give back."""
    if type(error).__name__ == "KilledWorker":  # Dask's
        return "its workers died again and again (out of memory?); give it a smaller size"
    return checks.explain(error) or f"the worker failed ({type(error).__name__}: {one_line(error)})"


def gpus_here(device: str) -> list[str]:
    """The GPUs that processes can be given, one each, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if device.partition(":")[0] not in ("auto", "cuda") or ":" in device:
        return []
    import torch

    number = torch.cuda.device_count()  # none where torch is one without CUDA
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(number))))
    return [each.strip() for each in visible.split(",")][:number]
