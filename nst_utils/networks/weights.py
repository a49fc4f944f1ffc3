"""Where a network's numbers come from: bundled, torchvision's, or your own file.

Every source ends as the same thing, a :class:`Weights`: one float32 kernel and bias for each
convolution under our name, expecting RGB input, with the preprocessing that belongs to it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from nst_utils.networks.architectures import ARCHITECTURES, VGG19_LAYERS, Architecture
from nst_utils.networks.downloads import download_from_torchvision
from nst_utils.networks.tensor_files import read_state_dict
from nst_utils.support import checks
from nst_utils.support.messages import one_line
from nst_utils.support.paths import data_file, user_path

BUNDLED_FILE = "weights/vgg19.safetensors"
BUNDLED_SHA256 = "09789025048d817ed1f3d8201de79eb14c5b34c89f034505d70be3db93ec40b6"

State = dict[str, Tensor]
_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Preprocessing:
    """What the network expects: ``(rgb * scale - mean) / std``, each value for R, G, B."""

    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool  # whether the first kernels come in the order blue, green, red


# The Oxford release, trained in Caffe: 0..255, mean of the training images subtracted, BGR.
CAFFE = Preprocessing(255.0, (123.68, 116.779, 103.939), (1.0, 1.0, 1.0), bgr=True)
# torchvision's models: 0..1, normalized with ImageNet's mean and standard deviation, RGB.
TORCHVISION = Preprocessing(1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), bgr=False)
PREPROCESSINGS = {"caffe": CAFFE, "torchvision": TORCHVISION}


@dataclass(frozen=True)
class Weights:
    """The numbers of a network.

    ``kernels[convolution]`` is (N, N_before, k, k) float32 for RGB input, ``biases[convolution]``
    (N,). ``mean_activations[pooling][layer]``, where known, is (N_l,): the mean response of each
    filter over many photographs, which normalization divides by. ``description`` is one line.
    """

    architecture: Architecture
    kernels: dict[str, Tensor]
    biases: dict[str, Tensor]
    preprocessing: Preprocessing
    description: str
    mean_activations: dict[str, dict[str, Tensor]] = field(default_factory=dict)


def load_weights(
    source: str | Path = "bundled", preprocessing: str | None = None, network: str = "vgg19"
) -> Weights:
    """Load the weights of a network.

    Args:
        source: ``"bundled"`` (VGG-19 only: the paper's Oxford network, 8-bit tables, needs no
            network), ``"torchvision"`` (ImageNet weights of torchvision's own training, a download
            on first use, 548 MB for VGG-19), or the path of a state dict: ``.safetensors``,
            ``.pth``, ``.pt``; with torchvision's names (``features.0.weight``) or ours
            (``conv1_1.weight``, ``fire2.squeeze.weight``).
        preprocessing: ``"caffe"`` or ``"torchvision"``; by default the one that goes with the
            file: torchvision's for ``features.N`` names, Caffe's for ``convB_I`` names.
        network: ``"vgg19"``, ``"vgg16"``, ``"vgg19_bn"`` or ``"squeezenet1_1"``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another network, or needs unpickling.
    """
    architecture = ARCHITECTURES[checks.one_of("network", network, tuple(ARCHITECTURES))]
    if preprocessing is not None:
        checks.one_of("preprocessing", preprocessing, tuple(PREPROCESSINGS))
    if str(source) == "bundled":
        if network != "vgg19":
            raise ValueError(
                f"only vgg19 is bundled; for {network} use the weights 'torchvision' (a download) "
                "or a file"
            )
        if preprocessing not in (None, "caffe"):
            raise ValueError("the bundled weights need the preprocessing 'caffe'; leave it out")
        path = data_file(BUNDLED_FILE)
        _check_sha256(path, BUNDLED_SHA256)
        name = "bundled Oxford VGG-19 (8-bit tables, CC BY 4.0)"
        return _from_state_dict(read_state_dict(path), name, None, architecture)
    if str(source) == "torchvision":
        state = download_from_torchvision(network)
        name = f"torchvision's {network}, IMAGENET1K_V1"
        return _from_state_dict(state, name, preprocessing, architecture)
    path = user_path(source, "weights")
    return _from_state_dict(read_state_dict(path), path.name, preprocessing, architecture)


def _check_sha256(path: Path, expected: str) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != expected:
        raise ValueError(
            f"{path} is damaged: its SHA-256 is {digest}, not {expected}; install the package "
            "again, or check out data/weights again"
        )


def _from_state_dict(
    state: State, name: str, preprocessing: str | None, architecture: Architecture
) -> Weights:
    state = {re.sub(r"^module\.", "", key): value for key, value in state.items()}
    _check_network(state, name, architecture)
    first = next(iter(architecture.shapes))
    torchvision_names = f"{architecture.modules[first]}.weight" in state
    modules = architecture.modules if torchvision_names else {}
    of_oxford = not torchvision_names and first == "conv1_1"
    kind = preprocessing or ("caffe" if of_oxford else "torchvision")
    prep = PREPROCESSINGS[kind]
    kernels, biases = {}, {}
    for part in architecture.shapes:
        kernel, bias = _convolution(state, modules.get(part, part), part, name, architecture)
        if not (kernel.isfinite().all() and bias.isfinite().all()):
            raise ValueError(f"{name} holds NaN or infinite weights in {part}; get it again")
        kernels[part], biases[part] = kernel, bias
    if prep.bgr:  # all networks here take RGB: turn the first kernels instead of every picture
        kernels[first] = kernels[first].flip(1).contiguous()
    means = {
        pooling: _means(state, pooling, name, architecture)
        for pooling in ("avg", "max")
        if f"{first}.mean_{pooling}" in state
    }
    description = f"{name}; {kind} preprocessing"
    return Weights(architecture, kernels, biases, prep, description, means)


def _check_network(state: State, name: str, architecture: Architecture) -> None:
    """Refuse another network's file, with the name under which it can be loaded."""
    others = [
        other.name
        for other in ARCHITECTURES.values()
        if other is not architecture and _has_all(state, other)
    ]
    normalized = any(".running_mean" in key for key in state)
    if not _has_all(state, architecture) and others:
        raise ValueError(
            f"{name} is not {architecture.name} but {others[0]}; load it as {others[0]} "
            f'(network="{others[0]}")'
        )
    if normalized and not architecture.normalizations:
        raise ValueError(
            f"{name} is a network with batch normalization, and of those only vgg19_bn can be "
            f"loaded; get the plain {architecture.name}"
        )
    surplus = [layer for layer in VGG19_LAYERS if layer not in architecture.shapes]
    surplus = [layer for layer in surplus if f"{layer}.bias" in state]
    if surplus:  # VGG-19's file has all that VGG-16 asks for
        raise ValueError(f"{name} is not {architecture.name}: it has a layer {surplus[0]}")


