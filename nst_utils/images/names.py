"""Which picture is meant by a name, the bundled ones, and which names can be written to.

No picture is opened here, so that this takes no time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nst_utils.support import checks
from nst_utils.support.paths import check_writable, data_file, user_path

MAX_SEED = 2**64 - 1  # of noise, the largest that torch takes
OUTPUT_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}


@dataclass(frozen=True)
class Sample:
    """A bundled picture and where it comes from; ``file`` is relative to ``data/``."""

    name: str
    kind: str  # content, style or photoreal
    file: str
    title: str
    author: str
    year: str
    source: str
    license: str
    credit: str
    width: int
    height: int
    sha256: str

    @property
    def path(self) -> Path:
        return data_file(self.file)


@lru_cache(maxsize=1)
def samples() -> dict[str, Sample]:
    """The bundled pictures by name: ``samples()["chenonceau"].author``."""
    records = json.loads(data_file("catalog.json").read_text(encoding="utf-8"))
    return {record["name"]: Sample(**record) for record in records}


def find_picture(source: str | Path) -> Path:
    """The file that is meant: a file of that name, else the bundled picture.

    Raises ``FileNotFoundError`` where there is neither, ``ValueError`` for a folder.
    """
    path = user_path(source)
    if path.exists() and not path.is_dir():
        return path
    if str(source) in samples():
        return samples()[str(source)].path
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a picture file in it")
    if path.suffix or len(path.parts) > 1:
        raise FileNotFoundError(f"there is no picture {path}; check the path")
    known = checks.unknown("picture", source, samples())
    raise FileNotFoundError(f"there is no file {path}, nor a bundled picture: {known}")


def output_format(path: str | Path) -> str:
    """Pillow's name for the file type of ``path``; ``ValueError`` for one that is not written."""
    suffix = Path(path).suffix.lower()
    if suffix not in OUTPUT_FORMATS:
        raise ValueError(
            f"cannot write {Path(path).name}: its name must end in " + ", ".join(OUTPUT_FORMATS)
        )
    return OUTPUT_FORMATS[suffix]


def check_bits(bits: object, path: str | Path) -> int:
    """How many bits a color has in a file; ``ValueError`` where its type has no such picture."""
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, got {checks.shown(bits)}")
    if bits == 16 and output_format(path) not in ("PNG", "TIFF"):
        raise ValueError(
            f"{Path(path).name} cannot have 16 bits a color; let its name end in .png or .tif"
        )
    return int(bits)


def check_output(path: str | Path) -> Path:
    """Raise now what :func:`save_image` would raise after a long run; return the path."""
    target = user_path(path)
    output_format(target)
    check_writable(target)
    return target
