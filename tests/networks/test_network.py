"""The network: names, sizes, pooling, normalization."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as fn

import nst_utils as nst
from nst_utils.networks import builders
from nst_utils.networks.architectures import ARCHITECTURES as ALL
from nst_utils.networks.convolutions import ConvReLU
from nst_utils.networks.network import Network, on_device
from nst_utils.networks.normalization import MEAN_ACTIVATION_FLOOR, normalize
from nst_utils.networks.weights import VGG19_LAYERS, load_weights


def test_layers_are_named_as_in_the_paper() -> None:
    assert (
        *("conv1_1", "conv1_2", "conv2_1", "conv2_2"),
        *("conv3_1", "conv3_2", "conv3_3", "conv3_4"),
        *("conv4_1", "conv4_2", "conv4_3", "conv4_4"),
        *("conv5_1", "conv5_2", "conv5_3", "conv5_4"),
    ) == VGG19_LAYERS


def test_responses_have_the_shape_of_their_block(net: Network, content: Tensor) -> None:
    height, width = content.shape[2:]
    channels = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}
    for layer, response in net(content, VGG19_LAYERS).items():
        scale = 2 ** (int(layer[4]) - 1)
        expected = (-(-height // scale), -(-width // scale))
        assert response.shape == (1, channels[layer[4]], *expected)
        assert net.architecture.size(layer, (height, width)) == expected
        assert response.dtype == torch.float32


def test_responses_are_taken_after_the_relu(net: Network, content: Tensor) -> None:
    for layer, response in net(content, VGG19_LAYERS).items():
        assert response.min() == 0, layer
        assert response.max() > 0, layer


def test_responses_come_in_the_order_asked_for(net: Network, content: Tensor) -> None:
    asked = ["conv3_1", "conv1_2", "conv2_1"]
    assert list(net(content, asked)) == asked


def test_a_layer_is_the_same_whatever_else_is_asked_for(net: Network, content: Tensor) -> None:
    """The in-place ReLU must not overwrite a response that was handed out."""
    alone = net(content, ["conv2_1"])["conv2_1"]
    among_all = net(content, VGG19_LAYERS)["conv2_1"]
    torch.testing.assert_close(alone, among_all, rtol=0, atol=0)


@pytest.mark.parametrize("how", [lambda net: net, lambda net: torch.compile(net, backend="eager")])
def test_each_layer_has_the_module_that_computes_it(
    how: Callable[[Network], Network], content: Tensor
) -> None:
    net = nst.vgg19()
    found = dict[str, Tensor]()
    handles = [
        module.register_forward_hook(lambda _, __, y, layer=layer: found.update({layer: y}))
        for layer, module in how(net).modules_by_layer().items()
    ]
    wanted = net(content, VGG19_LAYERS)
    assert list(found) == list(VGG19_LAYERS)
    assert all(torch.equal(found[layer], wanted[layer]) for layer in VGG19_LAYERS)
    for handle in handles:
        handle.remove()


def test_an_architecture_says_what_can_be_done_with_it() -> None:
    able = {name: (each.overlapping_pooling, each.can_be_normalized) for name, each in ALL.items()}
    vggs = dict.fromkeys(("vgg19", "vgg16", "vgg19_bn"), (False, True))
    assert able == vggs | {"squeezenet1_1": (True, False)}


@pytest.mark.parametrize(("layer", "expected"), [("conv1_1", 1), ("conv4_2", 10), ("conv5_4", 16)])
def test_it_stops_at_the_deepest_layer(
    net: Network, content: Tensor, layer: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    convolutions = []
    original = ConvReLU.convolve

    def counting(layer: ConvReLU, x: Tensor) -> Tensor:
        convolutions.append(1)
        return original(layer, x)

    monkeypatch.setattr(ConvReLU, "convolve", counting)
    net(content, ["conv1_1", layer])
    assert len(convolutions) == expected


def test_the_weights_are_frozen_and_the_gradient_reaches_the_picture(
    net: Network, content: Tensor
) -> None:
    assert not any(True for _ in net.parameters())
    assert not any(buffer.requires_grad for buffer in net.buffers())
    x = content.clone().requires_grad_(True)
    net(x, ["conv5_1"])["conv5_1"].sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@given(st.integers(32, 75), st.integers(32, 75))
@settings(deadline=None, max_examples=10)
def test_any_size_of_at_least_32_px_works(height: int, width: int) -> None:
    response = small_net()(torch.rand(1, 3, height, width), ["conv5_4"])["conv5_4"]
    assert response.shape == (1, 512, height // 16, width // 16)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_only_what_is_as_pytorch_has_it_leaves_out_a_last_odd_row(pooling: str) -> None:
    picture = torch.rand(1, 3, 47, 63, generator=torch.Generator().manual_seed(0))
    for padding, size in (("nearest", (12, 16)), ("zeros", (11, 15))):
        net = nst.vgg19(normalized=False, padding=padding, pooling=pooling)
        assert net(picture, ["conv3_1"])["conv3_1"].shape[2:] == size
        assert net.architecture.size("conv3_1", (47, 63)) == size
        assert ("round up" in net.description) == (padding == "nearest")


def small_net() -> Network:
    """One network for all of hypothesis' examples."""
    if not _cache:
        _cache.append(nst.vgg19(normalized=False))
    return _cache[0]


