"""One optimization from start to end, and what comes out of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from nst_utils import checks
from nst_utils.images import resize
from nst_utils.levels import Level
from nst_utils.objective import Objective
from nst_utils.optimizers import LBFGS, OPTIMIZERS, Adam
from nst_utils.quick import quick_steps
from nst_utils.results import Callback, Result, Step
from nst_utils.rows import Weighting

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
            :mod:`nst_utils.curvature`).
        coarse: smaller copies of the problem to begin with, coarsest first. Each takes a fifth of
            ``steps``, all together at most half.
        callback: called with a :class:`Step` after each step; to stop early, raise
            ``KeyboardInterrupt``; to go on with other weights, return a
            :class:`nst_utils.rows.Weighting`.
        progress: show a bar with the losses.
        settings: kept in the result.

    An interrupt (Ctrl-C) ends the run and returns the pictures so far.
    """
    steps = quick_steps(checks.count("steps", steps))
    checks.one_of("optimizer", optimizer, OPTIMIZERS)
    rates = check_learning_rate(learning_rate)
    if tolerance is not None:
        checks.weight("tolerance", tolerance)
    device = objective.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    begun = time.perf_counter()
    start = checks.images("start", start).detach().to(objective.net.mean)
    if len(start) != len(objective):
        raise ValueError(
            f"start holds {len(start)} pictures for {len(objective)} rows; give one for each"
        )
    size = (start.shape[2], start.shape[3])
    names = ("content_loss", "style_loss", "total_loss", *objective.columns)
    images = start
    at_start: dict[str, Tensor] = {}
    history: list[dict[str, Tensor]] = []
    evaluations: list[Tensor] = []
    levels: list[tuple[int, int, int]] = []
    interrupted = False
    work = 0
    weighting, reweighed = Weighting(), list[tuple[int, Weighting]]()
    plan = _plan([*coarse, Level(size, lambda: objective)], steps)
    bar = _progress_bar(plan, progress)
    try:
        for level, its_steps in plan:
            here = _weighed(level.objective(), weighting, level.size == size)
            if here is None:
                bar.total -= its_steps * level.size[0] * level.size[1]
                continue
            images = _at_size(images, level.size)
            mover = _make_optimizer(optimizer, here, images, rates[1], exact)
            at_start = at_start or _named(here.paper_losses(mover.terms), names)
            evaluations.append(mover.evaluations)
            levels.append((*level.size, 0))
            comparable = len(history)  # losses from here on are of one size and one weighting
            for number in range(1, its_steps + 1):
                if isinstance(mover, Adam):
                    mover.set_learning_rate(rates.get(len(history) + 1, mover.learning_rate))
                mover.step()
                images = mover.images
                losses = _named(here.paper_losses(mover.terms), names)
                history.append(losses)
                levels[-1] = (*level.size, number)
                work += level.size[0] * level.size[1]
                _show_losses(bar, losses, f"{len(history)}/{steps}", level)
                if callback is not None:
                    whole = _at_size(images, size).clone()
                    told = callback(Step(len(history), whole, losses, work / bar.total))
                    if isinstance(told, Weighting):
                        weighting = weighting.then(told)
                        reweighed.append((len(history), told))
                        changed = _weighed(here, told, level.size == size)
                        if changed is None:
                            break
                        here, comparable = changed, len(history)
                        mover.go_on_with(here.evaluate)
                if tolerance is not None and _has_settled(history[comparable:], tolerance):
                    break
            bar.total -= (its_steps - number) * level.size[0] * level.size[1]  # left early
    except KeyboardInterrupt:
        if not at_start:
            raise
        interrupted = True
    finally:
        bar.close()
    image = _at_size(images, size).float().cpu().clone()
    return Result(
        image=image,
        history={
            name: torch.stack([losses[name] for losses in history])
            if history
            else torch.zeros(0, len(image), dtype=torch.float64)
            for name in names
        },
        start=at_start,
        settings={
            **(settings or {}),
            **({"reweighed": [(n, asdict(w)) for n, w in reweighed]} if reweighed else {}),
            "network": objective.net.description,
            "steps": steps,
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "tolerance": tolerance,
            "exact": exact,
            "device": str(device),
            "height": image.shape[2],
            "width": image.shape[3],
        },
        device=str(device),
        seconds=time.perf_counter() - begun,
        evaluations=sum(int(each.max()) for each in evaluations),
        peak_memory_bytes=_peak_memory(device),
        levels=levels,
        interrupted=interrupted,
    )


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


def _weighed(objective: Objective, new: Weighting, is_last: bool) -> Objective | None:
    """The table with other weights; ``None`` for a coarse level of which nothing would count."""
    try:
        return objective.reweighed(new)
    except ValueError:
        if is_last:
            raise
        return None


def _named(losses: dict[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """The losses of these names, NaN for those that a level does not have."""
    missing = torch.full_like(losses["total_loss"], torch.nan)
    return {name: losses.get(name, missing) for name in names}


def _at_size(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The pictures in that size, on their device."""
    if tuple(images.shape[2:]) == size:
        return images
    return resize(images.cpu(), size).to(images)  # on the CPU: not every device can do it


def _make_optimizer(
    name: str, objective: Objective, start: Tensor, learning_rate: float, exact: bool
) -> LBFGS | Adam:
    if name == "lbfgs":
        return LBFGS(objective.evaluate, start, curvature=not exact)
    return Adam(objective.evaluate, start, learning_rate=learning_rate)


def _progress_bar(plan: Sequence[tuple[Level, int]], progress: bool) -> tqdm:
    """A bar that counts pixels, so that the time left is right on coarse levels too."""
    return tqdm(
        total=sum(level.size[0] * level.size[1] * steps for level, steps in plan),
        disable=not progress,
        desc="style transfer",
        mininterval=0.5,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
    )


def _show_losses(bar: tqdm, losses: dict[str, Tensor], step: str, level: Level) -> None:
    """The step and the losses of the pictures, averaged, beside the bar."""
    shown = {"step": step} | {
        name.removesuffix("_loss"): f"{losses[name].mean().item():.3g}"
        for name in ("content_loss", "style_loss", "total_loss")
    }
    bar.set_postfix(shown, refresh=False)
    bar.update(level.size[0] * level.size[1])


def _has_settled(history: list[dict[str, Tensor]], tolerance: float, window: int = 10) -> bool:
    if len(history) <= window:
        return False
    before, now = history[-1 - window]["total_loss"], history[-1]["total_loss"]
    return bool((before - now <= tolerance * before.abs()).all())


def _peak_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # KiB elsewhere
