"""The learned guess at the inverse Hessian: right where it can be known, else harmless."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nst_utils.objective.table import Evaluation
from nst_utils.optimize.curvature import _BANDS, Curvature
from nst_utils.optimize.lbfgs import LBFGS

SHAPE = (1, 3, 24, 32)
YES = torch.tensor([True])


def random(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).flatten(1)


def bends(v: Tensor, fine: float = 100.0, shape: tuple[int, ...] = SHAPE) -> Tensor:
    """A Hessian times v: 1 for large shapes, ``fine`` for grain, from one of the bands on."""
    height, width = shape[2:]
    vertical = torch.fft.fftfreq(height)[:, None]
    frequency = (vertical**2 + torch.fft.rfftfreq(width) ** 2).sqrt()
    factor = torch.where(frequency > _BANDS[4], fine, 1.0)
    spectrum = torch.fft.rfft2(v.view(shape)) * factor
    return torch.fft.irfft2(spectrum, s=shape[2:]).flatten(1)


def taught(pairs: int = 15, shape: tuple[int, ...] = SHAPE) -> Curvature:
    curvature = Curvature(torch.zeros(shape))
    good = torch.ones(shape[0], dtype=torch.bool)
    for seed in range(pairs):
        s = random(seed, shape)
        curvature.learn(s, bends(s, shape=shape), good)
    return curvature


def test_until_enough_was_seen_it_is_the_usual_scaling() -> None:
    q, scaling = random(99), torch.tensor([0.3])
    torch.testing.assert_close(taught(9).apply(q, scaling), q * 0.3)
    assert not torch.allclose(taught(10).apply(q, scaling), q * 0.3)


def test_it_learns_which_frequencies_bend() -> None:
    """The inverse Hessian times the Hessian gives the vector back, which no single number does."""
    v = random(99)
    found = taught().apply(bends(v), torch.tensor([0.05]))
    assert (found - v).norm() / v.norm() < 0.35
    best_number = (bends(v) * v).sum() / bends(v).square().sum()
    coarse = v - bends(v) / 100  # only large shapes
    with_number = (best_number * bends(coarse) - coarse).norm() / coarse.norm()
    with_bands = (taught().apply(bends(coarse), torch.tensor([0.05])) - coarse).norm()
    assert with_bands / coarse.norm() < 0.6 < 0.9 < with_number


def test_it_is_symmetric_and_positive() -> None:
    """Otherwise the direction might point uphill."""
    curvature, scaling = taught(), torch.tensor([0.05])
    for seed in range(5):
        a, b = random(100 + seed), random(200 + seed)
        across = (a * curvature.apply(b, scaling)).sum()
        torch.testing.assert_close(
            across, (b * curvature.apply(a, scaling)).sum(), rtol=1e-3, atol=1e-2
        )
        assert (a * curvature.apply(a, scaling)).sum() > 0


def test_rows_do_not_influence_one_another_and_bad_pairs_teach_nothing() -> None:
    shape = (2, 3, 16, 16)
    both = Curvature(torch.zeros(shape))
    alone = Curvature(torch.zeros(1, 3, 16, 16))
    for seed in range(14):
        s = random(seed, shape)
        y = bends(s, shape=shape)
        y[1] = torch.nan if seed % 2 else -y[1]
        both.learn(s, y, torch.tensor([True, False]))
        alone.learn(s[:1], y[:1], YES)
    q = random(50, shape)
    scaling = torch.tensor([0.05, 0.7])
    found = both.apply(q, scaling)
    torch.testing.assert_close(found[:1], alone.apply(q[:1], scaling[:1]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1], 0.7 * q[1])


def test_a_place_that_never_moved_may_still_move() -> None:
    curvature = Curvature(torch.zeros(SHAPE))
    for seed in range(12):
        s = random(seed).view(SHAPE).clone()
        s[..., :16] = 0
        curvature.learn(s.flatten(1), random(seed + 50), YES)
        curvature.learn(s.flatten(1), bends(s.flatten(1)), YES)
    found = curvature.apply(random(99), torch.tensor([0.05])).view(SHAPE)
    assert found[..., :8].abs().mean() > 0.01 * found[..., 24:].abs().mean()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 4)])
def test_any_size_and_number_of_channels(channels: int, size: tuple[int, int]) -> None:
    shape = (1, channels, *size)
    curvature = Curvature(torch.zeros(shape))
    for seed in range(12):
        s = random(seed, shape)
        curvature.learn(s, 3 * s, YES)
    found = curvature.apply(random(99, shape), torch.tensor([1 / 3]))
    assert found.isfinite().all()
    torch.testing.assert_close(found, random(99, shape) / 3, rtol=0.9, atol=0.2)


def test_lbfgs_gets_further_with_it_than_without() -> None:
    """A quadratic whose fine grain bends 400 times as much, from far away."""
    goal = random(7).view(SHAPE)

    def evaluate(images: Tensor) -> Evaluation:
        difference = (images - goal).flatten(1)
        gradient = bends(difference, 400.0)
        loss = (difference * gradient).sum(1) / 2
        return Evaluation(loss, gradient.view_as(images), loss[:, None])

    plain = LBFGS(evaluate, torch.zeros(SHAPE), bounds=None, history_size=2)
    learned = LBFGS(evaluate, torch.zeros(SHAPE), bounds=None, history_size=2, curvature=True)
    for _ in range(25):
        plain.step()
        learned.step()
    assert learned.loss.item() < 0.5 * plain.loss.item() or learned.loss.item() < 1e-6
