"""Where something belongs: masks, and the transparency of a photograph."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from torch import Tensor

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
