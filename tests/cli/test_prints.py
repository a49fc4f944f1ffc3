"""``--print A4 --dpi 300``: the size, the passes, what is said before, and what is in the file."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from outcome import Outcome
from PIL import Image

import nst_utils as nst
from nst_utils.cli.prints import Paper, paper, pixels
from nst_utils.networks import builders

Run = Callable[..., Outcome]


@pytest.fixture
def thin(thin_net: nst.Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``nst`` paint with it."""
    monkeypatch.setattr(builders, "NETWORKS", {"vgg19": lambda **settings: thin_net})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A4", (210, 297)),
        ("a3", (297, 420)),
        ("letter", (215.9, 279.4)),
        ("180x120", (120, 180)),
        ("120x180mm", (120, 180)),
        ("12.5x20", (12.5, 20)),
    ],
)
def test_papers_by_name_and_in_millimeters(text: str, expected: tuple[float, float]) -> None:
    assert paper(text) == Paper(text, *expected)


@pytest.mark.parametrize("text", ["", "A44", "x", "180", "180x", "0x100", "1x100", "-1x5", "1e3x5"])
def test_what_is_no_paper_is_a_sentence(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"must be A6, .* or millimeters such as 180x120"):
        paper(text)


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (768, 1024), (1000, 100), (64, 64)])
def test_a_print_fits_on_its_sheet_and_fills_it_one_way(width: int, height: int) -> None:
    across, down = pixels(paper("A4"), 300, width, height)
    sides = sorted([across / 300 * 25.4, down / 300 * 25.4])
    assert sides[0] <= 210.1
    assert sides[1] <= 297.1
    assert sides[0] == pytest.approx(210, abs=0.1) or sides[1] == pytest.approx(297, abs=0.1)
    assert across / down == pytest.approx(width / height, rel=0.01)


def test_a_print_is_of_that_size_and_says_so_in_its_file(
    thin: None, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "print.png"
    outcome = run(
        *("transfer", "chelsea", "china", "-o", out, "--steps", 2),
        *("--print", "30x20", "--dpi", 100),
    )
    assert outcome.code == 0
    said = re.search(
        r"30x20 mm at 100 dpi are 118x78 px: about [\d.]+ GB of memory, and about \d+ s",
        outcome.err,
    )
    assert said, outcome.err
    assert "enlarged" not in outcome.err
    with Image.open(out) as picture:
        assert picture.size == (118, 78)
        assert picture.info["dpi"] == pytest.approx((100, 100), abs=0.01)


def test_a_photograph_that_had_to_be_enlarged_is_said(thin: None, run: Run, tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    Image.effect_noise((40, 30), 80).convert("RGB").save(small)
    options = ("-o", tmp_path / "a.tif", "--steps", 1, "--print", "40x40", "--dpi", 50)
    outcome = run("transfer", small, "china", *options)
    assert "the photograph has 40x30 px and is enlarged 2.0 times" in outcome.err
    assert not run("transfer", small, "china", *options, "--quiet").err


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp"])
def test_dots_to_an_inch_are_written(ending: str, tmp_path: Path) -> None:
    path = nst.save_image(torch.rand(1, 3, 8, 8), tmp_path / f"a.{ending}", dpi=300)
    with Image.open(path) as picture:
        assert [float(each) for each in picture.info["dpi"]] == pytest.approx([300, 300], abs=0.1)


def test_webp_holds_none(run: Run, tmp_path: Path) -> None:
    outcome = run("transfer", "chelsea", "china", "-o", tmp_path / "a.webp", "--print", "A4")
    assert outcome.code == 2
    assert "WebP holds no dots to an inch" in outcome.complaint
