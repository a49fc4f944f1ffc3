"""Equation 7, units, normalization and the two ways down: right answers, cases, frequent mistakes.

See :mod:`nst_utils.teaching.equations`.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from nst_utils import losses
from nst_utils.teaching.quantity import Case, Quantity


def _numbers(*shape: int, random: Generator) -> Tensor:
    return torch.randn(*shape, generator=random)


def _positive(*shape: int, random: Generator) -> Tensor:
    return torch.rand(*shape, generator=random) + 0.5


def _total(content: Tensor, style: Tensor, alpha: float, beta: float) -> Tensor:
    return losses.total_loss(content, style, alpha=alpha, beta=beta)


def _total_cases(random: Generator) -> list[Case]:
    weights = [(5e-3, 1.0), (2.0, 3.0), (1.0, 1000.0)]
    return [(_positive(2, random=random), _positive(2, random=random), *pair) for pair in weights]


def _normalize(weight: Tensor, bias: Tensor, before: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """A convolution whose filters have the mean activations ``own``, after one with ``before``."""
    return weight * before.view(1, -1, 1, 1) / own.view(-1, 1, 1, 1), bias / own


def _normalize_cases(random: Generator) -> list[Case]:
    def layer(inputs: int, filters: int) -> Case:
        weight = _numbers(filters, inputs, 3, 3, random=random)
        bias = _numbers(filters, random=random)
        return weight, bias, _positive(inputs, random=random), _positive(filters, random=random)

    return [layer(3, 4), layer(4, 4)]


def _two_loops(gradient: Tensor, s: Tensor, y: Tensor) -> Tensor:
    """Nocedal & Wright, algorithm 7.4, with the usual first scaling, and the minus of a descent."""
    return _two_loops_with(gradient, s, y, newest=-1, order=1)


def _two_loops_with(
    gradient: Tensor, s: Tensor, y: Tensor, newest: int | None, order: int
) -> Tensor:
    """With the pair that the scaling is taken from (``None``: without any), and 1, or -1 for the
    loops the wrong way."""
    pairs = list(zip(s, y, strict=True))[::-order]
    q = gradient.clone()
    remembered = []
    for step, change in pairs:
        share = step @ q / (step @ change)
        remembered.append(share)
        q = q - share * change
    if newest is not None:
        q = q * (s[newest] @ y[newest]) / (y[newest] @ y[newest])
    for (step, change), share in zip(pairs[::-1], remembered[::-1], strict=True):
        q = q + (share - change @ q / (step @ change)) * step
    return -q


def _two_loops_cases(random: Generator) -> list[Case]:
    def pairs(count: int, size: int) -> Case:
        s = _numbers(count, size, random=random)
        curvature = _positive(size, random=random)  # of a quadratic bowl, so that s y > 0
        return _numbers(size, random=random), s, s * curvature

    return [pairs(1, 5), pairs(4, 6)]


TOTAL_LOSS = Quantity(
    call="total_loss(content, style, alpha, beta), content and style (B,) -> (B,): equation 7",
    right=_total,
    cases=_total_cases,
    mistakes={
        "alpha and beta are exchanged; alpha weighs content": lambda c, s, alpha, beta: (
            beta * c + alpha * s
        ),
        "the weights are missing": lambda c, s, alpha, beta: c + s,
        "it weighs content by alpha / beta; that has the same minimum, but is not equation 7": (
            lambda c, s, alpha, beta: alpha / beta * c + s
        ),
        "beta is missing": lambda c, s, alpha, beta: alpha * c + s,
        "alpha is missing": lambda c, s, alpha, beta: c + beta * s,
        "it adds up the whole batch; each picture must get a value of its own": (
            lambda c, s, alpha, beta: (alpha * c + beta * s).sum()
        ),
    },
    followed=2,
)

SUM_TO_MEAN = Quantity(
    call="sum_to_mean(ratio, N, M), three numbers -> the alpha/beta for the mean of equation 1 "
    "that asks for the same picture as ratio does for its sum",
    right=lambda ratio, N, M: ratio * N * M,
    cases=lambda random: [(1e-4, 512, 672), (5e-3, 128, 100), (2.0, 3, 7)],
    mistakes={
        "it divides; the mean is N M times smaller, so its ratio must be larger": (
            lambda ratio, N, M: ratio / (N * M)
        ),
        "it only multiplies by M; the mean runs over filters, too": lambda ratio, N, M: ratio * M,
        "it only multiplies by N; the mean runs over positions, too": lambda ratio, N, M: ratio * N,
        "it multiplies by N^2 M^2; that is the divisor of the style loss": (
            lambda ratio, N, M: ratio * (N * M) ** 2
        ),
        "it gives back the ratio that it was given": lambda ratio, N, M: ratio,
    },
)

NORMALIZE = Quantity(
    call="normalize(weight, bias, before, own), weight (N, N', k, k), bias (N,), the mean "
    "activations before (N',) and own (N,) of the filters of the layer before and of this one -> "
    "(weight, bias) with which every mean activation is 1",
    right=_normalize,
    cases=_normalize_cases,
    mistakes={
        "the bias is left as it was; it must be divided by the filter's mean, too": (
            lambda w, b, before, own: (_normalize(w, b, before, own)[0], b)
        ),
        "the means of the layer before are missing: what comes in has been divided by them, so the "
        "weights must be multiplied by them": lambda w, b, before, own: (
            w / own.view(-1, 1, 1, 1),
            b / own,
        ),
        "it divides by the means of the layer before; multiply by them": (
            lambda w, b, before, own: (
                w / before.view(1, -1, 1, 1) / own.view(-1, 1, 1, 1),
                b / own,
            )
        ),
        "it multiplies by the filter's own mean; divide by it": lambda w, b, before, own: (
            w * before.view(1, -1, 1, 1) * own.view(-1, 1, 1, 1),
            b * own,
        ),
        "it returns weight and bias unchanged": lambda w, b, before, own: (w, b),
    },
)

GRADIENT_STEP = Quantity(
    call="gradient_step(x, gradient, rate), x and gradient of one shape -> x after one step of "
    "gradient descent",
    right=lambda x, gradient, rate: x - rate * gradient,
    cases=lambda random: [
        (_numbers(1, 3, 4, 5, random=random), _numbers(1, 3, 4, 5, random=random), rate)
        for rate in (0.1, 20.0)
    ],
    mistakes={
        "it climbs; go against the gradient": lambda x, gradient, rate: x + rate * gradient,
        "the rate is missing": lambda x, gradient, rate: x - gradient,
        "it is the step only; add it to x": lambda x, gradient, rate: -rate * gradient,
        "the gradient is scaled to length 1 first; plain gradient descent takes it as it is": (
            lambda x, gradient, rate: x - rate * gradient / gradient.norm()
        ),
        "x is clamped to 0..1; a plain step is not": lambda x, gradient, rate: (
            x - rate * gradient
        ).clamp(0, 1),
    },
)

TWO_LOOPS = Quantity(
    call="two_loops(gradient, s, y), gradient (n,), steps s and changes of the gradient y (K, n), "
    "oldest first -> (n,): the direction of L-BFGS, minus the inverse Hessian times the gradient",
    right=_two_loops,
    cases=_two_loops_cases,
    mistakes={
        "the minus is missing; it points uphill": lambda g, s, y: -_two_loops(g, s, y),
        "the scaling s y / y y between the loops is missing": lambda g, s, y: _two_loops_with(
            g, s, y, newest=None, order=1
        ),
        "the scaling is taken from the oldest pair; take the newest": lambda g, s, y: (
            _two_loops_with(g, s, y, newest=0, order=1)
        ),
        "the loops run the wrong way round; they should run from the newest pair to the oldest, "
        "then back": (lambda g, s, y: _two_loops_with(g, s, y, newest=-1, order=-1)),
        "it is the steepest descent, without any memory": lambda g, s, y: -g,
    },
)

ALGORITHMS = {
    "total_loss": TOTAL_LOSS,
    "sum_to_mean": SUM_TO_MEAN,
    "normalize": NORMALIZE,
    "gradient_step": GRADIENT_STEP,
    "two_loops": TWO_LOOPS,
}
