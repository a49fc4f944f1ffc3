"""What has become of each picture, and the table of all."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nst_utils.support.paths import write_whole

FINISHED, SKIPPED, FAILED, CANCELLED = "finished", "skipped", "failed", "cancelled"
REFUSED = "refused"  # by a worker that cannot do any job of ours
TABLE = "table.csv"


@dataclass(frozen=True)
class Outcome:
    """What has become of one picture; plain values, as they come from any process.

    Attributes:
        name: of its file, without an ending.
        state: ``"finished"``; ``"skipped"``, since it was there already; ``"failed"``; or
            ``"cancelled"``: it was not made, or not to its end.
        message: a sentence on why it failed, or could not go on to its end.
        content_loss, style_loss, total_loss: after the last step, in the paper's units.
        steps, evaluations: made. seconds: of the optimization; of all that were made together.
        together: as how many pictures in one batch. resumed: after how many steps it was taken up.
        device: where it was made. threads: of torch. worker: the machine and the process.
    """

    name: str
    state: str
    message: str = ""
    content_loss: float | None = None
    style_loss: float | None = None
    total_loss: float | None = None
    steps: int | None = None
    evaluations: int | None = None
    seconds: float | None = None
    together: int = 1
    resumed: int = 0
    device: str = ""
    threads: int | None = None
    worker: str = ""

    @property
    def is_there(self) -> bool:
        """Whether its picture is there, made to its end."""
        return self.state in (FINISHED, SKIPPED)


def read_table(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of an earlier table, by the name of the picture; nothing where there is none."""
    try:
        text = (folder / TABLE).read_text(encoding="utf-8")
        return {row["picture"]: row for row in csv.DictReader(io.StringIO(text))}
    except (OSError, ValueError, KeyError, csv.Error):
        return {}


def write_table(
    folder: Path, settings: Sequence[Mapping[str, str]], outcomes: Sequence[Outcome]
) -> Path:
    """Write ``table.csv``, whole: a row for each picture.

    Args:
        folder: where the pictures are. settings: of each picture, those that vary, as text.
        outcomes: in the same order. Of what was there already, the times are those of the table
            that was there.
    """
    before = read_table(folder)
    columns = [each.name for each in fields(Outcome) if each.name != "name"]
    varying = [name for name in (settings[0] if settings else {}) if name not in columns]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["picture", *varying, *columns], lineterminator="\n")
    writer.writeheader()
    for told, outcome in zip(settings, outcomes, strict=True):
        row: dict[str, Any] = {name: told[name] for name in varying}
        row |= {name: getattr(outcome, name) for name in columns}
        if outcome.state == SKIPPED:
            earlier = before.get(f"{outcome.name}.png", {})
            row |= {name: earlier.get(name) for name in columns if row[name] in (None, "", 0)}
        writer.writerow({"picture": f"{outcome.name}.png"} | row)
    path = folder / TABLE
    write_whole(path, lambda file: file.write(text.getvalue().encode()))
    return path
