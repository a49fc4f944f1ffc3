"""A large picture: its stages, its tiles, and what is known of it before it begins."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import nst_utils as nst
from nst_utils.experiments import large
from nst_utils.experiments.large import passes
from nst_utils.objective.rows import Row


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


@pytest.mark.parametrize(("free", "expected"), [(9e12, None), (9e9, 1024), (7e9, 512), (1e6, 256)])
def test_tiles_are_as_large_as_memory_allows(
    free: float, expected: int | None, thin_net: nst.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = {None: 20e9, 1024: 8e9, 512: 7e9, 256: 6.5e9}
    monkeypatch.setattr(large, "estimate", lambda net, rows, size, optimizer, tile: needs[tile])
    row = Row(content=torch.zeros(1, 3, 1200, 1600))
    tile, need = large.tile_that_fits(thin_net, row, free, None)
    assert (tile, need) == (expected, needs[expected])
    assert large.tile_that_fits(thin_net, row, free, 512) == (512, 7e9)
    small = Row(content=torch.zeros(1, 3, 96, 128))
    assert large.tile_that_fits(thin_net, small, free, None)[0] is None


def test_what_a_picture_takes_is_that_of_its_own_settings(
    thin_net: nst.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, painting = torch.zeros(1, 3, 1200, 1600), torch.zeros(1, 3, 40, 40)
    given = nst.preset("paper").transfer_settings(device="cpu", smaller_first={0.25: 200})
    by_lbfgs = large.demand(thin_net, photo, painting, given)
    by_adam = large.demand(thin_net, photo, painting, given | {"optimizer": "adam"})
    assert by_adam.need < by_lbfgs.need
    assert by_lbfgs.stages == ((400, 200), (1600, 100))
    assert [by_lbfgs.side_at(step) for step in (1, 200, 201, 300)] == [400, 400, 1600, 1600]
    monkeypatch.setattr(large, "available", lambda device: by_lbfgs.need)
    tight = large.demand(thin_net, photo, painting, given)
    assert tight.tile is not None, "a tenth of what is free stays free"
    sorted_ones = given | {"style_statistics": "histogram"}
    assert large.demand(thin_net, photo, painting, sorted_ones).tile is None


def test_the_time_is_carried_over_by_pixels_and_steps(
    thin_net: nst.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pixel of a step takes a microsecond, in tiles 2.25; a size begins with three more."""
    timed: list[dict[str, Any]] = []

    def probe(content: torch.Tensor, style: torch.Tensor, **settings: Any) -> nst.Result:
        timed.append(settings)
        pixels = content.shape[2] * content.shape[3]
        return nst.Result(content, {}, {}, seconds=3e-6 * pixels, evaluations=3)

    monkeypatch.setattr(large, "transfer", probe)
    content, style = torch.zeros(1, 3, 1000, 2000), torch.zeros(1, 3, 50, 50)
    given: dict[str, Any] = {"steps": 10, "device": "cpu"}

    def seconds(tile: int | None = None, **settings: Any) -> float:
        return large.seconds(thin_net, content, style, given | settings, tile)

    plain = seconds()
    assert plain == pytest.approx(2 * 13, rel=0.01)
    first = {0.2: 4, 0.5: 4}
    levels = seconds(512, smaller_first=first)
    expected = 7 * 2 * 0.2**2 + 2.25 * (7 * 2 * 0.5**2 + 5 * 2)
    assert levels == pytest.approx(expected, rel=0.01)
    # Two steps at each of eight sizes, from 177 px of the longer side.
    growing = seconds(steps=16, smaller_first="growing")
    assert growing == pytest.approx(5 * 2 * sum(0.5**k for k in range(8)), rel=0.01)

    seconds(optimizer="adam", style_layers=("fire3",), style_statistics="gram")
    assert {**timed[-1], "steps": 10} == {
        **{"net": thin_net, "progress": False, "exact": False, "steps": 10, "device": "cpu"},
        **{"optimizer": "adam", "style_layers": ("fire3",), "style_statistics": "gram"},
    }
