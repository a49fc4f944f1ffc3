"""The studio: style transfer to play with inside a notebook."""

from __future__ import annotations

import html
import io
import sys
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from nst_utils.app.controls import Controls
from nst_utils.app.page import CSS, close_all, close_those_of_this_cell, remember
from nst_utils.app.panels import Panels
from nst_utils.app.recipes import Recipe, of_preset, write_png
from nst_utils.app.saving import save
from nst_utils.app.sessions import FAILED, FINISHED, PAUSED, RUNNING, Session
from nst_utils.app.views import FILM, Stage, Throttle, minutes
from nst_utils.optimize.results import Step
from nst_utils.plots.film import spread, write_gif
from nst_utils.support.checks import device as check_device
from nst_utils.support.quick import quick_steps

_COLAB_NOTE = (
    "<p>Here a run keeps the notebook busy until it ends: to stop it, interrupt the runtime "
    "(Ctrl-M I). Then move a slider, choose under <em>More settings</em> to start from the "
    "<em>picture so far</em>, and press Start.</p>"
)


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
    on_cpu = check_device(settings.get("device", "auto")).type == "cpu"
    settings.setdefault("size", 256 if on_cpu else 512)
    known = Recipe.__dataclass_fields__
    for name in settings:
        if name not in known:
            raise ValueError(f"the studio has no setting '{name}'; it has {', '.join(known)}")
    made = Studio(
        of_preset(settings.pop("preset", "paper"), **settings),
        "google.colab" in sys.modules if blocking is None else blocking,
    )
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
        self._film_steps: set[int] = set()
        self._preview = Throttle(rate=5, share=0.1)
        self._state = widgets.HTML()
        self._state.add_class("nst-state")
        self._progress = widgets.FloatProgress(max=1.0, layout=widgets.Layout(width="auto"))
        self._where = widgets.HTML()
        self._where.add_class("nst-where")
        self._saved = widgets.HTML()
        self._saved.add_class("nst-saved")
        self.controls = Controls(recipe, self._say, self._reweigh)
        self.stage = Stage()
        self.panels = Panels()
        self.widget = self._layout()
        self._say("Choose a photograph and a painting, then press Start.")

    def _layout(self) -> widgets.Widget:
        self._start_button = start = self._button("Start", self._start)
        start.button_style = "primary"
        self._pause_button = self._button("Pause", self._pause)
        stop = self._button("Stop", self._stop)
        save = self._button("Save picture", self._save_picture)
        film = self._button("Save film", self._save_film)
        if self._blocking:
            for each in (self._pause_button, stop):
                each.layout.display = "none"
        row = [start, self._pause_button, stop, save, film]
        buttons = widgets.HBox(row)
        buttons.add_class("nst-buttons")
        notes = [widgets.HTML(_COLAB_NOTE)] if self._blocking else []
        shown = [buttons, *notes, self._state, self._progress, self._where, self._saved]
        live = self.controls.live_widget
        show = widgets.VBox(
            [*shown, self.stage.picture, live, self.stage.sliders, self.panels.widget]
        )
        show.add_class("nst-show")
        box = widgets.HBox([widgets.HTML(CSS), self.controls.widget, show])
        box.add_class("nst-studio")
        return box

    @staticmethod
    def _button(text: str, work: Any) -> widgets.Button:
        button = widgets.Button(description=text)
        button.add_class("nst-" + text.lower().replace(" ", "-"))
        button.on_click(lambda _: work())
        return button

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.widget)

    def _say(self, text: str) -> None:
        """A sentence that a screen reader reads out, too."""
        self._state.value = f'<p role="status" aria-live="polite">{html.escape(text)}</p>'

    @property
    def _is_live(self) -> bool:
        return self.session is not None and self.session.is_live

    def _start(self) -> None:
        if self._is_live:
            return self._say("A run is going on. Stop it first; the picture stays.")
        pictures = self.controls.pictures
        try:
            recipe = self.controls.recipe
            self._photo = recipe.picture(recipe.content, pictures)
            self._painting = recipe.picture(recipe.style, pictures)
        except (ValueError, OSError) as error:
            return self._say(f"This cannot be started: {error}.")
        if self.image is None:
            self.stage.show_photo(self._photo)
        self._running = recipe
        loaded = {recipe.content: self._photo, recipe.style: self._painting}
        self.session = Session(recipe.run(loaded, self.image), self._on_step, self._on_change)
        self.session.run_here() if self._blocking else self.session.start()
        return None

    def _pause(self) -> None:
        if self.session is None or not self._is_live:
            self._say("Nothing is running. Press Start.")
        elif self.session.state == PAUSED:
            self.session.resume()
        else:
            self._say("Pausing...")
            self.session.pause()

    def _stop(self) -> None:
        if self.session is None or not self._is_live:
            self._say("Nothing is running.")
        else:
            self._say("Stopping...")
            self.session.stop()

    def _reweigh(self) -> None:
        """Bring the controls' weights to the picture that is being painted."""
        wanted = self.controls.recipe
        if self._is_live and self.session is not None and wanted.preset == self._running.preset:
            self._running = replace(self._running, ratio=wanted.ratio, factors=wanted.factors)
            self.session.reweigh(self._running.weighting)
            self.panels.reweigh(self._running)
            moved = [f", {k} times {v:.1f}" for k, v in wanted.factors.items() if v != 1]
            self._say(f"From here on alpha/beta is {wanted.ratio:.2g}{''.join(moved)}.")
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
        self.panels.show_if_time(self.image)
        if step.number == 1:
            self._say("Painting. Move alpha/beta or the weight of a style layer, and watch.")

    def _begin(self) -> None:
        """The first step is made: what was there before can go."""
        recipe = self._running
        self._film_steps = set(spread(quick_steps(recipe.steps), FILM))
        self._saved.value = ""
        self._preview = Throttle(rate=5, share=0.1)
        self.stage.begin(f"{recipe.content} in the style of {recipe.style}", self._photo)
        self.panels.begin(recipe, self._painting)

    def _show(self, image: Tensor | None) -> None:
        session = self.session
        if session is None or session.step is None or image is None:
            return
        self.stage.show(session.step.number, image)
        self.panels.show_shares()
        self._progress.value = session.step.done
        steps = quick_steps(self._running.steps)
        left = session.seconds_left
        until = f", {minutes(left)} left" if left and session.is_live else ""
        device = session.step.images.device.type
        self._where.value = (
            f"<p>Step {session.step.number} of {steps}, {minutes(session.seconds)}{until}; "
            f"{image.shape[3]}x{image.shape[2]} px, {device}</p>"
        )

    def _on_change(self) -> None:
        """The session's state is another: in the working thread, too."""
        session = self.session
        if session is None:
            return
        number = session.step.number if session.step else 0
        # Where the notebook is kept busy, a second press would begin another run after this one.
        self._start_button.disabled = self._blocking and session.is_live
        self._pause_button.description = "Resume" if session.state == PAUSED else "Pause"
        if session.state == RUNNING:
            what = f"Going on from step {number}." if number else "Preparing the network..."
        elif session.state == PAUSED:
            what = f"Paused at step {number}. The weights can be moved; Resume goes on."
        elif session.state == FAILED:
            what = f"This did not work: {session.message}."
        else:
            ending = "Finished" if session.state == FINISHED else "Stopped"
            why = f": {session.message}" if session.message else ""
            what = f"{ending} after {number} steps, {minutes(session.seconds)}{why}."
        self._say(what)
        if session.state != RUNNING:
            self._show(self.image if number else None)
            if number and self.image is not None:
                self.panels.show_all(self.image)

    def _save_picture(self) -> None:
        image, recipe = self.image, self.recipe
        if image is None:
            return self._say("There is no picture yet. Press Start.")
        buffer = io.BytesIO()
        write_png(image, recipe, buffer)
        self._saved.value = save(recipe, buffer.getvalue(), "png", "The settings are in the file.")
        return None

    def _save_film(self) -> None:
        if not self.stage.frames:
            return self._say("There is no film yet. Press Start.")
        buffer = io.BytesIO()
        write_gif(self.stage.film_pictures, buffer)
        note = f"{len(self.stage.film_pictures)} pictures."
        self._saved.value = save(self.recipe, buffer.getvalue(), "gif", note)
        return None

    def close(self) -> None:
        """End the run, if one is going on, and take the studio off the page."""
        if self.session is not None:
            self.session.stop(wait=10.0)
        close_all(self.widget)
