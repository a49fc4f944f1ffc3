"""A result that is as sharp as the photograph: the guided filter.

In each small window the result's colors are fitted as an affine function of the photograph's, and
the fits of all windows that hold a pixel are averaged: He, Sun & Tang, "Guided Image Filtering",
TPAMI 2013, for a photograph in color. Luan, Paris, Shechtman & Bala, "Deep Photo Style Transfer"
(CVPR 2017), have it as a loss that the result be locally affine in the photograph; here it is made
so, once, when it is finished.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as fn

from nst_utils.images.masks import as_mask, scale_mask
from nst_utils.support import checks
from nst_utils.support.neutral import neutral

RADIUS, EPSILON = 0.1, 3e-4
_LEAST_EPSILON = 1e-6  # nearer to 0, what float32 rounds of a variance would count
_LEAST_REST = 1e-3  # of a pixel, less than a file can tell
_TINY = 1e-12  # in place of what is 0 where a region has no part


@neutral()
def photorealistic(
    result: Tensor,
    photograph: Tensor,
    *,
    radius: float = RADIUS,
    epsilon: float = EPSILON,
    masks: Sequence[Tensor] | None = None,
) -> Tensor:
    """The colors and the light of a result, with the edges and the texture of its photograph.

    For a photograph in the style of another (figure 7). Of a painting, the strokes would go.

    Args:
        result: (B, 3, H, W), RGB, 0..1: pictures that were made of the photograph.
        photograph: (1, 3, H, W) for all of them, or (B, 3, H, W); of the same size.
        radius: of the square windows, as a share of the longest side, so that it does the same at
            every size. The larger, the more is as in the photograph, and the wider light is spread:
            with 0.01 lamps stay small and walls are blurred, with 0.2 every window of a house is
            there, and lamps are a glow.
        epsilon: the variance, of values 0..1, below which a window of the photograph counts as
            plain and gets a plain color. The larger, the hazier; the smaller, the more of the
            photograph's faults in plain places: from 1e-4 down, one sees the blocks of JPEG in a
            sky.
        masks: regions that do not mix, each (1, 1, H, W), 0..1, white inside; other sizes are
            scaled. Windows hold nothing from beyond an edge of a mask. What is in none of them is
            a region, too.

    Returns:
        (B, 3, H, W) on the device of ``result``, clamped to 0..1.

    Raises:
        ValueError: pictures that do not fit together, a radius or an epsilon that cannot be used,
            no masks.
    """
    result, photograph = (
        checks.pictures("result", result),
        checks.pictures("photograph", photograph),
    )
    _check_fit(result, photograph)
    height, width = result.shape[2:]
    reach = max(1, round(_checked_radius(radius) * max(height, width)))
    epsilon = checks.weight("epsilon", epsilon)
    if epsilon < _LEAST_EPSILON:
        raise ValueError(f"epsilon must be at least {_LEAST_EPSILON:g}, got {epsilon:g}")
    regions = _regions(masks, (height, width))
    dtype = torch.promote_types(result.dtype, torch.float32)
    colors, guide = result.to(dtype), photograph.to(result.device, dtype)
    # Around 0, where float32 is finest.
    of_colors, of_guide = (each.mean((2, 3), keepdim=True) for each in (colors, guide))
    colors, guide = colors - of_colors, guide - of_guide
    parts = [
        region * _filtered(colors, guide, region, reach, epsilon)
        for region in (each.to(colors) for each in regions)
    ]
    whole = sum(regions[1:], regions[0]).to(colors)
    return (sum(parts[1:], parts[0]) / whole + of_colors).clamp(0, 1).to(result.dtype)


def photorealistic_if_it_fits(
    result: Tensor, photograph: Tensor, masks: Sequence[Tensor] | None = None
) -> Tensor | None:
    """:func:`photorealistic`, or ``None`` where memory is too little for it, so that the picture
    can be kept as it was painted."""
    try:
        return photorealistic(result, photograph, masks=masks)
    except (MemoryError, RuntimeError) as error:
        if not checks.is_out_of_memory(error):
            raise
        return None


def _check_fit(result: Tensor, photograph: Tensor) -> None:
    height, width = result.shape[2:]
    if photograph.shape[2:] != result.shape[2:]:
        raise ValueError(
            f"photograph is {photograph.shape[3]}x{photograph.shape[2]} px and result "
            f"{width}x{height}; load the photograph with size=({height}, {width})"
        )
    if len(photograph) not in (1, len(result)):
        raise ValueError(
            f"photograph holds {len(photograph)} pictures, result {len(result)}; give one for all, "
            "or one for each"
        )


def _checked_radius(radius: object) -> float:
    share = checks.weight("radius", radius)
    if not 0 < share <= 1:
        raise ValueError(
            "radius must be a share of the longest side, above 0 and at most 1, for instance "
            f"{RADIUS:g}, got {share:g}"
        )
    return share


def _regions(masks: Sequence[Tensor] | None, size: tuple[int, int]) -> list[Tensor]:
    """The masks at that size, and what they leave; together 1 or more at each pixel."""
    everywhere = torch.ones(1, 1, *size, dtype=torch.float32, device="cpu")
    if masks is None:
        return [everywhere]
    if not isinstance(masks, (list, tuple)) or not masks:
        raise ValueError(
            f"masks must be a list of tensors (1, 1, H, W), 0..1, got {checks.shown(masks)}"
        )
    regions = [
        scale_mask(as_mask(f"mask {number}", mask), size)
        for number, mask in enumerate(masks, start=1)
    ]
    rest = (everywhere - sum(regions)).clamp(min=0)
    return [*regions, rest] if float(rest.max()) > _LEAST_REST else regions


def _filtered(colors: Tensor, guide: Tensor, region: Tensor, reach: int, epsilon: float) -> Tensor:
    """``colors`` as ``guide`` has its edges, both (B, 3, H, W), by what is in the region alone."""

    def around(values: Tensor) -> Tensor:
        return _sums(_sums(values, 2, reach), 3, reach)

    pixels = around(torch.ones_like(region))
    inside = around(region)

    def mean(values: Tensor) -> Tensor:
        return around(region * values) / inside.clamp(min=_TINY)

    # In each window: A = (cov(I, I) + epsilon)^-1 cov(I, p), b = mean(p) - A mean(I).
    channels = guide.split(1, 1)
    means, color = [mean(each) for each in channels], mean(colors)
    own = [
        [mean(x * y) - m * n for y, n in zip(channels, means, strict=True)]
        for x, m in zip(channels, means, strict=True)
    ]
    for i in range(3):
        own[i][i] = own[i][i] + epsilon
    slopes = _solved(
        own, [mean(x * colors) - m * color for x, m in zip(channels, means, strict=True)]
    )
    offset = color - sum(a * m for a, m in zip(slopes, means, strict=True))
    # Of the windows around a pixel, each counts by how much of it is in the region.
    share = inside / pixels
    summed = around(share * offset)
    for a, x in zip(slopes, channels, strict=True):
        summed = summed + around(share * a) * x
    return summed / around(share).clamp(min=_TINY)


def _solved(rows: list[list[Tensor]], right: list[Tensor]) -> list[Tensor]:
    """x of rows x = right, at each pixel, for rows that are positive definite: elimination, for
    which no device has to be waited for.

    Args:
        rows: 3 x 3 of (B, 1, H, W). right: 3 of (B, 3, H, W).
    """
    rows, right = [[*row] for row in rows], [*right]
    for i in range(3):
        for j in range(i + 1, 3):
            factor = rows[j][i] / rows[i][i]
            rows[j] = [x - factor * y for x, y in zip(rows[j], rows[i], strict=True)]
            right[j] = right[j] - factor * right[i]
    found: list[Tensor] = []  # the last first
    for i in (2, 1, 0):
        known = sum(x * y for x, y in zip(rows[i][:i:-1], found, strict=True))
        found.append((right[i] - known) / rows[i][i])
    return found[::-1]


def _sums(values: Tensor, dim: int, reach: int) -> Tensor:
    """Sums over as many neighbors on either side; fewer at the border.

    Of 1, 2, 4, ... values, put together: few additions, none of which cancel, as they do in
    differences of cumulative sums.
    """
    length = values.shape[dim]
    reach = min(reach, length - 1)
    left, size, window = 0, 1, 2 * reach + 1
    border = [0, 0, reach, reach] if dim == 2 else [reach, reach]
    sums = fn.pad(values, border)  # of ``size`` values, from each on
    found = torch.zeros_like(values)
    while True:
        if window & size:
            found = found + sums.narrow(dim, left, length)
            left += size
        if left == window:
            return found
        rest = sums.shape[dim] - size
        sums = sums.narrow(dim, 0, rest) + sums.narrow(dim, size, rest)
        size *= 2
