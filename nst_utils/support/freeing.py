"""What is done where memory ran out: what nobody uses is freed, and the work begun with less."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from nst_utils.support.checks import is_out_of_memory
from nst_utils.support.messages import say

T = TypeVar("T")


def give_back() -> None:
    """Free what nobody uses any more. Call it after the ``except`` block: the error holds on to
    what was computed so far."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def with_fewer(work: Callable[[int], T], number: int, *, fewest: int, then: str) -> T:
    """Do the work with so many; whenever memory runs out, again with half as many.

    Args:
        work: called with the number.
        fewest: the smallest number that is tried; if memory runs out there, the error is raised.
        then: what is said of a smaller number, which takes the place of ``{}``.
    """
    while True:
        try:
            return work(number)
        except Exception as error:
            if not is_out_of_memory(error) or number <= fewest:
                raise
        number = max(fewest, number // 2)
        give_back()
        say(f"memory ran out; from here on {then.format(number)}")
