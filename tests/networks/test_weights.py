"""The right numbers under the right names, whatever file they come from; never code."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import struct
import tarfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from places import unprivileged
from torch import Tensor, nn
from torchvision.models import vgg

import nst_utils as nst
from nst_utils.networks import weights
from nst_utils.networks.architectures import Architecture
from nst_utils.networks.weights import VGG19_LAYERS, Weights, load_weights
from nst_utils.support.paths import data_file

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
    monkeypatch.setattr("nst_utils.support.paths._PACKAGE", tmp_path / "nst_utils")
    with pytest.raises(FileNotFoundError, match=r"vgg19\.safetensors is missing; install"):
        load_weights()


def batch_normalized(configuration: str = "E") -> State:
    model = vgg.make_layers(vgg.cfgs[configuration], batch_norm=True)
    return {f"features.{name}": value for name, value in model.half().state_dict().items()}


def vgg16() -> State:
    model = vgg.make_layers(vgg.cfgs["D"], batch_norm=False)
    return {f"features.{name}": value for name, value in model.half().state_dict().items()}


def with_kernel(key: str, shape: tuple[int, ...]) -> Callable[[State], State]:
    return lambda state: state | {key: torch.zeros(shape)}


WRONG_NETWORKS: dict[str, tuple[Callable[[State], Any], str]] = {
    "batch normalization": (
        lambda _: batch_normalized(),
        r"not vgg19 but vgg19_bn; load it as vgg19_bn \(network=\"vgg19_bn\"\)",
    ),
    "VGG-16 with batch normalization": (
        lambda _: batch_normalized("D"),
        "batch normalization, and of those only vgg19_bn can be loaded; get the plain vgg19",
    ),
    "VGG-16": (lambda _: vgg16(), "not vgg19 but vgg16; load it as vgg16"),
    "a wide first layer": (
        with_kernel("features.0.weight", (64, 4, 3, 3)),
        r"no usable conv1_1 in it \(of shape \(64, 4, 3, 3\), not \(64, 3, 3, 3\)\)",
    ),
    "a large kernel": (
        with_kernel("features.34.weight", (512, 512, 5, 5)),
        r"no usable conv5_4 in it \(of shape",
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
    """Unpickling this writes a file, by a function of that name."""

    def __init__(self, path: Path, function: str) -> None:
        self.path, self.function = str(path), function

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        if self.function == "open":
            return open, (self.path, "w")
        if self.function == "eval":
            return eval, (f"open({self.path!r}, 'w')",)
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("function", ["open", "eval", "os.system"])
@pytest.mark.parametrize("protocol", ["torch", "torch, before 1.6", 0, 1, 2, 3, 4, 5])
def test_pickled_code_is_refused_and_does_not_run(
    protocol: str | int, function: str, tmp_path: Path
) -> None:
    path, trace = tmp_path / "trap.pth", tmp_path / "it-ran"
    content = {"conv1_1.weight": torch.zeros(1), "trap": Trap(trace, function)}
    if isinstance(protocol, int):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=protocol == "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            ValueError, match=r"trap\.pth is no file of tensors alone \(pickled code"
        ):
            load_weights(path)
    assert not trace.exists()
    if isinstance(protocol, int):
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert trace.exists(), "the trap does not work, so the test proves nothing"


def truncated(suffix: str, zipped: bool = True) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        whole = path.with_name(f"whole{suffix}")
        tensors = {"conv1_1.weight": torch.rand(64, 3, 3, 3), "conv1_1.bias": torch.rand(64)}
        if suffix == ".safetensors":
            safetensors.torch.save_file(tensors, whole)
        else:
            torch.save(tensors, whole, _use_new_zipfile_serialization=zipped)
        content = whole.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        whole.unlink()

    return make


def sparse(path: Path) -> None:
    """A terabyte of nothing, which takes no room."""
    path.touch()
    os.truncate(path, 2**40)


def zipped(compression: int, name: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with ZipFile(path, "w", compression) as file:
            file.writestr(f"a/{name}", bytes(10_000_000))

    return make


def tarred(path: Path) -> None:
    with tarfile.open(path, "w") as file:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            file.addfile(tarfile.TarInfo(name), io.BytesIO())


def overlapping(path: Path) -> None:
    """A torch file whose directory lists the same data a thousand times."""
    torch.save({"a": torch.rand(1000)}, path)
    with ZipFile(path, "a") as file:
        (data,) = [entry for entry in file.infolist() if entry.filename.endswith("/data/0")]
        for number in range(1, 1000):
            again = copy.copy(data)
            again.filename = f"{data.filename}{number}"
            file.filelist.append(again)
        file._didModify = True  # type: ignore[attr-defined]


class Memory:
    """Unpickling this takes so many bytes of memory."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return bytearray, (self.size,)


