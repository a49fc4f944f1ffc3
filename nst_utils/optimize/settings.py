"""How a run goes on: the settings of the loop, and what they are by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nst_utils.support import checks

OPTIMIZERS = ("lbfgs", "adam")

# One number, or the step (1, 2, ...) from which each rate holds: {1: 0.02, 200: 0.005}.
LearningRate = float | Mapping[int, float]
# Shares of the size with the steps that are made there, or "growing".
SmallerFirst = Mapping[float, int] | str
GROWING = "growing"

# A size whose shorter side would have fewer pixels is not worth its start.
LEAST_SIDE = 64
# The least longer side that a picture grows from: of less, faces do not come back.
GROWN_FROM = 128


def growing_shares(size: Sequence[int], steps: int) -> dict[float, int]:
    """Sizes that grow by the square root of 2, with the same number of ``steps`` at each.

    As in crowsonkb/style-transfer-pytorch, from 128 px of the longer side on.

    >>> growing_shares((240, 320), 210)
    {0.5: 70, 0.7071067811865476: 70}
    """
    shares = [0.5 ** (k / 2) for k in range(1, 30)]
    least = max(GROWN_FROM / max(size), LEAST_SIDE / min(size))
    shares = [share for share in shares if share >= least]
    each = steps // (len(shares) + 1)
    return dict.fromkeys(sorted(shares), each) if each else {}


def checked_shares(
    first: object, steps: int, size: Sequence[int] | None = None
) -> list[tuple[float, int]]:
    """The pairs of ``smaller_first``, smallest share first.

    Args:
        size: (height, width), which ``"growing"`` depends on; without it there are none of it.

    Raises:
        ValueError: no shares between 0 and 1 with their steps, or none of ``steps`` is left.
    """
    if isinstance(first, str) and first == GROWING:
        return [*growing_shares(size, steps).items()] if size else []
    if not isinstance(first, Mapping):
        raise ValueError(
            "smaller_first must be shares of the size with their steps, for instance "
            f"{{0.5: 200}}, or {GROWING!r}, got {checks.shown(first)}"
        )
    pairs = [
        (
            checks.weight("a share in smaller_first", share),
            checks.count("the steps of smaller_first", here),
        )
        for share, here in first.items()
    ]
    for share, _ in pairs:
        if not 0 < share < 1:
            raise ValueError(
                f"smaller_first must name shares of the size above 0 and below 1, got {share:g}"
            )
    taken = sum(here for _, here in pairs)
    if taken >= steps:
        raise ValueError(
            f"smaller_first takes {taken} of {steps} steps, and none is left for the full size; "
            f"give more than {taken} steps"
        )
    return sorted(pairs)


@dataclass(frozen=True)
class Settings:
    """The settings of :func:`nst_utils.minimize`, which explains them; their defaults everywhere.

    Raises:
        ValueError: one that cannot be used.
    """

    steps: int = 300  # ours: the paper gives no number; the loss is nearly flat by then
    optimizer: str = "lbfgs"
    learning_rate: LearningRate = 0.02
    tolerance: float | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        checks.count("steps", self.steps)
        checks.one_of("optimizer", self.optimizer, OPTIMIZERS)
        _ = self.rates  # which checks them
        if self.tolerance is not None:
            checks.weight("tolerance", self.tolerance)
        checks.flag("exact", self.exact)
        self._check_that_each_acts()

    def _check_that_each_acts(self) -> None:
        """A setting that would change nothing was meant to; so it is refused."""
        if self.optimizer != "adam" and self.learning_rate != Settings.learning_rate:
            raise ValueError(
                f"learning_rate is Adam's, and {self.optimizer} finds the length of its steps "
                'itself; leave it out, or take optimizer="adam"'
            )
        if self.optimizer != "lbfgs" and self.exact:
            raise ValueError(
                f"exact is about L-BFGS, and {self.optimizer} has nothing that it would change; "
                'leave it out, or take optimizer="lbfgs"'
            )

    @property
    def rates(self) -> dict[int, float]:
        """Step -> learning rate from then on; from step 1 on."""
        if not isinstance(self.learning_rate, Mapping):
            return {1: checks.weight("learning_rate", self.learning_rate)}
        rates = {
            checks.count("a step of learning_rate", step): checks.weight("learning_rate", rate)
            for step, rate in self.learning_rate.items()
        }
        if 1 not in rates:
            raise ValueError(
                "learning_rate must say what holds from step 1 on, for instance "
                "{1: 0.02, 200: 0.005}"
            )
        return rates

    def rate(self, step: int) -> float:
        """The learning rate of a step, 1, 2, ..."""
        rates = self.rates
        return rates[max(first for first in rates if first <= step)]
