"""The guided filter: the fits of He et al., by hand; edges stay, masks hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import nst_utils as nst
from nst_utils.images.guided import EPSILON

EXACT: dict[str, Any] = {"rtol": 0, "atol": 2e-5}


def picture(height: int, width: int, seed: int = 0, *, pictures: int = 1) -> Tensor:
    """Smooth shapes and noise, far enough from 0 and 1 that nothing is clamped."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(pictures, 3, height, width, generator=generator)
    slope = torch.linspace(0, 1, width).expand(pictures, 3, height, width)
    return 0.3 + 0.2 * noise + 0.2 * slope


def by_hand(
    result: Tensor, photograph: Tensor, reach: int, epsilon: float, region: Tensor | None = None
) -> np.ndarray:
    """Window by window in float64: the weighted ridge regression, then the mean of the fits."""
    colors, guide = (x[0].permute(1, 2, 0).double().numpy() for x in (result, photograph))
    height, width, _ = colors.shape
    weights = np.ones((height, width)) if region is None else region[0, 0].double().numpy()
    summed, total = np.zeros_like(colors), np.zeros((height, width, 1))
    for row in range(height):
        for column in range(width):
            rows = slice(max(0, row - reach), row + reach + 1)
            columns = slice(max(0, column - reach), column + reach + 1)
            w = weights[rows, columns].reshape(-1, 1)
            if not w.any():
                continue
            x, p = (each[rows, columns].reshape(-1, 3) for each in (guide, colors))
            center, color = (w * x).sum(0) / w.sum(), (w * p).sum(0) / w.sum()
            # sum w |A (x - center) + c - p|^2 + epsilon sum w |A|^2, as one least squares problem.
            left = np.concatenate(
                [np.sqrt(w) * (x - center), np.sqrt(epsilon * w.sum()) * np.eye(3)]
            )
            right = np.concatenate([np.sqrt(w) * (p - color), np.zeros((3, 3))])
            slopes = np.linalg.lstsq(left, right, rcond=None)[0]
            share = w.mean()
            summed[rows, columns] += share * ((guide[rows, columns] - center) @ slopes + color)
            total[rows, columns] += share
    return (summed / np.maximum(total, 1e-30)).clip(0, 1)


def as_array(image: Tensor) -> np.ndarray:
    return image[0].permute(1, 2, 0).double().numpy()


def left_half(height: int, width: int) -> Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[..., : width // 2] = 1
    return mask


def steps_across(image: Tensor) -> Tensor:
    return image.diff(dim=3).abs()


@pytest.mark.parametrize("epsilon", [1e-2, EPSILON, 1e-5])
@pytest.mark.parametrize("reach", [1, 2, 5, 30])
def test_it_is_the_least_squares_of_each_window(reach: int, epsilon: float) -> None:
    """At the border too, where windows are cut, and where they are larger than the picture."""
    result, photograph = picture(14, 20, 1), picture(14, 20, 2)
    radius = min(1.0, reach / 20)
    found = nst.photorealistic(result, photograph, radius=radius, epsilon=epsilon)
    wanted = by_hand(result, photograph, min(reach, 20), epsilon)
    np.testing.assert_allclose(as_array(found), wanted, **EXACT)


def test_soft_masks_weigh_each_window() -> None:
    result, photograph = picture(14, 20, 1), picture(14, 20, 2)
    soft = torch.linspace(0, 1, 20).square().expand(1, 1, 14, 20)
    found = nst.photorealistic(result, photograph, radius=0.15, epsilon=1e-3, masks=[soft])
    wanted = sum(
        region[0, 0, ..., None].double().numpy() * by_hand(result, photograph, 3, 1e-3, region)
        for region in (soft, 1 - soft)
    )
    np.testing.assert_allclose(as_array(found), wanted, **EXACT)


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    radius=st.floats(0.01, 1),
    epsilon=st.sampled_from([1e-6, 1e-4, 1.0]),
    is_split=st.booleans(),
)
def test_every_size_and_radius(
    height: int, width: int, radius: float, epsilon: float, is_split: bool
) -> None:
    """Sides of one pixel, and windows larger than the picture."""
    result, photograph = picture(height, width, 1), picture(height, width, 2)
    mask = left_half(height, width)
    found = nst.photorealistic(
        result, photograph, radius=radius, epsilon=epsilon, masks=[mask] if is_split else None
    )
    reach = max(1, round(radius * max(height, width)))
    regions = [mask, 1 - mask] if is_split else [torch.ones_like(mask)]
    wanted = sum(
        each[0, 0, ..., None].numpy() * by_hand(result, photograph, reach, epsilon, each)
        for each in regions
    )
    np.testing.assert_allclose(as_array(found), wanted, **EXACT)


