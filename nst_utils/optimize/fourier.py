"""Fourier transforms of pictures, on the device where that is right, else on the CPU.

Some versions of Apple's library give wrong values from ``irfft2`` where a side is odd, without a
word. So on every device but CPUs and NVIDIA's, a picture of the size in question goes there and
back once before the transform is used.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Their libraries, MKL, pocketfft and cuFFT, are right for every size.
_TRUSTED = ("cpu", "cuda")
# Of values from 0 to 1, in float32.
_TOLERANCE = 1e-3


class Fourier:
    """``rfft2`` and ``irfft2``, with norm ``"ortho"``, for pictures of one size.

    Args:
        size: (height, width). like: a tensor of the kind and on the device of the pictures.
    """

    def __init__(self, size: Sequence[int], like: Tensor) -> None:
        self._size, self._device = tuple(size), like.device
        self.on_cpu = like.device.type not in _TRUSTED and not self._comes_back(like)

    def rfft2(self, images: Tensor) -> Tensor:
        """(..., H, W) -> (..., H, W // 2 + 1), complex."""
        here = images.cpu() if self.on_cpu else images
        return torch.fft.rfft2(here, norm="ortho").to(self._device)

    def irfft2(self, spectrum: Tensor) -> Tensor:
        """The way back."""
        here = spectrum.cpu() if self.on_cpu else spectrum
        return torch.fft.irfft2(here, s=self._size, norm="ortho").to(self._device)

    def _comes_back(self, like: Tensor) -> bool:
        generator = torch.Generator("cpu").manual_seed(0)
        picture = torch.rand(self._size, generator=generator, dtype=like.dtype, device="cpu")
        try:
            spectrum = torch.fft.rfft2(picture.to(self._device), norm="ortho")
            back = torch.fft.irfft2(spectrum, s=self._size, norm="ortho").cpu()
        except RuntimeError:  # or NotImplementedError, which is one: there is none at all
            return False
        there = torch.fft.rfft2(picture, norm="ortho")
        right = (spectrum.cpu() - there).abs().max() < _TOLERANCE * there.abs().max()
        return bool(right) and bool((back - picture).abs().max() < _TOLERANCE)
