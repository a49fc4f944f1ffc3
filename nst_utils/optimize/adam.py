"""Adam over a batch of pictures, every row by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from nst_utils.optimize.optimizer import GIVE_UP_AFTER, Evaluate, is_finite

# How often a step is retried shorter.
_TRIALS = 12

_STATE = (
    *("loss", "terms", "evaluations", "best", "_best_loss"),
    *("_g", "_unit", "_length", "_loss_at_start", "_failures"),
)
_OF_TORCH = ("exp_avg", "exp_avg_sq", "step")


class Adam:
    """Adam (Kingma & Ba 2015), torch's own, over a batch.

    Each row's gradient is divided by the root mean square of its first one, so that ``epsilon``
    means the same whatever the scale of the weights; otherwise Adam does not depend on it. A step
    to where the loss is not finite is undone and retried shorter; the next ones grow back to the
    learning rate. A step to a loss that is only large is kept: with the large rates of CS231n the
    first step takes it a hundred times up, and it is the memory of that steep place (beta2 =
    0.999) which keeps the following steps short.

    Args:
        evaluate, start, bounds: as for :class:`nst_utils.optimize.lbfgs.LBFGS`.
        learning_rate: asked before each step: its length for each value, on the 0..1 scale.

    Attributes:
        best: (B, 3, H, W), the pictures of the lowest loss so far, from the first step on.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        start: Tensor,
        learning_rate: Callable[[], float] = lambda: 0.02,
        bounds: tuple[float, float] | None = (0.0, 1.0),
    ) -> None:
        self._evaluate = evaluate
        self._bounds = bounds
        self._images = torch.nn.Parameter(self._clamp(start.detach().clone()))
        self._learning_rate = learning_rate
        self._adam = torch.optim.Adam([self._images], lr=learning_rate())
        self.evaluations = torch.ones(len(start), dtype=torch.long, device="cpu")
        self.loss, self._g, self.terms = evaluate(self.images, None)
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
        return (self._failures >= GIVE_UP_AFTER) | ~is_finite(self.loss, self._g)

    @property
    def diverged(self) -> Tensor:
        """(B,), which rows are worse off than at the start, and than they were on the way."""
        return (self.loss > self._loss_at_start) & (self.loss > self._best_loss)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next steps depend on, but for the learning rate."""
        state = {name: getattr(self, name) for name in _STATE} | {"_images": self.images}
        return state | {name: self._adam.state[self._images][name] for name in _OF_TORCH}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where :meth:`state` was taken, of the same problem."""
        for name in _STATE:
            setattr(self, name, state[name].to(getattr(self, name).device))
        self._images.data = state["_images"].to(self._images)
        # As torch keeps them: how often it was called is a number on the CPU.
        kept = {name: state[name].to(self._images) for name in ("exp_avg", "exp_avg_sq")}
        self._adam.state[self._images] = kept | {"step": state["step"].cpu()}

    def step(self) -> None:
        """Move every picture once."""
        self._look_again()
        usable = is_finite(self.loss, self._g)
        gradient = torch.where(usable[:, None, None, None], self._g / self._unit, 0)
        before = self.images.clone()
        self._images.grad = gradient
        self._adam.param_groups[0]["lr"] = self._learning_rate()  # what it remembers stays
        with torch.device("cpu"):  # in older versions its counter follows torch's default device
            self._adam.step()
        self._go_as_far_as_it_is_finite(before, (~self.broken).nonzero().flatten())

    def _go_as_far_as_it_is_finite(self, before: Tensor, rows: Tensor) -> None:
        """Keep Adam's step for these rows, or a shorter one, or undo it."""
        after = self.images.clone()
        self._images.data.copy_(before)
        failed = torch.ones_like(self._failures, dtype=torch.bool)
        whole = torch.ones_like(failed)
        for _ in range(_TRIALS if len(rows) else 0):
            length = self._length[rows].view(-1, 1, 1, 1)
            part = before[rows] + length * (after[rows] - before[rows])
            x = self._clamp(torch.where(length == 1, after[rows], part))
            new = self._evaluate(x, rows)
            self.evaluations[rows.cpu()] += 1
            good = is_finite(new.loss, new.gradient)
            done = rows[good]
            failed[done] = False
            self._images.data[done] = x[good]
            self.loss[done], self._g[done] = new.loss[good], new.gradient[good]
            self.terms[done] = new.terms[good]
            rows = rows[~good]
            if not len(rows):
                break
            whole[rows] = False
            self._length[rows] /= 4
        self._failures = torch.where(failed, self._failures + 1, 0)
        self._length = torch.where(whole, (2 * self._length).clamp(max=1), self._length)
        self._compare()

    def go_on_with(self, evaluate: Evaluate) -> None:
        """From now on another loss; what Adam remembers of the gradients stays."""
        self._evaluate = evaluate
        self.loss, self._g, self.terms = evaluate(self.images, None)
        self.evaluations += 1
        self._begin_to_compare()

    def _look_again(self) -> None:
        """Evaluate rows once more that have nothing finite: a fault of the moment ends nothing."""
        rows = (~is_finite(self.loss, self._g)).nonzero().flatten()
        if len(rows):
            now = self._evaluate(self.images[rows], rows)
            self.evaluations[rows.cpu()] += 1
            self.loss[rows], self._g[rows], self.terms[rows] = now
            self._unit[rows] = _root_mean_square(now.gradient)
            self._loss_at_start[rows] = now.loss

    def _begin_to_compare(self) -> None:
        """Losses from here on are of one weighting."""
        self.best, self._best_loss = self.images.clone(), torch.full_like(self.loss, torch.inf)
        self._loss_at_start = self.loss.clone()

    def _compare(self) -> None:
        better = self.loss < self._best_loss
        self.best[better], self._best_loss[better] = self.images[better], self.loss[better]

    def _clamp(self, images: Tensor) -> Tensor:
        return images if self._bounds is None else images.clamp(*self._bounds)


def _root_mean_square(gradient: Tensor) -> Tensor:
    """Of each row, (B, 1, 1, 1); 1 where it is 0 or not finite."""
    greatest = gradient.abs().amax((1, 2, 3), keepdim=True)
    # Squares of a part of the greatest value: those of the values themselves may underflow.
    relative = (gradient / greatest).square().mean((1, 2, 3), keepdim=True).sqrt()
    rms = greatest * relative
    return torch.where((rms > 0) & rms.isfinite(), rms, torch.ones_like(rms))
