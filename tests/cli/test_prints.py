"""``--print A4 --dpi 300``: the size, the passes, what is said before, and what is in the file."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from outcome import Outcome
from PIL import Image

import nst_utils as nst
from nst_utils.cli import large
from nst_utils.cli.prints import Paper, paper, passes, pixels
from nst_utils.networks import builders
from nst_utils.objective.rows import Row

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


@pytest.mark.parametrize("longest", [100, 512, 568, 600, 1000, 1300, 3508, 7016])
@pytest.mark.parametrize("steps", [1, 3, 20, 300])
def test_the_passes_before_can_be_made(longest: int, steps: int) -> None:
    first = passes(longest, steps)
    if first is None:
        assert longest < 600 or steps < 5
        return
    assert sum(first.values()) < steps
    assert list(first) == sorted(first)
    assert next(iter(first)) * longest == pytest.approx(512, abs=0.001 * longest)
    assert all(0 < share < 0.9 for share in first)


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


@pytest.mark.parametrize(("free", "expected"), [(1e12, None), (9e9, 1024), (8e9, 512), (1e6, 256)])
def test_tiles_are_as_large_as_memory_allows(
    free: float, expected: int | None, thin_net: nst.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = {None: 20e9, 1024: 8e9, 512: 7e9, 256: 6.5e9}
    monkeypatch.setattr(large, "available", lambda device: free)
    monkeypatch.setattr(large, "estimate", lambda net, rows, size, tile: needs[tile])
    row = Row(content=torch.zeros(1, 3, 1200, 1600))
    tile, need = large.tile_that_fits(thin_net, row, torch.device("cpu"), None)
    assert (tile, need) == (expected, needs[expected])
    assert large.tile_that_fits(thin_net, row, torch.device("cpu"), 512) == (512, 7e9)
    small = Row(content=torch.zeros(1, 3, 96, 128))
    assert large.tile_that_fits(thin_net, small, torch.device("cpu"), None)[0] is None


def test_the_time_is_carried_over_by_pixels_and_steps(
    thin_net: nst.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pixel of a step takes a microsecond, in tiles 2.25; a size begins with three more."""

    def probe(content: torch.Tensor, style: torch.Tensor, **settings: Any) -> nst.Result:
        pixels = content.shape[2] * content.shape[3]
        return nst.Result(content, {}, {}, seconds=3e-6 * pixels, evaluations=3)

    monkeypatch.setattr(large, "transfer", probe)
    content, style = torch.zeros(1, 3, 1000, 2000), torch.zeros(1, 3, 50, 50)
    given: dict[str, Any] = {"steps": 10, "device": "cpu"}
    plain = large.seconds(content, style, thin_net, smaller_first=None, tile=None, **given)
    assert plain == pytest.approx(2 * 13, rel=0.01)
    first = {0.2: 4, 0.5: 4}
    levels = large.seconds(content, style, thin_net, smaller_first=first, tile=512, **given)
    expected = 7 * 2 * 0.2**2 + 2.25 * (7 * 2 * 0.5**2 + 5 * 2)
    assert levels == pytest.approx(expected, rel=0.01)
    given["steps"] = 16  # two at each of eight sizes, from 62 px of the shorter side
    growing = large.seconds(content, style, thin_net, smaller_first="growing", tile=None, **given)
    assert growing == pytest.approx(5 * 2 * sum(0.5**k for k in range(8)), rel=0.01)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (40, "40 s"), (600, "10 min"), (9000, "2.5 h")],
)
def test_how_long_is_said_roughly(seconds: float, said: str) -> None:
    assert large.duration(seconds) == said
