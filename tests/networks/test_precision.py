"""Which numbers the convolutions take on a device, and float16, whose gradients would vanish."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from pretended import NAME, can_be_had, pretended
from torch import Tensor

import nst_utils as nst
from nst_utils.networks import convolutions, network, precision
from nst_utils.networks.network import Network, on_device
from nst_utils.networks.precision import Scaling, fastest, layout, told
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Objective
from nst_utils.optimize.lbfgs import LBFGS
from nst_utils.support.switches import switched

LAYERS = {"conv1_1": 0.5, "conv3_1": 0.5}
on_pretended = pytest.mark.skipif(not can_be_had(), reason="this torch has no devices in Python")


@pytest.fixture
def half_net(thin_net: Network) -> Network:
    """The thin network in float16."""
    net = copy.deepcopy(thin_net)
    net._steps.half()
    return net


def play(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> torch.device:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    return torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("capability", "name"),
    [
        ((6, 1), "float32"),
        ((7, 0), "float16"),
        ((7, 5), "float16"),
        ((8, 0), "bfloat16"),
        ((9, 0), "bfloat16"),
        ((12, 0), "bfloat16"),
    ],
)
def test_nvidias_gpus_take_what_they_multiply_fast(
    capability: tuple[int, int], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fastest(play(monkeypatch, capability)) == name


@pytest.mark.parametrize("able", [{}, {"avx512_bf16": True}, {"amx_bf16": True}])
def test_a_processor_takes_bfloat16_where_it_has_it_whatever_gpu_is_there(
    able: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert fastest(torch.device("cpu")) == ("bfloat16" if able else "float32")
    assert fastest(torch.device("mps")) == "float32"


def test_tf32_is_told_where_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    cudnn: Any = torch.backends.cudnn
    with switched(cudnn.conv, "fp32_precision", "tf32"):
        assert told(torch.float32, play(monkeypatch, (8, 0))) == "float32 with TF32"
        assert told(torch.bfloat16, play(monkeypatch, (8, 0))) == "bfloat16"
        assert told(torch.float32, play(monkeypatch, (7, 5))) == "float32"
        assert told(torch.float32, torch.device("cpu")) == "float32"
    with switched(cudnn.conv, "fp32_precision", "ieee"):
        assert told(torch.float32, play(monkeypatch, (9, 0))) == "float32"


@on_pretended
def test_kernels_that_are_chosen_for_a_device_lie_in_memory_as_it_likes(
    thin_net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Apple's GPUs, which get them filter by filter; here they lie the other way."""
    for module in (network, convolutions):
        monkeypatch.setattr(module, "layout", of_pretended)
    monkeypatch.setattr(network, "fastest", lambda _: "float32")
    net = copy.deepcopy(thin_net)
    net._chosen_by_device = True
    kernel = "conv2_1.kernel"
    assert not dict(net._steps.named_buffers())[kernel].is_contiguous()
    with pretended():
        there = on_device(net, torch.device(NAME, 0))
        assert all(x.is_contiguous() for x in there._steps.buffers())
        back = dict(on_device(there, torch.device("cpu"))._steps.named_buffers())[kernel]
    assert back.is_contiguous(memory_format=torch.channels_last)


def of_pretended(device: torch.device) -> torch.memory_format:
    return torch.contiguous_format if device.type == NAME else torch.channels_last


