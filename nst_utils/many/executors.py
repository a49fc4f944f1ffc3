"""What ``executor=`` stands for, one argument for every way of getting work done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

from nst_utils.many.clusters import connected, lent
from nst_utils.many.crews import Crew, Processes, gpus_here
from nst_utils.support import checks


@contextlib.contextmanager
def opened(executor: Executor | int | str | None, device: str) -> Iterator[Crew | None]:
    """The crew that ``executor`` stands for, as long as the context lasts; ``None`` for none.

    Args:
        executor: one that is lent; a number of processes; the address of a Dask scheduler, a
            scheduler file, or ``"local"``; ``None`` for this process.
        device: where the work is to be done.

    Raises:
        ValueError: anything else, or a cluster that is not there.
    """
    if executor is None:
        yield None
    elif isinstance(executor, Executor):
        yield lent(executor)
    elif isinstance(executor, str):
        with connected(executor, device) as crew:
            yield crew
    elif isinstance(executor, int) and not isinstance(executor, bool):
        processes = Processes(checks.count("executor", executor), gpus_here(device))
        try:
            yield processes
        finally:
            processes.close()
    else:
        raise ValueError(
            "executor must be one of concurrent.futures, a number of processes, the address of a "
            f"Dask scheduler or None, got {checks.shown(executor)}"
        )
