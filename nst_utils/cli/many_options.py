"""The commands that make many pictures: what they take, and what can be said before torch is
loaded."""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path
from typing import Any

from nst_utils.cli.converters import whole
from nst_utils.cli.options import (
    add_loss_options,
    add_run_options,
    add_start_options,
    add_style_options,
)
from nst_utils.cli.several import let_vary
from nst_utils.many.jobs import SETTINGS, SIZE, Job, make_job
from nst_utils.many.plans import names, plan, planned, refuse_twins
from nst_utils.support import checks
from nst_utils.support.paths import check_writable, user_path

SWEEP = "make a picture for each combination of settings, and a contact sheet of all"
HOW = """Options of a transfer take several values here: 1e-4,1e-3,1e-2 or a range, 1e-4..1e-1:4
(each the same number of times the one before) and 0..7 (whole numbers); lists of layers, weights of
layers, blends and learning rates separated by semicolons. With --style-blend or --masks all
paintings go into each picture. docs/many-pictures.md tells more."""
BATCH = "paint every photograph of a folder in the style of a painting, or of several"


def add_sweep_options(sub: argparse.ArgumentParser) -> None:
    """Of ``nst sweep``."""
    sub.epilog = HOW
    sub.add_argument("content", metavar="CONTENT", help="photograph: a file or a bundled name")
    sub.add_argument("style", metavar="STYLE", nargs="*", help="painting; several are compared")
    sub.add_argument(
        "--content",
        dest="more_contents",
        nargs="+",
        action="extend",
        metavar="FILE",
        help="more photographs",
    )
    sub.add_argument(
        "--style",
        dest="more_styles",
        nargs="+",
        action="extend",
        metavar="FILE",
        help="paintings, as well as STYLE",
    )
    group = _add_folder_options(sub)
    group.add_argument(
        "--zipped",
        action="store_true",
        help="lists walk together, first with first, instead of each value with each",
    )
    group.add_argument("--open", action="store_true", help="show the sheet when it is made")
    _add_transfer_options(sub)
    let_vary(sub)


def add_batch_options(sub: argparse.ArgumentParser) -> None:
    """Of ``nst batch``."""
    sub.add_argument("folder", metavar="FOLDER", help="of photographs")
    sub.add_argument(
        "style", metavar="STYLE", nargs="+", help="painting: a file or a bundled name; or several"
    )
    _add_folder_options(sub)
    _add_transfer_options(sub)


def _add_folder_options(sub: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = sub.add_argument_group("the pictures")
    group.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FOLDER",
        help="where they go, with table.csv of their losses and times; made if it is not there",
    )
    group.add_argument(
        "--size", type=whole(1), default=SIZE, help=f"longest side in pixels ({SIZE})"
    )
    group.add_argument(
        "--resume", action="store_true", help="keep what is there, whole and of the same settings"
    )
    group.add_argument("--quiet", action="store_true", help="no progress bar, no closing line")
    who = sub.add_argument_group("who paints")
    who.add_argument(
        "--workers", type=whole(1, 1024), metavar="N", help="so many processes on this machine"
    )
    who.add_argument(
        "--cluster",
        metavar="ADDRESS|local",
        help="the workers of a Dask scheduler (tcp://host:8786, or its file), or local ones",
    )
    who.add_argument(
        "--threads",
        type=whole(1, 1024),
        metavar="N",
        help="of each worker (1; without workers as many as torch takes)",
    )
    return group


def _add_transfer_options(sub: argparse.ArgumentParser) -> None:
    add_loss_options(sub)
    add_style_options(sub)
    add_start_options(sub)
    add_run_options(sub, checkpoint=False)


def executor_of(args: Namespace) -> int | str | None:
    """Who paints, as :func:`nst_utils.sweep` takes it."""
    if args.cluster is not None and args.workers is not None:
        raise ValueError("--workers and --cluster are both given; leave one of them out")
    return args.cluster if args.cluster is not None else args.workers


def sweep_settings(args: Namespace) -> dict[str, Any]:
    """The arguments of :func:`nst_utils.sweep` that make its pictures, as they were typed."""
    contents = [args.content, *(args.more_contents or [])]
    styles = [*args.style, *(args.more_styles or [])]
    if not styles:
        raise ValueError("there is no painting; name it after the photograph, or with --style")
    return {"content": contents, "style": styles} | _settings(args)


def _settings(args: Namespace) -> dict[str, Any]:
    found = {
        name: value
        for name in SETTINGS
        if name not in ("content", "style") and (value := getattr(args, name, None)) is not None
    }
    typed = sorted(found, key=lambda name: getattr(found[name], "place", -1))
    return {name: found[name] for name in typed}


def check_sweep(args: Namespace) -> None:
    """Raise ``ValueError``, ``FileNotFoundError`` for a sweep that cannot be made."""
    axes, rows = planned(sweep_settings(args), args.zipped)
    jobs = [make_job(each, row) for each, row in zip(names(axes, rows), rows, strict=True)]
    refuse_twins(jobs)
    _check_rest(args, jobs)


def batch_jobs(args: Namespace) -> list[Job]:
    """As :func:`check_sweep`; the jobs."""
    together = args.style_blend is not None or args.masks is not None
    styles: list[str | list[str]] = [list(args.style)] if together else list(args.style)
    jobs = plan(args.folder, styles, _settings(args))
    _check_rest(args, jobs)
    if user_path(args.output).resolve() == user_path(args.folder).resolve():
        raise ValueError(
            "--output is the folder of the photographs, which would be photographs next time, too; "
            "name another folder"
        )
    return jobs


def _check_rest(args: Namespace, jobs: list[Job]) -> None:
    folder = user_path(args.output, "--output")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--output {folder} is a file; name a folder")
    try:
        check_writable((folder if folder.is_dir() else folder.parent) / ".nst-is-writable")
    except FileNotFoundError:
        raise ValueError(f"the folder {folder.parent} does not exist; make it first") from None
    written = {(folder / f"{job.name}.png").resolve() for job in jobs}
    for job in jobs:
        for file in _files(job.files):
            if Path(file) in written:
                raise ValueError(f"--output would overwrite the input {file}; name another folder")
    executor_of(args)
    checks.device(args.device)


def _files(files: Any) -> list[str]:
    if isinstance(files, str):
        return [files]
    several = files.values() if hasattr(files, "values") else files
    return [file for each in several for file in _files(each)]
