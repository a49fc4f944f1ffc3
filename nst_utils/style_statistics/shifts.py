"""Gram matrices of pairs of positions some way apart: what lies how far from what.

A pair whose halves lie in two tiles of a picture would be missed in both: the picture is needed as
a whole, and a mask would have to hold at both ends.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nst_utils.losses import gram_matrix

# How far apart, down or to the right, in positions of the layer.
SHIFTS = (2, 4, 8, 16)


def shifted_grams(F: Tensor) -> Tensor:
    """The Gram matrix of F, and those of F with F shifted, each over its number of pairs.

    Berger & Memisevic, "Incorporating Long-Range Consistency in CNN-Based Texture Generation", ICLR
    2017. The diagonals are the correlations of every filter with itself that Sendik & Cohen-Or take
    at all shifts ("Deep Correlations for Texture Synthesis", ACM Transactions on Graphics 2017).

    Args:
        F: (B, N, H, W).

    Returns:
        (B, 1 + 2 * len(SHIFTS), N, N); NaN for shifts by more than half of the picture.
    """
    H, W = F.shape[2:]
    matrices = [gram_matrix(F) / (H * W)]
    for shift in SHIFTS:
        for down, right in ((shift, 0), (0, shift)):
            fits = 2 * down <= H and 2 * right <= W
            missing = torch.full_like(matrices[0], torch.nan, requires_grad=False)
            matrices.append(_Shifted.apply(F, down, right) if fits else missing)
    return torch.stack(matrices, 1)


def shifted_gram_loss(S: Tensor, A: Tensor) -> Tensor:
    """Equation 4 for each matrix of :func:`shifted_grams`; the mean of those that both have.

    Args:
        S, A: (B, 1 + 2 * len(SHIFTS), N, N); A may have batch 1.

    Returns:
        (B,).
    """
    both = ~(S.isnan() | A.isnan())
    losses = torch.where(both, S - A, 0.0).square().mean((2, 3)) / 4
    return losses.sum(1) / both[:, :, 0, 0].sum(1)


class _Shifted(torch.autograd.Function):
    """mean_k F_ik F_j(k + shift), with its gradient; it keeps F alone, not each part of it."""

    @staticmethod
    def forward(ctx: Any, F: Tensor, down: int, right: int) -> Tensor:
        ctx.save_for_backward(F)
        ctx.shift = down, right
        here, there = (part.flatten(1, 2) for part in _pairs(F, down, right))
        return here.transpose(1, 2) @ there / here.shape[1]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (F,) = ctx.saved_tensors
        here, there = _pairs(F, *ctx.shift)
        scaled = gradient / (here.shape[1] * here.shape[2])
        towards = torch.zeros_like(F)
        of_here, of_there = _pairs(towards, *ctx.shift)
        of_here += (there.flatten(1, 2) @ scaled.transpose(1, 2)).view(here.shape)
        of_there += (here.flatten(1, 2) @ scaled).view(there.shape)
        return towards, None, None


def _pairs(F: Tensor, down: int, right: int) -> tuple[Tensor, Tensor]:
    """Two views (B, H', W', N): the positions that have a partner, and their partners."""
    positions = F.permute(0, 2, 3, 1)
    H, W = positions.shape[1:3]
    return positions[:, : H - down, : W - right], positions[:, down:, right:]