_cache: list[Network] = []


@pytest.mark.parametrize(("height", "width"), [(15, 64), (64, 15), (1, 1), (2, 300)])
def test_a_picture_too_small_for_the_deepest_layer_is_a_sentence(
    net: Network, height: int, width: int
) -> None:
    with pytest.raises(ValueError, match=rf"{width}x{height} px is too small for conv5_1.*16x16"):
        net(torch.rand(1, 3, height, width), ["conv5_1"])
    assert net(torch.rand(1, 3, height, width), ["conv1_2"])["conv1_2"].shape[2:] == (height, width)


def test_unknown_layers_suggest_the_nearest(net: Network, content: Tensor) -> None:
    with pytest.raises(ValueError, match="unknown layer 'conv42'; did you mean 'conv4_2'"):
        net(content, ["conv42"])
    with pytest.raises(ValueError, match="no layer is named"):
        net(content, [])
    with pytest.raises(ValueError, match=r"must be a list of names.*\['conv4_2'\]"):
        net(content, "conv4_2")


def test_average_and_max_pooling_pool(net: Network, content: Tensor) -> None:
    """conv2_1 from conv1_2 by hand, with each pooling."""
    weights = load_weights()
    for pooling, pool in (("avg", fn.avg_pool2d), ("max", fn.max_pool2d)):
        plain = Network(weights, pooling=pooling)
        responses = plain(content, ["conv1_2", "conv2_1"])
        kernel, bias = weights.kernels["conv2_1"], weights.biases["conv2_1"]
        by_hand = fn.conv2d(pool(responses["conv1_2"], 2), kernel, bias, padding=1).relu()
        torch.testing.assert_close(responses["conv2_1"], by_hand)
    with pytest.raises(ValueError, match="unknown pooling 'average'; did you mean 'avg'"):
        nst.vgg19(pooling="average")


# Which normalization divides by the means of which pooling, by that of the network.
MEANS = {
    ("authors", "avg"): "max",
    ("authors", "max"): "max",
    ("pooling", "avg"): "avg",
    ("pooling", "max"): "max",
}


@pytest.mark.parametrize(("reading", "means_of"), MEANS.items())
def test_normalization_leaves_the_function_unchanged_up_to_a_scale_per_channel(
    content: Tensor, reading: tuple[str, str], means_of: str
) -> None:
    normalization, pooling = reading
    means = load_weights().mean_activations[means_of]
    plain = nst.vgg19(pooling=pooling, normalized="none", padding="nearest")
    plain = plain.double()(content.double(), VGG19_LAYERS)
    net = nst.vgg19(pooling=pooling, normalized=normalization)
    assert f"{pooling} pooling; normalized with the means of {means_of} pooling" in net.description
    normalized = net.double()(content.double(), VGG19_LAYERS)
    for layer in VGG19_LAYERS:
        scale = means[layer].clamp(min=MEAN_ACTIVATION_FLOOR * float(means[layer].mean()))
        torch.testing.assert_close(
            normalized[layer] * scale.view(1, -1, 1, 1),
            plain[layer],
            rtol=1e-4,
            atol=1e-5 * float(plain[layer].max()),
        )


