"""From what a picture file holds to RGB values: modes, color profiles, transparency.

A picture goes through in strips of rows, so that a large one is never held twice as float32.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor
from torch.nn import functional as fn

# What a picture is made as, whatever torch's defaults are set to.
FLOATS: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
_STRIP = 2**20  # pixels
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


class Strips(NamedTuple):
    """A picture's rows from top to bottom: RGB (H, W, 3) or gray (H, W), 0..``top_value``."""

    rows: list[np.ndarray]
    top_value: float


def to_tensor(strips: Strips, target: tuple[int, int]) -> Tensor:
    """(1, 3, H, W) float32, 0..1, scaled to ``target`` = (H, W). Uses the strips up."""
    end = height = sum(len(strip) for strip in strips.rows)
    width = strips.rows[0].shape[1]
    image = torch.empty(1, 3, height, target[1], **FLOATS)
    while strips.rows:  # from the last on, so that the memory behind it is returned
        strip = strips.rows.pop()
        part = image[:, :, end - len(strip) : end]
        if width == target[1]:
            _to_unit(strip, strips.top_value, part)
        else:
            wide = torch.empty(1, 3, len(strip), width, **FLOATS)
            _to_unit(strip, strips.top_value, wide)
            part.copy_(scale(wide, (len(strip), target[1])))
        end -= len(strip)
    if height != target[0]:
        image = scale(image, target)
    return image if target == (height, width) else image.clamp_(0, 1)


def scale(image: Tensor, target: tuple[int, int]) -> Tensor:
    """Bicubic with antialiasing, not clamped. It scales rows, then columns, as is done above."""
    return fn.interpolate(image, target, mode="bicubic", antialias=True, align_corners=False)


def _to_unit(strip: np.ndarray, top_value: float, out: Tensor) -> None:
    """Write (H, W, 3) or gray (H, W) as (1, 3, H, W), 0..1, without a copy in between."""
    planes = strip.transpose(2, 0, 1) if strip.ndim == 3 else strip[None]
    values = out.numpy()[0]
    np.divide(planes, np.float32(top_value), out=values)
    np.clip(values, 0, 1, out=values)


def to_strips(picture: Image.Image) -> Strips:
    """The RGB or gray values of a picture of any mode. 3 bytes a pixel, deep gray ones 4."""
    deep = picture.mode in _DEEP_MODES
    rows = max(1, _STRIP // picture.width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about palettes
        to_array = _deep_gray if deep else _rgb(picture)
        strips = [
            to_array(picture.crop((0, top, picture.width, min(top + rows, picture.height))))
            for top in range(0, picture.height, rows)
        ]
    # 16-bit files give 0..65535; a float TIFF usually holds 0..1 or 0..255.
    top_value = 65535.0 if deep else 255.0
    if picture.mode == "F":
        top_value = 255.0 if max(strip.max() for strip in strips) > 1 else 1.0
    return Strips(strips, top_value)


def _deep_gray(strip: Image.Image) -> np.ndarray:
    return np.nan_to_num(np.array(strip, dtype=np.float32), copy=False, posinf=0.0, neginf=0.0)


def _rgb(picture: Image.Image) -> Callable[[Image.Image], np.ndarray]:
    """How a strip of this picture becomes RGB, (H, W, 3) of bytes."""
    to_srgb = _to_srgb(picture)

    def convert(strip: Image.Image) -> np.ndarray:
        strip = to_srgb(strip)
        if strip.has_transparency_data:
            rgba = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        return np.asarray(strip.convert("RGB"))

    return convert


def _to_srgb(picture: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Conversion of the embedded color profile (Adobe RGB, Display P3, a press's CMYK) to sRGB."""
    profile, mode = picture.info.get("icc_profile"), picture.mode
    expanded = "RGBA" if picture.has_transparency_data else "RGB"
    mode = expanded if mode == "P" else mode
    if not profile or mode not in ("L", "RGB", "RGBA", "CMYK"):
        return lambda strip: strip
    try:
        transform = ImageCms.buildTransform(
            io.BytesIO(profile),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGBA" if mode == "RGBA" else "RGB",
        )
    except (ImageCms.PyCMSError, OSError):
        return lambda strip: strip  # a damaged profile: the pixels are still good

    def convert(strip: Image.Image) -> Image.Image:
        if strip.mode != mode:
            strip = strip.convert(mode)
        return ImageCms.applyTransform(strip, transform) or strip

    return convert
