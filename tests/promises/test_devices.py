"""Every kind of run on a device that is not the CPU, without one: a pretended device counts.

A GPU is quick only while the processor does not wait for it: a step reads no value from the device,
and brings none. What this cannot show is how long anything takes; see benchmarks/gpu.py.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pretended import NAME, UNRECORDED, Pretended, can_be_had, pretended
from torch import Tensor

import nst_utils as nst
from nst_utils.experiments.defaults import STYLE_LAYERS
from nst_utils.memory import estimate
from nst_utils.networks.convolutions import ConvReLU
from nst_utils.networks.network import Network
from nst_utils.objective.rows import Painting, Row, Weighting
from nst_utils.objective.table import Evaluation, Objective
from nst_utils.optimize import curvature, late
from nst_utils.optimize.adam import Adam
from nst_utils.optimize.late import TOGETHER, Late
from nst_utils.optimize.lbfgs import LBFGS
from nst_utils.support import checks

pytestmark = pytest.mark.skipif(not can_be_had(), reason="this torch has no devices in Python")
LAYERS = {"conv1_1": 0.5, "conv2_1": 0.5}


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    """The device, without float64 as Apple's; ``"auto"`` is that."""
    with pretended(float64=False) as it:
        monkeypatch.setattr(checks, "device", lambda _="auto": torch.device(NAME, 0))
        monkeypatch.setattr(estimate, "available", lambda _: 10**12)
        yield it


@pytest.fixture
def there(device: Pretended, thin_net: Network) -> Network:
    """The thin network on it."""
    return copy.deepcopy(thin_net).to(NAME)


def table(net: Network, content: Tensor, style: Tensor, ratios: list[float]) -> Objective:
    return Objective(net, [Row(content, style, {"conv2_2": 1.0}, LAYERS, x, 1.0) for x in ratios])


def start(content: Tensor, rows: int) -> Tensor:
    noise = [nst.noise_image(*content.shape[2:], seed=seed) for seed in range(rows)]
    return torch.cat(noise).to(NAME)


