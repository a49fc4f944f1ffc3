"""Whole distributions of the responses: sorted, filter by filter or along other axes.

F are the responses of one layer, (B, N, H, W), of M = H * W positions. What is sorted is no sum: it
cannot be put together from tiles of a picture, nor weighed by a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as fn


def sorted_responses(F: Tensor) -> Tensor:
    """Each filter's responses from the least to the largest: its histogram to the last value.

    Args:
        F: (B, N, H, W).

    Returns:
        (B, N, M).
    """
    return _Sorted.apply(F.flatten(2))


def sorted_projections(F: Tensor) -> Tensor:
    """The same along N other axes, which are at right angles, turned at random.

    They are the same for every layer of N filters and for every step: L-BFGS compares losses and
    gradients of different steps.

    Args:
        F: (B, N, H, W).

    Returns:
        (B, N, M).
    """
    return _Sorted.apply(_axes(F.shape[1], F.dtype, F.device) @ F.flatten(2))


def sorted_loss(S: Tensor, A: Tensor) -> Tensor:
    """The mean square of how far the responses must move to be distributed as the painting's.

    Of :func:`sorted_responses` it is histogram matching (Risser, Wilmot & Barnes, "Stable and
    Controllable Neural Texture Synthesis and Style Transfer Using Histogram Losses", 2017; they add
    it to the Gram matrices). Of :func:`sorted_projections` it is the sliced Wasserstein distance
    (Heitz, Vanhoey, Chambon & Belcour, "A Sliced Wasserstein Loss for Neural Texture Synthesis",
    CVPR 2021; they take new axes on the way).

    Args:
        S: (B, N, M). A: (B, N, M'), of any number of positions; batch 1 serves every image.

    Returns:
        (B,).
    """
    return (S - at_length(A, S.shape[2])).square().mean((1, 2))


def at_length(values: Tensor, length: int) -> Tensor:
    """Sorted values (B, N, M) as if there were ``length`` of them: (B, N, length)."""
    same = values.shape[2] == length
    return values if same else fn.interpolate(values, size=length, mode="linear")


def alike(values: Sequence[Tensor]) -> list[Tensor]:
    """What was taken of paintings of several sizes, in one shape; only what is sorted has more."""
    if len({each.shape[1:] for each in values}) == 1:
        return list(values)
    longest = max(each.shape[2] for each in values)
    return [at_length(each, longest) for each in values]


class _Sorted(torch.autograd.Function):
    """Sorted along the last of three dimensions, with torch's own gradient; but where the same bits
    are asked for, a GPU writes to places given by number in a way that some versions of torch
    cannot record. Then each place is asked for what belongs to it, which takes a second sort."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        in_order, places = values.sort(2)
        ctx.save_for_backward(places)
        return in_order

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (places,) = ctx.saved_tensors
        if gradient.device.type != "cpu" and torch.are_deterministic_algorithms_enabled():
            return gradient.gather(2, places.argsort(2))
        return torch.empty_like(gradient).scatter_(2, places, gradient)


@lru_cache(maxsize=8)
def _axes(N: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(N, N), one axis a row."""
    generator = torch.Generator(device="cpu").manual_seed(0)
    gaussian = torch.randn(N, N, generator=generator, dtype=torch.float64, device="cpu")
    return torch.linalg.qr(gaussian).Q.to(device, dtype)
