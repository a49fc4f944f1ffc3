"""Files of more than 8 bits, and the kinds that Pillow takes for others: the colors come in."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from picture_files import encoded, linear_gray_profile, png, swapped_profile, tiff
from PIL import Image

from nst_utils.images.files import load_image

LAYOUTS: dict[str, dict[str, Any]] = {
    "little": {},
    "little, compressed": {"compressed": True},
    "big": {"order": ">"},
    "big, compressed": {"order": ">", "compressed": True},
}


Tags = dict[int, tuple[str, list[float]]]


def row(dtype: str, *values: Any) -> np.ndarray:
    """Two equal rows of pixels."""
    return np.array([values] * 2, dtype=dtype)


def colors(content: bytes) -> np.ndarray:
    """The second row of pixels as it comes in, (W, 3), 0..255."""
    image = load_image(io.BytesIO(content))
    assert image.isfinite().all()
    assert 0 <= image.min() <= image.max() <= 1
    return image[0, :, 1].T.numpy() * 255


def check(content: bytes, expected: list[Any], tolerance: float = 0.51) -> None:
    wanted = np.array([each if isinstance(each, tuple) else (each,) * 3 for each in expected])
    np.testing.assert_allclose(colors(content), wanted, atol=tolerance)


RGB16 = row("u2", (65535, 0, 25700), (7710, 65535, 0))
RGBA16 = row("u2", (65535, 0, 25700, 65535), (7710, 65535, 0, 0))
RGB8 = (RGB16 >> 8).astype("u1")
SEEN = [(255, 0, 100), (30, 255, 0)]
ON_WHITE = [(255, 0, 100), (255, 255, 255)]
EXTRA: dict[str, Tags] = {
    kind: {338: ("H", [number])} for kind, number in (("rest", 0), ("La", 1), ("alpha", 2))
}
MAP: Tags = {320: ("H", [v * 257 for c in range(3) for v in (10 * (c + 1), 200 - c, *[0] * 254)])}
SPAN: Tags = {280: ("H", [0]), 281: ("H", [1023])}

# What a TIFF holds, its options, the colors, and what is said about them.
TIFFS: dict[str, tuple[np.ndarray, dict[str, Any], list[Any], str]] = {
    "16 bits": (row("u2", 0, 16448, 65535), {}, [0, 64, 255], ""),
    "12 bits": (row("u2", 0, 2048, 4095, 9), {"bits": 12}, [0, 127.5, 255, 0.56], ""),
    "10 of 16 bits": (row("u2", 0, 512, 1023), {"tags": SPAN}, [0, 127.6, 255], ""),
    "16 bits, dark": (
        row("u2", 0, 512, 1000),
        {"tags": {281: ("H", [1000])}},
        [0, 2, 3.9],
        "",
    ),
    "16 bits, white is 0": (
        row("u2", 0, 16448, 65535),
        {"photometric": 0},
        [255, 191, 0],
        "",
    ),
    "8 bits, white is 0": (row("u1", 0, 64, 255), {"photometric": 0}, [255, 191, 0], ""),
    "16 signed bits": (row("i2", -5, 0, 16384, 32767), {}, [0, 0, 127.5, 255], "32767 is taken"),
    "32 signed bits": (row("i4", -5, 2**30, 2**31 - 1), {}, [0, 127.5, 255], "is taken"),
    "32 bits, few used": (row("i4", 0, 128, 255), {}, [0, 128, 255], "255 is taken"),
    "32 bits": (row("u4", 0, 2**31, 2**32 - 1), {}, [0, 127.5, 255], "is taken"),
    "floats to 1": (row("f4", -0.5, 0.2, 1), {"tags": {341: ("f", [1])}}, [0, 51, 255], ""),
    "floats to 0.5": (row("f4", 0, 0.2, 0.5), {}, [0, 51, 127.5], ""),
    "floats to 1.5": (row("f4", 0, 0.5, 1, 1.5), {}, [0, 127.5, 255, 255], "1 is taken"),
    "light with a lamp": (row("f4", *[0.2] * 9, 90), {}, [51] * 9 + [255], "1 is taken"),
    "floats to 255": (row("f4", 0, 51, 254), {}, [0, 51, 254], "255 is taken"),
    "floats to 65535": (row("f4", 0, 16448, 65535), {}, [0, 64, 255], "65535 is taken"),
    "floats to 4000": (row("f4", 0, 819, 4000), {}, [0, 51, 249], "4095 is taken"),
    "floats with a range": (
        row("f4", -2, 0, 2),
        {"tags": {340: ("f", [-2]), 341: ("f", [2])}},
        [0, 127.5, 255],
        "",
    ),
    "floats with an absurd range": (
        row("f4", 0, 51, 254),
        {"tags": {340: ("f", [2]), 341: ("f", [float("nan")])}},
        [0, 51, 254],
        "255 is taken",
    ),
    "floats, white is 0": (row("f4", 0, 0.2, 1), {"photometric": 0}, [255, 204, 0], ""),
    "nothing but holes": (row("f4", np.nan, np.inf), {}, [0, 0], ""),
    "RGB": (RGB8, {"photometric": 2}, SEEN, ""),
    "RGB, 16 bits": (RGB16, {"photometric": 2}, SEEN, ""),
    "RGB, planar": (RGB8, {"photometric": 2, "planar": True}, SEEN, ""),
    "RGB, 16 bits, planar": (RGB16, {"photometric": 2, "planar": True}, SEEN, ""),
    "RGBA, 16 bits": (RGBA16, {"photometric": 2, "tags": EXTRA["alpha"]}, ON_WHITE, ""),
    "RGBA, 16 bits, planar": (
        RGBA16,
        {"photometric": 2, "planar": True, "tags": EXTRA["alpha"]},
        ON_WHITE,
        "",
    ),
    "RGB and a rest, 16 bits, planar": (
        RGBA16,
        {"photometric": 2, "planar": True, "tags": EXTRA["rest"]},
        SEEN,
        "",
    ),
    "CMYK, 16 bits": (
        row("u2", (65535, 0, 0, 0), (0,) * 4),
        {"photometric": 5},
        [(0, 255, 255), 255],
        "",
    ),
    "CMYK, planar": (
        row("u1", (255, 0, 0, 0), (0,) * 4),
        {"photometric": 5, "planar": True},
        [(0, 255, 255), 255],
        "",
    ),
    "Lab": (row("u1", (255, 0, 0), (138, 81, 70)), {"photometric": 8}, [255, (255, 0, 0)], ""),
    "YCbCr": (
        row("u1", (76, 85, 255), (255, 128, 128)),
        {"photometric": 6, "tags": {530: ("H", [1, 1])}},
        [(254, 0, 0), 255],
        "",
    ),
    "gray and alpha": (
        row("u1", (40, 255), (40, 51)),
        {"tags": EXTRA["alpha"]},
        [40, 212],
        "",
    ),
    "gray multiplied by alpha": (
        row("u1", (40, 255), (8, 51)),
        {"tags": EXTRA["La"]},
        [40, 212],
        "",
    ),
    "a palette": (
        row("u1", 0, 1),
        {"photometric": 3, "tags": MAP},
        [(10, 20, 30), (200, 199, 198)],
        "",
    ),
    "a palette and alpha": (
        row("u1", (0, 255), (1, 0)),
        {"photometric": 3, "tags": MAP | EXTRA["alpha"]},
        [(10, 20, 30), 255],
        "",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("name", TIFFS)
def test_every_kind_of_tiff_comes_in_with_the_right_colors(
    name: str, layout: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """Or is refused, where Pillow knows no such kind in the other order of bytes."""
    values, options, expected, said = TIFFS[name]
    content = tiff(values, **options, **layout)
    if layout.get("order") == ">" and name in ("12 bits", "16 bits, white is 0", "32 bits"):
        with pytest.raises(ValueError, match="is not a picture that can be read"):
            colors(content)
        return
    check(content, expected, 6 if name == "Lab" else 1.01)
    err = capfd.readouterr().err
    assert err.count("\n") == bool(said)
    assert said in err


UNREAD: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "8 signed bits": (row("i1", -5, 100), {}),
    "gray and alpha": (row("u1", (40, 255), (40, 51)), {"tags": EXTRA["alpha"], "planar": True}),
    "Lab": (row("u1", (255, 0, 0), (128, 60, 250)), {"photometric": 8, "planar": True}),
    "RGB multiplied by alpha": (
        RGBA16,
        {"photometric": 2, "planar": True, "tags": EXTRA["La"]},
    ),
    "halves": (row("f2", 0, 1), {}),
    "doubles": (row("f8", 0, 1), {}),
    "RGB of floats": (row("f4", (0, 0, 1), (1, 0, 0)), {"photometric": 2}),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("name", UNREAD)
def test_what_would_be_read_wrongly_is_refused(name: str, layout: dict[str, Any]) -> None:
    values, options = UNREAD[name]
    with pytest.raises(ValueError, match=r"\Athe picture [^\n]*; (save it|use PNG)[^\n]*\Z"):
        colors(tiff(values, **options, **layout))


def packed(bits: int, *values: int) -> bytes:
    """Two rows of a PNG."""
    if bits == 16:
        return (b"\0" + struct.pack(f">{len(values)}H", *values)) * 2
    line = "".join(f"{value:0{bits}b}" for value in values)
    return (
        b"\0" + int(line.ljust(8 * -(-len(line) // 8), "0"), 2).to_bytes(-(-len(line) // 8))
    ) * 2


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_transparent_gray_of_a_png_is_in_its_own_bits(bits: int) -> None:
    dark, light = (0, 1) if bits == 1 else (1, 2**bits - 1)
    shown = 255 * dark / (2**bits - 1)
    rows = packed(bits, light, dark)
    for key, expected in ((dark, [255, 255]), (light, [255, shown])):
        check(png(2, 2, bits, 0, rows, {b"tRNS": struct.pack(">H", key)}), expected)
    check(png(2, 2, bits, 0, rows), [255, shown])


@pytest.mark.parametrize("bits", [8, 16])
def test_so_is_its_transparent_color(bits: int) -> None:
    full, odd = 2**bits - 1, 2 ** (bits - 4) + 2
    rows = packed(bits, 0, full, 0, odd, 0, odd)
    key = {b"tRNS": struct.pack(">3H", odd, 0, odd)}
    check(png(2, 2, bits, 2, rows, key), [(0, 255, 0), 255])


def test_gray_and_alpha_of_16_bits() -> None:
    check(png(2, 2, 16, 4, packed(16, 25700, 65535, 25700, 0)), [100, 255])


def profile_chunk(profile: bytes) -> dict[bytes, bytes]:
    return {b"iCCP": b"gray\0\0" + zlib.compress(profile)}


def test_a_gray_profile_holds_for_every_kind_of_gray() -> None:
    """Half of the light is 188 in sRGB."""
    profile = linear_gray_profile()
    of_tiff: Tags = {34675: ("B", list(profile))}
    files = {
        "PNG, 8 bits": png(2, 2, 8, 0, packed(8, 128, 255), profile_chunk(profile)),
        "PNG, 16 bits": png(2, 2, 16, 0, packed(16, 32896, 65535), profile_chunk(profile)),
        "PNG, alpha": png(2, 2, 8, 4, packed(8, 128, 255, 9, 0), profile_chunk(profile)),
        "PNG, 16 bits, alpha": png(
            2, 2, 16, 4, packed(16, 32896, 65535, 9, 0), profile_chunk(profile)
        ),
        "TIFF, 16 bits": tiff(row("u2", 32896, 65535), tags=of_tiff),
        "TIFF, floats": tiff(row("f4", 0.502, 1), tags=of_tiff),
        "TIFF, alpha": tiff(row("u1", (128, 255), (9, 0)), tags=of_tiff | EXTRA["alpha"]),
    }
    for content in files.values():
        check(content, [188, 255], 1.5)


def test_a_profile_of_colors_holds_where_the_file_has_others() -> None:
    of_tiff: Tags = {34675: ("B", list(swapped_profile()))}
    red = row("u1", (76, 85, 255), (255, 128, 128))
    check(tiff(red, 6, tags=of_tiff | {530: ("H", [1, 1])}), [(0, 254, 0), 255], 3)
    palette = tiff(row("u1", (1, 255), (0, 0)), 3, tags=of_tiff | MAP | EXTRA["alpha"])
    check(palette, [(199, 200, 198), 255], 3)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_pictures_are_turned_upright(mode: str) -> None:
    values = np.array([[0, 1], [0, 1]]) * (65535 if mode != "F" else 1)
    dtype = {"I;16": "u2", "I": "i4", "F": "f4"}[mode]
    content = tiff(values.astype(dtype), tags={274: ("H", [6])})  # the right is at the bottom
    check(content, [255, 255])


def test_what_is_said_names_the_file(tmp_path: Any, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "light.tif").write_bytes(tiff(row("f4", 0, 1.5)))
    load_image(tmp_path / "light.tif")
    assert re.fullmatch(
        r"nst: \S*light\.tif does not say .* from 0 to 1\.5.*\n", capfd.readouterr().err
    )


def test_a_portable_float_map_comes_in() -> None:
    picture = Image.fromarray(row("f4", 0, 0.2, 1))
    check(encoded(picture, "PPM"), [0, 51, 255])
