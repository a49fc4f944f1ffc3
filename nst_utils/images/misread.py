"""What Pillow takes for something else in a file that it opens: put right, or refused.

Each is a place where it would give wrong colors without a word.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

_BITS, _PLANAR, _EXTRA, _SAMPLE_FORMAT = 258, 284, 338, 339  # tags of a TIFF
_SIGNED, _PREMULTIPLIED = 2, 1
# libtiff gives the numbers in the order of the machine, whatever the file's is.
_AS_LIBTIFF_GIVES = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
GRAY = "nst_gray"  # in a picture's info: RGB(A) here, gray in the file


class UnreadableKindError(ValueError):
    """A sound file of a kind that cannot be read; the text completes 'the file ...'."""


def mend(picture: Image.Image, head: bytes) -> None:
    """Correct an opened picture that is not decoded yet; ``head`` is how its file begins.

    Raises:
        UnreadableKindError: it would be read wrongly.
    """
    if picture.format == "TIFF":
        _mend_tiff(picture)
    elif picture.format == "PNG" and len(head) >= 26:
        _mend_png(picture, bits=head[24], color_type=head[25])


def _mend_png(picture: Image.Image, bits: int, color_type: int) -> None:
    """The transparent color is in the file's own bits, the pixels come in 8, gray ones in 16."""
    key = picture.info.get("transparency")
    if color_type == 0 and bits < 8 and isinstance(key, int):
        picture.info["transparency"] = (key & 2**bits - 1) * 255 // (2**bits - 1)
    elif color_type == 2 and bits == 16 and isinstance(key, tuple):
        picture.info["transparency"] = tuple(value >> 8 for value in key)
    if color_type == 4:
        picture.info[GRAY] = True


def _mend_tiff(picture: Image.Image) -> None:
    tags = picture.tag_v2  # type: ignore[attr-defined]
    tiles: list[Any] = picture.tile  # type: ignore[attr-defined]
    bits, formats = _numbers(tags.get(_BITS, 1)), _numbers(tags.get(_SAMPLE_FORMAT, 1))
    if max(bits) == 8 and _SIGNED in formats:
        raise UnreadableKindError("holds signed numbers of 8 bits; save it with unsigned ones")
    raw = not any(tile[0] == "libtiff" for tile in tiles)
    if tags.get(_PLANAR) == 2 and len(picture.getbands()) > 1:
        _mend_planes(picture, tiles, raw, max(bits), _numbers(tags.get(_EXTRA, 0)))
    elif not raw:
        picture.tile = [  # type: ignore[attr-defined]
            _with_raw_mode(tile, _AS_LIBTIFF_GIVES.get(tile[3][0], tile[3][0])) for tile in tiles
        ]


def _mend_planes(
    picture: Image.Image, tiles: list[Any], raw: bool, bits: int, extra: tuple[Any, ...]
) -> None:
    """Channels one after the other; as they lie in the file, they are taken for 8 bits each."""
    known = ("RGB", "RGBA") if raw and bits > 8 else ("RGB", "RGBA", "CMYK", "YCbCr")
    if picture.mode not in known or _PREMULTIPLIED in extra:
        raise UnreadableKindError(
            f"holds its {picture.mode} channels one after the other (planar), which cannot be read "
            "of this kind; save it with interleaved channels"
        )
    if raw and bits > 8:
        order = "L" if picture.tag_v2.prefix == b"II" else "B"  # type: ignore[attr-defined]
        picture.tile = [  # type: ignore[attr-defined]
            _with_raw_mode(tile, f"{tile[3][0]};16{order}")
            for tile in tiles
            if tile[3][0] in picture.getbands()  # others are left over
        ]


def _with_raw_mode(tile: Any, raw_mode: str) -> Any:
    codec, extents, offset, arguments = tile
    changed = (codec, extents, offset, (raw_mode, *arguments[1:]))
    return tile._make(changed) if hasattr(tile, "_make") else changed


def _numbers(value: Any) -> tuple[Any, ...]:
    values = value if isinstance(value, tuple) else (value,)
    return tuple(each for each in values if isinstance(each, int)) or (0,)