@on_pretended
def test_auto_is_chosen_for_where_the_network_is_and_loses_nothing_on_the_way(
    thin_net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There and back, by moving it or by a copy: the numbers here are those of before."""
    taken = {NAME: "float16", "cpu": "float32"}
    monkeypatch.setattr(network, "fastest", lambda device: taken[device.type])
    net = copy.deepcopy(thin_net)
    net._chosen_by_device = True
    with pretended():
        there = on_device(net, torch.device(NAME, 0))
        assert "float16 with scaled gradients" in there.description
        assert there.description.replace(" with scaled gradients", "") == net.description.replace(
            "float32", "float16"
        )
        assert {x.dtype for x in there._steps.buffers()} == {torch.float16}
        assert {x.dtype for x in net._steps.buffers()} == {torch.float32}
        back = on_device(there, torch.device("cpu"))
    for (name, found), expected in zip(
        back.named_buffers(), dict(thin_net.named_buffers()).values(), strict=True
    ):
        assert found.dtype == torch.float32
        assert torch.equal(found, expected), name
    named = copy.deepcopy(thin_net)
    with pretended():
        assert "float32" in named.to(NAME).description  # asked for by name, it stays


def test_auto_keeps_its_numbers_in_float32_where_there_is_a_gpu_to_go_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "fastest", lambda _: "bfloat16")
    for has in (True, False):
        monkeypatch.setattr(network, "_has_gpu", lambda has=has: has)
        net = nst.vgg19(precision="auto")
        assert {x.dtype for x in net._steps.buffers()} == {torch.bfloat16}
        assert bool(net._in_float32) == has
        assert all(x.dtype == torch.float32 for x in copy.deepcopy(net)._in_float32.values())


def test_apples_gpus_have_responses_filter_by_filter(
    thin_net: Network, monkeypatch: pytest.MonkeyPatch, content: Tensor
) -> None:
    assert layout(torch.device("mps")) == torch.contiguous_format
    assert layout(torch.device("cuda")) == layout(torch.device("cpu")) == torch.channels_last
    for module in (network, convolutions):
        monkeypatch.setattr(module, "layout", lambda _: torch.contiguous_format)
    net = copy.deepcopy(thin_net).to("cpu")
    assert all(x.is_contiguous() for x in net._steps.buffers())
    found, expected = (each(content, ["conv3_1"])["conv3_1"] for each in (net, thin_net))
    torch.testing.assert_close(found, expected)


def row(content: Tensor, style: Tensor) -> Row:
    return Row(content, style, {"conv3_2": 1.0}, LAYERS, 1e-3, 1.0)


def apart(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("tile", [None, 32])
def test_float16_is_float32_up_to_its_rounding(
    tile: int | None, half_net: Network, thin_net: Network, content: Tensor, style: Tensor
) -> None:
    if tile:
        content = torch.cat([content] * 2, dim=3)
    image = nst.noise_image(*content.shape[2:], seed=0)
    found, expected = (
        Objective(net, [row(content, style)], tile=tile).evaluate(image)
        for net in (half_net, thin_net)
    )
    assert found.gradient.dtype == found.loss.dtype == torch.float32
    assert apart(found.loss, expected.loss) < 1e-3
    assert apart(found.gradient, expected.gradient) < 0.01


def test_the_real_network_in_float16(real_net: Network, content: Tensor, style: Tensor) -> None:
    its = Row(content, style, {"conv3_1": 1.0}, {"conv1_1": 0.5, "conv3_1": 0.5}, 5e-3, 1.0)
    low = copy.deepcopy(real_net)
    low._steps.half()
    found, expected = (Objective(net, [its]).evaluate(content) for net in (low, real_net))
    assert apart(found.loss, expected.loss) < 2e-3
    assert apart(found.gradient, expected.gradient) < 0.03


@pytest.mark.parametrize("size", [1e-20, 1e-9, 1.0, 1e9])
def test_gradients_of_any_size_come_through_which_would_vanish(
    size: float, half_net: Network, content: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As small as that of a mean over the responses to a large picture."""

    def gradient(factor: float) -> Tensor:
        image = content.clone().requires_grad_()
        loss = half_net(image, ["conv2_1", "conv4_1"])["conv4_1"].mean() * factor
        return torch.autograd.grad(loss, image)[0] / factor

    expected = gradient(1.0)
    assert apart(gradient(size), expected) < 1e-2
    if size != 1e-9:
        return

    def unscaled(self: Scaling, gradient: Tensor) -> Tensor:
        self._scale = gradient.new_ones(len(gradient), 1, 1, 1)
        return gradient.half()

    monkeypatch.setattr(precision.Scaling, "scaled", unscaled)
    assert gradient(size).norm() == 0
    assert apart(gradient(1e3), expected) < 1e-2


def test_pictures_side_by_side_do_not_share_a_scale(half_net: Network, content: Tensor) -> None:
    """Nor does one whose loss is not finite harm the others."""
    for factors in ([1e-12, 1.0], [1.0, torch.inf], [1.0, torch.nan]):
        image = torch.cat([content, content.flip(3)]).requires_grad_()
        losses = half_net(image, ["conv3_1"])["conv3_1"].mean((1, 2, 3))
        (both,) = torch.autograd.grad((losses * torch.tensor(factors)).sum(), image)
        alone = content.clone().requires_grad_()
        loss = half_net(alone, ["conv3_1"])["conv3_1"].mean() * factors[0]
        (one,) = torch.autograd.grad(loss, alone)
        assert apart(both[:1], one) < 1e-2
        assert bool(both[1].isfinite().all()) == (factors[1] == 1.0)


@on_pretended
def test_a_step_in_float16_waits_for_nothing(
    half_net: Network, content: Tensor, style: Tensor
) -> None:
    with pretended(float64=False) as device:
        objective = Objective(copy.deepcopy(half_net).to(NAME), [row(content, style)] * 2)
        noise = [nst.noise_image(*content.shape[2:], seed=seed) for seed in (0, 1)]
        lbfgs = LBFGS(objective.evaluate, torch.cat(noise).to(NAME))
        lbfgs.step()
        device.waits.clear()
        lbfgs.step()
        assert not device.waits


def test_a_run_in_float16_gets_as_far(
    half_net: Network, thin_net: Network, content: Tensor, style: Tensor
) -> None:
    options: dict[str, Any] = {"steps": 15, "init": "content", "progress": False, "device": "cpu"}
    layers: dict[str, Any] = {"content_layers": ["conv3_2"], "style_layers": list(LAYERS)}
    found, expected = (
        nst.transfer(content, style, net=net, **layers, **options) for net in (half_net, thin_net)
    )
    assert not found.trouble
    losses, others = (each.history["total_loss"][:, 0].tolist() for each in (found, expected))
    assert losses[:4] == pytest.approx(others[:4], rel=0.01)
    # Then rounding takes them apart, as any other two runs.
    assert losses[-1] < 1.5 * others[-1] < 0.2 * others[0]
    assert "float16" in found.settings["network"]
