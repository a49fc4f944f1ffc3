"""The pictures of an experiment: each is made once, by as many processes as one likes.

A run is a named tuple with a ``name``. Beside its picture stands a row, ``name.json``, that is made
empty by whoever begins it; an empty one of a process that was killed has to be deleted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar


class Run(Protocol):
    """One picture."""

    @property
    def name(self) -> str:
        """Of its files, without an ending."""
        ...


KEPT = "results.json"
R = TypeVar("R", bound=Run)


def make_all(runs: Iterable[R], make: Callable[[R], dict[str, Any]], folder: Path) -> None:
    """Make all that nobody has begun, and print their rows.

    Whose rows are kept in ``results.json`` are not made again; without that file and rows all
    are, which has to be so for another size.
    """
    folder.mkdir(exist_ok=True)
    kept = _kept(folder)
    for run in runs:
        if run.name in kept:
            continue
        row = folder / f"{run.name}.json"
        try:
            row.touch(exist_ok=False)
        except FileExistsError:
            continue
        try:
            row.write_text(json.dumps(make(run)) + "\n")
        except BaseException:
            row.unlink()
            raise
        print(row.read_text().strip(), flush=True)


def rows_of(runs: Iterable[R], folder: Path) -> dict[R, dict[str, Any]]:
    """The rows there are: those kept in ``results.json``, and newer ones made here."""
    rows = _kept(folder)
    for path in folder.glob("*.json"):
        if path.name != KEPT and path.read_text():
            row = json.loads(path.read_text())
            rows[row["name"]] = row
    return {run: rows[run.name] for run in runs if run.name in rows}


def keep(rows: dict[R, dict[str, Any]], folder: Path) -> None:
    """Write ``results.json``."""
    (folder / KEPT).write_text(json.dumps(list(rows.values()), indent=1) + "\n")


def _kept(folder: Path) -> dict[str, dict[str, Any]]:
    """Name of a run -> its row in ``results.json``."""
    path = folder / KEPT
    return {row["name"]: row for row in json.loads(path.read_text())} if path.exists() else {}
