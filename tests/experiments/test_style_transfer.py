"""The three experiments: they do what the paper's figures do, and lists make grids."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor

import nst_utils as nst
from nst_utils.experiments.style_transfer import CONTENT_LAYERS, STYLE_LAYERS
from nst_utils.networks.network import Network

QUIET: dict[str, Any] = {"device": "cpu", "progress": False}
SHALLOW: dict[str, Any] = {"content_layers": ["conv2_2"], "style_layers": ["conv1_1", "conv2_1"]}


def test_the_defaults_are_the_papers() -> None:
    assert CONTENT_LAYERS == ("conv4_2",)
    assert STYLE_LAYERS == ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")


def test_transfer_makes_a_picture_of_the_contents_size(net: Network, content: Tensor) -> None:
    style = nst.load_image("great-wave", size=80)
    result = nst.transfer(content, style, net=net, steps=8, **QUIET)
    assert result.image.shape == content.shape
    assert result.history["total_loss"][-1].item() < 0.7 * result.start["total_loss"].item()
    assert [name for name in result.history if "/" in name] == [
        "content/conv4_2",
        *(f"style/{layer}" for layer in STYLE_LAYERS),
    ]


def test_the_settings_are_kept_and_plain(net: Network, content: Tensor, style: Tensor) -> None:
    result = nst.transfer(content, style, net=net, steps=1, seed=4, content_weight=0.5, **QUIET)
    settings = json.loads(json.dumps(result.settings))
    assert settings["content_weight"] == 0.5
    assert settings["seed"] == 4
    assert settings["steps"] == 1
    assert settings["content_layers"] == ["conv4_2"]
    assert settings["content_reduction"] == "mean"
    assert "normalized" in settings["network"]


def test_a_seed_gives_the_same_picture_and_another_another(
    net: Network, content: Tensor, style: Tensor
) -> None:
    first, again, other = (
        nst.transfer(content, style, net=net, steps=3, seed=seed, **SHALLOW, **QUIET).image
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


def test_a_grid_of_ratios_equals_single_runs(net: Network, content: Tensor, style: Tensor) -> None:
    """Figure 4 in one call."""
    ratios = [1e-4, 1e-3, 1e-2, 1e-1]
    grid = nst.transfer(content, style, net=net, content_weight=ratios, steps=4, **SHALLOW, **QUIET)
    assert grid.image.shape[0] == 4
    for i, ratio in enumerate(ratios):
        one = nst.transfer(
            content, style, net=net, content_weight=ratio, steps=4, **SHALLOW, **QUIET
        )
        torch.testing.assert_close(grid.image[i], one.image[0], atol=2e-3, rtol=0)
        torch.testing.assert_close(
            grid.history["total_loss"][:, i], one.history["total_loss"][:, 0], rtol=1e-3, atol=0
        )


def test_a_higher_ratio_keeps_more_content_and_less_style(
    net: Network, content: Tensor, style: Tensor
) -> None:
    grid = nst.transfer(
        content, style, net=net, content_weight=[1e-4, 1e-2, 1.0], steps=30, **SHALLOW, **QUIET
    )
    kept = grid.history["content_loss"][-1]
    styled = grid.history["style_loss"][-1]
    assert kept[0] > kept[1] > kept[2]
    assert styled[0] < styled[1] < styled[2]


def test_the_literal_sum_of_equation_1_is_one_argument_away(
    net: Network, content: Tensor, style: Tensor
) -> None:
    """N M times the mean: a ratio for the sum is that ratio times N M for the mean."""
    values = net(content, ["conv2_2"])["conv2_2"].numel()
    options: dict[str, Any] = {"net": net, "steps": 4, **SHALLOW, **QUIET}
    summed = nst.transfer(
        content, style, content_reduction="sum", content_weight=1e-2 / values, **options
    )
    mean = nst.transfer(content, style, content_weight=1e-2, **options)
    torch.testing.assert_close(summed.image, mean.image, atol=1e-3, rtol=0)
    assert summed.start["content_loss"].item() == pytest.approx(
        mean.start["content_loss"].item() * values, rel=1e-4
    )


def test_lists_of_pictures_layers_starts_and_seeds_make_rows(
    net: Network, content: Tensor, style: Tensor
) -> None:
    """Figures 3, 5 and 6 in one call each."""
    other = nst.load_image("starry-night", size=56)
    options: dict[str, Any] = {"net": net, "steps": 2, **QUIET}
    paintings = nst.transfer(
        content, [style, other], content_weight=[1e-3, 8e-4], **SHALLOW, **options
    )
    assert paintings.image.shape[0] == 2
    layers = nst.transfer(
        content,
        style,
        content_layers=[["conv1_2"], ["conv2_2"]],
        style_layers=["conv1_1"],
        **options,
    )
    assert layers.history["content/conv1_2"][-1].isnan().tolist() == [False, True]
    begin = torch.full_like(content, 0.25)
    inits = nst.transfer(
        content, style, init=["content", "style", "noise", begin], **SHALLOW, **options
    )
    assert inits.start["content_loss"][0] < 1e-9
    assert len(set(inits.start["content_loss"].tolist())) == 4
    seeds = nst.transfer(content, style, seed=[0, 1, 2], **SHALLOW, **options)
    assert seeds.image.shape[0] == 3
    assert not torch.allclose(seeds.image[0], seeds.image[1], atol=1e-3)


def test_style_layer_weights_are_w_l(net: Network, content: Tensor, style: Tensor) -> None:
    options: dict[str, Any] = {"net": net, "steps": 1, **SHALLOW, **QUIET}
    result = nst.transfer(content, style, style_layer_weights=[0.9, 0.1], **options)
    by_hand = 0.9 * result.history["style/conv1_1"] + 0.1 * result.history["style/conv2_1"]
    torch.testing.assert_close(result.history["style_loss"], by_hand)


def test_content_reconstructions_come_near_the_photograph(net: Network, content: Tensor) -> None:
    """Figure 1, top: one picture for each layer; the first layers keep almost every pixel."""
    layers = ["conv1_2", "conv3_2"]
    result = nst.reconstruct_content(content, layers=layers, net=net, steps=40, **QUIET)
    assert result.image.shape == (2, *content.shape[1:])
    error = (result.image - content).abs().mean((1, 2, 3))
    noise = (nst.noise_image(*content.shape[2:]) - content).abs().mean()
    assert error[0] < 0.2 * noise
    assert error[0] < error[1]
    assert (result.history["content_loss"][-1] < 0.05 * result.start["content_loss"]).all()
    assert (result.history["style_loss"] == 0).all()


def test_a_row_of_a_reconstruction_equals_its_own_run(net: Network, content: Tensor) -> None:
    both = nst.reconstruct_content(content, ["conv1_2", "conv3_2"], net=net, steps=3, **QUIET)
    alone = nst.reconstruct_content(content, ["conv3_2"], net=net, steps=3, **QUIET)
    torch.testing.assert_close(both.image[1], alone.image[0], atol=1e-3, rtol=0)


def test_style_reconstructions_match_the_gram_matrices(net: Network, style: Tensor) -> None:
    """Figure 1, bottom: nested sets, one picture each."""
    sets = [["conv1_1"], ["conv1_1", "conv2_1"]]
    result = nst.reconstruct_style(style, layer_sets=sets, net=net, steps=40, **QUIET)
    assert result.image.shape[0] == 2
    assert (result.history["style_loss"][-1] < 0.02 * result.start["style_loss"]).all()
    assert result.history["style/conv2_1"][-1].isnan().tolist() == [True, False]
    assert (result.history["content_loss"] == 0).all()


def test_a_texture_can_be_made_larger_than_its_sample(net: Network, style: Tensor) -> None:
    result = nst.reconstruct_style(
        style, [["conv1_1"]], net=net, size=(48, 96), steps=2, device="cpu", progress=False
    )
    assert result.image.shape == (1, 3, 48, 96)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"content_weight": math.nan}, "content_weight must be a finite number of at least 0"),
        ({"content_weight": -1.0}, "content_weight must be a finite number of at least 0"),
        ({"content_weight": 0.0, "style_weight": 0.0}, "all weights are 0"),
        ({"style_layer_weights": [1.0]}, "style_layer_weights has 1 values for 5 style layers"),
        ({"style_layer_weights": [1, 1, 1, 1, math.inf]}, "the weight of conv5_1 must be"),
        ({"net": "vgg19"}, "net must be a network as nst.vgg19"),
        ({"style_layers": ["conv1_1", "conv1_1"]}, "conv1_1 is named twice"),
        ({"content_layers": ["conv4_22"]}, "unknown layer 'conv4_22'; did you mean 'conv4_2'"),
        ({"style_layers": "conv1_1"}, "must be a list of names"),
        ({"content_reduction": "total"}, "unknown content reduction 'total'"),
        ({"init": "noisy"}, "unknown init 'noisy'; did you mean 'noise'"),
        ({"init": torch.rand(3, 64, 64)}, r"init must be a tensor of shape \(B, 3, H, W\)"),
        ({"optimizer": "lbgfs"}, "unknown optimizer 'lbgfs'; did you mean 'lbfgs'"),
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"content_weight": [1.0, 2.0], "seed": [0, 1, 2]}, "must all have the same length"),
        ({"content_weight": []}, "must all have the same length"),
    ],
)
def test_impossible_settings_are_sentences(
    net: Network, content: Tensor, style: Tensor, options: dict[str, Any], message: str
) -> None:
    settings: dict[str, Any] = {"net": net, "device": "cpu", "progress": False, **options}
    with pytest.raises(ValueError, match=message):
        nst.transfer(content, style, **settings)


def test_impossible_pictures_are_sentences(net: Network, content: Tensor, style: Tensor) -> None:
    for picture, message in (
        (torch.rand(64, 64, 3), r"content must be a tensor of shape \(B, 3, H, W\)"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), "must hold floats from 0 to 1"),
        (torch.full((1, 3, 64, 64), torch.nan), "NaN or infinite"),
        (torch.rand(1, 3, 1, 1), "too small for conv4_2"),
        (torch.rand(2, 3, 64, 64), "content holds 2 pictures"),
        (torch.rand(1, 3, 64, 64) * 255, "content holds values from .* dividing by 255"),
    ):
        with pytest.raises(ValueError, match=message):
            nst.transfer(picture, style, net=net, **QUIET)
    with pytest.raises(ValueError, match="style holds 2 pictures"):
        nst.transfer(content, torch.cat([style, style]), net=net, **QUIET)
    with pytest.raises(ValueError, match="style must be a tensor"):
        nst.transfer(content, torch.rand(3, 8, 8), net=net, **QUIET)
    with pytest.raises(ValueError, match="size must be a whole number"):
        nst.reconstruct_style(style, [["conv1_1"]], net=net, size=(0, 4), **QUIET)
    with pytest.raises(ValueError, match="must be a list of lists"):
        nst.reconstruct_style(style, ["conv1_1"], net=net, **QUIET)


def test_the_device_auto_is_one_that_is_there(net: Network, content: Tensor) -> None:
    result = nst.reconstruct_content(content, ["conv1_1"], net=net, steps=1, progress=False)
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    if not torch.backends.mps.is_available():
        assert result.device == expected


def test_float64_pictures_and_one_layer_for_content_and_style_work(
    net: Network, content: Tensor, style: Tensor
) -> None:
    result = nst.transfer(
        content.double(),
        style.double(),
        net=net,
        content_layers=["conv2_1"],
        style_layers=["conv2_1"],
        init=torch.full((1, 3, 4, 4), 0.5, dtype=torch.float64),
        steps=2,
        **QUIET,
    )
    assert result.image.dtype == torch.float32
    assert result.history["content/conv2_1"][-1] < result.start["content/conv2_1"]


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_it_works_in_inference_mode_and_with_pictures_that_require_gradients(
    net: Network, content: Tensor, style: Tensor, optimizer: str
) -> None:
    options: dict[str, Any] = {"net": net, "steps": 2, "optimizer": optimizer, **SHALLOW, **QUIET}
    plain = nst.transfer(content, style, **options)
    with torch.inference_mode():
        inferred = nst.transfer(content, style, **options)
    graded = nst.transfer(content.clone().requires_grad_(), style, **options)
    assert torch.equal(plain.image, inferred.image)
    assert torch.equal(plain.image, graded.image)
    assert not graded.image.requires_grad


def test_lists_may_be_generators(net: Network, content: Tensor, style: Tensor) -> None:
    layers: Any = (x for x in ["conv2_2"])
    result = nst.transfer(content, style, net=net, content_layers=layers, steps=1, **QUIET)
    assert "content/conv2_2" in result.history
    sets: Any = ([layer] for layer in ("conv1_1", "conv2_1"))
    assert nst.reconstruct_style(style, sets, net=net, steps=1, **QUIET).image.shape[0] == 2


def test_a_callback_cannot_spoil_the_run(net: Network, content: Tensor, style: Tensor) -> None:
    options: dict[str, Any] = {"net": net, "steps": 3, **SHALLOW, **QUIET}
    spoiled = nst.transfer(content, style, callback=lambda step: step.images.zero_(), **options)
    assert torch.equal(spoiled.image, nst.transfer(content, style, **options).image)


def test_a_style_reconstruction_is_exact_unless_told_otherwise(
    content: Tensor, style: Tensor, net: nst.Network
) -> None:
    """A learned curvature would lay the colors down in stains: no layer holds them in place."""
    options: dict[str, Any] = {"net": net, "steps": 1, "progress": False}
    by_default = nst.reconstruct_style(style, [["conv1_1"]], **options)
    assert by_default.settings["exact"] is True
    told = nst.reconstruct_style(style, [["conv1_1"]], exact=False, **options)
    assert told.settings["exact"] is False
    assert nst.reconstruct_content(content, ["conv1_1"], **options).settings["exact"] is False
