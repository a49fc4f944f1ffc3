"""The loop: equation 7 minimized, from the start to what comes out of it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_utils.objective.rows import Weighting
from nst_utils.objective.table import PAPER_LOSSES, Objective
from nst_utils.optimize.adam import Adam
from nst_utils.optimize.checkpoints import Checkpoint, identity
from nst_utils.optimize.coarse_to_fine import Level
from nst_utils.optimize.descent import Descent
from nst_utils.optimize.lbfgs import LBFGS
from nst_utils.optimize.optimizer import Optimizer
from nst_utils.optimize.records import Record
from nst_utils.optimize.results import Callback, Result
from nst_utils.optimize.settings import LearningRate, Settings
from nst_utils.support import checks
from nst_utils.support.interrupts import only_first
from nst_utils.support.messages import say
from nst_utils.support.neutral import neutral
from nst_utils.support.progress import Progress
from nst_utils.support.quick import quick_steps


@neutral()  # of what the caller has set in torch
def minimize(
    objective: Objective,
    start: Tensor,
    *,
    steps: int = Settings.steps,
    optimizer: str = Settings.optimizer,
    learning_rate: LearningRate = Settings.learning_rate,
    tolerance: float | None = Settings.tolerance,
    exact: bool = Settings.exact,
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
        steps: each is one evaluation of loss and gradient, and moves every picture once; L-BFGS
            only those that it makes better.
        optimizer: ``"lbfgs"`` (the paper's) or ``"adam"``.
        learning_rate: of Adam, on the 0..1 scale; where it changes, the step (1, 2, ...) from which
            each rate holds: ``{1: 0.02, 200: 0.005}``.
        tolerance: stop early once the total loss of every picture fell by less than this fraction
            over the last ten steps (of a coarse level: go on to the next); ``None``, the default,
            never stops early. On a GPU, whose losses are read late, some steps later.
        exact: plain L-BFGS; otherwise it begins with a better guess at the curvature (see
            :mod:`nst_utils.optimize.curvature`).
        coarse: smaller copies of the problem to begin with, coarsest first. Each takes as many of
            ``steps`` as it says; where it does not, a fifth, all together at most half.
        callback: called with a :class:`Step` after each step; to stop early, raise
            ``KeyboardInterrupt``; to go on with other weights, return a
            :class:`nst_utils.Weighting`.
        progress: show a bar with the losses on standard error; a line each 10 % where that is
            neither a terminal nor a notebook.
        checkpoint: a file to which the run is saved now and then, for at most 3 % of its time.
            Where it exists already, the run goes on from there, and ends as if it had never been
            interrupted: the same picture, on the CPU of the same machine bit for bit. A finished
            run is given back as it was; with more ``steps`` than before, the run goes on to them,
            unless it is still at a coarse level. Callbacks are told of the remaining steps only.
        settings: kept in the result.

    An interrupt (Ctrl-C) ends the run and returns the best pictures so far. So does a picture that
    cannot go on, because wherever it is moved its loss is not finite: ``trouble`` says why.

    Raises:
        ValueError: settings that cannot be used; a loss that is not finite at the start.
    """
    how = Settings(steps, optimizer, learning_rate, tolerance, exact)
    checks.function("callback", callback)
    start = _checked_start(objective, start)
    device = objective.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    levels = [*coarse, Level((start.shape[2], start.shape[3]), lambda: objective)]
    loop = _loop_settings(how, objective)
    make_optimizer = partial(_optimizer, how)
    run = Descent(levels, loop["steps"], start, make_optimizer, tolerance, objective.columns)
    with _opened(checkpoint, objective, start, levels, loop) as file, only_first() as request:
        if file is not None:
            _go_on_from(file, run, loop["steps"] if progress else None)
        resumed, was_finished, interrupted = run.number, run.record.finished, False
        try:
            with Progress("style transfer", shown=progress) as bar:
                for _ in run:  # each evaluates equation 7 and moves every picture once
                    request.check()
                    bar.show(run.done, run.total, _losses(run, loop["steps"]))
                    answer = None if callback is None else callback(run.step)
                    if isinstance(answer, Weighting):
                        run.reweigh(answer)
                    if file is not None:
                        file.save_if_due(run.state)
                bar.show(run.done, run.total)  # less than foreseen where it ended early
            if file is not None and run.record.finished and not was_finished:
                file.save(run.state())
            request.settle()
        except KeyboardInterrupt:
            request.settle()
            if not run.number:  # the start is no picture to keep
                raise
            interrupted = True
        run.catch_up()
        result = _result(run, objective, (settings or {}) | _settings_on_the_way(run.record) | loop)
        result.peak_memory_bytes = _peak_memory(device)
        result.resumed, result.interrupted = resumed, interrupted or request.number is not None
    return result


