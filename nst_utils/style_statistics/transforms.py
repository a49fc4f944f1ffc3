"""The other way round: responses that are given the painting's statistics at once, without a loss.

F and A are the responses of one layer to the photograph and to the painting, (B, N, H, W); the
painting's may be of another size, and batch 1 serves every image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nst_utils.style_statistics.moments import mean_and_covariance, mean_and_std, moments, squares

# Directions whose variance is a smaller share of the largest one are no more than rounding.
_LEAST_SHARE = 1e-6


def adain(F: Tensor, A: Tensor) -> Tensor:
    """Adaptive instance normalization: every filter gets the painting's mean and deviation.

    Huang & Belongie, "Arbitrary Style Transfer in Real-Time with Adaptive Instance Normalization",
    ICCV 2017, equation 8.

    Returns:
        (B, N, H, W), which may be negative where the network's responses cannot be.
    """
    (m, s), (m_A, s_A) = (mean_and_std(squares(each) / each[0, 0].numel()) for each in (F, A))
    return (F - _everywhere(m)) * _everywhere(s_A / s) + _everywhere(m_A)


def whiten_and_color(F: Tensor, A: Tensor) -> Tensor:
    """Whitening and coloring: the painting's means and covariances of the filters.

    Li, Fang, Yang, Wang, Lu & Yang, "Universal Style Transfer via Feature Transforms", NIPS 2017:
    C_A^(1/2) C^(-1/2) (F - m) + m_A. Directions in which the photograph does not vary stay so.

    Returns:
        (B, N, H, W), as :func:`adain`.
    """
    sums = (moments(each).cpu().double() / each[0, 0].numel() for each in (F, A))
    (m, C), (m_A, C_A) = map(mean_and_covariance, sums)
    change = _power(C_A, 0.5) @ _power(C, -0.5)
    centered = F - _everywhere(m.to(F))
    return (change.to(F) @ centered.flatten(2)).view(F.shape) + _everywhere(m_A.to(F))


TRANSFORMS = {"adain": adain, "wct": whiten_and_color}


def _everywhere(values: Tensor) -> Tensor:
    return values[:, :, None, None]


def _power(C: Tensor, exponent: float) -> Tensor:
    """Of symmetric matrices (B, N, N), in the directions in which they are not 0."""
    values, vectors = torch.linalg.eigh(C)
    kept = values > _LEAST_SHARE * values.amax(1, keepdim=True)
    powers = torch.where(kept, values, 1.0).pow(exponent) * kept
    return vectors * powers[:, None] @ vectors.transpose(1, 2)
