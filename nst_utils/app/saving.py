"""What the studio saves: into the notebook's folder, or, where it is served, in the browser."""

from __future__ import annotations

import html
import re
from pathlib import Path

from nst_utils.app.limits import Limits
from nst_utils.app.page import data_url
from nst_utils.app.recipes import Recipe
from nst_utils.support.paths import write_whole


def save(recipe: Recipe, data: bytes, kind: str, note: str, number: int = 1) -> str:
    """Write a file, never over another one; return HTML that says where, with a link to it.

    A studio that is served writes none: whoever is before it has another disk, and shares this one
    with others. There the link is followed by itself.

    Args:
        recipe: names the file after its pictures. data: its bytes. kind: ``"png"`` or ``"gif"``.
        note: a sentence to add. number: of the file, where none is written.
    """
    link = data_url(data, kind)
    if Limits.here().is_served:
        name = html.escape(_name(recipe, kind, number))
        return (
            f'<p role="status">{name} goes to your browser\'s downloads. {note} '
            f'<a data-nst-download download="{name}" href="{link}">Download it again</a></p>'
        )
    path = free_name(recipe, kind)
    try:
        write_whole(path, lambda file: file.write(data))
        where = f"Saved as {html.escape(path.name)} in the notebook's folder."
    except (ValueError, OSError) as error:
        where = f"The notebook's folder takes no file ({html.escape(str(error))})."
    name = html.escape(path.name)
    return f'<p role="status">{where} {note} <a download="{name}" href="{link}">Download it</a></p>'


def free_name(recipe: Recipe, kind: str) -> Path:
    """``chenonceau-great-wave-1.png``, or with the next number that is free."""
    number = 1
    while (path := Path(_name(recipe, kind, number))).exists():
        number += 1
    return path


def _name(recipe: Recipe, kind: str, number: int) -> str:
    parts = [
        re.sub(r"[^\w-]+", "-", Path(name).stem)[:60] for name in (recipe.content, recipe.style)
    ]
    return f"{'-'.join(parts)}-{number}.{kind}"
