"""Convolutions: every method is the definition, gradients too, and little is kept for them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as fn

from nst_utils.networks import convolutions
from nst_utils.networks.convolutions import ConvReLU, average_pool, transform_kernel, winograd
from nst_utils.networks.network import Network


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def relative(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 3),
    before=st.integers(1, 9),
    filters=st.integers(1, 9),
    height=st.integers(3, 23),
    width=st.integers(3, 23),
    zeros=st.integers(0, 2),
)
def test_winograd_is_the_convolution_and_its_way_back(
    batch: int, before: int, filters: int, height: int, width: int, zeros: int
) -> None:
    x, kernel = random(batch, before, height, width), random(filters, before, 3, 3, seed=1)
    expected = fn.conv2d(x.double(), kernel.double(), padding=zeros)
    transformed = transform_kernel(kernel)
    found = winograd(x, transformed, zeros)
    assert found.shape == expected.shape
    assert relative(found, expected) < 2e-5
    y = random(batch, filters, height, width, seed=2)
    expected = fn.conv_transpose2d(y.double(), kernel.double(), padding=2 - zeros)
    found = winograd(y, transformed.mT, zeros, turned=True)
    assert found.shape == expected.shape
    assert relative(found, expected) < 2e-5


@pytest.mark.parametrize("format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_winograd_of_what_needs_no_padding(format: torch.memory_format) -> None:
    """Where whole tiles fit and no zeros stand around, the input itself is read."""
    x, kernel = random(2, 5, 10, 14).contiguous(memory_format=format), random(4, 5, 3, 3, seed=1)
    before = x.clone()
    expected = fn.conv2d(x.double(), kernel.double())
    assert relative(winograd(x, transform_kernel(kernel), 0), expected) < 2e-5
    assert torch.equal(x, before)


def test_winograd_is_the_same_in_strips_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, kernel = random(2, 16, 37, 41), transform_kernel(random(16, 16, 3, 3))
    at_once = winograd(x, kernel)
    monkeypatch.setattr(convolutions, "_STRIP", 1)
    torch.testing.assert_close(winograd(x, kernel), at_once, rtol=1e-4, atol=1e-4)


def test_winograd_errs_no_more_than_float32_does() -> None:
    """At the size and with the numbers of conv3_2."""
    x = random(1, 256, 64, 48).relu()
    kernel = random(256, 256, 3, 3, seed=1) * (2 / 9 / 256) ** 0.5
    expected = fn.conv2d(x.double(), kernel.double(), padding=1)
    transformed = transform_kernel(kernel)
    assert relative(winograd(x, transformed), expected) < 5e-6
    expected = fn.conv_transpose2d(x.double(), kernel.double(), padding=1)
    assert relative(winograd(x, transformed.mT, turned=True), expected) < 5e-6


@pytest.mark.parametrize("padding", ["zeros", "nearest"])
@pytest.mark.parametrize("filters", [8, 128], ids=["direct", "winograd"])
@pytest.mark.parametrize("size", [(16, 24), (17, 13)])
def test_response_and_gradient_are_autograds(
    filters: int, size: tuple[int, int], padding: str
) -> None:
    kernel = random(filters, filters, 3, 3) * (2 / 9 / filters) ** 0.5
    bias = random(filters, seed=2) * 0.1
    weights = random(2, filters, *size, seed=3)
    ours = random(2, filters, *size, seed=4).requires_grad_(True)
    theirs = ours.detach().double().requires_grad_(True)
    layer = ConvReLU(kernel, bias, padding)
    y = layer(ours)
    around = fn.pad(theirs, (1, 1, 1, 1), mode="replicate" if padding == "nearest" else "constant")
    z = fn.relu(fn.conv2d(around, kernel.double(), bias.double()))
    assert relative(y.detach(), z.detach()) < 1e-5
    (gradient,) = torch.autograd.grad((y * weights).sum(), ours)
    (expected,) = torch.autograd.grad((z * weights).sum(), theirs)
    assert relative(gradient, expected) < 1e-4
    assert (layer._transformed is not None) == (filters == 128)


def test_of_few_positions_the_definition_is_quicker() -> None:
    layer = ConvReLU(random(128, 128, 3, 3), random(128))
    layer(random(1, 128, 8, 8))
    assert layer._transformed is None


@pytest.mark.parametrize("size", [(8, 6), (7, 6), (8, 5), (3, 3), (2, 2)])
@pytest.mark.parametrize("rounds_up", [False, True])
def test_average_pooling_and_its_gradient(size: tuple[int, int], rounds_up: bool) -> None:
    x = random(2, 3, *size).double().requires_grad_(True)
    expected = fn.avg_pool2d(x, 2, ceil_mode=rounds_up)
    torch.testing.assert_close(average_pool(x, rounds_up), expected)
    assert torch.autograd.gradcheck(lambda z: average_pool(z, rounds_up), (x,))


def test_only_a_byte_for_each_value_is_kept_for_the_gradient(net: Network) -> None:
    """Autograd's own would keep every response, before and after the ReLU."""
    kept: list[Tensor] = []
    image = torch.rand(1, 3, 64, 48, requires_grad=True)

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        net(image, ["conv4_1"])
    large = [tensor for tensor in kept if tensor.numel() > 3 * 64 * 48]
    assert len(large) >= 4
    assert all(tensor.dtype == torch.bool for tensor in large)


def test_a_response_that_was_asked_for_is_not_overwritten(net: Network) -> None:
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    response = net(image, ["conv1_1", "conv2_2"])["conv1_1"]
    before = response.detach().clone()
    torch.autograd.grad(response.sum(), image)
    torch.testing.assert_close(response.detach(), before, rtol=0, atol=0)


def test_other_precisions_take_the_definition() -> None:
    layer = ConvReLU(random(128, 128, 3, 3).bfloat16(), random(128).bfloat16())
    y = layer(random(1, 128, 16, 16).bfloat16())
    assert y.dtype == torch.bfloat16
    assert not layer._transformed


def test_a_network_first_used_in_inference_mode_still_gives_gradients() -> None:
    layer = ConvReLU(random(128, 128, 3, 3), random(128))
    with torch.inference_mode():
        layer(random(1, 128, 16, 16))
    x = random(1, 128, 16, 16).requires_grad_(True)
    (gradient,) = torch.autograd.grad(layer(x).sum(), x)
    assert gradient.isfinite().all()


def test_a_copy_of_a_layer_on_another_device_or_precision_is_right() -> None:
    """What was prepared for one precision is not used for another."""
    layer = ConvReLU(random(128, 128, 3, 3), random(128))
    x = random(1, 128, 16, 16)
    single = layer(x)
    torch.testing.assert_close(layer.double()(x.double()).float(), single, rtol=1e-3, atol=1e-3)
