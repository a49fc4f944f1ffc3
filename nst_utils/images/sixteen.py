"""PNG and TIFF of 16 bits a color, in sRGB and saying so: for print, and for who works on them.

Pillow writes 8. What a run computes is finer than that: of a smooth sky, 8 bits show steps when it
is made lighter afterwards.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import BinaryIO

import numpy as np
from PIL import ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2

# Tags of a TIFF.
_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _OFFSETS = 256, 257, 258, 259, 262, 273
_SAMPLES, _ROWS, _COUNTS, _X, _Y, _UNIT, _SOFTWARE = 277, 278, 279, 282, 283, 296, 305
_EXTRA, _PROFILE = 338, 34675
_DEFLATE, _RGB, _INCH, _ALPHA = 8, 2, 2, 2
_METERS_AN_INCH = 0.0254


def write_png(
    pixels: np.ndarray, file: BinaryIO, texts: dict[str, str], dpi: tuple[float, float] | None
) -> None:
    """Write (H, W, 3) or, with alpha, (H, W, 4) of uint16.

    Args:
        pixels: 0 to 65535. file: open for writing. texts: keyword -> text. dpi: across and down.
    """
    height, width, colors = pixels.shape
    kind = {3: 2, 4: 6}[colors]
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    _chunk(file, b"sRGB", b"\0")
    if dpi is not None:
        per_meter = [round(each / _METERS_AN_INCH) for each in dpi]
        _chunk(file, b"pHYs", struct.pack(">IIB", *per_meter, 1))
    for keyword, text in texts.items():
        _chunk(file, b"iTXt", keyword.encode() + b"\0\0\0\0\0" + text.encode())
    rows = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(height, -1)
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = 2  # each row as its difference to the one above
    filtered[:, 1:] = rows - above
    _chunk(file, b"IDAT", zlib.compress(filtered.tobytes(), 6))
    _chunk(file, b"IEND", b"")


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data)
    file.write(struct.pack(">I", zlib.crc32(kind + data)))


def write_tiff(pixels: np.ndarray, file: BinaryIO, dpi: tuple[float, float] | None) -> None:
    """As :func:`write_png`, with the profile of sRGB in it."""
    height, width, colors = pixels.shape
    data = zlib.compress(pixels.astype("<u2").tobytes(), 6)
    tags = ImageFileDirectory_v2(prefix=b"II")
    tags[_WIDTH], tags[_LENGTH], tags[_ROWS] = width, height, height
    tags[_BITS], tags[_SAMPLES] = (16,) * colors, colors
    tags[_COMPRESSION], tags[_PHOTOMETRIC] = _DEFLATE, _RGB
    tags[_OFFSETS], tags[_COUNTS] = 0, len(data)  # from the end of these tags on
    if colors == 4:
        tags[_EXTRA] = _ALPHA
    if dpi is not None:
        tags[_UNIT], tags[_X], tags[_Y] = _INCH, *dpi
    tags[_SOFTWARE] = "nst_utils"
    tags[_PROFILE] = srgb_profile()
    tags.save(file)
    file.write(data)


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """The ICC profile of sRGB; the same bytes at any time."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # its date would be that of today
    return bytes(made)