@pytest.mark.parametrize("epsilon", [1e-6, EPSILON])
def test_a_plain_color_stays(epsilon: float) -> None:
    color = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 40, 61)
    for photograph in (picture(40, 61), color.flip(1), torch.zeros_like(color)):
        found = nst.photorealistic(color, photograph, epsilon=epsilon)
        torch.testing.assert_close(found, color, rtol=0, atol=1e-6)


def test_the_photograph_stays_as_it_is_up_to_epsilon() -> None:
    photograph = nst.load_image("schwerin-day", 128)
    off = [
        (nst.photorealistic(photograph, photograph, epsilon=e) - photograph).abs().mean()
        for e in (1e-6, 1e-4, 1e-2)
    ]
    assert off[0] < 2e-4
    assert off[0] < off[1] < off[2]


def test_a_change_of_colors_goes_through() -> None:
    """What is affine in the photograph everywhere is as it was."""
    photograph = picture(40, 61)
    mixed = torch.tensor([[0.5, 0.2, 0.0], [0.1, 0.3, 0.3], [0.0, -0.2, 0.6]])
    dusk = torch.einsum("kc,bchw->bkhw", mixed, photograph) + 0.1
    found = nst.photorealistic(dusk, photograph, epsilon=1e-6)
    torch.testing.assert_close(found, dusk, rtol=0, atol=1e-3)


def test_edges_come_from_the_photograph() -> None:
    """A soft edge becomes sharp, one that the photograph does not have becomes soft."""
    photograph = 0.2 + 0.6 * left_half(24, 60).expand(1, 3, -1, -1)
    soft = torch.linspace(0.7, 0.3, 60).expand(1, 3, 24, 60)
    found = nst.photorealistic(soft, photograph, radius=0.2)
    at_edge = steps_across(found)[..., 29]
    assert at_edge.min() > 10 * steps_across(soft).max()
    invented = soft.clone()
    invented[..., 10:12] = 1  # a bright line
    found = nst.photorealistic(invented, photograph, radius=0.2)
    assert steps_across(found)[..., :28].max() < 0.1 * steps_across(invented).max()


def test_colors_do_not_bleed_over_the_edge_of_a_mask() -> None:
    """Even where the photograph has no edge; without masks they do."""
    photograph = picture(24, 60)
    mask = left_half(24, 60)
    result = 0.1 + 0.7 * mask.expand(1, 3, -1, -1)
    held = nst.photorealistic(result, photograph, radius=0.2, masks=[mask])
    torch.testing.assert_close(held, result, rtol=0, atol=1e-6)
    both = nst.photorealistic(result, photograph, radius=0.2, masks=[mask, 1 - mask])
    torch.testing.assert_close(both, held, rtol=0, atol=1e-6)
    free = nst.photorealistic(result, photograph, radius=0.2)
    assert (free - result).abs()[..., 28:32].mean() > 0.2


def test_what_is_beyond_a_mask_has_no_influence() -> None:
    photograph, mask = picture(24, 60), left_half(24, 60)
    result = picture(24, 60, 1)
    changed = torch.where(mask > 0, result, 1 - result)
    one, two = (nst.photorealistic(x, photograph, masks=[mask]) for x in (result, changed))
    torch.testing.assert_close(one[..., :30], two[..., :30], rtol=0, atol=1e-5)
    assert (one - two)[..., 30:].abs().mean() > 0.01


def test_masks_of_all_kinds() -> None:
    """Of another size or shape, all white, all black, and over one another."""
    photograph, result = picture(24, 60), picture(24, 60, 1)
    held = nst.photorealistic(result, photograph, masks=[left_half(24, 60)])
    for mask in (
        left_half(48, 120),
        left_half(24, 60)[0, 0],
        left_half(12, 30).expand(1, 3, -1, -1),
    ):
        found = nst.photorealistic(result, photograph, masks=[mask])
        torch.testing.assert_close(found, held, rtol=0, atol=1e-6)
    free = nst.photorealistic(result, photograph)
    white, black = torch.ones(24, 60), torch.zeros(24, 60)
    for masks in ([white], [black], [white, black], [white, white]):
        found = nst.photorealistic(result, photograph, masks=masks)
        torch.testing.assert_close(found, free, rtol=0, atol=1e-6)


