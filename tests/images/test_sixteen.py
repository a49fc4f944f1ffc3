"""Sixteen bits a color: every level arrives, and other programs read it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from outcome import Outcome
from PIL import Image, ImageCms
from torch import Tensor

import nst_utils as nst
from nst_utils.images.embedded import settings_of_whole
from nst_utils.images.files import dpi_of


def ramp() -> Tensor:
    """(1, 3, 256, 256) with each of 65536 levels in each color."""
    levels = torch.arange(65536).reshape(256, 256)
    colors = torch.stack([levels, levels.flip(0), levels.T])
    return (colors.double() / 65535).float()[None]


def levels_of(path: Path) -> Tensor:
    """(H, W, colors), each level; Pillow reads the upper eight bits of them only."""
    if path.suffix == ".png":
        chunks, data = {}, path.read_bytes()[8:]
        while data:
            (length,) = struct.unpack(">I", data[:4])
            chunks[data[4:8]], data = data[8 : 8 + length], data[12 + length :]
        width, height, bits, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
        rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
        assert bits == 16
        assert (rows[:, 0] == 2).all(), "each row as its difference to the one above"
        found = np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).view(">u2")
        shape = (height, width, {2: 3, 6: 4}[kind])
        return torch.from_numpy(found.reshape(shape).astype("i4"))
    with Image.open(path) as picture:
        tags = picture.tag_v2  # type: ignore[attr-defined]
        data = path.read_bytes()[tags[273][0] :][: tags[279][0]]
        shape = (picture.height, picture.width, tags[277])
    return torch.from_numpy(np.frombuffer(zlib.decompress(data), "<u2").reshape(shape).astype("i4"))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_each_level_arrives(ending: str, tmp_path: Path) -> None:
    path = nst.save_image(ramp(), tmp_path / f"a.{ending}", bits=16)
    expected = (ramp()[0].double() * 65535).round().int().permute(1, 2, 0)
    assert torch.equal(levels_of(path), expected)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_it_is_the_picture_of_8_bits_and_more(ending: str, tmp_path: Path) -> None:
    image = torch.rand(1, 3, 30, 41, generator=torch.Generator().manual_seed(0))
    deep = nst.load_image(nst.save_image(image, tmp_path / f"a.{ending}", bits=16))
    assert (deep - image).abs().max() <= 1 / 255  # Pillow reads the upper eight
    assert (levels_of(tmp_path / f"a.{ending}").permute(2, 0, 1) / 65535 - image).abs().max() < 1e-5


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_transparency_is_kept(ending: str, tmp_path: Path) -> None:
    alpha = torch.linspace(0, 1, 30)[None, None, :, None].expand(1, 1, 30, 40)
    path = nst.save_image(nst.noise_image(30, 40), tmp_path / f"a.{ending}", alpha=alpha, bits=16)
    found = levels_of(path)
    assert found.shape == (30, 40, 4)
    assert torch.equal(found[:, 0, 3], (alpha[0, 0, :, 0] * 65535).round().int())


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_the_file_tells_its_colors_and_its_dots_an_inch(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    nst.save_image(nst.noise_image(30, 40), path, bits=16, dpi=(300, 240), settings={"steps": 3})
    with Image.open(path) as picture:
        assert picture.info["dpi"] == pytest.approx((300, 240), abs=0.02)
        if ending == "tif":
            profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
            assert "sRGB" in ImageCms.getProfileDescription(profile)
        else:
            assert picture.info["srgb"] == 0
    if ending == "png":
        assert settings_of_whole(path) == {"steps": 3}
    before = path.read_bytes()
    nst.save_image(nst.noise_image(30, 40), path, bits=16, dpi=(300, 240), settings={"steps": 3})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("path", "bits", "sentence"),
    [
        ("a.jpg", 16, "a.jpg cannot have 16 bits a color; let its name end in .png or .tif"),
        ("a.webp", 16, "cannot have 16 bits"),
        ("a.png", 12, "bits must be 8 or 16, got 12"),
    ],
)
def test_what_has_no_16_bits_is_a_sentence(
    path: str, bits: int, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        nst.save_image(nst.noise_image(4, 4), tmp_path / path, bits=bits)
    assert list(tmp_path.iterdir()) == []


def test_dots_an_inch_are_those_of_the_upright_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    turned = Image.Exif()
    turned[274] = 6
    Image.new("RGB", (40, 30)).save(path, dpi=(300, 150), exif=turned)
    assert dpi_of(path) == (150, 300)
    Image.new("RGB", (40, 30)).save(path, dpi=(300, 150))
    assert dpi_of(path) == (300, 150)
    Image.new("RGB", (40, 30)).save(tmp_path / "b.png")
    assert dpi_of(tmp_path / "b.png") is None
    assert dpi_of(tmp_path / "missing.png") is None


@pytest.fixture
def net(thin_net: nst.Network) -> nst.Network:
    return thin_net


@pytest.mark.usefixtures("shared_net")
def test_on_the_command_line(run: Callable[..., Outcome], tmp_path: Path) -> None:
    photo, out = tmp_path / "photo.jpg", tmp_path / "out.tif"
    Image.new("RGB", (60, 40), "teal").save(photo, dpi=(300, 300))
    words = ("transfer", photo, "china", "--size", 48, "--steps", 1, "--bits", 16, "-o")
    assert run(*words, out).code == 0
    assert levels_of(out).shape == (32, 48, 3)
    with Image.open(out) as picture:
        assert picture.info["dpi"] == (300, 300)
    outcome = run(*words, tmp_path / "out.jpg")
    assert outcome.code == 2
    assert "out.jpg cannot have 16 bits a color" in outcome.complaint
