"""Where something belongs: masks, and the transparency of a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor
from torch.nn import functional as fn

from nst_utils.images.files import read
from nst_utils.support.neutral import neutral


@neutral()
def load_mask(
    source: str | Path | BinaryIO,
    size: int | tuple[int, int] | None = None,
    *,
    by: str = "longest",
) -> Tensor:
    """Load a mask for ``transfer``: white is inside, black is outside, and so is transparent.

    Gray is partly inside; of colors the mean of red, green and blue counts, as the file has them,
    without color profiles. It is multiplied by alpha, so white on transparent is a mask. Black on
    transparent has nothing inside: it is refused, for nobody can know whether its inverse is meant.

    Args:
        source, size, by: as in :func:`nst_utils.load_image`.

    Returns:
        (1, 1, H, W) float32, 0..1.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: what :func:`nst_utils.load_image` refuses, or a mask with nothing inside.
    """
    mask = read(source, size, by, "mask")
    if not bool(mask.any()):
        name = source if isinstance(source, (str, Path)) else getattr(source, "name", "the mask")
        raise ValueError(
            f"{name} as a mask has nothing inside: what is not transparent is black all over; "
            "paint white where the style belongs"
        )
    return mask


@neutral()
def load_alpha(
    source: str | Path | BinaryIO,
    size: int | tuple[int, int] | None = None,
    *,
    by: str = "longest",
) -> Tensor | None:
    """Load a picture's transparency, for the ``alpha`` of :func:`nst_utils.save_image`.

    Args:
        source, size, by: as in :func:`nst_utils.load_image`, so that both fit.

    Returns:
        (1, 1, H, W) float32, 0 (transparent) to 1; ``None`` where nothing is transparent.

    Raises:
        FileNotFoundError, ValueError: as :func:`nst_utils.load_image`.
    """
    alpha = read(source, size, by, "alpha")
    opaque = bool((alpha > 1 - 0.5 / 255).all())  # scaling leaves a little less than 1
    return None if opaque else alpha


def as_mask(what: str, mask: object) -> Tensor:
    """Return a mask as (1, 1, H, W) float32, 0..1, on the CPU.

    Taken are (H, W), (1, H, W), (1, 1, H, W), or a picture (1, 3, H, W), of which the mean over the
    channels counts: white is inside.

    Raises:
        ValueError: it is no such tensor, or holds other values.
    """
    if not isinstance(mask, Tensor) or mask.ndim not in (2, 3, 4):
        got = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(f"{what} must be a tensor (1, 1, H, W), 0..1, got {got}")
    mask = mask.detach().to("cpu", torch.float32)
    mask = mask.view(*[1] * (4 - mask.ndim), *mask.shape)
    if mask.shape[1] in (2, 4):
        raise ValueError(
            f"{what} has {mask.shape[1]} channels, one of them alpha, it seems; load its file with "
            "nst.load_mask, which takes transparent as outside"
        )
    if mask.shape[0] != 1 or mask.shape[1] not in (1, 3) or not mask.numel():
        raise ValueError(f"{what} must be a tensor (1, 1, H, W), 0..1, got {tuple(mask.shape)}")
    mask = mask.mean(1, keepdim=True)
    if not bool(((mask >= 0) & (mask <= 1)).all()):  # NaN too
        raise ValueError(f"{what} holds values outside 0..1; white (1) is inside, black outside")
    return mask


def scale_mask(mask: Tensor, size: Sequence[int]) -> Tensor:
    """A mask (1, 1, H, W) at another size, (height, width); nothing of it is left out."""
    same = tuple(mask.shape[2:]) == tuple(size)
    return mask if same else fn.interpolate(mask, tuple(size), mode="area")
