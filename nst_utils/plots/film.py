"""A film strip of a run: some of the pictures on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from PIL import Image
from torch import Tensor

from nst_utils.images.files import to_pil
from nst_utils.optimize.results import Step
from nst_utils.support import checks
from nst_utils.support.paths import user_path, write_whole

FRAMES = (1, 5, 10, 20, 50, 100, 200)
_FRAME, _LAST_FRAME = 100, 2000  # milliseconds


def spread(steps: int, number: int = 48) -> list[int]:
    """Steps to keep of a run of that many: closer together at its beginning, where most happens.

    >>> spread(300, 6)
    [8, 33, 75, 133, 208, 300]
    """
    return sorted({max(1, round(steps * (i / number) ** 2)) for i in range(1, number + 1)})


def write_gif(pictures: Sequence[Image.Image], file: BinaryIO) -> None:
    """Write pictures of one size as an animation that starts again after its last picture."""
    first, *others = pictures
    times = [_FRAME] * len(others) + [_LAST_FRAME]
    first.save(file, "GIF", save_all=True, append_images=others, duration=times, loop=0)


class Film:
    """A callback that keeps some pictures: ``transfer(..., callback=film)``, ``show(film.images)``.

    ``film.save("film.gif")`` makes an animation of them.

    Args:
        frames: the steps after which a picture is kept.
        picture: which row of the batch.

    Attributes:
        images: the kept pictures, each (1, 3, H, W) on the CPU. titles: ``"step 10"`` for each.

    Raises:
        ValueError: a step below 1, or (in the run) a row that it does not have.
    """

    def __init__(self, frames: Iterable[int] = FRAMES, *, picture: int = 0) -> None:
        if not checks.is_several(frames):
            raise ValueError(f"frames must be a list of steps, got {checks.shown(frames)}")
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

    def save(self, path: str | Path) -> Path:
        """Write the kept pictures as an animated GIF, whole or not at all.

        Raises:
            FileNotFoundError: the folder does not exist.
            ValueError: no picture was kept, another file type, an unwritable place.
        """
        target = user_path(path)
        if target.suffix.lower() != ".gif":
            raise ValueError(f"cannot write the film {target.name}: its name must end in .gif")
        if not self.images:
            raise ValueError("the film is empty: the run made none of the steps to be kept")
        pictures = [to_pil(image) for image in self.images]
        write_whole(target, lambda file: write_gif(pictures, file))
        return target
