"""What L-BFGS remembers takes memory, too: where there is too little, it remembers less."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from pretended import NAME, Pretended, There, can_be_had
from torch import Tensor

import nst_utils as nst
from nst_utils.memory import estimate
from nst_utils.networks.network import Network
from nst_utils.objective.table import Evaluation
from nst_utils.optimize.lbfgs import LBFGS
from nst_utils.optimize.pairs import Pairs
from nst_utils.support import checks

LAYERS: dict[str, Any] = {"content_layers": ["conv2_1"], "style_layers": ["conv1_1"]}


def bowl(images: Tensor) -> Evaluation:
    x = images.flatten(1) - 0.5
    bends = torch.arange(1, x.shape[1] + 1, dtype=x.dtype, device=x.device)
    loss = (x.square() * bends).sum(1)
    return Evaluation(loss, (2 * x * bends).view(images.shape), loss[:, None])


class Small(Pretended):
    """A device that has no tensor of more values than so many."""

    most = 10**9

    def _put(self, values: Tensor) -> There:
        if values.numel() > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return super()._put(values)


@pytest.mark.skipif(not can_be_had(), reason="this torch has no devices in Python")
@pytest.mark.parametrize(("room", "kept"), [(100, 20), (15, 10), (3, 2), (1, None)])
def test_on_a_device_with_little_memory_it_remembers_what_there_is_room_for(
    room: int, kept: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with Small() as device:
        start = torch.full((2, 3, 6, 8), 0.2).to(NAME)
        device.most = room * start.numel()
        if kept is None:
            with pytest.raises(torch.OutOfMemoryError):
                LBFGS(bowl, start)
            return
        lbfgs = LBFGS(bowl, start)
        assert len(lbfgs._pairs) == kept
        for _ in range(25):
            lbfgs.step()
        loss = lbfgs.loss.cpu()
    assert loss.max() < 1e-2 * bowl(torch.full((2, 3, 6, 8), 0.2)).loss.max()
    said = capsys.readouterr().err
    assert (f"L-BFGS remembers {kept} steps" in said) == (kept != 20)


@pytest.mark.skipif(not can_be_had(), reason="this torch has no devices in Python")
def test_a_whole_run_goes_on_where_the_history_finds_no_memory(
    thin_net: Network, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "device", lambda _="auto": torch.device(NAME, 0))
    monkeypatch.setattr(estimate, "available", lambda _: 10**12)
    with Small(float64=False) as device:
        net = copy.deepcopy(thin_net).to(NAME)
        device.most = 12 * content.numel()
        result = nst.transfer(content, style, net=net, steps=4, progress=False, **LAYERS)
    assert not result.trouble
    assert (result.history["total_loss"][-1] < result.start["total_loss"]).all()


def test_memory_that_runs_out_within_a_step_ends_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All of the step happens, or nothing; the next one begins with fewer pairs, anew."""
    fails = [False]

    def evaluate(images: Tensor) -> Evaluation:
        if fails[0]:
            fails[0] = False
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")
        return bowl(images)

    lbfgs = LBFGS(evaluate, torch.full((1, 3, 6, 8), 0.2))
    for number in range(40):
        fails[0] = number in (5, 20)
        before = lbfgs.loss.clone()
        lbfgs.step()
        assert lbfgs.loss <= before
        torch.testing.assert_close(lbfgs.loss, bowl(lbfgs.images).loss)
    assert len(lbfgs._pairs) == 5
    assert capsys.readouterr().err.count("memory ran out") == 2
    assert lbfgs.loss < 1e-3


def test_a_run_of_which_memory_is_short_for_good_keeps_its_last_picture(
    thin_net: Network, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate, calls = nst.Objective.evaluate, []

    def failing(self: nst.Objective, images: Tensor, rows: Any = None) -> Evaluation:
        calls.append(1)
        if len(calls) > 4:
            raise MemoryError("no more")
        return evaluate(self, images, rows)

    monkeypatch.setattr(nst.Objective, "evaluate", failing)
    options: dict[str, Any] = {"net": thin_net, "steps": 9, "progress": False, "device": "cpu"}
    result = nst.transfer(content, style, init="content", **options, **LAYERS)
    assert "stopped after step 3: there is not enough memory" in result.trouble
    assert result.image.isfinite().all()


def filled(number: int, pairs: int) -> Pairs:
    generator = torch.Generator().manual_seed(3)
    made = Pairs(2, 30, number, torch.zeros(1, dtype=torch.float64))
    for _ in range(pairs):
        s = torch.randn(2, 30, generator=generator, dtype=torch.float64)
        made.remember(s, s * torch.linspace(1, 5, 30), torch.tensor([True, True]))
    return made


@pytest.mark.parametrize(("there", "here"), [(7, 3), (3, 7), (4, 4)])
@pytest.mark.parametrize("pairs", [0, 2, 5, 12])
def test_pairs_are_taken_up_by_others_with_more_or_less_room(
    there: int, here: int, pairs: int
) -> None:
    """As if all had gone by with the lesser of both."""
    found = Pairs(2, 30, here, torch.zeros(1, dtype=torch.float64))
    found.restore(filled(there, pairs).state())
    expected = filled(min(there, here), pairs)
    assert len(found) == min(there, here)
    gradient = torch.linspace(-1, 2, 60, dtype=torch.float64).view(2, 30)
    for _ in range(2):
        directions = (
            each.direction(gradient, lambda q: q * expected.scaling[:, None])
            for each in (found, expected)
        )
        torch.testing.assert_close(*directions, rtol=1e-10, atol=1e-12)
        for each in (found, expected):
            each.remember(gradient, gradient * 2, torch.tensor([True, True]))


def test_a_run_with_fewer_pairs_is_taken_up_with_as_few(
    thin_net: Network, content: Tensor, style: Tensor, tmp_path: Path
) -> None:
    make = Pairs._make

    def little(self: Pairs, rows: int, size: int, number: int, like: Tensor) -> None:
        if number > 5:
            raise MemoryError
        make(self, rows, size, number, like)

    def stop(step: nst.Step) -> None:
        if step.number == 9:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"net": thin_net, "steps": 14, "progress": False, "device": "cpu"}
    options |= LAYERS | {"exact": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pairs, "_make", little)
        expected = nst.transfer(content, style, **options)
        patch.setattr("nst_utils.optimize.checkpoints._SHARE", 1e9)
        options["checkpoint"] = tmp_path / "run.ckpt"
        nst.transfer(content, style, callback=stop, **options)
    found = nst.transfer(content, style, **options)  # now there is memory for 20
    assert found.resumed == 8
    assert torch.equal(found.image, expected.image)
