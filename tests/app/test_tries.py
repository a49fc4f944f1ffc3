"""Ratios are tried on small pictures, and one that is pressed goes into the slider."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from picture_files import encoded, noisy
from studio_driver import Driver, quiet, studios
from waiting import comes_true

import nst_utils as nst
from nst_utils.app import small
from nst_utils.app.limits import Limits
from nst_utils.app.recipes import of_preset, ratios_around

MakeStudio = Callable[..., Driver]


@pytest.fixture
def make(
    thin_net: nst.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeStudio]:
    folder, temporary = tmp_path / "notebook", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with studios(thin_net, folder, monkeypatch) as factory:
        yield factory
    assert not list(temporary.glob("nst-*")), "something of a sheet is left on the disk"
    assert not list(folder.iterdir())


def sheet(studio: Driver) -> list[Any]:
    """Its buttons that are on view."""
    return [each for each in studio["nst-sheet"].children if each.layout.display != "none"]


def try_them(studio: Driver) -> list[Any]:
    """The sheet, once it is finished."""
    studio["nst-try-ratios"].click()
    assert comes_true(lambda: studio.studio.work.now is None), studio.says
    assert comes_true(quiet)
    return sheet(studio)


def style_of(widget: Any) -> str:
    """The sheet's own rules, where that is what holds them."""
    value = str(getattr(widget, "value", ""))
    return value if value.startswith("<style>.nst-studio .nst-try-") else ""


def begin(studio: Driver) -> None:
    """The sheet, its work so long that there is time for something else."""
    studio["nst-try-ratios"].click()
    assert comes_true(lambda: "Trying nine ratios" in studio.says), studio.says


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries take longer than any test."""
    monkeypatch.setattr(small, "STEPS", 100_000)


@pytest.mark.parametrize("name", nst.PRESETS)
def test_ratios_lie_around_the_presets_own_within_the_slider(name: str) -> None:
    """Whose range is looked at in ``test_first_sight.py``."""
    ratios, own = ratios_around(name), of_preset(name).ratio
    assert own in ratios
    assert ratios == sorted(ratios)
    assert 5 <= len(ratios) <= 9
    assert ratios[0] >= max(1e-6, own / 100) * (1 - 1e-9)
    assert ratios[-1] <= min(1e4, own * 100) * (1 + 1e-9)


def test_what_is_pressed_goes_into_the_slider(make: MakeStudio) -> None:
    studio = make(steps=1)
    assert studio["nst-try-ratios"].description == "Try nine ratios"
    made = try_them(studio)
    assert studio.says == "All nine are there. Press one to take its ratio over."
    assert [each.disabled for each in made] == [False] * 9
    assert made[4].description == "alpha/beta 0.005 (the preset's)"
    assert made[6].tooltip == "take alpha/beta 0.05"
    (rules,) = filter(None, map(style_of, studio.all()))
    assert rules.count("data:image/jpeg") == 9
    assert studio.studio.image is None, "the sheet is no picture of the studio's"
    made[6].click()
    assert studio["nst-ratio"].value == pytest.approx(0.05)
    assert studio.says == "alpha/beta is 0.05 now. Start paints with it."
    studio.paint()
    assert studio.studio.recipe.ratio == pytest.approx(0.05)
    assert not studio["nst-tries"].value, "folded, to make room for the picture"


def test_a_ratio_of_another_preset_is_not_taken(make: MakeStudio) -> None:
    studio = make(preset="content-start", steps=1)
    assert studio["nst-try-ratios"].description == "Try five ratios"
    made = try_them(studio)
    assert len(made) == 5
    studio["nst-preset"].value = "paper"
    made[0].click()
    assert studio.says.startswith("Not taken over: it was tried with the preset content-start;")
    assert studio["nst-ratio"].value == pytest.approx(5e-3)


def test_stop_ends_it_and_what_is_there_stays(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = make(steps=1)
    put = studio.studio.tries._put

    def put_and_stop(number: int, path: Path) -> None:
        put(number, path)
        if number == 1:
            studio.click("stop")

    monkeypatch.setattr(studio.studio.tries, "_put", put_and_stop)
    monkeypatch.setattr(small._Look, "if_time", small._Look.__call__)
    made = try_them(studio)
    assert 2 <= len(made) < 9
    assert studio.says.startswith("Stopped; ")
    assert "of nine are there" in studio.says
    made[0].click()
    assert studio["nst-ratio"].value == pytest.approx(5e-5)


def test_it_and_a_run_do_not_disturb_each_other(long: None, make: MakeStudio) -> None:
    studio = make(steps=100_000)
    begin(studio)
    assert "nst-running" in studio["nst-studio"]._dom_classes
    for name in ("try-ratios", "start"):
        studio.click(name)
        assert studio.says.startswith("Ratios are being tried. Stop that first")
    studio.click("pause")
    assert comes_true(lambda: "Paused; none of nine" in studio.says), studio.says
    studio.click("pause")
    assert comes_true(lambda: "Trying nine ratios" in studio.says)
    studio.click("stop")
    studio.ends("Stopped; none of nine are there")
    assert "nst-running" not in studio["nst-studio"]._dom_classes
    studio.begin()
    studio.click("try-ratios")
    assert "A run is going on. Stop it first" in studio.says
    studio.click("stop")
    studio.ends("Stopped after")


def test_closing_the_studio_ends_it(long: None, make: MakeStudio) -> None:
    studio = make(steps=100_000)
    begin(studio)
    studio.studio.close()
    assert quiet()


def test_uploads_and_the_picture_so_far_are_tried_too(make: MakeStudio) -> None:
    studio = make(steps=1)
    studio.send("nst-content-upload", "../my own.png", encoded(noisy(48, 40), "PNG"))
    studio["nst-init"].value = "picture so far"
    assert try_them(studio) == []
    assert studio.says.startswith("This did not work: there is no picture yet to go on from")
    studio["nst-init"].value = "noise"
    studio.paint()
    studio["nst-init"].value = "picture so far"
    assert len(try_them(studio)) == 9


def test_ratios_that_cannot_be_painted_are_a_sentence(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> nst.Network:
        raise ValueError("no weights")

    studio = make(steps=1)
    monkeypatch.setattr("nst_utils.many.painting.network_of", fail)
    assert try_them(studio) == []
    assert studio.says == "This did not work: no weights."


def test_a_servers_limits_and_quick_mode_hold(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in Limits(48, 2).environment.items():
        monkeypatch.setenv(name, value)
    limited = small.small(of_preset("paper", size=512, steps=300))
    assert (limited.size, limited.steps) == (48, 2)
    monkeypatch.setenv("NST_QUICK", "1")
    studio = make(preset="content-start", size=48, steps=1, blocking=True)
    assert len(try_them(studio)) == 5, "in the notebook's own thread, too"
