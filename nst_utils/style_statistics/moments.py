"""Means, variances and covariances of the responses: what sums over the positions tell.

As in :mod:`nst_utils.losses`, F are the responses of one layer to a picture, (B, N, H, W), with N
filters and M = H * W positions. Of each statistic there are sums, taken of F, and a loss, which
compares those of two pictures, each divided by its number of positions: one value for each image,
(B,).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nst_utils.losses import gram_matrix

# Added to a variance before its root is taken, whose slope at 0 has no end.
_EPSILON = 1e-6
# What wasserstein adds to all variances, as a share of the painting's mean variance: in float32 a
# matrix root knows nothing of what is much smaller than the largest.
_BLUR = 0.1
# The least root that the matrix root is made for, over the norm; and how often it is refined.
_LEAST_ROOT, _REFINEMENTS = 1e-3, 11


def moments(F: Tensor, mask: Tensor | None = None) -> Tensor:
    """Sums of the products of two filters (eq. 3), and of each filter.

    Args:
        F: (B, N, H, W). mask: (1, 1, H, W) with mean square 1; its square weighs the positions.

    Returns:
        (B, N, N + 1): the Gram matrix, and the sums as a last column.
    """
    weighed = guided(F, mask)
    return torch.cat([gram_matrix(weighed), _sum(guided(weighed, mask))[:, :, None]], 2)


def squares(F: Tensor, mask: Tensor | None = None) -> Tensor:
    """Sums of each filter, and of its squares; arguments of :func:`moments`.

    Returns:
        (B, 2, N).
    """
    weighed = guided(F, mask)
    return torch.stack([_sum(guided(weighed, mask)), _sum(weighed.square())], 1)


def guided(F: Tensor, mask: Tensor | None) -> Tensor:
    """The responses as a guided Gram matrix takes them: times the mask, where there is one."""
    return F if mask is None else F * mask


def covariance_loss(S: Tensor, A: Tensor) -> Tensor:
    """1/4 mean_ij (C_ij - C^A_ij)^2 + 1/2 mean_i (m_i - m^A_i)^2: the Gram matrix taken apart.

    G / M = C + m m^T, with means m and covariances C of the filters. Where the means agree, it is
    equation 4; the half is about what equation 4 makes of a difference in means where these are 1,
    as in the normalized network.

    Args:
        S, A: (B, N, N + 1), :func:`moments` divided by their number of positions; A may have
            batch 1.

    Returns:
        (B,).
    """
    (m, C), (m_A, C_A) = mean_and_covariance(S), mean_and_covariance(A)
    return (C - C_A).square().mean((1, 2)) / 4 + (m - m_A).square().mean(1) / 2


def mean_std_loss(S: Tensor, A: Tensor) -> Tensor:
    """mean_i (m_i - m^A_i)^2 + (s_i - s^A_i)^2: mean and standard deviation of each filter alone.

    Li, Wang, Liu & Hou, "Demystifying Neural Style Transfer", IJCAI 2017: the statistics of batch
    normalization. AdaIN sets the same ones (Huang & Belongie, ICCV 2017).

    Args:
        S, A: (B, 2, N), :func:`squares` divided by their number of positions; A may have batch 1.

    Returns:
        (B,).
    """
    (m, s), (m_A, s_A) = mean_and_std(S), mean_and_std(A)
    return ((m - m_A).square() + (s - s_A).square()).mean(1)


def wasserstein_loss(S: Tensor, A: Tensor) -> Tensor:
    """The squared 2-Wasserstein distance of two Gaussians, over N: what moving one there costs.

    |m - m_A|^2 + tr(C + C_A - 2 (R C R)^(1/2)) with R = C_A^(1/2) (Dowson & Landau 1982; the loss
    of github.com/crowsonkb/style-transfer-pytorch). All variances are a tenth of the painting's
    mean variance larger than they are, because float32 knows no roots of anything much smaller.

    Args:
        S: (B, N, N + 1), :func:`moments` divided by their number of positions.
        A: (B, N, N + 1), as :func:`wasserstein_target` gives it; may have batch 1.

    Returns:
        (B,).
    """
    m, C = mean_and_covariance(S)
    R, m_A = A[:, :, :-1], A[:, :, -1]
    N = R.shape[1]
    of_painting = R.square().sum((1, 2))  # the trace of R^2
    added = of_painting * (_BLUR / (1 + _BLUR) / N)
    C = C + added[:, None, None] * torch.eye(N, dtype=C.dtype, device=C.device)
    shared: Tensor = _TraceOfRoot.apply(R @ C @ R)
    covariances = C.diagonal(dim1=1, dim2=2).sum(1) + of_painting - 2 * shared
    return ((m - m_A).square().sum(1) + covariances) / N


def wasserstein_target(A: Tensor) -> Tensor:
    """The root R of the painting's covariances, and its means as a last column.

    Args:
        A: (B, N, N + 1), :func:`moments` divided by their number of positions.

    Returns:
        (B, N, N + 1).
    """
    m, C = mean_and_covariance(A.cpu().double())  # once in a run
    values, vectors = torch.linalg.eigh(C)
    values = values.clamp(min=0)
    values = values + _BLUR * values.mean(1, keepdim=True)
    R = vectors * values.sqrt()[:, None] @ vectors.transpose(1, 2)
    return torch.cat([R, m[:, :, None]], 2).to(A)


class _TraceOfRoot(torch.autograd.Function):
    """The trace of S^(1/2), S symmetric (B, N, N), with its gradient, S^(-1/2) / 2."""

    @staticmethod
    def forward(ctx: Any, S: Tensor) -> Tensor:
        trace, inverse = (_by_eigenvalues if S.device.type == "cpu" else _by_products)(S)
        ctx.save_for_backward(inverse)
        return trace

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (inverse,) = ctx.saved_tensors
        return gradient[:, None, None] * (inverse + inverse.transpose(1, 2)) / 4


def _by_eigenvalues(S: Tensor) -> tuple[Tensor, Tensor]:
    """Trace of S^(1/2), (B,), and S^(-1/2): on a CPU twice as fast as by products, and exact."""
    if not bool(S.isfinite().all()):  # LAPACK would raise; a run knows what to do about these
        return S.diagonal(dim1=1, dim2=2).sum(1) * torch.nan, S * torch.nan
    values, vectors = torch.linalg.eigh(S.double())
    roots = values.clamp(min=0).sqrt()
    number = torch.finfo(S.dtype)  # of what is less than its precision, S knows nothing
    least = (number.eps**0.5 * roots.amax(1, keepdim=True)).clamp(min=number.tiny)
    inverse = vectors / roots.maximum(least)[:, None] @ vectors.transpose(1, 2)
    return roots.sum(1).to(S), inverse.to(S)


def _by_products(S: Tensor) -> tuple[Tensor, Tensor]:
    """The same by Newton and Schulz's iteration: for eigenvalues, a GPU makes the program wait.

    ``root`` and ``inverse`` approach S^(1/2) and S^(-1/2) together; each step has the factor that
    is best for the least root left (Chen & Chow 2014).
    """
    norm = S.square().sum((1, 2), keepdim=True).sqrt().clamp(min=torch.finfo(S.dtype).tiny)
    identity = torch.eye(S.shape[1], dtype=S.dtype, device=S.device)
    root, inverse = S / norm, identity.expand_as(S)
    least = _LEAST_ROOT
    for _ in range(_REFINEMENTS):
        factor = (3 / (1 + least + least**2)) ** 0.5
        least = factor * least * (3 - (factor * least) ** 2) / 2
        change = 1.5 * factor * identity - 0.5 * factor**3 * (inverse @ root)
        root, inverse = root @ change, change @ inverse
    return (root * norm.sqrt()).diagonal(dim1=1, dim2=2).sum(1), inverse / norm.sqrt()


def _sum(F: Tensor) -> Tensor:
    return F.sum((2, 3))


def mean_and_covariance(S: Tensor) -> tuple[Tensor, Tensor]:
    """(B, N) and (B, N, N), from moments over their number of positions."""
    m = S[:, :, -1]
    return m, S[:, :, :-1] - m[:, :, None] * m[:, None]


def mean_and_std(S: Tensor) -> tuple[Tensor, Tensor]:
    """(B, N) each, from sums and sums of squares over their number of positions."""
    m, square = S.unbind(1)
    return m, ((square - m.square()).clamp(min=0) + _EPSILON).sqrt()
