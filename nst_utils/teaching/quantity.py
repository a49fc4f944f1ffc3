"""What it takes to check one thing that is taught."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Generator

Answer = Callable[..., Any]
Case = tuple[Any, ...]


@dataclass(frozen=True)
class Quantity:
    """One thing that is taught.

    Attributes:
        call: how the answer is called, with the shapes of what goes in and comes out.
        right: the answer.
        cases: from a generator of random numbers, one tuple of arguments a case.
        mistakes: wrong answers, each under the sentence for whoever gives it.
        followed: how many of its arguments, from the first, a gradient must find its way back to.
    """

    call: str
    right: Answer
    cases: Callable[[Generator], list[Case]]
    mistakes: Mapping[str, Answer]
    followed: int = 0
