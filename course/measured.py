"""The picture that a notebook holds, measured by the package: painted, and still the château?"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import nst_utils as nst

SIZE = 192
CONTENT, STYLES = "conv4_2", ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
LARGEST = 4_000_000  # characters of a picture in base64
# Of the picture's losses, as shares of what they are where nothing was done for them.
MOST_STYLE, MOST_CONTENT = 0.1, 0.8
POINTS = 4.0


@dataclass(frozen=True)
class Measure:
    """What is left of the losses.

    Attributes:
        style: the style loss as a share of the photograph's own.
        content: the content loss as a share of gray noise's.
    """

    style: float
    content: float

    @property
    def points(self) -> float:
        """All of them for a picture that is painted and the château, half for one of the two; none
        for the photograph, the painting, or noise."""
        met = (self.style <= MOST_STYLE) + (self.content <= MOST_CONTENT)
        unchanged = self.style >= 0.9 or self.content >= 1
        return 0.0 if unchanged else POINTS * met / 2


@functools.lru_cache(maxsize=1)
def _judge() -> tuple[nst.Network, Tensor, dict[str, Tensor], Tensor, Tensor]:
    """The network, the photograph, what it is compared with, and the losses of photo and noise."""
    net = nst.vgg19()
    photo = nst.load_image("chenonceau", size=SIZE)
    painting = nst.load_image("starry-night", size=tuple(photo.shape[2:]))  # type: ignore[arg-type]
    aims = net(photo, [CONTENT]) | {
        layer: nst.gram_matrix(F) for layer, F in net(painting, STYLES).items()
    }
    style = _losses(net, aims, photo)[0]
    content = _losses(net, aims, nst.noise_image(*photo.shape[2:]))[1]
    return net, photo, aims, style, content


def _losses(net: nst.Network, aims: dict[str, Tensor], picture: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        F = net(picture, [CONTENT, *STYLES])
    style = torch.stack([nst.style_loss(F[layer], aims[layer]) for layer in STYLES]).mean()
    return style, nst.content_loss(F[CONTENT], aims[CONTENT]).mean()


def measure(picture: Tensor) -> Measure:
    """What is left of the losses of a picture (1, 3, H, W) of the photograph's size."""
    net, _, aims, style_of_photo, content_of_noise = _judge()
    style, content = _losses(net, aims, picture)
    return Measure((style / style_of_photo).item(), (content / content_of_noise).item())


def pictures(notebook: Any) -> Iterator[str]:
    """The PNG pictures that its cells show, in base64; those of the cell ``picture`` first."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in sorted(cells, key=lambda cell: cell.get("id") != "picture"):
        for output in cell.get("outputs", []):
            encoded = output.get("data", {}).get("image/png", "")
            if isinstance(encoded, list):
                encoded = "".join(encoded)
            if isinstance(encoded, str) and encoded:
                yield encoded


def handed_in(notebook: Any) -> Tensor | None:
    """The first picture in a notebook that has the photograph's size."""
    for encoded in pictures(notebook):
        if len(encoded) <= LARGEST:
            with contextlib.suppress(binascii.Error):
                picture = decoded(base64.b64decode(encoded))
                if picture is not None:
                    return picture
    return None


def decoded(data: bytes) -> Tensor | None:
    """A picture file, if it is one and has the photograph's size."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(ValueError, OSError):
        path = Path(folder) / "picture.png"
        path.write_bytes(data)
        picture = nst.load_image(path)
        if picture.shape == _judge()[1].shape:
            return picture
    return None
