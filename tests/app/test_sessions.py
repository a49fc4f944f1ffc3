"""A run in a thread of its own: its states, its pauses, its time; without a network."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from waiting import comes_true, no_thread_is_left

import nst_utils as nst
from nst_utils.app import sessions
from nst_utils.app.sessions import FAILED, FINISHED, PAUSED, RUNNING, STOPPED, Run, Session
from nst_utils.networks.network import between_layers
from nst_utils.optimize.results import Callback, Result, Step


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with no_thread_is_left():
        yield


def pulse() -> None:
    """What a network does after each of its layers."""
    between = between_layers.get()
    assert between is not None
    between()


def made(number: int, of: int) -> Step:
    return Step(number, torch.full((1, 3, 2, 2), float(number)), {}, number / of)


def result() -> Result:
    return Result(torch.zeros(1, 3, 2, 2), {"total_loss": torch.zeros(0, 1)}, {})


def counting(steps: int, layers: int = 3, seconds: float = 0.0) -> Run:
    """A run without a network; each of its layers takes so many seconds."""

    def run(callback: Callback) -> Result:
        for number in range(1, steps + 1):
            for _ in range(layers):
                time.sleep(seconds)
                pulse()
            callback(made(number, steps))
        return result()

    return run


def test_a_run_goes_on_in_a_thread_of_its_own_until_it_is_finished() -> None:
    told: list[object] = []
    where: set[threading.Thread] = set()

    def on_step(step: Step) -> None:
        told.append(step.number)
        where.add(threading.current_thread())

    session = Session(counting(2), on_step=on_step, on_change=lambda: told.append(session.state))
    assert (session.state, session.is_live, session.step) == ("new", False, None)
    assert (session.seconds, session.seconds_left) == (0.0, None)
    session.start()
    assert comes_true(lambda: session.state == FINISHED)
    assert told == [RUNNING, 1, 2, FINISHED]
    assert session.step is not None
    assert session.step.number == 2
    assert (session.message, session.error, session.is_live) == ("", None, False)
    assert threading.current_thread() not in where
    assert comes_true(lambda: not any(thread.is_alive() for thread in where))


def test_a_session_runs_once() -> None:
    session = Session(counting(1))
    session.run_here()
    for again in (session.start, session.run_here):
        with pytest.raises(RuntimeError, match="a session runs once"):
            again()
    assert session.state == FINISHED


def test_a_pause_and_a_stop_take_effect_within_an_evaluation() -> None:
    """Whose 10,000 layers would take twenty seconds."""
    session = Session(counting(1, layers=10_000, seconds=0.002))
    session.start()
    session.pause()
    assert comes_true(lambda: session.state == PAUSED, 0.5)
    session.resume()
    assert comes_true(lambda: session.state == RUNNING, 0.5)
    session.stop(wait=0.5)
    assert session.state == STOPPED
    assert session.step is None


def test_a_paused_run_can_be_stopped() -> None:
    session = Session(
        counting(1000), on_step=lambda step: session.pause() if step.number == 3 else None
    )
    session.start()
    assert comes_true(lambda: session.state == PAUSED)
    session.stop(wait=0.5)
    assert session.state == STOPPED
    assert session.step is not None
    assert session.step.number == 3


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("the ratio is odd;\nchoose another"), "the ratio is odd; choose another"),
        (FileNotFoundError("there is no picture x.jpg"), "there is no picture x.jpg"),
        (MemoryError(), "there is not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 9 GiB"), "there is not enough memory"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero.*report it"),
    ],
)
def test_what_goes_wrong_becomes_a_sentence(error: Exception, message: str) -> None:
    def run(callback: Callback) -> Result:
        callback(made(1, 2))
        raise error

    states: list[str] = []
    session = Session(run, on_change=lambda: states.append(session.state))
    session.start()
    assert comes_true(lambda: session.state == FAILED)
    assert session.error is error
    assert re.search(message, session.message)
    assert "\n" not in session.message
    assert session.step is not None
    assert states == [RUNNING, FAILED]


def test_its_time_is_counted_without_pauses_and_foretold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds to begin with, two for each tenth, and a pause of a minute."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(sessions, "time", SimpleNamespace(monotonic=lambda: clock.now))
    left: list[float | None] = []

    def run(callback: Callback) -> Result:
        clock.now += 8
        for number in range(1, 11):
            clock.now += 2
            if number == 4:
                session.pause()
                pulse()
            callback(made(number, 10))
        return result()

    def on_change() -> None:
        if session.state == PAUSED:
            before = session.seconds
            clock.now += 60
            assert session.seconds == before == 16
            session.resume()

    session = Session(
        run, on_step=lambda step: left.append(session.seconds_left), on_change=on_change
    )
    session.run_here()
    clock.now += 100
    assert session.seconds == 28
    assert left[0] is None
    assert left[1:] == pytest.approx([2.0 * (10 - number) for number in range(2, 11)])


def test_small_copies_and_a_slow_beginning_do_not_mislead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty steps of a second, sixty of four; the second one loads something for twenty more."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(sessions, "time", SimpleNamespace(monotonic=lambda: clock.now))
    work = [1.0] * 40 + [4.0] * 60
    said: list[tuple[float | None, float]] = []

    def run(callback: Callback) -> Result:
        for number, each in enumerate(work, start=1):
            clock.now += each + 20 * (number == 2)
            callback(made(number, 1)._replace(done=sum(work[:number]) / sum(work)))
        return result()

    session = Session(run, on_step=lambda step: said.append((session.seconds_left, clock.now)))
    session.run_here()
    for number, (seconds, now) in enumerate(said, start=1):
        if number > 2 and seconds is not None:
            assert seconds == pytest.approx(clock.now - now)
    assert [number for number, (seconds, _) in enumerate(said, start=1) if seconds is None] == [
        *(1, 41)
    ]


def test_of_several_new_weights_the_last_counts_once() -> None:
    weights = [nst.Weighting(content_weight=float(number)) for number in range(3)]
    got: list[object] = []

    def run(callback: Callback) -> Result:
        got.extend(callback(made(number, 4)) for number in range(1, 5))
        return result()

    def on_step(step: Step) -> None:
        if step.number == 2:
            session.reweigh(weights[1])
            session.reweigh(weights[2])

    session = Session(run, on_step=on_step)
    session.reweigh(weights[0])
    session.run_here()
    assert got == [weights[0], weights[2], None, None]


def test_a_run_that_could_not_go_on_to_the_end_says_why() -> None:
    def troubled(callback: Callback) -> Result:
        callback(made(1, of=3))
        ended = result()
        ended.trouble = "picture 1 cannot go on after step 1: its responses are not finite"
        return ended

    session = Session(troubled)
    session.run_here()
    assert session.state == FINISHED
    assert session.message == "picture 1 cannot go on after step 1: its responses are not finite"
