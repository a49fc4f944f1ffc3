"""One optimization from start to end, and what comes out of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from nst_utils import checks
from nst_utils.images import resize
from nst_utils.levels import Level
from nst_utils.objective import Objective
from nst_utils.optimizers import LBFGS, OPTIMIZERS, Adam
from nst_utils.quick import quick_steps


class Step(NamedTuple):
    """What a callback is told after each step."""

    number: int  # 1, 2, ...
    images: Tensor  # (B, 3, H, W), a copy, on the device; of full size on coarse levels too
    losses: dict[str, Tensor]  # as in Result.history, each (B,)


Callback = Callable[[Step], object]


@dataclass
class Result:
    """What a run returns.

    Attributes:
        image: (B, 3, H, W) float32 on the CPU, RGB, 0..1: the pictures.
        history: name -> (steps, B) float64, the losses after each step in the paper's units:
            ``content_loss`` (eq. 1), ``style_loss`` (eq. 5), ``total_loss`` (eq. 7), and each term
            by itself (``content/conv4_2``, ``style/conv1_1``, ...; NaN where a picture has no such
            term). While a coarse level runs (see :mod:`nst_utils.levels`), they are that level's.
        start: name -> (B,), the same losses before the first step.
        settings: every setting that was used.
        device: where it ran. seconds: the optimization alone.
        evaluations: of loss and gradient; of the picture that needed most.
        peak_memory_bytes: of the GPU during the run; on a CPU the most that the process has used
            so far; ``None`` where the system does not tell.
        levels: (height, width, steps) of each level, coarsest first; one for an exact run.
        interrupted: whether it was stopped (Ctrl-C, or the notebook's stop button).
    """

    image: Tensor
    history: dict[str, Tensor]
    start: dict[str, Tensor]
    settings: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    seconds: float = 0.0
    evaluations: int = 0
    peak_memory_bytes: int | None = None
    levels: list[tuple[int, int, int]] = field(default_factory=list)
    interrupted: bool = False

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return len(self.history["total_loss"])


def minimize(
    objective: Objective,
    start: Tensor,
    *,
    steps: int = 300,
    optimizer: str = "lbfgs",
    learning_rate: float = 0.02,
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
        learning_rate: of Adam, on the 0..1 scale.
        tolerance: stop early once the total loss of every picture fell by less than this fraction
            over the last ten steps (of a coarse level: go on to the next); ``None``, the default,
            never stops early.
        exact: plain L-BFGS; otherwise it begins with a better guess at the curvature (see
            :mod:`nst_utils.curvature`).
        coarse: smaller copies of the problem to begin with, coarsest first. Each takes a fifth of
            ``steps``, all together at most half.
        callback: called with a :class:`Step` after each step; to stop early, raise
            ``KeyboardInterrupt``.
        progress: show a bar with the losses.
        settings: kept in the result.

    An interrupt (Ctrl-C) ends the run and returns the pictures so far.
    """
    steps = quick_steps(checks.count("steps", steps))
    checks.one_of("optimizer", optimizer, OPTIMIZERS)
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
    plan = _plan([*coarse, Level(size, lambda: objective)], steps)
    bar = _progress_bar(plan, progress)
    try:
        for level, its_steps in plan:
            here = level.objective()
            images = _at_size(images, level.size)
            mover = _make_optimizer(optimizer, here, images, learning_rate, exact)
            at_start = at_start or _named(here.paper_losses(mover.terms), names)
            evaluations.append(mover.evaluations)
            levels.append((*level.size, 0))
            for number in range(1, its_steps + 1):
                mover.step()
                images = mover.images
                losses = _named(here.paper_losses(mover.terms), names)
                history.append(losses)
                levels[-1] = (*level.size, number)
                _show_losses(bar, losses, f"{len(history)}/{steps}", level)
                if callback is not None:
                    callback(Step(len(history), _at_size(images, size).clone(), losses))
                if tolerance is not None and _has_settled(history[-number:], tolerance):
                    break
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


def _plan(levels: Sequence[Level], steps: int) -> list[tuple[Level, int]]:
    """How many steps each level gets: a coarse one a fifth, the last at least half of all."""
    *coarse, full = levels
    each = steps // max(5, 2 * len(coarse))
    return [(level, each) for level in coarse if each] + [(full, steps - each * len(coarse))]


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
    rate = checks.weight("learning_rate", learning_rate)
    return Adam(objective.evaluate, start, learning_rate=rate)


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


def plain_settings(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an experiment as they go into the result: plain values only."""
    left_out = ("net", "callback", "progress")
    return {k: _plain(v) for k, v in arguments.items() if k not in left_out}


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor) and value.ndim == 4:
        return f"picture {value.shape[-1]}x{value.shape[-2]}"
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
