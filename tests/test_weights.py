"""The right numbers under the right names, whatever file they come from; never code."""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision.models import VGG19_Weights, vgg

import nst_utils as nst
from nst_utils import weights
from nst_utils.paths import data_file
from nst_utils.weights import VGG19_LAYERS, Weights, load_weights

State = dict[str, Tensor]

# Counted by hand in torchvision's configuration E: where the convolutions stand in ``features``.
TORCHVISION_INDEX = dict(
    zip(VGG19_LAYERS, (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34), strict=True)
)


@pytest.fixture(scope="module")
def features() -> nn.Sequential:
    """torchvision's VGG-19 without its classifier, with random weights."""
    torch.manual_seed(0)
    return vgg.make_layers(vgg.cfgs["E"], batch_norm=False)


@pytest.fixture(scope="module")
def state(features: nn.Sequential) -> State:
    """Its state dict in half precision, with the names that ``vgg19().state_dict()`` has."""
    state = {f"features.{name}": value.half() for name, value in features.state_dict().items()}
    return state | {"classifier.0.weight": torch.zeros(2, 2), "classifier.0.bias": torch.zeros(2)}


def papers_names(state: State) -> State:
    return {
        f"{layer}.{part}": state[f"features.{index}.{part}"]
        for layer, index in TORCHVISION_INDEX.items()
        for part in ("weight", "bias")
    }


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Callable[[str, Any], Path]]:
    """Write a state dict into a file by its name's ending; the files are large, so they go."""

    def to_file(name: str, state: Any) -> Path:
        path = tmp_path / name
        if path.suffix == ".safetensors":
            safetensors.torch.save_file(state, path)
        else:
            torch.save(state, path)
        return path

    yield to_file
    for path in tmp_path.iterdir():
        if path.is_file():
            path.unlink()


def assert_same_numbers(loaded: Weights, state: State, bgr: bool) -> None:
    """Every kernel and bias under its layer's name, in float32; the first one turned if BGR."""
    assert list(loaded.kernels) == list(loaded.biases) == list(VGG19_LAYERS)
    for layer, index in TORCHVISION_INDEX.items():
        kernel, bias = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
        if bgr and layer == "conv1_1":
            kernel = kernel[:, [2, 1, 0]]
        assert loaded.kernels[layer].dtype == loaded.biases[layer].dtype == torch.float32
        assert torch.equal(loaded.kernels[layer], kernel.float()), layer
        assert torch.equal(loaded.biases[layer], bias.float()), layer


