"""What a newcomer sees of the studio: the pair, what was made before, limits, where saves go."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from studio_driver import Driver, studios

import nst_utils as nst
from nst_utils.app import earlier
from nst_utils.app.limits import Limits
from nst_utils.app.recipe_files import read_png, write_png
from nst_utils.app.recipes import Recipe, of_preset
from nst_utils.app.sentences import paragraph
from nst_utils.experiments import large

MakeStudio = Callable[..., Driver]


@pytest.fixture
def make(
    thin_net: nst.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeStudio]:
    with studios(thin_net, tmp_path, monkeypatch) as factory:
        yield factory


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a server that paints little."""
    for name, value in Limits(64, 5, is_served=True).environment.items():
        monkeypatch.setenv(name, value)


def test_the_pair_is_shown_with_its_titles(make: MakeStudio) -> None:
    studio = make(content="eilean-donan", style="great-wave")
    for part in ("Eilean Donan", "The Great Wave off Kanagawa", "Katsushika Hokusai"):
        assert part in studio.text("nst-pair")
    studio.radio("nst-style").value = "starry-night"
    assert "The Starry Night" in studio.text("nst-pair")
    assert "Great Wave" not in studio.text("nst-pair")
    assert "nst-small" not in studio["nst-pair"]._dom_classes
    studio.paint()
    assert "nst-small" in studio["nst-pair"]._dom_classes


def test_nothing_empty_is_shown_before_the_first_step(make: MakeStudio) -> None:
    studio = make()
    hidden = [studio["nst-progress"], studio.studio.panels.widget, studio.studio.stage.sliders]
    hidden.append(studio.studio.earlier.widget)
    assert [each.layout.display for each in hidden] == ["none"] * 4
    studio.paint()
    assert [each.layout.display for each in hidden] == [None] * 4


def test_a_single_step_is_one_step(make: MakeStudio) -> None:
    studio = make(steps=1)
    studio.paint()
    assert studio.says.startswith("Finished after 1 step, ")
    assert "Step 1 of 1, 100% of the work" in studio.text("nst-where")


def test_of_the_run_before_nothing_is_said_while_the_next_one_is_prepared(make: MakeStudio) -> None:
    studio = make()
    studio.paint()
    assert studio.text("nst-where")
    seen = set()

    def look(change: Any) -> None:
        if "Preparing" in studio.says:
            seen.add((studio.text("nst-where"), studio["nst-progress"].layout.display))

    studio["nst-state"].observe(look, "value")
    studio.paint()
    assert seen == {("", "none")}


def test_a_line_does_not_end_between_a_number_and_its_unit() -> None:
    shown = paragraph("100% of the work, 12 s left; 128x96 px, 2 pictures")
    assert shown == "<p>100% of the work, 12&nbsp;s left; 128x96&nbsp;px, 2 pictures</p>"
    assert not paragraph(""), "an empty one would leave a gap"


def results(studio: Driver) -> list[Any]:
    """The buttons of what was made, the last first."""
    return list(studio["nst-earlier"].children)


def test_another_start_loses_nothing(make: MakeStudio) -> None:
    studio = make(seed=1, ratio=0.01)
    studio.paint()
    first, recipe = studio.studio.image, studio.studio.recipe
    studio["nst-seed"].value = 2
    studio.radio("nst-style").value = "great-wave"
    studio.paint()
    assert [each.description[:2] for each in results(studio)] == ["2:", "1:"]
    assert studio.studio.image is not first
    results(studio)[1].click()
    assert "Here it is again" in studio.says
    assert studio.studio.image is first
    assert studio.studio.recipe == studio.studio.controls.recipe == recipe
    assert 'alt="chelsea in the style of starry-night, the picture now"' in (
        studio["nst-stage"].value
    )
    studio.click("save-picture")
    assert read_png("chelsea-starry-night-1.png") == recipe
    assert len(results(studio)) == 2


