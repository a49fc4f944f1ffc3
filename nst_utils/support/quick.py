"""Quick mode: ``NST_QUICK=1`` shrinks sizes and steps, so that a whole notebook runs in seconds.

For tests and for a first look on a slow machine. It says so, once, in one line.
"""

from __future__ import annotations

import os
from functools import lru_cache

from nst_utils.support.messages import say

QUICK_SIZE = 64
QUICK_STEPS = 6


def is_quick() -> bool:
    """Whether the environment variable ``NST_QUICK`` is set to something other than 0."""
    return os.environ.get("NST_QUICK", "0") not in ("", "0")


def quick_size(size: int) -> int:
    """``size``, or at most 64 px in quick mode."""
    return min(size, QUICK_SIZE) if _announced() else size


def quick_steps(steps: int) -> int:
    """``steps``, or at most 6 in quick mode."""
    return min(steps, QUICK_STEPS) if _announced() else steps


def _announced() -> bool:
    if is_quick():
        _announce()
        return True
    return False


@lru_cache(maxsize=1)
def _announce() -> None:
    say(
        f"NST_QUICK is set: pictures of at most {QUICK_SIZE} px, at most {QUICK_STEPS} steps; "
        "unset it for real results."
    )
