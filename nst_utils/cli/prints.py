"""``--print A4 --dpi 300``: the size of a picture that is to hang on a wall.

Without torch, so that a mistake is said at once; what needs it is in :mod:`nst_utils.cli.large`.
"""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import NamedTuple

# Millimeters, upright.
PAPERS = {
    "A6": (105.0, 148.0),
    "A5": (148.0, 210.0),
    "A4": (210.0, 297.0),
    "A3": (297.0, 420.0),
    "A2": (420.0, 594.0),
    "letter": (215.9, 279.4),
}
_MILLIMETERS = 25.4  # of an inch


class Paper(NamedTuple):
    """Millimeters, upright; ``name`` as it was typed."""

    name: str
    width: float
    height: float


def paper(text: str) -> Paper:
    """A name of :data:`PAPERS`, or width x height in millimeters: ``180x120``."""
    known = {name.lower(): sides for name, sides in PAPERS.items()}
    if text.lower() in known:
        return Paper(text, *known[text.lower()])
    sides = re.fullmatch(r"(\d{1,4}(?:\.\d+)?)x(\d{1,4}(?:\.\d+)?)(?:mm)?", text.lower())
    if not sides or not min(map(float, sides.groups())) >= 5:
        raise ArgumentTypeError(
            f"must be {', '.join(PAPERS)}, or millimeters such as 180x120, got '{text}'"
        )
    return Paper(text, *sorted(map(float, sides.groups())))


def pixels(sheet: Paper, dpi: int, width: int, height: int) -> tuple[int, int]:
    """Width and height of the print of a photograph of that shape: as large as fits on the sheet,
    which is turned as the photograph is.

    >>> pixels(paper("A4"), 300, 1024, 768)
    (3307, 2480)
    """
    long, short = sheet.height, sheet.width
    across, down = (long, short) if width >= height else (short, long)
    scale = min(across / width, down / height) * dpi / _MILLIMETERS
    return max(2, round(width * scale)), max(2, round(height * scale))


def millimeters(side: int, dpi: int) -> int:
    """What so many pixels measure in print."""
    return round(side * _MILLIMETERS / dpi)
