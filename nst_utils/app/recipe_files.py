"""A recipe in a picture's file: a PNG that says what it was made with."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, PngImagePlugin
from torch import Tensor

from nst_utils.app.recipes import Recipe, from_json
from nst_utils.experiments.defaults import DPI
from nst_utils.experiments.large import is_large
from nst_utils.images.files import to_pil

KEYWORD = "nst_utils recipe"  # of the text in a PNG


def write_png(image: Tensor, recipe: Recipe, file: BinaryIO) -> None:
    """Write (1, 3, H, W) as PNG, the recipe in it; a large one says how large it is in print."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "nst_utils")
    info.add_itxt(KEYWORD, recipe.to_json())
    printed: dict[str, Any] = {"dpi": (DPI, DPI)} if is_large(image.shape[2:]) else {}
    to_pil(image).save(file, "PNG", pnginfo=info, **printed)


def read_png(file: str | Path | BinaryIO) -> Recipe:
    """The recipe in a PNG; ``ValueError`` where there is none."""
    name = file if isinstance(file, (str, Path)) else getattr(file, "name", "the picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size: the pixels are not read
            if isinstance(file, (str, Path)) and not Path(file).is_file():
                raise OSError  # a pipe would make it wait
            with Image.open(file, formats=["PNG"]) as picture:
                text = picture.info.get(KEYWORD)
    except Exception:  # of a damaged file Pillow raises OSError, SyntaxError and others
        raise ValueError(f"{name} is not a PNG that can be read") from None
    if not isinstance(text, str):
        raise ValueError(f"{name} holds no settings; only pictures saved in the studio do")
    try:
        return from_json(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
