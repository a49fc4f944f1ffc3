"""What is going on in a studio, a run or ratios that are tried, and the buttons for it."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from nst_utils.app.layout import button
from nst_utils.app.sessions import PAUSED, Session


class Work:
    """Start, Pause and Stop. There is one piece of work at a time; another one is refused.

    Args:
        start: called by the button. say: is told what the user should know, in a sentence.
        others: more buttons that begin something.
        run: gives the last run. tried: and the last ratios that were tried; ``None`` before.
        blocking: whether work keeps the notebook busy, so that nothing can be pressed meanwhile.
    """

    def __init__(
        self,
        start: Callable[[], None],
        say: Callable[[str], None],
        others: list[widgets.Button],
        *,
        run: Callable[[], Session | None],
        tried: Callable[[], Session | None],
        blocking: bool,
    ) -> None:
        self._say, self._run, self._tried, self._blocking = say, run, tried, blocking
        self._start, self._pause = button("Start", start), button("Pause", self._hold)
        self._start.button_style = "primary"
        self._begin = [self._start, *others]
        stop = button("Stop", self._stop)
        self.buttons = [self._start, self._pause, stop]
        if blocking:
            for each in (self._pause, stop):
                each.layout.display = "none"

    @property
    def now(self) -> Session | None:
        """What is going on."""
        both = (self._run(), self._tried())
        return next((each for each in both if each is not None and each.is_live), None)

    def is_going_on(self) -> bool:
        """Whether something is; then that is said."""
        now = self.now
        if now is not None and now is self._tried():
            self._say("Ratios are being tried. Stop that first; those that are there stay.")
        elif now is not None:
            self._say("A run is going on. Stop it first; the picture stays.")
        return now is not None

    def show(self, page: widgets.DOMWidget, session: Session) -> None:
        """Let the buttons know its state, and the page, which warns who leaves it."""
        # Where the notebook is kept busy, a second press would begin another run after this one.
        for each in self._begin:
            each.disabled = self._blocking and session.is_live
        self._pause.description = "Resume" if session.state == PAUSED else "Pause"
        if session.is_live:
            page.add_class("nst-running")
        else:
            page.remove_class("nst-running")

    def end(self, wait: float) -> None:
        """End all of it; wait for at most so many seconds."""
        for session in (self._run(), self._tried()):
            if session is not None:
                session.stop(wait=wait)

    def _hold(self) -> None:
        session = self.now
        if session is None:
            self._say("Nothing is running. Press Start.")
        elif session.state == PAUSED:
            session.resume()
        else:
            self._say("Pausing...")
            session.pause()

    def _stop(self) -> None:
        session = self.now
        if session is None:
            self._say("Nothing is running.")
        else:
            self._say("Stopping...")
            session.stop()
