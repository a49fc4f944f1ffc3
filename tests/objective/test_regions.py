"""What others added to transfer: blends, masks, total variation, learning rates."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

import nst_utils as nst
from nst_utils.losses import gram_matrix, total_variation
from nst_utils.networks.network import Network
from nst_utils.objective.rows import Painting, Row, check_mask
from nst_utils.objective.table import Evaluation, Objective
from nst_utils.objective.targets import Targets
from nst_utils.optimize.results import Result

LAYERS = {"conv1_1": 0.5, "conv2_1": 0.5}
SHALLOW: dict[str, Any] = {"content_layers": ["conv2_2"], "style_layers": list(LAYERS)}
CHEAP: dict[str, Any] = {"content_layers": ["conv1_1"], "style_layers": ["conv1_1"]}


def paint(net: Network, content: Tensor, style: Any, **options: Any) -> Result:
    quiet: dict[str, Any] = {"device": "cpu", "progress": False, "steps": 3}
    return nst.transfer(content, style, net=net, **(quiet | SHALLOW | options))


def evaluate(
    net: Network, style: Tensor | list[Painting], image: Tensor, **layers: float
) -> Evaluation:
    row = Row(style=style, style_layers=layers or LAYERS, style_weight=1.0)
    return Objective(net, [row]).evaluate(image)


def half(image: Tensor, side: int) -> Tensor:
    """White in the left (0) or the right (1) half."""
    mask = torch.zeros(1, 1, *image.shape[2:])
    mask.chunk(2, dim=3)[side][:] = 1
    return mask


@pytest.fixture(scope="module")
def other() -> Tensor:
    return nst.load_image("great-wave", size=64)


@pytest.fixture(scope="module")
def lively(content: Tensor) -> Tensor:
    return torch.rand(content.shape, generator=torch.Generator().manual_seed(0))


def test_a_blend_of_one_painting_is_that_painting(
    net: Network, content: Tensor, style: Tensor, other: Tensor
) -> None:
    both = [style, other]
    blends = paint(net, content, both, style_blend=[[0, 1], [1, 3]], steps=2).image
    single = paint(net, content, other, steps=2).image
    mixed = paint(net, content, both, style_blend=[0.25, 0.75], steps=2).image
    torch.testing.assert_close(blends, torch.cat([single, mixed]), rtol=0, atol=1e-3)
    assert not torch.allclose(single, mixed, atol=1e-2)


def test_the_gradient_of_a_blend_is_the_mean_of_the_gradients(
    net: Network, style: Tensor, other: Tensor, lively: Tensor
) -> None:
    blend = evaluate(net, [Painting(style, 1.0), Painting(other, 3.0)], lively).gradient
    one, two = (evaluate(net, each, lively).gradient for each in (style, other))
    torch.testing.assert_close(blend, one / 4 + two * 3 / 4, rtol=1e-3, atol=1e-8)


def test_a_white_mask_is_no_mask(net: Network, content: Tensor, style: Tensor) -> None:
    white = torch.ones(1, 1, *content.shape[2:])
    plain = paint(net, content, style, steps=1)
    faint = {"masks": [white * 1e-25]}
    for masks in (faint, {"masks": [white], "style_masks": [torch.ones(9, 7)]}):
        masked = paint(net, content, [style], steps=1, **masks)
        json.dumps(masked.settings)
        torch.testing.assert_close(masked.image, plain.image, rtol=0, atol=1e-3)
        torch.testing.assert_close(
            masked.start["style_loss"], plain.start["style_loss"], rtol=1e-4, atol=0
        )


def test_regions_do_not_feel_one_another(
    net: Network, style: Tensor, other: Tensor, lively: Tensor
) -> None:
    left, right = (half(lively, side) for side in (0, 1))
    mine = Painting(style, region=left)
    changed = torch.cat([lively[..., :36], 1 - lively[..., 36:]], dim=3)
    before = evaluate(net, [mine, Painting(other, region=right)], lively, conv1_1=1.0).gradient
    # At the border, 3x3 filters see the other region.
    for second, image in ((other, changed), (style, lively)):
        paintings = [mine, Painting(second, region=right)]
        after = evaluate(net, paintings, image, conv1_1=1.0).gradient
        torch.testing.assert_close(after[..., :29], before[..., :29], rtol=1e-3, atol=1e-9)
        assert not torch.allclose(after[..., 35:], before[..., 35:], rtol=1e-2, atol=1e-9)


def test_regions_count_by_their_area(net: Network, style: Tensor, lively: Tensor) -> None:
    parts = [Painting(style, region=half(lively, side)) for side in (0, 1)]
    both, plain = (evaluate(net, each, lively) for each in (parts, style))
    torch.testing.assert_close(both.loss, plain.loss, rtol=0.02, atol=0)
    angle = torch.cosine_similarity(both.gradient.flatten(), plain.gradient.flatten(), dim=0)
    assert angle > 0.95


@pytest.mark.parametrize("shape", [(43, 64), (1, 1, 43, 64), (1, 3, 43, 64), (86, 128), (1, 6, 8)])
def test_masks_may_have_other_shapes(content: Tensor, shape: tuple[int, ...]) -> None:
    mask = torch.zeros(shape)
    mask.chunk(2, dim=-1)[0][:] = 1
    found = check_mask("mask", mask, content.shape[2:])
    torch.testing.assert_close(found, half(content, 0))


def test_a_style_mask_looks_at_a_part(net: Network, style: Tensor) -> None:
    """The rest of the painting is black; what is next to it is not looked at."""
    painting = style * half(style, 0)
    look = torch.zeros(1, 1, 51, 64)
    look[..., :31] = 1
    everywhere = torch.ones(1, 1, *style.shape[2:])
    row = Row(
        style=[Painting(painting, region=everywhere, source=look)],
        style_layers={"conv1_1": 1.0},
        style_weight=1.0,
    )
    (target,) = Targets(net, [("style", "conv1_1")]).take([row], "style", "conv1_1")
    alone = net(style[..., :32], ["conv1_1"])["conv1_1"][..., :31]
    wanted = gram_matrix(alone) / (51 * 31)
    torch.testing.assert_close(target.values, wanted, rtol=1e-4, atol=1e-5)


def test_coarse_levels_know_masks_and_blends(net: Network, other: Tensor) -> None:
    photograph, painting = nst.noise_image(128, 136, std=0.2), nst.noise_image(96, 160, std=0.1)
    masks = [half(photograph, side) for side in (0, 1)]
    masked = {"masks": masks, "style_masks": [half(painting, 0), None]}
    for way in ({"style_blend": [0.5, 0.5]}, masked):
        result = paint(net, photograph, [painting, other], steps=5, tv_weight=1e-6, **CHEAP, **way)
        assert result.levels == [(64, 68, 1), (128, 136, 4)]
        assert all(losses.isfinite().all() for losses in result.history.values())
        assert result.history["total_loss"][-1] < result.start["total_loss"]


def test_total_variation_makes_smooth(net: Network, content: Tensor, style: Tensor) -> None:
    grid = paint(net, content, style, init="content", tv_weight=[0, 3e-2], steps=6)
    rough, smooth = total_variation(grid.image).tolist()
    assert smooth < 0.5 * rough
    last = {name: losses[-1] for name, losses in grid.history.items()}
    assert last["total_variation"].isnan().tolist() == [True, False]
    assert last["total_variation"][1].item() == pytest.approx(smooth, rel=1e-4)
    total = 5e-3 * last["content_loss"] + last["style_loss"]
    total += 3e-2 * last["total_variation"].nan_to_num()
    torch.testing.assert_close(last["total_loss"], total)
    assert "total_variation" not in paint(net, content, style, steps=1).history


def test_a_learning_rate_changes_at_its_step(net: Network, content: Tensor, style: Tensor) -> None:
    adam: dict[str, Any] = {"optimizer": "adam", "steps": 4, **CHEAP}
    changing, constant = (
        paint(net, content, style, learning_rate=rate, **adam).history["total_loss"]
        for rate in ({1: 0.02, 3: 0.001}, 0.02)
    )
    torch.testing.assert_close(changing[:2], constant[:2])
    assert (changing[2:] > constant[2:] * 1.01).all()


SPOT = torch.zeros(32, 32)
SPOT[20, 20] = 1
WHITE, HALF = torch.ones(4, 4), {"style_blend": [0.5, 0.5]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({**HALF, "masks": [WHITE, WHITE]}, "cannot be combined; leave one of them out"),
        ({"masks": [WHITE]}, "masks must be a list with one value for each of the 2"),
        ({"style_blend": [1.0]}, "style_blend must be a list with one value for each of the 2"),
        ({"style_blend": [0, 0]}, "shares of the paintings are all 0; raise one"),
        ({"style_blend": [1, -1]}, "a share of style_blend must be a finite number"),
        ({"masks": [WHITE, WHITE * 0]}, "mask 2 is black all over.* make some white"),
        ({"masks": [WHITE * 2, WHITE]}, r"mask 1 holds values outside 0\.\.1; white"),
        ({"masks": [WHITE * torch.nan, WHITE]}, r"mask 1 holds values outside 0\.\.1"),
        ({"masks": [WHITE, torch.ones(2, 5, 4, 4)]}, r"mask 2 must be a tensor \(1, 1, H, W\)"),
        ({"masks": [torch.ones(1, 4, 9, 9), WHITE]}, "mask 1 has 4 channels.*nst.load_mask"),
        ({"masks": [WHITE, SPOT]}, "mask 2 has only 0.00098 of its picture inside.*white"),
        ({"masks": [WHITE] * 2, "style_masks": [None, SPOT * 0.1]}, "style mask 2 has only"),
        ({"masks": [WHITE, "left"]}, "mask 2 must be a tensor .* got str"),
        ({"style_masks": [WHITE, None]}, "style_masks need masks"),
        ({"masks": [WHITE] * 2, "style_masks": [WHITE * 0, None]}, "style mask 1 is black"),
        ({"preserve_color": "luminanse"}, "unknown preserve_color .* did you mean 'luminance'"),
        ({"tv_weight": -1.0}, "tv_weight must be a finite number of at least 0"),
        ({"tv_power": 3}, "tv_power must be a whole number from 1 to 2"),
        ({"tv_reduction": "average"}, "unknown tv_reduction 'average'"),
        ({"tv_weight": 1.0, "tv_color": -1}, "tv_color must be a finite number of at least 0"),
        ({"style_reduction": "average"}, "unknown style reduction 'average'"),
        ({"learning_rate": {2: 0.1}}, "what holds from step 1 on"),
        ({"learning_rate": {1: 0.1, 0: 0.1}}, "a step of learning_rate must be a whole number"),
        ({"learning_rate": {1: -0.1}}, "learning_rate must be a finite number"),
    ],
)
def test_impossible_options_are_sentences(
    net: Network, content: Tensor, style: Tensor, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        paint(net, content, [style, style], **options)
