"""What there is to say to who waits: lines beside the progress bar, errors on one line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar

# What sentences go through before they are shown; the command line names its own options there.
wording: ContextVar[Callable[[str], str]] = ContextVar("wording", default=str)


def say(line: str) -> None:
    """Print one line on standard error, without tearing a bar apart."""
    from tqdm.auto import tqdm  # loaded by who has a bar; most sentences come without one

    tqdm.write(f"nst: {wording.get()(line)}", file=sys.stderr)


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
