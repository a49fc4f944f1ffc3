"""``nst`` in processes that are made from one that has loaded torch: two seconds less for each."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nst_utils.cli import parser

if TYPE_CHECKING:  # Windows has neither
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerContext

# What a command loads when it needs it; an Adam, the first time, torch's compiler.
PRELOADED = ["nst_utils.cli.commands", "nst_utils.experiments.style_transfer"]
PRELOADED += ["torch._dynamo"]
READY = b"ready\n"


@lru_cache
def _server() -> ForkServerContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        import pytest  # here, because every process that is made imports this file

        pytest.skip("this system cannot fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
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
        said = self.stderr.readline()
        if said != READY:
            self.kill()
            raise RuntimeError(f"it did not begin: {(said + self.stderr.read()).decode()}")

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

    def poll(self) -> int | None:
        """Its exit code, or None if it still runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def thin() -> None:
    """Let a process work with the thin network, where it is not the point."""
    from thin import thin_vgg19

    from nst_utils.networks import builders

    net = thin_vgg19()
    build: Any = lambda **_: net  # noqa: E731
    builders.NETWORKS["vgg19"] = build


def _nst(
    command: Sequence[str], folder: Path, first: Callable[[], object] | None, stderr: Connection
) -> None:
    import torch

    torch.set_num_threads(1)  # the tests that go on beside these have work, too
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(stderr.fileno(), 2)
    stderr.close()
    if first is not None:
        first()
    os.write(2, READY)
    sys.argv = ["nst", *command]
    sys.exit(parser.main())
