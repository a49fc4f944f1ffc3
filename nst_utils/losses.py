"""The paper's equations, one function each.

Gatys, Ecker & Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016.
Throughout, F, P and A are the responses of one layer to the image being made, to the photograph
and to the painting: tensors (B, N, H, W) with N filters and M = H * W positions. Every loss gives
one value for each image of the batch, (B,), so that images never influence one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def content_loss(F: Tensor, P: Tensor, *, reduction: str = "mean") -> Tensor:
    """Equation 1, one layer: L_content = 1/2 sum_ij (F_ij - P_ij)^2, by default divided by N M.

    In the history of a run ``content_loss`` is the weighted sum of these over the content layers.

    Args:
        F: (B, N, H, W), responses to the image. P: the same shape (or batch 1), to the photograph.
        reduction: ``"mean"`` divides by N M; ``"sum"`` is the equation to the letter.

    Returns:
        (B,), one value for each image.

    Raises:
        ValueError: the shapes differ or are not (B, N, H, W), or the reduction is unknown.
    """
    divisor = _content_divisor(F, P, reduction)
    squares = (F - P).square()
    total = squares.sum((1, 2, 3), dtype=torch.promote_types(F.dtype, torch.float32))
    # Divided last: the gradient of torch's mean does not lie in memory as F does.
    # Paper: the sum. Here: its mean, as in the authors' later code (NeuralImageSynthesis,
    # LossLayers.lua), because with a normalized network the sum is about a million and E_l
    # about one, so that every ratio of figure 4 gives the photograph; with the mean they go
    # from the painting to the photograph as there (benchmarks/README.md).
    return 0.5 * total / divisor


def content_loss_gradient(F: Tensor, P: Tensor, *, reduction: str = "mean") -> Tensor:
    """Equation 2: dL_content / dF_ij = (F - P)_ij where F_ij > 0, else 0 (divided by N M likewise).

    What autograd computes, written out for reading and checking; the zero is the network's ReLU's.
    Shapes and errors are those of :func:`content_loss`; returns (B, N, H, W).
    """
    scale = 1 / _content_divisor(F, P, reduction)
    return torch.where(F > 0, (F - P) * scale, torch.zeros_like(F))


def gram_matrix(F: Tensor) -> Tensor:
    """Equation 3: G_ij = sum_k F_ik F_jk, the inner product of two filters over all positions.

    From (B, N, H, W) to (B, N, N), symmetric, not divided by anything.
    """
    _check_batch(F)
    return _Gram.apply(F)


class _Gram(torch.autograd.Function):
    """Equation 3 with its gradient, (dL/dG + its transpose) F: one product where autograd does two.

    With dE_l/dG = (G - A) / (2 N^2 M^2), which is symmetric, that is equation 6 where F > 0.
    """

    @staticmethod
    def forward(ctx: Any, F: Tensor) -> Tensor:
        ctx.save_for_backward(F)
        features = F.flatten(2)
        return features @ features.transpose(1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (F,) = ctx.saved_tensors
        both = gradient + gradient.transpose(1, 2)
        features = F.flatten(2)
        if F.is_contiguous():
            return (both @ features).view_as(F)
        # (M, N), so that the result lies in memory as F does: filters side by side.
        return (features.transpose(1, 2) @ both).transpose(1, 2).view_as(F)


def style_loss(
    F: Tensor, A: Tensor, *, reduction: str = "paper", positions: int | None = None
) -> Tensor:
    """Equation 4, one layer: E_l = 1 / (4 N^2 M^2) sum_ij (G_ij - A_ij)^2.

    In the history of a run ``style_loss`` is equation 5, the weighted sum of these over the layers.
    Other projects write other constants before the same sum. They differ by how often the number of
    filters N and of positions M enters, so they weigh layers and sizes differently:

    ===========  ================================================  =========
    reduction    formula                                           times E_l
    ===========  ================================================  =========
    ``paper``    1 / (4 N^2 M^2) sum_ij (G_ij - A_ij)^2            1
    ``sum``      sum_ij (G_ij / (N M) - A_ij / (N M))^2            4
    ``mean``     1 / N^2 sum_ij (G_ij / (N M) - A_ij / (N M))^2    4 / N^2
    ``values``   1 / N^2 sum_ij (G_ij - A_ij)^2 / (N M)            4 M / N
    ===========  ================================================  =========

    Args:
        F: (B, N, H, W), responses to the image.
        A: the painting: either its responses in this layer, (B, N, H', W'), of any size; or its
            Gram matrix, (B, N, N), as :func:`gram_matrix` gives it. Batch 1 serves every image.
        reduction: one of the table.
        positions: only with a Gram matrix: over how many positions H' W' it sums; by default as
            many as F has.

    Returns (B,), E_l for each image; raises ``ValueError`` for shapes that do not go together, and
    for a reduction or positions that cannot be.
    """
    _check_painting(F, A)
    if positions is not None and (A.ndim == 4 or positions < 1):
        raise ValueError(
            f"positions are how many a Gram matrix sums over, 1 or more, got {positions!r}; "
            "leave them out beside responses"
        )
    M = F.shape[2] * F.shape[3]
    M_A = M if positions is None else positions
    if A.ndim == 4:
        A, M_A = gram_matrix(A), A.shape[2] * A.shape[3]
    return gram_loss(gram_matrix(F), A, M=M, M_A=M_A, reduction=reduction)


def gram_loss(G: Tensor, A: Tensor, *, M: int, M_A: int, reduction: str = "paper") -> Tensor:
    """Equation 4 from the Gram matrices, E_l (B,) as :func:`style_loss` has it.

    Args:
        G: (B, N, N), the image's. A: the same shape (or batch 1), the painting's.
        M, M_A: how many positions each of them sums over.
        reduction: one of the table there; ``ValueError`` for any other.
    """
    N = G.shape[1]
    times = {"paper": 1.0, "sum": 4.0, "mean": 4 / N**2, "values": 4 * M / N}  # E_l, as there
    if reduction not in times:
        raise ValueError(f"reduction must be one of {', '.join(times)}, got {reduction!r}")
    # Paper: both pictures have the same size, so both Gram matrices are divided by the same M.
    # Here: each by its own, as in the authors' code, because then the sizes may differ; with
    # equal sizes it is equation 4 exactly.
    difference = G / M - A / M_A
    # 1 / (4 N^2 M^2): M^2 is in the difference, N^2 in the mean over all i and j, 4 comes last.
    return difference.square().flatten(1).mean(1) * (times[reduction] / 4)


def weighted_style_loss(layer_losses: Tensor, layer_weights: Tensor | Sequence[float]) -> Tensor:
    """Equation 5: L_style = sum_l w_l E_l, (B,).

    Args:
        layer_losses: (B, L), E_l of L layers. layer_weights: (L,) or (B, L), w_l; ``ValueError``
            for other shapes.
    """
    E = layer_losses
    w = torch.as_tensor(layer_weights, dtype=E.dtype, device=E.device)
    if E.ndim != 2 or w.shape not in (E.shape, E.shape[1:]):
        raise ValueError(
            "layer_losses must be (B, L), and layer_weights (L,) or (B, L), one for each layer, "
            f"got {tuple(E.shape)} and {tuple(w.shape)}"
        )
    return (E * w).sum(1)


def style_loss_gradient(F: Tensor, A: Tensor) -> Tensor:
    """Equation 6: dE_l / dF_ij = 1 / (N^2 M^2) ((G - A) F)_ij where F_ij > 0, else 0.

    The paper writes F^T (G - A) with indices ji; the Gram matrices are symmetric, so that is
    (G - A) F with indices ij. Written out for reading and checking; :func:`gram_matrix` and the
    network's ReLU compute it.

    From F (B, N, H, W) and A (B, N, N), a Gram matrix over as many positions, to (B, N, H, W);
    ``ValueError`` for other shapes.
    """
    _check_painting(F, A)
    if A.ndim != 3:
        raise ValueError("A must be a Gram matrix, (B, N, N), here; pass gram_matrix(A)")
    features = F.flatten(2)
    N, M = features.shape[1:]
    gradient = (gram_matrix(F) - A) @ features / (N**2 * M**2)
    return torch.where(F > 0, gradient.view_as(F), torch.zeros_like(F))


def total_loss(
    content: Tensor, style: Tensor, *, alpha: float | Tensor, beta: float | Tensor
) -> Tensor:
    """Equation 7: L_total = alpha L_content + beta L_style.

    Args:
        content, style: (B,), as :func:`content_loss` and :func:`weighted_style_loss` give them.
        alpha, beta: one number for all images, or (B,).

    A run minimizes this up to a factor, plus total variation where that has a weight.
    """
    return alpha * content + beta * style


def total_variation(
    images: Tensor, *, power: int = 2, reduction: str = "sum", color: float = 1.0
) -> Tensor:
    """Not in the paper, which uses no image prior: how rough a picture is, in each channel.

    sum_ij |x_(i+1)j - x_ij|^p + |x_i(j+1) - x_ij|^p. With p = 1 that is the anisotropic total
    variation; projects that start from the course CS231n take p = 2, under the same name.

    Args:
        images: (B, 3, H, W), 0..1. power: 1 or 2.
        reduction: ``"sum"``, or ``"mean"`` over the 3 H W values, which weighs as much in a small
            picture as in a large one (crowsonkb's reading).
        color: how many times a difference in color counts. With p = 2 the sum over the channels is
            3 b^2 + color c^2, of the differences b of their mean (the brightness) and c of what is
            left of each channel (the color). Strokes are drawn in brightness, specks in color.

    Raises:
        ValueError: images of another shape; a power or a reduction that is unknown.
    """
    _check_batch(images, "images", "(B, 3, H, W)")
    if reduction not in ("sum", "mean"):
        raise ValueError(f"total variation is a 'sum' or a 'mean', not {reduction!r}")
    if power not in (1, 2):
        raise ValueError(f"the power of total variation must be 1 or 2, got {power!r}")
    if color != 1:
        brightness = images.mean(1, keepdim=True)
        images = brightness + color ** (1 / power) * (images - brightness)
    down = (images[:, :, 1:] - images[:, :, :-1]).abs()
    right = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs()
    total = (down**power).flatten(1).sum(1) + (right**power).flatten(1).sum(1)
    return total / images[0].numel() if reduction == "mean" else total


def _check_painting(F: Tensor, A: Tensor) -> None:
    """Raise ``ValueError`` unless A, responses or a Gram matrix, goes with the responses F."""
    _check_batch(F)
    square = A.ndim != 3 or A.shape[1] == A.shape[2]
    if A.ndim not in (3, 4) or A.shape[0] not in (1, F.shape[0]) or not square:
        raise ValueError(
            "A must be the painting's responses, (B, N, H, W), or their Gram matrix, (B, N, N), "
            f"got a tensor of shape {tuple(A.shape)}"
        )
    if F.shape[1] != A.shape[1]:
        raise ValueError(
            f"the image's responses have {F.shape[1]} filters, the painting's {A.shape[1]}; "
            "take both from the same layer"
        )


def _check_batch(values: Tensor, name: str = "features", shape: str = "(B, N, H, W)") -> None:
    """Raise ``ValueError`` for the values of a single image."""
    if values.ndim != 4:
        raise ValueError(
            f"{name} must have the shape {shape}, got {tuple(values.shape)}; of a single image, "
            f"pass {name}[None]"
        )


def _content_divisor(F: Tensor, P: Tensor, reduction: str) -> int:
    """N M for the mean of equation 1, 1 for its sum; ``ValueError`` for what has neither."""
    for responses in (F, P):
        _check_batch(responses)
    if P.shape[0] not in (1, F.shape[0]):
        raise ValueError(f"{P.shape[0]} targets for {F.shape[0]} images; give one, or one for each")
    if F.shape[1:] != P.shape[1:]:
        raise ValueError(
            f"the image's responses {tuple(F.shape)} and the photograph's {tuple(P.shape)} differ "
            "in shape; make both pictures the same size"
        )
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
    return F[0].numel() if reduction == "mean" else 1
