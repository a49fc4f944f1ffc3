"""When a step is recorded, and what happens where that is not possible; the GPU is played."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import nst_utils as nst
from nst_utils.networks.network import Network, between_layers
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Objective
from nst_utils.optimize.lbfgs import LBFGS
from nst_utils.optimize.recorded import Recorded, fastest_convolutions


class Graph:
    """Of what is done while it is open, nothing happens before it is replayed."""

    made: Callable[[], None] | None = None
    replays = 0

    def replay(self) -> None:
        self.replays += 1


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    graphs: list[Graph] = []

    @contextlib.contextmanager
    def record(graph: Graph, **_: Any) -> Iterator[None]:
        graphs.append(graph)
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    return graphs


def test_after_some_calls_work_is_recorded_and_then_replayed(cuda: list[Graph]) -> None:
    recorded, calls = Recorded(torch.device("cuda")), []
    for _ in range(20):
        recorded(lambda: calls.append(1))
    assert recorded.replayed
    assert len(cuda) == 1
    # Twelve times by itself, once to be recorded.
    assert (len(calls), cuda[0].replays) == (13, 8)


def test_what_cannot_be_recorded_goes_on_as_before(cuda: list[Graph]) -> None:
    recorded, calls = Recorded(torch.device("cuda")), []

    def work() -> None:
        if len(calls) == 12 and cuda and "tried" not in calls:
            calls.append("tried")
            raise RuntimeError("operation not permitted when stream is capturing")
        calls.append("done")

    for _ in range(20):
        recorded(work)
    assert not recorded.replayed
    assert calls.count("done") == 20


def test_an_interrupt_while_recording_is_not_swallowed(cuda: list[Graph]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    recorded = Recorded(torch.device("cuda"))
    for _ in range(12):
        recorded(lambda: None)
    with pytest.raises(KeyboardInterrupt):
        recorded(interrupted)


def test_a_pause_holds_a_replayed_step(cuda: list[Graph]) -> None:
    recorded, pulses = Recorded(torch.device("cuda")), []
    for _ in range(13):
        recorded(lambda: None)
    token = between_layers.set(lambda: pulses.append(1))
    try:
        recorded(lambda: None)
    finally:
        between_layers.reset(token)
    assert pulses == [1]


def test_elsewhere_nothing_is_recorded(cuda: list[Graph]) -> None:
    calls: list[int] = []
    recorded = Recorded(torch.device("cpu"))
    for _ in range(20):
        recorded(lambda: calls.append(1))
    assert (len(calls), cuda) == (20, [])


def test_cudnn_chooses_only_as_long_as_a_run_lasts() -> None:
    before = torch.backends.cudnn.benchmark
    with fastest_convolutions(torch.device("cuda")):
        assert torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.benchmark == before
    with fastest_convolutions(torch.device("cpu")):
        assert torch.backends.cudnn.benchmark == before


def test_an_optimizer_that_is_done_with_is_let_go_at_once(
    thin_net: Network, content: torch.Tensor, style: torch.Tensor
) -> None:
    """Its memory is that of forty pictures; no garbage collection is waited for."""
    objective = Objective(thin_net, [Row(content, style, {"conv2_1": 1.0}, {"conv1_1": 1.0}, 1, 1)])
    gc.disable()
    try:
        lbfgs = LBFGS(objective.evaluate, nst.noise_image(*content.shape[2:]), curvature=True)
        lbfgs.step()
        pairs = weakref.ref(lbfgs._pairs)
        del lbfgs
        assert pairs() is None
    finally:
        gc.enable()
