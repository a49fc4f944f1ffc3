"""What a worker does: one job, from its files to its picture. In any process, on any machine."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_utils import __version__
from nst_utils.experiments.style_transfer import transfer
from nst_utils.images.files import load_image
from nst_utils.images.guided import photorealistic_if_it_fits
from nst_utils.images.masks import load_mask
from nst_utils.images.names import check_output
from nst_utils.images.rescue import save_or_rescue
from nst_utils.many.desk import Desk, next_attempt
from nst_utils.many.jobs import Job
from nst_utils.many.loading import network_of, picture_of
from nst_utils.many.outcomes import CANCELLED, FAILED, FINISHED, REFUSED, Outcome
from nst_utils.many.plans import BATCHED
from nst_utils.objective.table import PAPER_LOSSES
from nst_utils.optimize import checkpoints
from nst_utils.optimize.results import Result, Step
from nst_utils.support import checks
from nst_utils.support.interrupts import held_back

_EVERY = 0.3  # seconds between two lines in a status file

# Called with the share of a job that is done.
Told = Callable[[float], object]


def order(
    jobs: Sequence[Job], folder: Path, token: str, threads: int | None, net: Any
) -> dict[str, Any]:
    """What is sent to a worker: plain values, since a worker of another version may read it.

    Args:
        jobs: one; several that go into one batch (see :func:`nst_utils.many.plans.batches`).
        folder: of the pictures. token: of the run. threads: of torch, ``None`` to leave them.
        net: a function that makes the network, where it is none of ours.
    """
    return {
        "version": __version__,
        "jobs": [asdict(job) for job in jobs],
        "folder": str(folder.resolve()),
        "token": token,
        "threads": threads,
        "net": net,
    }


def paint(given: Mapping[str, Any], told: Told | None = None) -> list[dict[str, Any]]:
    """Do what an :func:`order` says; what has come of each job, as an :class:`Outcome`'s values.

    No error of a job is raised. Who is asked to do again what this run has finished, because its
    answer was lost, gives the answer again; what was begun is taken up from its checkpoint.

    Args:
        given: the order. told: called with the share that is done, besides the status file.
    """
    names = [str(job["name"]) for job in given["jobs"]]
    if given["version"] != __version__:
        sentence = (
            f"a worker ({_worker()}) has nst_utils {__version__}, and this is "
            f"{given['version']}; install the same version there"
        )
        return [asdict(Outcome(name, REFUSED, sentence)) for name in names]
    jobs = [Job(**job) for job in given["jobs"]]
    desk = Desk(Path(given["folder"]), given["token"])
    earlier = [desk.told(name) for name in names]
    if all(each is not None and "outcome" in each for each in earlier):
        return [each["outcome"] for each in earlier if each is not None]
    attempt = next_attempt([each for each in earlier if each is not None])
    try:
        with _torch_threads(given["threads"]):
            found = _paint(jobs, desk, given["net"], attempt, told)
    except KeyboardInterrupt:
        found = [Outcome(name, CANCELLED) for name in names]
    except Exception as error:
        found = [Outcome(name, FAILED, _explained(error)) for name in names]
    gc.collect()  # a run leaves its tensors in cycles: 3 MB more with each job at 96 px otherwise
    answer = [asdict(each) for each in found]
    for name, each in zip(names, answer, strict=True):
        desk.tell(name, done=1.0, **attempt, outcome=each)
    return answer


def _paint(
    jobs: Sequence[Job], desk: Desk, net: Any, attempt: dict[str, Any], told: Told | None
) -> list[Outcome]:
    """Paint the jobs in one run and save the pictures; ``KeyboardInterrupt`` if it is cancelled."""
    pictures = [desk.folder.parent / f"{job.name}.png" for job in jobs]
    if desk.is_cancelled():
        raise KeyboardInterrupt
    for path in pictures:
        check_output(path)  # before the run, not after it
    for job in jobs:
        desk.tell(job.name, done=0.0, **attempt, pid=os.getpid(), worker=_worker())
    first = jobs[0]
    network = network_of(first, net)
    content, alpha = picture_of(first.files["content"], first.what["size"])
    checkpoint = _checkpoint(jobs, desk)
    settings = _settings(jobs)
    run = partial(
        transfer,
        content,
        _styles(first) if len(jobs) == 1 else [_styles(job)[0] for job in jobs],
        net=network,
        **settings,
        device=first.device,
        callback=_Watch(jobs, desk, attempt, told),
        progress=False,
        checkpoint=checkpoint,
    )
    try:
        result = run()
    except checkpoints.AnotherRunError:  # ours, but begun on another device or by another network
        checkpoint.unlink(missing_ok=True)
        result = run()
    if result.interrupted:
        raise KeyboardInterrupt
    if len(jobs) > 1 and result.troubles[0] and len({*result.troubles}) == 1:
        raise ValueError(result.trouble)  # it befell all of them: fewer at a time may go through
    if first.what.get("photorealistic"):
        _mend_edges(result, content, settings.get("masks"))
    outcomes = [_outcome(job, result, row, len(jobs)) for row, job in enumerate(jobs)]
    told_of = [_kept(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]
    is_saved = True
    with held_back():
        for row, path in enumerate(pictures):
            try:
                save_or_rescue(result.image[row : row + 1], path, alpha, told_of[row])
            except Exception as error:  # a full disk; the others may find room
                is_saved = False
                outcomes[row] = replace(outcomes[row], state=FAILED, message=_explained(error))
        if is_saved:
            checkpoint.unlink(missing_ok=True)
    return outcomes


def _checkpoint(jobs: Sequence[Job], desk: Desk) -> Path:
    """Where their run is kept on its way; what is damaged there is removed."""
    together = hashlib.sha256("".join(job.digest for job in jobs).encode()).hexdigest()
    path = desk.checkpoint(jobs[0].name, jobs[0].digest if len(jobs) == 1 else together)
    if path.exists():
        with contextlib.suppress(FileNotFoundError):
            try:
                checkpoints.read(path)
            except ValueError:  # ours, and damaged: begin anew
                path.unlink()
    return path


def _explained(error: Exception) -> str:
    return checks.explain(error) or (
        f"something went wrong in nst_utils itself ({type(error).__name__}: {error}); "
        "please report it"
    )


class _Watch:
    """The callback of a run: tells how far it is, and ends it where it is cancelled."""

    def __init__(
        self, jobs: Sequence[Job], desk: Desk, attempt: dict[str, Any], told: Told | None
    ) -> None:
        self._jobs, self._desk, self._attempt, self._told = jobs, desk, attempt, told
        self._last = time.monotonic()

    def __call__(self, step: Step) -> None:
        if self._told is not None:
            self._told(step.done)
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            said = {"done": step.done, "step": step.number, **self._attempt}
            for job in self._jobs:
                self._desk.tell(job.name, **said, pid=os.getpid(), worker=_worker())
            if self._desk.is_cancelled():  # a file, which may be on another machine's disk
                raise KeyboardInterrupt


def _mend_edges(result: Result, content: Tensor, masks: Sequence[Tensor] | None) -> None:
    """The photograph's edges; where memory is too little, the pictures stay as they are."""
    mended = photorealistic_if_it_fits(result.image, content, masks)
    if mended is None:
        sentence = "too little memory for the photograph's edges"
        result.troubles = [each or sentence for each in result.troubles]
    else:
        result.image = mended


