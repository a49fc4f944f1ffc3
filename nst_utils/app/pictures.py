"""Choosing a picture in the studio: thumbnails of the bundled ones, and uploads."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from nst_utils.app.limits import Limits
from nst_utils.app.page import data_url, to_jpeg, wide
from nst_utils.images.files import load_image, resize, to_pil
from nst_utils.images.names import samples

_THUMBNAIL = 96  # pixels
# Pixels; what is uploaded is kept in memory, on a server no larger than that paints.
_LARGEST, _LEAST_KEPT = 4096, 1024
_numbers = itertools.count(1)


def uploads(change: dict[str, Any]) -> list[tuple[str, bytes]]:
    """Name and bytes of each file that a FileUpload got, in ipywidgets 7 and 8."""
    value = change["new"]
    if isinstance(value, dict):
        return [(name, bytes(each["content"])) for name, each in value.items()]
    return [(each["name"], bytes(each["content"])) for each in value]


def clear(upload: widgets.FileUpload) -> None:
    """Forget the files, so that the same one can be chosen again."""
    upload.set_trait("value", type(upload.value)())  # read-only in ipywidgets 7


def named(name: str, content: bytes) -> io.BytesIO:
    """The bytes as a file that is called so."""
    file = io.BytesIO(content)
    file.name = name
    return file


def _kept_at() -> int:
    """The longest side at most of what is uploaded."""
    return max(_LEAST_KEPT, min(_LARGEST, Limits.here().size or _LARGEST))


def _thumbnail(picture: Tensor) -> str:
    """A small copy, as an address."""
    return data_url(to_jpeg(to_pil(resize(picture, _THUMBNAIL)), quality=80), "jpeg")


@cache
def _bundled_thumbnail(name: str) -> str:
    return _thumbnail(load_image(samples()[name].path, _THUMBNAIL))


class PictureChoice:
    """Thumbnails to choose from, as radio buttons, and an upload that adds to them.

    Args:
        title: heading. css: a class of its own. kinds: of bundled pictures.
        uploaded: where uploads go, by name; other choices may put theirs there, too.
        say: is told what became of an upload, in a sentence.
    """

    def __init__(
        self,
        title: str,
        css: str,
        kinds: tuple[str, ...],
        uploaded: dict[str, Tensor],
        say: Callable[[str], object],
    ) -> None:
        self._uploaded = uploaded
        self._say, self._kinds = say, kinds
        # Of this one alone: the rules below hold for the whole page.
        self._own_css = f"{css}-{next(_numbers)}"
        self.radio = widgets.RadioButtons(layout=wide())
        self._style = widgets.HTML()
        self._thumbnails: dict[str, str] = {}
        self._upload = widgets.FileUpload(
            accept="image/*", multiple=False, description=f"Upload a {title.lower()}"
        )
        self._upload.layout.width = "auto"
        self._upload.add_class(f"{css}-upload")
        self._upload.observe(self._take_upload, "value")
        for sample in samples().values():
            if sample.kind in kinds:
                self._thumbnails[sample.name] = _bundled_thumbnail(sample.name)
        self._show()
        heading = widgets.HTML(f"<h2>{title}</h2>")
        self.widget = widgets.VBox([heading, self._style, self.radio, self._upload])
        self.widget.add_class("nst-pictures")
        self.widget.add_class(css)
        self.widget.add_class(self._own_css)

    @property
    def value(self) -> str:
        return str(self.radio.value)

    def choose(self, name: str) -> None:
        """Choose a picture that is there."""
        self.radio.value = name

    def _show(self) -> None:
        """All thumbnails; what was chosen stays so, at first it is the first."""
        rules = [
            f".{self._own_css} label:nth-of-type({i}) {{background-image: url({url})}}"
            for i, url in enumerate(self._thumbnails.values(), start=1)
        ]
        self._style.value = f"<style>{' '.join(rules)}</style>"
        names = list(self._thumbnails)
        chosen = self.radio.value or names[0]
        self.radio.options = names
        self.radio.value = chosen

    def has(self, name: str) -> bool:
        """Whether that picture can be chosen."""
        return name in self._thumbnails

    def _own_name(self, name: str, picture: Tensor) -> str:
        """The file's name without folders; with a number where another picture is called so.

        The bundled ones too: a recipe, which holds names alone, would bring those back.
        """
        name = re.split(r"[/\\]", name)[-1].strip() or "picture"
        name = name.encode(errors="replace").decode()  # half characters are in no recipe
        path, number = Path(name), 1
        while name in samples() or not torch.equal(self._uploaded.get(name, picture), picture):
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        return name

    def _take_upload(self, change: dict[str, Any]) -> None:
        for name, content in uploads(change):
            try:
                picture = load_image(named(name, content))
            except (ValueError, OSError) as error:
                self._say(f"Not taken: {error}.")
                continue
            kept = resize(picture, min(_kept_at(), max(picture.shape[2:])))
            name = self._own_name(name, kept)
            self._uploaded[name] = kept
            self._thumbnails[name] = _thumbnail(picture)
            self._show()
            self.radio.value = name
            self._say(f"{name} is here, {picture.shape[3]}x{picture.shape[2]} px.")
        if change["new"]:
            clear(self._upload)