def test_a_large_result_is_kept_as_its_file_has_it(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a quarter of the memory."""
    studio = make(steps=1)
    studio.paint()
    studio.click("save-picture")
    large_one = studio.studio.image
    monkeypatch.setattr(large, "LARGEST_UNTILED", 16)
    assert large_one is not None
    studio.studio.earlier.add(earlier.Made(large_one, studio.studio.recipe, 1))
    kept, _, _ = studio.studio.earlier._made[0]
    assert kept.image.dtype == torch.uint8
    results(studio)[0].click()
    assert studio.studio.image is not large_one
    studio.click("save-picture")
    first, again = (nst.load_image(f"chelsea-starry-night-{k}.png") for k in (1, 2))
    assert torch.equal(first, again)


def test_while_a_run_goes_on_nothing_takes_its_place(make: MakeStudio) -> None:
    studio = make()
    studio.paint()
    studio.begin()
    results(studio)[0].click()
    assert "A run is going on. Stop it first" in studio.says
    studio.click("stop")
    studio.ends("Stopped after")
    assert len(results(studio)) == 2


def test_a_run_that_goes_on_can_be_told_from_the_page(make: MakeStudio) -> None:
    """Which warns before it is left."""
    studio = make()
    classes = studio["nst-studio"]._dom_classes
    assert "nst-running" not in classes
    studio.begin()
    assert "nst-running" in studio["nst-studio"]._dom_classes
    studio.click("stop")
    studio.ends("Stopped after")
    assert "nst-running" not in studio["nst-studio"]._dom_classes


def test_the_oldest_results_go(make: MakeStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "MOST", 2)
    studio = make(steps=1)
    for _ in range(3):
        studio.paint()
    assert [each.description[:2] for each in results(studio)] == ["3:", "2:"]


@pytest.mark.parametrize("name", nst.PRESETS)
def test_alpha_beta_can_be_moved_around_the_presets_own_value(name: str, make: MakeStudio) -> None:
    studio = make(preset=name)
    slider, own = studio["nst-ratio"], of_preset(name).ratio
    assert slider.value == pytest.approx(own)
    assert 10**slider.min == pytest.approx(max(1e-6, own / 100))
    assert 10**slider.max == pytest.approx(min(1e4, own * 100))
    far = make(preset=name, ratio=1e4)
    assert far["nst-ratio"].value == pytest.approx(1e4)


def test_a_server_offers_and_takes_no_more_than_it_paints(limited: None, make: MakeStudio) -> None:
    studio = make(size=64, steps=300)
    assert studio["nst-steps"].value == 5
    assert max(size for _, size in studio["nst-size"].options) == 64
    studio["nst-preset"].value = "content-start"
    assert studio["nst-steps"].value == 5
    for size, steps, says in ((128, 5, "up to 64 px"), (64, 6, "up to 5 steps")):
        file = io.BytesIO()
        recipe = replace(Recipe(), size=size, steps=steps)
        write_png(torch.zeros(1, 3, 8, 8), recipe, file)
        studio.send("nst-open", "large.png", file.getvalue())
        assert says in studio.says
    studio["nst-steps"].value = 6
    studio.click("start")
    assert "This cannot be started: up to 5 steps are made here, not 6" in studio.says


def test_a_server_keeps_nobodys_files(limited: None, make: MakeStudio, tmp_path: Path) -> None:
    studio = make()
    studio.paint()
    for number, (name, kind) in enumerate((("picture", "png"), ("film", "gif")), start=1):
        studio.click(f"save-{name}")
        page = studio["nst-saved"].value
        assert f'data-nst-download download="chelsea-starry-night-{number}.{kind}"' in page
        assert "goes to your browser's downloads" in studio.text("nst-saved")
        (data,) = re.findall(f'href="data:image/{kind};base64,([^"]*)"', page)
        assert b64decode(data)
    assert not list(tmp_path.iterdir())
