"""The studio beyond 1024 px: what is said before, the stages and tiles, and the limits."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from picture_files import encoded, noisy
from PIL import Image
from studio_driver import Driver, studios
from waiting import comes_true

import nst_utils as nst
from nst_utils.app import panels, sizes
from nst_utils.app.limits import Limits
from nst_utils.app.recipe_files import write_png
from nst_utils.app.recipes import Recipe, of_preset
from nst_utils.app.sizes import enlarged, options
from nst_utils.experiments import large

MakeStudio = Callable[..., Driver]


@pytest.fixture
def make(
    thin_net: nst.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeStudio]:
    """Studios to which 96 px are large, and 32 what they are begun at."""
    for name, value in {"LARGEST_UNTILED": 64, "BEGUN_AT": 32, "_PROBE": 32}.items():
        monkeypatch.setattr(large, name, value)
    monkeypatch.setattr(sizes, "SIZES", (64, 96, 1024, 2048))
    with studios(thin_net, tmp_path, monkeypatch) as factory:
        yield factory


def test_sizes_beyond_the_screen_say_what_they_are_in_print() -> None:
    labels = dict(options(None, 700))
    assert labels["700"] == 700
    assert labels["2048 (17 cm at 300 dpi)"] == 2048
    assert max(labels.values()) == 4096
    assert max(labels.values()) in (size for _, size in options(4096, 64))
    assert [size for _, size in options(200, 150)] == [128, 150, 192]


def test_a_large_picture_is_foretold_and_painted_in_stages(
    make: MakeStudio, thin_net: nst.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 10**6

    def estimate(net: object, rows: object, size: object, optimizer: str, tile: int | None) -> int:
        return free // 2 if tile else free

    monkeypatch.setattr(large, "estimate", estimate)
    monkeypatch.setattr(large, "available", lambda device: free)
    studio = make(size=96, steps=10)
    where: list[str] = []
    studio["nst-where"].observe(lambda change: where.append(studio.text("nst-where")), "value")
    studio.paint()
    said = studio.text("nst-takes")
    assert re.fullmatch(
        r"96x64 px, begun at 32 px, then 48 px: about 0\.0 GB of memory in tiles of 1024 px "
        r"\(0\.0 GB are free\), and about \d+ s\.",
        said,
    ), said
    assert "Step 1 of 10, " in where[0]
    assert "96x64 px, now at 32 px" in where[0]
    assert "now at" not in where[-1]
    photo, painting = (nst.load_image(each, 96) for each in ("chelsea", "starry-night"))
    expected = nst.transfer(
        photo,
        painting,
        net=thin_net,
        smaller_first={0.333: 6, 0.5: 2},
        steps=10,
        tile=1024,
        device="cpu",
        progress=False,
    )
    assert studio.studio.image is not None
    assert torch.equal(studio.studio.image, expected.image)
    studio["nst-size"].value = 64
    studio.paint()
    assert not studio.text("nst-takes"), "it was said of another picture"


def test_a_large_run_is_reweighed_and_stopped_and_its_file_opens_again(make: MakeStudio) -> None:
    studio = make(size=96)
    studio.begin()
    studio["nst-ratio"].value = 0.25
    assert studio.says == "From here on alpha/beta is 0.25."
    assert comes_true(lambda: studio.studio.recipe.ratio == 0.25)
    studio.click("stop")
    studio.ends("Stopped after")
    assert studio.studio.image is not None
    assert studio.studio.image.shape == (1, 3, 64, 96)
    studio.click("save-picture")
    data = Path("chelsea-starry-night-1.png").read_bytes()
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (96, 64)
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    studio["nst-size"].value = 64
    studio.send("nst-open", "again.png", data)
    assert studio.studio.controls.recipe == replace(studio.studio.recipe, ratio=0.25, size=96)


def test_what_does_not_fit_is_a_sentence(make: MakeStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "available", lambda device: 10**6)
    studio = make(size=96)
    studio.click("start")
    studio.ends("This did not work: 96x64 px take about 0.")
    assert ", even in tiles of 256 px, and 0.0 GB are free; choose a smaller size." in studio.says


def test_a_stop_before_the_first_step_ends_it(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while it is timed: nothing is begun then."""
    studio = make(size=96, steps=100_000)
    studio["nst-takes"].observe(lambda change: studio.click("stop"), "value")
    studio.click("start")
    studio.ends("Stopped after 0 steps")
    assert studio.studio.image is None


@pytest.mark.parametrize(
    ("name", "init", "expected"),
    [
        ("paper", "noise", {0.333: 195, 0.5: 60}),
        ("paper", "content", None),
        ("gatys-2016", "content", {0.5: 500}),
        ("poster", "content", "growing"),
    ],
)
def test_a_preset_keeps_the_stages_of_its_own(
    name: str, init: str, expected: object, make: MakeStudio
) -> None:
    settings = of_preset(name, init=init, size=96)._settings(None, torch.zeros(1, 3, 64, 96))
    assert settings["smaller_first"] == expected


def test_pictures_with_fewer_pixels_are_named(make: MakeStudio) -> None:
    studio = make(size=96)
    assert not studio.text("nst-enlarged")
    studio.send("nst-content-upload", "mine.png", encoded(noisy(48, 40), "PNG"))
    assert studio.text("nst-enlarged") == "The photograph (48x40 px) is enlarged 2.0 times."
    studio.send("nst-content-upload", "other.png", encoded(noisy(100, 40), "PNG"))
    assert not studio.text("nst-enlarged")
    assert enlarged(1500, "chelsea", "great-wave", {}) == (
        "The photograph (451x300 px) is enlarged 3.3 times and the painting (665x450 px) is "
        "enlarged 2.3 times."
    )


def test_a_server_that_paints_small_pictures_takes_no_large_one(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*Limits(1024).environment.popitem())
    studio = make()
    assert max(size for _, size in studio["nst-size"].options) == 1024
    file = io.BytesIO()
    write_png(torch.zeros(1, 3, 8, 8), Recipe(size=2048), file)
    studio.send("nst-open", "large.png", file.getvalue())
    assert "pictures of up to 1024 px are painted here, not of 2048" in studio.says
    studio.send("nst-content-upload", "mine.png", encoded(noisy(1600, 16), "PNG"))
    assert studio.studio.controls.pictures["mine.png"].shape[3] == 1024


def test_the_gram_panel_sees_a_smaller_copy(
    thin_net: nst.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network would take as much memory as the run without its tiles."""
    seen: list[tuple[int, ...]] = []

    def grams(net: object, picture: torch.Tensor, layers: list[str]) -> dict[str, torch.Tensor]:
        seen.append(tuple(picture.shape[2:]))
        return {layer: torch.ones(2, 2) for layer in layers}

    monkeypatch.setattr(panels, "gram_matrices", grams)
    monkeypatch.setattr(panels, "grams", lambda pair, layer: "")
    made = panels.Panels()
    made.begin(Recipe(), torch.zeros(1, 3, 32, 2048), thin_net)
    made.show_all(torch.zeros(1, 3, 64, 1024))
    made._gram_panel.button.value = True
    assert seen == [(16, 1024), (64, 1024)]
