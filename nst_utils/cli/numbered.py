"""Numbered pictures on the way: ``--save-every 50`` writes out-0050.png, out-0100.png, ..."""

from __future__ import annotations

import re
from pathlib import Path

from nst_utils.images.files import save_image
from nst_utils.optimize.results import Step
from nst_utils.support.interrupts import held_back
from nst_utils.support.messages import say
from nst_utils.support.paths import user_path


class NumberedPictures:
    """A callback that writes the picture after every so many steps, beside the output.

    Each is written whole or not at all. What cannot be written does not end the run: that is said
    once, and the next one is tried again.

    Args:
        output: what the names are made from. every: so many steps.
    """

    def __init__(self, output: str, every: int) -> None:
        self._output, self._every = user_path(output), every
        self._complained = False

    def __call__(self, step: Step) -> None:
        if step.number % self._every:
            return
        path = self._output.with_stem(f"{self._output.stem}-{step.number:04d}")
        try:
            with held_back():
                save_image(step.images, path)
        except (OSError, ValueError) as error:
            if not self._complained:
                say(f"a picture on the way could not be saved, the run goes on: {error}")
            self._complained = True

    def may_write(self, path: Path) -> bool:
        """Whether that is one of the names that it gives."""
        own = re.escape(f"{self._output.stem}-") + r"\d{4,}" + re.escape(self._output.suffix)
        same_folder = path.resolve().parent == self._output.resolve().parent
        return same_folder and re.fullmatch(own, path.name) is not None
