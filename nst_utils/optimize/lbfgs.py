"""L-BFGS within bounds, over a batch of pictures, every row by itself (the paper's optimizer).

Nothing in a step looks at a value from Python: what is good for a row and what is not is decided
by arithmetic on the device, so that a GPU never waits for the processor to read a number, and a
whole step can be recorded once and replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from nst_utils.optimize.curvature import Curvature
from nst_utils.optimize.optimizer import (
    GRAY_LEVEL,
    Bounds,
    Evaluate,
    is_broken,
    is_finite,
    is_given_up,
    within,
)
from nst_utils.optimize.pairs import Pairs
from nst_utils.optimize.recorded import Recorded
from nst_utils.support.freeing import with_fewer
from nst_utils.support.switches import full_products

# After so many shorter trials along the estimate, what a row has learned is forgotten.
_TRIALS = 4
# 20 pairs are usual; with fewer than 2 it is hardly L-BFGS any more.
_with_fewer_pairs = partial(with_fewer, fewest=2, then="L-BFGS remembers {} steps of each picture")
# The least decrease that counts, as a part of what the slope promises (Armijo).
_SUFFICIENT = 1e-4
_STATE = ("_x", "_g", "loss", "terms", "_failures", "_rejected", "_length", "_restart_step")


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each row: (B, n), (B, n) -> (B,)."""
    return torch.linalg.vecdot(a, b)