SHALLOW = {"content_layers": ["conv2_2"], "style_layers": ["conv1_1", "conv2_1"]}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "exact": {"exact": True},
    "adam": {"optimizer": "adam"},
    "from the photograph": {"init": "content"},
    "several": {"content_weight": [1e-3, 1e-2], "seed": [1, 2]},
    "tiles": {
        "tile": 32,
        "exact": True,
        "style_layers": ["conv1_1"],
        "content_layers": ["conv2_1"],
    },
    "total variation": {"tv_weight": 1e-6},
    "sums": {"content_reduction": "sum", "style_reduction": "sum"},
    "luminance": {"preserve_color": "luminance"},
    "statistics": {"preserve_color": "statistics"},
    "smaller first": {"smaller_first": {0.5: 2}},
    "settles": {"tolerance": 0.9, "steps": 14, "style_layers": ["conv1_1"], "exact": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_is_that_of_the_cpu(
    kind: str, there: Network, thin_net: Network, content: Tensor, style: Tensor
) -> None:
    options: dict[str, Any] = {"steps": 3, "progress": False, **SHALLOW, **KINDS[kind]}
    found = nst.transfer(content, style, net=there, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "device", lambda _="auto": torch.device("cpu"))
        expected = nst.transfer(content, style, net=thin_net, **options)
    assert found.device == f"{NAME}:0"
    assert found.image.device.type == "cpu"
    torch.testing.assert_close(found.image, expected.image, atol=1e-3, rtol=0)
    for name, losses in expected.history.items():
        torch.testing.assert_close(found.history[name], losses, rtol=1e-3, atol=0, equal_nan=True)


def test_blends_and_masks(there: Network, content: Tensor, style: Tensor) -> None:
    mask = torch.zeros(1, 1, *content.shape[2:])
    mask[..., :20] = 1
    options: dict[str, Any] = {"net": there, "steps": 2, "progress": False}
    nst.transfer(content, [style, style.flip(3)], style_blend=[0.5, 0.5], **options)
    nst.transfer(content, [style, style.flip(3)], masks=[mask, 1 - mask], **options)


def test_a_result_with_the_edges_of_its_photograph(
    device: Pretended, content: Tensor, style: Tensor
) -> None:
    """Where the result is, wherever the photograph and the masks are."""
    result, mask = nst.resize(style, (content.shape[2], content.shape[3])), content[:, :1].round()
    expected = nst.photorealistic(result, content, masks=[mask])
    for photograph, region in ((content, mask), (content.to(NAME), mask.to(NAME))):
        found = nst.photorealistic(result.to(NAME), photograph, masks=[region])
        assert found.device.type == NAME
        torch.testing.assert_close(found.cpu(), expected, atol=1e-5, rtol=0)


def test_reconstructions(there: Network, content: Tensor) -> None:
    options: dict[str, Any] = {"net": there, "steps": 2, "progress": False}
    nst.reconstruct_content(content, layers=["conv1_2", "conv3_2"], **options)
    nst.reconstruct_style(content, layer_sets=[["conv1_1"], ["conv1_1", "conv2_1"]], **options)


def test_pictures_may_be_there_or_here(there: Network, content: Tensor, style: Tensor) -> None:
    """Either of the two, and both; the colors of one are brought to those of the other."""
    for a, b in ((content.to(NAME), style), (content, style.to(NAME))):
        for how in (None, "luminance", "statistics"):
            nst.transfer(a, b, net=there, preserve_color=how, steps=1, progress=False)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_run_that_is_taken_up_again_ends_as_if_it_had_not_been_interrupted(
    optimizer: str, there: Network, content: Tensor, style: Tensor, tmp_path: Path
) -> None:
    def stop(step: nst.Step) -> None:
        if step.number == 4:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"net": there, "steps": 6, "optimizer": optimizer, "progress": False}
    whole = nst.transfer(content, style, **options)
    file = tmp_path / "run.pt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nst_utils.optimize.checkpoints._SHARE", 1e9)  # after every step
        nst.transfer(content, style, checkpoint=file, callback=stop, **options)
    again = nst.transfer(content, style, checkpoint=file, **options)
    assert again.resumed == 3
    assert torch.equal(again.image, whole.image)
    for name, losses in whole.history.items():
        torch.testing.assert_close(again.history[name], losses, rtol=0, atol=0, equal_nan=True)


def tables(net: Network, content: Tensor, style: Tensor) -> dict[str, Objective]:
    """Each with another way of evaluating it."""
    mask = torch.zeros(1, 1, *content.shape[2:])
    mask[..., :20] = 1
    halves = [Painting(style, region=mask), Painting(style.flip(3), region=1 - mask)]
    one = Row(content, style, {"conv2_2": 1.0}, LAYERS, 1e-3, 1.0)
    masked = Row(content, halves, {"conv2_2": 1.0}, LAYERS, 1e-3, 1.0, 1e-6)
    shallow = Row(content, style, {"conv1_2": 1.0}, LAYERS, 1e-3, 1.0)
    halved = Objective(net, [one] * 4)
    halved.at_once = 2
    return {
        "one": Objective(net, [one]),
        "three": Objective(net, [one] * 3),
        "masks and total variation": Objective(net, [masked]),
        "two groups": Objective(net, [one, shallow, one]),
        "halves": halved,
        "tiles": Objective(net, [shallow], tile=32),
    }


WAYS = ("one", "three", "masks and total variation", "two groups", "halves", "tiles")


@pytest.mark.parametrize(
    ("kind", "way"), [*(("lbfgs", way) for way in WAYS), ("plain lbfgs", "one"), ("adam", "one")]
)
def test_a_step_waits_for_nothing(
    kind: str, way: str, device: Pretended, there: Network, content: Tensor, style: Tensor
) -> None:
    objective = tables(there, content, style)[way]
    begin = start(content, len(objective))
    optimizer: LBFGS | Adam = (
        Adam(objective.evaluate, begin)
        if kind == "adam"
        else LBFGS(objective.evaluate, begin, curvature=kind == "lbfgs")
    )
    for _ in range(2):
        optimizer.step()
    device.waits.clear()
    device.operations.clear()
    optimizer.step()
    assert not device.waits
    if way == "one":
        assert device.operations.total() < BUDGETS[kind]


