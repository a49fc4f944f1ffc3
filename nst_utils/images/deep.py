"""Gray of more than 8 bits: 16 and 32-bit whole numbers, floats. What is white in them?

The format says it of 16 unsigned bits. Of floats, 32 and signed bits a TIFF may say it in tags, and
otherwise it is guessed, which is said; floats from 0 to 1 need no guess.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from nst_utils.support.messages import say

MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
# Tags of a TIFF. Two pairs may give the range: of floats and signed numbers, and of others.
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
MIN_SAMPLE, MAX_SAMPLE = 280, 281
_RANGES = ((340, 341), (MIN_SAMPLE, MAX_SAMPLE))
_WHITE_IS_ZERO, _UNSIGNED = 0, 1
# What white is in the files that programs write, of floats too.
_USUAL = tuple(2.0**bits - 1 for bits in (8, 10, 12, 14, 15, 16))
_SAMPLES = 2**20  # numbers that a guess looks at


def numbers(strip: Image.Image, picture: Image.Image) -> np.ndarray:
    """The numbers of a strip of ``picture`` as float32, (H, W); NaN and infinities are 0."""
    found = np.asarray(strip)
    if picture.mode == "I" and _tag(picture, BITS) == 32 and _unsigned(picture):
        found = found.view(np.uint32)  # Pillow has signed ones only
    values = found.astype(np.float32)
    return np.nan_to_num(values, copy=False, posinf=0.0, neginf=0.0)


def to_unit(strips: list[np.ndarray], picture: Image.Image, name: object) -> None:
    """Bring all numbers to 0..1, black to white, in place."""
    black, white = _range(strips, picture, name)
    inverted = _tag(picture, PHOTOMETRIC) == _WHITE_IS_ZERO
    for strip in strips:
        strip -= np.float32(black)
        strip /= np.float32(white - black)
        np.clip(strip, 0, 1, out=strip)
        if inverted:
            np.subtract(1, strip, out=strip)


def _range(strips: list[np.ndarray], picture: Image.Image, name: object) -> tuple[float, float]:
    """The numbers that are black and white."""
    if picture.mode != "F" and (picture.format != "TIFF" or picture.mode != "I"):
        # Other formats are scaled to 16 bits. The largest number is no white, says TIFF 6.0, but
        # where it is that of 10, 12 or 14 bits, it says what the camera has.
        most = _tag(picture, MAX_SAMPLE)
        white = most if most in _USUAL else 2.0 ** min(_tag(picture, BITS) or 16, 16) - 1
        return 0.0, white
    for tags in _RANGES:
        least, most = (_tag(picture, tag) for tag in tags)
        if most is not None and (least or 0.0) < most:
            return least or 0.0, most
    return 0.0, _guess(strips, picture.mode == "F", name)


def _guess(strips: list[np.ndarray], floats: bool, name: object) -> float:
    """What white may be, from the numbers themselves; a few that are larger do not count."""
    step = 1 + sum(strip.size for strip in strips) // _SAMPLES
    values = np.concatenate([strip.ravel()[::step] for strip in strips])
    least, most = float(values.min()), float(values.max())
    above = values[values > 0]
    if not above.size or (floats and least >= 0 and most <= 1):
        return 1.0
    high = float(np.quantile(above, 0.999, method="higher"))
    white = next((usual for usual in _USUAL if high <= 1.25 * usual), high)
    # Of light as it is measured, most lies below 1 and lamps far above.
    if floats and (high <= 8 or np.median(above) < 1):
        white = 1.0
    say(
        f"{name} does not say which number is white, and has some from {least:g} to {most:g}: "
        f"{white:g} is taken; save it with floats from 0 to 1 if that is wrong"
    )
    return white


def _unsigned(picture: Image.Image) -> bool:
    return _tag(picture, SAMPLE_FORMAT) in (None, _UNSIGNED)


def _tag(picture: Image.Image, tag: int) -> float | None:
    """The (first) number of a tag of a TIFF; ``None`` where there is none."""
    value: Any = getattr(picture, "tag_v2", {}).get(tag)
    value = value[0] if isinstance(value, tuple) and value else value
    try:
        number = float(value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return number if np.isfinite(number) else None
