"""When a step is recorded, and what happens where that is not possible; the GPU is played."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import nst_utils as nst
from nst_utils.memory.step_down import WithinMemory
from nst_utils.networks.network import Network, between_layers
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Evaluation, Objective
from nst_utils.optimize import recorded as recorded_module
from nst_utils.optimize.lbfgs import LBFGS
from nst_utils.optimize.recorded import BEFORE, Recorded, fastest_convolutions
from nst_utils.support import recording


class Graph:
    """Of what is done while it is open, nothing happens before it is replayed."""

    made: Callable[[], None] | None = None
    replays = 0

    def replay(self) -> None:
        self.replays += 1


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Graph]]:
    graphs: list[Graph] = []

    @contextlib.contextmanager
    def record(graph: Graph, **_: Any) -> Iterator[None]:
        graphs.append(graph)
        streams[:] = ["of the recording"]
        yield
        streams[:] = ["the caller's"]

    streams = ["the caller's"]  # torch stays on the other where a recording fails
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "Stream", object)
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: streams[0])
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: streams.__setitem__(0, stream))
    monkeypatch.setattr(recorded_module, "_impossible", [])
    monkeypatch.setattr(recorded_module, "_streams", {})
    yield graphs
    assert streams == ["the caller's"]


def test_after_some_calls_work_is_recorded_and_then_replayed(cuda: list[Graph]) -> None:
    recorded, calls = Recorded(torch.device("cuda")), []
    for _ in range(20):
        recorded(lambda: calls.append(1))
    assert recorded.replayed
    assert recorded.told == "replayed"
    assert len(cuda) == 1
    # Some times by itself, once to be recorded.
    assert (len(calls), cuda[0].replays) == (BEFORE + 1, 20 - BEFORE)


def failing(calls: list[str], error: BaseException) -> Callable[[], None]:
    """Work that fails once, while it is recorded."""

    def work() -> None:
        if len(calls) == BEFORE and "tried" not in calls:
            calls.append("tried")
            raise error
        calls.append("done")

    return work


def test_what_cannot_be_recorded_goes_on_as_before(cuda: list[Graph]) -> None:
    calls: list[str] = []
    recorded = Recorded(torch.device("cuda"))
    work = failing(calls, RuntimeError("operation not permitted when stream is capturing"))
    for _ in range(20):
        recorded(work)
    assert not recorded.replayed
    assert recorded.told == "not recorded: operation not permitted when stream is capturing"
    assert calls.count("done") == 20
    another = Recorded(torch.device("cuda"))  # and nothing is recorded after that
    assert another.told == "not recorded yet"
    for _ in range(20):
        another(lambda: None)
    assert len(cuda) == 1
    assert another.told == recorded.told


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to"), "CUDA out of memory. Tried to"),
        (MemoryError(), "MemoryError"),
        (recording.NotRecordableError("the network runs on cpu"), "the network runs on cpu"),
    ],
)
def test_what_only_this_run_lacks_is_tried_again_in_the_next(
    error: BaseException, why: str, cuda: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(recorded_module, "give_back", lambda: calls.append("given back"))
    recorded, another = Recorded(torch.device("cuda")), Recorded(torch.device("cuda"))
    work = failing(calls, error)
    for _ in range(20):
        recorded(work)
    assert recorded.told == f"not recorded: {why}"
    # The same work again, one operation at a time, with what the recording had taken.
    assert calls[BEFORE : BEFORE + 3] == ["tried", "given back", "done"]
    assert calls.count("given back") == 1
    for _ in range(20):
        another(lambda: None)
    assert another.told == "replayed"


def test_the_reason_is_what_came_first(cuda: list[Graph], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something failed, the end of the recording fails as well."""

    class Broken(contextlib.AbstractContextManager[None]):
        def __exit__(self, *_: object) -> None:
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: Broken())
    recorded = Recorded(torch.device("cuda"))
    work = failing(calls := [], torch.OutOfMemoryError("CUDA out of memory."))
    for _ in range(20):
        recorded(work)
    assert calls.count("done") == 20
    assert recorded.told == "not recorded: CUDA out of memory."
    assert not recorded_module._impossible


