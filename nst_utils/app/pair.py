"""What Start will paint: the chosen photograph and painting, with what they are."""

from __future__ import annotations

import html

import ipywidgets as widgets
from torch import Tensor

from nst_utils.app.page import data_url, to_jpeg
from nst_utils.images.files import load_image, resize, to_pil
from nst_utils.images.names import samples

_SIZE = 512  # pixels


def title(name: str) -> str:
    """Of a bundled picture its title, author and year; of an uploaded one its file's name."""
    if name not in samples():
        return name
    sample = samples()[name]
    year = f", {sample.year}" if sample.year else ""
    return f"{sample.title} ({sample.author}{year})"


class Pair:
    """Both pictures: large until something has been painted, small afterwards.

    Args:
        uploaded: pictures that are not bundled, by name.
    """

    def __init__(self, uploaded: dict[str, Tensor]) -> None:
        self._uploaded = uploaded
        self._shown = ("", "")
        self._jpegs: dict[str, bytes] = {}
        self.widget = widgets.HTML()
        self.widget.add_class("nst-pair")

    def show(self, content: str, style: str) -> None:
        """The pictures of those names."""
        if (content, style) == self._shown:
            return
        self._shown = (content, style)
        figures = "".join(
            f'<figure><img alt="{what}: {html.escape(title(name))}" '
            f'src="{data_url(self._jpeg(name), "jpeg")}">'
            f"<figcaption>{html.escape(title(name))}</figcaption></figure>"
            for what, name in (("the photograph", content), ("the painting", style))
        )
        self.widget.value = f'<div class="nst-figures">{figures}</div>'

    def shrink(self) -> None:
        """Make room for what is painted."""
        self.widget.add_class("nst-small")

    def _jpeg(self, name: str) -> bytes:
        if name not in self._jpegs:
            given = self._uploaded.get(name)
            picture = load_image(samples()[name].path, _SIZE) if given is None else given
            if max(picture.shape[2:]) > _SIZE:
                picture = resize(picture, _SIZE)
            self._jpegs[name] = to_jpeg(to_pil(picture), quality=85)
        return self._jpegs[name]
