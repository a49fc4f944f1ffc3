"""How the studio looks, and how many of it there are on a page."""

from __future__ import annotations

import base64
import io
from typing import Any, Protocol

import ipywidgets as widgets
from PIL import Image

# Colors are the theme's own, in JupyterLab and Voila, light and dark; elsewhere the page's.
CSS = """<style>
.nst-studio { flex-flow: row wrap; gap: 16px; width: 100%; }
.nst-studio > .widget-html { display: none; }
.nst-controls { flex: 1 1 260px; min-width: 0; max-width: 440px; }
.nst-show { flex: 2 1 260px; min-width: 0; overflow: hidden; }
.nst-studio h3 { margin: 8px 0 4px; font-size: 1.1em; }
.nst-studio p { margin: 2px 0; line-height: 1.35; }
.nst-studio .widget-html, .nst-studio .widget-html-content { height: auto; min-width: 0; }
.nst-buttons { flex-flow: row wrap; }
.nst-buttons button { width: auto; min-width: 72px; }
.nst-pictures .widget-radio, .nst-pictures .widget-radio-box { width: auto; height: auto; }
.nst-pictures .widget-radio-box { display: flex; flex-flow: row wrap; gap: 6px; margin: 4px; }
.nst-pictures .widget-radio-box label { position: relative; display: block; width: 76px;
  height: 74px; margin: 0; padding: 48px 2px 0; overflow: hidden; box-sizing: border-box;
  background: no-repeat center top / 76px 46px; font-size: 10px; line-height: 12px;
  white-space: normal; border-radius: 3px; cursor: pointer; }
.nst-pictures .widget-radio-box input { position: absolute; left: 3px; top: 3px; margin: 0; }
.nst-pictures label:has(input:checked) { outline: 3px solid var(--jp-brand-color1, #1976d2); }
.nst-pictures label:has(input:focus-visible) { outline: 3px dashed var(--jp-warn-color0, #e65100); }
.nst-bars { width: 100%; max-width: 560px; border-collapse: collapse; font-size: 12px; }
.nst-bars caption { text-align: left; padding: 4px 0; }
.nst-bars th { text-align: left; font-weight: normal; white-space: nowrap; padding: 2px 8px 2px 0; }
.nst-bars td { white-space: nowrap; padding: 2px 0 2px 8px; }
.nst-bars tr { background: none !important; }
.nst-bars td.nst-bar { width: 60%; padding: 0; }
.nst-bar div { height: 12px; min-width: 1px; background: var(--jp-brand-color1, #1976d2); }
button.nst-heading { text-align: left; white-space: normal; height: auto; min-height: 28px; }
</style>"""


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