class LBFGS:
    """Limited-memory BFGS with bounds, for a batch: own history, scaling and step for each row.

    A step is one evaluation of all rows. A step of length 1 along the estimate (see
    :mod:`nst_utils.optimize.pairs`) is almost always good; a row for which it is not stays where it
    is and tries a shorter one the next time (Armijo). NaN or infinite losses count as too long a
    step, so they never reach the picture. ``loss`` falls monotonically, up to float32 rounding; so
    the pictures are always the best so far.

    Args:
        evaluate: ``evaluate(images)``, see :meth:`nst_utils.Objective.evaluate`.
        start: (B, 3, H, W), where each picture begins.
        history_size: pairs remembered; 20 as in the authors' code.
        first_step: root mean square length of the first step, on the 0..1 scale.
        bounds: of the pixels.
        curvature: learn a better first guess at the inverse Hessian than a multiple of the
            identity (see :mod:`nst_utils.optimize.curvature`); without, it is plain L-BFGS.

    Attributes:
        loss (B,), terms (B, K), images (B, 3, H, W): the same tensors all the time, with other
            values after each step.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        start: Tensor,
        history_size: int = 20,
        first_step: float = 5 * GRAY_LEVEL,
        bounds: Bounds = (0.0, 1.0),
        curvature: bool = False,
    ) -> None:
        self._evaluate = evaluate
        self._recorded = Recorded(start.device)
        self._shape = start.shape
        self._bounds, self._first_step = bounds, first_step
        self._x = within(bounds, start.detach().flatten(1).clone())
        rows, size = self._x.shape
        self._curvature = Curvature(start) if curvature else None
        self._length = start.new_ones(rows)  # of the next trial, along the estimate
        self._rejected = torch.zeros(rows, dtype=torch.long, device=start.device)  # in a row
        self._failures = torch.zeros_like(self._rejected)  # evaluations without a finite loss
        self._restart_step = start.new_full((rows,), first_step)
        self._pairs, first = _with_fewer_pairs(
            lambda number: (Pairs(rows, size, number, self._x), evaluate(self.images)),
            history_size,
        )
        self.evaluations = 1
        self.loss, self.terms = first.loss.clone(), first.terms.clone()
        self._g = first.gradient.flatten(1).clone()

    @property
    def images(self) -> Tensor:
        """(B, 3, H, W), the pictures now."""
        return self._x.view(self._shape)

    @property
    def best(self) -> Tensor:
        """(B, 3, H, W), the pictures of the lowest loss so far."""
        return self.images

    @property
    def broken(self) -> Tensor:
        """(B,), which rows cannot go on: wherever they are moved, nothing finite comes back."""
        return is_broken(self._failures, self.loss, self._g)

    @property
    def diverged(self) -> Tensor:
        """(B,), which rows are worse off than at the start: none, by its line search."""
        return torch.zeros_like(self._failures, dtype=torch.bool)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next steps depend on."""
        state = {name: getattr(self, name) for name in _STATE} | self._pairs.state()
        if self._curvature is not None:
            state |= self._curvature.state()
        return state | {"evaluations": torch.tensor(self.evaluations, device="cpu")}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where :meth:`state` was taken, of the same problem."""
        for name in _STATE:
            getattr(self, name).copy_(state[name])
        self._pairs.restore(state)
        if self._curvature is not None:
            self._curvature.restore(state)
        self.evaluations = int(state["evaluations"])

    def go_on_with(self, evaluate: Evaluate) -> None:
        """From now on another loss, not far from the one so far; what was learned is kept."""
        self._evaluate = evaluate
        self._recorded = Recorded(self._x.device)
        now = evaluate(self.images)
        self.evaluations += 1
        self._take(now.loss, now.terms, now.gradient.flatten(1))
        # A row that had arrived may have somewhere to go again.
        self._restart_step.fill_(self._first_step)
        self._length.fill_(1.0)
        self._rejected.zero_()

    def step(self, _number: int = 1, /) -> None:
        """Move every picture once; a row that finds no better place stays where it is."""

        def move(number: int) -> None:  # of pairs
            if number < len(self._pairs):
                self._recorded = Recorded(self._x.device)
                self._pairs.begin_anew(number)
            self._recorded(self._move)

        _with_fewer_pairs(move, len(self._pairs))
        self.evaluations += 1

    def _move(self) -> None:
        """One evaluation, at x + s: taken where the loss is lower. With y, by how much the gradient
        g has changed, s is a pair of :mod:`nst_utils.optimize.pairs`."""
        usable = is_finite(self.loss, self._g)
        direction, steepest = self._direction(torch.where(usable[:, None], self._g, 0))
        # Nothing finite here, not even after the start: a passing fault should not end the run, so
        # such a row is evaluated again where it is.
        length = torch.where(steepest, 1.0, self._length) * usable
        x = within(self._bounds, torch.addcmul(self._x, direction, length[:, None]))
        s = x - self._x
        # What s would change the loss by, were it to go on as steeply as it begins.
        slope = _dot(torch.where(usable[:, None], self._g, 0), s)
        new = self._evaluate(x.view(self._shape))
        g = new.gradient.flatten(1)
        finite = is_finite(new.loss, g)
        # Losses are float32: a rise within their rounding is no rise.
        rounding = 4 * torch.finfo(self.loss.dtype).eps * self.loss.abs()
        enough = self.loss + _SUFFICIENT * slope.clamp(max=0) + rounding
        going = ~is_given_up(self._failures)
        good = finite & ((new.loss <= enough) | ~usable) & going
        # A step that only rounding allows is none: the next one begins shorter.
        lower = good & ((new.loss < self.loss) | ~usable)
        # The least of the parabola through what is known, kept within a tenth and a half.
        shorter = (-slope / (2 * (new.loss - self.loss - slope))).nan_to_num(0.1).clamp(0.1, 0.5)
        self._learn(s, g - self._g, good & usable)  # y
        self._adapt(good, lower, steepest, shorter)
        self._failures.copy_(torch.where(finite & going, 0, self._failures + 1))
        here = good[:, None]
        x = torch.where(here, x, self._x)
        taken = (
            torch.where(good, new.loss, self.loss),
            torch.where(here, new.terms, self.terms),
            torch.where(here, g, self._g),
        )
        # From here on nothing needs memory: the pictures move with their losses and gradients, or
        # not at all. What was learned above may be a step ahead of them.
        self._x.copy_(x)
        self._take(*taken)

    def _take(self, loss: Tensor, terms: Tensor, gradient: Tensor) -> None:
        self.loss.copy_(loss)
        self.terms.copy_(terms)
        self._g.copy_(gradient)

    def _free(self) -> Tensor | float:
        """1 for every value that may move, 0 where the gradient pushes it out of the bounds."""
        if self._bounds is None:
            return 1.0
        low, high = self._bounds
        stuck = ((self._x <= low) & (self._g > 0)) | ((self._x >= high) & (self._g < 0))
        return (~stuck).to(self._x.dtype)

    @full_products()  # not in TF32, of whose 10 bits a difference of sums leaves few
    def _direction(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The direction, (B, n), and which rows, (B,), go straight downhill, because no pair is
        known yet or what is known does not lead down."""
        free = self._free()
        gradient = gradient * free
        direction = self._pairs.direction(gradient, self._first_guess) * free
        downhill = (_dot(gradient, direction) < 0) & direction.isfinite().all(1)
        steepest = ~(downhill & self._pairs.any)
        self._pairs.forget(steepest)
        rms = gradient.square().mean(1).sqrt().clamp(min=torch.finfo(gradient.dtype).tiny)
        downhill_step = gradient * (-self._restart_step / rms)[:, None]
        return torch.where(steepest[:, None], downhill_step, direction), steepest

    def _first_guess(self, q: Tensor) -> Tensor:
        """H0 q."""
        if self._curvature is None:
            return q * self._pairs.scaling[:, None]
        return self._curvature.apply(q, self._pairs.scaling)

    @full_products()
    def _learn(self, s: Tensor, y: Tensor, good: Tensor) -> None:
        """Remember the pairs of the ``good`` rows; one with too little curvature is skipped."""
        curvature, yy = _dot(s, y), _dot(y, y)
        bent = curvature > 1e-8 * (_dot(s, s) * yy).sqrt()
        good = good & bent & curvature.isfinite()
        self._pairs.remember(s, y, good)
        if self._curvature is not None:
            self._curvature.learn(s, y, good)

    def _adapt(self, good: Tensor, lower: Tensor, steepest: Tensor, shorter: Tensor) -> None:
        """How far to go next time, from how it went."""
        self._rejected.copy_(torch.where(good | steepest, 0, self._rejected + 1))
        self._length.copy_(torch.where(good | steepest, 1.0, self._length * shorter))
        change = torch.where(lower, 2.0, torch.where(good, 0.1, shorter))
        restart = (change * self._restart_step).clamp(1e-6 * self._first_step, self._first_step)
        self._restart_step.copy_(torch.where(steepest, restart, self._restart_step))
        useless = self._rejected >= _TRIALS
        self._pairs.forget(useless | (good & ~lower))
        self._length.masked_fill_(useless, 1.0)
        self._rejected.masked_fill_(useless, 0)