def _optimizer(how: Settings, objective: Objective, images: Tensor) -> Optimizer:
    """Of the pictures of a level."""
    if how.optimizer == "lbfgs":
        return LBFGS(objective.evaluate, images, curvature=not how.exact)
    return Adam(objective.evaluate, images, how.rate)


def _result(run: Descent, objective: Objective, settings: dict[str, Any]) -> Result:
    """What has come of a run, with its settings."""
    image, record = run.pictures.float().cpu(), run.record
    last = run.objective or objective  # where memory ran out, that one went on on the CPU
    return Result(
        image=image,
        history=record.history_of(run.names, len(image)),
        start=record.at_start,
        settings={
            **settings,
            "network": last.net.description,
            "height": image.shape[2],
            "width": image.shape[3],
        },
        device=str(last.device),
        seconds=run.seconds,
        evaluations=sum(record.evaluations),
        levels=record.levels,
        trouble="; ".join(each.sentence for each in record.troubles),
        troubles=[record.trouble_of(picture) for picture in range(len(image))],
    )


def _checked_start(objective: Objective, start: Tensor) -> Tensor:
    """Where the pictures begin, on the objective's device."""
    if not isinstance(objective, Objective):
        raise ValueError(f"objective must be an Objective, got {checks.shown(objective)}")
    start = checks.images("start", start).detach().to(objective.net.mean)
    if len(start) != len(objective):
        raise ValueError(
            f"start holds {len(start)} pictures for {len(objective)} rows; give one for each"
        )
    return start


def _loop_settings(how: Settings, objective: Objective) -> dict[str, Any]:
    """As plain values, which a report and a checkpoint can hold."""
    rates = how.rates
    return {
        "steps": quick_steps(int(how.steps)),
        "optimizer": how.optimizer,
        "learning_rate": rates if len(rates) > 1 else rates[1],
        "tolerance": how.tolerance if how.tolerance is None else float(how.tolerance),
        "exact": bool(how.exact),
        "device": str(objective.device),
    }


@contextlib.contextmanager
def _opened(
    path: str | Path | None,
    objective: Objective,
    start: Tensor,
    levels: Sequence[Level],
    loop: dict[str, Any],
) -> Iterator[Checkpoint | None]:
    """The checkpoint of a run, held for as long as that takes; ``None`` where none is asked for."""
    if path is None:
        yield None
        return
    sizes = [level.size if level.steps is None else (*level.size, level.steps) for level in levels]
    with Checkpoint(path, identity(objective, start, levels=sizes, **loop)).held() as file:
        yield file


def _go_on_from(file: Checkpoint, run: Descent, steps: int | None) -> None:
    """Take up what the file holds, if it holds something; say so where ``steps`` are given."""
    saved = file.load()
    if saved is not None:
        run.restore(*saved)
        if run.number and steps is not None:
            say(f"{file.path}: going on after step {run.number} of {steps}")


def _settings_on_the_way(record: Record) -> dict[str, Any]:
    """The weights that a callback has changed, and after which step."""
    changed = [(number, asdict(weighting)) for number, weighting in record.reweighed]
    return {"reweighed": changed} if changed else {}


def _losses(run: Descent, steps: int) -> str:
    """The step and the losses of the pictures, averaged, as they stand beside the bar."""
    history = run.record.history
    shown = [
        f"{name.removesuffix('_loss')}={losses[name].mean().item():.3g}"
        for losses in history[-1:]  # those of a GPU arrive some steps late
        for name in PAPER_LOSSES
    ]
    return ", ".join([f"step={run.number}/{steps}", *shown])


def _peak_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # KiB elsewhere
