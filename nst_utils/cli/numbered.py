"""Numbered pictures on the way: ``--save-every 50`` writes out-0050.png, out-0100.png, ..."""

from __future__ import annotations

from nst_utils.cli.early import numbered_picture
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
        path = numbered_picture(self._output, step.number)
        try:
            with held_back():
                save_image(step.images, path)
        except (OSError, ValueError) as error:
            if not self._complained:
                say(f"a picture on the way could not be saved, the run goes on: {error}")
            self._complained = True
