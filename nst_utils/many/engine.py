"""All jobs done, by whoever does the work; one bar over them, and what has become of each."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any

from nst_utils.images.embedded import settings_of_whole
from nst_utils.many.crews import Crew, is_at_work, why_lost
from nst_utils.many.desk import Desk, attempts
from nst_utils.many.executors import opened
from nst_utils.many.jobs import Job
from nst_utils.many.outcomes import CANCELLED, FAILED, REFUSED, SKIPPED, Outcome
from nst_utils.many.painting import order, paint
from nst_utils.many.plans import batches
from nst_utils.objective.table import PAPER_LOSSES
from nst_utils.support import checks
from nst_utils.support.interrupts import only_first
from nst_utils.support.locks import held
from nst_utils.support.messages import one_line
from nst_utils.support.progress import Progress

ATTEMPTS = 3  # so many workers may die of one job and come no further than those before
_LOOK = 0.2  # seconds between two looks at what the workers say
_GRACE = 30.0  # seconds for them to come to the end of a step
_GO_ON = "the same with resume=True goes on"


class Run:
    """The jobs of one call.

    Args:
        jobs: with a name each. folder: of the pictures; it is there.
        threads: of torch in each worker. net: a function that makes their network, if none of ours.
    """

    def __init__(self, jobs: Sequence[Job], folder: Path, threads: int | None, net: Any) -> None:
        self.jobs = {job.name: job for job in jobs}
        self.found: dict[str, Outcome] = {}
        self.interrupted = False
        self._folder, self._threads, self._net = folder, threads, net
        self._desk = Desk(folder, secrets.token_hex(8))
        self._again: Counter[str] = Counter()
        self._are_left = False  # workers that may still be painting, and look for the cancel

    def do(self, executor: Executor | int | str | None, resume: bool, progress: bool) -> None:
        """Do all that is to be done; :attr:`found` tells then what has become of each job.

        Raises:
            ValueError: another run writes into the folder; a cluster that is not there; workers of
                another version of the package.
        """
        with held(self._folder / "pictures") as is_ours, only_first() as request:
            if not is_ours:
                raise ValueError(
                    f"another run is writing into {self._folder}; wait until it has ended, or name "
                    "another folder"
                )
            if resume:
                self._skip_what_is_there()
            try:
                self._desk.folder.mkdir(exist_ok=True)
            except OSError as error:
                raise ValueError(
                    f"cannot write into {self._folder} ({error.strerror}); name another folder"
                ) from None
            device = next(iter(self.jobs.values())).device
            try:
                if self._open():
                    with (
                        opened(executor, device) as crew,
                        Progress("pictures", shown=progress) as bar,
                    ):
                        self._bar = bar
                        self._here() if crew is None else self._away(crew)
                request.settle()
            except KeyboardInterrupt:
                request.settle()
                self.interrupted = True
            finally:
                if not self._are_left:
                    there = [each for each in self.found.values() if each.is_there]
                    self._desk.clear(everything=len(there) == len(self.jobs))
        for name in self.jobs:
            self.found.setdefault(name, Outcome(name, CANCELLED))

    def _open(self) -> list[Job]:
        return [job for name, job in self.jobs.items() if name not in self.found]

    def _skip_what_is_there(self) -> None:
        for name, job in self.jobs.items():
            kept = settings_of_whole(self._folder / f"{name}.png")
            if kept is not None and job.is_told_by(kept):
                losses: dict[str, Any] = {each: kept.get(each) for each in (*PAPER_LOSSES, "steps")}
                self.found[name] = Outcome(name, SKIPPED, **losses)

    def _order(self, jobs: Sequence[Job], threads: int | None) -> dict[str, Any]:
        return order(jobs, self._folder, self._desk.token, threads, self._net)

    def _take(self, answers: Sequence[dict[str, Any]]) -> None:
        for answer in answers:
            outcome = Outcome(**answer)
            if outcome.state == REFUSED:
                self._desk.cancel()
                raise ValueError(outcome.message)
            self.found[outcome.name] = outcome

    def _show(self, part: float = 0.0, at_work: int | None = None) -> None:
        done = len(self.found)
        failed = sum(each.state == FAILED for each in self.found.values())
        told = [f"{done}/{len(self.jobs)}", *([] if at_work is None else [f"{at_work} at work"])]
        told += [f"{failed} failed"] if failed else []
        self._bar.show(done + part, len(self.jobs), ", ".join(told))

    # In this process.

    def _here(self) -> None:
        together = checks.device(self._open()[0].device).type == "cuda"
        for group in batches(self._open()) if together else [[job] for job in self._open()]:
            self._paint_here(group)

    def _paint_here(self, group: Sequence[Job]) -> None:
        """As one batch; by halves where none of it could be painted."""
        answers = paint(
            self._order(group, self._threads), lambda done: self._show(done * len(group))
        )
        if any(each["state"] == CANCELLED for each in answers):
            raise KeyboardInterrupt
        if len(group) > 1 and all(each["steps"] is None for each in answers):
            self._desk.token = secrets.token_hex(8)  # these are other orders
            self._paint_here(group[: len(group) // 2])
            self._paint_here(group[len(group) // 2 :])
            return
        self._take(answers)
        self._show()

    # By others.

    def _away(self, crew: Crew) -> None:
        pending: dict[Future[Any], Job] = {}
        try:
            while self._open():
                pending.clear()
                broken = self._hand_in(crew, pending)
                if self._wait_for(crew, pending) or broken:
                    if crew.renew():
                        self._count_attempts()
                    else:
                        self._give_up(crew)
        except BaseException:  # an interrupt, above all
            self._desk.cancel()
            for future in pending:
                future.cancel()
            with contextlib.suppress(KeyboardInterrupt):
                self._last_answers(pending)
            raise

    def _hand_in(self, crew: Crew, pending: dict[Future[Any], Job]) -> bool:
        """Add what was taken to what is pending; whether the workers broke down meanwhile."""
        for job in self._open():
            try:
                pending[crew.submit(paint, self._order([job], self._threads or 1))] = job
            except BrokenExecutor:
                return True
            except RuntimeError as error:
                raise ValueError(
                    f"the executor takes no work ({one_line(error)}); give one that is open"
                ) from None
        return False

    def _wait_for(self, crew: Crew, pending: dict[Future[Any], Job]) -> bool:
        """Take answers as they come, until all are there; ``True`` where workers broke down."""
        broken = False
        while pending:
            done, _ = wait(pending, timeout=_LOOK, return_when=FIRST_COMPLETED)
            for future in done:
                broken |= self._take_answer(future, pending.pop(future))
            self._look(pending)
            if crew.gone():
                self._look(pending)
                self._give_up(crew)
                return False
        return broken

    def _look(self, pending: dict[Future[Any], Job]) -> None:
        """What the status files say; of a job whose answer got lost on its way, that, too."""
        part, at_work, begun = 0.0, 0, self._desk.begun()
        for future, job in list(pending.items()):
            said = self._desk.told(job.name) if job.name in begun else None
            if said is None:
                continue
            if "outcome" in said:
                self._take([said["outcome"]])
                del pending[future]
            else:
                part, at_work = part + float(said.get("done", 0.0)), at_work + 1
        self._show(part, at_work)

    def _take_answer(self, future: Future[Any], job: Job) -> bool:
        """Whether it tells that workers broke down."""
        said = self._desk.told(job.name) or {}
        if "outcome" in said:
            self._take([said["outcome"]])
            return False
        try:
            answers = future.result(timeout=0)
        except (CancelledError, FutureTimeoutError, BrokenExecutor):
            return True
        except (ImportError, AttributeError) as error:
            raise ValueError(
                f"a worker cannot do the work ({one_line(error)}); install the same version of "
                "nst_utils there, and let it find what makes the network"
            ) from None
        except Exception as error:
            self._again[job.name] += 1
            # Dask's blame for a worker's death falls on all that it was to do.
            if type(error).__name__ != "KilledWorker" or self._again[job.name] >= ATTEMPTS:
                self.found[job.name] = Outcome(job.name, FAILED, why_lost(error))
            return False
        self._take(answers)
        return False

    def _count_attempts(self) -> None:
        """Give up what several workers have died of, so that the others go on."""
        begun = {job.name: self._desk.told(job.name) for job in self._open()}
        if not any(begun.values()):
            raise ValueError(
                "processes for the work cannot begin; where a script starts them, let it do so "
                'below the line: if __name__ == "__main__":'
            )
        for name, said in begun.items():
            if said is not None and attempts(said) >= ATTEMPTS:
                sentence = f"its processes ended {ATTEMPTS} times and came no further (memory?)"
                self.found[name] = Outcome(name, FAILED, sentence)

    def _give_up(self, crew: Crew) -> None:
        if sentence := crew.gone():  # its workers may still be there, and at work
            self._desk.cancel()
            self._are_left = True
        for job in self._open():
            self.found[job.name] = Outcome(job.name, FAILED, f"{sentence or crew.lost}; {_GO_ON}")

    def _last_answers(self, pending: dict[Future[Any], Job]) -> None:
        """Of those that were at work when it was cancelled."""
        self._are_left = True
        until = time.monotonic() + _GRACE
        while self._at_work(pending) and time.monotonic() < until:
            time.sleep(_LOOK)
        self._are_left = self._at_work(pending)
        for job in pending.values():
            said = self._desk.told(job.name) or {}
            if "outcome" in said:
                self.found[job.name] = Outcome(**said["outcome"])

    def _at_work(self, pending: dict[Future[Any], Job]) -> bool:
        return any(is_at_work(future, self._desk.told(job.name)) for future, job in pending.items())
