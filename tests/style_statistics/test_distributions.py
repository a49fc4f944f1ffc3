"""Sorted responses and projections against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pretended import NAME, UNRECORDED, can_be_had, pretended
from torch import Tensor

import nst_utils as nst
from nst_utils.style_statistics.distributions import (
    alike,
    at_length,
    sorted_loss,
    sorted_projections,
    sorted_responses,
)


def responses(batch: int, height: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 5, height, width, generator=generator, dtype=torch.float64).relu()


def test_histogram_matching_is_what_each_response_lacks() -> None:
    """Risser et al.: the response of the same rank in the painting is aimed at."""
    F, A = responses(2, 6, 7, 0), responses(1, 7, 6, 1)
    found = sorted_loss(sorted_responses(F), sorted_responses(A))
    a = A.flatten(2).numpy()[0]
    for value, f in zip(found, F.flatten(2).numpy(), strict=True):
        aimed_at = np.empty_like(f)
        for filter_, its in enumerate(f):
            aimed_at[filter_, its.argsort(kind="stable")] = np.sort(a[filter_])
        assert value == pytest.approx(((f - aimed_at) ** 2).mean())


def test_sliced_wasserstein_sorts_along_axes_at_right_angles() -> None:
    F, A = responses(2, 6, 7, 0), responses(1, 7, 6, 1)
    # A filter that is 1 in one place and 0 elsewhere shows the axes themselves.
    unit = torch.eye(5, dtype=torch.float64).reshape(1, 5, 5, 1)
    axes = torch.stack([sorted_projections(unit[:, :, [k]])[0, :, 0] for k in range(5)], 1).numpy()
    np.testing.assert_allclose(axes @ axes.T, np.eye(5), atol=1e-12)
    found = sorted_loss(sorted_projections(F), sorted_projections(A))
    a = np.sort(axes @ A.flatten(2).numpy()[0])
    for value, f in zip(found, F.flatten(2).numpy(), strict=True):
        assert value == pytest.approx(((np.sort(axes @ f) - a) ** 2).mean())


def test_along_each_axis_it_is_the_wasserstein_distance() -> None:
    """No other assignment of the painting's positions costs less than the sorted one."""
    f, a = responses(1, 1, 6, 2)[:, :1], responses(1, 1, 6, 3)[:, :1]
    least = sorted_loss(sorted_responses(f), sorted_responses(a)).item()
    random = np.random.default_rng(0)
    costs = [((f - a[..., random.permutation(6)]) ** 2).mean().item() for _ in range(200)]
    assert least <= min(costs) + 1e-12


def test_order_does_not_matter_and_size_hardly_does() -> None:
    A = responses(1, 8, 8, 4)
    moved = A.flatten(2)[:, :, torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    larger = A.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for measure in (sorted_responses, sorted_projections):
        assert sorted_loss(measure(A), measure(moved[..., None])).item() < 1e-20
        far = sorted_loss(measure(A), measure(A + 0.5)).item()
        assert sorted_loss(measure(larger), measure(A)).item() < far / 50
        assert sorted_loss(measure(A), measure(larger)).item() < far / 50


def test_other_lengths_are_read_off_between_the_values() -> None:
    values = torch.tensor([[[0.0, 1.0, 4.0]]])
    np.testing.assert_allclose(at_length(values, 6)[0, 0], [0, 0.25, 0.75, 1.75, 3.25, 4])
    assert at_length(values, 3) is values
    assert [each.shape[2] for each in alike([values, at_length(values, 6)])] == [6, 6]
    same = [values, values + 1]
    assert all(a is b for a, b in zip(alike(same), same, strict=True))


@pytest.mark.parametrize("measure", [sorted_responses, sorted_projections])
def test_gradients_are_slopes(measure) -> None:  # type: ignore[no-untyped-def]
    target = measure(responses(1, 3, 5, 1))
    generator = torch.Generator().manual_seed(0)
    F = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda F: sorted_loss(measure(F), target), F)


@pytest.mark.skipif(not can_be_had(), reason="this torch has no devices in Python")
def test_the_gradient_is_torchs_and_can_be_recorded_where_the_same_bits_are_asked_for() -> None:
    F = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    weights = torch.rand(2, 3, 20, generator=torch.Generator().manual_seed(1))
    x = F.clone().requires_grad_(True)
    (expected,) = torch.autograd.grad((x.flatten(2).sort(2).values * weights).sum(), x)
    (found,) = torch.autograd.grad((sorted_responses(x) * weights).sum(), x)
    assert torch.equal(found, expected)
    with pretended() as device, nst.deterministic():
        there = F.to(NAME).requires_grad_(True)
        loss = (sorted_responses(there) * weights.to(NAME)).sum()
        device.operations.clear()
        (found,) = torch.autograd.grad(loss, there)
        assert not [name for name in device.operations if UNRECORDED.match(name)]
        assert torch.equal(found.cpu(), expected)
