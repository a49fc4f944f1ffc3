"""Masks: white is inside, black and transparent outside, whatever the file; kept transparency."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from picture_files import encoded, linear_gray_profile, png, tiff
from PIL import Image
from torch import Tensor

import nst_utils as nst

# Color or gray and alpha of the three patches of a mask, from left to right.
Patches = list[Any]


def drawn(mode: str, *patches: Any) -> Image.Image:
    picture = Image.new(mode, (4 * len(patches), 4))
    for i, patch in enumerate(patches):
        picture.paste(patch, (4 * i, 0, 4 * i + 4, 4))
    return picture


def paletted() -> Image.Image:
    picture = drawn("P", 0, 1, 2)
    picture.putpalette([255, 255, 255, 0, 0, 0, 255, 255, 255])
    return picture


def ramp(dtype: str, *values: float) -> np.ndarray:
    return np.kron(np.array([values], dtype=dtype), np.ones((4, 4), dtype=dtype))


def deep_png() -> bytes:
    """White, middle gray, and a third of white, which is transparent."""
    row = b"\0" + ramp("u2", 65535, 32768, 21845)[0].astype(">u2").tobytes()
    return png(12, 4, 16, 0, row * 4, {b"tRNS": b"\x55\x55"})


W, B = (255, 255, 255), (0, 0, 0)
MASKS: dict[str, tuple[bytes, list[float]]] = {
    "gray": (encoded(drawn("L", 255, 0, 51), "PNG"), [1, 0, 0.2]),
    "RGB": (encoded(drawn("RGB", W, B, (255, 0, 0)), "PNG"), [1, 0, 1 / 3]),
    "JPEG": (encoded(drawn("L", 255, 0), "JPEG", quality=100), [1, 0]),
    "1 bit": (encoded(drawn("1", 1, 0), "PNG"), [1, 0]),
    "1 bit, white is transparent": (
        encoded(drawn("L", 255, 0, 255), "PNG", transparency=0),
        [1, 0, 1],
    ),
    "16 bits": (encoded(Image.fromarray(ramp("u2", 65535, 0, 13107)), "PNG"), [1, 0, 0.2]),
    "16 bits, a transparent gray": (deep_png(), [1, 0.5, 0]),
    "16 bits, white is 0": (tiff(ramp("u2", 0, 65535), photometric=0), [1, 0]),
    "floats": (tiff(ramp("f4", 1, 0, 0.2)), [1, 0, 0.2]),
    "white and transparent": (
        encoded(drawn("RGBA", (*W, 255), (*W, 0), (*W, 51)), "PNG"),
        [1, 0, 0.2],
    ),
    "white, black and transparent": (
        encoded(drawn("RGBA", (*W, 255), (*B, 255), (*W, 0), (*B, 0)), "PNG"),
        [1, 0, 0, 0],
    ),
    "gray and alpha": (encoded(drawn("LA", (255, 255), (255, 0), (51, 255)), "PNG"), [1, 0, 0.2]),
    "a transparent color": (
        encoded(drawn("RGB", W, (9, 200, 9)), "PNG", transparency=(9, 200, 9)),
        [1, 0],
    ),
    "a transparent gray": (encoded(drawn("L", 255, 200), "PNG", transparency=200), [1, 0]),
    "a palette": (encoded(paletted(), "PNG"), [1, 0, 1]),
    "a palette with alpha": (
        encoded(paletted(), "PNG", transparency=bytes([255, 255, 0])),
        [1, 0, 0],
    ),
    "a GIF": (encoded(paletted(), "GIF", transparency=2), [1, 0, 0]),
    "a WebP": (encoded(drawn("RGBA", (*W, 255), (*W, 0)), "WEBP", lossless=True), [1, 0]),
    "a TIFF with alpha": (encoded(drawn("RGBA", (*W, 255), (*W, 0)), "TIFF"), [1, 0]),
    "with a profile": (
        encoded(drawn("L", 255, 0, 51), "PNG", icc_profile=linear_gray_profile()),
        [1, 0, 0.2],
    ),
}


@pytest.mark.parametrize("name", MASKS)
def test_white_is_inside_black_and_transparent_are_outside(name: str) -> None:
    content, expected = MASKS[name]
    mask = nst.load_mask(io.BytesIO(content))
    assert mask.dtype == torch.float32
    assert mask.shape == (1, 1, 4, 4 * len(expected))
    patches = mask[0, 0, 2, 2::4]
    torch.testing.assert_close(patches, torch.tensor(expected).float(), rtol=0, atol=0.005)


def test_a_mask_is_turned_and_scaled_as_the_photograph(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    drawn("L", 255, 0).save(tmp_path / "turned.png", exif=exif)
    mask = nst.load_mask(tmp_path / "turned.png", (16, 8))
    assert mask.shape == (1, 1, 16, 8)
    assert mask[0, 0, :4].min() > 0.9
    assert mask[0, 0, -4:].max() < 0.1


@pytest.mark.parametrize(
    "picture",
    [
        drawn("L", 0, 0),
        drawn("RGBA", (*B, 255), (*B, 0)),
        drawn("RGBA", (*B, 255), (*W, 0)),
        drawn("LA", (0, 255), (255, 0)),
        drawn("RGBA", (*W, 0), (*W, 0)),
    ],
)
def test_a_mask_with_nothing_inside_is_not_turned_round(
    picture: Image.Image, tmp_path: Path
) -> None:
    picture.save(tmp_path / "dark.png")
    with pytest.raises(ValueError, match=r"\A\S*dark\.png as a mask has nothing inside.*paint"):
        nst.load_mask(tmp_path / "dark.png")


def test_transparency_comes_with_the_picture_and_goes_out_with_it(tmp_path: Path) -> None:
    drawn("RGBA", (200, 0, 0, 255), (0, 0, 200, 0)).save(tmp_path / "cut.png")
    alpha = nst.load_alpha(tmp_path / "cut.png", 16)
    assert alpha is not None
    image = nst.load_image(tmp_path / "cut.png", 16)
    assert alpha.shape == (1, 1, *image.shape[2:])
    for kind in ("png", "webp", "tif"):
        path = nst.save_image(image, tmp_path / f"out.{kind}", alpha=alpha)
        back = nst.load_alpha(path)
        assert back is not None
        torch.testing.assert_close(back, alpha, rtol=0, atol=0.5 / 255 + 1e-6)
    for kind in ("jpg", "bmp"):
        assert nst.load_alpha(nst.save_image(image, tmp_path / f"out.{kind}", alpha=alpha)) is None


@pytest.mark.parametrize("size", [None, 5, (7, 9)])
@pytest.mark.parametrize("name", ["gray", "JPEG", "16 bits", "floats", "1 bit"])
def test_what_is_opaque_has_no_alpha(name: str, size: int | tuple[int, int] | None) -> None:
    assert nst.load_alpha(io.BytesIO(MASKS[name][0]), size) is None


@pytest.mark.parametrize(
    "alpha",
    [torch.ones(1, 1, 3, 3), torch.ones(4, 4), "x", torch.full((1, 1, 4, 4), torch.nan)],
)
def test_an_alpha_of_another_shape_is_refused(alpha: Any, tmp_path: Path) -> None:
    image: Tensor = torch.zeros(1, 3, 4, 4)
    with pytest.raises(ValueError, match=r"\Aalpha [^\n]*\Z"):
        nst.save_image(image, tmp_path / "a.png", alpha=alpha)
    assert not list(tmp_path.iterdir())
