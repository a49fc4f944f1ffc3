"""The layers of SqueezeNet 1.1 (Iandola et al. 2016), frozen."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as fn


class StridedConvReLU(nn.Module):
    """``conv1``: every second position, nothing added at the borders, then a ReLU.

    Args:
        kernel: (N, 3, 3, 3). bias: (N,). They set device and precision.
    """

    kernel: Tensor
    bias: Tensor

    def __init__(self, kernel: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("kernel", kernel)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, N, (H - 1) // 2, (W - 1) // 2)."""
        return fn.conv2d(x, self.kernel, self.bias, stride=2).relu()


class Fire(nn.Module):
    """A ``fire`` module: few filters of 1x1, then many of 1x1 and of 3x3 side by side, all ReLU.

    Args:
        kernels, biases: of ``squeeze``, ``expand1x1`` and ``expand3x3``.
    """

    def __init__(self, kernels: Mapping[str, Tensor], biases: Mapping[str, Tensor]) -> None:
        super().__init__()
        for part in ("squeeze", "expand1x1", "expand3x3"):
            self.register_buffer(f"{part}_kernel", kernels[part])
            self.register_buffer(f"{part}_bias", biases[part])

    def forward(self, x: Tensor) -> Tensor:
        """(B, N_before, H, W) -> (B, N, H, W)."""
        squeezed = self._convolve(x, "squeeze").relu()
        expanded = [self._convolve(squeezed, part) for part in ("expand1x1", "expand3x3")]
        return torch.cat(expanded, dim=1).relu()

    def _convolve(self, x: Tensor, part: str) -> Tensor:
        kernel = self.get_buffer(f"{part}_kernel")
        return fn.conv2d(x, kernel, self.get_buffer(f"{part}_bias"), padding=kernel.shape[2] // 2)
