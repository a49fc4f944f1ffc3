"""What the studio shows of a run: picture, film, Gram matrices; described, and not too often."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from studio_driver import Driver, picture_of, studios
from waiting import comes_true

import nst_utils as nst
from nst_utils.app import panels, sessions, views
from nst_utils.app.views import Throttle
from nst_utils.images.files import to_pil
from nst_utils.plots.figures import Drawing
from nst_utils.plots.style_match import GramPair

MakeStudio = Callable[..., Driver]


@pytest.fixture(scope="module")
def net(thin_net: nst.Network) -> nst.Network:
    """What is tested here goes on around the network."""
    return thin_net


@pytest.fixture
def make(net: nst.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeStudio]:
    with studios(net, tmp_path, monkeypatch) as factory:
        yield factory


def off(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one - other)


def test_the_sliders_show_the_photograph_and_the_film(make: MakeStudio) -> None:
    studio = make()
    studio.paint()
    now = studio["nst-stage"].value
    studio["nst-film"].value = 0
    assert "after step 1" in studio["nst-stage"].value
    assert "after step 1" in studio.text("nst-frame")
    assert not np.array_equal(picture_of(studio["nst-stage"].value), picture_of(now))
    studio["nst-film"].value = studio["nst-film"].max
    assert studio["nst-stage"].value == now
    studio["nst-compare"].value = 50
    page = studio["nst-stage"].value
    assert "on the left 50 % of its width is the photograph" in page
    shown, painted = picture_of(page), picture_of(now)
    photograph = np.asarray(to_pil(nst.load_image("chelsea", 32)), dtype=float)
    assert off(shown, photograph)[:, :16].mean() < 0.5 * off(painted, photograph)[:, :16].mean()
    assert off(shown, painted)[:, 16:].mean() < 0.5 * off(painted, photograph)[:, 16:].mean()
    studio["nst-compare"].value = 0
    assert studio["nst-stage"].value == now


def test_of_a_large_picture_the_page_gets_a_smaller_one(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_MOST_SHOWN", 24)
    studio = make()
    studio.paint()
    assert studio.studio.image is not None
    assert studio.studio.image.shape[3] == 32
    assert picture_of(studio["nst-stage"].value).shape == (16, 24, 3)
    assert {each.size for each in studio.studio.stage.film_pictures} == {(24, 16)}
    studio["nst-compare"].value = 100
    photograph = np.asarray(to_pil(nst.load_image("chelsea", 24)), dtype=float)
    assert off(picture_of(studio["nst-stage"].value), photograph).mean() < 10


def test_the_next_run_is_seen_wherever_the_film_and_the_comparison_were_left(
    make: MakeStudio,
) -> None:
    studio = make()
    studio.paint()
    studio["nst-film"].value, studio["nst-compare"].value = 3, 100
    studio.radio("nst-style").value = "great-wave"
    studio.paint()
    assert 'alt="chelsea in the style of great-wave, the picture now"' in studio["nst-stage"].value


def test_the_film_of_a_stopped_run_ends_with_the_picture(make: MakeStudio) -> None:
    """Of 100 000 steps none but the first few dozens is a frame."""
    studio = make()
    studio.begin()
    studio.click("stop")
    studio.ends("Stopped after")
    film, image = studio.studio.stage.film_pictures, studio.studio.image
    assert image is not None
    assert np.array_equal(np.asarray(film[-1]), np.asarray(to_pil(image)))


def test_every_picture_has_a_description(make: MakeStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "plot_html", views.plot_html)
    studio = make()
    studio.paint()
    studio["nst-gram-panel"].value = True
    assert len(studio.pictures) >= 3  # the painting, the curves, the Gram matrices
    for picture in studio.pictures:
        assert re.search(r'alt="[^"]{10,}"', picture), picture[:200]


def test_the_gram_matrices_of_the_chosen_layer_are_shown(make: MakeStudio) -> None:
    studio = make()
    studio.paint()
    studio["nst-gram-panel"].value = True
    layers = list(nst.preset("paper").style_layers)
    assert list(studio["nst-gram-layer"].options) == layers
    assert all(layer in studio.text("nst-match") for layer in layers)
    for layer in layers[1:]:
        studio["nst-gram-layer"].value = layer
        assert f"Gram matrices of {layer}" in " ".join(studio.pictures)


def test_a_run_can_be_paused_and_stopped_while_gram_matrices_are_shown(make: MakeStudio) -> None:
    studio = make()
    studio["nst-gram-panel"].value = True
    studio.begin()
    studio.click("pause")
    assert comes_true(lambda: "Paused at step" in studio.says)
    assert comes_true(lambda: "conv5_1" in studio.text("nst-match"), 5)
    studio.click("pause")
    number = studio.number
    assert comes_true(lambda: studio.number > number)
    studio.click("stop")
    studio.ends("Stopped after")


def test_previews_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of a hundredth of a second, for ten seconds."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(views, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def calls(throttle: Throttle, work: float) -> int:
        made: list[float] = []

        def show() -> None:
            made.append(clock.now)
            clock.now += work

        end = clock.now + 10
        while clock.now < end:
            throttle.try_call(show)
            clock.now += 0.01
        return len(made)

    assert 45 <= calls(Throttle(rate=5, share=0.1), work=0.0) <= 51
    assert 9 <= calls(Throttle(rate=5, share=0.1), work=0.1) <= 11  # a tenth of the time


def test_a_fast_run_is_shown_at_most_five_times_a_second(make: MakeStudio) -> None:
    studio = make(steps=25)
    shown: list[object] = []
    studio["nst-stage"].observe(shown.append, "value")
    begun = time.monotonic()
    studio.paint()
    assert len(shown) <= 5 * (time.monotonic() - begun) + 3  # the photograph, the first, the last
    assert studio.number == 25


def history(steps: int) -> list[tuple[int, dict[str, float]]]:
    terms = ["content/conv4_2", *(f"style/conv{i}_1" for i in range(1, 6)), "total_variation"]
    return [(n, dict.fromkeys(terms, 1.0 / n)) for n in range(1, steps + 1)]


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_curves_can_be_told_apart_without_colors(steps: int) -> None:
    figure = views.curves(history(steps))
    lines = figure.axes[0].get_lines()
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == len(lines) == 7
    assert figure.encode()


def test_what_is_written_in_plots_can_be_read_on_a_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Drawing] = [views.curves(history(50), larger=[20])]
    monkeypatch.setattr(views, "plot_html", lambda figure, *_: drawn.append(figure))
    views.grams(GramPair(torch.eye(4), torch.ones(4, 4)), "conv3_1")
    assert len(drawn) == 2
    for figure in drawn:
        texts = [each for each in figure.findobj() if isinstance(each, Text)]
        shrunk = 280 / figure.get_figwidth() / 72  # pixels of the page to a point
        sizes = [float(each.get_fontsize()) * shrunk for each in texts if each.get_text()]
        assert min(sizes) > 7.5


def test_curves_say_why_they_jump() -> None:
    figure = views.curves(history(50), larger=[20])
    assert "larger copy" in [text.get_text() for text in figure.axes[0].texts]
    assert "they jump at step 20, where the picture goes on in a larger copy" in figure.alt
    assert "jump" not in views.curves(history(50)).alt


def test_a_term_that_counts_for_nothing_has_no_curve_and_does_no_harm() -> None:
    nothing = [(n, dict.fromkeys(terms, 0.0)) for n, terms in history(20)]
    assert views.curves(nothing).encode()


def test_where_a_larger_copy_begins_is_seen_in_the_work_of_a_step() -> None:
    levels, done = sessions.Levels(), 0.0
    for number in range(1, 31):
        done += 0.01 if number <= 10 else 0.04
        levels.take(nst.Step(number, torch.zeros(0), {}, done))
    assert levels.begun == [11]