@pytest.mark.parametrize("curved", [True, False])
def test_the_first_step_does_all_that_a_later_one_will_do(
    curved: bool,
    device: Pretended,
    there: Network,
    content: Tensor,
    style: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So a step can be recorded as soon as libraries have chosen their methods."""
    monkeypatch.setattr(curvature, "_PAIRS_NEEDED", 4)
    objective = table(there, content, style, [1e-3])
    lbfgs = LBFGS(objective.evaluate, start(content, 1), curvature=curved)
    done = []
    for _ in range(10):
        device.operations.clear()
        lbfgs.step()
        done.append(dict(device.operations))
    assert int(lbfgs._pairs._known.cpu()) > 4
    assert all(each == done[-1] for each in done[:-1])


@pytest.mark.parametrize("way", WAYS)
def test_a_deterministic_step_can_be_recorded(
    way: str, device: Pretended, there: Network, content: Tensor, style: Tensor
) -> None:
    objective = tables(there, content, style)[way]
    with nst.deterministic():
        lbfgs = LBFGS(objective.evaluate, start(content, len(objective)), curvature=True)
        lbfgs.step()
        device.operations.clear()
        lbfgs.step()
    assert not [name for name in device.operations if UNRECORDED.match(name)]


# Operations of a step with three layers of loss: a few more than it takes.
BUDGETS = {"lbfgs": 395, "plain lbfgs": 320, "adam": 260}


@pytest.mark.parametrize(("curved", "operations"), [(True, 503), (False, 429)])
def test_a_step_of_the_default_settings_takes_as_many_operations_as_the_page_says(
    curved: bool, operations: int, device: Pretended, there: Network, content: Tensor, style: Tensor
) -> None:
    """docs/gpu.md. How many filters a layer has changes nothing in that."""
    first = there.modules_by_layer()["conv1_1"]
    assert isinstance(first, ConvReLU)
    first.padding = "nearest"
    layers = dict.fromkeys(STYLE_LAYERS, 0.2)
    objective = Objective(there, [Row(content, style, {"conv4_2": 1.0}, layers, 1e-3, 1.0)])
    lbfgs = LBFGS(objective.evaluate, start(content, 1), curvature=curved)
    lbfgs.step()
    device.operations.clear()
    lbfgs.step()
    assert abs(device.operations.total() - operations) <= 5
    page = Path(__file__).parents[2] / "docs" / "gpu.md"
    assert f" {operations} " in page.read_text(encoding="utf-8")


def test_rejected_and_broken_rows_do_not_make_a_step_wait(device: Pretended) -> None:
    """One row never has a finite loss, one has none beyond 0.5, one goes its way."""

    def evaluate(images: Tensor) -> Evaluation:
        x = images.flatten(1)
        loss = (x - 0.6).square().sum(1)
        never = torch.tensor([True, False, False]).to(NAME)
        beyond = torch.tensor([False, True, False]).to(NAME) & (x > 0.5).any(1)
        loss = torch.where(never | beyond, torch.nan, loss)
        return Evaluation(loss, 2 * (images - 0.6), loss[:, None])

    for make in (LBFGS, Adam):
        optimizer = make(evaluate, torch.full((3, 3, 4, 4), 0.4).to(NAME))
        for _ in range(30):
            device.waits.clear()
            optimizer.step()
            # What the function above brings.
            assert device.waits.total() == 2
        images, loss = optimizer.images.cpu(), optimizer.loss.cpu()
        assert torch.equal(images[0], torch.full((3, 4, 4), 0.4))
        assert images[1].max() <= 0.5
        assert loss[2] < 0.01


def test_losses_are_read_late_and_together(
    device: Pretended,
    there: Network,
    content: Tensor,
    style: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bar, and a callback that does not look at the losses, cost one wait for many steps."""
    monkeypatch.setattr(late, "TOGETHER", 4)
    objective = table(there, content, style, [1e-3])
    waits = []
    for steps in (4, 12):
        device.waits.clear()
        told: list[nst.Step] = []
        result = nst.minimize(objective, start(content, 1), steps=steps, callback=told.append)
        waits.append(device.waits.total())
        assert len(result.history["total_loss"]) == steps
        assert result.history["total_loss"].isfinite().all()
    assert waits[1] - waits[0] == 2
    # What a callback has kept is of its own step, whenever it looks.
    for step in told:
        assert torch.equal(step.losses["total_loss"], result.history["total_loss"][step.number - 1])


def test_late_values_come_in_their_order(device: Pretended) -> None:
    values, came = Late(), []
    for number in range(2 * TOGETHER + 3):
        values.put(torch.tensor([float(number)]).to(NAME))
        came += values.ready()
    assert len(came) == 2 * TOGETHER
    came += values.all()
    assert torch.cat(came).tolist() == list(range(2 * TOGETHER + 3))
    values.put(torch.zeros(1).to(NAME))
    values.drop()
    assert values.all() == []


def test_a_picture_that_breaks_is_told_of_with_its_step_though_it_is_read_late(
    device: Pretended, there: Network, content: Tensor, style: Tensor
) -> None:
    """All are broken after some steps: those made until that was known are not counted."""
    evaluate, calls = nst.Objective.evaluate, []

    def poisoned(self: nst.Objective, images: Tensor, rows: Any = None) -> Evaluation:
        calls.append(1)
        found = evaluate(self, images, rows)
        return found._replace(loss=found.loss * torch.nan) if len(calls) > 5 else found

    objective = table(there, content, style, [1e-3])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nst.Objective, "evaluate", poisoned)
        result = nst.minimize(objective, start(content, 1), steps=40, progress=False)
    number = int(result.trouble.split("after step ")[1].split(":")[0])
    assert result.steps == number == sum(made for *_, made in result.levels)
    assert number < 5 + TOGETHER
    assert result.image.isfinite().all()


