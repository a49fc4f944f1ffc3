"""Trying ratios: a sheet of small pictures, each a button that takes its alpha/beta over."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import ipywidgets as widgets
from PIL import Image
from torch import Tensor

from nst_utils.app.layout import painting_to_photograph
from nst_utils.app.page import Section, close_all, data_url, to_jpeg
from nst_utils.app.recipes import Recipe, of_preset, ratios_around
from nst_utils.app.sentences import decimal, in_words, paragraph
from nst_utils.app.sessions import FINISHED, PAUSED, RUNNING, STOPPED, Session
from nst_utils.app.small import paint_ratios, small
from nst_utils.support.quick import quick_size, quick_steps

_numbers = itertools.count(1)


class Tries:
    """The sheet on the page.

    Args:
        take: called with the recipe that was tried and the ratio that is chosen.
        on_change: called when what is going on has changed; also in the working thread.

    Attributes:
        session: the last one, or ``None``.
    """

    def __init__(
        self, take: Callable[[Recipe, float], object], on_change: Callable[[], object]
    ) -> None:
        self._take, self._on_change = take, on_change
        self.session: Session | None = None
        self._ratios: list[float] = []
        self._there: dict[int, str] = {}  # number -> rule that shows its picture
        self._css, self._empty = "", ""  # a class of this sheet alone; the shape of its pictures
        self._style, self._about, self._sheet = widgets.HTML(), widgets.HTML(), widgets.Box()
        self._sheet.add_class("nst-sheet")
        ends = painting_to_photograph("nst-sheet-ends")
        parts = [self._style, self._about, self._sheet, ends]
        self._section = Section("Ratios tried", "nst-tries", parts, True)
        self.widget = self._section.widget
        self.widget.add_class("nst-tried")
        self.widget.layout.display = "none"

    def start(
        self, recipe: Recipe, pictures: Mapping[str, Tensor], so_far: Tensor | None, here: bool
    ) -> None:
        """Try the ratios around that of the recipe's preset.

        Args:
            recipe: whose pictures and settings they are. pictures: those that are not bundled.
            so_far: the picture to begin with, where that is the start. here: in this thread.

        Raises:
            ValueError: a picture of it is not here.
        """
        recipe = small(recipe)
        for name in (recipe.style, recipe.content):
            picture = recipe.picture(name, pictures)
        self._ratios, self._there = ratios_around(recipe.preset), {}
        self._show_empty(recipe, f"{picture.shape[3]}/{picture.shape[2]}")
        given = (recipe, list(self._ratios), dict(pictures), so_far, self._put)
        self.session = Session(lambda callback: paint_ratios(*given), on_change=self._changed)
        self.session.run_here() if here else self.session.start()

    def fold(self) -> None:
        """Make room for what is painted."""
        self._section.button.value = False

    @property
    def sentence(self) -> str:
        """What is going on, or how it ended."""
        session, all_of_them = self.session, in_words(len(self._ratios))
        if session is None:
            return ""
        there = f"{in_words(len(self._there))} of {all_of_them}"
        if session.state == RUNNING:
            return f"Trying {all_of_them} ratios. Stop ends it; what is there stays."
        if session.state == PAUSED:
            return f"Paused; {there} are there. Resume goes on."
        why = f" ({session.message})" if session.message else ""
        if session.state == FINISHED:
            there = there if why else f"All {all_of_them}"
            return f"{there.capitalize()} are there{why}. Press one to take its ratio over."
        if session.state == STOPPED:
            return f"Stopped; {there} are there{why}."
        return f"This did not work: {session.message}."

    def _changed(self) -> None:
        session = self.session
        if session is not None and not session.is_live:
            for number, each in enumerate(self._sheet.children):
                each.layout.display = None if number in self._there else "none"
            if not self._there:
                self.widget.layout.display = "none"
        self._on_change()

    def _show_empty(self, recipe: Recipe, shape: str) -> None:
        """A place for each picture."""
        for each in self._sheet.children:
            close_all(each)
        css = f"nst-try-{next(_numbers)}"
        self._empty = f".nst-studio .{css}::before {{aspect-ratio: {shape}}}"
        own = of_preset(recipe.preset).ratio
        made = []
        for number, ratio in enumerate(self._ratios):
            note = " (the preset's)" if ratio == own else ""
            text = f"alpha/beta {decimal(ratio)}{note}"
            button = widgets.Button(description=text, tooltip=f"take {text}", disabled=True)
            for name in ("nst-try", css, f"{css}-{number}"):
                button.add_class(name)
            button.on_click(partial(self._pressed, recipe, ratio))
            made.append(button)
        self._css, self._sheet.children = css, made
        size, steps = quick_size(recipe.size), quick_steps(recipe.steps)
        self._about.value = paragraph(
            f"{recipe.content} in the style of {recipe.style}, preset {recipe.preset}: "
            f"{size} px, {steps} steps of L-BFGS each. After more steps the photograph shows at "
            "smaller ratios already."
        )
        self._style.value = f"<style>{self._empty}</style>"
        self._section.button.value = True
        self.widget.layout.display = None

    def _pressed(self, recipe: Recipe, ratio: float, button: widgets.Button) -> None:
        self._take(recipe, ratio)

    def _put(self, number: int, path: Path) -> None:
        """A picture is there; in the working thread."""
        with Image.open(path) as picture:
            url = data_url(to_jpeg(picture.convert("RGB")), "jpeg")
        self._there[number] = (
            f".nst-studio .{self._css}-{number}::before {{background-image: url({url})}}"
        )
        self._style.value = f"<style>{self._empty} {' '.join(self._there.values())}</style>"
        self._sheet.children[number].disabled = False
