"""What may be passed to the experiments, collections of every kind, and what a result holds."""

from __future__ import annotations

import ast
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import nst_utils as nst
from nst_utils.networks.network import Network


def transfer(content: Tensor, style: Any, **options: Any) -> nst.Result:
    layers: dict[str, Any] = {"content_layers": ["conv2_2"], "style_layers": ["conv1_1", "conv2_1"]}
    return nst.transfer(content, style, **layers | {"device": "cpu", "progress": False} | options)


# Collections that are not lists.


def test_a_dictionary_of_layer_weights_is_honored(
    net: Network, content: Tensor, style: Tensor
) -> None:
    weights = {"conv1_1": 0.01, "conv3_1": 0.99}
    told = transfer(content, style, net=net, steps=1, style_layers=weights)
    apart = transfer(
        *(content, style),
        net=net,
        steps=1,
        style_layers=list(weights),
        style_layer_weights=list(weights.values()),
    )
    alike = transfer(content, style, net=net, steps=1, style_layers=list(weights))
    assert torch.equal(told.image, apart.image)
    assert not torch.equal(told.image, alike.image)
    expected = sum(w * told.history[f"style/{layer}"] for layer, w in weights.items())
    torch.testing.assert_close(told.history["style_loss"], expected)
    assert told.settings["style_layers"] == weights
    several = transfer(content, style, net=net, steps=1, style_layers=[weights, ["conv2_1"]])
    assert torch.equal(several.image[:1], told.image)
    half = transfer(content, style, net=net, steps=1, content_layers={"conv2_2": 0.5})
    twice = transfer(
        content, style, net=net, steps=1, content_layers=["conv2_2"], content_weight=2.5e-3
    )
    torch.testing.assert_close(half.history["total_loss"], twice.history["total_loss"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style_layers": {"conv9_1": 1.0}}, "unknown layer 'conv9_1'"),
        ({"style_layers": {"conv1_1": -1.0}}, "the weight of conv1_1 must be a finite number"),
        (
            {"style_layers": {"conv1_1": 1.0}, "style_layer_weights": [1.0]},
            "style_layers has weights already",
        ),
        ({"content_weight": {1e-3: "low"}}, "content_weight must be one value or a list of them"),
        ({"seed": {1, 2}}, "seed must be one value or a list of them"),
        ({"init": {"noise": 1}}, "init must be one value or a list of them"),
        ({"style_layer_weights": {"conv1_1": 1.0}}, "style_layer_weights must be one value or"),
        ({"style_blend": {0.5, 0.6}}, "style_blend must be one value or"),
    ],
)
def test_what_has_no_order_is_refused_where_order_counts(
    net: Network, content: Tensor, style: Tensor, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        transfer(content, style, net=net, steps=1, **options)


def test_a_network_has_no_use_for_weights(net: Network, content: Tensor) -> None:
    with pytest.raises(ValueError, match="layers must be a list of names, got"):
        net(content, {"conv1_1": 1.0})
    with pytest.raises(ValueError, match="layers must be a list of names, got"):
        nst.reconstruct_content(content, {"conv1_1": 1.0}, net=net)  # type: ignore[arg-type]


def test_relu_is_another_name_for_the_response_of_a_convolution(
    net: Network, content: Tensor, style: Tensor
) -> None:
    names = {"content_layers": ["relu2_2"], "style_layers": {"relu1_1": 1.0}}
    ours = {"content_layers": ["conv2_2"], "style_layers": {"conv1_1": 1.0}}
    named, wanted = (
        transfer(content, style, net=net, steps=2, **each).image for each in (names, ours)
    )
    assert torch.equal(named, wanted)
    responses = net(content, ["relu1_1", "conv1_1"])
    assert list(responses) == ["relu1_1", "conv1_1"]
    assert torch.equal(*responses.values())
    with pytest.raises(ValueError, match="conv2_2 is named twice"):
        transfer(content, style, net=net, content_layers=["conv2_2", "relu2_2"])


# Results are plain.


def test_a_result_can_be_written_down_and_sent(
    net: Network, content: Tensor, style: Tensor, tmp_path: Path
) -> None:
    result = transfer(
        content,
        (picture for picture in [style, style]),
        net=net,
        steps=np.int64(2),
        content_weight=(np.float32(weight) for weight in (1e-2, 1e-3)),
        style_layers=map(str, ["conv1_1", "conv2_1"]),
        style_layer_weights=np.array([0.5, 0.5]),
        seed=range(2),
        checkpoint=tmp_path / "run.ckpt",
    )
    assert len(result.image) == 2
    settings = json.loads(json.dumps(result.settings))
    assert settings["content_weight"] == pytest.approx([1e-2, 1e-3])
    assert settings["style_layers"] == ["conv1_1", "conv2_1"]
    assert settings["seed"] == [0, 1]
    again = pickle.loads(pickle.dumps(result))
    assert torch.equal(again.image, result.image)
    assert again.settings == result.settings
    assert len(repr(result)) < 300
    assert repr(result).count("\n") < 3
    assert "2 of 64x43 px, 2 steps" in repr(result)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 5}, "learning_rate is Adam's, and lbfgs finds the length"),
        ({"learning_rate": {1: 0.1, 5: 0.2}}, "learning_rate is Adam's"),
        ({"optimizer": "adam", "exact": True}, "exact is about L-BFGS"),
        ({"tv_power": 1}, "tv_power changes nothing without a tv_weight"),
        ({"tv_reduction": "mean"}, "tv_reduction changes nothing without a tv_weight"),
        ({"tv_color": 2}, "tv_color changes nothing without a tv_weight"),
    ],
)
def test_a_setting_that_cannot_act_is_a_sentence(
    net: Network, content: Tensor, style: Tensor, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        transfer(content, style, net=net, steps=1, **options)


def test_a_presets_learning_rate_belongs_to_its_optimizer() -> None:
    adam = nst.preset("keras-adam")
    assert adam.transfer_settings()["learning_rate"] != 0.02
    assert adam.transfer_settings(optimizer="lbfgs")["learning_rate"] == 0.02


def test_what_is_told_as_settings_are_arguments_only() -> None:
    """``plain_settings(locals())`` comes before any name that is not one of them."""
    told = "settings = plain_settings(locals())"
    found = []
    for path in (Path(nst.__file__).parent / "experiments").glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef) or told not in ast.unparse(function):
                continue
            texts = [ast.unparse(statement) for statement in function.body]
            before = ast.Module(function.body[: texts.index(told)], [])
            names = {each.id for each in ast.walk(before) if isinstance(each, ast.Name)}
            arguments = {each.arg for each in function.args.args + function.args.kwonlyargs}
            assert names <= arguments | {"listed"}, function.name
            found.append(function.name)
    assert len(found) == 4
