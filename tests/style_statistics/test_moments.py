"""Statistics of moments against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_utils.losses import gram_loss, gram_matrix
from nst_utils.style_statistics import moments as of_moments
from nst_utils.style_statistics.moments import (
    covariance_loss,
    mean_std_loss,
    moments,
    squares,
    wasserstein_loss,
    wasserstein_target,
)

N = 6


def responses(batch: int, height: int, width: int, seed: int) -> Tensor:
    """Responses as a network gives them: about half of them zero."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, N, height, width, generator=generator, dtype=torch.float64).relu()


@pytest.fixture(name="F")
def picture() -> Tensor:
    return responses(2, 9, 8, 0)


@pytest.fixture(name="A")
def painting() -> Tensor:
    return 1.5 * responses(1, 7, 11, 1) + 0.2


def over_positions(sums: Tensor, F: Tensor) -> Tensor:
    return sums / F[0, 0].numel()


def rows(F: Tensor) -> list[np.ndarray]:
    """(N, M) of each image."""
    return list(F.flatten(2).numpy())


def root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(values.clip(min=0)) @ vectors.T


def test_covariances_and_means(F: Tensor, A: Tensor) -> None:
    found = covariance_loss(over_positions(moments(F), F), over_positions(moments(A), A))
    (a,) = rows(A)
    for value, f in zip(found, rows(F), strict=True):
        difference = np.cov(f, bias=True) - np.cov(a, bias=True)
        means = f.mean(1) - a.mean(1)
        assert value == pytest.approx((difference**2).mean() / 4 + (means**2).mean() / 2)


def test_with_equal_means_the_covariance_loss_is_equation_4(F: Tensor, A: Tensor) -> None:
    F, A = (each - each.mean((2, 3), keepdim=True) + 1 for each in (F, A))
    M, M_A = F[0, 0].numel(), A[0, 0].numel()
    found = covariance_loss(moments(F) / M, moments(A) / M_A)
    expected = gram_loss(gram_matrix(F), gram_matrix(A), M=M, M_A=M_A)
    torch.testing.assert_close(found, expected)


def test_means_and_standard_deviations(F: Tensor, A: Tensor) -> None:
    found = mean_std_loss(over_positions(squares(F), F), over_positions(squares(A), A))
    (a,) = rows(A)
    for value, f in zip(found, rows(F), strict=True):
        expected = ((f.mean(1) - a.mean(1)) ** 2 + (f.std(1) - a.std(1)) ** 2).mean()
        assert value == pytest.approx(expected, rel=1e-4)


def test_a_filter_that_never_responds_has_a_slope() -> None:
    F = torch.zeros(1, N, 4, 4, requires_grad=True)
    mean_std_loss(squares(F) / 16, torch.ones(1, 2, N)).sum().backward()
    assert F.grad is not None
    assert F.grad.isfinite().all()


def test_wasserstein_between_gaussians(F: Tensor, A: Tensor) -> None:
    target = wasserstein_target(over_positions(moments(A), A))
    found = wasserstein_loss(over_positions(moments(F), F), target)
    (a,) = rows(A)
    wide = 0.1 * np.trace(np.cov(a, bias=True)) / N * np.eye(N)
    C_A = np.cov(a, bias=True) + wide
    for value, f in zip(found, rows(F), strict=True):
        C = np.cov(f, bias=True) + wide
        shared = root(root(C_A) @ C @ root(C_A))
        means = f.mean(1) - a.mean(1)
        expected = (means @ means + np.trace(C + C_A - 2 * shared)) / N
        assert value == pytest.approx(expected, rel=1e-5)


def test_wasserstein_of_scaled_noise_is_known() -> None:
    """Between N(0, s^2) and N(0, t^2) it is (s - t)^2, for each filter."""
    identity = torch.eye(N, dtype=torch.float64)[None]
    means = torch.zeros(1, N, 1, dtype=torch.float64)
    target = wasserstein_target(torch.cat([4 / 1.1 * identity, means], 2))  # 4 with what is added
    found = wasserstein_loss(torch.cat([(9 - 0.4 / 1.1) * identity, means], 2), target)
    assert found.item() == pytest.approx(1.0, rel=1e-6)


WAYS = [of_moments._by_eigenvalues, of_moments._by_products]  # on a CPU, elsewhere


