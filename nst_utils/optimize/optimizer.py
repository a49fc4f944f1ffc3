"""What an optimizer of a batch of pictures is: L-BFGS and Adam are two.

Both start with the first evaluation; then each step is one more, moves every picture once and
leaves ``loss`` and ``terms`` evaluated at the new place. L-BFGS takes only a better place, Adam any
whose loss and gradient are finite; a row that finds no such place stays until the next step.
Neither reads a number from a device: what is decided for a row is decided there.
Pixels stay within 0..1 (the authors' code ran SciPy's L-BFGS-B with pixel bounds too), so the
picture that is saved is the picture that was measured. A place without a finite loss and gradient
is never moved to. Rows never influence one another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor

from nst_utils.objective.table import Evaluation

# As Objective.evaluate: pictures (B, 3, H, W), one for each row of the table.
Evaluate = Callable[[Tensor], Evaluation]

# One gray level of 255.
GRAY_LEVEL = 1 / 255
# A row that finds nothing finite in so many steps, each shorter than the last, is given up.
GIVE_UP_AFTER = 8
# The least and the greatest value of a pixel, or no bounds at all.
Bounds = tuple[float, float] | None


class Optimizer(Protocol):
    """Moves the pictures of a batch.

    Attributes:
        loss: (B,), what is descended. terms: (B, K), the loss terms; both at the pictures now.
        evaluations: how often the pictures were evaluated.
    """

    loss: Tensor
    terms: Tensor
    evaluations: int

    @property
    def images(self) -> Tensor:
        """(B, 3, H, W), the pictures now."""

    @property
    def best(self) -> Tensor:
        """(B, 3, H, W), those of the lowest loss so far."""

    @property
    def broken(self) -> Tensor:
        """(B,), which rows cannot go on: wherever they are moved, nothing finite comes back."""

    @property
    def diverged(self) -> Tensor:
        """(B,), which rows ended worse than they began."""

    def step(self, number: int = 1, /) -> None:
        """Move every picture once. ``number`` is the step's in the run, 1, 2, ..., on which a
        learning rate may depend."""

    def go_on_with(self, evaluate: Evaluate) -> None:
        """From now on another loss, not far from the one so far; what was learned is kept."""

    def state(self) -> dict[str, Tensor]:
        """Everything that the next steps depend on."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where :meth:`state` was taken, of the same problem."""


def is_finite(loss: Tensor, gradient: Tensor) -> Tensor:
    """Which rows have a finite loss and gradient: (B,), (B, ...) -> (B,)."""
    return loss.isfinite() & gradient.isfinite().flatten(1).all(1)


def is_given_up(failures: Tensor) -> Tensor:
    """Which rows are not moved any more, whatever comes back, (B,); ``failures``, (B,), counts the
    steps since one found something finite."""
    return failures >= GIVE_UP_AFTER


def is_broken(failures: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
    """Which rows cannot go on, (B,): given up, or with nothing finite where they are."""
    return is_given_up(failures) | ~is_finite(loss, gradient)


def within(bounds: Bounds, images: Tensor) -> Tensor:
    """The pictures with every value within the bounds, if there are some."""
    return images if bounds is None else images.clamp(*bounds)
