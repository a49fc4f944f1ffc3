"""What a server allows those who paint on it, told to each studio through the environment.

Without torch: the server itself reads it, too.
"""

from __future__ import annotations

import os
from typing import NamedTuple

SIZE, STEPS, SERVED = "NST_STUDIO_SIZE", "NST_STUDIO_STEPS", "NST_STUDIO_SERVED"


class Limits(NamedTuple):
    """The greatest size in pixels and number of steps, and whether saves go to the browser alone.

    ``None`` is no limit.
    """

    size: int | None = None
    steps: int | None = None
    is_served: bool = False

    @classmethod
    def here(cls) -> Limits:
        """Those of this process; ``ValueError`` for what is no number."""
        return cls(_number(SIZE), _number(STEPS), bool(os.environ.get(SERVED)))

    @property
    def environment(self) -> dict[str, str]:
        """The way back: what a studio's process is given."""
        given = {SIZE: self.size, STEPS: self.steps, SERVED: 1 if self.is_served else None}
        return {name: str(value) for name, value in given.items() if value is not None}

    def check(self, size: int, steps: int) -> None:
        """Raise ``ValueError`` for a picture that is not allowed."""
        if self.size is not None and size > self.size:
            raise ValueError(f"pictures of up to {self.size} px are painted here, not of {size}")
        if self.steps is not None and steps > self.steps:
            raise ValueError(f"up to {self.steps} steps are made here, not {steps}")

    def within(self, size: int, steps: int) -> tuple[int, int]:
        """The nearest size and number of steps that are allowed."""
        return min(size, self.size or size), min(steps, self.steps or steps)


def _number(name: str) -> int | None:
    text = os.environ.get(name, "")
    if text and not text.isdigit():
        raise ValueError(f"the environment variable {name} must be a whole number, got '{text}'")
    return int(text) if text else None
