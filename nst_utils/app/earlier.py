"""The studio's row of what was made before, so that another start loses nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import ipywidgets as widgets
from torch import Tensor

from nst_utils.app.page import close_all, data_url, to_jpeg
from nst_utils.app.recipes import Recipe
from nst_utils.app.sentences import decimal
from nst_utils.experiments.large import is_large
from nst_utils.images.files import resize, to_pil

MOST = 12  # pictures; the oldest go
_THUMBNAIL = 160  # pixels
_numbers = itertools.count(1)


class Made(NamedTuple):
    """A picture, (1, 3, H, W), with what it was made with and after how many steps."""

    image: Tensor
    recipe: Recipe
    steps: int

    @property
    def about(self) -> str:
        """What it is of."""
        return f"{self.recipe.content} in the style of {self.recipe.style}"


class Earlier:
    """Thumbnails that are buttons; ``show`` is called with the one that is pressed."""

    def __init__(self, show: Callable[[Made], object]) -> None:
        self._show = show
        self._made: list[tuple[Made, widgets.Button, str]] = []
        self._number = 0  # of the newest
        self._style = widgets.HTML()
        self._row = widgets.HBox()
        self._row.add_class("nst-earlier")
        heading = widgets.HTML("<h2>Made so far: press one to have it again</h2>")
        self.widget = widgets.VBox([heading, self._style, self._row])
        self.widget.layout.display = "none"

    def add(self, made: Made) -> None:
        """Put it first; a large one with the 8 bits of each color that its file has."""
        css = f"nst-made-{next(_numbers)}"
        self._number += 1
        text = f"{self._number}: alpha/beta {decimal(made.recipe.ratio)}"
        button = widgets.Button(description=text, tooltip=f"{made.about}, {made.steps} steps")
        button.add_class(css)
        small = to_jpeg(to_pil(resize(made.image, _THUMBNAIL)), quality=80)
        if is_large(made.image.shape[2:]):
            made = made._replace(image=made.image.clamp(0, 1).mul(255).round().byte())
        button.on_click(lambda _: self._show(made._replace(image=_as_floats(made.image))))
        rule = f".nst-studio .{css} {{background-image: url({data_url(small, 'jpeg')})}}"
        self._made.insert(0, (made, button, rule))
        gone = self._made[MOST:]
        del self._made[MOST:]
        self._style.value = f"<style>{' '.join(rule for _, _, rule in self._made)}</style>"
        self._row.children = [button for _, button, _ in self._made]
        self.widget.layout.display = None
        for _, button, _ in gone:
            close_all(button)


def _as_floats(image: Tensor) -> Tensor:
    """0..1, whatever it is kept as."""
    return image if image.is_floating_point() else image.float() / 255
