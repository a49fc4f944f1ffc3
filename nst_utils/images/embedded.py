"""What a picture was made with, kept in its own file: plain values, as a text in a PNG."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

KEYWORD = "nst_utils settings"  # of the text


def as_texts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Keyword -> text; the settings are plain values, as JSON has them."""
    return {"Software": "nst_utils", KEYWORD: json.dumps(settings)}


def with_settings(settings: Mapping[str, Any]) -> PngImagePlugin.PngInfo:
    """The same for Pillow's ``save(pnginfo=...)``."""
    info = PngImagePlugin.PngInfo()
    for keyword, text in as_texts(settings).items():
        info.add_itxt(keyword, text)
    return info


def settings_of_whole(path: Path) -> dict[str, Any] | None:
    """The settings in a PNG; ``None`` where there are none, or where the file is not whole."""
    try:
        if not path.is_file():  # a pipe would make it wait
            return None
        with Image.open(path, formats=["PNG"]) as picture:
            text = picture.info.get(KEYWORD)
            picture.verify()  # the checksum of every part
        with Image.open(path, formats=["PNG"]) as picture:
            picture.load()  # every pixel
        found = json.loads(text) if isinstance(text, str) else None
    except Exception:  # of a damaged file Pillow raises OSError, SyntaxError and others
        return None
    return found if isinstance(found, dict) else None
