"""Picture files of every kind that is read, and ways to damage them.

Used by ``test_image_fuzz.py`` and, by the ten thousand, by ``benchmarks/fuzz_images.py``.
"""

from __future__ import annotations

import io
import random
import re
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from picture_files import encoded, linear_gray_profile, noisy, png, swapped_profile, tiff
from PIL import Image, PngImagePlugin

from nst_utils.app.recipe_files import KEYWORD, read_png
from nst_utils.app.recipes import Recipe
from nst_utils.images.files import load_image
from nst_utils.images.names import samples

SETTINGS = "settings"  # a PNG of the studio, of which the settings are read
# What a number in a header is set to: nothing, one, limits of 8, 16 and 32 bits, and the largest
# picture that is read.
_ODD: tuple[int, ...] = (
    0,
    1,
    2,
    3,
    8,
    127,
    255,
    256,
    4096,
    10_000,
    16_383,
    32_767,
    65_535,
    100_001,
)
_ODD += (2**24 - 1, 2**31 - 1, 2**31, 2**32 - 1)


def photograph(width: int = 40) -> Image.Image:
    """A bundled photograph, small."""
    with Image.open(samples()["chelsea"].path) as picture:
        return picture.resize((width, width * 3 // 4))


@cache
def seeds() -> dict[str, list[bytes]]:
    """Sound files by kind, in every mode that the kind can hold."""
    rgb, rough = photograph(), noisy(24, 20)
    gray, palette, bilevel = rgb.convert("L"), rgb.quantize(16), rgb.convert("1")
    rgba, cmyk, deep = rgb.convert("RGBA"), rgb.convert("CMYK"), gray.convert("I;16")
    rgba.putalpha(gray)
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x0128], exif[0x010E] = 6, 72.0, 2, "a cat"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    files: dict[str, list[bytes]] = {
        "PNG": [encoded(each, "PNG") for each in (rgb, rgba, gray, palette, bilevel, deep)]
        + [encoded(rgb, "PNG", exif=exif, icc_profile=swapped_profile(), dpi=(72, 72))]
        + [encoded(gray, "PNG", icc_profile=linear_gray_profile(), transparency=9)]
        + [_animated("PNG"), _texts()]
        + [png(4, 4, bits=16, rows=bytes(100)), png(4, 4, 2, 0, bytes(8))],
        "JPEG": [encoded(each, "JPEG") for each in (rgb, gray, cmyk, rough)]
        + [encoded(rgb, "JPEG", progressive=True, exif=exif, icc_profile=swapped_profile())]
        + [encoded(rgb, "JPEG", subsampling=0, restart_marker_blocks=2, comment="a cat")],
        "MPO": [_animated("MPO")],
        "WEBP": [
            *(encoded(rgb, "WEBP"), encoded(rgba, "WEBP", lossless=True), _animated("WEBP")),
            encoded(rgba, "WEBP", exif=exif, icc_profile=swapped_profile(), xmp=b"<x/>"),
        ],
        "GIF": [
            *(encoded(palette, "GIF"), _animated("GIF")),
            encoded(gray, "GIF", transparency=3, comment=b"a cat"),
        ],
        "TIFF": [encoded(each, "TIFF") for each in (rgb, rgba, gray, palette, bilevel, deep, cmyk)]
        + [encoded(rgb, "TIFF", compression=f"tiff_{kind}") for kind in ("lzw", "deflate")]
        + [encoded(rgb, "TIFF", compression=kind) for kind in ("jpeg", "packbits")]
        + [encoded(gray.convert(mode), "TIFF") for mode in ("I", "F")]
        + [encoded(bilevel, "TIFF", compression="group4"), encoded(rgb, "TIFF", big_tiff=True)]
        + [encoded(rgb, "TIFF", exif=exif, icc_profile=swapped_profile())]
        + [_animated("TIFF"), *_other_tiffs()],
        "BMP": [encoded(each, "BMP") for each in (rgb, rgba, gray, palette, bilevel)] + [_rle()],
        "DIB": [encoded(each, "DIB") for each in (rgb, palette)],
        "JPEG2000": [encoded(each, "JPEG2000") for each in (rgb, rgba, gray)]
        + [encoded(rgb, "JPEG2000", tile_size=(16, 16), no_jp2=True, comment="a cat")],
        "PPM": [encoded(each, "PPM") for each in (rgb, gray, bilevel, gray.convert("F"))]
        + [b"P3 2 2 9 1 2 3 4 5 6 7 8 9 0 1 2", b"P1 # a cat\n2 2 0 1 1 0", b"P5 2 2 99 abcd"],
        "TGA": [encoded(each, "TGA") for each in (rgb, rgba, gray, palette)]
        + [encoded(rgb, "TGA", compression="tga_rle")],
        "ICO": [
            encoded(rgba, "ICO", sizes=[(16, 16), (32, 24)]),
            encoded(rgba, "ICO", sizes=[(16, 16)], bitmap_format="bmp"),
        ],
        "PCX": [encoded(each, "PCX") for each in (rgb, gray, palette, bilevel)],
        "SGI": [encoded(each, "SGI") for each in (rgb, rgba, gray)] + [encoded(rgb, "SGI", bpc=2)],
        SETTINGS: [_saved('{"size": 1}'), _saved(Recipe(factors={"conv1_1": 2.0}).to_json())],
    }
    if "AVIF" in Image.SAVE:
        files["AVIF"] = [encoded(rgb, "AVIF", speed=10), encoded(rgba, "AVIF", speed=10, exif=exif)]
    return files


def _animated(kind: str) -> bytes:
    frames = [noisy(24, 20, seed) for seed in (1, 2, 3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


def _other_tiffs() -> list[bytes]:
    """Kinds that Pillow does not write: planes one after the other, ranges, 12 and 32 bits."""
    deep = np.asarray(photograph(), dtype="u2") * 257
    light = deep[..., 0].astype("f4") / 30000
    return [
        tiff(deep, 2, planar=True),
        tiff(light, order=">", compressed=True, tags={340: ("f", [0]), 341: ("f", [2])}),
        tiff(deep[..., 1] >> 4, bits=12),
        tiff(deep[..., 1].astype("u4")),
    ]


def _texts() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "a cat " * 40, zip=True)
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>')
    return encoded(photograph(), "PNG", pnginfo=info)


def _saved(settings: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(KEYWORD, settings)
    return encoded(noisy(8, 8), "PNG", pnginfo=info)


def _rle() -> bytes:
    """A BMP of 8x2 px in runs, which Pillow does not write."""
    rows = bytes([5, 1, 3, 2, 0, 0, 0, 4, 1, 2, 1, 2, 4, 3, 0, 1])
    header = struct.pack("<IiiHHIIiiII", 40, 8, 2, 1, 8, 1, len(rows), 0, 0, 256, 0)
    start = 14 + len(header) + 1024
    return (
        b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + bytes(1024) + rows
    )


# Each takes a file and gives a damaged one.
Mutation = Callable[[bytearray, random.Random], bytearray]


def flip_bits(content: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 1, 2, 16))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def _slice(content: bytearray, rng: random.Random) -> slice:
    start = rng.randrange(len(content))
    return slice(start, min(len(content), start + rng.choice((1, 2, 4, 16, 64, 1024))))


def overwrite(content: bytearray, rng: random.Random) -> bytearray:
    where = _slice(content, rng)
    length = where.stop - where.start
    content[where] = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return content


def truncate(content: bytearray, rng: random.Random) -> bytearray:
    return content[: rng.randrange(1, len(content) + 1)]


def repeat(content: bytearray, rng: random.Random) -> bytearray:
    where = _slice(content, rng)
    content[where] = content[where] * rng.choice((0, 2, 3, 100))
    return content or bytearray(b"\0")


def swap(content: bytearray, rng: random.Random) -> bytearray:
    cuts = sorted(rng.randrange(len(content) + 1) for _ in range(3))
    a, b, c = cuts
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def join(content: bytearray, rng: random.Random) -> bytearray:
    other = rng.choice(seeds()[rng.choice(list(seeds()))])
    at = rng.choice((len(content), rng.randrange(len(content))))
    return content[:at] + other[rng.choice((0, at % len(other))) :]


def _put(content: bytearray, at: int, value: int, size: int, order: str) -> None:
    if at + size <= len(content):
        content[at : at + size] = (value % 256**size).to_bytes(
            size, "little" if order == "<" else "big"
        )


def odd_number(content: bytearray, rng: random.Random) -> bytearray:
    """A number somewhere in the first bytes, where headers are."""
    at = rng.randrange(min(len(content), rng.choice((64, 300))))
    _put(content, at, rng.choice(_ODD), rng.choice((1, 2, 4)), rng.choice("<>"))
    return content


# Where a kind of file says its size: bytes before it, distance, two numbers of so many bytes.
_SIZES: tuple[tuple[bytes, int, int, str], ...] = (
    (rb"IHDR", 4, 4, ">"),
    (rb"\AGIF8.a", 6, 2, "<"),
    (rb"\ABM", 18, 4, "<"),
    (rb"\A\x28\0\0\0", 4, 4, "<"),
    (rb"\xff[\xc0-\xc2]", 5, 2, ">"),
    (rb"VP8X", 12, 3, "<"),
    (rb"\x9d\x01\x2a", 3, 2, "<"),
    (rb"ispe", 8, 4, ">"),
    (rb"ihdr", 4, 4, ">"),
    (rb"\xff\x51", 6, 4, ">"),  # of the picture, and of its tiles
    (rb"\xff\x51", 22, 4, ">"),
    (rb"\A\x01\xda", 6, 2, ">"),
    (rb"\A\x0a\x05", 8, 2, "<"),
    (rb"\A\0\0\x01\0", 6, 1, "<"),
    (rb"\A\0[\0\x01][\x01-\x0b]", 12, 2, "<"),
)


def odd_size(content: bytearray, rng: random.Random) -> bytearray:
    """Width or height or both, where this kind of file keeps them; or a tag of a TIFF."""
    places = [
        (found.start() + distance, size, order)
        for pattern, distance, size, order in _SIZES
        for found in re.finditer(pattern, bytes(content))
    ]
    if not places:
        return odd_tag(content, rng)
    at, size, order = rng.choice(places)
    for number in range(rng.choice((1, 2))):
        _put(content, at + number * size, rng.choice(_ODD), size, order)
    return content


def odd_tag(content: bytearray, rng: random.Random) -> bytearray:
    """Type, number or value of a tag in a TIFF or in EXIF; sometimes the tag becomes another."""
    starts = [found.start() for found in re.finditer(rb"II\*\0|MM\0\*", bytes(content))]
    if not starts:
        return odd_number(content, rng)
    start = rng.choice(starts)
    order = "<" if content[start : start + 1] == b"I" else ">"
    (directory,) = struct.unpack_from(order + "I", content.ljust(start + 8), start + 4)
    entry = start + directory + 2 + 12 * rng.randrange(12)
    what, size = rng.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
    tags = (254, 256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 317, 322, 323, 338, 339)
    choices = {0: (*tags, 34665, 34853, 347, 330), 2: tuple(range(19))}.get(what, _ODD)
    _put(content, entry + what, rng.choice(choices), size, order)
    return content


def more_words(content: bytearray, rng: random.Random) -> bytearray:
    """Other settings in the JSON of the studio, other numbers in a header of letters."""
    found = list(re.finditer(rb'-?\d+(\.\d+)?|"[^"]*"', bytes(content)))
    if not found:
        return flip_bits(content, rng)
    word = rng.choice(found)
    odd = (b"-1", b"0", b"1e999", b"NaN", b"[" * 99, b"null", b"{}", b'"\\u0000\\n"', b"9" * 5000)
    content[word.start() : word.end()] = rng.choice(odd)
    return content


MUTATIONS: tuple[Mutation, ...] = (
    *(flip_bits, overwrite, truncate, repeat, swap, join),
    *(odd_number, odd_size, odd_size, odd_tag, odd_tag, more_words),
)


def with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have the checksums and lengths that fit, so that the damage is read."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    kinds = rb"IHDR|PLTE|IDAT|IEND|tRNS|gAMA|iCCP|eXIf|tEXt|zTXt|iTXt|pHYs|acTL|fcTL|fdAT"
    starts = [found.start() for found in re.finditer(kinds, content)]
    whole = content[:8]
    for start, following in zip(starts, [*starts[1:], len(content) + 4], strict=False):
        body = content[start : max(start + 4, following - 8)]
        whole += struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return whole


def mutated(kind: str, number: int, seed: int = 0) -> bytes:
    """A damaged file of that kind; the same for the same arguments."""
    rng = random.Random(f"{kind} {number} {seed}")
    content = bytearray(rng.choice(seeds()[kind]))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = rng.choice(MUTATIONS)(content, rng) or bytearray(b"\0")
    return bytes(with_checksums(bytes(content)) if rng.random() < 0.75 else content)


def verdict(kind: str, content: bytes, size: int | None = None) -> str:
    """``"picture"`` or ``"sentence"``; anything else is raised."""
    file = io.BytesIO(content)
    file.name = "odd.file"
    try:
        if kind == SETTINGS:
            assert isinstance(read_png(file), Recipe)
            return "picture"
        image = load_image(file, size)
    except ValueError as error:
        text = str(error)
        assert text.startswith("odd.file") or text.startswith("size "), text
        assert "\n" not in text, text
        assert len(text) < 600, text
        return "sentence"
    assert image.dtype == torch.float32
    assert image.ndim == 4
    assert image.shape[:2] == (1, 3)
    assert image.is_contiguous()
    low, high = image.aminmax()
    assert 0 <= low <= high <= 1  # false for NaN, too
    return "picture"
