"""The other networks: the same responses as torchvision's modules, from the same file."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import vgg
from torchvision.transforms.functional import normalize

import nst_utils as nst
from nst_utils.networks import builders
from nst_utils.networks.architectures import ARCHITECTURES
from nst_utils.networks.normalization import MEAN_ACTIVATION_FLOOR
from nst_utils.networks.weights import BUNDLED_FILE
from nst_utils.support.paths import data_file

Features = dict[str, nn.Sequential]
Nets = dict[tuple[str, str], nst.Network]

NAMES = ("vgg16", "vgg19_bn", "squeezenet1_1")
# As trained, and SqueezeNet's other pooling, whose windows are not VGG's.
CASES = [*((name, "max") for name in NAMES), ("squeezenet1_1", "avg")]

# Read off torchvision's printed model: where in ``features`` conv1, fire2, ... fire9 end.
SQUEEZENET_ENDS = [1, 3, 4, 6, 7, 9, 10, 11, 12]
# First and last module of each layer of VGG-19 as another project's README lists them: convolution,
# ReLU and, where there are three, a pooling.
VGG19_TABLE = """conv1_1: 0~1, conv1_2: 2~4, conv2_1: 5~6, conv2_2: 7~9,
conv3_1: 10~11, conv3_2: 12~13, conv3_3: 14~15, conv3_4: 16~18,
conv4_1: 19~20, conv4_2: 21~22, conv4_3: 23~24, conv4_4: 25~27,
conv5_1: 28~29, conv5_2: 30~31, conv5_3: 32~33, conv5_4: 34~36"""


def random_features(name: str) -> nn.Sequential:
    """torchvision's modules with random numbers that half precision holds, in evaluation mode."""
    torch.manual_seed(0)
    if name == "squeezenet1_1":
        features = torchvision.models.squeezenet1_1(weights=None).features
    else:
        layers = vgg.cfgs["D" if name == "vgg16" else "E"]
        features = vgg.make_layers(layers, batch_norm=name.endswith("_bn"))
    for module in features.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.kaiming_normal_(module.weight)
            nn.init.normal_(module.bias, std=0.1)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.5)  # some below 0
            nn.init.normal_(module.bias, std=0.5)
            nn.init.normal_(module.get_buffer("running_mean"), std=0.5)
            nn.init.uniform_(module.get_buffer("running_var"), 0.3, 3)
    return features.half().float().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def features() -> Features:
    return {name: random_features(name) for name in NAMES}


