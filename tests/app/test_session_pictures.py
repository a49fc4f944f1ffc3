"""A session that paints: paused, stopped and left alone, and the same picture comes of it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from waiting import comes_true, no_thread_is_left

import nst_utils as nst
from nst_utils.app.sessions import FINISHED, PAUSED, STOPPED, Run, Session
from nst_utils.networks.network import between_layers
from nst_utils.optimize.results import Callback, Result, Step

Paint = Callable[..., Run]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with no_thread_is_left():
        yield


@pytest.fixture(scope="module")
def paint(net: nst.Network, content: Tensor, style: Tensor) -> Paint:
    """Real runs on shallow layers; ``into`` gets the result."""

    def make(into: list[Result] | None = None, **settings: Any) -> Run:
        def run(callback: Callback) -> Result:
            layers = {"content_layers": ["conv2_2"], "style_layers": ["conv1_1", "conv2_1"]}
            given: dict[str, Any] = {
                "net": net,
                "callback": callback,
                "progress": False,
                **layers,
                **settings,
            }
            done = nst.transfer(content, style, **given)
            if into is not None:
                into.append(done)
            return done

        return run

    return make


def counted(work: Run, at: Callable[[int], object]) -> Run:
    """The run; ``at`` is called with the number of layers that were passed, forth or back."""

    def run(callback: Callback) -> Result:
        outer, passed = between_layers.get(), itertools.count(1)

        def count() -> None:
            at(next(passed))
            if outer is not None:
                outer()

        token = between_layers.set(count)
        try:
            return work(callback)
        finally:
            between_layers.reset(token)

    return run


def test_a_run_that_was_paused_anywhere_paints_the_same_picture(paint: Paint) -> None:
    """Paused before the first step, and on the way through the layers, forth and back."""
    undisturbed: list[Result] = []
    all_layers: list[int] = []
    counted(paint(undisturbed, steps=3), all_layers.append)(lambda step: None)
    places = [1, *range(8, 22, 2)]
    paused: list[Result] = []
    passed: list[int] = []

    def at(number: int) -> None:
        passed.append(number)
        if number in places:
            session.pause()

    states: list[str] = []
    session = Session(
        counted(paint(paused, steps=3), at), on_change=lambda: states.append(session.state)
    )
    session.start()
    for number, place in enumerate(places, start=1):
        assert comes_true(lambda: states.count(PAUSED) == number)  # noqa: B023
        assert passed[-1] == place
        session.resume()
    assert comes_true(lambda: session.state == FINISHED)
    assert passed == all_layers
    assert torch.equal(paused[0].image, undisturbed[0].image)
    for name, values in undisturbed[0].history.items():
        assert torch.equal(paused[0].history[name], values)


def test_stop_ends_a_real_run_within_half_a_second_and_keeps_its_last_step(paint: Paint) -> None:
    told: list[Step] = []
    into: list[Result] = []
    session = Session(paint(into, steps=1000), on_step=told.append)
    session.start()
    assert comes_true(lambda: len(told) >= 2)
    session.stop(wait=0.5)
    assert session.state == STOPPED
    assert session.step is told[-1]
    assert into[0].interrupted
    assert torch.equal(into[0].image, told[-1].images)


def test_a_run_can_be_stopped_before_its_first_step(paint: Paint) -> None:
    early = Session(paint(steps=3))
    early.stop()
    early.start()
    assert comes_true(lambda: early.state == STOPPED)
    late = Session(paint(steps=3))
    late.start()
    late.stop(wait=0.5)
    assert (late.state, late.step, late.message) == (STOPPED, None, "")


def test_two_runs_on_one_network_do_not_disturb_each_other(paint: Paint) -> None:
    alone: list[list[Result]] = [[], []]
    for seed, into in enumerate(alone):
        paint(into, steps=4, seed=seed)(lambda step: None)
    together: list[list[Result]] = [[], []]
    first, second = (Session(paint(into, steps=4, seed=seed)) for seed, into in enumerate(together))
    first.start()
    first.pause()
    second.start()
    assert comes_true(lambda: first.state == PAUSED)
    assert comes_true(lambda: second.step is not None)
    first.resume()
    assert comes_true(lambda: first.state == second.state == FINISHED)
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one[0].image, other[0].image)
    assert not torch.equal(alone[0][0].image, alone[1][0].image)


@pytest.mark.parametrize("when", [0, 2])
def test_an_interrupt_stops_a_run_in_this_thread(
    when: int, paint: Paint, ctrl_c: Callable[[], None]
) -> None:
    """As Ctrl-C or the notebook's stop button sends it, before or after the first step."""

    def interrupt(number: int) -> None:
        if number == when:
            ctrl_c()

    def run(callback: Callback) -> Result:
        interrupt(0)
        return paint(steps=1000)(callback)

    session = Session(run, on_step=lambda step: interrupt(step.number))
    session.run_here()
    assert session.state == STOPPED
    assert (session.step.number if session.step else 0) == when


EXIT = """
import time, torch, nst_utils as nst
from nst_utils.app.sessions import Session
net, picture = nst.vgg19(), torch.rand(1, 3, 64, 64)
def run(callback):
    return nst.transfer(picture, picture, net=net, steps=100000, callback=callback, progress=False)
running, paused = Session(run), Session(run, on_step=lambda step: paused.pause())
running.start(), paused.start()
while running.step is None or paused.state != "paused":
    time.sleep(0.01)
print("left alone", flush=True)
"""


def test_python_ends_at_once_with_sessions_that_are_alive() -> None:
    begun = subprocess.run(
        [sys.executable, "-c", EXIT], capture_output=True, text=True, timeout=120, check=False
    )
    assert (begun.returncode, begun.stdout, begun.stderr) == (0, "left alone\n", "")
