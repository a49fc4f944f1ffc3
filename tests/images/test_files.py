"""Every kind of picture file comes in with the right colors, and goes out whole or not at all."""

from __future__ import annotations

import io
import os
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import (
    BAD_PICTURES,
    encoded,
    linear_gray_profile,
    make_bad_picture,
    noisy,
    png,
    srgb_profile,
    swapped_profile,
)
from PIL import Image
from torch import Tensor

from nst_utils.images import decoding
from nst_utils.images.files import load_image, noise_image, resize, save_image, to_pil
from nst_utils.images.names import samples

Color = tuple[float, float, float]

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def as_array(image: Tensor) -> np.ndarray:
    """(H, W, 3), 0..255, of one picture."""
    assert image.dtype == torch.float32
    assert image.ndim == 4
    assert image.shape[:2] == (1, 3)
    assert image.is_contiguous()
    return image[0].permute(1, 2, 0).numpy() * 255


def over_white(color: Color, alpha: int) -> Color:
    """What a half transparent color looks like on white paper."""
    red, green, blue = (c * alpha / 255 + 255 * (1 - alpha / 255) for c in color)
    return red, green, blue


def filled(mode: str, *colors: Any) -> Image.Image:
    """A picture of 8x8 px patches, one for each color, from left to right."""
    picture = Image.new(mode, (8 * len(colors), 8))
    for i, color in enumerate(colors):
        picture.paste(color, (8 * i, 0, 8 * i + 8, 8))
    return picture


def from_values(values: list[float], dtype: str) -> Image.Image:
    """A picture of 8x8 px patches with the values of a NumPy type: modes I;16, I and F."""
    return Image.fromarray(np.kron(np.array([values], dtype=dtype), np.ones((8, 8), dtype=dtype)))


def paletted(transparency: int | bytes | None = None) -> tuple[Image.Image, dict[str, Any]]:
    picture = filled("P", 0, 1, 2)
    picture.putpalette([10, 20, 30, 200, 100, 50, 0, 255, 0])
    return picture, {} if transparency is None else {"transparency": transparency}


def gray(*values: float) -> list[Color]:
    return [(value, value, value) for value in values]