def save(features: nn.Sequential, path: Path) -> Path:
    """Write the state dict that torchvision's whole model would have, without the classifier."""
    state = features.state_dict()
    torch.save({f"features.{name}": value.half() for name, value in state.items()}, path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Of a file that is large, so it goes."""
    yield tmp_path / "a.pth"
    (tmp_path / "a.pth").unlink()


@pytest.fixture(scope="module")
def nets(features: Features, tmp_path_factory: pytest.TempPathFactory) -> Nets:
    """(network, pooling) -> the network as the package reads it from a file."""
    path = tmp_path_factory.mktemp("weights") / "a.pth"
    loaded = {}
    for name, pooling in CASES:
        loaded[name, pooling] = builders.NETWORKS[name](
            save(features[name], path), pooling=pooling, normalized=False
        )
    path.unlink()
    return loaded


def responses_by_torchvision(
    features: nn.Sequential, name: str, pooling: str, picture: Tensor
) -> dict[str, Tensor]:
    """layer -> response after the ReLU. VGG's ReLUs are counted, SqueezeNet's modules numbered."""
    x = normalize(picture, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    ends = SQUEEZENET_ENDS
    if name != "squeezenet1_1":
        ends = [index for index, module in enumerate(features) if isinstance(module, nn.ReLU)]
    found = []
    for index, module in enumerate(features):
        if isinstance(module, nn.MaxPool2d) and pooling == "avg":
            module = nn.AvgPool2d(module.kernel_size, module.stride, ceil_mode=module.ceil_mode)
        x = module(x)
        if index in ends:
            found.append(x)
    return dict(zip(ARCHITECTURES[name].layers, found, strict=True))


@pytest.mark.parametrize(("name", "pooling"), CASES)
def test_responses_equal_torchvisions(
    name: str, pooling: str, features: Features, nets: Nets
) -> None:
    net, picture = nets[name, pooling], torch.rand(1, 3, 70, 87)
    expected = responses_by_torchvision(features[name], name, pooling, picture)
    for layer, response in net(picture, net.layers).items():
        scale = expected[layer].mean().item()
        assert scale > 1e-3
        torch.testing.assert_close(response, expected[layer], rtol=1e-4, atol=1e-4 * scale)


def test_the_modules_of_vgg19_are_those_another_project_lists() -> None:
    rows = re.findall(r"(conv\d_\d): (\d+)~(\d+)", VGG19_TABLE)
    architecture = ARCHITECTURES["vgg19"]
    assert architecture.modules == {layer: f"features.{first}" for layer, first, _ in rows}
    pairs = itertools.pairwise(rows)
    pooled = {after for (_, first, last), (after, _, _) in pairs if int(last) - int(first) == 2}
    assert architecture.pooled == pooled


@pytest.mark.parametrize(("name", "pooling"), CASES)
def test_filters_and_stride_are_those_of_the_responses(name: str, pooling: str, nets: Nets) -> None:
    """16 pixels more are 16 / stride positions more."""
    net = nets[name, pooling]
    small = net(torch.rand(1, 3, 48, 64), net.layers)
    large = net(torch.rand(1, 3, 64, 96), net.layers)
    for layer in net.layers:
        (_, filters, height, width), stride = small[layer].shape, net.stride(layer)
        assert filters == net.filters(layer)
        assert large[layer].shape[2:] == (height + 16 // stride, width + 32 // stride)


@pytest.mark.parametrize("size", [(33, 64), (47, 35), (50, 61)])
@pytest.mark.parametrize(("name", "pooling"), CASES)
def test_the_size_that_is_told_is_that_of_the_responses(
    name: str, pooling: str, size: tuple[int, int], nets: Nets
) -> None:
    net = nets[name, pooling]
    for layer, response in net(torch.rand(1, 3, *size), net.layers).items():
        assert net.architecture.size(layer, size) == response.shape[2:]


@pytest.mark.parametrize(("name", "pooling"), CASES)
def test_the_least_size_that_is_named_works_and_less_is_refused(
    name: str, pooling: str, nets: Nets
) -> None:
    net = nets[name, pooling]
    for layer in net.layers:
        with pytest.raises(ValueError, match=f"too small for {layer}, which needs") as caught:
            net(torch.rand(1, 3, 0, 40), [layer])
        side = int(*re.findall(r"at least (\d+)x\1 px", str(caught.value)))
        assert min(net(torch.rand(1, 3, side, side), [layer])[layer].shape) == 1
        for size in ((side - 1, side), (side, side - 1)):
            with pytest.raises(ValueError, match="is too small"):
                net(torch.rand(1, 3, *size), [layer])


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("layer", ["conv1", "fire3", "fire9"])
def test_squeezenets_gradient_equals_torchvisions(
    layer: str, pooling: str, features: Features, nets: Nets
) -> None:
    name = "squeezenet1_1"
    picture = torch.rand(1, 3, 61, 72, requires_grad=True)
    expected = responses_by_torchvision(features[name], name, pooling, picture)[layer]
    found = nets[name, pooling](picture, [layer])[layer]
    gradients = [torch.autograd.grad(each.square().sum(), picture)[0] for each in (expected, found)]
    assert (gradients[1] - gradients[0]).norm() < 1e-4 * gradients[0].norm()


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("squeezenet1_1", ["conv1", "fire4", "fire5"]),
        ("vgg19_bn", ["conv1_1", "conv3_1", "conv4_1"]),
    ],
)
def test_a_transfer_goes_downhill(
    name: str, layers: list[str], nets: Nets, content: Tensor, style: Tensor
) -> None:
    wanted: dict[str, Any] = {"content_layers": layers[2:], "style_layers": layers[:2]}
    result = nst.transfer(content, style, net=nets[name, "max"], **wanted, steps=5, progress=False)
    assert len(result.levels) == 1  # so that losses before and after are of one size
    assert result.history["total_loss"][-1].item() < 0.9 * result.start["total_loss"].item()


@pytest.mark.parametrize("network", NAMES)
def test_only_vgg19_is_bundled(network: str) -> None:
    with pytest.raises(ValueError, match=f"only vgg19 is bundled; for {network} use .* a file"):
        builders.NETWORKS[network]("bundled")


def test_another_networks_file_is_refused_by_name(features: Features, path: Path) -> None:
    with pytest.raises(ValueError, match=r"\Aa\.pth is not vgg19 but vgg16; load it as vgg16"):
        nst.vgg19(save(features["vgg16"], path))
    with pytest.raises(ValueError, match=r"\Aa\.pth is not vgg19_bn but vgg19; load it as vgg19"):
        nst.vgg19_bn(save(vgg.make_layers(vgg.cfgs["E"]), path))
    with pytest.raises(ValueError, match=r"\Avgg19\.\w+ is not vgg16: it has a layer conv3_4"):
        nst.vgg16(data_file(BUNDLED_FILE))  # its layers have names that VGG-16 has too


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (1e38, r"the responses of conv1 are as large as .*, too large for any loss"),
        (1e3, r"the responses of fire\d are as large as .*, too large for any loss"),
        (0.0, "conv1 does not respond to anything"),
    ],
)
def test_numbers_of_which_no_picture_can_be_made_are_refused(
    factor: float, message: str, features: Features, path: Path
) -> None:
    """None of them is infinite in the file."""
    state = features["squeezenet1_1"].state_dict()
    large = {
        f"features.{name}": (value * factor).clamp(-3e38, 3e38) for name, value in state.items()
    }
    torch.save(large, path)
    with pytest.raises(ValueError, match=rf"\A{message}; the weights are damaged, .*\(a\.pth; "):
        nst.squeezenet1_1(path)


def test_squeezenet_cannot_be_normalized() -> None:
    with pytest.raises(ValueError, match='cannot be normalized; leave normalized at "none"'):
        nst.squeezenet1_1("missing.pth", normalized=True)
    with pytest.raises(ValueError, match='no border around the picture; leave padding at "zeros"'):
        nst.squeezenet1_1("missing.pth", padding="nearest")


def test_vgg16_is_normalized_on_the_bundled_pictures(
    features: Features, nets: Nets, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [torch.rand(1, 3, 24, 24)]
    monkeypatch.setattr(builders, "_bundled_pictures", lambda: pictures)
    means = nst.mean_activations(
        nst.vgg16(save(features["vgg16"], path), pooling="max", padding="zeros"), pictures
    )
    plain = nst.mean_activations(nets["vgg16", "max"], pictures)
    for layer, mean in means.items():
        loud = plain[layer] > MEAN_ACTIVATION_FLOOR * plain[layer].mean()
        assert loud.float().mean() > 0.3
        torch.testing.assert_close(mean[loud], torch.ones(int(loud.sum())), rtol=5e-3, atol=0)
