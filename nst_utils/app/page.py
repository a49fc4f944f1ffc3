"""How the studio looks, and how many of it there are on a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, Protocol

import ipywidgets as widgets
from PIL import Image

_FOLDER = Path(__file__).parent


def styles() -> str:
    """How it looks: colors are the theme's own, in JupyterLab and Voila, light and dark."""
    return f"<style>{(_FOLDER / 'studio.css').read_text(encoding='utf-8')}</style>"


def script() -> str:
    """What widgets cannot do: see the first lines of ``studio.js``."""
    return f"<script>{(_FOLDER / 'studio.js').read_text(encoding='utf-8')}</script>"


def to_jpeg(picture: Image.Image, quality: int = 88) -> bytes:
    """A picture for the screen."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def data_url(data: bytes, kind: str) -> str:
    """An address that is the picture itself; ``kind`` is jpeg, png or gif."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def wide() -> dict[str, str]:
    """The layout of what takes all the room there is, and no more."""
    return {"width": "auto", "min_width": "0"}


def explained(widget: Any, text: str) -> None:
    """Let the widget say that where the mouse rests on it; ipywidgets 7 has another word for it."""
    setattr(widget, "tooltip" if widget.has_trait("tooltip") else "description_tooltip", text)


class Section:
    """A heading that opens and closes what is below it.

    A button does it, because the headings of ipywidgets' accordion cannot be reached by keyboard.
    """

    def __init__(self, title: str, css: str, parts: list[Any], is_open: bool = False) -> None:
        self._title = title
        self.button = widgets.ToggleButton(value=is_open, layout=wide())
        self.button.add_class(css)
        self.button.add_class("nst-heading")
        self._content = widgets.VBox(parts, layout=wide())
        self.button.observe(lambda change: self._show(), "value")
        self.widget = widgets.VBox([self.button, self._content], layout=wide())
        self._show()

    @property
    def is_open(self) -> bool:
        return bool(self.button.value)

    def _show(self) -> None:
        self.button.description = (
            "\N{BLACK DOWN-POINTING SMALL TRIANGLE} "
            if self.is_open
            else "\N{BLACK RIGHT-POINTING SMALL TRIANGLE} "
        ) + self._title
        self._content.layout.display = None if self.is_open else "none"


def close_all(widget: Any) -> None:
    """Close a widget and all in it; the kernel would keep what a page no longer shows."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    for part in ("layout", "style"):
        if getattr(widget, part, None) is not None:
            getattr(widget, part).close()
    widget.close()


class Closable(Protocol):
    def close(self) -> None: ...


_cells: dict[str, tuple[str, list[Closable]]] = {}


def close_those_of_this_cell() -> None:
    """Close what an earlier run of the same cell has made: it is no longer on the page.

    Its run would go on unseen. Where the front end does not tell which cell is run, nothing is
    closed.
    """
    cell, execution = _running_cell()
    before, studios = _cells.get(cell, ("", []))
    if cell and before != execution:
        _cells[cell] = (execution, [])
        for each in studios:
            each.close()


def remember(made: Closable) -> None:
    """That this cell has made it."""
    cell, _ = _running_cell()
    if cell in _cells:
        _cells[cell][1].append(made)


def _running_cell() -> tuple[str, str]:
    """The id of the cell that is run, and of this run of it; empty where not known."""
    try:
        from IPython import get_ipython

        parent = get_ipython().get_parent()
        return str(parent["metadata"].get("cellId", "")), str(parent["header"]["msg_id"])
    except (ImportError, AttributeError, KeyError):
        return "", ""
