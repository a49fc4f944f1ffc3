"""Convolution with ReLU, and pooling: what a feature network spends its time on.

The network is frozen, so a gradient is only ever taken towards the picture. For that the weights
are needed and where the ReLU let something through, not the responses: one byte is kept for each
value, and the gradient of a convolution is again a convolution, with the kernels turned over.

On a CPU in float32, kernels of many filters are applied by Winograd's minimal filtering (Lavin &
Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016): 2.25 multiplications for
each value and filter where the definition takes 9. It is the same convolution, up to float32
rounding. The libraries of GPUs choose such methods themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from nst_utils.networks.precision import layout

# F(4x4, 3x3) of Lavin & Gray, section 4.3, from the points 0, 1, -1, 2, -2 and infinity. In each
# dimension these transform the 6 values of a patch (there: a tile) of the input, the 3 of a kernel,
# and give the 4 of the output.
_INPUT = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_KERNEL = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_OUTPUT = [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
]
# With fewer filters the transforms cost what they save; with fewer positions, reading the kernels,
# which are four times as large in Winograd's basis (benchmarks/README.md).
_LEAST_FILTERS, _LEAST_POSITIONS = 128, 200
# Values worked on at once, so that they stay in the processor's cache (4 MB).
_STRIP = 1_000_000


class ConvReLU(nn.Module):
    """A frozen 3x3 convolution and its ReLU.

    Args:
        kernel: (N, N_before, 3, 3). bias: (N,). They set device and precision.
        padding: what stands around the input: ``"zeros"``, or ``"nearest"``, its own edge again.
    """

    kernel: Tensor
    bias: Tensor

    def __init__(self, kernel: Tensor, bias: Tensor, padding: str = "zeros") -> None:
        super().__init__()
        self.register_buffer("kernel", kernel.contiguous(memory_format=layout(kernel.device)))
        self.register_buffer("bias", bias)
        self.padding = padding
        self._transformed: Tensor | None = None

    def _apply(self, *how: Any, **options: Any) -> ConvReLU:
        """What torch moves a module with."""
        super()._apply(*how, **options)
        self.kernel = self.kernel.contiguous(memory_format=layout(self.kernel.device))
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Without the kernels in Winograd's basis, which a copy on a GPU has no use for."""
        return self.__dict__ | {"_transformed": None}

    def forward(self, x: Tensor) -> Tensor:
        """(B, N_before, H, W) -> (B, N, H, W), nowhere below 0."""
        if torch.is_grad_enabled() and x.requires_grad:
            return _ConvReLU.apply(x, self)
        return self.convolve(x).clamp_min_(0)

    def convolve(self, x: Tensor) -> Tensor:
        """The convolution, without the ReLU."""
        zeros = 1
        if self.padding == "nearest":
            x, zeros = fn.pad(x, (1, 1, 1, 1), mode="replicate"), 0
        if self._suits_winograd(x):
            y = winograd(x, self._in_basis(), zeros)
            return y.add_(self.bias.view(1, -1, 1, 1))
        return fn.conv2d(x, self.kernel, self.bias, padding=zeros)

    def towards_input(self, gradient: Tensor) -> Tensor:
        """From the gradient at the convolution's output, (B, N, H, W), the one at its input."""
        zeros = 2 if self.padding == "nearest" else 1  # 2: towards the padded input
        if self._suits_winograd(gradient):
            found = winograd(gradient, self._in_basis().mT, zeros, turned=True)
        else:
            found = fn.conv_transpose2d(gradient, self.kernel, padding=2 - zeros)
        return _fold_edge(_fold_edge(found, 2), 3) if self.padding == "nearest" else found

    def _suits_winograd(self, x: Tensor) -> bool:
        filters, before = self.kernel.shape[:2]
        return (
            x.device.type == "cpu"
            and x.dtype == self.kernel.dtype == torch.float32
            and transformed_bytes(filters, before, x.shape[2] * x.shape[3]) > 0
            and min(x.shape[2:]) >= 4
        )

    def _in_basis(self) -> Tensor:
        """The kernels in Winograd's basis; made once, when first needed."""
        if self._transformed is None:
            self._transformed = transform_kernel(self.kernel)
        return self._transformed


