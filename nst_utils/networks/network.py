"""The network that sees: VGG-19's convolutions, its responses named as in the paper.

``conv4_2`` is the response of that layer *after* its ReLU (section 2 of the paper). The network is
frozen; it stops at the deepest layer asked for. Other networks go the same way: VGG-16, VGG-19
with batch normalization, SqueezeNet.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from nst_utils.networks.architectures import PADDINGS, POOLINGS, PRECISIONS, check_layers
from nst_utils.networks.convolutions import ConvReLU, average_pool
from nst_utils.networks.normalization import normalize
from nst_utils.networks.precision import DTYPES, Scaling, fastest, layout, told
from nst_utils.networks.squeezenet import Fire, StridedConvReLU
from nst_utils.networks.weights import Weights
from nst_utils.support import checks
from nst_utils.support.neutral import neutral

# Called after every layer. The studio sets it, for a thread, to pause or stop (app/sessions.py).
between_layers: ContextVar[Callable[[], None] | None] = ContextVar("between_layers", default=None)

_OF_16_BITS = (torch.float16, torch.bfloat16)


class Network(nn.Module):
    """A convolutional network without its fully connected layers, frozen.

    Args:
        weights: the numbers, and the architecture and preprocessing that belong to them.
        pooling: ``"avg"`` as in the paper, or ``"max"`` as the networks were trained.
        mean_activations: if given, the network is normalized with these means (see
            :func:`nst_utils.networks.normalization.normalize`).
        precision: what the convolutions compute in (see
            :func:`nst_utils.networks.builders.vgg19`); responses are float32. ``"auto"`` is chosen
            for the device, and again where the network is moved.
        padding: ``"nearest"`` or ``"zeros"`` beyond the picture's edge (see there).
        means_of: the pooling with which the mean activations were measured, for the description.

    Attributes:
        layers: names of all layers, from the picture on.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        weights: Weights,
        *,
        pooling: str = "avg",
        mean_activations: dict[str, Tensor] | None = None,
        precision: str = "float32",
        padding: str = "zeros",
        means_of: str | None = None,
    ) -> None:
        super().__init__()
        checks.one_of("precision", precision, PRECISIONS)
        self._chosen_by_device = precision == "auto"
        self.layers = weights.architecture.layers
        self.pooling = checks.one_of("pooling", pooling, POOLINGS)
        self.padding = checks.one_of("padding", padding, PADDINGS)
        # Paper: not said; the authors' code rounds up, PyTorch's down. Here: up, but for a network
        # as PyTorch has it, because else deep layers miss the last rows of most pictures.
        rounds_up = padding == "nearest"
        self.architecture = dataclasses.replace(weights.architecture, rounds_up=rounds_up)
        self.normalized = mean_activations is not None
        normalized = "normalized" if self.normalized else "not normalized"
        with_means = f" with the means of {means_of} pooling" if means_of else ""
        self._about = (
            f"{weights.description}; {pooling} pooling; {normalized}{with_means}; "
            f"{padding} around the picture{', poolings round up' if rounds_up else ''}"
        )
        kernels, biases = weights.kernels, weights.biases
        first = kernels[next(iter(kernels))]
        dtype = DTYPES[fastest(first.device) if self._chosen_by_device else precision]
        if mean_activations is not None:
            kernels, biases = normalize(kernels, biases, mean_activations)
        steps = self._make_steps(kernels, biases, dtype)
        # The same in float32, where these have fewer bits and may be moved to another device.
        self._in_float32 = _Shared()
        if self._chosen_by_device and dtype != torch.float32 and _has_gpu():
            full = self._make_steps(kernels, biases, torch.float32)
            self._in_float32 = _Shared(full.named_buffers())
        self._steps = steps
        prep, like = weights.preprocessing, {"dtype": torch.float32, "device": first.device}
        self._scale = prep.scale
        self.register_buffer("mean", torch.tensor(prep.mean, **like).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(prep.std, **like).view(1, 3, 1, 1))

    @property
    def description(self) -> str:
        """One line on where the numbers come from, what was done to them, and what they are now."""
        return f"{self._about}; {told(self._dtype, self.mean.device)}"

    @property
    def _dtype(self) -> torch.dtype:
        return next(self._steps.buffers()).dtype

    def forward(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The responses of the named layers, after the ReLU.

        Args:
            images: (B, 3, H, W), RGB, 0..1; brought to the network's device.
            layers: names such as ``"conv4_2"``; nothing deeper than the deepest is computed.

        Returns:
            layer name -> (B, N_l, H_l, W_l) in the order asked for. In VGG, H_l = H / stride(l).

        Raises:
            ValueError: an unknown layer, or a picture too small for the deepest one.
        """
        wanted = check_layers(layers, unique=False, known=self.layers)
        deepest = max(self.layers.index(layer) for layer in wanted)
        self._check_size(images, self.layers[deepest])
        responses: dict[str, Tensor] = {}
        x = (images.to(self.mean.device) * self._scale - self.mean) / self.std
        dtype, scaling = self._dtype, None
        if dtype == torch.float16 and x.requires_grad and torch.is_grad_enabled():
            scaling = Scaling()
            x = scaling.enter(x)
        else:
            x = x.to(dtype, memory_format=layout(x.device))
        pulse = between_layers.get()
        for layer in self.layers[: deepest + 1]:
            if layer in self.architecture.pooled:
                x = self._pool(x if scaling is None else scaling.between(x))
            x = self._steps[layer](x)
            if pulse is not None:
                pulse()
                # On the way back, too; not on a GPU, where one thread goes back for everybody.
                if x.requires_grad and x.device.type == "cpu":
                    x.register_hook(lambda _: pulse())
            if layer in wanted:
                if scaling is not None:
                    x, responses[layer] = scaling.branch(x)
                else:
                    responses[layer] = x.float() if dtype in _OF_16_BITS else x
        asked = layers if isinstance(layers, (list, tuple)) else wanted
        return {name: responses[layer] for name, layer in zip(asked, wanted, strict=True)}

    def filters(self, layer: str) -> int:
        """N_l, the number of a layer's filters."""
        return self.architecture.filters(checks.one_of("layer", layer, self.layers))

    def stride(self, layer: str) -> int:
        """How many pixels lie between two positions of a layer."""
        return self.architecture.strides[checks.one_of("layer", layer, self.layers)]

    def modules_by_layer(self) -> dict[str, nn.Module]:
        """layer -> the module that computes its responses; of a compiled network, too."""
        return dict(self._steps.items())

    def _make_steps(
        self, kernels: dict[str, Tensor], biases: dict[str, Tensor], dtype: torch.dtype
    ) -> nn.ModuleDict:
        """The layers, with copies of these numbers."""
        kernels = {part: kernel.to(dtype, copy=True) for part, kernel in kernels.items()}
        biases = {part: bias.to(dtype, copy=True) for part, bias in biases.items()}
        steps = {layer: _make_layer(layer, kernels, biases) for layer in self.layers}
        first_step = steps[self.layers[0]]
        if isinstance(first_step, ConvReLU):
            first_step.padding = self.padding
        return nn.ModuleDict(steps)

    def _apply(self, *how: Any, **options: Any) -> Network:
        """What torch moves a module with; the numbers are then chosen for where it is."""
        before = self.mean.device
        if self._chosen_by_device and self._dtype == torch.float32:
            self._in_float32 = _Shared(self._steps.named_buffers())
        super()._apply(*how, **options)
        device = self.mean.device
        if self._chosen_by_device and device != before:
            for name, buffer in list(self._steps.named_buffers()):
                layer, _, own = name.rpartition(".")
                moved = self._in_float32.get(name, buffer).to(device, DTYPES[fastest(device)])
                setattr(self._steps.get_submodule(layer), own, moved)
            self._steps._apply(lambda x: x)  # they came in the order that suits where they were
        return self

    def _pool(self, x: Tensor) -> Tensor:
        side, overlapping = self.architecture.pool_side, self.architecture.overlapping_pooling
        if self.pooling == "avg" and not overlapping:
            return average_pool(x, self.architecture.rounds_up)
        pool = fn.avg_pool2d if self.pooling == "avg" else fn.max_pool2d
        return pool(x, side, 2, ceil_mode=overlapping or self.architecture.rounds_up)

    def _check_size(self, images: Tensor, deepest: str) -> None:
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise ValueError(
                "images must be a float tensor of shape (B, 3, H, W), got "
                f"{images.dtype} of shape {tuple(images.shape)}"
            )
        height, width = images.shape[-2:]
        least = self.architecture.least_side(deepest)
        if min(height, width) < least:
            raise ValueError(
                f"a picture of {width}x{height} px is too small for {deepest}, which needs at "
                f"least {least}x{least} px; use a larger size"
            )


def _make_layer(layer: str, kernels: dict[str, Tensor], biases: dict[str, Tensor]) -> nn.Module:
    if layer == "conv1":
        return StridedConvReLU(kernels[layer], biases[layer])
    if layer in kernels:
        return ConvReLU(kernels[layer], biases[layer])
    parts = [part for part in kernels if part.startswith(f"{layer}.")]
    inner = {part: part.removeprefix(f"{layer}.") for part in parts}
    return Fire(
        {inner[part]: kernels[part] for part in parts},
        {inner[part]: biases[part] for part in parts},
    )


def block_of(layer: str) -> int:
    """The block that a layer of VGG belongs to: 4 for ``conv4_2``."""
    return int(layer[4])


@neutral()
@torch.no_grad()
def mean_activations(net: Network, images: Iterable[Tensor]) -> dict[str, Tensor]:
    """The mean response of every filter over all images and positions.

    Args:
        net: the network to measure; for normalization, a plain one.
        images: tensors (B, 3, H, W), RGB, 0..1, of any sizes.

    Returns:
        layer -> (N_l,) float32; summed in float64.
    """
    sums = dict.fromkeys(net.layers, torch.zeros((), dtype=torch.float64, device="cpu"))
    positions = dict.fromkeys(net.layers, 0)
    for image in images:
        for layer, response in net(image, net.layers).items():
            # Positions are summed on the device, pictures in float64, which Apple's GPUs lack.
            sums[layer] = sums[layer] + response.sum((2, 3)).cpu().double().sum(0)
            positions[layer] += response.shape[0] * response.shape[2] * response.shape[3]
    if not positions[net.layers[0]]:
        raise ValueError("no images were given to measure mean activations on")
    return {layer: (sums[layer] / positions[layer]).float() for layer in net.layers}


def on_device(net: Network, device: torch.device) -> Network:
    """The network itself if it is there; else a copy, because the caller goes on using theirs."""
    same_kind = net.mean.device.type == device.type
    if same_kind and device.index in (None, net.mean.device.index):
        return net
    return copy.deepcopy(net).to(device)


class _Shared(dict[str, Tensor]):
    """Numbers that copies of a network have in common, because nobody changes them."""

    def __deepcopy__(self, _: object) -> _Shared:
        return self


def _has_gpu() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available()
