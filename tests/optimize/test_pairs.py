"""The compact form of L-BFGS's direction against the two loops that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from pretended import NAME, UNRECORDED, can_be_had, pretended
from torch import Tensor

import nst_utils as nst
from nst_utils.optimize import pairs as pairs_module
from nst_utils.optimize.pairs import Pairs

SIZE = 40


def two_loops(
    pairs: list[tuple[Tensor, Tensor]], gradient: Tensor, first_guess: Callable[[Tensor], Tensor]
) -> Tensor:
    """Algorithm 7.4 of Nocedal & Wright, of one row; pairs (s, y), the oldest first."""
    q, alphas = gradient.clone(), []
    for s, y in reversed(pairs):
        alphas.append((s @ q) / (s @ y))
        q = q - alphas[-1] * y
    r = first_guess(q)
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        r = r + s * (alpha - (y @ r) / (s @ y))
    return -r


def bowl_pair(generator: torch.Generator, scale: float) -> tuple[Tensor, Tensor]:
    """A step, and how the gradient of a quadratic with curvatures from 1 to 1000 changes by it."""
    s = scale * torch.randn(SIZE, generator=generator, dtype=torch.float64)
    return s, torch.logspace(0, 3, SIZE, dtype=torch.float64) * s


@pytest.mark.parametrize("steps", [0, 1, 3, 5, 6, 13])
def test_the_compact_form_is_the_two_loops(steps: int) -> None:
    """Three rows: one keeps every pair, one skips some, one forgets in the middle; memory of 5."""
    generator = torch.Generator().manual_seed(steps)
    pairs = Pairs(3, SIZE, 5, torch.zeros(1, dtype=torch.float64))
    kept: list[list[tuple[Tensor, Tensor]]] = [[], [], []]
    for step in range(steps):
        if step == 4:
            pairs.forget(torch.tensor([False, False, True]))
            kept[2] = []
        good = torch.tensor([True, step % 3 != 1, True])
        new = [bowl_pair(generator, 10.0**-step) for _ in range(3)]
        s, y = (torch.stack(each) for each in zip(*new, strict=True))
        s[~good], y[~good] = torch.nan, torch.inf
        pairs.remember(s, y, good)
        for row in range(3):
            kept[row] = (kept[row] + [new[row]] * int(good[row]))[-5:]
    gradient = torch.randn(3, SIZE, generator=generator, dtype=torch.float64)
    weights = torch.rand(SIZE, generator=generator, dtype=torch.float64) + 0.1
    found = pairs.direction(gradient, lambda q: q * weights)
    for row in range(3):
        expected = two_loops(kept[row], gradient[row], lambda q: q * weights)
        assert (found[row] - expected).norm() <= 1e-10 * expected.norm()
        assert bool(pairs.any[row]) == bool(kept[row])


def by_number(self: Pairs, s: Tensor, y: Tensor, good: Tensor) -> None:
    """How pairs are remembered where every place may be written to by its number."""
    one = good[:, None]
    for kept, new in ((self._s, s), (self._y, y)):
        before = kept[self._rows, self._next]
        kept[self._rows, self._next] = torch.where(one, new, before)
    with_newest = pairs_module._inner_products(self._s, y)[:, :, 0]
    itself = torch.linalg.vecdot(s, y)
    with_newest = with_newest.scatter(1, self._next[:, None], itself[:, None])
    before = self._inner[self._rows, :, self._next]
    self._inner[self._rows, :, self._next] = torch.where(one, with_newest, before)
    self.scaling.copy_(torch.where(good, itself / torch.linalg.vecdot(y, y), self.scaling))
    self._next.copy_(torch.where(good, (self._next + 1) % len(self), self._next))
    self._known.copy_(torch.where(good, (self._known + 1).clamp(max=len(self)), self._known))


def remembered(
    pairs: Pairs, remember: Callable[..., None], device: str = "cpu"
) -> Iterator[Tensor]:
    """What is known after each of some pairs, of which one row skips some."""
    generator = torch.Generator().manual_seed(0)
    for step in range(9):
        good = torch.tensor([True, step % 3 != 1, step > 4])
        s, y = (torch.randn(3, SIZE, generator=generator) for _ in range(2))
        s[~good], y[~good] = torch.nan, torch.inf
        remember(pairs, *(x.to(device) for x in (s, y, good)))
        yield from (x.cpu().clone() for x in pairs.state().values())


def test_no_bit_depends_on_how_places_are_written_to() -> None:
    found = remembered(Pairs(3, SIZE, 4, torch.zeros(1)), Pairs.remember)
    expected = remembered(Pairs(3, SIZE, 4, torch.zeros(1)), by_number)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.skipif(not can_be_had(), reason="this torch has no devices in Python")
def test_where_the_same_bits_are_asked_for_nothing_is_written_by_number() -> None:
    expected = list(remembered(Pairs(3, SIZE, 4, torch.zeros(1)), Pairs.remember))
    with pretended() as device:
        pairs = Pairs(3, SIZE, 4, torch.zeros(1).to(NAME))
        device.operations.clear()
        with nst.deterministic():
            found = list(remembered(pairs, Pairs.remember, NAME))
        assert not [name for name in device.operations if UNRECORDED.match(name)]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_in_float32_it_is_as_exact_as_the_two_loops() -> None:
    """20 pairs that get shorter and shorter, as at the end of a run."""
    generator = torch.Generator().manual_seed(0)
    exact = [bowl_pair(generator, 0.7**step) for step in range(20)]
    gradient = torch.randn(SIZE, generator=generator, dtype=torch.float64)
    expected = two_loops(exact, gradient, lambda q: q / 500)
    rounded = [(s.float(), y.float()) for s, y in exact]
    loops = two_loops(rounded, gradient.float(), lambda q: q / 500).double()
    pairs = Pairs(1, SIZE, 20, torch.zeros(1))
    for s, y in rounded:
        pairs.remember(s[None], y[None], torch.tensor([True]))
    found = pairs.direction(gradient.float()[None], lambda q: q / 500)[0].double()
    assert (found - expected).norm() < 10 * (loops - expected).norm() + 1e-6 * expected.norm()


def test_the_scaling_is_that_of_the_newest_good_pair() -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = Pairs(1, SIZE, 5, torch.zeros(1, dtype=torch.float64))
    s, y = bowl_pair(generator, 1.0)
    pairs.remember(s[None], y[None], torch.tensor([True]))
    pairs.remember(y[None] * torch.nan, y[None], torch.tensor([False]))
    pairs.forget(torch.tensor([True]))
    torch.testing.assert_close(pairs.scaling, ((s @ y) / (y @ y))[None])


def test_what_is_restored_gives_the_same_direction() -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = Pairs(1, SIZE, 3, torch.zeros(1, dtype=torch.float64))
    for step in range(4):
        s, y = bowl_pair(generator, 0.5**step)
        pairs.remember(s[None], y[None], torch.tensor([True]))
    again = Pairs(1, SIZE, 3, torch.zeros(1, dtype=torch.float64))
    again.restore(pairs.state())
    gradient = torch.randn(1, SIZE, generator=generator, dtype=torch.float64)
    assert torch.equal(*(each.direction(gradient, lambda q: q) for each in (pairs, again)))
