"""Picture files that are made by hand, because no library would write them."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from PIL import Image, ImageCms


def png(
    width: int,
    height: int,
    bits: int = 8,
    color_type: int = 2,
    rows: bytes = b"",
    chunks: Mapping[bytes, bytes] = MappingProxyType({}),
) -> bytes:
    """A PNG file; ``rows`` are its scan lines, each after a zero (no filter)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        length, check = (
            struct.pack(">I", len(content)),
            struct.pack(">I", zlib.crc32(kind + content)),
        )
        return length + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(chunk(kind, content) for kind, content in chunks.items())
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def tiff(
    values: np.ndarray,
    photometric: int = 1,
    order: Literal["<", ">"] = "<",
    compressed: bool = False,
    planar: bool = False,
    bits: int | None = None,
    tags: Mapping[int, tuple[str, list[float]]] = MappingProxyType({}),
) -> bytes:
    """A TIFF file of (H, W) or (H, W, C) values, in kinds that Pillow does not write.

    Args:
        photometric: what the values mean: 0 white is 0, 1 black is 0, 2 RGB, 5 CMYK, 8 Lab.
        planar: the channels one after the other. bits: 12 are packed; by default, the type's.
        tags: others, with the letter of their type: "H", "L", "f".
    """
    values = values.reshape(*values.shape[:2], -1)
    height, width, channels = values.shape
    planes = [values[..., i] for i in range(channels)] if planar else [values]
    blocks = [plane.astype(values.dtype.newbyteorder(order)).tobytes() for plane in planes]
    if bits == 12:
        digits = "".join(f"{value:03x}" for value in values.flat)
        blocks = [bytes.fromhex(digits)]
    if compressed:
        blocks = [zlib.compress(block) for block in blocks]
    size = bits or 8 * values.dtype.itemsize
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    entries: dict[int, tuple[str, list[float]]] = {
        256: ("H", [width]), 257: ("H", [height]), 258: ("H", [size] * channels),
        259: ("H", [8 if compressed else 1]), 262: ("H", [photometric]), 277: ("H", [channels]),
        278: ("H", [height]), 279: ("L", [len(block) for block in blocks]),
        284: ("H", [2 if planar else 1]), 339: ("H", [kind] * channels), **tags,
    }  # fmt: skip
    start = 4000  # of the pixels; tags come before
    entries[273] = ("L", [start + sum(map(len, blocks[:i])) for i in range(len(blocks))])
    table, beside = b"", b""
    for tag, (letter, numbers) in sorted(entries.items()):
        body = struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
        where = struct.pack(order + "L", 14 + 12 * len(entries) + len(beside))
        beside += body if len(body) > 4 else b""
        code = {"B": 1, "H": 3, "L": 4, "f": 11}[letter]
        table += struct.pack(order + "HHL", tag, code, len(numbers))
        table += body.ljust(4, b"\0") if len(body) <= 4 else where
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "LH", 8, len(entries))
    return (head + table + bytes(4) + beside).ljust(start, b"\0") + b"".join(blocks)


def noisy(width: int = 48, height: int = 40, seed: int = 0) -> Image.Image:
    """A picture that does not compress well, so that half of its file is not half of nothing."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of ``picture`` in the file format ``kind``."""
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def half(kind: str) -> bytes:
    """The first half of a file."""
    whole = encoded(noisy(), kind)
    return whole[: len(whole) // 2]


def flipped_bit() -> bytes:
    """A PNG with one damaged byte in its pixels: the checksum is wrong."""
    whole = bytearray(encoded(noisy(), "PNG"))
    whole[len(whole) // 2] ^= 1
    return bytes(whole)


# Pillow would let Ghostscript run it, and return an empty picture of 20x20 px.
POSTSCRIPT = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 20 20
%%EndComments
showpage
"""


def _file(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


# name -> how it is made, and what its complaint must say besides the name.
BAD_PICTURES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing.jpg": (lambda path: None, "check the path"),
    "empty.png": (_file(b""), "is empty"),
    "truncated.png": (_file(half("PNG")), "damaged"),
    "truncated.jpg": (_file(half("JPEG")), "damaged"),
    "truncated.gif": (_file(half("GIF")), "damaged"),
    "truncated.webp": (_file(half("WEBP")), "damaged"),
    "flipped.png": (_file(flipped_bit()), "damaged"),
    "header_only.png": (_file(encoded(noisy(), "PNG")[:33]), "use PNG or JPEG"),
    "text.jpg": (_file(b"This is a letter, not a picture.\n" * 20), "use PNG or JPEG"),
    "program.eps": (_file(POSTSCRIPT), "use PNG or JPEG"),
    "zeros.png": (_file(bytes(4096)), "use PNG or JPEG"),
    "folder.png": (lambda path: path.mkdir(), "is a folder"),
    "loop.png": (lambda path: path.symlink_to(path.name), "choose another"),
    "pipe.png": (lambda path: os.mkfifo(path), "no regular file"),
    "bomb.png": (_file(png(50_000, 50_000, bits=1, color_type=0)), "scale it down"),
    "bomb_below_pillows_limit.png": (_file(png(10_001, 10_000)), "scale it down"),
    "one_pixel.png": (_file(encoded(noisy(1, 1), "PNG")), "choose a larger one"),
    "one_pixel_high.png": (_file(encoded(noisy(9, 1), "PNG")), "choose a larger one"),
    "x" * 300 + ".png": (lambda path: None, "choose another"),
}


def make_bad_picture(name: str, folder: Path) -> Path:
    """Put the bad picture of that name into ``folder``."""
    path = folder / name
    BAD_PICTURES[name][0](path)
    return path


def srgb_profile() -> bytes:
    """An ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """A profile whose red primary is sRGB's green one and the other way round.

    What it calls (r, g, b) is (g, r, b) in sRGB: the right answer is known without arithmetic.
    """
    profile = srgb_profile()
    for old, new in ((b"rXYZ", b"----"), (b"gXYZ", b"rXYZ"), (b"----", b"gXYZ")):
        assert profile.count(old) == 1
        profile = profile.replace(old, new)
    return profile


def linear_gray_profile() -> bytes:
    """A gray profile with gamma 1: half of the light is 188 in sRGB, not 128."""
    text = b"linear gray\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">I", 0),  # no points: the identity
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">2I", start + len(body), len(content))
        body += content
    header = struct.pack(
        ">I4sI4s4s4s12s4s", start + len(body), b"none", 0x02100000, b"mntr", b"GRAY", b"XYZ ",
        bytes(12), b"acsp",
    )  # fmt: skip
    illuminant = struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(68, b"\0") + illuminant + bytes(48) + table + body
