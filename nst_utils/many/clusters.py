"""Dask as the engine (the extra ``cluster``): a scheduler somewhere, or processes started here.

Dask gives the job of a worker that died to another one by itself.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from importlib import import_module
from pathlib import Path
from typing import Any

from nst_utils.many.crews import Crew, gpus_here
from nst_utils.support.messages import one_line, say

LOCAL = "local"
_PATIENCE = 10.0  # seconds to wait for a scheduler


class _Dask(Crew):
    """Dask's executor, and whether its scheduler can still be reached."""

    lost = "the cluster has gone away"

    def __init__(self, executor: Executor, client: Any) -> None:
        super().__init__(executor)
        self._client = client
        self._lost: float | None = None

    def submit(self, work: Callable[..., Any], order: dict[str, Any]) -> Future[Any]:
        # Not pure: two runs with the same order are two runs.
        return self._executor.submit(work, order, pure=False)

    def gone(self) -> str:
        now = time.monotonic()
        if self._client.status == "running":
            self._lost = None
            return ""
        self._lost = now if self._lost is None else self._lost
        if self._client.status == "connecting" and now - self._lost < _PATIENCE:
            return ""
        return "the cluster's scheduler cannot be reached any more"


def lent(executor: Executor) -> Crew:
    """The crew of an executor that somebody lends, which may be Dask's."""
    client = getattr(executor, "_client", None)
    is_dask = client is not None and type(executor).__module__.startswith("distributed")
    return _Dask(executor, client) if is_dask else Crew(executor)


@contextlib.contextmanager
def connected(address: str, device: str) -> Iterator[Crew]:
    """The workers of a Dask scheduler, for as long as the context lasts; they stay as they are.

    Args:
        address: of the scheduler, ``tcp://host:8786``; its scheduler file; or ``"local"``: one
            process of one thread for each GPU, which it is given, or where there is none for each
            processor; started here and ended afterwards.
        device: where the work is to be done.

    Raises:
        ValueError: Dask is not installed, or there is no such scheduler.
    """
    try:
        distributed = import_module("distributed")
    except ImportError:
        raise ValueError(
            "a cluster needs the package distributed; install it: pip install 'nst-utils[cluster]'"
        ) from None
    with contextlib.ExitStack() as stack:
        if address == LOCAL:
            where: Any = stack.enter_context(_local(distributed, gpus_here(device)))
        else:
            where = address
        for name in ("distributed", *logging.root.manager.loggerDict):
            if name.startswith("distributed"):
                logging.getLogger(name).setLevel(logging.CRITICAL)  # we say what matters
        client = stack.enter_context(_client(distributed, where))
        if not client.scheduler_info()["workers"]:
            say(
                f"the scheduler at {address} has no workers yet; waiting for them (to start one: "
                f"dask worker {address})"
            )
        yield _Dask(client.get_executor(), client)


def _local(distributed: Any, gpus: Sequence[str]) -> Any:
    """A cluster on this machine. With GPUs as dask-cuda does it: a worker for each, which sees no
    other; several on one would each load torch and the network into its memory."""
    if not gpus:
        return distributed.LocalCluster(
            n_workers=os.cpu_count() or 1,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )
    quiet = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": ":0"}
    each = {"nthreads": 1, "memory_limit": 1 / len(gpus), "silence_logs": logging.CRITICAL}
    workers = {
        number: {
            "cls": distributed.Nanny,
            "options": quiet | each | {"env": {"CUDA_VISIBLE_DEVICES": gpu}},
        }
        for number, gpu in enumerate(gpus)
    }
    scheduler = {"cls": distributed.Scheduler, "options": quiet | {"port": 0}}
    return distributed.SpecCluster(workers, scheduler, silence_logs=logging.CRITICAL)


def _client(distributed: Any, where: Any) -> Any:
    address = _address(where) if isinstance(where, str) else where
    try:
        if isinstance(address, str):
            # A client that finds nobody leaves threads behind that complain later.
            host_and_port = distributed.comm.get_address_host_port(address)
            socket.create_connection(host_and_port, timeout=_PATIENCE).close()
        return distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
    except Exception as error:  # of addresses and networks there are a dozen kinds
        raise ValueError(
            f"there is no Dask scheduler at {where} ({one_line(error)}); start one (dask "
            "scheduler), and name the address that it prints"
        ) from None


def _address(given: str) -> str:
    """The address, or the one in a scheduler file."""
    try:
        is_file = Path(given).is_file()
        address = (
            json.loads(Path(given).read_text(encoding="utf-8"))["address"] if is_file else given
        )
        if isinstance(address, str) and ":" in address:
            return address
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise ValueError(
        f"{given!r} is neither the address of a Dask scheduler, such as tcp://host:8786, nor the "
        "file that one has written (dask scheduler, with the option scheduler-file)"
    )
