"""The networks by name: each builder loads numbers and makes a :class:`Network` of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from nst_utils.images.files import load_image, noise_image
from nst_utils.images.names import samples
from nst_utils.networks.architectures import (
    ARCHITECTURES,
    POOLINGS,
    PRECISIONS,
    check_reading,
    usual_padding,
)
from nst_utils.networks.network import Network, mean_activations
from nst_utils.networks.weights import load_weights
from nst_utils.support import checks
from nst_utils.support.neutral import neutral

# Eq. 4 grows with the fourth power of the responses; of larger ones it would overflow float32.
MAX_RESPONSE = 1e9


def vgg19(
    weights: str | Path = "bundled",
    *,
    pooling: str = "avg",
    normalized: str | bool = "authors",
    padding: str | None = None,
    precision: str = "float32",
    preprocessing: str | None = None,
) -> Network:
    """The paper's network: VGG-19 with average pooling, normalized.

    Args:
        weights: ``"bundled"``, ``"torchvision"`` or a path (see
            :func:`nst_utils.networks.weights.load_weights`).
        pooling: ``"avg"`` (the paper's) or ``"max"``.
        normalized: whose mean activation of every filter becomes 1 (section 2). ``"authors"``:
            that of the network as it was trained, with max pooling, which is replaced afterwards:
            so the authors' own normalized network was made (``benchmarks/normalization.py``).
            ``"pooling"``: that of the network with the pooling it has. ``"none"``: as trained.
            ``True`` and ``False`` stand for the authors' and none. The means for the bundled
            weights come with them; for others they are measured on the bundled pictures, which
            takes some seconds.
        padding: what the first convolution sees beyond the picture's edge: ``"nearest"``, the edge
            again, or ``"zeros"``, as the network was trained, which leaves a rim. With the former
            poolings round up, as the authors' do: a last odd row or column is a window of its own.
            With the latter they leave it out, as PyTorch does. By default the former where it is
            normalized, for the paper, and the latter where it is as trained.
        precision: of the convolutions; Gram matrices, losses and the picture stay float32.
            ``"float32"`` (on an NVIDIA GPU, with TF32 where torch's settings allow it);
            ``"bfloat16"``, which takes about 0.8 of the time at 256 and 512 px on two cores of an
            AMD EPYC made for it (benchmarks/README.md); ``"float16"``, for GPUs that have no fast
            bfloat16, with gradients scaled into its range, and slow on a CPU; or ``"auto"``, the
            fastest where the network is, and chosen again where it is moved (see
            :mod:`nst_utils.networks.precision`).
        preprocessing: ``"caffe"`` or ``"torchvision"``, where the file's names do not tell.

    Raises:
        FileNotFoundError, ValueError: as :func:`nst_utils.networks.weights.load_weights`.
    """
    return _build("vgg19", weights, pooling, normalized, padding, precision, preprocessing)


def vgg16(
    weights: str | Path = "torchvision",
    *,
    pooling: str = "avg",
    normalized: str | bool = "authors",
    padding: str | None = None,
    precision: str = "float32",
    preprocessing: str | None = None,
) -> Network:
    """VGG-16: as VGG-19, with three convolutions in each of the last three blocks.

    Its weights are not bundled: torchvision's (a download of 528 MB) or a file. The arguments are
    those of :func:`vgg19`.
    """
    return _build("vgg16", weights, pooling, normalized, padding, precision, preprocessing)


def vgg19_bn(
    weights: str | Path = "torchvision",
    *,
    pooling: str = "avg",
    normalized: str | bool = "none",
    padding: str | None = None,
    precision: str = "float32",
    preprocessing: str | None = None,
) -> Network:
    """VGG-19 trained with batch normalization, which gives poor pictures: here to be looked at.

    The normalization of the batch, fixed after training, is folded into the kernels: the responses
    are those of torchvision's network in its evaluation mode. Its weights are not bundled (a
    download of 548 MB, or a file). The arguments are those of :func:`vgg19`.
    """
    return _build("vgg19_bn", weights, pooling, normalized, padding, precision, preprocessing)


def squeezenet1_1(
    weights: str | Path = "torchvision",
    *,
    pooling: str = "max",
    normalized: str | bool = "none",
    padding: str | None = None,
    precision: str = "float32",
    preprocessing: str | None = None,
) -> Network:
    """SqueezeNet 1.1, with layers ``conv1``, ``fire2``, ... ``fire9``: small and quick.

    Its weights are not bundled (a download of 5 MB, or a file). The arguments are those of
    :func:`vgg19`; it cannot be normalized.
    """
    return _build("squeezenet1_1", weights, pooling, normalized, padding, precision, preprocessing)


NETWORKS = {
    "vgg19": vgg19,
    "vgg16": vgg16,
    "vgg19_bn": vgg19_bn,
    "squeezenet1_1": squeezenet1_1,
}


@neutral()
def _build(
    name: str,
    weights: str | Path,
    pooling: str,
    normalized: str | bool,
    padding: str | None,
    precision: str,
    preprocessing: str | None,
) -> Network:
    if isinstance(normalized, bool):
        normalized = "authors" if normalized else "none"
    check_reading(ARCHITECTURES[name], normalized, padding)
    checks.one_of("pooling", pooling, POOLINGS)
    checks.one_of("precision", precision, PRECISIONS)
    loaded = load_weights(weights, preprocessing, name)
    if str(weights) != "bundled":
        _check_responses(Network(loaded, pooling=pooling), loaded.description)
    # Paper: nothing on the order. Here: the means before the pooling is replaced, because those
    # are what the authors' own normalized network was divided by.
    means_of = {"authors": "max", "pooling": pooling, "none": None}[normalized]
    means = None
    if means_of is not None:
        means = loaded.mean_activations.get(means_of)
        if means is None:
            means = mean_activations(Network(loaded, pooling=means_of), _bundled_pictures())
    padding = padding or usual_padding(normalized)
    return Network(
        loaded,
        pooling=pooling,
        mean_activations=means,
        precision=precision,
        padding=padding,
        means_of=means_of,
    )


def _check_responses(net: Network, name: str) -> None:
    """Refuse numbers of which no picture can be made, before anybody waits for one."""
    with torch.no_grad():
        responses = net(noise_image(32, 32, std=0.25), net.layers)
    for layer, response in responses.items():
        largest = float(response.max())
        if not largest < MAX_RESPONSE:
            raise ValueError(
                f"the responses of {layer} are as large as {largest:g}, too large for any loss; "
                f"the weights are damaged, get them again ({name})"
            )
        if not largest:
            raise ValueError(
                f"{layer} does not respond to anything; the weights are damaged, get them again "
                f"({name})"
            )


def _bundled_pictures() -> Iterable[Tensor]:
    for sample in samples().values():
        yield load_image(sample.path, size=256)
