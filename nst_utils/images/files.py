"""Pictures: files <-> float32 tensors (B, 3, H, W), RGB, 0..1; and noise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from PIL import Image
from torch import Tensor

from nst_utils.images import sixteen
from nst_utils.images.conversion import FLOATS, Look, scale, to_strips, to_tensor
from nst_utils.images.decoding import MAX_PIXELS, open_picture
from nst_utils.images.embedded import as_texts, with_settings
from nst_utils.images.names import (
    MAX_SEED,
    check_bits,
    check_output,
    find_picture,
    output_format,
)
from nst_utils.support import checks
from nst_utils.support.messages import one_line
from nst_utils.support.neutral import neutral
from nst_utils.support.paths import write_whole
from nst_utils.support.quick import quick_size

Source = str | Path | BinaryIO


_ORIENTATION = 274  # a tag of EXIF; from 5 on, the picture is turned by a quarter

# What a size in one number measures.
MEASURES = ("longest", "shortest", "area")


@neutral()
def load_image(
    source: Source, size: int | tuple[int, int] | None = None, *, by: str = "longest"
) -> Tensor:
    """Load a picture, upright and in RGB whatever its file holds.

    EXIF rotation is applied, color profiles are converted to sRGB, transparency is laid on white,
    16-bit and gray pictures are converted, of animations the first frame is taken.

    Args:
        source: a file, or the name of a bundled picture (``"chenonceau"``; see :func:`samples`), or
            an open binary file, which is called by its ``name`` if it has one.
        size: the longest side in pixels after scaling, up or down, keeping the aspect ratio; or
            exactly ``(height, width)``; ``None`` keeps the picture's own size.
        by: what ``size`` in one number is of: the ``"longest"`` side; the ``"shortest"``, as in
            leongatys/PytorchNeuralStyleTransfer; or the ``"area"``, that of a square of ``size`` x
            ``size`` pixels, as in leongatys/NeuralImageSynthesis.

    Returns:
        (1, 3, H, W) float32, RGB, 0..1.

    Raises:
        FileNotFoundError: there is no such file or bundled picture.
        ValueError: the file is no readable picture, or a single pixel wide or high, or too large:
            of more than 100 megapixels (50 in WebP, AVIF, JPEG 2000 and progressive JPEG, 10 in
            PPM of other than 255 levels, BMP in runs and SGI of 16 bits), or scaling it to ``size``
            would take more memory than that.
    """
    return read(source, size, by, "picture")


def read(source: Source, size: int | tuple[int, int] | None, by: str, look: Look) -> Tensor:
    """What :func:`load_image` says, or another look at the file: (1, 1, H, W) then."""
    checks.one_of("by", by, MEASURES)
    if size is not None and not isinstance(size, tuple):
        size = quick_size(checks.count("size", size, most=MAX_PIXELS))
    file = find_picture(source) if isinstance(source, (str, Path)) else source
    name = file if isinstance(file, Path) else getattr(file, "name", "the picture")
    picture = open_picture(file, name)
    if min(picture.size) < 2:
        raise ValueError(f"{name} is {picture.width}x{picture.height} px; choose a larger one")
    own = (picture.height, picture.width)
    target = own if size is None else _target(own, size, by)
    try:
        strips = to_strips(picture, name, look)
        del picture  # from here on its memory is for the tensor
        return to_tensor(strips, target, channels=3 if look == "picture" else 1)
    except Exception as error:  # modes that Pillow cannot convert, too little memory
        raise ValueError(
            f"{name} cannot be converted to RGB ({one_line(error)}); save it as PNG"
        ) from None


@neutral()
def resize(image: Tensor, size: int | tuple[int, int], *, by: str = "longest") -> Tensor:
    """Scale (B, 3, H, W) to a longest side of ``size``, or to exactly ``(height, width)``.

    ``by`` is as in :func:`load_image`. Bicubic with antialiasing, so that a small picture shows no
    moire; clamped to 0..1.
    """
    own = (image.shape[-2], image.shape[-1])
    target = _target(own, size, checks.one_of("by", by, MEASURES))
    return image if target == own else scale(image, target).clamp(0, 1)


def _target(own: tuple[int, int], size: int | tuple[int, int], by: str) -> tuple[int, int]:
    """(height, width) after scaling; ``ValueError`` where that would need too much memory."""
    height, width = own
    if isinstance(size, tuple):
        if len(size) != 2:
            raise ValueError(f"size must be one number or (height, width), got {size}")
        target = size
    else:
        sides = {"longest": max(own), "shortest": min(own), "area": (height * width) ** 0.5}
        factor = checks.count("size", size, most=MAX_PIXELS) / sides[by]
        target = (max(1, round(height * factor)), max(1, round(width * factor)))
    for side in target:
        checks.count("size", side, most=MAX_PIXELS)
    # Rows are scaled before columns; what is in between is held beside the result.
    needed = (height + target[0]) * target[1]
    if target != own and needed > MAX_PIXELS:
        raise ValueError(
            f"size {size} of {width}x{height} px takes {needed:,} pixels of memory, more than "
            f"{MAX_PIXELS:,}; choose a smaller one"
        )
    return target


def to_pil(image: Tensor) -> Image.Image:
    """One picture as a PIL image; several, (B, 3, H, W), side by side with a white gap."""
    array = _side_by_side(image).mul(255).round().byte()
    return Image.fromarray(array.permute(1, 2, 0).numpy(), "RGB")


def _side_by_side(image: Tensor) -> Tensor:
    """(3, H, W) on the CPU, 0..1."""
    image = image.unsqueeze(0) if isinstance(image, Tensor) and image.ndim == 3 else image
    image = checks.images("the picture (of a result, its .image)", image).detach().float().cpu()
    gap = image.new_ones(3, image.shape[2], 8)
    strip = [part for one in image for part in (one, gap)][:-1]
    return torch.cat(strip, dim=2).clamp(0, 1)


def save_image(
    image: Tensor,
    path: str | Path,
    *,
    alpha: Tensor | None = None,
    settings: Mapping[str, Any] | None = None,
    bits: int = 8,
    dpi: float | tuple[float, float] | None = None,
) -> Path:
    """Write a picture, whole or not at all; the file type follows the name's ending.

    Args:
        image: (3, H, W) or (B, 3, H, W), RGB, 0..1 (clamped); several are put side by side.
        path: ends in .png, .jpg, .webp, .tif or .bmp.
        alpha: (1, 1, H, W), 0 (transparent) to 1, as :func:`nst_utils.load_alpha` gives it, for one
            picture; left out in JPEG and BMP, which have none.
        settings: what it was made with, plain values, kept in a PNG as text; left out elsewhere.
        bits: of each color, 8; or 16 in PNG and TIFF, for print: the file says then that it is in
            sRGB, which all pictures are here.
        dpi: dots to an inch, or those across and those down, for who prints it; left out in WebP,
            which has no place for it.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: unknown file type, unwritable place, NaN in the picture, an alpha that is not
            of the picture's size, 16 bits in a file type that has none.
    """
    target = check_output(path)
    check_bits(bits, path)
    dots = None if dpi is None else _across_and_down(dpi)
    if bits == 16:
        _save_16(image, target, alpha, settings, dots)
        return target
    picture = to_pil(image)
    kind = output_format(path)
    if alpha is not None and kind in ("PNG", "WEBP", "TIFF"):
        picture.putalpha(_alpha_channel(alpha, picture))
    of_kinds: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"quality": 95},
        "PNG": {} if settings is None else {"pnginfo": with_settings(settings)},
    }
    options = of_kinds.get(kind, {})
    if dots is not None and kind != "WEBP":
        options = options | {"dpi": dots}
    write_whole(target, lambda file: picture.save(file, format=kind, **options))
    return target


def _across_and_down(dpi: object) -> tuple[float, float]:
    """Dots to an inch, both ways."""
    both = dpi if isinstance(dpi, tuple) and len(dpi) == 2 else (dpi, dpi)
    across, down = (float(x) if isinstance(x, (int, float)) else 0.0 for x in both)
    if not (1 <= across <= 100_000 and 1 <= down <= 100_000):
        raise ValueError(f"dpi must be a number from 1 to 100000, or two, got {checks.shown(dpi)}")
    return across, down


def _save_16(
    image: Tensor,
    target: Path,
    alpha: Tensor | None,
    settings: Mapping[str, Any] | None,
    dpi: tuple[float, float] | None,
) -> None:
    colors = _side_by_side(image)
    if alpha is not None:
        colors = torch.cat([colors, _checked_alpha(alpha, colors.shape[1], colors.shape[2])[0]])
    levels = colors.mul(65535).round().to(torch.int32).permute(1, 2, 0).numpy().astype("uint16")
    if output_format(target) == "TIFF":
        write_whole(target, lambda file: sixteen.write_tiff(levels, file, dpi))
    else:
        texts = {} if settings is None else as_texts(settings)
        write_whole(target, lambda file: sixteen.write_png(levels, file, texts, dpi))


def _checked_alpha(alpha: object, height: int, width: int) -> Tensor:
    """(1, 1, H, W), 0..1."""
    size = (1, 1, height, width)
    if not isinstance(alpha, Tensor) or tuple(alpha.shape) != size:
        raise ValueError(
            f"alpha must be a tensor of shape {size} as load_alpha gives it for one picture of "
            f"this size, got {checks.shown(alpha)}"
        )
    return checks.images("alpha", alpha.expand(-1, 3, -1, -1)).float().cpu()[:, :1].clamp(0, 1)


def _alpha_channel(alpha: object, picture: Image.Image) -> Image.Image:
    checked = _checked_alpha(alpha, picture.height, picture.width)
    return to_pil(checked.expand(-1, 3, -1, -1)).getchannel(0)


def dpi_of(source: str | Path) -> tuple[float, float] | None:
    """The dots an inch that a picture's file tells, across and down; ``None`` where it does not."""
    try:
        with Image.open(find_picture(source)) as picture:
            across, down = (float(each) for each in picture.info["dpi"])
            turned = picture.getexif().get(_ORIENTATION, 1) >= 5
    except Exception:  # it was read before; this is no reason to fail
        return None
    if not (1 <= across <= 1e5 and 1 <= down <= 1e5):
        return None
    return (down, across) if turned else (across, down)


@neutral()
def noise_image(height: int, width: int, *, seed: int = 0, std: float = 1 / 255) -> Tensor:
    """White noise around middle gray: the paper's starting point.

    The default strength, one gray level, is that of the authors' code. Stronger noise does no good:
    the network hardly sees the finest frequencies, so what the start holds of them stays in the
    picture as grain (at a standard deviation of 0.1 it is plain to see, at the same loss).

    Args:
        height, width: pixels.
        seed: the same seed gives the same noise on every device.
        std: standard deviation of each value on the 0..1 scale.

    Returns:
        (1, 3, height, width) float32 on the CPU, clamped to 0..1.
    """
    height = checks.count("height", height, most=MAX_PIXELS)
    width = checks.count("width", width, most=MAX_PIXELS // height)
    std = checks.weight("std", std)
    generator = torch.Generator("cpu").manual_seed(checks.count("seed", seed, 0, MAX_SEED))
    noise = torch.randn(1, 3, height, width, generator=generator, **FLOATS)
    return (0.5 + std * noise).clamp(0, 1)
