"""What the studio saves: into the notebook's folder, and as a link for who sits elsewhere."""

from __future__ import annotations

import html
import re
from pathlib import Path

from nst_utils.app.page import data_url
from nst_utils.app.recipes import Recipe
from nst_utils.support.paths import write_whole


def save(recipe: Recipe, data: bytes, kind: str, note: str) -> str:
    """Write a file, never over another one; return HTML that says where, with a link to it.

    Args:
        recipe: names the file after its pictures. data: its bytes. kind: ``"png"`` or ``"gif"``.
        note: a sentence to add.
    """
    path = free_name(recipe, kind)
    try:
        write_whole(path, lambda file: file.write(data))
        where = f"Saved as {html.escape(path.name)} in the notebook's folder."
    except (ValueError, OSError) as error:
        where = f"The notebook's folder takes no file ({html.escape(str(error))})."
    link = data_url(data, kind)
    name = html.escape(path.name)
    return f'<p role="status">{where} {note} <a download="{name}" href="{link}">Download it</a></p>'


def free_name(recipe: Recipe, kind: str) -> Path:
    """``chenonceau-great-wave-1.png``, or with the next number that is free."""
    parts = [
        re.sub(r"[^\w-]+", "-", Path(name).stem)[:60] for name in (recipe.content, recipe.style)
    ]
    number = 1
    while (path := Path(f"{'-'.join(parts)}-{number}.{kind}")).exists():
        number += 1
    return path
