"""Where the network's numbers come from: bundled, torchvision's, or your own file.

Every source ends as the same thing, a :class:`Weights`: one float32 kernel and bias for each layer
under the paper's name, expecting RGB input, with the preprocessing that belongs to it. Nothing is
unpickled as code: files are read by safetensors or by ``torch.load(weights_only=True)``.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nst_utils import checks
from nst_utils.paths import data_file, user_path

BUNDLED_FILE = "weights/vgg19.safetensors"
BUNDLED_SHA256 = "09789025048d817ed1f3d8201de79eb14c5b34c89f034505d70be3db93ec40b6"

# VGG-19 (Simonyan & Zisserman 2015, configuration E): 16 convolutions in five blocks.
CONVOLUTIONS_PER_BLOCK = (2, 2, 4, 4, 4)
VGG19_LAYERS = tuple(
    f"conv{block}_{i}"
    for block, convolutions in enumerate(CONVOLUTIONS_PER_BLOCK, start=1)
    for i in range(1, convolutions + 1)
)
CHANNELS = (3, 64, 64, 128, 128, *[256] * 4, *[512] * 8)


@dataclass(frozen=True)
class Preprocessing:
    """What the network expects: ``(rgb * scale - mean) / std``, each value for R, G, B."""

    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool  # whether conv1_1's kernels come in the order blue, green, red


# The Oxford release, trained in Caffe: 0..255, mean of the training images subtracted, BGR.
CAFFE = Preprocessing(255.0, (123.68, 116.779, 103.939), (1.0, 1.0, 1.0), bgr=True)
# torchvision's models: 0..1, normalized with ImageNet's mean and standard deviation, RGB.
TORCHVISION = Preprocessing(1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), bgr=False)
PREPROCESSINGS = {"caffe": CAFFE, "torchvision": TORCHVISION}


@dataclass(frozen=True)
class Weights:
    """The numbers of a VGG-19.

    ``kernels[layer]`` is (N_l, N_(l-1), 3, 3) float32 for RGB input, ``biases[layer]`` (N_l,).
    ``mean_activations[pooling][layer]``, where known, is (N_l,): the mean response of each filter
    over many photographs, which normalization divides by. ``description`` is one line.
    """

    kernels: dict[str, Tensor]
    biases: dict[str, Tensor]
    preprocessing: Preprocessing
    description: str
    mean_activations: dict[str, dict[str, Tensor]] = field(default_factory=dict)


def load_weights(source: str | Path = "bundled", preprocessing: str | None = None) -> Weights:
    """Load the weights of VGG-19.

    Args:
        source: ``"bundled"`` (the paper's Oxford network, 8-bit tables, needs no network),
            ``"torchvision"`` (ImageNet weights of torchvision's own training, a 548 MB download on
            first use), or the path of a state dict: ``.safetensors``, ``.pth``, ``.pt``; with
            torchvision's names (``features.0.weight``) or the paper's (``conv1_1.weight``).
        preprocessing: ``"caffe"`` or ``"torchvision"``; by default the one that goes with the
            file: torchvision's for ``features.N`` names, Caffe's for ``convB_I`` names.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another network, or needs unpickling.
    """
    if preprocessing is not None:
        checks.one_of("preprocessing", preprocessing, tuple(PREPROCESSINGS))
    if str(source) == "bundled":
        if preprocessing not in (None, "caffe"):
            raise ValueError("the bundled weights need the preprocessing 'caffe'; leave it out")
        path = data_file(BUNDLED_FILE)
        _check_sha256(path, BUNDLED_SHA256)
        return _from_state_dict(
            _read_safetensors(path), "bundled Oxford VGG-19 (8-bit tables, CC BY 4.0)", None
        )
    if str(source) == "torchvision":
        state = _download_torchvision()
        return _from_state_dict(state, "torchvision's VGG-19, IMAGENET1K_V1", preprocessing)
    path = user_path(source)
    return _from_state_dict(_read_file(path), path.name, preprocessing)


def _check_sha256(path: Path, expected: str) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != expected:
        raise ValueError(
            f"{path} is damaged: its SHA-256 is {digest}, not {expected}; install the package "
            "again, or check out data/weights again"
        )


def _read_file(path: Path) -> dict[str, Tensor]:
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a weights file (.safetensors, .pth or .pt)")
    if not path.exists():
        raise FileNotFoundError(
            f"no weights file {path}; give a path, 'bundled' or 'torchvision' as weights"
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on unusual pickles
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path} is no file of tensors alone (pickled code is not loaded, and this may be it); "
            "save the state dict with safetensors, or with torch.save(model.state_dict(), ...)"
        ) from None
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a state dict ({type(error).__name__}: "
            f"{_first_line(error)}); save it again with torch.save(model.state_dict(), ...)"
        ) from None
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{path} is not a state dict (a dict of tensors by name)")
    return {str(name): tensor for name, tensor in state.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read as safetensors ({_first_line(error)}); get the file again"
        ) from None


def _download_torchvision() -> dict[str, Tensor]:
    from torchvision.models import VGG19_Weights

    try:
        state = VGG19_Weights.IMAGENET1K_V1.get_state_dict(check_hash=True, weights_only=True)
    except Exception as error:
        raise ValueError(
            f"torchvision's weights could not be fetched ({_first_line(error)}); check the "
            "network, or download vgg19-dcbb9e9d.pth by hand and give its path as weights"
        ) from None
    return dict(state)


def _from_state_dict(state: dict[str, Tensor], name: str, preprocessing: str | None) -> Weights:
    state = {re.sub(r"^module\.", "", key): value for key, value in state.items()}
    torchvision_names = "features.0.weight" in state
    if torchvision_names:
        if any(".running_mean" in key for key in state):
            raise ValueError(f"{name} is a VGG with batch normalization; use the plain vgg19")
        state = _rename_torchvision(state)
    kind = preprocessing or ("torchvision" if torchvision_names else "caffe")
    prep = PREPROCESSINGS[kind]
    kernels, biases = {}, {}
    for layer, before, after in zip(VGG19_LAYERS, CHANNELS, CHANNELS[1:], strict=False):
        kernel, bias = _layer(state, layer, name)
        if kernel.shape != (after, before, 3, 3) or bias.shape != (after,):
            raise ValueError(
                f"{name} is not VGG-19: {layer} has a kernel of shape {tuple(kernel.shape)}, "
                f"not {(after, before, 3, 3)}"
            )
        if not (kernel.isfinite().all() and bias.isfinite().all()):
            raise ValueError(f"{name} holds NaN or infinite weights in {layer}; get it again")
        kernels[layer], biases[layer] = kernel, bias
    if prep.bgr:  # all networks here take RGB: turn the first kernels instead of every picture
        kernels["conv1_1"] = kernels["conv1_1"].flip(1).contiguous()
    means = {
        pooling: {layer: state[f"{layer}.mean_{pooling}"].float() for layer in VGG19_LAYERS}
        for pooling in ("avg", "max")
        if f"conv1_1.mean_{pooling}" in state
    }
    return Weights(kernels, biases, prep, f"{name}; {kind} preprocessing", means)


def _layer(state: dict[str, Tensor], layer: str, name: str) -> tuple[Tensor, Tensor]:
    try:
        if f"{layer}.indices" in state:  # 8 bits: each weight is an index into a table of 256
            indices = state[f"{layer}.indices"]
            table = state[f"{layer}.table"].float()
            kernel = table.index_select(0, indices.flatten().int()).reshape(indices.shape)
        else:
            kernel = state[f"{layer}.weight"].float()
        return kernel, state[f"{layer}.bias"].float()
    except (KeyError, IndexError) as error:
        raise ValueError(
            f"{name} is not VGG-19: no usable {layer} in it ({_first_line(error)}); its tensors "
            "must be named features.0.weight ... or conv1_1.weight ..."
        ) from None


def _rename_torchvision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """features.0 -> conv1_1, features.2 -> conv1_2, features.5 -> conv2_1, ...

    In ``features`` every convolution is followed by a ReLU and every block by a pooling.
    """
    renamed: dict[str, Tensor] = {}
    index = 0
    for block, convolutions in enumerate(CONVOLUTIONS_PER_BLOCK, start=1):
        for i in range(1, convolutions + 1):
            for part in ("weight", "bias"):
                if f"features.{index}.{part}" in state:
                    renamed[f"conv{block}_{i}.{part}"] = state[f"features.{index}.{part}"]
            index += 2
        index += 1
    return renamed


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
