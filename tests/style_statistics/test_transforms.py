"""Responses that are given the painting's statistics have them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_utils.style_statistics.transforms import TRANSFORMS, adain, whiten_and_color


def responses(batch: int, height: int, width: int, seed: int, filters: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = batch, filters, height, width
    return torch.randn(shape, generator=generator, dtype=torch.float64).relu()


def test_adain_gives_means_and_deviations() -> None:
    F, A = responses(2, 9, 8, 0), 2 * responses(1, 7, 11, 1) + 1
    found = adain(F, A)
    for f, before in zip(found.flatten(2).numpy(), F.flatten(2).numpy(), strict=True):
        a = A.flatten(2).numpy()[0]
        np.testing.assert_allclose(f.mean(1), a.mean(1))
        np.testing.assert_allclose(f.std(1), a.std(1), rtol=1e-4)
        correlation = [np.corrcoef(x, y)[0, 1] for x, y in zip(f, before, strict=True)]
        np.testing.assert_allclose(correlation, 1)


def test_wct_gives_means_and_covariances() -> None:
    F, A = responses(2, 9, 8, 0), 2 * responses(1, 7, 11, 1) + 1
    a = A.flatten(2).numpy()[0]
    for f in whiten_and_color(F, A).flatten(2).numpy():
        np.testing.assert_allclose(f.mean(1), a.mean(1))
        np.testing.assert_allclose(np.cov(f, bias=True), np.cov(a, bias=True), rtol=1e-9)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_photograph_keeps_its_own_statistics(name: str) -> None:
    """Also with fewer positions than filters, where most directions do not vary."""
    F = responses(1, 3, 4, 0, filters=20)
    torch.testing.assert_close(TRANSFORMS[name](F, F), F, rtol=1e-4, atol=1e-6)
    found = TRANSFORMS[name](F.float(), responses(1, 5, 5, 1, filters=20).float())
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert found.abs().max() < 100