def test_the_mean_activation_of_a_normalized_network_is_1() -> None:
    """On the pictures that the means were measured on, for every filter above the floor."""
    weights = load_weights()
    pictures = [nst.load_image(name, size=64) for name in ("chenonceau", "chelsea", "astronaut")]
    measured = nst.mean_activations(Network(weights, pooling="avg"), pictures)
    after = nst.mean_activations(
        Network(weights, pooling="avg", mean_activations=measured), pictures
    )
    for layer in VGG19_LAYERS:
        floor = MEAN_ACTIVATION_FLOOR * measured[layer].mean()
        loud = measured[layer] > floor
        torch.testing.assert_close(
            after[layer][loud], torch.ones(int(loud.sum())), rtol=2e-3, atol=2e-3
        )
        assert (after[layer][~loud] <= 1.001).all()


def test_true_and_false_are_the_authors_normalization_and_none() -> None:
    for flag, named in ((True, "authors"), (False, "none")):
        assert nst.vgg19(normalized=flag).description == nst.vgg19(normalized=named).description
    assert nst.vgg19().description == nst.vgg19(normalized="authors").description
    with pytest.raises(ValueError, match="unknown normalized 'author'; did you mean 'authors'"):
        nst.vgg19(normalized="author")


def test_nearest_padding_sees_the_edge_again(content: Tensor) -> None:
    """As if the picture had been made larger by its own edge, and the rest is as with zeros."""
    nearest, zeros = (nst.vgg19(padding=each) for each in ("nearest", "zeros"))
    larger = fn.pad(content, (1, 1, 1, 1), mode="replicate")
    expected = zeros(larger, ["conv1_1"])["conv1_1"][..., 1:-1, 1:-1]
    found = nearest(content, ["conv1_1"])["conv1_1"]
    torch.testing.assert_close(found, expected)
    inside = zeros(content, ["conv1_1"])["conv1_1"][..., 1:-1, 1:-1]
    torch.testing.assert_close(found[..., 1:-1, 1:-1], inside)
    assert not torch.equal(found, zeros(content, ["conv1_1"])["conv1_1"])


@pytest.mark.parametrize("shape", [(1, 3, 5, 7), (2, 3, 1, 4), (1, 3, 1, 1), (1, 3, 2, 2)])
def test_the_gradient_through_nearest_padding_is_autograds(shape: tuple[int, ...]) -> None:
    weights = load_weights()
    kernel, bias = weights.kernels["conv1_1"].double(), weights.biases["conv1_1"].double()
    x = torch.rand(shape, dtype=torch.float64).requires_grad_()
    layer = ConvReLU(kernel, bias, padding="nearest")
    padded = fn.pad(x, (1, 1, 1, 1), mode="replicate")
    by_hand = fn.conv2d(padded, kernel, bias).relu()
    torch.testing.assert_close(layer(x), by_hand)
    weight = torch.rand_like(by_hand)
    found = torch.autograd.grad((layer(x) * weight).sum(), x)
    torch.testing.assert_close(found, torch.autograd.grad((by_hand * weight).sum(), x))


def test_as_trained_it_is_as_trained() -> None:
    """What is not normalized pads with zeros unless something else is said."""
    assert nst.vgg19().padding == "nearest"
    assert nst.vgg19(normalized="none").padding == "zeros"
    assert nst.vgg19(normalized="none", padding="nearest").padding == "nearest"
    with pytest.raises(ValueError, match="unknown padding 'near'; did you mean 'nearest'"):
        nst.vgg19(padding="near")


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_the_bundled_means_make_other_photographs_average_about_1(pooling: str) -> None:
    """None of these is among the photographs that the means were measured on."""
    names = ("eilean-donan", "schwerin-day", "cincinnati-night", "chenonceau")
    pictures = [nst.load_image(name, size=128) for name in names]
    means = nst.mean_activations(nst.vgg19(pooling=pooling, normalized="pooling"), pictures)
    for layer in VGG19_LAYERS[: VGG19_LAYERS.index("conv5_1") + 1]:
        assert 0.7 < float(means[layer].mean()) < 1.8, layer
        assert 0.4 < float(means[layer].median()) < 1.8, layer


