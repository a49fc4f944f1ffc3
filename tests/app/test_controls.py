"""The studio's controls say what they are told, exactly, or refuse it in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from studio_driver import Driver, studios

import nst_utils as nst
from nst_utils.app import recipes

MakeStudio = Callable[..., Driver]


@pytest.fixture
def make(
    thin_net: nst.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeStudio]:
    with studios(thin_net, tmp_path, monkeypatch) as factory:
        yield factory


@pytest.mark.parametrize("name", nst.PRESETS)
def test_the_choice_of_a_preset_fills_the_controls(name: str, make: MakeStudio) -> None:
    studio = make(seed=5, steps=7, factors={"conv1_1": 3.0})
    studio["nst-preset"].value = "kimrass" if name == "paper" else "paper"
    studio["nst-preset"].value = name
    now, expected = studio.studio.controls.recipe, recipes.of_preset(name)
    assert (now.content, now.style, now.size, now.seed) == ("chelsea", "starry-night", 32, 5)
    for setting in ("ratio", "content_layer", "init", "tv_weight", "steps"):
        assert getattr(now, setting) == getattr(expected, setting)
    assert list(now.factors) == list(nst.preset(name).style_layers)
    assert set(now.factors.values()) == {1.0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": 64}, "unknown setting 'sizes'; did you mean 'size'"),
        ({"size": 64.5}, "size must be a whole number"),
        ({"content": "nobody.jpg"}, "nobody.jpg"),
        ({"style": 5}, "5"),
        ({"preset": "papper"}, "did you mean 'paper'"),
        ({"init": "nosie"}, "did you mean 'noise'"),
        ({"content_layer": "conv9_9"}, "conv9_9"),
        ({"device": "tpu"}, "tpu"),
    ],
)
def test_settings_that_no_run_could_use_are_refused(
    settings: dict[str, Any], message: str, make: MakeStudio
) -> None:
    with pytest.raises(ValueError, match=message):
        make(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        *({"size": 100}, {"ratio": 0.0}, {"ratio": 1e-5}, {"factors": {"conv1_1": 50.0}}),
        *({"seed": 2**40}, {"tv_weight": 1e10}, {"steps": 100_000}),
    ],
)
def test_the_controls_say_what_they_are_told_or_refuse_it(
    settings: dict[str, Any], make: MakeStudio
) -> None:
    try:
        studio = make(**settings)
    except ValueError:
        return
    (name,) = settings
    told = getattr(studio.studio.controls.recipe, name)
    assert (told | settings[name] if name == "factors" else settings[name]) == told