def test_weights_that_are_turned_and_settling_are_those_of_the_cpu(
    there: Network, thin_net: Network, content: Tensor, style: Tensor
) -> None:
    def turn(step: nst.Step) -> Weighting | None:
        return Weighting(content_weight=1.0) if step.number == 5 else None

    found = nst.minimize(
        table(there, content, style, [1e-3]), start(content, 1), steps=9, callback=turn
    )
    expected = nst.minimize(
        table(thin_net, content, style, [1e-3]), start(content, 1).cpu(), steps=9, callback=turn
    )
    torch.testing.assert_close(found.image, expected.image, atol=1e-3, rtol=0)
    losses = (each.history["total_loss"] for each in (found, expected))
    torch.testing.assert_close(*losses, rtol=1e-3, atol=0)


def test_the_pretended_device_finds_what_it_is_there_for() -> None:
    """Mixed devices, reads, masks and what is brought there, each on its own."""
    with pretended() as device:
        x = torch.zeros(4).to(NAME)
        device.waits.clear()
        with pytest.raises(RuntimeError, match="in one operation"):
            x + torch.zeros(4)
        x + 1
        x[torch.tensor([0, 1]).to(NAME)]
        device.waits.subtract({"_to_copy": 1})
        assert device.waits.total() == 0
        for wait in (
            lambda: float(x.sum()),
            lambda: x.cpu(),
            lambda: x[x > 0],
            lambda: x[[0, 1]],
            lambda: (x > 0).nonzero(),
            lambda: torch.tensor([1.0], device=NAME),
            lambda: torch.tensor(1.0).to(NAME),
            lambda: bool((x > 0).any()),
        ):
            device.waits.clear()
            wait()
            assert device.waits.total() == 1
    with pretended(float64=False), pytest.raises(TypeError, match="float64"):
        torch.zeros(1).to(NAME).double()
