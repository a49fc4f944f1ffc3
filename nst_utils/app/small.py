"""Small pictures of the chosen pair, one for each of several alpha/beta, to choose it from.

They are jobs of :mod:`nst_utils.many`, as those of ``nst.sweep`` are, done in this process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from nst_utils.app.recipes import SO_FAR, Recipe, allowed
from nst_utils.app.views import Throttle
from nst_utils.images.files import save_image
from nst_utils.images.names import samples
from nst_utils.many.engine import Run
from nst_utils.many.jobs import make_job
from nst_utils.many.plans import names, planned
from nst_utils.networks.network import between_layers

# Enough to see where the photograph comes in.
SIZE, STEPS = 128, 40

# Called with the number of a ratio and the file of its picture.
Told = Callable[[int, Path], object]


class TriesEnded(NamedTuple):
    """How it ended, as a session asks for it: ``trouble`` is a sentence, or empty."""

    interrupted: bool
    trouble: str


def small(recipe: Recipe) -> Recipe:
    """The same at a small size and with few steps, or less where that is less."""
    return allowed(replace(recipe, size=min(recipe.size, SIZE), steps=min(recipe.steps, STEPS)))


def paint_ratios(
    recipe: Recipe,
    ratios: Sequence[float],
    pictures: Mapping[str, Tensor],
    so_far: Tensor | None,
    told: Told,
) -> TriesEnded:
    """Paint the recipe with each of the ratios.

    Always by L-BFGS, which after few steps is where Adam is after hundreds: a ratio is a matter of
    what is minimized, not of how.

    Args:
        recipe: see :func:`small`. ratios: alpha/beta.
        pictures: name -> (1, 3, H, W), of those that are not bundled.
        so_far: the picture to begin with, where that is the start.
        told: called for each picture when it is there.

    Raises:
        ValueError: not a single one could be painted.
    """
    with tempfile.TemporaryDirectory(prefix="nst-ratios-") as name:
        folder = Path(name)
        net = recipe.network()
        axes, rows = planned(_settings(recipe, ratios, pictures, so_far, folder), zipped=False)
        jobs = [
            make_job(each, row, net.description)
            for each, row in zip(names(axes, rows), rows, strict=True)
        ]
        run = Run(jobs, folder, None, net)
        look = _Look([folder / f"{job.name}.png" for job in jobs], told)
        go_on = between_layers.get()

        def between() -> None:
            look.if_time()
            if go_on is not None:
                go_on()

        token = between_layers.set(between)
        try:
            run.do(None, resume=False, progress=False)
        finally:
            between_layers.reset(token)
            look()
    failed = [each.message for each in run.found.values() if each.message]
    if len(failed) == len(jobs):
        raise ValueError(failed[0])
    return TriesEnded(run.interrupted, f"{len(failed)} did not work: {failed[0]}" if failed else "")


class _Look:
    """Tells of each picture once, when its file is there."""

    def __init__(self, files: Sequence[Path], told: Told) -> None:
        self._left, self._told = dict(enumerate(files)), told
        self._now = Throttle(rate=2, share=0.05)

    def if_time(self) -> None:
        self._now.try_call(self)

    def __call__(self) -> None:
        for number, path in list(self._left.items()):
            if path.exists():  # whole, as all that is written there
                self._told(number, path)
                del self._left[number]


def _settings(
    recipe: Recipe,
    ratios: Sequence[float],
    pictures: Mapping[str, Tensor],
    so_far: Tensor | None,
    folder: Path,
) -> dict[str, Any]:
    """What :func:`nst_utils.sweep` would be given."""

    def file(what: str, name: str) -> str:
        if name not in pictures:
            return str(samples()[name].path)
        return str(save_image(recipe.picture(name, pictures), folder / f"{what}.png"))

    init = recipe.init
    if init == SO_FAR:
        if so_far is None:
            raise ValueError("there is no picture yet to go on from; choose another start")
        init = str(save_image(so_far, folder / "so-far.png"))
    weighting = recipe.weighting
    return {
        "content": file("content", recipe.content),
        "style": file("style", recipe.style),
        "size": recipe.size,
        "preset": recipe.preset,
        "content_weight": [ratio * float(weighting.style_weight or 0.0) for ratio in ratios],
        "style_layer_weights": list(weighting.style_layers.values()),
        "content_layers": [recipe.content_layer],
        "init": init,
        "tv_weight": recipe.tv_weight,
        "steps": recipe.steps,
        "seed": recipe.seed,
        "optimizer": "lbfgs",
        "device": recipe.device,
    }
