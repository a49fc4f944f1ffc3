"""The studio runs, pauses, stops and takes other weights, and says in a sentence what it does."""

from __future__ import annotations

import gc
import re
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from studio_driver import Driver, picture_of, quiet, studios
from waiting import comes_true

import nst_utils as nst
from nst_utils.app import recipes
from nst_utils.images.files import to_pil

MakeStudio = Callable[..., Driver]
build_network = recipes._network


@pytest.fixture(scope="module")
def net(thin_net: nst.Network) -> nst.Network:
    """What is tested here goes on around the network."""
    return thin_net


@pytest.fixture
def make(net: nst.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeStudio]:
    with studios(net, tmp_path, monkeypatch) as factory:
        yield factory


def test_start_paints_the_picture_that_the_recipe_describes(make: MakeStudio) -> None:
    studio = make(seed=7, ratio=0.01)
    assert "press Start" in studio.says
    assert len(studio.pictures) == 2  # what Start will paint
    studio.paint()
    assert studio.says.startswith("Finished after 3 steps")
    assert "Step 3 of 3" in studio.text("nst-where")
    assert "left" not in studio.text("nst-where")
    assert studio.progress == 1.0
    expected = studio.studio.recipe.run({})(lambda step: None).image
    assert studio.studio.image is not None
    assert torch.equal(studio.studio.image, expected)
    shown = picture_of(studio["nst-stage"].value)
    assert np.abs(shown - np.asarray(to_pil(expected), dtype=float)).mean() < 5


def test_a_run_is_paused_goes_on_and_is_stopped(make: MakeStudio) -> None:
    studio = make()
    studio.begin()
    studio.click("pause")
    assert comes_true(lambda: "Paused at step" in studio.says)
    assert studio["nst-pause"].description == "Resume"
    number = studio.number
    studio["nst-ratio"].value = 0.25
    assert studio.says == "From here on alpha/beta is 0.25."
    assert studio.number == number
    studio.click("pause")
    assert comes_true(lambda: studio.number > number + 1)
    assert studio["nst-pause"].description == "Pause"
    studio.click("stop")
    studio.ends("Stopped after")
    assert f"Stopped after {studio.number} steps" in studio.says
    assert f"Step {studio.number} of" in studio.text("nst-where")


def test_a_click_that_cannot_do_anything_says_so(make: MakeStudio) -> None:
    studio = make()
    for name in ("pause", "stop"):
        studio.click(name)
        assert "Nothing is running" in studio.says
    studio.click("save-picture")
    assert "There is no picture yet" in studio.says
    studio.click("save-film")
    assert "There is no film yet" in studio.says
    studio.begin()
    studio.click("start")
    assert "A run is going on. Stop it first" in studio.says


def test_weights_that_are_moved_reach_the_run_its_shares_and_the_recipe(
    make: MakeStudio, real_net: nst.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "_network", lambda name, device: real_net)
    studio = make()
    studio.begin()
    before = studio.text("nst-shares")
    studio["nst-ratio"].value = 0.25
    studio["nst-factor-conv5_1"].value = 0.0
    assert studio.text("nst-shares") != before
    assert comes_true(lambda: studio.studio.recipe.ratio == 0.25)
    recipe = studio.studio.recipe
    assert recipe.factors["conv5_1"] == 0.0

    def weighted() -> bool:
        session = studio.studio.session
        assert session is not None
        assert session.step is not None
        losses = session.step.losses
        total = sum(float(losses[name]) * w for name, w in recipe.term_weights.items())
        return float(losses["total_loss"]) == pytest.approx(total, rel=1e-6)

    assert comes_true(weighted)
    studio.click("stop")
    studio.ends("Stopped after")
    assert re.search(r"style conv5_1\s+0%", studio.text("nst-shares"))
    assert content_share(studio.text("nst-shares")) > content_share(before)


def content_share(text: str) -> int:
    """Of the loss, in percent."""
    found = re.search(r"content conv4_2\s+(\d+)%", text)
    assert found is not None
    return int(found[1])


def test_weights_of_another_preset_are_not_sent_to_a_running_picture(make: MakeStudio) -> None:
    studio = make()
    studio.begin()
    recipe = studio.studio.recipe
    studio["nst-preset"].value = "content-start"
    studio["nst-ratio"].value = 1e-3
    studio["nst-factor-conv1_1"].value = 2.0
    assert studio.studio.recipe == recipe
    assert studio.says.startswith("The run goes on with the preset paper.")
    assert studio.studio.controls.recipe.preset == "content-start"


def test_in_the_notebooks_own_thread_it_can_be_interrupted(
    make: MakeStudio, ctrl_c: Callable[[], None]
) -> None:
    studio = make(blocking=True, steps=1000)
    assert studio["nst-pause"].layout.display == studio["nst-stop"].layout.display == "none"
    where: set[threading.Thread] = set()

    def on_progress(change: Any) -> None:
        where.add(threading.current_thread())
        if studio.number >= 2:
            ctrl_c()

    studio["nst-where"].observe(on_progress, "value")
    studio.click("start")
    assert where == {threading.main_thread()}
    assert re.match(r"Stopped after \d+ steps", studio.says)
    studio["nst-where"].unobserve_all()
    studio["nst-steps"].value = 2
    studio["nst-init"].value = "picture so far"
    studio.click("start")
    assert studio.says.startswith("Finished after 2 steps")


def test_on_colab_it_runs_in_the_notebooks_own_thread(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    studio = make()
    studio.click("start")
    assert quiet()
    assert studio.says.startswith("Finished")
    assert make(blocking=False)["nst-pause"].layout.display != "none"


def test_an_impossible_start_is_a_sentence_and_the_next_one_works(
    make: MakeStudio, net: nst.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    def network(name: str, device: str) -> nst.Network:
        return net if name == "paper" else build_network(name, device)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", download)
    monkeypatch.setattr(recipes, "_network", network)
    studio = make(preset="squeezenet-tv")
    studio.click("start")
    studio.ends("This did not work: torchvision's weights of squeezenet1_1 could not be fetched")
    assert "by hand and upload it below the preset" in studio.says
    studio["nst-preset"].value = "paper"
    studio["nst-init"].value = "picture so far"
    studio.click("start")
    studio.ends("there is no picture yet to go on from")
    studio["nst-init"].value = "content"
    studio["nst-steps"].value = 1
    studio.paint()


def test_two_studios_do_not_disturb_each_other(make: MakeStudio) -> None:
    alone = make(seed=1, steps=6)
    alone.paint()
    first, second = make(seed=1, steps=6), make(seed=2)
    second.begin()
    first.click("start")
    second["nst-ratio"].value = 0.5
    assert comes_true(lambda: "Finished after 6 steps" in first.says)
    second.click("stop")
    second.ends("Stopped after")
    assert alone.studio.image is not None
    assert first.studio.image is not None
    assert torch.equal(first.studio.image, alone.studio.image)
    assert first.studio.recipe == alone.studio.recipe


def test_closing_ends_the_run(make: MakeStudio) -> None:
    running, paused = make(), make()
    running.begin()
    paused.begin()
    paused.click("pause")
    for each in (running, paused, make()):
        each.studio.close()
        each.studio.close()
    assert quiet()


def test_nothing_is_left_of_a_closed_studio() -> None:
    """However often a cell is run, the kernel keeps no picture of what is no longer shown."""
    studio = nst.studio(size=32, device="cpu")
    left = weakref.ref(studio)
    studio.close()
    del studio
    gc.collect()
    assert left() is None