def _outcome(job: Job, result: Result, row: int, together: int) -> Outcome:
    losses = {name: float(result.history[name][-1, row]) for name in PAPER_LOSSES}
    trouble = result.troubles[row]
    return Outcome(
        job.name,
        FAILED if trouble else FINISHED,
        f"{trouble}; the last good picture is in {job.name}.png" if trouble else "",
        steps=result.steps,
        evaluations=result.evaluations,
        seconds=round(result.seconds, 3),
        together=together,
        resumed=result.resumed,
        device=result.device,
        threads=torch.get_num_threads(),
        worker=_worker(),
        **losses,
    )


def _kept(job: Job, outcome: Outcome) -> dict[str, Any]:
    """What the picture's file tells; nothing that differs between two machines or runs."""
    losses = {name: getattr(outcome, name) for name in PAPER_LOSSES}
    kept = {"version": __version__, **job.what, **losses, "steps": outcome.steps}
    return kept | ({"trouble": outcome.message} if outcome.message else {})


def _settings(jobs: Sequence[Job]) -> dict[str, Any]:
    """The arguments of ``transfer``: of one job as they are, of several as lists where they can
    differ."""
    first = jobs[0]
    settings = dict(first.what["settings"])
    for name in ("masks", "style_masks"):
        if name in first.files:
            settings[name] = [load_mask(file) for file in first.files[name]]
    if "init" in first.files:
        content, _ = picture_of(first.files["content"], first.what["size"])
        settings["init"] = load_image(first.files["init"], (content.shape[2], content.shape[3]))
    if len(jobs) > 1:
        settings |= {
            name: [job.what["settings"][name] for job in jobs]
            for name in BATCHED
            if name in settings
        }
    return settings


def _styles(job: Job) -> list[Tensor]:
    return [picture_of(file, job.what["style_size"])[0] for file in job.files["style"]]


def _worker() -> str:
    return f"{platform.node()}:{os.getpid()}"


@contextlib.contextmanager
def _torch_threads(number: int | None) -> Iterator[None]:
    """So many while a job lasts: set here, in the process and thread that does it."""
    before = torch.get_num_threads()
    if number is not None and number != before:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
