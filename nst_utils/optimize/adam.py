"""Adam over a batch of pictures, every row by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from nst_utils.optimize.optimizer import (
    Bounds,
    Evaluate,
    is_broken,
    is_finite,
    is_given_up,
    within,
)
from nst_utils.optimize.settings import Settings

_STATE = (
    *("loss", "terms", "best", "_best_loss"),
    *("_g", "_unit", "_length", "_loss_at_start", "_failures"),
)
_OF_TORCH = ("exp_avg", "exp_avg_sq", "step")


class Adam:
    """Adam (Kingma & Ba 2015), torch's own, over a batch.

    Each row's gradient is divided by the root mean square of its first one, so that ``epsilon``
    means the same whatever the scale of the weights; otherwise Adam does not depend on it. A step
    to where the loss is not finite is undone, and the next one is shorter; those after it grow back
    to the learning rate. A step to a loss that is only large is kept: with the large rates of
    CS231n the first step takes it a hundred times up, and it is the memory of that steep place
    (beta2 = 0.999) which keeps the following steps short.

    Args:
        evaluate, start, bounds: as for :class:`nst_utils.optimize.lbfgs.LBFGS`.
        learning_rate: asked before each step, with its number: its length for each value, on the
            0..1 scale.

    Attributes:
        loss, terms, evaluations: see :class:`nst_utils.optimize.optimizer.Optimizer`.
        best: (B, 3, H, W), the pictures of the lowest loss so far, from the first step on.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        start: Tensor,
        learning_rate: Callable[[int], float] = lambda step: Settings().rate(step),
        bounds: Bounds = (0.0, 1.0),
    ) -> None:
        self._evaluate = evaluate
        self._bounds = bounds
        self._images = torch.nn.Parameter(within(bounds, start.detach().clone()))
        self._learning_rate = learning_rate
        self._adam = torch.optim.Adam([self._images], lr=learning_rate(1))
        self.evaluations = 1
        self.loss, self._g, self.terms = evaluate(self.images)
        self._unit = _root_mean_square(self._g)
        self._length = torch.ones_like(self.loss)  # of the step, relative to the learning rate
        self._failures = torch.zeros_like(self.loss, dtype=torch.long)
        self._begin_to_compare()

    @property
    def images(self) -> Tensor:
        """(B, 3, H, W), the pictures now."""
        return self._images.detach()

    @property
    def broken(self) -> Tensor:
        """(B,), which rows cannot go on: wherever they are moved, nothing finite comes back."""
        return is_broken(self._failures, self.loss, self._g)

    @property
    def diverged(self) -> Tensor:
        """(B,), which rows are worse off than at the start, and than they were on the way."""
        return (self.loss > self._loss_at_start) & (self.loss > self._best_loss)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next steps depend on, but for the learning rate."""
        state = {name: getattr(self, name) for name in _STATE} | {"_images": self.images}
        state |= {"evaluations": torch.tensor(self.evaluations, device="cpu")}
        return state | {name: self._adam.state[self._images][name] for name in _OF_TORCH}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where :meth:`state` was taken, of the same problem."""
        for name in _STATE:
            setattr(self, name, state[name].to(getattr(self, name).device))
        self.evaluations = int(state["evaluations"])
        self._images.data = state["_images"].to(self._images)
        # As torch keeps them: how often it was called is a number on the CPU.
        kept = {name: state[name].to(self._images) for name in ("exp_avg", "exp_avg_sq")}
        self._adam.state[self._images] = kept | {"step": state["step"].cpu()}

    def step(self, number: int = 1, /) -> None:
        """Move every picture once; a row that would come to nothing finite stays where it is."""
        usable = is_finite(self.loss, self._g)
        before = self.images.clone()
        self._images.grad = torch.where(_wide(usable), self._g / self._unit, 0)
        self._adam.param_groups[0]["lr"] = self._learning_rate(number)  # what it remembers stays
        with torch.device("cpu"):  # in older versions its counter follows torch's default device
            self._adam.step()
        length = _wide(self._length)
        part = before + length * (self.images - before)
        x = within(self._bounds, torch.where(length == 1, self.images, part))
        # Nothing finite here: a fault of the moment ends nothing, so it is looked at once more.
        x = torch.where(_wide(usable), x, before)
        new = self._evaluate(x)
        self.evaluations += 1
        finite = is_finite(new.loss, new.gradient)
        good = finite & ~is_given_up(self._failures)
        first = good & ~usable  # its very first loss
        self._unit = torch.where(_wide(first), _root_mean_square(new.gradient), self._unit)
        self._loss_at_start = torch.where(first, new.loss, self._loss_at_start)
        self._images.data.copy_(torch.where(_wide(good), x, before))
        self.loss = torch.where(good, new.loss, self.loss)
        self.terms = torch.where(good[:, None], new.terms, self.terms)
        self._g = torch.where(_wide(good), new.gradient, self._g)
        self._length = torch.where(good, (2 * self._length).clamp(max=1), self._length / 4)
        self._failures = torch.where(good, 0, self._failures + 1)
        self._compare()

    def go_on_with(self, evaluate: Evaluate) -> None:
        """From now on another loss; what Adam remembers of the gradients stays."""
        self._evaluate = evaluate
        self.loss, self._g, self.terms = evaluate(self.images)
        self.evaluations += 1
        self._begin_to_compare()

    def _begin_to_compare(self) -> None:
        """Losses from here on are of one weighting."""
        self.best, self._best_loss = self.images.clone(), torch.full_like(self.loss, torch.inf)
        self._loss_at_start = self.loss.clone()

    def _compare(self) -> None:
        better = self.loss < self._best_loss
        self.best = torch.where(_wide(better), self.images, self.best)
        self._best_loss = torch.where(better, self.loss, self._best_loss)


def _wide(rows: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1)."""
    return rows.view(-1, 1, 1, 1)


def _root_mean_square(gradient: Tensor) -> Tensor:
    """Of each row, (B, 1, 1, 1); 1 where it is 0 or not finite."""
    greatest = gradient.abs().amax((1, 2, 3), keepdim=True)
    # Squares of a part of the greatest value: those of the values themselves may underflow.
    relative = (gradient / greatest).square().mean((1, 2, 3), keepdim=True).sqrt()
    rms = greatest * relative
    return torch.where((rms > 0) & rms.isfinite(), rms, torch.ones_like(rms))
