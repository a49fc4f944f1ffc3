"""From what a picture file holds to RGB values: modes, color profiles, transparency.

A picture goes through in strips of rows, so that a large one is never held twice as float32.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor
from torch.nn import functional as fn

from nst_utils.images import deep, misread

# What a picture is made as, whatever torch's defaults are set to.
FLOATS: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
_STRIP = 2**20  # pixels
Look = Literal["picture", "mask", "alpha"]  # what of a file is wanted


class Strips(NamedTuple):
    """A picture's rows from top to bottom: RGB (H, W, 3) or gray (H, W), 0..``top_value``."""

    rows: list[np.ndarray]
    top_value: float


def to_tensor(strips: Strips, target: tuple[int, int], channels: int = 3) -> Tensor:
    """(1, C, H, W) float32, 0..1, scaled to ``target`` = (H, W). Uses the strips up."""
    end = height = sum(len(strip) for strip in strips.rows)
    width = strips.rows[0].shape[1]
    image = torch.empty(1, channels, height, target[1], **FLOATS)
    while strips.rows:  # from the last on, so that the memory behind it is returned
        strip = strips.rows.pop()
        part = image[:, :, end - len(strip) : end]
        if width == target[1]:
            _to_unit(strip, strips.top_value, part)
        else:
            wide = torch.empty(1, channels, len(strip), width, **FLOATS)
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
    """Write (H, W, 3) or gray (H, W) as (1, C, H, W), 0..1, without a copy in between."""
    planes = strip.transpose(2, 0, 1) if strip.ndim == 3 else strip[None]
    values = out.numpy()[0]
    np.divide(planes, np.float32(top_value), out=values)
    np.clip(values, 0, 1, out=values)


def to_strips(picture: Image.Image, name: object, look: Look = "picture") -> Strips:
    """The values of a picture of any mode. 3 bytes a pixel, gray of more than 8 bits 4.

    Args:
        name: what the picture is called where something has to be said about it.
        look: ``"picture"``: the colors in sRGB, on white. ``"mask"``: the mean of red, green and
            blue as the file has them, on black. ``"alpha"``: where it is not transparent.
    """
    rows = max(1, _STRIP // picture.width)
    is_deep = picture.mode in deep.MODES
    to_array = partial(deep.numbers, picture=picture) if is_deep else _in_bytes(picture, look)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about palettes
        strips = [
            to_array(picture.crop((0, top, picture.width, min(top + rows, picture.height))))
            for top in range(0, picture.height, rows)
        ]
    if not is_deep:
        return Strips(strips, 255.0)
    _finish_deep(strips, picture, name, look)
    return Strips(strips, 1.0)


def _finish_deep(strips: list[np.ndarray], picture: Image.Image, name: object, look: Look) -> None:
    """From numbers to what is looked for, 0..1, in place: profile and transparency as of bytes."""
    key = picture.info.get("transparency")
    clear = [strip == key if isinstance(key, int) else None for strip in strips]
    deep.to_unit(strips, picture, name)
    ramp = Image.linear_gradient("L").crop((0, 0, 1, 256))  # 0 to 255
    curve = np.asarray(_to_srgb(picture, "L")(ramp))[:, 0, 1] / 255
    for strip, transparent in zip(strips, clear, strict=True):
        if look == "picture" and "icc_profile" in picture.info:
            strip[:] = np.interp(strip, np.linspace(0, 1, 256), curve)
        elif look == "alpha":
            strip[:] = 1
        if transparent is not None:
            strip[transparent] = 1 if look == "picture" else 0


def _in_bytes(picture: Image.Image, look: Look) -> Callable[[Image.Image], np.ndarray]:
    """How a strip of this picture becomes bytes: RGB, (H, W, 3), or what else is looked for."""
    is_gray = picture.mode in ("1", "L", "LA", "La") or misread.GRAY in picture.info
    colors = "L" if is_gray else "CMYK" if picture.mode == "CMYK" else "RGB"
    to_srgb = _to_srgb(picture, colors)

    def convert(strip: Image.Image) -> np.ndarray:
        if strip.mode == "La":  # multiplied by alpha, which Pillow converts to this alone
            strip = strip.convert("LA")
        alpha = None
        if strip.has_transparency_data:
            alpha = strip.convert("RGBA").getchannel("A")
        if look == "alpha":
            return np.asarray(alpha or Image.new("L", strip.size, 255))
        strip = strip.convert(colors)
        strip = to_srgb(strip) if look == "picture" else strip.convert("RGB")
        if alpha:
            ground = Image.new("RGB", strip.size, "white" if look == "picture" else "black")
            strip = Image.composite(strip, ground, alpha)
        pixels = np.asarray(strip)
        return pixels if look == "picture" else pixels.mean(2, dtype=np.float32)

    return convert


def _to_srgb(picture: Image.Image, colors: str) -> Callable[[Image.Image], Image.Image]:
    """From gray, RGB or CMYK to sRGB, by the embedded color profile where there is one.

    Such are Adobe RGB, Display P3, a press's CMYK.
    """
    profile = picture.info.get("icc_profile")
    plain = methodcaller("convert", "RGB")
    if not profile:
        return plain
    try:
        transform = ImageCms.buildTransform(
            io.BytesIO(profile), ImageCms.createProfile("sRGB"), colors, "RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        return plain  # a damaged profile: the pixels are still good
    return lambda strip: ImageCms.applyTransform(strip, transform) or strip