# What is saved, as which type, with which options, and the colors that must come back.
Case = tuple[Image.Image, str, dict[str, Any], list[Color]]
CASES: dict[str, Case] = {
    "1": (filled("1", 0, 1), "PNG", {}, gray(0, 255)),
    "L": (filled("L", 0, 77, 255), "PNG", {}, gray(0, 77, 255)),
    "L with a transparent gray": (
        filled("L", 0, 77, 200),
        "PNG",
        {"transparency": 77},
        gray(0, 255, 200),
    ),
    "LA": (
        filled("LA", (40, 255), (40, 0), (40, 51)),
        "PNG",
        {},
        gray(40, 255, 40 * 0.2 + 255 * 0.8),
    ),
    "P": (*paletted()[:1], "PNG", {}, [(10, 20, 30), (200, 100, 50), GREEN]),
    "P with a transparent color": (
        paletted()[0],
        "PNG",
        paletted(1)[1],
        [(10, 20, 30), WHITE, GREEN],
    ),
    "P with half transparent colors": (
        paletted()[0],
        "PNG",
        paletted(bytes([255, 51, 0]))[1],
        [(10, 20, 30), over_white((200, 100, 50), 51), WHITE],
    ),
    "P in a GIF": (paletted()[0], "GIF", {}, [(10, 20, 30), (200, 100, 50), GREEN]),
    "P in a GIF with a transparent color": (
        paletted()[0],
        "GIF",
        paletted(2)[1],
        [(10, 20, 30), (200, 100, 50), WHITE],
    ),
    "RGB": (filled("RGB", (1, 2, 3), (250, 128, 7)), "PNG", {}, [(1, 2, 3), (250, 128, 7)]),
    "RGB with a transparent color": (
        filled("RGB", (1, 2, 3), (250, 128, 7)),
        "PNG",
        {"transparency": (1, 2, 3)},
        [WHITE, (250, 128, 7)],
    ),
    "RGBA": (
        filled("RGBA", (*RED, 255), (*RED, 0), (*BLUE, 102)),
        "PNG",
        {},
        [RED, WHITE, over_white(BLUE, 102)],
    ),
    "CMYK JPEG": (
        filled("CMYK", (0, 0, 0, 0), (255, 0, 0, 0), (51, 102, 0, 51)),
        "JPEG",
        {"quality": 100},
        [WHITE, (0, 255, 255), (204 * 0.8, 153 * 0.8, 204)],
    ),
    "YCbCr JPEG": (
        filled("RGB", RED, (20, 200, 90), BLUE),
        "JPEG",
        {"quality": 100, "subsampling": 0},
        [RED, (20, 200, 90), BLUE],
    ),
    "L JPEG": (filled("L", 0, 128, 255), "JPEG", {"quality": 100}, gray(0, 128, 255)),
    "I;16 PNG": (
        from_values([0, 257 * 64, 65535], "uint16"),
        "PNG",
        {},
        gray(0, 64, 255),
    ),
    "I;16 TIFF": (
        from_values([0, 257 * 64, 65535], "uint16"),
        "TIFF",
        {},
        gray(0, 64, 255),
    ),
    "I TIFF, 32 bits": (
        from_values([0, 257 * 64, 65535, 70000, -5], "int32"),
        "TIFF",
        {},
        gray(0, 64, 255, 255, 0),
    ),
    "F TIFF, 0 to 1": (
        from_values([0, 0.2, 1, -1], "float32"),
        "TIFF",
        {},
        gray(0, 51, 255, 0),
    ),
    "F TIFF, 0 to 255": (
        from_values([0, 51.5, 255, 300], "float32"),
        "TIFF",
        {},
        gray(0, 51.5, 255, 255),
    ),
    "F TIFF with holes": (
        from_values([np.nan, np.inf, 51, 255], "float32"),
        "TIFF",
        {},
        gray(0, 0, 51, 255),
    ),
    "WebP with transparency": (
        filled("RGBA", (*RED, 255), (*BLUE, 0)),
        "WEBP",
        {"lossless": True},
        [RED, WHITE],
    ),
    "BMP": (filled("RGB", (1, 2, 3), (9, 8, 7)), "BMP", {}, [(1, 2, 3), (9, 8, 7)]),
}


@pytest.mark.parametrize("name", CASES)
def test_every_mode_comes_in_with_the_right_colors(name: str, tmp_path: Path) -> None:
    picture, kind, options, expected = CASES[name]
    path = tmp_path / f"picture.{kind.lower()}"
    picture.save(path, format=kind, **options)
    loaded = load_image(path)
    array = as_array(loaded)
    assert array.shape == (8, 8 * len(expected), 3)
    assert 0 <= loaded.min() <= loaded.max() <= 1
    tolerance = 2.5 if kind == "JPEG" else 1.01 if picture.mode in ("LA", "P", "RGBA") else 0.01
    for i, color in enumerate(expected):
        patch = array[1:7, 8 * i + 1 : 8 * i + 7]
        np.testing.assert_allclose(patch, np.broadcast_to(color, patch.shape), atol=tolerance)


