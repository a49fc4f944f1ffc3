"""What a run has to say while it goes on, beside its progress bar."""

from __future__ import annotations

import sys

from tqdm.auto import tqdm


def say(line: str) -> None:
    """Print one line on standard error, without tearing a bar apart."""
    tqdm.write(f"nst: {line}", file=sys.stderr)
