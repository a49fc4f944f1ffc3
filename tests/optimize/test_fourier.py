"""A device whose Fourier transform is wrong without a word: Apple's, in some versions; played."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pretended import NAME, There, can_be_had, pretended
from torch import Tensor

import nst_utils as nst
from nst_utils.optimize.curvature import Curvature
from nst_utils.optimize.fourier import Fourier

pytestmark = pytest.mark.skipif(not can_be_had(), reason="this torch has no devices in Python")
SIZES = [(8, 10), (7, 10), (8, 9), (7, 9), (1, 1)]


def wrong_where_odd(values: Tensor, s: tuple[int, int], **how: Any) -> Tensor:
    found = true_irfft2(values, s=s, **how)
    return found * 1.1 if isinstance(values, There) and any(side % 2 for side in s) else found


def missing(values: Tensor, **how: Any) -> Tensor:
    if isinstance(values, There):
        raise NotImplementedError("aten::_fft_r2c is not implemented there")
    return true_rfft2(values, **how)


true_irfft2, true_rfft2 = torch.fft.irfft2, torch.fft.rfft2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fault", [None, "irfft2", "rfft2"])
def test_what_is_wrong_there_is_done_here(
    size: tuple[int, int], fault: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: dict[str, Callable[..., Tensor]] = {"irfft2": wrong_where_odd, "rfft2": missing}
    if fault:
        monkeypatch.setattr(torch.fft, fault, faults[fault])
    images = torch.rand(2, 3, *size)
    spectrum = true_rfft2(images, norm="ortho")
    with pretended(float64=False) as device:
        there = images.to(NAME)
        fourier = Fourier(size, there)
        device.waits.clear()
        found, back = fourier.rfft2(there), fourier.irfft2(spectrum.to(NAME))
        waits = device.waits.total() - 1  # what was brought just now
        found, back = found.cpu(), back.cpu()
    is_wrong = fault == "rfft2" or (fault == "irfft2" and any(side % 2 for side in size))
    assert fourier.on_cpu == is_wrong == (waits > 0)
    torch.testing.assert_close(found, spectrum)
    torch.testing.assert_close(back, images)


def test_cpus_and_nvidias_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.fft, "irfft2", missing)
    assert not Fourier((7, 9), torch.zeros(1)).on_cpu


def test_the_curvature_there_is_that_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an odd size; with what is wrong there it would not be."""
    monkeypatch.setattr(torch.fft, "irfft2", wrong_where_odd)
    q = nst.noise_image(7, 9, seed=0).flatten(1)

    def applied(device: str) -> Tensor:
        curvature = Curvature(torch.zeros(1, 3, 7, 9).to(device))
        for seed in range(12):
            s = nst.noise_image(7, 9, seed=seed).flatten(1)
            y = s * torch.linspace(2, 3, s.shape[1])
            curvature.learn(s.to(device), y.to(device), torch.tensor([True]).to(device))
        return curvature.apply(q.to(device), torch.ones(1).to(device)).cpu()

    expected = applied("cpu")
    with pretended(float64=False):
        torch.testing.assert_close(applied(NAME), expected, rtol=1e-4, atol=1e-5)
        monkeypatch.setattr(Fourier, "_comes_back", lambda *_: True)
        assert not torch.allclose(applied(NAME), expected, rtol=0.05)
