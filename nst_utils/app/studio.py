"""The studio: style transfer to play with inside a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from nst_utils.app.controls import Controls
from nst_utils.app.earlier import Earlier, Made
from nst_utils.app.layout import progress_bar, row, studio_box, text
from nst_utils.app.limits import Limits
from nst_utils.app.page import close_all, close_those_of_this_cell, remember, script
from nst_utils.app.pair import Pair
from nst_utils.app.panels import Panels
from nst_utils.app.recipes import Recipe, allowed, of_preset
from nst_utils.app.saving import Saves
from nst_utils.app.sentences import ON_COLAB, counted, decimal, of_progress, of_state, paragraph
from nst_utils.app.sessions import RUNNING, Session
from nst_utils.app.sizes import Takes
from nst_utils.app.tries import Tries
from nst_utils.app.views import FILM, Stage, Throttle
from nst_utils.app.work import Work
from nst_utils.networks.network import Network
from nst_utils.optimize.results import Step
from nst_utils.plots.film import spread
from nst_utils.support import checks
from nst_utils.support.quick import quick_steps


def studio(*, blocking: bool | None = None, **settings: Any) -> Studio:
    """Style transfer with buttons and sliders: ``nst.studio()`` at the end of a cell.

    Args:
        blocking: run in the notebook's own thread, where other threads cannot change what is shown
            (Colab; the default there). Then nothing can be moved while it runs.
        settings: what the controls say at first, as in :class:`nst_utils.app.recipes.Recipe`:
            ``nst.studio(content="chelsea", size=384)``. By default 512 px on a GPU, 256 px on a
            CPU.

    Raises:
        ValueError: a setting that no run could use, or a picture that is not bundled.
    """
    close_those_of_this_cell()
    on_cpu = checks.device(settings.get("device", "auto")).type == "cpu"
    settings.setdefault("size", 256 if on_cpu else 512)
    for name in settings:
        checks.one_of("setting", name, tuple(Recipe.__dataclass_fields__))
    recipe = of_preset(settings.pop("preset", "paper"), **settings)
    here = "google.colab" in sys.modules if blocking is None else blocking
    made = Studio(allowed(recipe), here)
    remember(made)
    return made


class Studio:
    """What :func:`studio` shows. ``close()`` ends its run and takes it off the page.

    Attributes:
        image: (1, 3, H, W), the picture so far, or ``None``.
        recipe: what it was made with.
        session: the last run, or ``None``.
    """

    def __init__(self, recipe: Recipe, blocking: bool) -> None:
        self.recipe = self._running = recipe
        self.image: Tensor | None = None
        self._photo = self._painting = torch.zeros(1, 3, 1, 1, device="cpu")
        self.session: Session | None = None
        self._blocking = blocking
        self._network: Callable[[], Network] = recipe.network
        self._film_steps: set[int] = set()
        self._preview = Throttle(rate=5, share=0.1)
        self._state, self._where = map(text, ("nst-state", "nst-where"))
        self._takes = Takes()
        self._progress = progress_bar()
        self.controls = Controls(recipe, self._say, self._reweigh, self._show_pair)
        self.pair = Pair(self.controls.pictures)
        self.earlier = Earlier(self._show_again)
        self.tries = Tries(self._take_ratio, self._on_try)
        self.controls.try_ratios.on_click(lambda _: self._try_ratios())
        self.stage = Stage()
        self.saves = Saves(lambda: (self.image, self.recipe), self.stage, self._say)
        self.panels = Panels()
        self.work = Work(
            self._start,
            self._say,
            [self.controls.try_ratios],
            run=lambda: self.session,
            tried=lambda: self.tries.session,
            blocking=blocking,
        )
        self.widget = self._layout()
        self._show_pair()
        self._say("Choose a photograph and a painting, then press Start.")

    def _layout(self) -> widgets.Widget:
        buttons = row([*self.work.buttons, *self.saves.buttons], "nst-buttons")
        notes = [widgets.HTML(ON_COLAB)] if self._blocking else []
        said = [self._state, self._takes.widget, self._progress, self._where]
        return studio_box(
            self.controls.widget,
            [buttons, *notes, *said, self.saves.said, self.saves.file],
            [self.stage.picture, self.pair.widget, self.stage.sliders],
            self.controls.live_widget,
            [self.tries.widget, self.earlier.widget, self.panels.widget],
        )

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        display(HTML(script()), self.widget)

    def _say(self, text: str) -> None:
        """A sentence; what it is in has the role of a status, so that it is read out, too."""
        self._state.value = paragraph(text)

    def _show_pair(self) -> None:
        self.pair.show(self.controls.content.value, self.controls.style.value)

    @property
    def _is_live(self) -> bool:
        return self.session is not None and self.session.is_live

    def _start(self) -> None:
        if self.work.is_going_on():
            return None
        pictures = self.controls.pictures
        try:
            recipe = self.controls.recipe
            Limits.here().check(recipe.size, recipe.steps)
            self._photo = recipe.picture(recipe.content, pictures)
            self._painting = recipe.picture(recipe.style, pictures)
        except (ValueError, OSError) as error:
            return self._say(f"This cannot be started: {error}.")
        self._running = recipe
        self._takes.clear()
        self._where.value, self._progress.layout.display = "", "none"  # of the run before
        loaded = {recipe.content: self._photo, recipe.style: self._painting}
        # One for the run and its panels, whatever is uploaded meanwhile; the run loads it.
        self._network = cache(recipe.network)
        run = recipe.run(loaded, so_far=self.image, network=self._network, foretold=self._takes)
        self.session = Session(run, on_step=self._on_step, on_change=self._on_change)
        self.session.run_here() if self._blocking else self.session.start()
        return None

    def _try_ratios(self) -> None:
        """Small pictures of the pair as the controls have it, to choose alpha/beta from."""
        if self.work.is_going_on():
            return
        try:
            recipe, pictures = self.controls.recipe, self.controls.pictures
            self.pair.shrink()
            self.tries.start(recipe, pictures, self.image, self._blocking)
        except (ValueError, OSError) as error:
            self._say(f"This cannot be tried: {error}.")

    def _on_try(self) -> None:
        if self.tries.session is not None:
            self.work.show(self.widget, self.tries.session)
            self._say(self.tries.sentence)

    def _take_ratio(self, tried: Recipe, ratio: float) -> None:
        try:
            self.controls.take_ratio(tried, ratio)
        except ValueError as error:
            return self._say(f"Not taken over: {error}.")
        if self.work.now is None:
            self._say(f"alpha/beta is {decimal(ratio)} now. Start paints with it.")
        return None

    def _reweigh(self) -> None:
        """Bring the controls' weights to the picture that is being painted."""
        wanted = self.controls.recipe
        if self._is_live and self.session is not None and wanted.preset == self._running.preset:
            self._running = replace(self._running, ratio=wanted.ratio, factors=wanted.factors)
            self.session.reweigh(self._running.weighting)
            self.panels.reweigh(self._running)
            moved = [f", {k} times {v:.1f}" for k, v in wanted.factors.items() if v != 1]
            self._say(f"From here on alpha/beta is {decimal(wanted.ratio)}{''.join(moved)}.")
        elif self._is_live:
            self._say(
                f"The run goes on with the preset {self._running.preset}. This is for the next."
            )

    def _on_step(self, step: Step) -> None:
        """In the working thread."""
        if step.number == 1:
            self._begin()
        self.image, self.recipe = step.images.cpu(), self._running
        self.panels.take(step)
        if step.number in self._film_steps:
            self.stage.keep(step.number, self.image)
        self._preview.try_call(lambda: self._show(self.image))
        if step.number == 1:
            self._say("Painting. Move alpha/beta or the weight of a style layer, and watch.")
        self.panels.show_if_time(self.image)

    def _begin(self) -> None:
        """The first step is made: what was there before can go."""
        recipe = self._running
        self._film_steps = set(spread(quick_steps(recipe.steps), FILM))
        self.saves.clear()
        self._preview = Throttle(rate=5, share=0.1)
        self._progress.layout.display = None
        self.pair.shrink()
        self.tries.fold()
        self.stage.begin(f"{recipe.content} in the style of {recipe.style}", self._photo)
        self.panels.begin(recipe, self._painting, self._network())

    def _show(self, image: Tensor | None) -> None:
        session = self.session
        if session is None or session.step is None or image is None:
            return
        self.stage.show(session.step.number, image)
        self.panels.show_shares()
        self._progress.value = session.step.done
        steps = quick_steps(self._running.steps)
        side = self._takes.side_at(session.step.number)
        self._where.value = paragraph(of_progress(session, steps, image, side))

    def _on_change(self) -> None:
        """The session's state is another: in the working thread, too."""
        session = self.session
        if session is None:
            return
        number = session.step.number if session.step else 0
        self.work.show(self.widget, session)
        self._say(of_state(session))
        if session.state != RUNNING and number and self.image is not None:
            self._show(self.image)
            self.panels.show_all(self.image)
            if not session.is_live:
                self.earlier.add(Made(self.image, self.recipe, number))

    def _show_again(self, made: Made) -> None:
        """A picture that was made before, with its settings."""
        if self._is_live:
            return self._say("A run is going on. Stop it first; the picture stays.")
        recipe = made.recipe
        try:
            self.controls.fill(recipe)
            self._photo = recipe.picture(recipe.content, self.controls.pictures)
        except (ValueError, OSError) as error:
            return self._say(f"This cannot be shown again: {error}.")
        self.image, self.recipe = made.image, recipe
        self.saves.clear()
        self._takes.clear()
        self.stage.begin(made.about, self._photo)
        self.stage.show(made.steps, made.image)
        for part in (self._progress, self.panels.widget):  # of another run
            part.layout.display = "none"
        self._where.value = paragraph(f"{made.about}, {counted(made.steps, 'step')}")
        self._say("Here it is again, and the controls say what it was made with.")
        return None

    def close(self) -> None:
        """End the run, if one is going on, and take the studio off the page."""
        self.work.end(wait=10.0)
        close_all(self.widget)
