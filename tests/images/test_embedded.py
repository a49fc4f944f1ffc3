"""A picture tells what it was made with, as long as its file is whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import nst_utils as nst
from nst_utils.images.embedded import KEYWORD, settings_of_whole

SETTINGS = {"steps": 3, "style": ["Gemälde.jpg"], "weights": {"conv1_1": 0.2}, "none": None}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return nst.save_image(nst.noise_image(30, 40), tmp_path / "a.png", settings=SETTINGS)


def test_settings_are_read_as_they_were_written(file: Path) -> None:
    assert settings_of_whole(file) == SETTINGS
    with Image.open(file) as picture:
        assert {"Software", KEYWORD} <= {*picture.info}


def test_the_pixels_are_the_same_with_settings_and_without(file: Path, tmp_path: Path) -> None:
    plain = nst.save_image(nst.noise_image(30, 40), tmp_path / "b.png")
    with Image.open(file) as one, Image.open(plain) as other:
        assert one.tobytes() == other.tobytes()
    assert settings_of_whole(plain) is None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_part_of_a_file_tells_nothing(file: Path, share: float) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert settings_of_whole(file) is None


def test_nor_does_one_with_a_turned_bit(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[-40] ^= 1
    file.write_bytes(whole)
    assert settings_of_whole(file) is None


def test_nor_does_what_is_no_picture(tmp_path: Path) -> None:
    assert settings_of_whole(tmp_path / "missing.png") is None
    assert settings_of_whole(tmp_path) is None


@pytest.mark.parametrize("ending", ["jpg", "webp", "tif", "bmp"])
def test_other_formats_leave_it_out(ending: str, tmp_path: Path) -> None:
    path = nst.save_image(nst.noise_image(8, 8), tmp_path / f"a.{ending}", settings=SETTINGS)
    assert nst.load_image(path).shape == (1, 3, 8, 8)
