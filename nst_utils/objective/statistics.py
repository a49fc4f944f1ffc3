"""What of the responses the style is: the paper's Gram matrix, and what others compare instead.

Each is an entry of :data:`STATISTICS`. The objective knows no more of it than that: what is taken
of the responses, what of the painting is aimed at, and how far one is from the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from nst_utils.losses import gram_loss, gram_matrix
from nst_utils.objective.formulas import STYLE_STATISTICS, Formulas
from nst_utils.objective.rows import Row
from nst_utils.style_statistics import distributions, moments, shifts

# How far the measure of a picture is from that of its painting: (B,).
Distance = Callable[[Tensor, Tensor], Tensor]


class Statistic(NamedTuple):
    """How the style in one layer is measured, and compared.

    Attributes:
        measure: of responses (B, N, H, W) and a mask (1, 1, H, W), or ``None``; one for each image.
        loss: E_l (B,), from the measure of the picture and what is aimed at, the picture's number
            of positions M and the reading of equation 4, which only Gram matrices have.
        target: from the painting's measure to what is aimed at.
        adds_up: whether it is a sum over positions; then tiles are added up, a mask weighs them,
            and what is aimed at is divided by the painting's number of positions.
    """

    measure: Callable[[Tensor, Tensor | None], Tensor]
    loss: Callable[[Tensor, Tensor, int, str], Tensor]
    target: Callable[[Tensor], Tensor] = lambda A: A
    adds_up: bool = True


def _gram(F: Tensor, mask: Tensor | None) -> Tensor:
    return gram_matrix(moments.guided(F, mask))


def _gram_loss(G: Tensor, A: Tensor, M: int, reduction: str) -> Tensor:
    return gram_loss(G, A, M=M, M_A=1, reduction=reduction)


def _of_sums(distance: Distance, factor: float) -> Callable[[Tensor, Tensor, int, str], Tensor]:
    return lambda S, A, M, reduction: distance(S / M, A) * factor


def _whole(measure: Callable[[Tensor], Tensor], distance: Distance, factor: float) -> Statistic:
    """One that needs the picture as a whole."""
    return Statistic(
        lambda F, mask: measure(F),
        lambda S, A, M, reduction: distance(S, A) * factor,
        adds_up=False,
    )


# With these factors the photograph is as recognizable at the default ratio alpha/beta as it is with
# Gram matrices (benchmarks/README.md).
STATISTICS = {
    "gram": Statistic(_gram, _gram_loss),
    "covariance": Statistic(moments.moments, _of_sums(moments.covariance_loss, 0.4)),
    "mean_std": Statistic(moments.squares, _of_sums(moments.mean_std_loss, 0.08)),
    "wasserstein": Statistic(
        moments.moments,
        _of_sums(moments.wasserstein_loss, 0.025),
        moments.wasserstein_target,
    ),
    "sliced_wasserstein": _whole(distributions.sorted_projections, distributions.sorted_loss, 0.1),
    "histogram": _whole(distributions.sorted_responses, distributions.sorted_loss, 0.05),
    "shifted_gram": _whole(shifts.shifted_grams, shifts.shifted_gram_loss, 0.8),
}


def add_up(rows: Sequence[Row]) -> bool:
    """Whether the style of all rows can be had in tiles."""
    return all(STATISTICS[row.style_statistics].adds_up for row in rows)


def check_rows(rows: Sequence[Row], formulas: Formulas, tile: int | None) -> None:
    """Raise ``ValueError`` for statistics that cannot be had in this way."""
    for row in rows:
        name = row.style_statistics
        masked = any(p.region is not None or p.source is not None for p in row.paintings)
        if not STATISTICS[name].adds_up and (masked or tile is not None):
            sums = [each for each in STYLE_STATISTICS if STATISTICS[each].adds_up]
            raise ValueError(
                f'style_statistics="{name}" looks at the picture as a whole, not through '
                f"{'masks' if masked else 'tiles'}; leave them out, or use {', '.join(sums)}"
            )
        if name != "gram" and formulas.style_reduction != Formulas.style_reduction:
            raise ValueError(
                f'style_reduction="{formulas.style_reduction}" is a reading of equation 4, which '
                f'style_statistics="{name}" does without; leave it out'
            )
