"""Who is in a studio that is served: each visitor has a process, which ends when nobody is there.

No web server here; :mod:`nst_utils.app.server` tells what happens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

# Seconds after which a process is ended: of a page that was left, long enough for a reload to find
# it again; of one whose connection broke off, as when a phone is locked.
LEFT, LOST = 20.0, 600.0


class Kernels(Protocol):
    """The processes, by id."""

    def is_there(self, kernel: str) -> bool: ...

    def connections(self, kernel: str) -> int: ...

    async def end(self, kernel: str) -> None: ...


@dataclass
class Visit:
    """One visitor's process, and the page that shows it.

    Attributes:
        kernel: its id, empty until it has been started.
        page: the HTML, complete once ``ready`` is set.
        seen: when somebody was last connected. left: when the page said that it is left.
    """

    seen: float
    kernel: str = ""
    page: list[str] = field(default_factory=list)
    left: float | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)


class Visitors:
    """All visits, by a visitor's cookie.

    Args:
        kernels: the processes. most: visits at a time. clock: seconds, always rising.
    """

    def __init__(
        self, kernels: Kernels, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.most = most
        self._kernels, self._clock = kernels, clock
        self._visits: dict[str, Visit] = {}

    def __len__(self) -> int:
        return len(self._visits)

    def find(self, visitor: str) -> Visit | None:
        """The visit that goes on, if its process does."""
        visit = self._visits.get(visitor)
        if visit is None:
            return None
        if visit.kernel and not self._kernels.is_there(visit.kernel):
            del self._visits[visitor]
            return None
        visit.seen, visit.left = self._clock(), None
        return visit

    async def enter(self, visitor: str) -> Visit | None:
        """A new visit, or ``None`` where there is no room; pages that were left make room."""
        await self.leave(visitor)
        if len(self) >= self.most:
            for other, visit in list(self._visits.items()):
                if visit.left is not None and not self._watched(visit):
                    await self.leave(other)
                    break
        if len(self) >= self.most:
            return None
        self._visits[visitor] = Visit(self._clock())
        return self._visits[visitor]

    async def leave(self, visitor: str) -> None:
        """End a visit and its process."""
        visit = self._visits.pop(visitor, None)
        if visit is not None and visit.kernel and self._kernels.is_there(visit.kernel):
            await self._kernels.end(visit.kernel)

    async def forget(self, visit: Visit) -> None:
        """End that visit, whosever it is, if it is still there."""
        for visitor, each in list(self._visits.items()):
            if each is visit:
                await self.leave(visitor)

    def is_left(self, kernel: str) -> None:
        """A page says that it is closed or loaded anew."""
        for visit in self._visits.values():
            if visit.kernel == kernel:
                visit.left = self._clock()

    async def sweep(self) -> None:
        """End the processes that nobody watches any more."""
        now = self._clock()
        for visitor, visit in list(self._visits.items()):
            if visit.kernel and not self._kernels.is_there(visit.kernel):
                self._visits.pop(visitor, None)
                continue
            since_left = 0.0 if visit.left is None else now - visit.left
            if self._watched(visit):
                visit.seen = now
                if since_left > LEFT:  # somebody is still there: another tab
                    visit.left = None
            elif since_left > LEFT or now - visit.seen > LOST:
                await self.leave(visitor)

    def _watched(self, visit: Visit) -> bool:
        return bool(visit.kernel) and self._kernels.connections(visit.kernel) > 0
