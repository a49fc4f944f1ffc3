"""From what a picture file holds to RGB values: modes, color profiles, transparency."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms


def to_rgb_array(picture: Image.Image) -> np.ndarray:
    """(H, W, 3) float32, 0..1, from a picture of any mode."""
    if picture.mode in ("I", "F", "I;16", "I;16B", "I;16L", "I;16N"):
        gray = np.asarray(picture, dtype=np.float32)
        gray = np.nan_to_num(gray, posinf=0.0, neginf=0.0)
        # 16-bit files give 0..65535; a float TIFF usually holds 0..1 or 0..255.
        top = 65535.0 if picture.mode != "F" else max(1.0, 255.0 * float(gray.max() > 1))
        gray = np.clip(gray / top, 0, 1)
        return np.repeat(gray[:, :, None], 3, axis=2)
    picture = _to_srgb(picture)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(picture.convert("RGB"), dtype=np.float32) / 255.0


def _to_srgb(picture: Image.Image) -> Image.Image:
    """Convert an embedded color profile (Adobe RGB, Display P3, a press's CMYK) to sRGB."""
    profile = picture.info.get("icc_profile")
    if profile and picture.mode == "P":
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if not profile or picture.mode not in ("L", "RGB", "RGBA", "CMYK"):
        return picture
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    try:
        converted = ImageCms.profileToProfile(
            picture, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode=mode
        )
    except (ImageCms.PyCMSError, OSError):
        return picture  # a damaged profile: the pixels are still good
    return converted if converted is not None else picture
