"""One optimization from start to end, and what comes out of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from nst_utils.objective.rows import Weighting
from nst_utils.objective.table import Objective
from nst_utils.optimize.adam import Adam
from nst_utils.optimize.checkpoints import Checkpoint, identity
from nst_utils.optimize.coarse_to_fine import Level
from nst_utils.optimize.descent import Descent
from nst_utils.optimize.diagnosis import attempt, make_step
from nst_utils.optimize.lbfgs import LBFGS
from nst_utils.optimize.results import Callback, Result, Step
from nst_utils.support import checks
from nst_utils.support.messages import say
from nst_utils.support.quick import quick_steps

OPTIMIZERS = ("lbfgs", "adam")

# One number, or the step (1, 2, ...) from which each rate holds: {1: 0.02, 200: 0.005}.
LearningRate = float | Mapping[int, float]


def minimize(
    objective: Objective,
    start: Tensor,
    *,
    steps: int = 300,
    optimizer: str = "lbfgs",
    learning_rate: LearningRate = 0.02,
    tolerance: float | None = None,
    exact: bool = False,
    coarse: Sequence[Level] = (),
    callback: Callback | None = None,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    settings: dict[str, Any] | None = None,
) -> Result:
    """Run an optimizer on an objective.

    Args:
        objective: the table of what is to be matched, one row for each picture.
        start: (B, 3, H, W), 0..1, where the pictures begin.
        steps: how often every picture is moved.
        optimizer: ``"lbfgs"`` (the paper's) or ``"adam"``.
        learning_rate: of Adam, on the 0..1 scale; where it changes, the step (1, 2, ...) from which
            each rate holds: ``{1: 0.02, 200: 0.005}``.
        tolerance: stop early once the total loss of every picture fell by less than this fraction
            over the last ten steps (of a coarse level: go on to the next); ``None``, the default,
            never stops early.
        exact: plain L-BFGS; otherwise it begins with a better guess at the curvature (see
            :mod:`nst_utils.optimize.curvature`).
        coarse: smaller copies of the problem to begin with, coarsest first. Each takes a fifth of
            ``steps``, all together at most half.
        callback: called with a :class:`Step` after each step; to stop early, raise
            ``KeyboardInterrupt``; to go on with other weights, return a
            :class:`nst_utils.objective.rows.Weighting`.
        progress: show a bar with the losses.
        checkpoint: a file to which the run is saved now and then, for at most 3 % of its time.
            Where it exists already, the run goes on from there, and ends as if it had never been
            interrupted: the same picture bit for bit, on the same machine. A finished run is
            given back as it was. Callbacks are told of the remaining steps only.
        settings: kept in the result.

    An interrupt (Ctrl-C) ends the run and returns the best pictures so far. So does a picture that
    cannot go on, because wherever it is moved its loss is not finite: ``trouble`` says why.

    Raises:
        ValueError: settings that cannot be used; a loss that is not finite at the start.
    """
    if not isinstance(objective, Objective):
        raise ValueError(f"objective must be an Objective, got {checks.shown(objective)}")
    check_settings(steps, optimizer, learning_rate, tolerance, exact, callback)
    steps, rates = quick_steps(int(steps)), check_learning_rate(learning_rate)
    device = objective.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = checks.images("start", start).detach().to(objective.net.mean)
    if len(start) != len(objective):
        raise ValueError(
            f"start holds {len(start)} pictures for {len(objective)} rows; give one for each"
        )

    def make_optimizer(table: Objective, images: Tensor) -> LBFGS | Adam:
        if optimizer == "lbfgs":
            return LBFGS(table.evaluate, images, curvature=not exact)
        return Adam(table.evaluate, images, learning_rate=rates[1])

    plan = _plan([*coarse, Level((start.shape[2], start.shape[3]), lambda: objective)], steps)
    run = Descent(plan, start, make_optimizer, rates, tolerance, objective.columns)
    loop = {
        "steps": steps,
        "optimizer": optimizer,
        "learning_rate": rates if len(rates) > 1 else rates[1],
        "tolerance": tolerance if tolerance is None else float(tolerance),
        "exact": bool(exact),
        "device": str(device),
    }
    file = None
    if checkpoint is not None:
        levels = [level.size for level, _ in plan]
        file = Checkpoint(checkpoint, identity(objective, start, levels=levels, **loop))
        saved = file.load()
        if saved is not None:
            run.restore(*saved)
        del saved  # it holds what the optimizer has, too
    resumed = run.number
    if resumed and progress:
        say(f"{checkpoint}: going on after step {resumed} of {steps}")
    interrupted = False
    bar = _progress_bar(run, progress)
    try:
        _make_steps(run, bar, steps, callback, file)
    except KeyboardInterrupt:
        if not run.record.at_start:
            raise
        interrupted = True
    finally:
        bar.total = run.total  # less than foreseen where it ended early
        bar.close()
    image = run.at_full_size if run.record.finished else run.best
    reweighed = [(number, asdict(weighting)) for number, weighting in run.record.reweighed]
    return Result(
        image=image.float().cpu(),
        history=run.record.history_of(run.names, len(image)),
        start=run.record.at_start,
        settings={
            **(settings or {}),
            **({"reweighed": reweighed} if reweighed else {}),
            "network": objective.net.description,
            **loop,
            "learning_rate": learning_rate,
            "height": image.shape[2],
            "width": image.shape[3],
        },
        device=str(objective.device),  # it may have gone on on the CPU
        seconds=run.seconds,
        evaluations=sum(run.record.evaluations),
        peak_memory_bytes=_peak_memory(device),
        levels=run.record.levels,
        interrupted=interrupted,
        trouble="; ".join(run.record.trouble),
        resumed=resumed,
    )


def _make_steps(
    run: Descent,
    bar: tqdm,
    steps: int,
    callback: Callback | None,
    file: Checkpoint | None,
) -> None:
    """All that are left, or until no picture can go on."""
    was_finished = run.record.finished
    while make_step(run):
        _show_losses(bar, run, steps)
        if callback is not None:
            losses = run.record.history[-1]
            told = callback(Step(run.number, run.at_full_size, losses, run.done / run.total))
            if isinstance(told, Weighting) and not attempt(run, partial(run.reweigh, told)):
                say(run.record.trouble[-1])
                return
        if file is not None:
            file.save_if_due(run.state)
    if file is not None and run.record.finished and not was_finished:
        file.save(run.state())


def check_settings(
    steps: int = 300,
    optimizer: str = "lbfgs",
    learning_rate: LearningRate = 0.02,
    tolerance: float | None = None,
    exact: bool = False,
    callback: Callback | None = None,
    **_: object,
) -> None:
    """Raise ``ValueError`` for settings of :func:`minimize` before anything is loaded for them."""
    checks.count("steps", steps)
    checks.one_of("optimizer", optimizer, OPTIMIZERS)
    check_learning_rate(learning_rate)
    if tolerance is not None:
        checks.weight("tolerance", tolerance)
    checks.flag("exact", exact)
    checks.function("callback", callback)


def check_learning_rate(learning_rate: LearningRate) -> dict[int, float]:
    """The schedule as step -> rate, from step 1 on; ``ValueError`` for one that cannot be used."""
    if not isinstance(learning_rate, Mapping):
        return {1: checks.weight("learning_rate", learning_rate)}
    rates = {
        checks.count("a step of learning_rate", step): checks.weight("learning_rate", rate)
        for step, rate in learning_rate.items()
    }
    if 1 not in rates:
        raise ValueError(
            "learning_rate must say what holds from step 1 on, for instance {1: 0.02, 200: 0.005}"
        )
    return rates


def _plan(levels: Sequence[Level], steps: int) -> list[tuple[Level, int]]:
    """How many steps each level gets: a coarse one a fifth, the last at least half of all."""
    *coarse, full = levels
    each = steps // max(5, 2 * len(coarse))
    return [(level, each) for level in coarse if each] + [(full, steps - each * len(coarse))]


def _progress_bar(run: Descent, progress: bool) -> tqdm:
    """A bar that counts pixels, so that the time left is right on coarse levels too."""
    return tqdm(
        total=run.total,
        initial=run.done,
        disable=not progress,
        desc="style transfer",
        mininterval=0.5,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
    )


def _show_losses(bar: tqdm, run: Descent, steps: int) -> None:
    """The step and the losses of the pictures, averaged, beside the bar."""
    losses = run.record.history[-1]
    shown = {"step": f"{run.number}/{steps}"} | {
        name.removesuffix("_loss"): f"{losses[name].mean().item():.3g}"
        for name in ("content_loss", "style_loss", "total_loss")
    }
    bar.set_postfix(shown, refresh=False)
    bar.total = run.total
    bar.update(run.done - bar.n)


def _peak_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # KiB elsewhere