def bytearray_of(size: int, in_zip: bool = False) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        if in_zip:
            torch.save({"a": Memory(size)}, path)
        else:
            path.write_bytes(pickle.dumps({"a": Memory(size)}, protocol=2))

    return make


def packed_in_part(path: Path) -> None:
    """A torch file larger than what it holds, of which the pickle is hidden from a search."""
    trap = pickle.dumps({"a": [Memory(10**12)] * 50}, protocol=2)
    with ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", trap, ZIP_DEFLATED)
        file.writestr("a/data/0", bytes(1000), ZIP_STORED)
    assert path.stat().st_size > len(trap) + 1000
    assert b"bytearray\n" not in path.read_bytes()


def one_bit(path: Path) -> None:
    """A torch file of which one bit of a number is wrong."""
    torch.save({"a": torch.full((1000,), 3.0)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(b"\x40\x40" + b"\0\0\x40\x40" * 9)] ^= 1
    path.write_bytes(content)


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated.safetensors": (truncated(".safetensors"), "cannot be read as safetensors"),
    "truncated before 1.6.pth": (truncated(".pth", zipped=False), "cannot be read as a state"),
    "truncated.pth": (truncated(".pth"), "cannot be read as a state dict"),
    "text.safetensors": (lambda p: p.write_text("Hello, world. " * 9), "get the file again"),
    "text.pth": (lambda p: p.write_text("Hello, world. " * 9), "is no file of tensors"),
    "words.pth": (lambda p: p.write_text("hello, world. " * 9), "cannot be read as a state dict"),
    "page.pth": (lambda p: p.write_text("<!DOCTYPE html><html>404</html>"), "save the state dict"),
    "empty.safetensors": (lambda p: p.write_bytes(b""), "cannot be read as safetensors"),
    "empty.pth": (lambda p: p.write_bytes(b""), "cannot be read as a state dict"),
    "folder": (lambda p: p.mkdir(), "is a folder; name a weights file"),
    "pipe.pth": (os.mkfifo, "is no regular file"),
    "pipe.safetensors": (os.mkfifo, "is no regular file"),
    "device.pth": (lambda p: p.symlink_to("/dev/zero"), "is no regular file"),
    "loop.pth": (lambda p: p.symlink_to(p), "Too many levels of symbolic links"),
    "sparse.pth": (sparse, "is larger than 10,000,000,000 bytes, which no weights here are"),
    "sparse.safetensors": (sparse, "is larger than 10,000,000,000 bytes"),
    "hdf5.pth": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600)), "is no file of tens"),
    "onnx.pth": (lambda p: p.write_bytes(b"\x08\x07\x12\x07pytorch"), "is no file of tensors"),
    "picture.pth": (lambda p: Image.new("RGB", (9, 9)).save(p, "PNG"), "is no file of tensors"),
    "zip.pth": (zipped(ZIP_STORED, "cats"), "cannot be read as a state dict"),
    "tar.pth": (tarred, "cannot be read as a state dict"),
    "packed.pth": (zipped(ZIP_DEFLATED, "data.pkl"), "it is packed, which torch.save does not"),
    "packed in part.pth": (packed_in_part, "it is packed, which torch.save does not"),
    "overlapping.pth": (overlapping, "it is packed, which torch.save does not do"),
    "memory.pth": (bytearray_of(10**12), "is no file of tensors alone"),
    "memory-in-zip.pth": (bytearray_of(10**12, in_zip=True), "is no file of tensors alone"),
    "bit.pth": (one_bit, "the checksum of bit/data/0 is wrong"),
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


def test_a_file_that_may_not_be_read_is_a_sentence() -> None:
    with unprivileged() as folder:
        for name in ("a.pth", "a.safetensors"):
            (folder / name).write_bytes(b"secret")
            (folder / name).chmod(0)
            with pytest.raises(ValueError, match=f"{name} may not be read; change its permissions"):
                load_weights(folder / name)


# A file that is nearly right.

TINY = Architecture(
    "tiny",
    layers=("conv1_1", "conv1_2"),
    shapes={"conv1_1": (4, 3, 3), "conv1_2": (2, 4, 3)},
    modules={"conv1_1": "features.0", "conv1_2": "features.2"},
    pooled=frozenset(),
    strides={"conv1_1": 1, "conv1_2": 1},
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> State:
    """The state dict of a small network, which ``load_weights(..., network="tiny")`` takes."""
    monkeypatch.setitem(weights.ARCHITECTURES, "tiny", TINY)
    return tiny_state()


def tiny_state() -> State:
    torch.manual_seed(0)
    return {
        "features.0.weight": torch.rand(4, 3, 3, 3) - 0.4,
        "features.0.bias": torch.rand(4),
        "features.2.weight": torch.rand(2, 4, 3, 3) - 0.4,
        "features.2.bias": torch.rand(2),
    }


def refusal(path: Path) -> str:
    """The one sentence with which the file is refused."""
    with pytest.raises(ValueError, match=rf"\A\S*{path.name} [^\n]+\Z") as caught:
        load_weights(path, network="tiny")
    assert len(str(caught.value)) < 700
    return str(caught.value)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "before 1.6"])