def test_each_of_several_is_as_it_would_be_alone() -> None:
    results, photographs = picture(24, 31, 1, pictures=3), picture(24, 31, 2, pictures=3)
    mask = left_half(24, 31)
    for guide, guides in (
        (photographs, photographs.split(1)),
        (photographs[:1], [photographs[:1]] * 3),
    ):
        found = nst.photorealistic(results, guide, masks=[mask])
        alone = [
            nst.photorealistic(result, its, masks=[mask])
            for result, its in zip(results.split(1), guides, strict=True)
        ]
        torch.testing.assert_close(found, torch.cat(alone), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_come_back_as_they_are(dtype: torch.dtype) -> None:
    result, photograph = picture(24, 31, 1), picture(24, 31, 2)
    found = nst.photorealistic(result.to(dtype), photograph)
    assert found.dtype == dtype
    wanted = nst.photorealistic(result, photograph)
    torch.testing.assert_close(found.float(), wanted, rtol=0, atol=5e-3)


def test_a_large_picture_is_as_exact() -> None:
    """Sums over many pixels lose nothing: a plain color beside one that is bright."""
    photograph = torch.cat([picture(40, 1500), torch.ones(1, 3, 40, 1500)], dim=3)
    result = photograph.flip(1)
    one = nst.photorealistic(result, photograph, radius=0.2)
    two = nst.photorealistic(result.double(), photograph.double(), radius=0.2)
    torch.testing.assert_close(one.double(), two, **EXACT)


def test_it_stays_a_picture() -> None:
    photograph = picture(24, 31)
    result = (picture(24, 31, 1) > 0.5).float()
    found = nst.photorealistic(result, photograph, radius=0.05, epsilon=1e-6)
    assert found.isfinite().all()
    assert 0 <= found.min() <= found.max() <= 1


P = picture(8, 12)
HALF = left_half(8, 12)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another size": (
        {"photograph": picture(8, 11)},
        r"photograph is 11x8 px and result 12x8; load",
    ),
    "turned": ({"photograph": picture(12, 8)}, r"size=\(8, 12\)"),
    "more photographs": ({"photograph": picture(8, 12, pictures=2)}, "holds 2 pictures, result 1"),
    "no picture": ({"result": "out.png"}, "result must be a tensor of shape"),
    "gray levels": ({"result": P * 255}, "result holds values from .* dividing by 255"),
    "a photograph of gray levels": ({"photograph": P * 255}, "photograph holds values"),
    "NaN": ({"photograph": P * torch.nan}, "photograph holds NaN"),
    "radius 0": ({"radius": 0}, "radius must be a share of the longest side, above 0"),
    "radius in pixels": ({"radius": 12}, "radius must be a share .* at most 1, .* got 12"),
    "radius below 0": ({"radius": -0.1}, "radius must be"),
    "no radius": ({"radius": None}, "radius must be a number"),
    "epsilon 0": ({"epsilon": 0}, "epsilon must be at least 1e-06, got 0"),
    "epsilon below 0": ({"epsilon": -1}, "epsilon must be"),
    "epsilon NaN": ({"epsilon": float("nan")}, "epsilon must be"),
    "a mask alone": ({"masks": HALF}, r"masks must be a list of tensors \(1, 1, H, W\)"),
    "no masks": ({"masks": []}, "masks must be a list"),
    "a file": ({"masks": ["sky.png"]}, "mask 1 must be a tensor"),
    "a mask of gray levels": ({"masks": [HALF, HALF * 255]}, "mask 2 holds values outside 0..1"),
    "a mask with alpha": ({"masks": [HALF.expand(1, 4, 8, 12)]}, "one of them alpha"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_used_is_a_sentence(what: str) -> None:
    given, told = WRONG[what]
    arguments: dict[str, Any] = {"result": P, "photograph": P}
    with pytest.raises(ValueError, match=rf"\A[^\n]*{told}[^\n]*\Z"):
        nst.photorealistic(**(arguments | given))
