"""The method in float64, written from the paper's equations with torch.nn.functional alone.

Nothing of the package is used but the numbers of the kernels, how they are read from their file,
and the type that an optimizer is handed: what the package computes with its own convolutions,
losses and tables is compared with this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as fn

from nst_utils.networks.weights import load_weights
from nst_utils.objective.table import Evaluation

# Section 2: every filter is scaled to mean activation 1; the package divides by no less than
# this share of a layer's mean (networks.normalization.MEAN_ACTIVATION_FLOOR).
FLOOR = 0.1


class ReferenceNetwork:
    """VGG-19 in float64, with the bundled kernels.

    ``means_of`` is the pooling whose mean activations it is normalized with, if any; ``padding``
    is what its first convolution sees around the picture.
    """

    def __init__(
        self, pooling: str = "avg", means_of: str | None = "max", padding: str = "nearest"
    ) -> None:
        weights = load_weights()
        self.pooling, self.padding = pooling, padding
        self.mean = torch.tensor(weights.preprocessing.mean).double().view(1, 3, 1, 1)
        self.kernels = {layer: kernel.double() for layer, kernel in weights.kernels.items()}
        self.biases = {layer: bias.double() for layer, bias in weights.biases.items()}
        # What each layer's responses are divided by, (N_l,).
        self.means = {layer: torch.ones_like(bias) for layer, bias in self.biases.items()}
        if means_of:
            for layer, mean in weights.mean_activations[means_of].items():
                self.means[layer] = mean.double().clamp(min=FLOOR * mean.double().mean())

    def __call__(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """The responses of some layers to (B, 3, H, W)."""
        x, block, missing = images.double() * 255 - self.mean, "1", set(layers)
        responses = {}
        for layer, kernel in self.kernels.items():
            if layer[4] != block:
                block = layer[4]
                pool = fn.avg_pool2d if self.pooling == "avg" else fn.max_pool2d
                x = pool(x, 2, ceil_mode=self.padding == "nearest")
            # The plain network goes on undivided: ReLU and pooling commute with the scale.
            edge = layer == "conv1_1" and self.padding == "nearest"
            x = fn.pad(x, (1, 1, 1, 1), mode="replicate" if edge else "constant")
            x = fn.conv2d(x, kernel, self.biases[layer]).relu()
            if layer in missing:
                missing.remove(layer)
                responses[layer] = x / self.means[layer].view(1, -1, 1, 1)
            if not missing:
                break
        return responses


@dataclass
class ReferenceObjective:
    """Equation 7 of one picture in float64; :meth:`evaluate` is what an optimizer takes.

    ``content_layers`` and ``style_layers`` give each layer its weight; ``alpha`` and ``beta`` are
    those of equation 7.
    """

    net: ReferenceNetwork
    content: Tensor
    style: Tensor
    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    alpha: float
    beta: float

    def __post_init__(self) -> None:
        self._P = self.net(self.content, self.content_layers)
        A = self.net(self.style, self.style_layers)
        self._A = {layer: gram(responses) for layer, responses in A.items()}
        weights = [self.alpha * w for w in self.content_layers.values()]
        weights += [self.beta * w for w in self.style_layers.values()]
        self._largest = max(weights)

    def terms(self, image: Tensor) -> dict[str, Tensor]:
        """Each term in the paper's units, as the package names them."""
        F = self.net(image, {*self.content_layers, *self.style_layers})
        # Equation 1, as a mean over all values.
        found = {
            f"content/{layer}": ((F[layer] - self._P[layer]) ** 2).mean() / 2
            for layer in self.content_layers
        }
        # Equation 4: each Gram matrix is divided by its own number of positions.
        for layer in self.style_layers:
            N = F[layer].shape[1]
            difference = gram(F[layer]) - self._A[layer]
            found[f"style/{layer}"] = (difference**2).sum() / (4 * N**2)
        return found

    def losses(self, image: Tensor) -> dict[str, Tensor]:
        """The terms, their sums over the layers (eq. 5), and equation 7."""
        terms = self.terms(image)
        content = sum(w * terms[f"content/{layer}"] for layer, w in self.content_layers.items())
        style = sum(w * terms[f"style/{layer}"] for layer, w in self.style_layers.items())
        total = self.alpha * content + self.beta * style
        sums = {"content_loss": content, "style_loss": style, "total_loss": total}
        return terms | {name: torch.as_tensor(value) for name, value in sums.items()}

    def evaluate(self, images: Tensor) -> Evaluation:
        """Loss, gradient (by autograd) and terms of (1, 3, H, W), in the units of the package.

        It descends equation 7 divided by the largest weight.
        """
        x = images.detach().double().requires_grad_(True)
        with torch.enable_grad():
            losses = self.losses(x)
            loss = losses["total_loss"] / self._largest
            (gradient,) = torch.autograd.grad(loss, x)
        terms = [losses[name].detach() for name in losses if "/" in name]
        return Evaluation(loss.detach()[None], gradient, torch.stack(terms)[None])


def gram(F: Tensor) -> Tensor:
    """Equation 3 of (1, N, H, W), divided by the number of positions: (N, N)."""
    flat = F.flatten(2)[0]
    return flat @ flat.T / flat.shape[1]
