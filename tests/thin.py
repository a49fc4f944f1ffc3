"""VGG-19 with an eighth of its filters: every layer and pooling, a fraction of the work."""

from __future__ import annotations

import dataclasses

import torch

import nst_utils as nst
from nst_utils.networks.architectures import ARCHITECTURES
from nst_utils.networks.network import Network, mean_activations
from nst_utils.networks.weights import CAFFE, Weights

DIVISOR = 8


def thin_vgg19(
    precision: str = "float32",
    *,
    pooling: str = "avg",
    normalized: str = "authors",
    padding: str = "nearest",
) -> Network:
    """For tests of what goes on around the network; made and normalized as the real one is.

    Its kernels are random (He et al. 2015), so its pictures look like nothing.
    """
    vgg = ARCHITECTURES["vgg19"]
    shapes = {
        layer: (filters // DIVISOR, before // DIVISOR or before, side)
        for layer, (filters, before, side) in vgg.shapes.items()
    }
    generator = torch.Generator().manual_seed(0)
    kernels = {
        layer: torch.randn(n, before, side, side, generator=generator)
        * (2 / (before * side**2)) ** 0.5
        for layer, (n, before, side) in shapes.items()
    }
    biases = {layer: torch.zeros(n) for layer, (n, _, _) in shapes.items()}
    architecture = dataclasses.replace(vgg, shapes=shapes)
    weights = Weights(architecture, kernels, biases, CAFFE, "VGG-19 with few, random filters")
    means_of = {"authors": "max", "none": None}[normalized]
    means = None
    if means_of is not None:
        photograph = nst.load_image("chelsea", size=64)
        means = mean_activations(Network(weights, pooling=means_of), [photograph])
    return Network(
        weights,
        pooling=pooling,
        mean_activations=means,
        precision=precision,
        padding=padding,
        means_of=means_of,
    )
