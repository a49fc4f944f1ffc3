"""L-BFGS within bounds, over a batch of pictures, every row by itself (the paper's optimizer)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nst_utils.optimize.curvature import Curvature
from nst_utils.optimize.optimizer import GIVE_UP_AFTER, GRAY_LEVEL, Evaluate, is_finite

_STATE = (
    *("_x", "_g", "loss", "terms", "evaluations", "_failures"),
    *("_s", "_y", "_rho", "_scaling", "_has_history", "_restart_step"),
)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each row: (B, n), (B, n) -> (B,)."""
    return torch.linalg.vecdot(a, b)


class LBFGS:
    """Limited-memory BFGS with bounds, for a batch: own history, scaling and step for each row.

    A step of length 1 along the two-loop direction (Nocedal & Wright, algorithm 7.4) is almost
    always good; a row for which it is not is tried again, alone, with a shorter one (Armijo). NaN
    or infinite losses count as too long a step, so they never reach the picture. ``loss`` falls
    monotonically, up to float32 rounding; so the pictures are always the best so far.

    Args:
        evaluate: ``evaluate(images, rows)``, see :meth:`nst_utils.Objective.evaluate`.
        start: (B, 3, H, W), where each picture begins.
        history_size: pairs remembered; 20 as in the authors' code.
        first_step: root mean square length of the first step, on the 0..1 scale.
        bounds: least and greatest pixel value, or ``None`` for none.
        curvature: learn a better first guess at the inverse Hessian than a multiple of the
            identity (see :mod:`nst_utils.optimize.curvature`); without, it is plain L-BFGS.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        start: Tensor,
        history_size: int = 20,
        first_step: float = 5 * GRAY_LEVEL,
        bounds: tuple[float, float] | None = (0.0, 1.0),
        curvature: bool = False,
    ) -> None:
        self._evaluate = evaluate
        self._shape = start.shape
        self._curvature = Curvature(start) if curvature else None
        self._bounds = bounds
        self._x = self._clamp(start.detach().flatten(1).clone())
        rows, size = self._x.shape
        self._s = start.new_zeros(history_size, rows, size)  # steps taken
        self._y = start.new_zeros(history_size, rows, size)  # how the gradient changed
        self._rho = start.new_zeros(history_size, rows)  # 1 / (s y); 0 marks a skipped pair
        self._scaling = start.new_ones(rows)
        self._has_history = torch.zeros(rows, dtype=torch.bool, device=start.device)
        self._restart_step = start.new_full((rows,), first_step)
        self._steps = 0
        self._failures = torch.zeros(rows, dtype=torch.long, device=start.device)
        self.evaluations = torch.ones(rows, dtype=torch.long, device="cpu")
        first = evaluate(self.images, None)
        self.loss, self.terms = first.loss, first.terms
        self._g = first.gradient.flatten(1)

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
        return (self._failures >= GIVE_UP_AFTER) | ~is_finite(self.loss, self._g)

    @property
    def diverged(self) -> Tensor:
        """(B,), which rows are worse off than at the start: none, by its line search."""
        return torch.zeros_like(self._has_history)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next steps depend on."""
        state = {name: getattr(self, name) for name in _STATE}
        if self._curvature is not None:
            state |= self._curvature.state()
        return state | {"_steps": torch.tensor(self._steps, device="cpu")}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where :meth:`state` was taken, of the same problem."""
        for name in _STATE:
            setattr(self, name, state[name].to(getattr(self, name).device))
        if self._curvature is not None:
            self._curvature.restore(state)
        self._steps = int(state["_steps"])

    def _clamp(self, x: Tensor) -> Tensor:
        return x if self._bounds is None else x.clamp(*self._bounds)

    def _free(self) -> Tensor:
        """1 for every value that may move, 0 where the gradient pushes it out of the bounds."""
        if self._bounds is None:
            return torch.ones_like(self._x)
        low, high = self._bounds
        stuck = ((self._x <= low) & (self._g > 0)) | ((self._x >= high) & (self._g < 0))
        return (~stuck).to(self._x.dtype)

    def _direction(self, gradient: Tensor) -> Tensor:
        """Two-loop recursion: minus the inverse Hessian's estimate times the gradient, (B, n)."""
        known = min(self._steps, len(self._s))
        newest_first = [(self._steps - 1 - i) % len(self._s) for i in range(known)]
        q = gradient.clone()
        alphas = {}
        for i in newest_first:
            alphas[i] = self._rho[i] * _dot(self._s[i], q)
            q.addcmul_(self._y[i], alphas[i][:, None], value=-1)
        if self._curvature is None:
            q *= self._scaling[:, None]
        else:
            q = self._curvature.apply(q, self._scaling)
        for i in reversed(newest_first):
            beta = self._rho[i] * _dot(self._y[i], q)
            q.addcmul_(self._s[i], (alphas[i] - beta)[:, None])
        return -q

    def step(self) -> None:
        """Move every picture once; a row that finds no better place stays where it is."""
        self._look_again()
        free = self._free()
        gradient = self._g * free
        direction = self._direction(gradient) * free
        downhill = (_dot(gradient, direction) < 0) & direction.isfinite().all(1)
        steepest = ~(downhill & self._has_history)
        if steepest.any():
            self._forget(steepest)
            rms = gradient.square().mean(1).sqrt().clamp(min=torch.finfo(gradient.dtype).tiny)
            downhill_step = -gradient * (self._restart_step / rms)[:, None]
            direction = torch.where(steepest[:, None], downhill_step, direction)
        moved = self._line_search(direction)
        too_long = steepest & ~moved
        self._restart_step = torch.where(too_long, self._restart_step / 10, self._restart_step)
        self._forget(~moved)
        self._steps += 1

    def _look_again(self) -> None:
        """Evaluate rows once more that have nothing finite: a fault of the moment ends nothing."""
        rows = (~is_finite(self.loss, self._g)).nonzero().flatten()
        if len(rows):
            now = self._evaluate(self.images[rows], rows)
            self.evaluations[rows.cpu()] += 1
            self.loss[rows], self.terms[rows] = now.loss, now.terms
            self._g[rows] = now.gradient.flatten(1)

    def go_on_with(self, evaluate: Evaluate) -> None:
        """From now on another loss, not far from the one so far; what was learned is kept."""
        self._evaluate = evaluate
        now = evaluate(self.images, None)
        self.evaluations += 1
        self.loss, self.terms, self._g = now.loss, now.terms, now.gradient.flatten(1)

    def _forget(self, rows: Tensor) -> None:
        self._rho[:, rows] = 0
        self._has_history &= ~rows

    def _line_search(
        self, direction: Tensor, sufficient_decrease: float = 1e-4, trials: int = 12
    ) -> Tensor:
        """Backtracking (Armijo) for the rows that need it; returns which rows moved, (B,)."""
        rows = (~self.broken).nonzero().flatten()
        failed = torch.ones_like(self._has_history)
        length = torch.ones_like(self.loss)
        moved = torch.zeros_like(self._has_history)
        old_x, old_g, old_loss = self._x, self._g, self.loss
        self._x, self._g = old_x.clone(), old_g.clone()
        self.loss, self.terms = self.loss.clone(), self.terms.clone()
        # Losses are float32: a rise within their rounding is no rise.
        rounding = 4 * torch.finfo(old_loss.dtype).eps * old_loss.abs()
        for _ in range(trials if len(rows) else 0):
            x = self._clamp(old_x[rows] + length[rows, None] * direction[rows])
            slope = _dot(old_g[rows], x - old_x[rows])
            new = self._evaluate(x.view(-1, *self._shape[1:]), rows)
            self.evaluations[rows.cpu()] += 1
            g = new.gradient.flatten(1)
            enough = old_loss[rows] + sufficient_decrease * slope.clamp(max=0)
            finite = is_finite(new.loss, g)
            failed[rows] &= ~finite
            good = finite & (new.loss <= enough + rounding[rows])
            done = rows[good]
            self._x[done], self._g[done] = x[good], g[good]
            self.loss[done], self.terms[done] = new.loss[good], new.terms[good]
            # A step that only rounding allows is none: the next one begins shorter.
            moved[done] = new.loss[good] < old_loss[done]
            rows = rows[~good]
            if not len(rows):
                break
            # The least of the parabola through what is known, kept within a tenth and a half.
            rise = new.loss[~good] - old_loss[rows] - slope[~good]
            best = (-slope[~good] / (2 * rise)).nan_to_num(0.1).clamp(0.1, 0.5)
            length[rows] *= best
        self._failures = torch.where(failed, self._failures + 1, 0)
        self._remember(self._x - old_x, self._g - old_g)
        return moved

    def _remember(self, s: Tensor, y: Tensor) -> None:
        """Store a pair; one with too little curvature is skipped by its row.

        A skipped row keeps the scaling of its last good pair, or its direction would be zero.
        """
        slot = self._steps % len(self._s)
        curvature, yy = _dot(s, y), _dot(y, y)
        good = (curvature > 1e-8 * (_dot(s, s) * yy).sqrt()) & curvature.isfinite()
        if not bool(good.all()):  # what may not be finite must not stay in the memory, times 0
            s, y = (torch.where(good[:, None], each, 0) for each in (s, y))
        self._s[slot], self._y[slot] = s, y
        self._rho[slot] = torch.where(good, 1 / curvature, torch.zeros_like(curvature))
        self._scaling = torch.where(good, curvature / yy, self._scaling)
        self._has_history |= good
        if self._curvature is not None:
            self._curvature.learn(s, y, good)
