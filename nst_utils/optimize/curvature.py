"""How strongly the loss bends, learned while L-BFGS runs: a better first guess than one number.

L-BFGS begins every direction with an estimate H0 of the inverse Hessian, usually a multiple of the
identity (Nocedal & Wright, eq. 7.20). But the loss of eq. 7 bends differently for fine grain than
for large shapes, for color than for brightness, and in smooth places than in busy ones. H0 here is
D C^T diag(h) C D: C takes a picture to brightness and two color axes in Fourier space, h is one
number for each axis and band of frequencies, and D one number for each place. Both are estimated
from the pairs (s, y) that L-BFGS sees anyway: steps taken, and how the gradient changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as fn

from nst_utils.optimize.fourier import Fourier

# Brightness and two color axes at right angles, as in opponent color spaces.
_COLOR_AXES = [
    [3**-0.5, 3**-0.5, 3**-0.5],
    [2**-0.5, 0.0, -(2**-0.5)],
    [6**-0.5, -2 * 6**-0.5, 6**-0.5],
]
# Bounds of the bands, in cycles a pixel: equal steps of the logarithm.
_BANDS = [10 ** (-2.2 + step / 3) for step in range(7)]
# How much of the past each new pair leaves: about the last 50 pairs count.
_MEMORY = 0.98
# Pairs to be seen before the estimate is used.
_PAIRS_NEEDED = 10
# Places are compared by the mean over so many pixels around them; an odd number.
_NEIGHBORHOOD = 9

_STATE = ("_sy", "_yy", "_ss_here", "_yy_here", "_pairs")


class Curvature:
    """The estimate H0 for a batch of pictures; rows never influence one another.

    Args:
        images: (B, C, H, W), any pictures of the size that is optimized.
    """

    def __init__(self, images: Tensor) -> None:
        self._shape = images.shape
        self._fourier = Fourier(images.shape[2:], images)
        rows, channels, height, width = images.shape
        like: dict[str, Any] = {"dtype": images.dtype, "device": images.device}
        vertical = torch.fft.fftfreq(height, **like)[:, None]
        frequency = (vertical**2 + torch.fft.rfftfreq(width, **like) ** 2).sqrt()
        band = torch.bucketize(frequency, frequency.new_tensor(_BANDS))
        self._band = band.flatten()
        members = fn.one_hot(self._band, len(_BANDS) + 1).to(images.dtype)
        # Real pictures: the frequencies that rfft2 leaves out mirror those it gives.
        twice = torch.full_like(frequency, 2)
        twice[:, 0] = 1
        if width % 2 == 0:
            twice[:, -1] = 1
        self._members = members * twice.flatten()[:, None]
        axes = (
            _COLOR_AXES
            if channels == 3
            else [[float(a == b) for a in range(channels)] for b in range(channels)]
        )
        self._axes = images.new_tensor(axes)
        self._sy = images.new_zeros(rows, channels, len(_BANDS) + 1)
        self._yy = torch.zeros_like(self._sy)
        self._ss_here = images.new_zeros(rows, 1, height, width)
        self._yy_here = torch.zeros_like(self._ss_here)
        self._pairs = images.new_zeros(rows)
        self._learned = 0  # how often; no row has seen more pairs

    def state(self) -> dict[str, Tensor]:
        """What was learned."""
        return {name: getattr(self, name) for name in _STATE}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where :meth:`state` was taken, of the same pictures."""
        for name in _STATE:
            getattr(self, name).copy_(state[name])
        self._learned = int(self._pairs.max())

    def learn(self, s: Tensor, y: Tensor, good: Tensor) -> None:
        """Take in a pair of each row, (B, n) each, of the rows that are ``good``, (B,)."""
        weight = torch.where(good, 1 / y.square().sum(1), 0)
        keep = torch.where(good, _MEMORY, 1.0).to(s.dtype)
        step, change = self._spectrum(s), self._spectrum(y)
        in_bands = (step * change.conj()).real.flatten(2) @ self._members
        in_change = change.abs().square().flatten(2) @ self._members
        s_here, y_here = (each.view(self._shape).square().sum(1, keepdim=True) for each in (s, y))
        for learned, new in (
            (self._sy, in_bands),
            (self._yy, in_change),
            (self._ss_here, s_here),
            (self._yy_here, y_here),
        ):
            dims = (-1, *[1] * (learned.ndim - 1))
            # Selected, not multiplied: what is not good may not be finite.
            new = torch.where(good.view(dims), weight.view(dims) * new, 0)
            learned.mul_(keep.view(dims)).add_(new)
        self._pairs += good
        self._learned += 1

    def apply(self, q: Tensor, scaling: Tensor) -> Tensor:
        """H0 q, (B, n); with ``scaling`` (B,), the usual multiple of the identity, until enough
        pairs were seen."""
        usual = q * scaling[:, None]
        # It saves a CPU some work. Elsewhere a step does the same from the first one on, so that it
        # can be recorded early: which rows are ready is for the device alone to know.
        if q.device.type == "cpu" and self._learned < _PAIRS_NEEDED:
            return usual
        ready = self._pairs >= _PAIRS_NEEDED
        places = self._places()
        tiny = torch.finfo(q.dtype).tiny
        bands = self._sy.clamp(min=0) / self._yy.clamp(min=tiny)
        limit = scaling.view(-1, 1, 1)
        bands = bands.clamp(min=limit / 20, max=limit * 50)
        spectrum = self._spectrum(q * places.expand(self._shape).flatten(1))
        spectrum = spectrum * bands[:, :, self._band].view(spectrum.shape)
        filtered = self._fourier.irfft2(spectrum)
        filtered = torch.einsum("ac,rahw->rchw", self._axes, filtered)
        return torch.where(ready[:, None], (filtered * places).flatten(1), usual)

    def _spectrum(self, values: Tensor) -> Tensor:
        """(B, n) -> (B, color axes, H, W // 2 + 1), complex."""
        on_axes = torch.einsum("ac,rchw->rahw", self._axes, values.view(self._shape))
        return self._fourier.rfft2(on_axes)

    def _places(self) -> Tensor:
        """D, (B, 1, H, W); its mean is 1 before it is clamped."""
        tiny = torch.finfo(self._ss_here.dtype).tiny
        ratio = _mean_around(self._ss_here) / _mean_around(self._yy_here).clamp(min=tiny)
        # The ratio is that of squares, (s/y)^2. Its fourth root on either side got further in 150
        # evaluations at 384 px than its square root and than no places at all.
        places = ratio**0.25
        places = places / places.mean((2, 3), keepdim=True).clamp(min=tiny)
        return places.clamp(0.1, 10)  # a place that did not move yet may still do so


def _mean_around(values: Tensor) -> Tensor:
    side, half = _NEIGHBORHOOD, _NEIGHBORHOOD // 2
    down = fn.avg_pool2d(values, (side, 1), 1, (half, 0), count_include_pad=False)
    return fn.avg_pool2d(down, (1, side), 1, (0, half), count_include_pad=False)
