"""Gram matrices of shifted pairs against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_utils.losses import style_loss
from nst_utils.style_statistics.shifts import SHIFTS, shifted_gram_loss, shifted_grams


def responses(batch: int, height: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, height, width, generator=generator, dtype=torch.float64).relu()


def by_loops(f: np.ndarray, down: int, right: int) -> np.ndarray:
    """The mean over the pairs, letter by letter."""
    N, H, W = f.shape
    pairs = [(y, x) for y in range(H - down) for x in range(W - right)]
    G = np.zeros((N, N))
    for y, x in pairs:
        G += np.outer(f[:, y, x], f[:, y + down, x + right])
    return G / len(pairs)


def test_each_matrix_is_a_mean_over_pairs() -> None:
    F = responses(2, 9, 16, 0)
    found = shifted_grams(F).numpy()
    shifts = [(0, 0), *((a, b) for d in SHIFTS for a, b in ((d, 0), (0, d)))]
    assert found.shape[1] == len(shifts)
    for image, f in zip(found, F.numpy(), strict=True):
        for matrix, (down, right) in zip(image, shifts, strict=True):
            if 2 * down > 9 or 2 * right > 16:
                assert np.isnan(matrix).all()
            else:
                np.testing.assert_allclose(matrix, by_loops(f, down, right), atol=1e-12)
    assert np.isnan(found).any()


def test_the_loss_is_the_mean_of_what_both_have() -> None:
    F, A = responses(2, 9, 16, 0), responses(1, 20, 6, 1)
    S, S_A = shifted_grams(F), shifted_grams(A)
    found = shifted_gram_loss(S, S_A)
    squares = (S - S_A).square().mean((2, 3)) / 4
    torch.testing.assert_close(found, squares.nanmean(1))
    assert found.isfinite().all()


def test_a_picture_too_small_for_any_shift_has_its_gram_matrix() -> None:
    F, A = responses(1, 2, 3, 0), responses(1, 3, 2, 1)
    found = shifted_gram_loss(shifted_grams(F), shifted_grams(A))
    torch.testing.assert_close(found, style_loss(F, A))


def test_it_sees_a_period_that_the_gram_matrix_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    tile = torch.rand(1, 3, 16, 8, generator=generator, dtype=torch.float64)
    regular = tile.repeat(1, 1, 1, 4)
    order = torch.randperm(512, generator=generator)
    mixed = regular.flatten(2)[:, :, order].view_as(regular)
    assert style_loss(mixed, regular).item() < 1e-20
    assert shifted_gram_loss(shifted_grams(mixed), shifted_grams(regular)).item() > 1e-4


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_the_gradient_is_the_slope(layout: torch.memory_format) -> None:
    target = shifted_grams(responses(1, 6, 5, 1))
    F = responses(2, 5, 8, 0).contiguous(memory_format=layout).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda F: shifted_gram_loss(shifted_grams(F), target), F)
