"""How fast does the loss fall? Our L-BFGS against the optimizers that people use instead.

The same objective (equation 7 on the normalized network), the same noise, the same number of
evaluations of loss and gradient. The loss is that of the picture clamped to 0..1, the best so far,
evaluated in float32, in units of our L-BFGS's last one: 1.00 is as good, 2.00 twice as bad. At the
end the two precisions are timed in turns.

    python benchmarks/optimizers.py [--size 256] [--evaluations 200] [--ratio 1e-2]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

import nst_utils as nst
from nst_utils.experiments.style_transfer import STYLE_LAYERS
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Objective
from nst_utils.optimize.adam import Adam
from nst_utils.optimize.lbfgs import LBFGS

MARKS = (0.25, 0.5, 1.0)  # of the evaluations


class SpentError(Exception):
    """The evaluations are used up."""


class Counter:
    """Counts evaluations and keeps the best loss that the clamped picture had after each."""

    def __init__(self, objective: Objective, exact: Objective, budget: int) -> None:
        self.objective, self.exact, self.budget = objective, exact, budget
        self.best: list[float] = []

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        if len(self.best) >= self.budget:
            raise SpentError
        evaluation = self.objective.evaluate(images)
        inside = float(images.min()) >= 0 and float(images.max()) <= 1
        told = inside and self.objective is self.exact
        honest = evaluation if told else self.exact.evaluate(images.clamp(0, 1))
        loss = honest.loss.item()
        self.best.append(min([loss if np.isfinite(loss) else np.inf, *self.best[-1:]]))
        return evaluation


def ours(count: Counter, start: Tensor) -> None:
    lbfgs = LBFGS(count, start)
    while True:
        lbfgs.step()


def adam(count: Counter, start: Tensor) -> None:
    mover = Adam(count, start)
    while True:
        mover.step()


def scipy_lbfgsb(count: Counter, start: Tensor) -> None:
    """As the authors' code runs it: 20 corrections, tolerances 0, pixel bounds."""

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient, _ = count(torch.from_numpy(x).float().view_as(start))
        return loss.item(), gradient.double().flatten().numpy()

    scipy.optimize.minimize(
        function,
        start.double().flatten().numpy(),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * start.numel(),
        options={"maxcor": 20, "maxfun": 10**6, "maxiter": 10**6, "ftol": 0, "gtol": 0},
    )


def torch_lbfgs(line_search: str | None) -> Callable[[Counter, Tensor], None]:
    """torch.optim.LBFGS on the pixels, as tutorials use it."""

    def run(count: Counter, start: Tensor) -> None:
        x = start.clone().requires_grad_(True)
        optimizer = torch.optim.LBFGS(
            [x],
            max_iter=10**6,
            max_eval=10**6,
            tolerance_grad=0,
            tolerance_change=0,
            history_size=20,
            line_search_fn=line_search,
        )

        def closure() -> Tensor:
            loss, x.grad, _ = count(x.detach())
            return loss[0]

        while True:
            optimizer.step(closure)

    return run


OPTIMIZERS: dict[str, Callable[[Counter, Tensor], None]] = {
    "ours: L-BFGS": ours,
    "ours, bfloat16 convolutions": ours,
    "SciPy L-BFGS-B": scipy_lbfgsb,
    "torch LBFGS": torch_lbfgs(None),
    "torch LBFGS, strong Wolfe": torch_lbfgs("strong_wolfe"),
    "Adam, 5 gray levels": adam,
}


def time_ratio(first: Objective, second: Objective, images: Tensor, rounds: int = 10) -> float:
    """Median of the ratios of their times for one evaluation, taken in turns after a warm-up."""
    ratios = []
    for turn in range(rounds + 1):
        times = []
        for objective in (first, second):
            begun = time.perf_counter()
            objective.evaluate(images)
            times.append(time.perf_counter() - begun)
        if turn:
            ratios.append(times[0] / times[1])
    return statistics.median(ratios)


def main() -> None:
    """Run all, print the table and keep it beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--ratio", type=float, default=1e-2)
    args = parser.parse_args()
    content, style = (nst.load_image(name, args.size) for name in ("chenonceau", "great-wave"))
    layers = dict.fromkeys(STYLE_LAYERS, 1 / len(STYLE_LAYERS))
    row = Row(content, style, {"conv4_2": 1.0}, layers, args.ratio, 1.0)
    exact = Objective(nst.vgg19(), [row])
    low = Objective(nst.vgg19(precision="bfloat16"), [row])
    start = nst.noise_image(content.shape[2], content.shape[3])
    table = {}
    for name, run in OPTIMIZERS.items():
        count = Counter(low if "bfloat16" in name else exact, exact, args.evaluations)
        with contextlib.suppress(SpentError):
            run(count, start)
        at = [count.best[min(len(count.best), int(args.evaluations * m)) - 1] for m in MARKS]
        table[name] = at
        print(f"{name:<28}", "  ".join(f"{loss:9.5f}" for loss in at), flush=True)
    unit = table["ours: L-BFGS"][-1]
    kept = {
        "settings": vars(args),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "bfloat16_time_over_float32": time_ratio(low, exact, start),
        "marks": [int(args.evaluations * m) for m in MARKS],
        "loss_relative_to_ours_at_the_end": {
            name: [loss / unit for loss in losses] for name, losses in table.items()
        },
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
