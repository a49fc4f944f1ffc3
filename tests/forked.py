"""``nst`` in processes that are made from one that has loaded torch: two seconds less for each."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import IO

import pytest

from nst_utils.cli import parser

# What a command loads when it needs it; an Adam, the first time, torch's compiler.
PRELOADED = ["forked", "nst_utils.cli.commands", "nst_utils.experiments.style_transfer"]
PRELOADED += ["torch._dynamo"]
READY = b"ready\n"


@lru_cache
def _server() -> ForkServerContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system cannot fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    os.environ["OMP_NUM_THREADS"] = "1"  # the tests that go on beside these have work, too
    return context


class Forked:
    """``nst`` with these words, in that folder.

    Args:
        command: the words after ``nst``.
        folder: where it works.
        first: called in the process before anything else; a function of a module.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, first: Callable[[], object] | None = None
    ) -> None:
        context = _server()
        reader, writer = context.Pipe(duplex=False)
        self._process = context.Process(target=_nst, args=(command, folder, first, writer))
        self._process.start()
        writer.close()
        self.stderr: IO[bytes] = open(os.dup(reader.fileno()), "rb")  # noqa: SIM115
        reader.close()
        assert self.stderr.readline() == READY

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.stderr.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit code, or None if it still runs after so many seconds."""
        self._process.join(seconds)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def _nst(
    command: Sequence[str], folder: Path, first: Callable[[], object] | None, stderr: Connection
) -> None:
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(stderr.fileno(), 2)
    stderr.close()
    if first is not None:
        first()
    os.write(2, READY)
    sys.argv = ["nst", *command]
    sys.exit(parser.main())
