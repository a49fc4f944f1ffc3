"""The folder of small files through which workers and those who wait for them tell one another.

Files, because every executor's workers can write them if they can write pictures.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAME = ".nst-jobs"
_CANCEL = "cancel"


def attempts(said: Mapping[str, Any]) -> int:
    """How many attempts at a job came no further than one before; with the one that says this."""
    got_further = said.get("done", 0.0) > said.get("reached", 0.0)
    return int(said.get("attempt", 0)) - got_further


def next_attempt(earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What an attempt says of itself: its number, and how far those before it came, 0..1.

    Who got further is not counted, since what ended it may have been another one's fault.
    """
    reached = [each.get(name, 0.0) for each in earlier for name in ("done", "reached")]
    number = 1 + max(map(attempts, earlier), default=0)
    return {"attempt": number, "reached": max(reached, default=0.0)}


class Desk:
    """Beside the pictures: a status file for each job, its checkpoint, and a cancel for all.

    What was written for an earlier run, whose token is another one, is not taken for this one's.

    Args:
        folder: of the pictures. token: of the run.
    """

    def __init__(self, folder: Path, token: str) -> None:
        self.folder, self.token = folder / NAME, token

    def checkpoint(self, name: str, digest: str) -> Path:
        """Where the run of a job is saved now and then; another one for other settings."""
        return self.folder / f"{name[:60]}-{digest[:16]}.ckpt"

    def tell(self, name: str, **values: Any) -> None:
        """How far a job has come. Not being able to say so ends no work."""
        path = self._status(name)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            partial.write_text(json.dumps({"token": self.token} | values), encoding="utf-8")
            partial.replace(path)

    def told(self, name: str) -> dict[str, Any] | None:
        """What a job's worker has said last; ``None`` where it has not begun."""
        try:
            found = json.loads(self._status(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and found.get("token") == self.token else None

    def begun(self) -> set[str]:
        """The jobs that have a status, of this run or another."""
        with contextlib.suppress(OSError):
            return {file.stem for file in self.folder.iterdir() if file.suffix == ".json"}
        return set()

    def cancel(self) -> None:
        """Ask all workers to stop; they do so after the step that they are at."""
        with contextlib.suppress(OSError):
            (self.folder / _CANCEL).write_text(self.token, encoding="utf-8")

    def is_cancelled(self) -> bool:
        """Whether they were asked to."""
        try:
            return (self.folder / _CANCEL).read_text(encoding="utf-8") == self.token
        except OSError:
            return False

    def clear(self, *, everything: bool) -> None:
        """Leave nothing but checkpoints, among them those of what is not finished; with
        ``everything``, since nothing is to be done any more, not even these."""
        with contextlib.suppress(OSError):
            for file in self.folder.iterdir():
                if everything or file.suffix != ".ckpt":
                    file.unlink()
            self.folder.rmdir()  # where it is empty

    def _status(self, name: str) -> Path:
        return self.folder / f"{name}.json"
