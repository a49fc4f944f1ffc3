"""A run in a thread of its own: paused, resumed, stopped and given other weights while it goes on.

No widgets here; :mod:`nst_utils.app.studio` shows what happens.
"""

from __future__ import annotations

import atexit
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

from nst_utils.networks.network import between_layers
from nst_utils.objective.rows import Weighting
from nst_utils.optimize.results import Callback, Result, Step
from nst_utils.support import checks


class Ended(Protocol):
    """What a session asks of what a run returns, as a :class:`Result` has it."""

    @property
    def interrupted(self) -> bool: ...

    @property
    def trouble(self) -> str: ...


# Hands its argument to ``nst.transfer`` as ``callback``.
Run = Callable[[Callback], Result]

RUNNING, PAUSED, FINISHED, STOPPED, FAILED = "running", "paused", "finished", "stopped", "failed"
_RECENT = 12  # steps whose pace is taken
_live: weakref.WeakSet[Session] = weakref.WeakSet()


class Levels:
    """Where a run goes on at another size, which its steps do not say but by their work.

    Attributes:
        begun: the first step of each size but the first.
        work: of a step now, as a share of all.
    """

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.work = 0.0
        self._done = 0.0

    def take(self, step: Step) -> bool:
        """Whether another size begins with this step."""
        work, self._done = step.done - self._done, step.done
        other = self.work > 0 and work > 1.3 * self.work
        if other:
            self.begun.append(step.number)
        self.work = work
        return other


class Session:
    """One run, from its start to its end.

    A pause or a stop takes effect at the next layer of the network, within an evaluation: no need
    to wait for the step. What the two functions do, they do in the working thread.

    Args:
        run: the work; called with a callback for :func:`nst_utils.transfer`.
        on_step: called after each step.
        on_change: called when ``state`` has changed.

    Attributes:
        state: ``"new"``, ``"running"``, ``"paused"``, and at the end ``"finished"``, ``"stopped"``
            or ``"failed"``.
        step: the last one that was made, or ``None``.
        message: where it failed, or could not go on to the end, why. error: the exception.
    """

    def __init__(
        self,
        run: Callable[[Callback], Ended],
        *,
        on_step: Callable[[Step], object] = lambda step: None,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        self.state = "new"
        self.step: Step | None = None
        self.message = ""
        self.error: BaseException | None = None
        self._run, self._on_step, self._on_change = run, on_step, on_change
        self._thread: threading.Thread | None = None
        self._go, self._stop = threading.Event(), threading.Event()
        self._go.set()
        self._lock = threading.Lock()
        self._new: Weighting | None = None
        self._levels = Levels()
        # When a step was made, and how much of the work was done then; of the size now.
        self._paces: deque[tuple[float, float]] = deque(maxlen=_RECENT + 1)
        self._begun = 0.0  # shifted by the length of each pause
        self._halted: float | None = None

    @property
    def is_live(self) -> bool:
        """Whether it has begun and not ended."""
        return self.state in (RUNNING, PAUSED)

    @property
    def seconds(self) -> float:
        """How long it has run, or ran, without its pauses."""
        halted = self._halted  # once: the other thread may change it
        now = time.monotonic() if halted is None else halted
        return now - self._begun if self._begun else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long it will still take, by the pace of the last steps; ``None`` before the second.

        In work, because early steps may be made on a small copy. The slowest step is left out: it
        is one that had something to do for the first time, as to load what draws curves.
        """
        paces = list(self._paces)  # once: the other thread adds to it
        work = paces[-1][1] - paces[0][1] if paces else 0.0
        if self.step is None or work <= 0:
            return None
        seconds = sorted(now - before for (before, _), (now, _) in pairwise(paces))
        usual = seconds[:-1] or seconds
        a_step = work / len(seconds)
        return sum(usual) / len(usual) / a_step * (1 - paces[-1][1])

    def start(self) -> None:
        """Begin, in a thread of its own. ``RuntimeError`` for one that has begun before."""
        self._begin()
        self._thread = threading.Thread(target=self._work, name="nst session", daemon=True)
        self._thread.start()

    def run_here(self) -> None:
        """Run to the end in this thread; an interrupt (the notebook's stop button) stops it."""
        self._begin()
        self._work()

    def pause(self) -> None:
        """Hold on at the next layer, until :meth:`resume`."""
        self._go.clear()

    def resume(self) -> None:
        """Go on after a pause."""
        self._go.set()

    def stop(self, *, wait: float = 0.0) -> None:
        """End at the next layer; wait for it for at most so many seconds."""
        self._stop.set()
        self._go.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(wait)

    def reweigh(self, weighting: Weighting) -> None:
        """Other weights from the next step on; of several that come before it, the last counts."""
        with self._lock:
            self._new = weighting

    def _begin(self) -> None:
        if self.state != "new":
            raise RuntimeError("a session runs once; make another one")
        self._begun = time.monotonic()
        _live.add(self)
        self._become(RUNNING)

    def _work(self) -> None:
        token = between_layers.set(self._wait_or_end)
        try:
            result = self._run(self._after_step)
            self.message = result.trouble
            self._end(STOPPED if self._stop.is_set() or result.interrupted else FINISHED)
        except KeyboardInterrupt:  # before the first step
            self._end(STOPPED)
        except BaseException as error:
            # The frames of the failed run hold its memory, which the next one may need.
            traceback.clear_frames(error.__traceback__)
            self.error = error.with_traceback(None)
            self.message = checks.explain(error) or (
                f"something went wrong in nst_utils itself ({type(error).__name__}: {error}); "
                "please report it"
            )
            self._end(FAILED)
        finally:
            between_layers.reset(token)

    def _end(self, state: str) -> None:
        self._halted = time.monotonic() if self._halted is None else self._halted
        self._become(state)

    def _become(self, state: str) -> None:
        self.state = state
        self._tell(self._on_change)

    @staticmethod
    def _tell(work: Callable[[], object]) -> None:
        """Let them do what they like, with the network too, without being paused in it."""
        token = between_layers.set(None)
        try:
            work()
        finally:
            between_layers.reset(token)

    def _wait_or_end(self) -> None:
        """What happens between two layers: mostly nothing."""
        if not self._go.is_set():
            self._halted = time.monotonic()
            self._become(PAUSED)
            self._go.wait()
            self._begun += time.monotonic() - self._halted
            self._halted = None
            self._become(RUNNING)
        if self._stop.is_set():
            raise KeyboardInterrupt

    def _after_step(self, step: Step) -> Weighting | None:
        if self._levels.take(step):
            self._paces.clear()
        self._paces.append((self.seconds, step.done))
        self.step = step
        self._tell(lambda: self._on_step(step))
        self._wait_or_end()
        with self._lock:
            new, self._new = self._new, None
        return new


@atexit.register
def _stop_all() -> None:
    """A thread that is still computing when Python ends may crash it."""
    for session in list(_live):
        session.stop(wait=5.0)