def test_a_file_cut_anywhere_is_refused(kind: str, tiny: State, tmp_path: Path) -> None:
    path = tmp_path / ("a.safetensors" if kind == "safetensors" else "a.pth")
    if kind == "safetensors":
        safetensors.torch.save_file(tiny, path)
    else:
        torch.save(tiny, path, _use_new_zipfile_serialization=kind == "zip")
    load_weights(path, network="tiny")
    content = path.read_bytes()
    for length in {
        *range(0, len(content), 23),
        *range(17),
        *range(len(content) - 17, len(content)),
    }:
        path.write_bytes(content[:length])
        refusal(path)
    assert len(content) > 800


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


HEADERS: dict[str, bytes | dict[str, Any]] = {
    "open lists": b"[" * 100_000,
    "open dictionaries": b'{"a":' * 100_000,
    "a list": b"[]",
    "no JSON": b"\xff" * 100,
    "a name twice": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
    b'"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
    "offsets beyond the end": {"a": entry([100], 0, 400)},
    "offsets backwards": {"a": entry([1], 4, 0)},
    "negative offsets": {"a": entry([1], -4, 0)},
    "huge offsets": {"a": entry([2**61], 0, 2**63)},
    "overlapping": {"a": entry([1], 0, 4), "b": entry([1], 0, 4)},
    "a gap": {"a": entry([1], 4, 8)},
    "too short for its shape": {"a": entry([2], 0, 4)},
    "a shape that overflows": {"a": entry([2**63, 2**63], 0, 8)},
    "a negative shape": {"a": entry([-1], 0, 8)},
    "an unknown type": {"a": entry([1], 0, 8, "F99")},
    "a type that torch lacks": {"a": entry([8], 0, 6, "F6_E2M3")},
    "nothing of a network": {"a": entry([2], 0, 8)},
    "no tensor": {},
    "many axes": {"features.0.weight": entry([1] * 5000 + [2], 0, 8)},
    "huge and empty": {"features.0.weight": entry([2**62, 0], 0, 0), "a": entry([2], 0, 8)},
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_wrong_header_is_refused(name: str, tiny: State, tmp_path: Path) -> None:
    header = HEADERS[name]
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    refusal(path)


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**32, 2**62, 2**63, 2**64 - 1])
def test_a_wrong_length_of_the_header_is_refused(length: int, tiny: State, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b'{"a":' * 20)
    refusal(path)


ODD_TENSORS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "complex": (lambda t: t.to(torch.complex64), "torch.complex64, not torch.float32"),
    "whole numbers": (lambda t: t.long(), "torch.int64, not"),
    "bool": (lambda t: t > 0, "torch.bool, not"),
    "float8": (lambda t: t.to(torch.float8_e4m3fn), "torch.float8_e4m3fn, not"),
    "quantized": (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "torch.qint8, not"),
    "sparse": (lambda t: t.to_sparse(), "torch.sparse_coo on cpu, not plain numbers"),
    "meta": (lambda t: t.to("meta"), "on meta, not plain numbers"),
    # Some versions of torch read such a file, some do not.
    "nested": (
        lambda t: torch.nested.nested_tensor([t[0], t[1, :, :1]]),
        "nested tensors on cpu, not plain numbers / is no file of tensors",
    ),
    "empty": (lambda t: t[:0], r"of shape (0, 4, 3, 3), not (2, 4, 3, 3)"),
    "a number": (lambda t: t.sum(), "of shape (), not"),
    "seen large": (lambda t: t[:1, :1, :1, :1].expand(9999, 9999, 99, 99), "of shape (9999,"),
    "NaN": (lambda t: t / 0 * 0, "holds NaN or infinite weights in conv1_2"),
    "infinite": (lambda t: t / 0, "holds NaN or infinite weights in conv1_2"),
    "beyond float32": (lambda t: t.double() * 1e300, "holds NaN or infinite weights in conv1_2"),
}


@pytest.mark.parametrize("name", ODD_TENSORS)
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's, of kinds of tensors to come or go
def test_what_is_no_kernel_is_refused(name: str, tiny: State, tmp_path: Path) -> None:
    change, message = ODD_TENSORS[name]
    state = tiny | {"features.2.weight": change(tiny["features.2.weight"])}
    torch.save(state, tmp_path / "a.pth")
    said = refusal(tmp_path / "a.pth")
    assert any(part in said for part in message.split(" / ")), said