LAYOUTS: dict[str, tuple[str, Callable[[State], Any], bool]] = {
    "torchvision": ("a.pth", lambda state: state, False),
    "torchvision, safetensors": ("a.safetensors", lambda state: state, False),
    "the paper's names": ("a.pt", papers_names, True),
    "the paper's names, safetensors": ("a.safetensors", papers_names, True),
    "DataParallel": ("a.pth", lambda s: {f"module.{k}": v for k, v in s.items()}, False),
    "a checkpoint": ("a.pth", lambda state: {"state_dict": state, "epoch": 3}, False),
    "float32": ("a.pth", lambda state: {k: v.float() for k, v in state.items()}, False),
    "bfloat16": ("a.safetensors", lambda s: {k: v.bfloat16() for k, v in s.items()}, False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_numbers_come_back_from_every_layout(
    layout: str, state: State, write: Callable[[str, Any], Path]
) -> None:
    name, convert, caffe = LAYOUTS[layout]
    loaded = load_weights(write(name, convert(state)))
    if layout == "bfloat16":
        state = {key: value.bfloat16() for key, value in state.items()}
    assert_same_numbers(loaded, state, bgr=caffe)
    assert loaded.preprocessing is (weights.CAFFE if caffe else weights.TORCHVISION)
    assert name in loaded.description
    assert ("caffe" if caffe else "torchvision") in loaded.description
    assert loaded.mean_activations == {}


@pytest.mark.parametrize(
    ("convert", "preprocessing"), [(dict, "caffe"), (papers_names, "torchvision")]
)
def test_the_preprocessing_can_be_overridden(
    convert: Callable[[State], State],
    preprocessing: str,
    state: State,
    write: Callable[[str, Any], Path],
) -> None:
    loaded = load_weights(write("a.pth", convert(state)), preprocessing)
    assert loaded.preprocessing is weights.PREPROCESSINGS[preprocessing]
    assert_same_numbers(loaded, state, bgr=preprocessing == "caffe")


def test_an_unknown_preprocessing_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown preprocessing 'cafe'; did you mean 'caffe'"):
        load_weights(tmp_path / "missing.pth", "cafe")


def test_preprocessings_are_those_of_the_two_releases() -> None:
    caffe, torchvision = weights.CAFFE, weights.TORCHVISION
    mid_gray, white = 0.5, 1.0
    assert mid_gray * caffe.scale - np.array(caffe.mean) == pytest.approx(
        [127.5 - 123.68, 127.5 - 116.779, 127.5 - 103.939]
    )
    assert (white * torchvision.scale - np.array(torchvision.mean)) / torchvision.std == (
        pytest.approx([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225])
    )


def test_the_bundled_weights_load_fast_and_complete() -> None:
    begun = time.process_time()
    loaded = load_weights()
    assert time.process_time() - begun < 2
    channels = [3, 64, 64, 128, 128, 256, 256, 256, 256, *[512] * 8]
    for layer, before, after in zip(VGG19_LAYERS, channels, channels[1:], strict=False):
        assert loaded.kernels[layer].shape == (after, before, 3, 3)
        assert loaded.biases[layer].shape == (after,)
        assert loaded.kernels[layer].unique().numel() <= 256
        for pooling in ("avg", "max"):
            means = loaded.mean_activations[pooling][layer]
            assert means.shape == (after,)
            assert (means >= 0).all()
            assert means.mean() > 0
    assert sum(kernel.numel() for kernel in loaded.kernels.values()) == 20_018_880
    assert loaded.preprocessing is weights.CAFFE
    assert "CC BY 4.0" in loaded.description


def responses_by_torchvision(picture: np.ndarray, pooling: str, layers: list[str]) -> State:
    """The bundled network by another way: file -> NumPy -> torchvision's model and Caffe's input.

    Args:
        picture: (H, W, 3), RGB, 0..1.
    """
    tensors = safetensors.numpy.load_file(data_file("weights/vgg19.safetensors"))
    model = vgg.make_layers(vgg.cfgs["E"], batch_norm=False)
    for layer, index in TORCHVISION_INDEX.items():
        kernel = tensors[f"{layer}.table"][tensors[f"{layer}.indices"]]
        convolution = model[index]
        assert isinstance(convolution, nn.Conv2d)
        convolution.weight.data = torch.from_numpy(kernel)
        convolution.bias = nn.Parameter(torch.from_numpy(tensors[f"{layer}.bias"]))
    blue_green_red = 255 * picture[:, :, ::-1] - np.array([103.939, 116.779, 123.68])
    x = torch.from_numpy(blue_green_red.transpose(2, 0, 1)[None].astype(np.float32))
    found: State = {}
    for index, module in enumerate(model):
        if isinstance(module, nn.MaxPool2d) and pooling == "avg":
            module = nn.AvgPool2d(2, 2)
        x = module(x)
        for layer in layers:
            if index == TORCHVISION_INDEX[layer] + 1:  # after the ReLU
                found[layer] = x.detach().clone()
    return found


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_bundled_responses_equal_an_independent_path(pooling: str, content: Tensor) -> None:
    layers = ["conv1_1", "conv1_2", "conv2_2", "conv3_4", "conv4_2", "conv5_1", "conv5_4"]
    expected = responses_by_torchvision(content[0].permute(1, 2, 0).numpy(), pooling, layers)
    with torch.no_grad():
        found = nst.vgg19(normalized=False, pooling=pooling)(content, layers)
    for layer in layers:
        scale = expected[layer].mean().item()
        assert scale > 0
        torch.testing.assert_close(found[layer], expected[layer], rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize("where", [100, 10_000_000, -1])
def test_one_damaged_byte_of_the_bundled_file_is_noticed(
    where: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(data_file(weights.BUNDLED_FILE).read_bytes())
    content[where] ^= 1
    copy = tmp_path / "damaged.safetensors"
    copy.write_bytes(content)
    monkeypatch.setattr(weights, "data_file", lambda relative: copy)
    with pytest.raises(ValueError, match=r"damaged\.safetensors is damaged: its SHA-256 is"):
        load_weights()
    copy.unlink()


def test_a_missing_bundled_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nst_utils.paths._PACKAGE", tmp_path / "nst_utils")
    with pytest.raises(FileNotFoundError, match=r"vgg19\.safetensors is missing; install"):
        load_weights()


def batch_normalized() -> State:
    model = vgg.make_layers(vgg.cfgs["E"], batch_norm=True)
    return {f"features.{name}": value for name, value in model.half().state_dict().items()}


def vgg16() -> State:
    model = vgg.make_layers(vgg.cfgs["D"], batch_norm=False)
    return {f"features.{name}": value for name, value in model.half().state_dict().items()}


def with_kernel(key: str, shape: tuple[int, ...]) -> Callable[[State], State]:
    return lambda state: state | {key: torch.zeros(shape)}


WRONG_NETWORKS: dict[str, tuple[Callable[[State], Any], str]] = {
    "batch normalization": (
        lambda _: batch_normalized(),
        "batch normalization; load a VGG-19 as vgg19_bn, or get the plain vgg19",
    ),
    "VGG-16": (lambda _: vgg16(), "no usable conv3_4"),
    "a wide first layer": (
        with_kernel("features.0.weight", (64, 4, 3, 3)),
        r"conv1_1 has a kernel of shape \(64, 4, 3, 3\), not \(64, 3, 3, 3\)",
    ),
    "a large kernel": (
        with_kernel("features.34.weight", (512, 512, 5, 5)),
        r"conv5_4 has a kernel of shape",
    ),
    "a short bias": (with_kernel("features.21.bias", (511,)), "conv4_2"),
    "a missing layer": (
        lambda state: {k: v for k, v in state.items() if k != "features.34.weight"},
        "no usable conv5_4",
    ),
    "a missing bias": (
        lambda state: {k: v for k, v in papers_names(state).items() if k != "conv3_3.bias"},
        "no usable conv3_3",
    ),
    "other names": (lambda _: {"encoder.0.weight": torch.zeros(64, 3, 3, 3)}, "must be named"),
    "no tensor": (lambda _: {}, "must be named"),
    "numbers": (lambda _: {"features.0.weight": 3}, "not a state dict"),
    "a single tensor": (lambda _: torch.zeros(3), "not a state dict"),
    "an empty checkpoint": (lambda _: {"state_dict": None}, "not a state dict"),
}


@pytest.mark.parametrize("name", WRONG_NETWORKS)
def test_another_network_is_refused_by_what_is_wrong(
    name: str, state: State, write: Callable[[str, Any], Path]
) -> None:
    make, message = WRONG_NETWORKS[name]
    with pytest.raises(ValueError, match=rf"\A\S*a\.pth is .*{message}.*\Z"):
        load_weights(write("a.pth", make(state)))


class Trap:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", ["torch", 2, 4])
def test_pickled_code_is_refused_and_does_not_run(protocol: str | int, tmp_path: Path) -> None:
    path, trace = tmp_path / "trap.pth", tmp_path / "it-ran"
    content = {"conv1_1.weight": torch.zeros(1), "trap": Trap(trace)}
    if isinstance(protocol, int):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    else:
        torch.save(content, path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            ValueError, match=r"trap\.pth is no file of tensors alone \(pickled code"
        ):
            load_weights(path)
    assert not trace.exists()
    torch.load(path, weights_only=False) if protocol == "torch" else pickle.loads(path.read_bytes())
    assert trace.exists(), "the trap does not work, so the test proves nothing"


def truncated(suffix: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        whole = path.with_name(f"whole{suffix}")
        tensors = {"conv1_1.weight": torch.rand(64, 3, 3, 3), "conv1_1.bias": torch.rand(64)}
        if suffix == ".safetensors":
            safetensors.torch.save_file(tensors, whole)
        else:
            torch.save(tensors, whole)
        content = whole.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        whole.unlink()

    return make


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated.safetensors": (truncated(".safetensors"), "cannot be read as safetensors"),
    "truncated.pth": (truncated(".pth"), "cannot be read as a state dict"),
    "text.safetensors": (lambda p: p.write_text("Hello, world. " * 9), "get the file again"),
    "text.pth": (lambda p: p.write_text("Hello, world. " * 9), "is no file of tensors"),
    "words.pth": (lambda p: p.write_text("hello, world. " * 9), "cannot be read as a state dict"),
    "page.pth": (lambda p: p.write_text("<!DOCTYPE html><html>404</html>"), "save the state dict"),
    "empty.safetensors": (lambda p: p.write_bytes(b""), "cannot be read as safetensors"),
    "empty.pth": (lambda p: p.write_bytes(b""), "cannot be read as a state dict"),
    "folder": (lambda p: p.mkdir(), "is a folder; name a weights file"),
    "missing.safetensors": (lambda p: None, "'bundled' or 'torchvision'"),
    "missing.pth": (lambda p: None, "'bundled' or 'torchvision'"),
    "x" * 300: (lambda p: None, "cannot be used as a path"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_one_sentence_that_names_it(name: str, tmp_path: Path) -> None:
    make, message = BAD_FILES[name]
    make(tmp_path / name)
    expected = FileNotFoundError if name.startswith("missing") else ValueError
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(expected) as caught:
            load_weights(str(tmp_path / name))
    text = str(caught.value)
    assert message in text
    assert name in text or len(name) > 100
    assert "\n" not in text


@pytest.mark.parametrize(
    "error", [URLError("Name or service not known"), RuntimeError("invalid hash value"), OSError()]
)
def test_a_failed_download_says_what_to_do(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(VGG19_Weights, "get_state_dict", fail)
    with pytest.raises(
        ValueError, match=r"\Atorchvision's weights .*by hand and give its path.*\Z"
    ):
        load_weights("torchvision")


def test_torchvisions_weights_are_checked_and_never_unpickled(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def download(self: VGG19_Weights, **options: Any) -> State:
        asked.append({"which": self, **options})
        return state

    monkeypatch.setattr(VGG19_Weights, "get_state_dict", download)
    loaded = load_weights("torchvision")
    assert asked[0]["which"] is VGG19_Weights.IMAGENET1K_V1
    assert asked[0]["check_hash"] is True
    assert asked[0]["weights_only"] is True
    assert_same_numbers(loaded, state, bgr=False)
    assert loaded.preprocessing is weights.TORCHVISION