def _has_all(state: State, architecture: Architecture) -> bool:
    """Whether it has every tensor of that network, under torchvision's names."""
    convolutions = [f"{module}.weight" for module in architecture.modules.values()]
    norms = [f"{module}.running_mean" for module in architecture.normalizations.values()]
    return all(key in state for key in (*convolutions, *norms))


def _convolution(
    state: State, module: str, part: str, name: str, architecture: Architecture
) -> tuple[Tensor, Tensor]:
    """Kernel and bias of one convolution, its batch normalization, if any, folded in."""
    after, before, side = architecture.shapes[part]
    shape = (after, before, side, side)
    try:
        if f"{module}.indices" in state:  # 8 bits: each weight is an index into a table of 256
            indices = _plain(state[f"{module}.indices"], shape, torch.uint8)
            table = _floats(state[f"{module}.table"], (256,))
            kernel = table.index_select(0, indices.flatten().int()).reshape(shape)
        else:
            kernel = _floats(state[f"{module}.weight"], shape)
        bias = _floats(state[f"{module}.bias"], (after,))
        if part in architecture.normalizations:
            return _fold(state, architecture.normalizations[part], kernel, bias)
        return kernel, bias
    except (KeyError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{name} is not {architecture.name}: no usable {part} in it ({one_line(error)}); its "
            f"tensors must be named {architecture.modules[part]}.weight ... or {part}.weight ..."
        ) from None


def _plain(tensor: Tensor, shape: tuple[int, ...], *dtypes: torch.dtype) -> Tensor:
    """The tensor if it is what it should be; looked at before it is converted or multiplied."""
    # Before its shape, which some kinds do not have.
    if tensor.is_nested or tensor.layout is not torch.strided or tensor.device.type != "cpu":
        kind = "nested tensors" if tensor.is_nested else tensor.layout
        raise ValueError(f"{kind} on {tensor.device}, not plain numbers")
    if tensor.shape != shape:
        raise ValueError(f"of shape {str(tuple(tensor.shape))[:40]}, not {shape}")
    if tensor.dtype not in dtypes:
        raise ValueError(f"{tensor.dtype}, not {dtypes[0]}")
    return tensor


def _floats(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    return _plain(tensor, shape, *_FLOATS).float()


def _means(state: State, pooling: str, name: str, architecture: Architecture) -> dict[str, Tensor]:
    """The mean activations that a file brings with it."""
    means = {}
    for layer in architecture.layers:
        try:
            mean = _floats(state[f"{layer}.mean_{pooling}"], (architecture.shapes[layer][0],))
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"{name} has no usable {layer}.mean_{pooling} ({one_line(error)})"
            ) from None
        if not (mean.isfinite().all() and (mean >= 0).all() and mean.any()):
            raise ValueError(
                f"{name} is damaged: {layer}.mean_{pooling} are no mean activations; get it again"
            )
        means[layer] = mean
    return means


def _fold(state: State, module: str, kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """A convolution with the batch normalization after it is a convolution.

    With the running mean m and variance v, gamma and beta (Ioffe & Szegedy 2015, algorithm 2):
    gamma (W x + b - m) / sqrt(v + eps) + beta = (s W) x + s (b - m) + beta, s = gamma / sqrt(...).
    """
    parts = ("running_mean", "running_var", "weight", "bias")
    shape = tuple(bias.shape)
    mean, variance, gamma, beta = (_floats(state[f"{module}.{part}"], shape) for part in parts)
    epsilon = 1e-5  # torchvision's, PyTorch's default
    scale = gamma / (variance + epsilon).sqrt()
    return kernel * scale.view(-1, 1, 1, 1), (bias - mean) * scale + beta
