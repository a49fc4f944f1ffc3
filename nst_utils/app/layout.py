"""Where the studio's parts stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from nst_utils.app.page import styles


def button(text: str, work: Callable[[], object]) -> widgets.Button:
    """With a class after its text: ``nst-save-picture``."""
    made = widgets.Button(description=text)
    made.add_class("nst-" + text.lower().replace(" ", "-"))
    made.on_click(lambda _: work())
    return made


def text(css: str) -> widgets.HTML:
    """An empty place for a sentence."""
    made = widgets.HTML()
    made.add_class(css)
    return made


def painting_to_photograph(css: str) -> widgets.HTML:
    """What small and what large alpha/beta show more of, below their two ends."""
    ends = widgets.HTML("<p><span>painting</span><span>photograph</span></p>")
    ends.add_class(css)
    return ends


def progress_bar() -> widgets.FloatProgress:
    """From 0 to 1; not seen until there is some."""
    made = widgets.FloatProgress(max=1.0, layout=widgets.Layout(width="auto", display="none"))
    made.add_class("nst-progress")
    return made


def row(parts: Sequence[Any], css: str) -> widgets.HBox:
    """Beside one another, or below where there is no room."""
    made = widgets.HBox(list(parts))
    made.add_class(css)
    return made


def column(parts: Sequence[Any], css: str) -> widgets.VBox:
    """Below one another."""
    made = widgets.VBox(list(parts))
    made.add_class(css)
    return made


def studio_box(
    controls: Any, status: Sequence[Any], picture: Sequence[Any], live: Any, below: Sequence[Any]
) -> widgets.Widget:
    """All of it.

    Args:
        controls: what a run begins with; beside the rest, on a phone below it.
        status: buttons and sentences, on top. picture: and what belongs to it. live: what can be
            moved meanwhile, beside the picture. below: what is looked at afterwards.
    """
    live.add_class("nst-live")
    canvas = row([column(picture, "nst-picture"), live], "nst-canvas")
    show = column([*status, canvas, *below], "nst-show")
    return row([widgets.HTML(styles()), controls, show], "nst-studio")
