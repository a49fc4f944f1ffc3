"""The studio without a browser: its widgets are found by their CSS classes and used as a hand does.

Nothing is drawn; a click or a new value in Python does what it does from the page.
"""

from __future__ import annotations

import datetime
import html
import io
import re
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import pytest
from PIL import Image
from waiting import comes_true, no_thread_is_left

import nst_utils as nst
from nst_utils.app import panels, recipes
from nst_utils.plots.figures import Drawing


def upload(name: str, content: bytes) -> tuple[dict[str, Any], ...]:
    """What a FileUpload of ipywidgets 8 gets."""
    now = datetime.datetime.now(datetime.UTC)
    file = {"name": name, "type": "", "size": len(content), "last_modified": now}
    return ({**file, "content": memoryview(content)},)


def picture_of(page: str) -> np.ndarray:
    """(H, W, 3) of the picture that is shown there."""
    (data,) = re.findall('src="data:image/jpeg;base64,([^"]*)"', page)
    return np.asarray(Image.open(io.BytesIO(b64decode(data))), dtype=float)


class Driver:
    """A studio of 32 px and three steps, and what a reader can do with it."""

    def __init__(self, **settings: Any) -> None:
        own: dict[str, Any] = {
            "content": "chelsea",
            "style": "starry-night",
            "size": 32,
            "steps": 3,
        }
        own |= {"device": "cpu", **settings}
        self.studio = nst.studio(**own)

    def all(self, root: Any = None) -> Iterator[Any]:
        """Every widget, from the outside in."""
        root = root or self.studio.widget
        yield root
        for child in getattr(root, "children", ()):
            yield from self.all(child)

    def __contains__(self, css: str) -> bool:
        return any(css in each._dom_classes for each in self.all())

    def __getitem__(self, css: str) -> Any:
        (found,) = (each for each in self.all() if css in each._dom_classes)
        return found

    def radio(self, css: str) -> Any:
        """The choice among the pictures of that class."""
        (found,) = (w for w in self.all(self[css]) if isinstance(w, widgets.RadioButtons))
        return found

    @property
    def progress(self) -> float:
        (found,) = (each for each in self.all() if isinstance(each, widgets.FloatProgress))
        return float(found.value)

    def text(self, css: str) -> str:
        """What can be read there."""
        shown = html.unescape(re.sub("<[^>]*>", " ", self[css].value))
        return shown.replace("\N{NO-BREAK SPACE}", " ").strip()

    @property
    def says(self) -> str:
        return self.text("nst-state")

    @property
    def pictures(self) -> list[str]:
        """Every ``<img>`` that is shown."""
        shown = (each.value for each in self.all() if isinstance(each, widgets.HTML))
        return [picture for page in shown for picture in re.findall("<img[^>]*>", page)]

    @property
    def number(self) -> int:
        """How many steps the last run has made."""
        session = self.studio.session
        return session.step.number if session and session.step else 0

    def send(self, css: str, name: str, content: bytes) -> None:
        """Upload a file, in the way of the ipywidgets that is installed."""
        file = upload(name, content)
        if isinstance(self[css].value, dict):  # ipywidgets 7
            self[css].set_trait("value", {name: {**file[0], "metadata": {"name": name}}})
        else:
            self[css].value = file
        assert not self[css].value, "the same file cannot be chosen again"

    def click(self, name: str) -> None:
        self[f"nst-{name}"].click()

    def begin(self, steps: int = 100_000) -> None:
        """Start a run, and wait for its first step."""
        self["nst-steps"].value = steps
        self.click("start")
        assert comes_true(lambda: "Painting" in self.says), self.says

    def paint(self) -> None:
        """Start a run, and wait for its end."""
        self.click("start")
        self.ends("Finished after")

    def ends(self, words: str) -> None:
        """Wait until the run has ended and everything of it is shown."""
        assert comes_true(lambda: words in self.says), self.says
        assert comes_true(quiet)


def quiet() -> bool:
    """Whether nobody is working any more."""
    return not any(thread.name == "nst session" for thread in threading.enumerate())


def described(figure: Drawing, *_: object) -> str:
    return f'<img alt="{html.escape(figure.alt)}">'


@contextmanager
def studios(
    net: nst.Network, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Driver]]:
    """Make studios, in that working folder and on that network, which are closed afterwards.

    The curves at a run's end, which take a third of a second, are not drawn but described.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setattr(recipes, "_network", lambda name, device: net)
    monkeypatch.setattr(panels, "plot_html", described)
    made: list[Driver] = []

    def make(**settings: Any) -> Driver:
        made.append(Driver(**settings))
        return made[-1]

    with no_thread_is_left():
        try:
            yield make
        finally:
            for each in made:
                each.studio.close()
