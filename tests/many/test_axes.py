"""Lists of settings become a table of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nst_utils.many.axes import Axis, label, table, values


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("content_weight", 1e-3, [1e-3]),
        ("content_weight", [1e-3, 1e-2], [1e-3, 1e-2]),
        ("content_weight", np.array([1.0, 2.0]), [1.0, 2.0]),
        ("content_weight", torch.tensor(2.0), [2.0]),
        ("seed", range(3), [0, 1, 2]),
        ("seed", (np.int64(n) for n in (4, 5)), [4, 5]),
        ("content_layers", "conv4_2", ["conv4_2"]),
        ("content_layers", ["conv4_2", "conv5_2"], [["conv4_2", "conv5_2"]]),
        ("content_layers", [["conv4_2"], ("conv5_2",)], [["conv4_2"], ["conv5_2"]]),
        ("style_layers", {"conv1_1": 1.0}, [{"conv1_1": 1.0}]),
        ("style_layers", [{"conv1_1": 1.0}, ["conv2_1"]], [{"conv1_1": 1.0}, ["conv2_1"]]),
        ("style_blend", [0.3, 0.7], [[0.3, 0.7]]),
        ("learning_rate", [0.1, {1: 0.1, 5: 0.01}], [0.1, {1: 0.1, 5: 0.01}]),
        ("smaller_first", [None, {0.5: 10}], [None, {0.5: 10}]),
        ("smaller_first", "growing", ["growing"]),
        ("style", ["a", "b"], ["a", "b"]),
    ],
)
def test_one_value_or_several(name: str, given: Any, expected: list[Any]) -> None:
    found = values(name, given)
    assert found == expected
    assert [type(each) for each in found] == [type(each) for each in expected]


@pytest.mark.parametrize("name", ["content_weight", "content_layers", "style", "seed"])
def test_a_list_with_nothing_in_it_is_a_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} holds no value; give at least one"):
        values(name, [])


def test_a_list_half_of_lists_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="content_layers must be one list, or a list of lists"):
        values("content_layers", ["conv4_2", ["conv5_2"]])


def test_each_value_with_each_the_last_setting_fastest() -> None:
    axes, rows = table({"style": ["a.jpg", "b.jpg"], "steps": [3], "seed": [0, 1, 2]})
    assert axes == [Axis("style", ("a", "b")), Axis("seed", ("0", "1", "2"))]
    pairs = [(row["style"], row["seed"]) for row in rows]
    assert pairs == [(style, seed) for style in ("a.jpg", "b.jpg") for seed in range(3)]
    assert {row["steps"] for row in rows} == {3}


def test_zipped_they_walk_together() -> None:
    axes, rows = table({"style": ["a", "b"], "steps": [3], "tv_weight": [0.0, 1e-3]}, zipped=True)
    assert axes == [Axis("style, tv_weight", ("a, 0", "b, 0.001"))]
    assert rows == [
        {"style": "a", "steps": 3, "tv_weight": 0.0},
        {"style": "b", "steps": 3, "tv_weight": 1e-3},
    ]
    with pytest.raises(ValueError, match=r"as many values each \(style: 2, seed: 3\)"):
        table({"style": ["a", "b"], "seed": [0, 1, 2]}, zipped=True)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_single_picture_has_no_axis(zipped: bool) -> None:
    assert table({"style": ["a"], "seed": [0]}, zipped) == ([], [{"style": "a", "seed": 0}])


def test_numbers_keep_their_digits() -> None:
    assert [label(x) for x in (12345678, 0.02, True, None)] == ["12345678", "0.02", "yes", "none"]