def test_a_step_that_is_recorded_is_not_tried_with_less(
    cuda: list[Graph], thin_net: Network, content: torch.Tensor, style: torch.Tensor
) -> None:
    """Memory that only the recording lacks makes no step slower: the ladder is left alone."""
    objective = WithinMemory(
        thin_net, [Row(content, style, {"conv2_1": 1.0}, {"conv1_1": 1.0}, 1, 1)] * 2
    )
    objective.at_once = None
    images, evaluate, fails = content.repeat(2, 1, 1, 1), Objective.evaluate, [True]

    def work() -> None:
        objective.evaluate(images)

    def lacking(self: Objective, *given: Any) -> Evaluation:
        if recording.is_going_on() and fails:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return evaluate(self, *given)

    recorded = Recorded(torch.device("cuda"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            recording, "is_going_on", lambda: torch.cuda.current_stream() != "the caller's"
        )
        patch.setattr(Objective, "evaluate", lacking)
        for _ in range(BEFORE + 1):
            recorded(work)
        assert (objective.at_once, objective.tile) == (None, None)
        assert "out of memory" in recorded.told
        fails.clear()
        # The work has moved, and what is recorded would have to wait for it.
        patch.setattr(Objective, "device", torch.device("meta"))
        moved = Recorded(torch.device("cuda"))
        moved._left = 0
        with contextlib.suppress(NotImplementedError, RuntimeError):
            moved(work)
        assert moved.told == "not recorded: the network runs on meta"
    assert not recorded_module._impossible


def test_an_interrupt_while_recording_is_not_swallowed(cuda: list[Graph]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    recorded = Recorded(torch.device("cuda"))
    for _ in range(BEFORE):
        recorded(lambda: None)
    with pytest.raises(KeyboardInterrupt):
        recorded(interrupted)


def test_a_pause_holds_a_replayed_step(cuda: list[Graph]) -> None:
    recorded, pulses = Recorded(torch.device("cuda")), []
    for _ in range(BEFORE + 1):
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
    assert recorded.told == "not recorded: that is for CUDA, not cpu"


def test_cudnn_chooses_only_as_long_as_a_run_lasts() -> None:
    before = torch.backends.cudnn.benchmark
    with fastest_convolutions(torch.device("cuda")):
        assert torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.benchmark == before
    with fastest_convolutions(torch.device("cpu")):
        assert torch.backends.cudnn.benchmark == before


class Written(TorchDispatchMode):
    """Writes down what is done, as a CUDA graph does, and does it again on the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self._done: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self._done.append((func, args, kwargs or {}, made))
        return made

    def replay(self) -> None:
        for func, args, kwargs, made in self._done:
            if func.is_view:
                continue
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(made), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@pytest.mark.parametrize("curved", [True, False])
@pytest.mark.parametrize("kind", ["transfer", "rejected and broken"])
def test_a_step_that_is_replayed_is_the_step(
    kind: str, curved: bool, thin_net: Network, content: torch.Tensor, style: torch.Tensor
) -> None:
    """What a step reads it finds in the same memory each time, and nothing in it is from Python."""

    def uneven(images: torch.Tensor) -> Evaluation:
        """The first row has never a finite loss, the second none beyond 0.5, the third a valley."""
        x = images.flatten(1)
        valley = (100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2).sum(1)
        slope = torch.zeros_like(x)
        slope[:, :-1] += -400 * x[:, :-1] * (x[:, 1:] - x[:, :-1] ** 2) - 2 * (1 - x[:, :-1])
        slope[:, 1:] += 200 * (x[:, 1:] - x[:, :-1] ** 2)
        row = torch.arange(len(x))
        bad = (row == 0) | ((row == 1) & (x > 0.5).any(1))
        loss = torch.where(bad, torch.nan, valley)
        return Evaluation(loss, slope.view_as(images), loss[:, None])

    rows = [
        Row(content, style, {"conv2_1": 1.0}, {"conv1_1": 1.0}, ratio, 1.0) for ratio in (1e-2, 1.0)
    ]
    objective = Objective(thin_net, [*rows, Row(content, style, {"conv1_2": 1.0}, {}, 1.0)])
    objective.at_once = None
    evaluate = objective.evaluate if kind == "transfer" else uneven
    noise = [nst.noise_image(*content.shape[2:], seed=seed, std=0.1) for seed in range(3)]
    one, other = (LBFGS(evaluate, torch.cat(noise), curvature=curved) for _ in range(2))
    for _ in range(12):  # on a CPU the curvature is used from the eleventh on
        one.step()
        other.step()
    before = {name: value.clone() for name, value in one.state().items()}
    with torch.no_grad(), Written() as written:
        one._move()
    one.restore(before)
    for _ in range(8):
        with torch.no_grad():
            written.replay()
        other.step()
        for name, value in other.state().items():
            if name != "evaluations":
                torch.testing.assert_close(one.state()[name], value, rtol=0, atol=0, equal_nan=True)


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