class _ConvReLU(torch.autograd.Function):
    """Keeps nothing but where the ReLU is open, the "0 where F_ij < 0" of eq. 2 and 6."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: ConvReLU) -> Tensor:
        # Detached, or what torch 2.11 compiles gives no gradient: it was changed in place.
        y = layer.convolve(x).clamp_min_(0).detach()
        ctx.save_for_backward(y > 0)
        ctx.layer = layer
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (is_open,) = ctx.saved_tensors
        # In this order, because the product lies in memory as its first factor does.
        return ctx.layer.towards_input(is_open * gradient), None


def _fold_edge(padded: Tensor, dim: int) -> Tensor:
    """Add what lies one position beyond either end to the end: the way back through padding."""
    inner = padded.narrow(dim, 1, padded.shape[dim] - 2).clone()
    inner.narrow(dim, 0, 1).add_(padded.narrow(dim, 0, 1))
    inner.narrow(dim, -1, 1).add_(padded.narrow(dim, -1, 1))
    return inner


class _AveragePool(torch.autograd.Function):
    """Keeps nothing but the size."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rounds_up: bool) -> Tensor:
        ctx.size, ctx.rounds_up = x.shape[2:], rounds_up
        return fn.avg_pool2d(x, 2, ceil_mode=rounds_up)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        height, width = ctx.size
        spread = fn.interpolate(gradient / 4, scale_factor=2, mode="nearest")
        if not (height % 2 or width % 2):
            return spread, None
        if not ctx.rounds_up:  # the last odd row or column had no part in it
            return fn.pad(spread, (0, width % 2, 0, height % 2)), None
        spread = fn.pad(spread, (0, -(width % 2), 0, -(height % 2)))
        if height % 2:  # it was averaged over half as many
            spread[:, :, -1:] *= 2
        if width % 2:
            spread[:, :, :, -1:] *= 2
        return spread, None


def average_pool(x: Tensor, rounds_up: bool = False) -> Tensor:
    """The mean of each 2x2 positions, (B, N, H, W) -> (B, N, H / 2, W / 2).

    A last odd row or column is left out, or with ``rounds_up`` averaged by itself.
    """
    return _AveragePool.apply(x, rounds_up)


def transformed_bytes(filters: int, before: int, positions: int) -> int:
    """What a kernel takes up in Winograd's basis; 0 where that is not used for so many positions
    of the layer."""
    is_used = min(filters, before) >= _LEAST_FILTERS and positions >= _LEAST_POSITIONS
    return 36 * filters * before * 4 if is_used else 0


def transform_kernel(kernel: Tensor) -> Tensor:
    """(N, N_before, 3, 3) -> (36, N_before, N), for :func:`winograd`."""
    filters, before = kernel.shape[:2]
    basis = kernel.new_tensor(_KERNEL)
    values = kernel.permute(2, 3, 1, 0).reshape(9, -1)
    return (torch.kron(basis, basis) @ values).view(36, before, filters)


def winograd(x: Tensor, kernel: Tensor, zeros: int = 1, *, turned: bool = False) -> Tensor:
    """A 3x3 convolution, by F(4x4, 3x3) of Lavin & Gray.

    Args:
        x: (B, N_before, H, W), float32. kernel: (36, N_before, N), see :func:`transform_kernel`.
        zeros: how many stand around ``x`` on each side: p, from 0 to 2.
        turned: with the kernel turned by 180 degrees. So the way back needs no kernels of its own:
            those of the way there, transposed, will do.

    Returns:
        (B, N, H + 2 p - 2, W + 2 p - 2), channels last.
    """
    batch, before, *size = x.shape
    filters = kernel.shape[2]
    height, width = (side + 2 * zeros - 2 for side in size)
    rows, columns = -(-height // 4), -(-width // 4)  # of patches
    beyond = [4 * n + 2 - zeros - side for n, side in zip((rows, columns), size, strict=True)]
    border = (0, 0, zeros, beyond[1], zeros, beyond[0])
    padded = fn.pad(x.permute(0, 2, 3, 1), border).contiguous()
    # A turned kernel on a patch is the kernel on the turned patch, which gives turned outputs.
    into = [row[::-1] for row in _INPUT] if turned else _INPUT
    out_of = _OUTPUT[::-1] if turned else _OUTPUT
    y = x.new_empty(batch, rows, 4, columns, 4, filters)
    image_stride, row_stride, column_stride, _ = padded.stride()
    strides = (row_stride, column_stride, 4 * row_stride, 4 * column_stride, 1)
    # Kernels of many filters take up memory themselves: they are read less often.
    values = max(_STRIP, kernel.numel() // 2)
    strip = min(rows, max(1, values // (columns * 36 * (before + filters))))
    for image in range(batch):
        for first in range(0, rows, strip):
            n = min(strip, rows - first)
            offset = image * image_stride + 4 * first * row_stride
            patches = padded.as_strided((6, 6, n, columns, before), strides, offset)
            patches = _in_both_dimensions(into, patches.reshape(6, 6, -1))
            products = patches.view(36, n * columns, before) @ kernel
            outputs = _in_both_dimensions(out_of, products.view(6, 6, -1))
            outputs = outputs.view(4, 4, n, columns, filters)
            y[image, first : first + n] = outputs.permute(2, 0, 3, 1, 4)
    y = y.view(batch, rows * 4, columns * 4, filters)
    return y[:, :height, :width].permute(0, 3, 1, 2)


def _in_both_dimensions(matrix: Sequence[Sequence[float]], patches: Tensor) -> Tensor:
    """(k, k, n) -> (m, m, n): an (m, k) matrix applied to the rows and columns of each patch."""
    basis = patches.new_tensor(matrix)
    once = (basis @ patches.flatten(1)).view(len(basis), *patches.shape[1:])
    return basis @ once
