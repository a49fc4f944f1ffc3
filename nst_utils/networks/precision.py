"""What the convolutions compute in: the fastest numbers of a device, and how float16 holds them.

float16 has a short range, from 6e-8 to 65504. Responses of a normalized network are about 1, but
the gradient of a loss that is a mean over a million responses is about 1e-9, which would vanish. So
on its way back it is multiplied by a power of two, that of each picture by its own, which is found
anew from the gradient itself: at each layer that has a loss, and at each pooling. There it is
float32, so nothing is lost by it; and since nothing is remembered, one that was too large for once
does no harm to the next. Nothing here looks at a value from Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

# By name; "auto" is the one of these that :func:`fastest` names.
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# The greatest value of a gradient becomes 2^5 to 2^6. That leaves 2^10 for it to grow until it is
# scaled again, and 2^-30 for what is smaller than the greatest.
_GREATEST = 5


def fastest(device: torch.device) -> str:
    """The precision that takes least time on a device; on no GPU this was measured so far.

    NVIDIA's GPUs multiply bfloat16 from compute capability 8.0 on, and float16 from 7.0 on. Of
    Apple's GPUs not all have bfloat16. Processors that do not have it emulate it, at a loss.
    """
    if device.type == "cuda":
        major, _ = torch.cuda.get_device_capability(device)
        return "bfloat16" if major >= 8 else "float16" if major == 7 else "float32"
    if device.type == "cpu" and has_fast_bfloat16():
        return "bfloat16"
    return "float32"


def has_fast_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself."""
    able: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def layout(device: torch.device) -> torch.memory_format:
    """How responses lie in memory: values of one position side by side, which is what convolutions
    of many filters work on, but for Apple's GPUs."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def told(dtype: torch.dtype, device: torch.device) -> str:
    """The numbers of the convolutions in words, TF32 included."""
    name = str(dtype).removeprefix("torch.")
    if dtype == torch.float16:
        return f"{name} with scaled gradients"
    if dtype == torch.float32 and device.type == "cuda" and _takes_tf32(device):
        return f"{name} with TF32"
    return name


def _takes_tf32(device: torch.device) -> bool:
    """Whether torch lets cuDNN round what convolutions multiply to 10 bits, and the GPU can."""
    major, _ = torch.cuda.get_device_capability(device)
    # The older switch, allow_tf32, cannot be read where somebody has set this newer one.
    switch: Any = torch.backends.cudnn
    return major >= 8 and switch.conv.fp32_precision == "tf32"


class Scaling:
    """Of one pass of pictures through a network in float16: what its gradient is multiplied by."""

    def __init__(self) -> None:
        self._scale: Tensor | None = None  # (B, 1, 1, 1), float32, where the gradient is now

    def enter(self, x: Tensor) -> Tensor:
        """(B, C, H, W) float32 to float16; the gradient that comes out of it is the true one."""
        return _Enter.apply(x, self)

    def between(self, x: Tensor) -> Tensor:
        """Here the gradient is scaled anew."""
        return _Between.apply(x, self)

    def branch(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The response itself, for the layers after it, and in float32 for a loss."""
        return _Branch.apply(x, self)

    def scaled(self, gradient: Tensor) -> Tensor:
        """(B, N, H, W), float32 to float16, by powers of two that are kept."""
        greatest = torch.linalg.vector_norm(gradient, torch.inf, (1, 2, 3), keepdim=True)
        # In float32 the exponent, and 127, is in the bits above the 23 of the fraction. What is 0
        # or not finite stays that with any scale that is neither.
        exponent = _GREATEST + 254 - (greatest.view(torch.int32) >> 23)
        self._scale = (exponent.clamp(27, 227) << 23).view(torch.float32)
        return (gradient * self._scale).half()

    def unscaled(self, gradient: Tensor) -> Tensor:
        """The true one, in float32."""
        assert self._scale is not None
        return gradient.float() / self._scale


class _Enter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scaling: Scaling) -> Tensor:
        ctx.scaling = scaling
        return x.to(torch.float16, memory_format=layout(x.device))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.scaling.unscaled(gradient), None


class _Between(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scaling: Scaling) -> Tensor:
        ctx.scaling = scaling
        return x.view_as(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.scaling.scaled(ctx.scaling.unscaled(gradient)), None


class _Branch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scaling: Scaling) -> tuple[Tensor, Tensor]:
        ctx.scaling = scaling
        ctx.set_materialize_grads(False)
        return x.view_as(x), x.float()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, deeper: Tensor | None, response: Tensor | None
    ) -> tuple[Tensor | None, None]:
        parts = [] if response is None else [response]
        if deeper is not None:
            parts.append(ctx.scaling.unscaled(deeper))
        return (ctx.scaling.scaled(sum(parts[1:], parts[0])) if parts else None), None
