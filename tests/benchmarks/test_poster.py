"""benchmarks/poster.py: the comparison's network, and a sheet that gives nothing away."""

from __future__ import annotations

from typing import Any

import torch
from benchmark_scripts import script

import nst_utils as nst

poster: Any = script("poster")


def test_the_other_project_sees_through_our_network() -> None:
    """Its preprocessing and network together respond as ours, but for a scale; away from the edge,
    where its zeros are another color than ours."""
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    picture = torch.rand(1, 3, 48, 48)
    ours = nst.vgg19(pooling="max", normalized="none")(picture, ["conv1_2", "conv2_1"])
    x, seen = (picture - mean) / std, []
    for module in poster._bundled_vgg19().features[:7]:
        x = module(x)
        seen.append(x)
    unit = 255 * float(std.mean())
    for theirs, layer, edge in ((seen[3], "conv1_2", 2), (seen[6], "conv2_1", 3)):
        inner = (..., slice(edge, -edge), slice(edge, -edge))
        torch.testing.assert_close(unit * theirs[inner], ours[layer][inner], rtol=1e-4, atol=1e-2)


def test_sides_are_changed_by_chance_and_found_again() -> None:
    rows = {poster.Run(pair, way): {} for pair in poster.PAIRS for way in poster.WAYS}
    unpaired = {poster.Run(poster.PAIRS[0], "crowsonkb"): {}}
    for theirs in poster.SHARES:
        drawn = [poster.blind(rows, theirs, seed) for seed in range(8)]
        both = sorted([theirs, "poster"])
        assert all(sorted(ways) == both for sides in drawn for ways in sides.values())
        assert all(list(sides) == list(poster.PAIRS) for sides in drawn)
        assert len({tuple(map(tuple, sides.values())) for sides in drawn}) > 1
        assert poster.blind(rows, theirs, 3) == drawn[3]
        assert poster.blind(unpaired, theirs, 0) == {}
