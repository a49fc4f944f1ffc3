"""Ctrl-C, and what else asks for the end, at moments that they must not tear apart."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from types import FrameType

# Ctrl-C last: it is given back last. Windows has no SIGHUP.
_SIGNALS = [
    getattr(signal, name) for name in ("SIGHUP", "SIGTERM", "SIGINT") if hasattr(signal, name)
]
# So many seconds after a request that nobody has answered, another one is taken for a new one.
_PATIENCE = 1.0


class Request:
    """Takes the signals that ask for the end. The first one is a ``KeyboardInterrupt``; the others
    do nothing, so that they tear nothing apart of what the first one has begun.

    Attributes:
        number: of the first signal that came, ``None`` before.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._settled = False
        self._raised = -_PATIENCE

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        now = time.monotonic()
        if not self._settled and now - self._raised >= _PATIENCE:
            self._raised = now
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise once more what has been lost on its way, as in a destructor of another library."""
        if self.number is not None and not self._settled:
            raise KeyboardInterrupt

    def settle(self) -> None:
        """From now on raise nothing: what there is will be kept, and that takes its time."""
        self._settled = True


_of_command: ContextVar[Request | None] = ContextVar("_of_command", default=None)


@contextlib.contextmanager
def only_first() -> Iterator[Request]:
    """While a run goes on, only the first Ctrl-C is a ``KeyboardInterrupt``.

    Within :func:`command_ends_once`, its request. A handler of the caller's own stays.
    """
    request = _of_command.get()
    if request is not None:
        yield request
        return
    with _taken(request := Request(), [signal.SIGINT]):
        yield request


@contextlib.contextmanager
def command_ends_once(own: bool) -> Iterator[Request]:
    """The same for a whole command, and for SIGTERM and SIGHUP, too. What is ignored (``nohup``)
    stays ignored.

    Args:
        own: the process ends with the command; until then nothing disturbs it any more.
    """
    if _of_command.get() is not None:  # a command within a command
        with only_first() as request:
            yield request
        return
    token = _of_command.set(request := Request())
    try:
        with _taken(request, _SIGNALS, own):
            yield request
    finally:
        _of_command.reset(token)


def exit_code() -> int:
    """Of a command that was asked to end: 128 + the number of the signal, as shells have it."""
    request = _of_command.get()
    number = None if request is None else request.number
    return 128 + (number or signal.SIGINT)


@contextlib.contextmanager
def _taken(request: Request, signals: list[signal.Signals], own: bool = False) -> Iterator[None]:
    """Let the request have those of the signals that do as Python has them do by default."""
    before: dict[signal.Signals, object] = {}
    if threading.current_thread() is threading.main_thread():  # other threads get none
        defaults = (signal.SIG_DFL, signal.default_int_handler)
        handlers = {number: signal.getsignal(number) for number in signals}
        before = {
            number: handler
            for number, handler in handlers.items()
            if handler in defaults or isinstance(handler, Request)
        }
    try:
        for number in before:
            signal.signal(number, request)
        yield
    finally:
        request.settle()
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if own else handler)  # type: ignore[arg-type]


@contextlib.contextmanager
def held_back(drop: bool = False) -> Iterator[None]:
    """Let no signal in while something short is done; it comes right after, unless it is dropped.

    Libraries that are interrupted while they write turn that into errors of their own. Signals that
    end the process without Python's doing are not held back.
    """
    if threading.current_thread() is not threading.main_thread():  # other threads get none
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: handler for number, handler in handlers.items() if callable(handler)}
    try:
        for number in before:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came and not drop:
            signal.raise_signal(came[0])
