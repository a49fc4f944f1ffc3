"""A visitor's process is found again, makes room, and ends when nobody is there."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from nst_utils.app.limits import Limits
from nst_utils.app.visitors import LEFT, LOST, Visit, Visitors


class FakeKernels:
    """Processes that are no more than a number of connections."""

    def __init__(self) -> None:
        self.all: dict[str, int] = {}

    def is_there(self, kernel: str) -> bool:
        return kernel in self.all

    def connections(self, kernel: str) -> int:
        return self.all[kernel]

    async def end(self, kernel: str) -> None:
        del self.all[kernel]


class House:
    """Visitors with a clock that is set by hand."""

    def __init__(self, most: int = 2) -> None:
        self.kernels, self.clock = FakeKernels(), SimpleNamespace(now=100.0)
        self.visitors = Visitors(self.kernels, most, lambda: self.clock.now)

    async def opens(self, visitor: str) -> Visit | None:
        """A page is loaded, and connects."""
        visit = self.visitors.find(visitor) or await self.visitors.enter(visitor)
        if visit is not None:
            visit.kernel = visit.kernel or f"kernel of {visitor}"
            self.kernels.all[visit.kernel] = self.kernels.all.get(visit.kernel, 0) + 1
        return visit

    def closes(self, visitor: str, says_so: bool = True) -> None:
        kernel = f"kernel of {visitor}"
        self.kernels.all[kernel] -= 1
        if says_so:
            self.visitors.is_left(kernel)

    async def after(self, seconds: float) -> list[str]:
        """Who has a process so much later; looked at every second."""
        for _ in range(int(seconds)):
            self.clock.now += 1
            await self.visitors.sweep()
        return sorted(kernel.removeprefix("kernel of ") for kernel in self.kernels.all)


def test_ten_loads_leave_one_process_and_the_last_close_none() -> None:
    async def story() -> None:
        house = House()
        first = await house.opens("anna")
        for _ in range(10):
            house.closes("anna")
            assert await house.after(3) == ["anna"]
            assert await house.opens("anna") is first
        assert await house.after(2 * LOST) == ["anna"]  # somebody looks at it
        house.closes("anna")
        assert await house.after(LEFT - 1) == ["anna"]
        assert await house.after(2) == []
        assert len(house.visitors) == 0

    asyncio.run(story())


def test_a_connection_that_breaks_off_is_waited_for_longer() -> None:
    async def story() -> None:
        house = House()
        await house.opens("anna")
        house.closes("anna", says_so=False)
        assert await house.after(LOST - 1) == ["anna"]
        assert await house.after(2) == []

    asyncio.run(story())


def test_who_closes_one_of_two_tabs_or_stays_after_all_is_still_there() -> None:
    async def story() -> None:
        house = House()
        await house.opens("anna")
        await house.opens("anna")
        house.closes("anna")
        assert await house.after(2 * LOST) == ["anna"]
        house.closes("anna", says_so=False)
        assert await house.after(2 * LEFT) == ["anna"], "what the first tab said is long ago"

    asyncio.run(story())


def test_a_full_house_takes_nobody_until_somebody_leaves() -> None:
    async def story() -> None:
        house = House(most=2)
        await house.opens("anna")
        await house.opens("ben")
        assert await house.opens("clara") is None
        house.closes("ben", says_so=False)
        assert await house.opens("clara") is None  # his telephone is locked
        house.closes("anna")
        assert await house.opens("clara") is not None  # at once
        assert await house.after(1) == ["ben", "clara"]

    asyncio.run(story())


def test_a_process_that_died_is_not_found_again() -> None:
    async def story() -> None:
        house = House()
        visit = await house.opens("anna")
        del house.kernels.all["kernel of anna"]
        assert await house.opens("anna") is not visit
        del house.kernels.all["kernel of anna"]
        assert await house.after(1) == []
        assert len(house.visitors) == 0

    asyncio.run(story())


def test_what_takes_the_place_of_a_process_that_died_is_ended() -> None:
    async def story() -> None:
        house = House()
        visit = await house.opens("anna")
        await house.opens("ben")
        assert visit is not None
        await house.visitors.forget(visit)
        assert await house.after(1) == ["ben"]
        again = await house.opens("anna")
        assert again is not visit
        await house.visitors.forget(visit)  # it is no longer there
        assert await house.after(1) == ["anna", "ben"]

    asyncio.run(story())


def test_who_begins_anew_gives_up_the_old_process() -> None:
    async def story() -> None:
        house = House()
        await house.opens("anna")
        await house.visitors.leave("anna")
        assert not house.kernels.all
        assert await house.opens("anna") is not None

    asyncio.run(story())


def test_limits_go_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Limits.here() == Limits()
    told = Limits(512, 300, is_served=True)
    for name, value in told.environment.items():
        monkeypatch.setenv(name, value)
    assert Limits.here() == told
    assert told.within(1024, 100) == (512, 100)
    told.check(512, 300)
    with pytest.raises(ValueError, match="pictures of up to 512 px are painted here, not of 513"):
        told.check(513, 1)
    with pytest.raises(ValueError, match="up to 300 steps are made here, not 301"):
        told.check(32, 301)
    monkeypatch.setenv("NST_STUDIO_SIZE", "large")
    with pytest.raises(ValueError, match="NST_STUDIO_SIZE must be a whole number, got 'large'"):
        Limits.here()