def test_a_png_with_16_bits_a_channel_keeps_its_colors(tmp_path: Path) -> None:
    values = np.array([[[65535, 0, 257 * 100], [257 * 30, 65535, 0]]] * 2, dtype=">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    (tmp_path / "deep.png").write_bytes(png(2, 2, bits=16, rows=rows))
    expected = [[[255, 0, 100], [30, 255, 0]]] * 2
    np.testing.assert_allclose(as_array(load_image(tmp_path / "deep.png")), expected, atol=0.51)


# EXIF 2.3, tag 0x0112: where the stored picture's first row and first column are to be seen.
UPRIGHT = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
STORED: dict[int, np.ndarray] = {
    1: UPRIGHT,  # row 0 at the top, column 0 at the left
    2: UPRIGHT[:, ::-1],  # top, right
    3: UPRIGHT[::-1, ::-1],  # bottom, right
    4: UPRIGHT[::-1],  # bottom, left
    5: UPRIGHT.swapaxes(0, 1),  # left, top
    6: np.rot90(UPRIGHT),  # right, top
    7: UPRIGHT[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: np.rot90(UPRIGHT, -1),  # left, bottom
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_exif_orientation_comes_in_upright(
    orientation: int, kind: str, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned"
    options = {"lossless": True, "quality": 100} if kind == "WEBP" else {}
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    stored.save(path, format=kind, exif=exif, **options)
    np.testing.assert_allclose(as_array(load_image(path)), UPRIGHT, atol=0.01)


def test_a_photograph_taken_with_a_turned_camera_comes_in_upright(tmp_path: Path) -> None:
    """Orientation 6, as telephones write it: the scene's top is the stored picture's left."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = filled("RGB", BLUE, GREEN)  # 16x8: sky at the left, grass at the right
    stored.save(tmp_path / "phone.jpg", exif=exif, quality=100, subsampling=0)
    array = as_array(load_image(tmp_path / "phone.jpg"))
    assert array.shape == (16, 8, 3)
    np.testing.assert_allclose(array[2, 4], BLUE, atol=3)
    np.testing.assert_allclose(array[13, 4], GREEN, atol=3)


PROFILED: dict[str, tuple[Image.Image, str, bytes, list[Color]]] = {
    "RGB": (filled("RGB", (200, 30, 90)), "PNG", swapped_profile(), [(30, 200, 90)]),
    "RGB JPEG": (filled("RGB", (200, 30, 90)), "JPEG", swapped_profile(), [(30, 200, 90)]),
    "RGBA": (
        filled("RGBA", (200, 30, 90, 255), (200, 30, 90, 0), (200, 30, 90, 128)),
        "PNG",
        swapped_profile(),
        [(30, 200, 90), WHITE, over_white((30, 200, 90), 128)],
    ),
    "P": (
        paletted()[0],
        "PNG",
        swapped_profile(),
        [(20, 10, 30), (100, 200, 50), (255, 0, 0)],
    ),
    "L": (filled("L", 0, 128, 255), "PNG", linear_gray_profile(), gray(0, 188, 255)),
    "sRGB": (filled("RGB", (200, 30, 90)), "PNG", srgb_profile(), [(200, 30, 90)]),
    "a damaged profile": (filled("RGB", (200, 30, 90)), "PNG", b"nothing", [(200, 30, 90)]),
    "a profile of another kind": (filled("L", 77), "PNG", swapped_profile(), gray(77)),
}


@pytest.mark.parametrize("name", PROFILED)
def test_color_profiles_are_converted_to_srgb(name: str, tmp_path: Path) -> None:
    picture, kind, profile, expected = PROFILED[name]
    path = tmp_path / "profiled"
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    picture.save(path, format=kind, icc_profile=profile, **options)
    array = as_array(load_image(path))
    for i, color in enumerate(expected):
        np.testing.assert_allclose(array[4, 8 * i + 4], color, atol=3)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken(kind: str, tmp_path: Path) -> None:
    frames = [filled("RGB", color) for color in (RED, GREEN, BLUE)]
    options = {"lossless": True} if kind == "WEBP" else {}
    path = tmp_path / "moving"
    frames[0].save(path, format=kind, save_all=True, append_images=frames[1:], **options)
    assert getattr(Image.open(path), "n_frames", 1) == 3
    np.testing.assert_allclose(as_array(load_image(path))[4, 4], RED, atol=1)


@pytest.fixture(scope="module")
def wide_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Left half red, right half blue, 90x30 px."""
    path = tmp_path_factory.mktemp("pictures") / "wide.png"
    picture = Image.new("RGB", (90, 30), RED)
    picture.paste(BLUE, (45, 0, 90, 30))
    picture.save(path)
    return path


@given(size=st.integers(1, 200))
@settings(deadline=None, max_examples=30)
def test_size_is_the_longest_side_up_and_down(size: int, wide_file: Path) -> None:
    image = load_image(wide_file, size)
    assert image.shape == (1, 3, max(1, round(size / 3)), size)
    assert 0 <= image.min() <= image.max() <= 1
    if size > 8:
        np.testing.assert_allclose(as_array(image)[:, 0], [RED] * image.shape[2], atol=2)
        np.testing.assert_allclose(as_array(image)[:, -1], [BLUE] * image.shape[2], atol=2)


@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    size=st.integers(1, 90),
    color=st.tuples(*[st.floats(0, 1, width=32)] * 3),
)
@settings(deadline=None, max_examples=60)
def test_scaling_keeps_the_aspect_ratio_and_a_plain_color(
    height: int, width: int, size: int, color: Color
) -> None:
    image = torch.tensor(color).view(1, 3, 1, 1).expand(1, 3, height, width)
    scaled = resize(image, size)
    sides = scaled.shape[-2:]
    assert max(sides) == size
    assert abs(min(sides) - max(1.0, size * min(height, width) / max(height, width))) <= 0.5
    assert (sides[0] > sides[1]) <= (height > width)
    torch.testing.assert_close(
        scaled, torch.tensor(color).view(1, 3, 1, 1).expand_as(scaled), atol=1e-5, rtol=0
    )


def test_a_portrait_stays_a_portrait(tmp_path: Path) -> None:
    noisy(20, 50).save(tmp_path / "tall.png")
    assert load_image(tmp_path / "tall.png", 100).shape == (1, 3, 100, 40)


def test_a_pair_is_height_and_width(wide_file: Path) -> None:
    assert load_image(wide_file, (40, 20)).shape == (1, 3, 40, 20)


@pytest.mark.parametrize(
    ("by", "expected"), [("longest", (38, 100)), ("shortest", (100, 267)), ("area", (61, 163))]
)
def test_size_is_of_the_longest_or_shortest_side_or_of_the_area(
    by: str, expected: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (160, 60)).save(path)
    assert load_image(path, 100, by=by).shape[2:] == expected
    assert resize(load_image(path), 100, by=by).shape[2:] == expected
    assert load_image(path, (7, 9), by=by).shape[2:] == (7, 9)
    with pytest.raises(ValueError, match="unknown by 'are'; did you mean 'area'"):
        load_image(path, 100, by="are")


def test_without_a_size_the_picture_keeps_its_pixels(tmp_path: Path) -> None:
    noisy().save(tmp_path / "own.png")
    np.testing.assert_array_equal(
        as_array(load_image(tmp_path / "own.png")).round(), np.asarray(noisy())
    )


def test_scaling_down_averages_instead_of_picking_pixels() -> None:
    """Without antialiasing a fine checkerboard would turn black, white or into moire."""
    rows, columns = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    board = ((rows + columns) % 2).float().expand(1, 3, 128, 128)
    scaled = resize(board, 19)
    assert (scaled - 0.5).abs().max() < 0.06


@pytest.mark.parametrize(
    "size",
    [0, -1, 2.5, "64", True, (0, 5), (5, -1), (3, 4, 5), [8, 8], 10**6, 10**30, (10**5,) * 2],
)
def test_an_impossible_size_is_refused_in_one_sentence(size: Any, wide_file: Path) -> None:
    with pytest.raises(ValueError, match=r"\Asize.*\Z"):
        load_image(wide_file, size)


def test_numpys_whole_numbers_are_sizes(wide_file: Path) -> None:
    assert load_image(wide_file, np.int64(30)).shape == (1, 3, 10, 30)  # type: ignore[arg-type]


@given(
    pixels=st.integers(0, 1000),
    batch=st.integers(1, 3),
    height=st.integers(2, 9),
    width=st.integers(2, 9),
)
@settings(deadline=None, max_examples=20)
def test_saving_and_loading_a_png_gives_the_picture_back(
    pixels: int, batch: int, height: int, width: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    picture = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(pixels))
    path = save_image(picture, tmp_path_factory.getbasetemp() / "round_trip.png")
    back = load_image(path)
    assert back.shape == (1, 3, height, batch * (width + 8) - 8)
    for i, one in enumerate(picture):
        part = back[0, :, :, i * (width + 8) :][:, :, :width]
        assert (part - one).abs().max() <= 0.5 / 255 + 1e-6
    if batch > 1:
        assert (back[0, :, :, width : width + 8] == 1).all()


FORMATS = {
    "a.png": "PNG",
    "a.jpg": "JPEG",
    "a.jpeg": "JPEG",
    "a.webp": "WEBP",
    "a.tif": "TIFF",
    "a.tiff": "TIFF",
    "a.bmp": "BMP",
    "A.PNG": "PNG",
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_file_type_follows_the_name(name: str, tmp_path: Path) -> None:
    picture = torch.tensor([0.1, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 16, 24)
    path = save_image(picture, str(tmp_path / name))
    assert path == tmp_path / name
    with Image.open(path) as saved:
        assert saved.format == FORMATS[name]
        assert saved.size == (24, 16)
    assert (load_image(path) - picture).abs().max() < 3 / 255


def test_a_jpeg_keeps_the_colors_of_single_pixels(tmp_path: Path) -> None:
    """Pillow's default halves the resolution of color, which mixes red and blue stripes."""
    stripes = torch.tensor([RED, BLUE] * 16).T.reshape(1, 3, 1, 32).repeat(1, 1, 32, 1) / 255
    back = load_image(save_image(stripes, tmp_path / "stripes.jpg"))
    assert (back - stripes).abs().mean() < 5 / 255


@pytest.mark.parametrize("name", ["a.gif", "a.txt", "a", "a.png.exe", ".png"])
def test_an_unknown_file_type_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot write .*\.png, \.jpg"):
        save_image(torch.zeros(1, 3, 4, 4), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_values_outside_are_clamped_and_rounded_to_the_nearest_level() -> None:
    picture = torch.tensor([-0.5, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 7.0]).expand(3, 1, 6)
    assert np.asarray(to_pil(picture))[0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_any_float_type_can_be_saved(dtype: torch.dtype) -> None:
    picture = torch.full((3, 4, 5), 0.5, dtype=dtype, requires_grad=True)
    assert np.unique(np.asarray(to_pil(picture))).tolist() == [128]


BAD_TENSORS = {
    "NaN": torch.full((1, 3, 4, 4), torch.nan),
    "infinity": torch.full((1, 3, 4, 4), torch.inf),
    "bytes": torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
    "one channel": torch.zeros(1, 1, 4, 4),
    "channels last": torch.zeros(4, 4, 3),
    "no picture": torch.zeros(0, 3, 4, 4),
    "no pixel": torch.zeros(1, 3, 0, 4),
    "a matrix": torch.zeros(4, 4),
}


@pytest.mark.parametrize("name", BAD_TENSORS)
def test_a_tensor_that_is_no_picture_is_not_saved(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\Athe picture .*\Z"):
        save_image(BAD_TENSORS[name], tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_image(torch.zeros(1, 3, 4, 4), tmp_path / "a.png")
    before = path.read_bytes()

    def fail(self: Image.Image, file: io.BytesIO, **options: object) -> None:
        file.write(b"half of")
        raise error

    monkeypatch.setattr(Image.Image, "save", fail)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else ValueError
    with pytest.raises(expected) as caught:
        save_image(torch.ones(1, 3, 4, 4), path)
    if expected is ValueError:
        assert str(path) in str(caught.value)
        assert "No space left" in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_a_picture_too_wide_for_its_format_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"wide\.webp could not be written.*16383"):
        save_image(torch.zeros(1, 3, 2, 16_400), tmp_path / "wide.webp")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_file_is_refused_in_one_sentence_that_names_it(name: str, tmp_path: Path) -> None:
    path = make_bad_picture(name, tmp_path)
    begun, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        load_image(path)
    message = str(caught.value)
    assert (path.name if len(path.name) < 100 else str(path)[:60]) in message
    assert BAD_PICTURES[name][1] in message
    assert "\n" not in message
    assert len(message) < 500
    assert time.process_time() - begun < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 100_000  # KiB


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("a.heic", HEIC), ("renamed.jpg", HEIC), ("a.HEIF", b"no such thing" * 9)),
        ("a.jpg", HEIC.replace(b"ftypheic", b"ftypmif1")),
    ],
)
def test_a_telephones_heic_is_named_with_what_to_do(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} is a HEIC/HEIF picture.*convert it to JPEG"):
        load_image(tmp_path / name)


def test_a_jpeg_that_is_called_heic_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(encoded(noisy(10, 12), "JPEG"))
    assert load_image(tmp_path / "a.heic").shape == (1, 3, 12, 10)


@pytest.mark.parametrize("name", ["truncated.jpg", "bomb.png", "folder.png"])
def test_a_bad_file_may_be_given_as_text(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=name):
        load_image(str(make_bad_picture(name, tmp_path)), size=32)


def test_the_limit_of_pixels_is_inclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_PIXELS", 12)
    for width in (4, 5):
        noisy(width, 3).save(tmp_path / f"{width}.png")
    assert load_image(tmp_path / "4.png").shape == (1, 3, 3, 4)
    with pytest.raises(ValueError, match=r"5\.png has more than the 12 pixels"):
        load_image(tmp_path / "5.png")


def test_a_file_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret.png"
    noisy().save(path)
    if os.geteuid() == 0:  # root may read everything

        def refuse(file: object, **_: object) -> None:
            raise PermissionError(13, "Permission denied", str(file))

        monkeypatch.setattr(Image, "open", refuse)
    else:
        path.chmod(0)
    with pytest.raises(ValueError, match=r"secret\.png may not be read; change its permissions"):
        load_image(path)


@pytest.mark.parametrize(
    "error",
    [
        *(SyntaxError("not a TIFF"), IndexError("out of\nrange"), RuntimeError()),
        *(OverflowError("int too large"), AttributeError("no seek"), struct.error("4 bytes")),
        *(RecursionError("too deep"), UserWarning("treated as an error")),
    ],
)
def test_whatever_a_decoder_raises_becomes_a_sentence(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy().save(tmp_path / "odd.png")

    def fail(self: Image.Image) -> None:
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with pytest.raises(ValueError, match=r"odd\.png is damaged \(.+\); save or download it again"):
        load_image(tmp_path / "odd.png")


def test_too_little_memory_and_an_interrupt_are_told_apart_from_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy().save(tmp_path / "odd.png")
    for error, expected in ((MemoryError, ValueError), (KeyboardInterrupt, KeyboardInterrupt)):
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", Mock(side_effect=error))
        with pytest.raises(expected) as caught:
            load_image(tmp_path / "odd.png")
        if expected is ValueError:
            assert "odd.png needs more memory than there is; scale it down" in str(caught.value)


def test_a_mode_that_cannot_be_converted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy().save(tmp_path / "odd.png")

    def fail(self: Image.Image, mode: str) -> None:
        raise ValueError(f"conversion from La to {mode} not supported")

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(ValueError, match=r"odd\.png cannot be converted to RGB .*; save it as PNG"):
        load_image(tmp_path / "odd.png")


@pytest.mark.parametrize("name", ["~nobody-of-that-name/a.jpg", "a\0b.jpg"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be used as a path"):
        load_image(name)


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert save_image(torch.zeros(1, 3, 4, 4), "~/a.png") == tmp_path / "a.png"
    assert load_image("~/a.png").shape == (1, 3, 4, 4)


def test_bundled_pictures_are_loaded_by_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sample = samples()["starry-night"]
    image = load_image("starry-night")
    assert image.shape == (1, 3, sample.height, sample.width)
    assert (sample.author, sample.kind) == ("Vincent van Gogh", "style")
    assert sample.path.is_file()


def test_a_file_wins_over_a_bundled_picture_of_its_name_and_a_folder_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chelsea").mkdir()
    assert load_image("chelsea", 32).shape == (1, 3, 21, 32)
    Path("china").write_bytes(encoded(noisy(10, 12), "PNG"))
    assert load_image("china").shape == (1, 3, 12, 10)


@pytest.mark.parametrize(
    ("wrong", "right"), [("starry-nigth", "starry-night"), ("Chenonceaux", "chenonceau")]
)
def test_a_misspelled_name_gets_a_suggestion(wrong: str, right: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"{wrong}.*did you mean '{right}'"):
        load_image(wrong)


def test_noise_is_the_same_for_the_same_seed_only() -> None:
    state = torch.get_rng_state()
    first = noise_image(20, 30, seed=7)
    torch.rand(5)
    assert torch.equal(noise_image(20, 30, seed=7), first)
    assert not torch.equal(noise_image(20, 30, seed=8), first)
    torch.set_rng_state(state)
    expected = torch.rand(3)
    torch.set_rng_state(state)
    noise_image(20, 30, seed=7)
    assert torch.equal(torch.rand(3), expected), "the global generator was used"


def test_noise_is_gray_on_average_and_white() -> None:
    noise = noise_image(200, 300, seed=3, std=0.1)
    assert noise.shape == (1, 3, 200, 300)
    assert noise.dtype == torch.float32
    assert noise.mean().item() == pytest.approx(0.5, abs=0.002)
    assert noise.std().item() == pytest.approx(0.1, rel=0.02)
    z = (noise[0] - noise.mean()) / noise.std()
    neighbors = {
        "right": z[:, :, 1:] * z[:, :, :-1],
        "below": z[:, 1:] * z[:, :-1],
        "next channel": z[1:] * z[:-1],
    }
    for name, products in neighbors.items():
        assert abs(products.mean().item()) < 0.01, name


def test_strong_noise_stays_within_the_range() -> None:
    noise = noise_image(20, 20, std=5.0)
    assert noise.min() == 0
    assert noise.max() == 1


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "0", None])
def test_an_impossible_seed_is_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number from 0 to"):
        noise_image(4, 4, seed=seed)


def test_the_greatest_seed_works() -> None:
    assert noise_image(4, 4, seed=2**64 - 1).shape == (1, 3, 4, 4)


def test_quick_mode_loads_small_pictures(
    monkeypatch: pytest.MonkeyPatch, capsys: Callable[..., object]
) -> None:
    monkeypatch.setenv("NST_QUICK", "1")
    assert max(load_image("chelsea", 512).shape) == 64


def upload(content: bytes, name: str | None = None) -> io.BytesIO:
    """An open file as a form gives it, read to its end."""
    file = io.BytesIO(content)
    if name is not None:
        file.name = name
    file.seek(0, io.SEEK_END)
    return file


@pytest.mark.parametrize("name", [None, "mine.png"])
@pytest.mark.parametrize("size", [None, 32, (10, 12)])
def test_an_open_file_is_a_picture_too(
    name: str | None, size: int | tuple[int, int] | None, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    noisy().save(path)
    expected = load_image(path, size)
    assert torch.equal(load_image(upload(path.read_bytes(), name), size), expected)
    with path.open("rb") as file:
        assert torch.equal(load_image(file, size), expected)
        assert not file.closed
        assert torch.equal(load_image(file, size), expected), "it cannot be read twice"


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_open_file_is_refused_by_its_name_if_it_has_one(name: str, tmp_path: Path) -> None:
    path = make_bad_picture(name, tmp_path)
    is_file = len(name) < 256 and path.is_file()  # not a folder, a pipe, or nothing at all
    content = path.read_bytes() if is_file else b""
    complaint = BAD_PICTURES[name][1] if is_file else "is empty"
    for called in (name, None):
        with pytest.raises(ValueError, match=complaint) as caught:
            load_image(upload(content, called))
        assert str(caught.value).startswith(called or "the picture")
        assert "\n" not in str(caught.value)
        assert "0x" not in str(caught.value)
