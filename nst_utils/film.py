"""A film strip of a run: some of the pictures on the way."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from nst_utils import checks
from nst_utils.runs import Step

FRAMES = (1, 5, 10, 20, 50, 100, 200)


class Film:
    """A callback that keeps some pictures: ``transfer(..., callback=film)``, ``show(film.images)``.

    Args:
        frames: the steps after which a picture is kept.
        picture: which row of the batch.

    Attributes:
        images: the kept pictures, each (1, 3, H, W) on the CPU. titles: ``"step 10"`` for each.

    Raises:
        ValueError: a step below 1, or (in the run) a row that it does not have.
    """

    def __init__(self, frames: Iterable[int] = FRAMES, picture: int = 0) -> None:
        self.frames = {checks.count("frames", frame) for frame in frames}
        self.picture = checks.count("picture", picture, least=0)
        self.images: list[Tensor] = []
        self.titles: list[str] = []

    def __call__(self, step: Step) -> None:
        if self.picture >= len(step.images):
            raise ValueError(
                f"there is no picture {self.picture}; the run makes {len(step.images)}"
            )
        if step.number in self.frames:
            self.images.append(step.images[self.picture : self.picture + 1].cpu().clone())
            self.titles.append(f"step {step.number}")
