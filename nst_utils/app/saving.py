"""What the studio saves: into the notebook's folder, or, where it is served, in the browser."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets
from torch import Tensor

from nst_utils.app.layout import button, text
from nst_utils.app.limits import Limits
from nst_utils.app.page import data_url
from nst_utils.app.recipe_files import write_png
from nst_utils.app.recipes import Recipe
from nst_utils.app.sentences import counted
from nst_utils.app.views import Stage
from nst_utils.plots.film import write_gif
from nst_utils.support.paths import write_whole

LARGE = 4_000_000  # bytes


class Saves:
    """The buttons that save the picture and its film, and a line that says where they are.

    Args:
        made: gives the picture that there is, (1, 3, H, W) or ``None``, and what it was made with.
        stage: has the film. say: is told where there is nothing to save.
    """

    def __init__(
        self,
        made: Callable[[], tuple[Tensor | None, Recipe]],
        stage: Stage,
        say: Callable[[str], None],
    ) -> None:
        self._made, self._stage, self._say = made, stage, say
        self._number = 0
        self.said = text("nst-saved")
        self.file = widgets.Image(layout={"display": "none"})  # sent as bytes; nobody looks at it
        self.file.add_class("nst-file")
        self.buttons = [
            button("Save picture", self._save_picture),
            button("Save film", self._save_film),
        ]

    def clear(self) -> None:
        """What was saved is of another picture."""
        self.said.value, self.file.value = "", b""

    def _save_picture(self) -> None:
        image, recipe = self._made()
        if image is None:
            return self._say("There is no picture yet. Press Start.")
        buffer = io.BytesIO()
        write_png(image, recipe, buffer)
        return self._save(buffer, "png", "The settings are in the file.")

    def _save_film(self) -> None:
        if not self._stage.frames:
            return self._say("There is no film yet. Press Start.")
        buffer = io.BytesIO()
        write_gif(self._stage.film_pictures, buffer)
        return self._save(buffer, "gif", f"{counted(len(self._stage.film_pictures), 'picture')}.")

    def _save(self, buffer: io.BytesIO, kind: str, note: str) -> None:
        self._number += 1
        _, recipe = self._made()
        data = buffer.getvalue()
        self.said.value = save(recipe, data, kind, note, self._number, self._link(data, kind))

    def _link(self, data: bytes, kind: str) -> str:
        """What leads to the file, as attributes: its address is the file itself, but for a large
        one, on which a page would halt for seconds. See ``studio.js``."""
        if len(data) <= LARGE:
            self.file.value = b""
            return f'href="{data_url(data, kind)}"'
        self.file.format, self.file.value = kind, data
        return 'href="#" data-nst-file'


def save(recipe: Recipe, data: bytes, kind: str, note: str, number: int, link: str) -> str:
    """Write a file, never over another one; return HTML that says where, with a link to it.

    A studio that is served writes none: whoever is before it has another disk, and shares this one
    with others. There the link is followed by itself.

    Args:
        recipe: names the file after its pictures. data: its bytes. kind: ``"png"`` or ``"gif"``.
        note: a sentence to add. number: of the file, where none is written. link: attributes.
    """
    if Limits.here().is_served:
        name = html.escape(_name(recipe, kind, number))
        return (
            f'<p role="status">{name} goes to your browser\'s downloads. {note} '
            f'<a data-nst-download download="{name}" {link}>Download it again</a></p>'
        )
    path = free_name(recipe, kind)
    try:
        write_whole(path, lambda file: file.write(data))
        where = f"Saved as {html.escape(path.name)} in the notebook's folder."
    except (ValueError, OSError) as error:
        where = f"The notebook's folder takes no file ({html.escape(str(error))})."
    name = html.escape(path.name)
    return f'<p role="status">{where} {note} <a download="{name}" {link}>Download it</a></p>'


def free_name(recipe: Recipe, kind: str) -> Path:
    """``chenonceau-great-wave-1.png``, or with the next number that is free."""
    number = 1
    while (path := Path(_name(recipe, kind, number))).exists():
        number += 1
    return path


def _name(recipe: Recipe, kind: str, number: int) -> str:
    parts = [
        re.sub(r"[^\w-]+", "-", Path(name).stem)[:60] for name in (recipe.content, recipe.style)
    ]
    return f"{'-'.join(parts)}-{number}.{kind}"
