"""What there is to say to who waits. Saying it never ends the work: what cannot be written is lost.

A stream may be full, closed, missing, or end with the program that reads it; the picture counts.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

# What sentences go through before they are shown; the command line names its own options there.
wording: ContextVar[Callable[[str], str]] = ContextVar("wording", default=str)
# Whether nobody wants to see how far things have come, as with the option of the command line.
silent: ContextVar[bool] = ContextVar("silent", default=False)


class Standard:
    """Standard error or output, whatever it is at the moment (``sys.stderr`` may be replaced).

    Args:
        name: ``"stderr"`` or ``"stdout"``.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        """What tqdm asks for besides: ``encoding``, ``fileno``."""
        return getattr(getattr(sys, self._name), name)

    def attempt(self, text: str) -> Exception | None:
        """Write and flush; what was in the way, or ``None``. Characters that it cannot show are
        escaped."""
        stream = getattr(sys, self._name, None)
        if stream is None:  # it was closed when Python began
            return OSError("it is closed")
        try:
            try:
                stream.write(text)
            except UnicodeEncodeError:
                shown = text.encode(stream.encoding, "backslashreplace")
                stream.write(shown.decode(stream.encoding))
            stream.flush()
        except Exception as error:  # it may be anybody's
            _forget(stream)
            return error
        return None

    def write(self, text: str) -> int:
        """Write what can be written."""
        self.attempt(text)
        return len(text)

    def flush(self) -> None:
        """Write what others have left in the buffer, or forget it."""
        self.attempt("")

    def isatty(self) -> bool:
        """Whether somebody looks at it in a terminal."""
        try:
            return bool(getattr(sys, self._name).isatty())
        except Exception:
            return False


STDERR, STDOUT = Standard("stderr"), Standard("stdout")


def say(sentence: str) -> None:
    """Print a sentence on standard error, its settings named as where the program was called."""
    print_line(wording.get()(sentence))


def print_line(line: str) -> None:
    """Print one line on standard error as it is, without tearing a bar apart."""
    from tqdm import tqdm  # loaded by who has a bar; most sentences come without one

    with tqdm.external_write_mode(file=STDERR):
        STDERR.write(f"nst: {line}\n")


def tell(text: str) -> Exception | None:
    """Print what was asked for on standard output; what was in the way, or ``None``."""
    return STDOUT.attempt(f"{text}\n")


def gigabytes(size: float) -> str:
    """A number of bytes, as one says it."""
    return f"{size / 1e9:.1f} GB"


def duration(seconds: float) -> str:
    """A length of time, roughly, as one says it.

    >>> [duration(each) for each in (0.2, 40, 600, 9000)]
    ['1 s', '40 s', '10 min', '2.5 h']
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def one_line(error: object, whole: bool = False) -> str:
    """What an error says, on one line; its type where it says nothing.

    Of another library's error that is its first line, at most 200 characters of it. ``whole`` puts
    all lines into one: a sentence of ours must not lose its end to a file name of two lines.

    >>> one_line(OSError("no such device\\nStack trace: ...")), one_line(MemoryError())
    ('no such device', 'MemoryError')
    >>> one_line("there is no picture a\\nb.png; check the path", whole=True)
    'there is no picture a b.png; check the path'
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines) if whole else lines[0][:200]


def claim_numbers() -> None:
    """Let no file of ours get the number of a standard stream that is closed: what a library in C
    has to say would be written into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # gets the lowest that is free


def _forget(stream: Any) -> None:
    """Empty a buffer that cannot be written. Python would try again at its end, and make an exit
    code of its own of it."""
    with contextlib.suppress(Exception):  # a stream that has no number has no such buffer
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            kept = os.dup(number)
        except OSError:  # it is closed
            kept = os.dup(nowhere)
        try:
            os.dup2(nowhere, number)
            stream.flush()
        finally:
            os.dup2(kept, number)
            os.close(kept)
            os.close(nowhere)
