"""The measures of rims.py tell an edge that is lit and a place that is kept from what is not."""

from __future__ import annotations

import pytest
import torch
from benchmark_scripts import script

rims = script("rims")


@pytest.mark.parametrize("level", [-40, 0, 25])
def test_a_lit_edge_has_its_gray_levels(level: float) -> None:
    picture = torch.full((1, 3, 80, 96), (100 + level) / 255)
    picture[..., 16:-16, 16:-16] = 100 / 255
    assert rims.lights(picture) == pytest.approx(level, abs=1e-3)


@pytest.mark.parametrize("sides", [(2,), (3,), (2, 3)])
def test_place_is_of_the_painting_and_not_of_the_turned_one(sides: tuple[int, ...]) -> None:
    painting = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    assert rims.place(painting, painting) > 0.5
    assert rims.place(1 - painting, painting) < -0.5
    assert rims.place(painting.flip(sides), painting) < 0


def test_place_of_what_is_the_same_when_turned_is_nothing() -> None:
    painting = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    even = sum(painting.flip(sides) for sides in ((), (2,), (3,), (2, 3))) / 4
    assert rims.place(even, painting) == pytest.approx(0, abs=1e-5)


def test_every_way_and_noise_is_a_picture_of_its_own() -> None:
    names = [run.name for run in rims.runs()]
    assert len(set(names)) == len(names) == len(rims.WAYS) * len(rims.DEPTHS) * len(rims.SEEDS)
