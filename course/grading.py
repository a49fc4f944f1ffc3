"""What one submission is worth: it is run, asked, and its answers are compared."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boxed
import measured
from safetensors.torch import load, save
from solutions import hidden
from torch import Tensor

ATTEMPTS = 3  # each leaves out what ended the one before
OUT_OF_MEMORY = ("MemoryError", "DefaultCPUAllocator")


@dataclass(frozen=True)
class Notebook:
    """The sources of the code cells, and the notebook that they are from."""

    sources: list[str]
    whole: Any


@dataclass(frozen=True)
class Questions:
    """The hidden cases of one grading, the same for everybody.

    Attributes:
        secret: folders that a submission must not read.
    """

    seed: int
    cases: list[hidden.Case]
    secret: list[str]

    @classmethod
    def drawn(cls, seed: int | None, folders: list[str]) -> Questions:
        seed = secrets.randbelow(2**31) if seed is None else seed
        return cls(seed, hidden.cases(seed), folders)

    def job(self, cells: list[tuple[int, str]], parts: set[str]) -> bytes:
        """What ``submission.py`` reads: a line of JSON, then the tensors."""
        tensors: dict[str, Tensor] = {}
        asked = []
        for number, case in enumerate(self.cases):
            if case.part not in parts:
                continue
            arguments: list[Any] = []
            for place, each in enumerate(case.arguments):
                arguments.append(f"{number}.{place}" if isinstance(each, Tensor) else each)
                if isinstance(each, Tensor):
                    tensors[f"{number}.{place}"] = each.clone().contiguous()
            if case.pull is not None:
                tensors[f"{number}.pull"] = case.pull.clone()
            asked.append(
                {
                    "id": number,
                    "function": case.part,
                    "arguments": arguments,
                    "followed": case.followed,
                    "pull": f"{number}.pull",
                    "bowl": case.bowl,
                }
            )
        job = {"cells": cells, "cases": asked, "hidden": self.secret}
        return json.dumps(job).encode() + b"\n" + save(tensors)


@dataclass
class Grade:
    """A row of the table."""

    points: dict[str, float] = field(default_factory=dict)
    measure: measured.Measure | None = None
    remarks: list[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        return sum(self.points.values())


@dataclass
class Answers:
    """What came back from a submission, over all attempts.

    Attributes:
        given: from the number of a case to its answer. errors: to why there is none.
        broken: sentences on limits that were broken. stopped: on cells that raised.
    """

    given: dict[int, hidden.Answer] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    stopped: dict[int, str] = field(default_factory=dict)
    picture: bytes = b""


def grade(
    notebook: Notebook, folder: Path | None, questions: Questions, limits: boxed.Limits, quick: bool
) -> Grade:
    """Points and remarks for a notebook; ``folder`` holds files that it may read.

    Not ``quick``: the picture that counts is the one that it has painted just now.
    """
    answers = ask(notebook, folder, questions, limits, quick)
    found = Grade()
    for part in hidden.POINTS:
        found.points[part], remark = score(part, questions.cases, answers)
        if remark:
            found.remarks.append(f"{part}: {remark}")
    _judge_picture(found, notebook, answers, quick)
    found.remarks += answers.broken
    cells = [f"cell {number} stops with {said}" for number, said in sorted(answers.stopped.items())]
    found.remarks += cells[:2]
    if len(cells) > 2:
        found.remarks.append(f"so do {len(cells) - 2} more cells")
    return found


def ask(
    notebook: Notebook, folder: Path | None, questions: Questions, limits: boxed.Limits, quick: bool
) -> Answers:
    """Run it and ask it; what hangs or ends the process is left out, and it is begun again."""
    answers = Answers()
    cells = dict(enumerate(notebook.sources, 1))
    parts = set(hidden.POINTS)
    for _ in range(ATTEMPTS):
        outcome = boxed.run(questions.job(list(cells.items()), parts), folder, limits, quick)
        last = _read(outcome.reply, answers)
        answers.picture = outcome.picture
        if outcome.printed > limits.printed:
            answers.broken.append(f"it prints {outcome.printed / 1e6:.0f} MB of text")
        if last.get("done"):
            break
        why = outcome.ended or _exit(outcome.code)
        number = last.get("cell", last.get("case"))
        if "cell" in last and number in cells:
            del cells[number]
            answers.broken.append(f"cell {number} was left out: {why}")
        elif "case" in last and number in range(len(questions.cases)):
            part = questions.cases[number].part
            parts.discard(part)
            answers.broken.append(f"{part} was not asked further: {why}")
        else:
            answers.broken.append(f"it did not begin: {why}")
            break
    return answers


def _exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the process was ended by signal {-code}"
    return f"it ended the process (exit code {code})"


def _read(reply: bytes, answers: Answers) -> dict[str, Any]:
    """Take down what was sent, which may be anything; the last message that can be read."""
    last: dict[str, Any] = {}
    while reply:
        line, _, reply = reply.partition(b"\n")
        try:
            message = json.loads(line)
            size = int(message["bytes"])
            tensors = load(reply[:size]) if size else {}
            _take(message, tensors, answers)
        except Exception:  # it was written by somebody else, or cut
            break
        reply = reply[size:]
        last = message
    return last


def _take(message: dict[str, Any], tensors: dict[str, Tensor], answers: Answers) -> None:
    if "case" in message:
        number = int(message["case"])
        if message.get("answered"):
            answers.given.setdefault(number, tensors)
        elif "error" in message:
            answers.errors.setdefault(number, str(message["error"])[:200])
    elif "error" in message:
        said = str(message["error"])[:200]
        answers.stopped.setdefault(int(message["cell"]), said)
        if any(each in said for each in OUT_OF_MEMORY):
            answers.broken.append(f"cell {message['cell']} asks for more memory than it may have")


def score(part: str, cases: list[hidden.Case], answers: Answers) -> tuple[float, str]:
    """Points for a part, and what is wrong with it."""
    numbers = [number for number, case in enumerate(cases) if case.part == part]
    kinds: dict[str, bool] = {}
    for number in numbers:
        one = hidden.is_right(cases[number], answers.given.get(number))
        kinds[cases[number].kind] = kinds.get(cases[number].kind, True) and one
    first, *others = [kinds.pop("numbers"), *kinds.values()]
    share = (0.5 + 0.5 * sum(others) / len(others)) if first else 0.0
    points = hidden.POINTS[part] * share
    if share == 1:
        return points, ""
    given = [answers.given.get(number) for number in numbers]
    errors = [answers.errors[number] for number in numbers if number in answers.errors]
    if known := hidden.mistake(part, [cases[number] for number in numbers], given):
        return points, known
    if any(errors):
        return points, f"stops with {next(each for each in errors if each)}"
    if not any(each is not None for each in given):
        return points, "nothing is there"
    wrong = [] if first else [hidden.KINDS["numbers"]]
    wrong += [hidden.KINDS[kind] for kind, met in kinds.items() if not met]
    return points, f"wrong: {', '.join(wrong)}"


def _judge_picture(found: Grade, notebook: Notebook, answers: Answers, quick: bool) -> None:
    picture = measured.handed_in(notebook.whole) if quick else measured.decoded(answers.picture)
    found.points["picture"] = 0.0
    if picture is None:
        where = "in its outputs" if quick else "painted"
        found.remarks.append(f"picture: none of the right size is {where}")
        return
    found.measure = measured.measure(picture)
    if answers.broken:
        found.remarks.append("picture: no points, because a limit was broken")
        return
    found.points["picture"] = found.measure.points
    if found.measure.style > measured.MOST_STYLE:
        found.remarks.append("picture: too little of the painting's style")
    if found.measure.content > measured.MOST_CONTENT:
        found.remarks.append("picture: too little of the photograph's content")