def test_parameters_are_taken_as_numbers(tiny: State, tmp_path: Path) -> None:
    state = {name: nn.Parameter(value) for name, value in tiny.items()}
    torch.save(state, tmp_path / "a.pth")
    kernel = load_weights(tmp_path / "a.pth", network="tiny").kernels["conv1_1"]
    assert not kernel.requires_grad
    assert torch.equal(kernel, tiny["features.0.weight"])


WRONG_MEANS: dict[str, tuple[Tensor | None, str]] = {
    "one is missing": (None, r"has no usable conv1_2.mean_avg ('conv1_2.mean_avg')"),
    "too many": (torch.ones(3), r"(of shape (3,), not (2,))"),
    "negative": (torch.tensor([1.0, -1.0]), "is damaged: conv1_2.mean_avg are no mean activations"),
    "NaN": (torch.tensor([1.0, torch.nan]), "is damaged: conv1_2.mean_avg are no mean activations"),
    "all zero": (torch.zeros(2), "is damaged: conv1_2.mean_avg are no mean activations"),
}


@pytest.mark.parametrize("name", WRONG_MEANS)
def test_wrong_mean_activations_are_refused(name: str, tiny: State, tmp_path: Path) -> None:
    mean, message = WRONG_MEANS[name]
    state = tiny | {"conv1_1.mean_avg": torch.ones(4)}
    # Means come with the paper's names.
    state |= {
        f"conv1_{i}.{part}": tiny[f"features.{2 * i - 2}.{part}"]
        for i in (1, 2)
        for part in ("weight", "bias")
    }
    state = {key: value for key, value in state.items() if not key.startswith("features")}
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file(state | {"conv1_2.mean_avg": torch.ones(2)}, path)
    assert set(load_weights(path, network="tiny").mean_activations["avg"]) == set(TINY.layers)
    safetensors.torch.save_file(state | ({} if mean is None else {"conv1_2.mean_avg": mean}), path)
    assert message in refusal(path)


def mutated(content: bytes, draw: Callable[[st.SearchStrategy[int]], int]) -> bytes:
    """A copy with a bit turned, a run of bytes overwritten, cut out or doubled, or its end cut."""
    place = draw(st.integers(0, len(content) - 1))
    length = draw(st.integers(1, 40))
    how = draw(st.integers(0, 4))
    before, run, after = content[:place], content[place : place + length], content[place + length :]
    if how == 0:
        turned = content[place] ^ 1 << draw(st.integers(0, 7))
        return before + bytes([turned]) + content[place + 1 :]
    if how == 1:
        return before + bytes([draw(st.integers(0, 255))]) * len(run) + after
    if how == 2:
        return before + after
    return before + run + run + after if how == 3 else before


@pytest.mark.parametrize("kind", ["safetensors", "zip", "before 1.6"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_mutated_file_gives_finite_numbers_or_a_sentence(
    kind: str, data: st.DataObject, mutant: Callable[[str], tuple[bytes, Path]]
) -> None:
    content, path = mutant(kind)
    for _ in range(data.draw(st.integers(1, 3))):
        content = mutated(content, data.draw)
        if not content:
            break
    path.write_bytes(content)
    refused, loaded = "", None
    try:
        loaded = load_weights(path, network="tiny")
    except ValueError as error:
        refused = str(error)
    if loaded is None:
        assert path.name in refused
        assert "\n" not in refused
    else:
        assert {name: kernel.shape for name, kernel in loaded.kernels.items()} == {
            "conv1_1": (4, 3, 3, 3),
            "conv1_2": (2, 4, 3, 3),
        }
        for numbers in (*loaded.kernels.values(), *loaded.biases.values()):
            assert numbers.dtype == torch.float32
            assert numbers.isfinite().all()
        if kind == "zip":  # it has checksums
            assert torch.equal(loaded.kernels["conv1_1"], tiny_state()["features.0.weight"])
            assert torch.equal(loaded.biases["conv1_2"], tiny_state()["features.2.bias"])


@pytest.fixture(scope="module")
def mutant(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], tuple[bytes, Path]]]:
    """kind -> the content of a whole file, and where a mutated one may be written."""
    folder, state = tmp_path_factory.mktemp("mutants"), tiny_state()
    torch.save(state, folder / "zip")
    torch.save(state, folder / "before 1.6", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(state, folder / "safetensors")
    contents = {kind.name: kind.read_bytes() for kind in folder.iterdir()}
    ending = {"safetensors": "safetensors", "zip": "pth", "before 1.6": "pth"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(weights.ARCHITECTURES, "tiny", TINY)
        yield lambda kind: (contents[kind], folder / f"mutant.{ending[kind]}")
