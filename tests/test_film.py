"""A film keeps the pictures that it was asked for, and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import nst_utils as nst


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
        nst.Film(frames, picture)


def test_a_picture_that_the_run_does_not_make_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no picture 2; the run makes 2"):
        nst.Film([1], picture=2)(step(1))
