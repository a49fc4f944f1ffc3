"""Equations 1 to 6: the right answers, cases to try them on, and the answers that are often given.

A wrong answer is a function, too: whoever computes the same as it has made the same mistake, and
is told so. Responses are (B, N, H, W), as everywhere; the answer to a batch of two pictures holds
what each of them gives alone.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from nst_utils import losses
from nst_utils.teaching.quantity import Answer, Case, Quantity

# No 2 and no 4, so that no size can stand where equation 4 has a number.
SHAPES = ((1, 3, 5, 7), (1, 5, 3, 6), (2, 6, 7, 3))


def _responses(shape: tuple[int, ...], random: Generator) -> Tensor:
    """(B, N, H, W) as after a ReLU: about a third of them are zero."""
    return torch.randn(shape, generator=random).add(0.4).relu()


def _two_responses(random: Generator) -> list[Case]:
    return [(_responses(shape, random), _responses(shape, random)) for shape in SHAPES]


def _with_gram(random: Generator) -> list[Case]:
    return [(F, losses.gram_matrix(P)) for F, P in _two_responses(random)]


def _flat(F: Tensor) -> Tensor:
    """(B, N, H, W) -> (B, N, M)."""
    return F.flatten(2)


def _over_all(answer: Answer) -> Answer:
    """The sum over the batch of what is asked for each picture."""
    return lambda *case: answer(*case).sum()


def _content_sum(F: Tensor, P: Tensor) -> Tensor:
    return losses.content_loss(F, P, reduction="sum")


def _content_gradient(F: Tensor, P: Tensor) -> Tensor:
    return losses.content_loss_gradient(F, P, reduction="sum")


def _style_gradient_unclosed(F: Tensor, A: Tensor) -> Tensor:
    N, M = _sizes(F)
    return ((losses.gram_matrix(F) - A) @ _flat(F) / (N**2 * M**2)).view_as(F)


def _style_gradient_reshaped(F: Tensor, A: Tensor) -> Tensor:
    N, M = _sizes(F)
    product = _flat(F).transpose(1, 2) @ (losses.gram_matrix(F) - A) / (N**2 * M**2)
    return product.reshape(F.shape) * (F > 0)


def _sizes(F: Tensor) -> tuple[int, int]:
    N, M = _flat(F).shape[1:]
    return N, M


SUMMED_OVER_BATCH = (
    "it adds up the whole batch; each picture must get a value of its own, so sum over filters and "
    "positions only, not over the first dimension"
)
RELU_IS_CLOSED = "where F is 0 the ReLU is closed and nothing flows back; the gradient is 0 there"

CONTENT_LOSS = Quantity(
    call="content_loss(F, P), F and P (B, N, H, W) -> (B,): equation 1 as printed, a sum",
    right=_content_sum,
    cases=_two_responses,
    mistakes={
        "the factor 1/2 is missing": lambda F, P: 2 * _content_sum(F, P),
        "it is the mean, where equation 1 has the sum": losses.content_loss,
        "it is the mean, where equation 1 has the sum, and the factor 1/2 is missing": (
            lambda F, P: 2 * losses.content_loss(F, P)
        ),
        "it takes absolute values, where equation 1 has squares": lambda F, P: (
            (F - P).abs().sum((1, 2, 3)) / 2
        ),
        "it takes the square root of the sum; equation 1 does not": lambda F, P: (
            (F - P).square().sum((1, 2, 3)).sqrt()
        ),
        "it adds up absolute values, where equation 1 has half of the squares": lambda F, P: (
            (F - P).abs().sum((1, 2, 3))
        ),
        "it is the mean over everything, as mse_loss takes it; equation 1 is half of the sum, one "
        "for each picture": lambda F, P: (F - P).square().mean(),
        "it adds up the differences without squaring them": lambda F, P: (F - P).sum((1, 2, 3)) / 2,
        SUMMED_OVER_BATCH: _over_all(_content_sum),
    },
    followed=1,
)

CONTENT_LOSS_MEAN = Quantity(
    call="content_loss_mean(F, P), F and P (B, N, H, W) -> (B,): equation 1 divided by N M",
    right=losses.content_loss,
    cases=_two_responses,
    mistakes={
        "the factor 1/2 is missing": lambda F, P: 2 * losses.content_loss(F, P),
        "it is the sum; divide by N M": _content_sum,
        "it divides by M only; the mean runs over filters, too": lambda F, P: (
            _content_sum(F, P) / _sizes(F)[1]
        ),
        "it divides by N only; the mean runs over positions, too": lambda F, P: (
            _content_sum(F, P) / _sizes(F)[0]
        ),
        "it takes the mean over the whole batch; each picture must get its own": lambda F, P: (
            losses.content_loss(F, P).mean()
        ),
        "it is the mean over everything, as mse_loss takes it; each picture must get its own mean, "
        "and half of it": lambda F, P: (F - P).square().mean(),
        "it adds up everything, the whole batch; each picture must get its own, divided by N M": (
            _over_all(_content_sum)
        ),
        SUMMED_OVER_BATCH: _over_all(losses.content_loss),
    },
    followed=1,
)

CONTENT_LOSS_GRADIENT = Quantity(
    call="content_loss_gradient(F, P), F and P (B, N, H, W) -> (B, N, H, W): equation 2",
    right=_content_gradient,
    cases=_two_responses,
    mistakes={
        RELU_IS_CLOSED: lambda F, P: F - P,
        "the sign is the wrong way round; it is F - P": lambda F, P: -_content_gradient(F, P),
        "the sign is the wrong way round (F - P), and the zeros of the ReLU are missing": (
            lambda F, P: P - F
        ),
        "there is an extra factor of 2; it cancels against the 1/2 of equation 1": lambda F, P: (
            2 * _content_gradient(F, P)
        ),
        "there is an extra factor of 2, which cancels against the 1/2 of equation 1; and where F "
        "is 0 the gradient is 0": lambda F, P: 2 * (F - P),
        "it is 0 where P is 0; equation 2 asks about F": lambda F, P: torch.where(
            P > 0, F - P, 0 * F
        ),
        "it is divided by N M: the gradient of the mean, not of the sum": lambda F, P: (
            losses.content_loss_gradient(F, P)
        ),
    },
)

GRAM_MATRIX = Quantity(
    call="gram_matrix(F), F (B, N, H, W) -> (B, N, N): equation 3",
    right=losses.gram_matrix,
    cases=lambda random: [(_responses(shape, random),) for shape in SHAPES],
    mistakes={
        "it multiplies positions with each other (M x M); the rows must be filters: F times its "
        "transpose, not the other way round": lambda F: _flat(F).transpose(1, 2) @ _flat(F),
        "F is flattened the wrong way: reshaping (N, H, W) to (M, N) does not transpose, it mixes "
        "filters with positions; flatten H and W, then transpose": lambda F: (
            F.reshape(len(F), -1, F.shape[1]).transpose(1, 2) @ F.reshape(len(F), -1, F.shape[1])
        ),
        "it is divided by N M; equation 3 divides by nothing": lambda F: (
            losses.gram_matrix(F) / F[0].numel()
        ),
        "it is divided by M; equation 3 divides by nothing": lambda F: (
            losses.gram_matrix(F) / _sizes(F)[1]
        ),
        "the means are subtracted first (a covariance); equation 3 takes F as it is": lambda F: (
            losses.gram_matrix(F - F.mean((2, 3), keepdim=True))
        ),
        "it has only the diagonal, each filter with itself; all pairs are asked for": lambda F: (
            torch.diag_embed(_flat(F).square().sum(2))
        ),
        "it multiplies the filters of one picture with those of the other in the batch; each "
        "picture has a Gram matrix of its own": lambda F: (
            F.flatten(0, 1).flatten(1) @ F.flatten(0, 1).flatten(1).T
        ),
        "it divides by B N M and mixes the pictures of a batch, as PyTorch's tutorial does; "
        "equation 3 divides by nothing, and each picture has a matrix of its own": lambda F: (
            F.flatten(0, 1).flatten(1) @ F.flatten(0, 1).flatten(1).T / F.numel()
        ),
        "it adds up the whole batch; each picture must get a matrix of its own, so sum over "
        "positions only": lambda F: losses.gram_matrix(F).sum(0),
    },
    followed=1,
)

STYLE_LOSS = Quantity(
    call="style_loss(F, A), F (B, N, H, W), A (B, N, N) the painting's Gram matrix over as many "
    "positions -> (B,): equation 4",
    right=losses.style_loss,
    cases=_with_gram,
    mistakes={
        "the 4 is missing in the divisor": lambda F, A: 4 * losses.style_loss(F, A),
        "it is not divided; equation 4 has 1 / (4 N^2 M^2)": lambda F, A: (
            4 * losses.style_loss(F, A) * (_sizes(F)[0] * _sizes(F)[1]) ** 2
        ),
        "it divides by M, where equation 4 has M^2": lambda F, A: (
            losses.style_loss(F, A) * _sizes(F)[1]
        ),
        "it divides by N, where equation 4 has N^2": lambda F, A: (
            losses.style_loss(F, A) * _sizes(F)[0]
        ),
        "it divides by N M, where equation 4 has N^2 M^2": lambda F, A: (
            losses.style_loss(F, A) * _sizes(F)[0] * _sizes(F)[1]
        ),
        "it divides only F's own Gram matrix by M; A is a sum over positions, too": lambda F, A: (
            (losses.gram_matrix(F) / _sizes(F)[1] - A).square().sum((1, 2))
            / (4 * _sizes(F)[0] ** 2)
        ),
        SUMMED_OVER_BATCH: _over_all(losses.style_loss),
    },
    followed=1,
)

STYLE_LOSS_GRADIENT = Quantity(
    call="style_loss_gradient(F, A), F (B, N, H, W), A (B, N, N) -> (B, N, H, W): equation 6",
    right=losses.style_loss_gradient,
    cases=_with_gram,
    mistakes={
        RELU_IS_CLOSED: _style_gradient_unclosed,
        "the sign is the wrong way round; it is G - A": lambda F, A: (
            -losses.style_loss_gradient(F, A)
        ),
        "there is a 4 left in the divisor; one 2 comes from the square, another from G, which "
        "holds F twice": lambda F, A: losses.style_loss_gradient(F, A) / 4,
        "there is an extra 2 in the divisor; G holds F twice": lambda F, A: (
            losses.style_loss_gradient(F, A) / 2
        ),
        "it divides by M, where equation 6 has M^2": lambda F, A: (
            losses.style_loss_gradient(F, A) * _sizes(F)[1]
        ),
        "the product is F^T (G - A), the other way round, and reshaped: that does not transpose, "
        "it mixes filters with positions; (G - A) F has the right order already": lambda F, A: (
            _style_gradient_reshaped(F, A)
        ),
        "it is not divided; equation 6 has 1 / (N^2 M^2)": lambda F, A: (
            losses.style_loss_gradient(F, A) * (_sizes(F)[0] * _sizes(F)[1]) ** 2
        ),
    },
)

EQUATIONS = {
    "content_loss": CONTENT_LOSS,
    "content_loss_mean": CONTENT_LOSS_MEAN,
    "content_loss_gradient": CONTENT_LOSS_GRADIENT,
    "gram_matrix": GRAM_MATRIX,
    "style_loss": STYLE_LOSS,
    "style_loss_gradient": STYLE_LOSS_GRADIENT,
}
