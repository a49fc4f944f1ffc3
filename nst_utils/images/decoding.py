"""From a picture file to its pixels in Pillow, upright; all that can go wrong is one sentence.

The limits keep the process below 2 GB, the tensor of the largest picture included, and the time
below a minute; ``benchmarks/fuzz_images.py`` measures both.
"""

from __future__ import annotations

import io
import warnings
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from nst_utils.images import hostile
from nst_utils.support.messages import one_line

# What is larger is refused before it is unpacked: a decompression bomb is a small file that says it
# is a huge picture. 10000 x 10000 passes; as float32 that is 1.2 GB.
MAX_PIXELS = 100_000_000
MAX_SIDE = 100_000
MAX_BYTES = 1_000_000_000
# Their decoders read the whole file and hold the pixels several times over, up to 24 bytes each.
HEAVY_FORMATS = ("WEBP", "AVIF", "JPEG2000")
# Written in Python: about 3 microseconds a pixel, 80 times what the others need.
SLOW_DECODERS = ("ppm", "ppm_plain", "bmp_rle", "SGI16")
# Only formats that Pillow decodes by itself: an EPS, for one, would be run as a program.
INPUT_FORMATS = (
    *("PNG", "JPEG", "MPO", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "DIB"),
    *("JPEG2000", "PPM", "TGA", "ICO", "PCX", "SGI"),
)
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # tags of a TIFF


class _TooLargeError(Exception):
    """A limit is passed; the text completes 'the file ...'."""


def open_picture(source: Path | BinaryIO, name: object) -> Image.Image:
    """Open, decode, and turn upright as the EXIF data say.

    Raises:
        ValueError: no readable picture, damaged, or larger than the limits above; the sentence
            begins with ``name``.
    """
    if isinstance(source, Path):
        if not source.is_file():  # a pipe would make it wait, a device never ends
            raise ValueError(f"{name} is no regular file; name a picture file")
        try:
            with source.open("rb") as file:
                return _decode(file, name)
        except PermissionError:
            raise ValueError(f"{name} may not be read; change its permissions") from None
    return _decode(source, name)


def _decode(file: BinaryIO, name: object) -> Image.Image:
    length = _length(file, name)
    if not length:
        raise ValueError(f"{name} is empty; save or download the picture again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own bomb warning, EXIF and TIFF chatter
            return _load(file, length)
    except UnidentifiedImageError:
        raise ValueError(f"{name} is not a picture that can be read; use PNG or JPEG") from None
    except _TooLargeError as error:
        raise ValueError(f"{name} {error}; scale it down first") from None
    except Image.DecompressionBombError:  # Pillow's limit, where it unpacks before it says the size
        raise ValueError(
            f"{name} has more than the {MAX_PIXELS:,} pixels that are read; scale it down first"
        ) from None
    except MemoryError:
        raise ValueError(f"{name} needs more memory than there is; scale it down first") from None
    except PermissionError:
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and others
        raise ValueError(
            f"{name} is damaged ({one_line(error)}); save or download it again"
        ) from None


def _length(file: BinaryIO, name: object) -> int:
    """The number of bytes of an open file."""
    try:
        length = file.seek(0, io.SEEK_END)
        file.seek(0)
        if isinstance(file.read(0), bytes):
            return length
    except (AttributeError, OSError, ValueError):  # no file at all, a pipe, a closed file
        pass
    raise ValueError(
        f"{name} cannot be read from its beginning; give a path, a file opened in binary mode, or "
        "io.BytesIO"
    )


def _load(file: BinaryIO, length: int) -> Image.Image:
    if length > MAX_BYTES:
        raise _TooLargeError(f"has more than the {MAX_BYTES:,} bytes that are read")
    file.seek(0)
    head = file.read(12)
    heavy = head[8:] == b"WEBP" or head[4:8] in (b"ftyp", b"jP  ") or head[:2] == b"\xff\x4f"
    if heavy and length > MAX_BYTES // 10:
        raise _TooLargeError(
            f"has more than the {MAX_BYTES // 10:,} bytes that are read of its kind"
        )
    scans = hostile.check(file)
    file.seek(0)
    picture = Image.open(file, formats=_input_formats())
    _check_size(picture, scans)
    picture.load()
    if len(picture.info.get("exif") or b"") > hostile.MAX_EXIF:
        raise ValueError("its EXIF data are larger than any camera writes")
    ImageOps.exif_transpose(picture, in_place=True)
    return picture


def _check_size(picture: Image.Image, scans: int) -> None:
    most, kind = MAX_PIXELS, ""
    if scans > 1:  # all coefficients are held until the last
        most, kind = MAX_PIXELS // 2, " in a progressive JPEG file"
    elif picture.format in HEAVY_FORMATS:
        most, kind = MAX_PIXELS // 2, f" in a {picture.format} file"
    elif any(tile[0] in SLOW_DECODERS for tile in getattr(picture, "tile", ())):
        most, kind = MAX_PIXELS // 10, " in this kind of file"
    if max(picture.width * picture.height, _tile_pixels(picture)) > most:
        raise _TooLargeError(f"has more than the {most:,} pixels that are read{kind}")
    if max(picture.size) > MAX_SIDE:
        raise _TooLargeError(f"has a side of more than the {MAX_SIDE:,} pixels that are read")


def _tile_pixels(picture: Image.Image) -> int:
    """Of a tile of a TIFF, which may be larger than the picture; 0 where there is none."""
    if picture.format != "TIFF":
        return 0
    tags = picture.tag_v2  # type: ignore[attr-defined]
    width, length = (tags.get(tag, 0) for tag in (_TILE_WIDTH, _TILE_LENGTH))
    if not (isinstance(width, int) and isinstance(length, int)):
        raise ValueError("its tiles have no size")
    return width * length


@lru_cache(maxsize=1)
def _input_formats() -> list[str]:
    """Those of ``INPUT_FORMATS`` that this Pillow was built with."""
    Image.init()
    return [name for name in INPUT_FORMATS if name in Image.OPEN]
