"""Keeping a photograph's colors: the statistics and the brightness that are asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import nst_utils as nst
from nst_utils.experiments.defaults import PRESERVE_COLORS
from nst_utils.images.color import (
    as_gray,
    luminance,
    match_color,
    match_luminance,
    with_color_of,
)
from nst_utils.networks.network import Network
from nst_utils.optimize.results import Step

OPTIONS: dict[str, Any] = {
    "content_layers": ["conv1_2"],
    "style_layers": ["conv1_1"],
    "steps": 3,
    "device": "cpu",
    "progress": False,
}

# Red, green, blue -> I and Q of YIQ.
CHROMA = torch.tensor([[0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


def soft(picture: Tensor, contrast: float = 0.2) -> Tensor:
    """The picture with little contrast around middle gray, so that nothing is clamped."""
    return 0.5 + contrast * (picture - 0.5)


def chroma(image: Tensor) -> Tensor:
    """I and Q, (B, 2, H, W)."""
    return torch.einsum("kc,bchw->bkhw", CHROMA.to(image), image)


def covariance(image: Tensor) -> Tensor:
    return torch.cov(image.double().flatten(2)[0])


def test_match_color_gives_the_photographs_mean_and_covariance(
    content: Tensor, style: Tensor
) -> None:
    photograph, painting = soft(content), soft(style)
    matched = match_color(painting, photograph)
    assert matched.shape == painting.shape
    assert matched.dtype == painting.dtype
    torch.testing.assert_close(matched.mean((2, 3)), photograph.mean((2, 3)), rtol=0, atol=1e-5)
    torch.testing.assert_close(covariance(matched), covariance(photograph), rtol=1e-3, atol=1e-6)


def test_match_color_does_not_depend_on_the_order_of_channels(
    content: Tensor, style: Tensor
) -> None:
    order = [2, 0, 1]
    turned = match_color(style[:, order], content[:, order])
    torch.testing.assert_close(turned, match_color(style, content)[:, order], rtol=0, atol=1e-5)


def test_a_painting_with_the_photographs_colors_stays(content: Tensor) -> None:
    torch.testing.assert_close(match_color(content, content), content, rtol=0, atol=1e-5)


def test_pictures_without_color_are_survived(content: Tensor, style: Tensor) -> None:
    gray = luminance(style).expand(-1, 3, -1, -1)
    flat = torch.full((1, 3, 8, 8), 0.3)
    black = torch.zeros(1, 3, 8, 8)
    for match in (match_color, match_luminance):
        for one in (gray, flat, black):
            for matched in (match(one, content), match(style, one)):
                assert matched.isfinite().all()
                assert 0 <= matched.min() <= matched.max() <= 1


def test_a_painting_like_a_photograph_of_one_color_has_that_color(style: Tensor) -> None:
    color = torch.tensor([0.2, 0.5, 0.7]).view(1, 3, 1, 1)
    matched = match_color(style, color.expand(-1, -1, 8, 8))
    torch.testing.assert_close(matched, color.expand_as(style), rtol=0, atol=0.02)


def test_match_luminance_gives_mean_and_spread_of_brightness(
    content: Tensor, style: Tensor
) -> None:
    photograph, painting = soft(content, 0.1), soft(style)
    matched = match_luminance(painting, photograph)
    assert matched.shape == painting.shape
    assert torch.equal(matched[:, 0], matched[:, 1])
    assert torch.equal(matched[:, 0], matched[:, 2])
    found, wanted = luminance(matched), luminance(photograph)
    assert found.mean().item() == pytest.approx(wanted.mean().item(), abs=1e-5)
    assert found.std().item() == pytest.approx(wanted.std().item(), rel=1e-4)


def test_with_color_of_changes_brightness_alone(content: Tensor, style: Tensor) -> None:
    photograph = soft(content)
    images = torch.cat([soft(content.flip(3)), soft(content.flip(2))])
    mixed = with_color_of(images, photograph)
    assert mixed.shape == images.shape
    wanted = chroma(photograph).expand(2, -1, -1, -1)
    torch.testing.assert_close(chroma(mixed), wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(luminance(mixed), luminance(images), rtol=0, atol=1e-5)


def test_with_color_of_itself_changes_nothing(content: Tensor) -> None:
    torch.testing.assert_close(with_color_of(content, content), content, rtol=0, atol=1e-6)


def test_with_color_of_stays_a_picture(content: Tensor) -> None:
    for image in (torch.zeros_like(content), torch.ones_like(content)):
        mixed = with_color_of(image, content)
        assert 0 <= mixed.min() <= mixed.max() <= 1


def test_luminance_is_that_of_rec_601() -> None:
    colors = torch.eye(3).view(3, 3, 1, 1)
    torch.testing.assert_close(luminance(colors).flatten(), torch.tensor([0.299, 0.587, 0.114]))
    assert luminance(torch.ones(1, 3, 1, 1)).item() == pytest.approx(1.0)


def test_transfer_in_luminance_keeps_the_photographs_colors(
    net: Network, content: Tensor, style: Tensor
) -> None:
    """In the result and in what a callback sees."""
    seen: list[Step] = []
    photograph = soft(content, 0.3)
    result = nst.transfer(
        photograph, style, net=net, preserve_color="luminance", callback=seen.append, **OPTIONS
    )
    for image in (result.image, *(step.images for step in seen)):
        inside = ((image > 1e-3) & (image < 1 - 1e-3)).all(1)
        assert inside.float().mean() > 0.8
        off = (chroma(image) - chroma(photograph)).abs().amax(1)
        assert off[inside].max() < 1e-5
    assert len(seen) == 3
    assert torch.equal(seen[-1].images, result.image)
    assert (luminance(result.image) - luminance(photograph)).abs().mean() > 1e-2


@pytest.mark.parametrize("preserve", PRESERVE_COLORS)
@pytest.mark.parametrize("init", ["noise", "content", "style"])
def test_a_gray_photograph_stays_gray(
    preserve: str, init: str, net: Network, content: Tensor, style: Tensor
) -> None:
    """In the result and in what a callback sees."""
    seen: list[Step] = []
    photograph = as_gray(content)
    options = OPTIONS | {"preserve_color": preserve, "init": init, "callback": seen.append}
    result = nst.transfer(photograph, style, net=net, **options)
    for image in (result.image, *(step.images for step in seen)):
        assert image.isfinite().all()
        assert (image.amax(1) - image.amin(1)).max() < 1e-6
    assert (result.image - photograph).abs().mean() > 1e-2


def test_a_painting_like_a_gray_photograph_is_gray(content: Tensor, style: Tensor) -> None:
    matched = match_color(style, as_gray(content))
    assert (matched.amax(1) - matched.amin(1)).max() < 1e-4


def test_transfer_with_statistics_recolors_the_painting(
    net: Network, content: Tensor, style: Tensor
) -> None:
    kept = nst.transfer(content, style, net=net, preserve_color="statistics", **OPTIONS)
    by_hand = nst.transfer(content, match_color(style, content), net=net, **OPTIONS)
    torch.testing.assert_close(kept.image, by_hand.image, rtol=0, atol=1e-5)
    plain = nst.transfer(content, style, net=net, **OPTIONS)
    assert not torch.allclose(kept.image, plain.image, atol=1e-2)
