"""Section 2 of the paper: every filter is divided by its mean activation."""

from __future__ import annotations

from torch import Tensor

# A filter that hardly fires on the calibration photographs has a mean near 0, and dividing by it
# would blow its noise up. 0.1 of its layer's mean is the least that is divided by. That touches six
# filters of the bundled means of max pooling, no two of a layer, and two of average pooling.
# Paper: every filter is scaled to mean 1, and the authors divided one of conv2_1 by 0.05 of the
# layer's mean (benchmarks/normalization.py). Here: a floor, because a filter that is silent on
# photographs may fire on a painting, and would then outweigh all others by orders of magnitude.
MEAN_ACTIVATION_FLOOR = 0.1


def normalize(
    kernels: dict[str, Tensor], biases: dict[str, Tensor], mean_activations: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Rescale the weights so that each filter's mean activation becomes 1 (section 2).

    ReLU and pooling commute with a positive scale for each channel. With m_l the mean activations
    of the plain network's layer l, W_l' = W_l * m_(l-1) / m_l and b_l' = b_l / m_l give responses
    F_l / m_l: the same function up to a scale for each channel.

    Args:
        kernels: layer of VGG -> (N_l, N_(l-1), 3, 3), from the picture on; biases: layer -> (N_l,).
        mean_activations: layer -> (N_l,), of the plain network; with which pooling, is a reading of
            the paper (see :func:`nst_utils.networks.builders.vgg19`). Any m_l give the same
            function up to a scale for each channel.
    """
    new_kernels, new_biases = {}, {}
    before = kernels["conv1_1"].new_ones(3)
    for layer in kernels:
        mean = mean_activations[layer]
        after = mean.clamp(min=MEAN_ACTIVATION_FLOOR * float(mean.mean()))
        ratio = before.view(1, -1, 1, 1) / after.view(-1, 1, 1, 1)
        new_kernels[layer] = kernels[layer] * ratio
        new_biases[layer] = biases[layer] / after
        before = after
    return new_kernels, new_biases
