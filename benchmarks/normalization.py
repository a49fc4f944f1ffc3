"""By which mean activations did the authors divide? Read off their own normalized network.

    python benchmarks/normalization.py vgg_normalised_conv3_1.pth

The file holds the first five convolutions of the authors' ``vgg_normalised.caffemodel`` as modules
``2``, ``5``, ``9``, ``12`` and ``16``. It is no part of this project; a conversion of 2.2 MB is
``models/vgg_normalised_conv3_1.pth`` in the repository jkbehne/GOTStyleTranfer. It is read without
running its pickle.

By section 2 of the paper their kernels are W_l' = W_l m_(l-1) / m_l: with the bundled W_l, each m_l
can be read off, layer by layer from the picture on. ``correlation`` is that of their kernels with
W_l m_(l-1), the least of a layer's filters: that they are the same but for m_l. The table compares
those m_l with our means, measured on other photographs: the median of theirs / ours, and the
standard deviation of its logarithm over a layer's filters, once with max pooling and once with
average pooling. The constant factor that other photographs bring is in the median; the pooling that
they used is the one of the smaller spread.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from nst_utils.networks.weights import Weights, load_weights

MODULES = {"conv1_1": "2", "conv1_2": "5", "conv2_1": "9", "conv2_2": "12", "conv3_1": "16"}


def authors_means(path: Path, ours: Weights) -> Iterator[tuple[str, float, Tensor]]:
    """Layer, least correlation of the kernels, and (N_l,): the means that were divided by."""
    state = torch.load(path, weights_only=True, map_location="cpu")
    before = torch.ones(3)
    for layer, module in MODULES.items():
        theirs = state[f"{module}.weight"].double()
        kernel = ours.kernels[layer].double()
        if layer == "conv1_1":  # theirs may take blue, green, red
            straight, turned = (_correlation(x, kernel) for x in (theirs, theirs.flip(1)))
            theirs = theirs if straight.min() > turned.min() else theirs.flip(1)
        expected = kernel * before.view(1, -1, 1, 1)  # but for m_l
        m = (expected * expected).sum((1, 2, 3)) / (expected * theirs).sum((1, 2, 3))
        yield layer, float(_correlation(theirs, expected).min()), m
        before = m


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    return torch.cosine_similarity(one.flatten(1), other.flatten(1), dim=1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="vgg_normalised_conv3_1.pth")
    path = parser.parse_args().path
    ours = load_weights("bundled")
    print("| layer | correlation | theirs / ours, max | average | spread, max | average |")
    print("|---|---|---|---|---|---|")
    for layer, correlation, theirs in authors_means(path, ours):
        medians, spreads = [], []
        for pooling in ("max", "avg"):
            mine = ours.mean_activations[pooling][layer].double()
            heard = mine > 0.1 * mine.mean()  # of filters that hardly fire, a mean says little
            ratio = (theirs / mine)[heard]
            medians.append(f"{float(ratio.median()):.2f}")
            spreads.append(f"{float(ratio.log().std()):.2f}")
        print(f"| {layer} | {correlation:.4f} | {' | '.join(medians + spreads)} |")


if __name__ == "__main__":
    main()
