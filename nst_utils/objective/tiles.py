"""Tiles: how a picture is cut, so that what is summed over its positions is summed part by part.

A tile is seen by the network with a halo as wide as its deepest layer looks. The responses that
belong to the tile are then those to the whole picture: what the network sees around a picture
touches them only where the picture itself ends. All cuts lie on multiples of the deepest stride, so
that the windows of every pooling stay whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as fn

from nst_utils.networks.architectures import Architecture
from nst_utils.networks.precision import layout
from nst_utils.support import checks

# The least tile that is worth its halo: with one of 80 px, as conv5_1 needs, the network sees 5
# times its area.
LEAST_TILE = 128


class Span(NamedTuple):
    """From where to where, in pixels."""

    first: int
    end: int


class Tile(NamedTuple):
    """A part of a picture: its own rows and columns, and those with which the network sees it."""

    own: tuple[Span, Span]
    seen: tuple[Span, Span]
    size: tuple[int, int]  # (height, width) of the picture

    def pixels(self, images: Tensor) -> Tensor:
        """What the network is to see of ``images`` (B, C, H, W); a view."""
        (top, bottom), (left, right) = self.seen
        return images[:, :, top:bottom, left:right]

    def of_whole(self, values: Tensor, stride: int) -> Tensor:
        """The tile's own part of a layer's values (B, C, H_l, W_l) for the whole picture; a view.

        ``stride`` is the layer's, in pixels.
        """
        rows, columns = (
            slice(own.first // stride, None if own.end == end else own.end // stride)
            for own, end in zip(self.own, self.size, strict=True)
        )
        return values[:, :, rows, columns]

    def of_seen(self, response: Tensor, stride: int) -> Tensor:
        """The tile's own part of a layer's response to :meth:`pixels`."""
        if self.own == self.seen:
            return response
        cropped = []
        for own, seen, end, there in zip(
            self.own, self.seen, self.size, response.shape[2:], strict=True
        ):
            before = (own.first - seen.first) // stride
            kept = there - before if own.end == end else (own.end - own.first) // stride
            cropped.append((before, there - before - kept))
        (top, bottom), (left, right) = cropped
        # Not sliced: on the way back each slice would make a copy of the response.
        own = fn.pad(response, (-left, -right, -top, -bottom))
        # In memory as the network's responses are: what follows is made for that.
        return own.contiguous(memory_format=layout(own.device))


def halo(architecture: Architecture, layers: Sequence[str]) -> int:
    """How far the deepest of the layers sees beyond a tile, in pixels: a multiple of its stride.

    A 3x3 convolution sees one position further, which is a stride in pixels. Poolings see nothing
    beyond the tile, whose cuts fall between their windows.
    """
    deepest = _deepest(architecture, layers)
    sees = sum(architecture.strides[layer] for layer in architecture.layers[: deepest + 1])
    stride = architecture.strides[architecture.layers[deepest]]
    return -(-sees // stride) * stride


def cut(
    architecture: Architecture, layers: Sequence[str], size: Sequence[int], side: int | None
) -> list[Tile]:
    """The tiles of a picture of ``size`` (height, width), row by row; one that is all of it if it
    is no larger than ``side`` pixels each way, or if that is ``None``.

    Tiles have nearly the same size, at most ``side`` rounded up to the stride of the deepest layer;
    those at the lower and the right border also have what is left over.

    Raises:
        ValueError: the network cannot be cut.
    """
    check(architecture, side)
    stride = architecture.strides[architecture.layers[_deepest(architecture, layers)]]
    around = halo(architecture, layers)
    rows, columns = (list(_spans(length, side, stride, around)) for length in size)
    height, width = size
    return [
        Tile((row, column), (seen_row, seen_column), (height, width))
        for row, seen_row in rows
        for column, seen_column in columns
    ]


def can_be_cut(architecture: Architecture) -> bool:
    """Whether the network can work in tiles: its poolings must not overlap."""
    return not architecture.overlapping_pooling


def check(architecture: Architecture, side: int | None) -> None:
    """Raise ``ValueError`` for tiles that a network cannot be given."""
    if side is None:
        return
    checks.count("tile", side)
    if not can_be_cut(architecture):
        raise ValueError(
            f"{architecture.name} cannot work in tiles, because its poolings overlap; leave tile "
            "out, or use a network of VGG's kind"
        )


def _deepest(architecture: Architecture, layers: Sequence[str]) -> int:
    return max(architecture.layers.index(layer) for layer in layers)


def _spans(length: int, side: int | None, stride: int, around: int) -> Iterator[tuple[Span, Span]]:
    """Own and seen span of each tile along one side of a picture."""
    units = max(1, length // stride)  # what the deepest layer sees of it
    number = 1 if side is None or length <= side else -(-units // -(-side // stride))
    cuts = [stride * (units * i // number) for i in range(number)]
    for first, end in pairwise([*cuts, length]):
        yield Span(first, end), Span(max(0, first - around), min(length, end + around))