@pytest.mark.parametrize("way", WAYS, ids=["eigenvalues", "products"])
@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 2e-3), (torch.float64, 1e-5)], ids=str)
def test_roots_against_numpy(way, dtype: torch.dtype, off: float) -> None:  # type: ignore[no-untyped-def]
    """Eigenvalues from 1 to 1e-4: those of a wide layer, with what is added to them."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(2, 40, 40, generator=generator, dtype=torch.float64)).Q
    values = torch.logspace(0, -4, 40, dtype=torch.float64)
    S = axes * torch.stack([values, 9 * values])[:, None] @ axes.transpose(1, 2)
    trace, inverse = way(S.to(dtype))
    assert trace.dtype == inverse.dtype == dtype
    for found, found_inverse, matrix in zip(trace, inverse, S.numpy(), strict=True):
        expected = root(matrix)
        assert found.item() == pytest.approx(np.trace(expected), rel=off / 10)
        error = np.abs(found_inverse.double().numpy() - np.linalg.inv(expected)).max()
        assert error < off * np.abs(np.linalg.inv(expected)).max()


@pytest.mark.parametrize("way", WAYS, ids=["eigenvalues", "products"])
def test_roots_of_nothing_and_of_what_is_no_number(way) -> None:  # type: ignore[no-untyped-def]
    trace, inverse = way(torch.zeros(1, 4, 4))
    assert trace.item() == 0
    assert inverse.isfinite().all()
    trace, inverse = way(torch.full((1, 4, 4), torch.nan))
    assert trace.isnan().all()
    assert inverse.isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_wasserstein_has_its_minimum_at_the_painting(dtype: torch.dtype) -> None:
    """Also where the covariances have hardly any rank: more filters than positions."""
    generator = torch.Generator().manual_seed(0)
    A = torch.randn(1, 64, 5, 6, generator=generator).to(dtype).relu()
    target = wasserstein_target(moments(A) / 30)
    F = A.clone().requires_grad_(True)
    here = wasserstein_loss(moments(F) / 30, target)
    (slope,) = torch.autograd.grad(here.sum(), F)
    away = wasserstein_loss(moments(A + 0.1) / 30, target)
    assert abs(here.item()) < 1e-4 * away.item() + 1e-5
    assert slope.norm().item() < 1e-3


@pytest.mark.parametrize(
    ("measure", "loss"),
    [
        (moments, covariance_loss),
        (squares, mean_std_loss),
        (moments, lambda S, A: wasserstein_loss(S, wasserstein_target(A))),
    ],
    ids=["covariance", "mean_std", "wasserstein"],
)
def test_gradients_are_slopes(measure, loss, F: Tensor, A: Tensor) -> None:  # type: ignore[no-untyped-def]
    target = over_positions(measure(A), A)
    F = (F[:, :, :3, :4] + 0.1).requires_grad_(True)

    def value(F: Tensor) -> Tensor:
        return loss(over_positions(measure(F), F), target)

    assert torch.autograd.gradcheck(value, F, rtol=1e-3, atol=1e-7)


def test_a_mask_weighs_the_positions(F: Tensor) -> None:
    """Of a mask with mean square 1 that is 0 outside, the sums are those inside, at that scale."""
    mask = torch.zeros(1, 1, 9, 8, dtype=torch.float64)
    mask[:, :, :3] = 3**0.5  # a third of the rows
    for measure in (moments, squares):
        torch.testing.assert_close(measure(F, mask), 3 * measure(F[:, :, :3]))


def test_equation_4_is_a_maximum_mean_discrepancy(F: Tensor, A: Tensor) -> None:
    """Li et al.: of the responses at the positions, with the kernel (x y)^2; divided by 4 N^2."""
    (a,) = rows(A)
    M, M_A = F[0, 0].numel(), A[0, 0].numel()
    found = gram_loss(gram_matrix(F), gram_matrix(A), M=M, M_A=M_A)
    for value, f in zip(found, rows(F), strict=True):
        discrepancy = (
            ((f.T @ f) ** 2).mean() + ((a.T @ a) ** 2).mean() - 2 * ((f.T @ a) ** 2).mean()
        )
        assert value == pytest.approx(discrepancy / (4 * N**2))
