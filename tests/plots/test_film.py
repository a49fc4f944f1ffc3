"""A film keeps the pictures that it was asked for, and nothing else."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from torch import Tensor

import nst_utils as nst
from nst_utils.plots.film import spread


@pytest.fixture(scope="module")
def net(thin_net: nst.Network) -> nst.Network:
    """What is tested here goes on around the network."""
    return thin_net


def step(number: int, pictures: int = 2) -> nst.Step:
    """Step ``number``, whose picture i is everywhere number + i / 10."""
    values = number + torch.arange(pictures) / 10
    return nst.Step(number, values.view(-1, 1, 1, 1).expand(-1, 3, 4, 6).clone(), {})


def test_the_asked_steps_are_kept_with_their_titles() -> None:
    film = nst.Film([1, 3, 9])
    for number in range(1, 6):
        film(step(number))
    assert film.titles == ["step 1", "step 3"]
    assert [tuple(image.shape) for image in film.images] == [(1, 3, 4, 6)] * 2
    assert [image.mean().item() for image in film.images] == pytest.approx([1.0, 3.0])


def test_another_picture_of_the_batch_may_be_kept() -> None:
    film = nst.Film([2], picture=1)
    film(step(2))
    assert film.images[0].mean().item() == pytest.approx(2.1)


def test_a_frame_does_not_change_with_the_run() -> None:
    film = nst.Film([1])
    shown = step(1)
    film(shown)
    shown.images.zero_()
    assert film.images[0].mean().item() == pytest.approx(1.0)


def test_a_run_can_be_filmed_on_coarse_levels_too(
    content: Tensor, style: Tensor, net: nst.Network
) -> None:
    large, film = nst.resize(content, 192), nst.Film([1, 10])
    result = nst.transfer(large, style, net=net, steps=10, callback=film, progress=False)
    assert len(result.levels) == 2
    assert [image.shape for image in film.images] == [large.shape] * 2
    assert torch.equal(film.images[1], result.image)


@pytest.mark.parametrize(
    ("frames", "picture", "message"),
    [
        ([0], 0, "frames must be a whole number of at least 1"),
        ([1.5], 0, "frames must be a whole number"),
        ([1], -1, "picture must be a whole number of at least 0"),
    ],
)
def test_what_cannot_be_filmed_is_refused(frames: list[int], picture: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nst.Film(frames, picture=picture)


def test_a_picture_that_the_run_does_not_make_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no picture 2; the run makes 2"):
        nst.Film([1], picture=2)(step(1))


@given(st.integers(1, 5000), st.integers(1, 60))
def test_the_steps_of_a_film_are_spread_from_its_beginning_to_its_end(
    steps: int, number: int
) -> None:
    chosen = spread(steps, number)
    assert chosen == sorted(set(chosen))
    assert chosen[0] >= 1
    assert chosen[-1] == steps
    assert len(chosen) <= number
    assert all(now - before <= 2 * steps / number + 1 for before, now in pairwise(chosen))


def test_the_steps_are_closest_at_the_beginning() -> None:
    assert spread(3) == [1, 2, 3]
    assert spread(16, 4) == [1, 4, 9, 16]
    gaps = [now - before for before, now in pairwise(spread(1000, 10))]
    assert gaps == sorted(gaps)


def filmed(number: int) -> nst.Film:
    """A film whose picture after step i is noise of its own around a gray of its own."""
    film = nst.Film(range(1, number + 1))
    for i in range(1, number + 1):
        picture = 0.1 * i + nst.noise_image(24, 40, seed=i, std=0.03) - 0.5
        film(nst.Step(i, picture, {}))
    return film


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_film_is_saved_with_its_frames_their_times_and_no_end(
    number: int, tmp_path: Path
) -> None:
    film = filmed(number)
    path = film.save(tmp_path / "film.GIF")
    assert path == tmp_path / "film.GIF"
    with Image.open(path) as gif:
        assert (gif.format, gif.size, gif.n_frames) == ("GIF", (40, 24), number)  # type: ignore[attr-defined]
        assert gif.info["loop"] == 0
        times = []
        for i, frame in enumerate(ImageSequence.Iterator(gif)):
            times.append(frame.info["duration"])
            shown = torch.from_numpy(np.array(frame.convert("RGB"))).permute(2, 0, 1) / 255
            assert (shown - film.images[i][0].clamp(0, 1)).abs().mean() < 0.02
        assert times == [100] * (number - 1) + [2000]


def test_a_saved_film_replaces_an_older_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    for number in (4, 2):
        filmed(number).save(str(tmp_path / "film.gif"))
    assert [path.name for path in tmp_path.iterdir()] == ["film.gif"]
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("film.png", ValueError, r"cannot write the film film\.png: its name must end in \.gif"),
        ("film", ValueError, r"its name must end in \.gif"),
        ("missing/film.gif", FileNotFoundError, "the folder .*missing does not exist"),
        ("folder.gif", ValueError, "is a folder; name a file in it"),
        ("a\0b.gif", ValueError, "cannot be used as a path"),
    ],
)
def test_a_film_that_cannot_be_written_is_a_sentence(
    name: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "folder.gif").mkdir()
    with pytest.raises(error, match=message):
        filmed(1).save(f"{tmp_path}/{name}")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.gif"]


def test_an_empty_film_is_not_saved(tmp_path: Path) -> None:
    film = nst.Film([7])
    film(step(1))
    with pytest.raises(ValueError, match="the film is empty: the run made none of the steps"):
        film.save(tmp_path / "film.gif")
    assert not list(tmp_path.iterdir())
