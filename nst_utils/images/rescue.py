"""A finished picture is not lost because its place became unwritable while it was painted."""

from __future__ import annotations

import tempfile
from pathlib import Path

from torch import Tensor

from nst_utils.images.files import save_image


def save_or_rescue(
    image: Tensor, path: str | Path, alpha: Tensor | None = None, dpi: int | None = None
) -> Path:
    """:func:`nst_utils.save_image`; where that fails, the picture goes into a new folder elsewhere.

    That folder is made in the current one, the user's own or the system's for temporary files, and
    the picture is a PNG there, which has no limits of size.

    Raises:
        ValueError: it could not be written to ``path``; the sentence says where it is instead.
    """
    try:
        return save_image(image, path, alpha=alpha, dpi=dpi)
    except (OSError, ValueError) as error:
        trouble = error
    for place in (Path.cwd, Path.home, tempfile.gettempdir):
        try:
            folder = Path(tempfile.mkdtemp(prefix="nst-rescued-", dir=place()))
        except (OSError, RuntimeError):  # it does not exist, or takes no file either
            continue
        try:
            rescued = save_image(image, folder / f"{Path(path).stem}.png", alpha=alpha, dpi=dpi)
        except (OSError, ValueError):
            folder.rmdir()
            continue
        raise ValueError(f"{trouble}; the finished picture is in {rescued.resolve()} instead")
    raise ValueError(f"{trouble}; nor could the finished picture be written anywhere else")