def test_the_bundled_means_are_plausible() -> None:
    for means in load_weights().mean_activations.values():
        for layer in VGG19_LAYERS:
            mean = means[layer]
            assert (mean >= 0).all()
            # Few filters hardly fire: the floor is for exceptions.
            quiet = (mean < MEAN_ACTIVATION_FLOOR * mean.mean()).float().mean()
            assert quiet < 0.01, (layer, float(quiet))


def test_a_silent_filter_is_not_blown_up() -> None:
    weights = load_weights()
    means = {layer: mean.clone() for layer, mean in weights.mean_activations["avg"].items()}
    means["conv1_1"][5] = 0.0
    kernels, _ = normalize(weights.kernels, weights.biases, means)
    floor = MEAN_ACTIVATION_FLOOR * means["conv1_1"].mean()
    torch.testing.assert_close(kernels["conv1_1"][5], weights.kernels["conv1_1"][5] / floor)


def test_mean_activations_weigh_every_position_alike(plain_net: Network) -> None:
    """Two pictures of different size: the mean is over positions, not over pictures."""
    small, large = torch.rand(1, 3, 32, 32), torch.rand(2, 3, 48, 64)
    measured = nst.mean_activations(plain_net, [small, large])["conv1_2"]
    both = [plain_net(x, ["conv1_2"])["conv1_2"].transpose(0, 1).flatten(1) for x in (small, large)]
    torch.testing.assert_close(measured, torch.cat(both, dim=1).mean(1), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="no images"):
        nst.mean_activations(plain_net, [])


def test_foreign_weights_are_normalized_on_the_bundled_pictures(
    monkeypatch: pytest.MonkeyPatch, content: Tensor
) -> None:
    """Weights without means get them measured."""
    bare = dataclasses.replace(load_weights(), mean_activations={})
    monkeypatch.setattr(builders, "load_weights", lambda *_: bare)
    monkeypatch.setattr(builders, "_bundled_pictures", lambda: [content])
    for (normalization, pooling), means_of in MEANS.items():
        net = nst.vgg19("some-file.pth", pooling=pooling, normalized=normalization, padding="zeros")
        mean = float(nst.mean_activations(net, [content])["conv3_1"].median())
        if means_of == pooling:
            assert mean == pytest.approx(1, abs=0.01)
        else:  # an average is smaller than a maximum
            assert mean < 0.9


def test_bfloat16_convolutions_change_the_responses_little(net: Network, content: Tensor) -> None:
    low = nst.vgg19(precision="bfloat16")(content, ["conv1_1", "conv5_1"])
    full = net(content, ["conv1_1", "conv5_1"])
    for layer, response in low.items():
        assert response.dtype == torch.float32
        error = (response - full[layer]).norm() / full[layer].norm()
        assert 0 < error < 0.02, layer
    with pytest.raises(ValueError, match="unknown precision 'float'; did you mean 'float32'"):
        nst.vgg19(precision="float")


def test_float64_works_too(net: Network, content: Tensor) -> None:
    exact = copy.deepcopy(net).double()(content.double(), ["conv5_1"])["conv5_1"]
    assert exact.dtype == torch.float64
    torch.testing.assert_close(
        net(content, ["conv5_1"])["conv5_1"].double(), exact, rtol=1e-3, atol=1e-4
    )


def test_the_network_says_what_it_is() -> None:
    said = nst.vgg19(pooling="max", normalized=False).description
    for word in ("Oxford", "caffe", "max pooling", "not normalized", "float32"):
        assert word in said


def test_a_network_elsewhere_is_copied_not_moved() -> None:
    """A notebook goes on using its network on the CPU after a run on a GPU."""
    small = nst.vgg19()
    assert on_device(small, torch.device("cpu")) is small
    elsewhere = on_device(small, torch.device("meta"))
    assert elsewhere.mean.device.type == "meta"
    assert {each.device.type for each in elsewhere.buffers()} == {"meta"}
    assert {each.device.type for each in small.buffers()} == {"cpu"}
