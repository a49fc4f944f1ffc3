"""Which pictures are to be made, of a sweep or of a folder; without torch, so it comes at once."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_utils.many.axes import Axis, label, table, values
from nst_utils.many.jobs import Job, make_job, shown_name
from nst_utils.support import checks
from nst_utils.support.paths import made, user_path

# Settings of which one batch can hold several, and so it can of paintings; in all others its
# pictures are alike.
BATCHED = ("content_weight", "style_weight", "tv_weight", "content_layers", "style_layers", "seed")
# What cameras and programs write; a file of another name is no photograph.
ENDINGS = (
    *(".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".jp2"),
    *(".heic", ".heif", ".ppm", ".tga"),
)


def planned(given: Mapping[str, Any], zipped: bool) -> tuple[list[Axis], list[dict[str, Any]]]:
    """What varies, and the settings of each picture; :func:`nst_utils.many.axes.table`."""
    together = given.get("style_blend") is not None or given.get("masks") is not None
    listed = {
        name: values(name, each, is_list=together if name == "style" else None)
        for name, each in given.items()
    }
    return table(listed, zipped)


def names(axes: Sequence[Axis], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A name for each picture: its number, and what varies."""
    digits = max(2, len(str(len(rows))))
    found = []
    for number, told in enumerate(varying(axes, rows), start=1):
        parts = [f"{name.replace('_', '-')}={text}" for name, text in told.items()]
        safe = [re.sub(r"[^\w.,+=-]+", "-", part)[:40] for part in parts]
        found.append(_short("_".join([f"{number:0{digits}d}", *safe]), 120))
    return found


def varying(axes: Sequence[Axis], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Of each picture, the settings that vary, as text."""
    several = [name for axis in axes for name in axis.name.split(", ")]
    return [{name: label(row[name]) for name in several} for row in rows]


def refuse_twins(jobs: Sequence[Job]) -> None:
    """Raise ``ValueError`` where two pictures would be the same."""
    seen: dict[str, str] = {}
    for job in jobs:
        twin = seen.setdefault(job.digest, job.name)
        if twin != job.name:
            raise ValueError(f"{twin} and {job.name} are the same picture; name each value once")


def batches(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """The jobs that can go into one batch together, in their order."""
    for _, group in itertools.groupby(sorted(jobs, key=_batch_key), key=_batch_key):
        yield list(group)


def _batch_key(job: Job) -> str:
    """What two jobs have in common that can go into one batch."""
    settings = {name: x for name, x in job.what["settings"].items() if name not in BATCHED}
    alone = "masks" in job.files or settings.get("style_blend") is not None
    common = {**job.what, "settings": settings} | ({} if alone else {"style": None})
    return json.dumps([common, job.device, alone and job.name])


def made_folder(folder: str | Path | None) -> Path:
    """The folder, which is made where it is not there; ``ValueError`` where it cannot be."""
    return made(user_path(folder or "", "folder"))


def checked_threads(threads: object) -> int | None:
    """A number of threads, or ``None``."""
    return None if threads is None else checks.count("threads", threads)


def photographs(folder: str | Path) -> list[Path]:
    """The picture files of a folder, by their names; those in folders within it are left out.

    Raises:
        FileNotFoundError, ValueError: there is no such folder, or no photograph in it.
    """
    path = user_path(folder, "the folder")
    if path.is_file():
        raise ValueError(f"{path} is a file; name a folder of photographs, or use nst transfer")
    if not path.is_dir():
        raise FileNotFoundError(f"there is no folder {path}; check the path")
    try:
        found = sorted(
            each
            for each in path.iterdir()
            if each.suffix.lower() in ENDINGS and not each.name.startswith(".")
        )
    except OSError as error:
        raise ValueError(f"the folder {path} may not be read ({error.strerror})") from None
    if not found:
        raise ValueError(
            f"the folder {path} holds no photograph (a file ending in {', '.join(ENDINGS[:6])}, "
            "...); name another"
        )
    return found


def plan(
    folder: str | Path, styles: Sequence[str | list[str]], given: Mapping[str, Any]
) -> list[Job]:
    """A job for each photograph in each style.

    Args:
        folder: of the photographs. styles: paintings; a list of those that go into one picture.
        given: settings, the same for all.

    Raises:
        ValueError, FileNotFoundError: what makes all of them impossible.
    """
    rows = itertools.product(photographs(folder), styles)
    jobs = [make_job("", {"content": photo, "style": style, **given}) for photo, style in rows]
    of_photos = _stems([job.files["content"] for job in jobs])
    paintings = iter(_stems([file for job in jobs for file in job.files["style"]]))
    of_styles = ["-".join(itertools.islice(paintings, len(job.files["style"]))) for job in jobs]
    names = [_short(f"{a}_{b}", 150) for a, b in zip(of_photos, of_styles, strict=True)]
    often = Counter(name.lower() for name in names)  # some disks know no capitals
    named = []
    for job, name in zip(jobs, names, strict=True):
        unique = f"{name}-{job.digest[:8]}" if often[name.lower()] > 1 else name
        named.append(Job(unique, job.what, job.files, job.device))
    if len({job.name.lower() for job in named}) < len(named):
        raise ValueError("a painting is named twice; name each once")
    return named


def _stems(paths: Sequence[str]) -> list[str]:
    """What the names of pictures are made of: without the ending, where that is enough."""
    shown = {path: shown_name(path) for path in paths}
    often = Counter(stem.lower() for stem in shown.values())
    unique = {
        path: f"{stem}-{Path(path).suffix[1:]}" if often[stem.lower()] > 1 else stem
        for path, stem in shown.items()
    }
    return [_short(unique[path], 80) for path in paths]


def _short(name: str, most: int) -> str:
    """As much of a name as has room in so many bytes, of which disks allow 255."""
    return os.fsencode(name)[:most].decode(errors="ignore")
