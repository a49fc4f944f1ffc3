"""Checks of what users pass in: every message is one sentence that says what to do."""

from __future__ import annotations

import difflib
import math
import re
import reprlib
import sys
from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from nst_utils.support.messages import one_line

if TYPE_CHECKING:  # names, numbers and sentences do without torch, which takes seconds to load
    import torch
    from torch import Tensor

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80


def shown(value: object) -> str:
    """A value as a message shows it: short and on one line, a tensor by its shape.

    >>> import torch
    >>> shown("lbgfs"), shown(torch.ones(2, 3)), shown(list(range(100)))
    ("'lbgfs'", 'a tensor of shape (2, 3)', '[0, 1, 2, 3, 4, 5, ...]')
    """
    if _is_tensor(value) and value.ndim:
        return f"a tensor of shape {tuple(value.shape)}"
    text = " ".join(_short.repr(value).split())
    return text if len(text) <= 90 else f"{text[:80]} ..."


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """The sentence for an unknown name, with the nearest known one.

    >>> unknown("layer", "conv42", ["conv4_1", "conv4_2"])
    "unknown layer 'conv42'; did you mean 'conv4_2'? Known: conv4_1, conv4_2"
    """
    options = list(known)
    text = str(name) if isinstance(name, (str, Path)) else shown(name)
    near = difflib.get_close_matches(text, options, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"unknown {what} '{' '.join(text.split())}'; {hint}Known: {', '.join(options)}"


def one_of(what: str, name: object, known: Sequence[str]) -> str:
    """Return ``name`` if it is known, else raise ``ValueError`` with a suggestion."""
    if not isinstance(name, str) or name not in known:
        raise ValueError(unknown(what, name, known))
    return name


def count(what: str, value: object, least: int = 1, most: float = math.inf) -> int:
    """Return ``value`` as an int from ``least`` to ``most``, else raise ``ValueError``."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)  # NumPy's integers too
    if not whole or not least <= int(value) <= most:  # type: ignore[call-overload]
        limits = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{what} must be a whole number {limits}, got {shown(value)}")
    return int(value)  # type: ignore[call-overload]


def weight(what: str, value: object) -> float:
    """Return ``value`` as a finite float that is not negative, else raise ``ValueError``."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise ValueError(f"{what} must be a number, got {shown(value)}") from None
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{what} must be a finite number of at least 0, got {value!r}")
    if number and not 1e-30 <= number <= 1e30:  # or the losses leave what floats can hold
        raise ValueError(f"{what} must be 0 or from 1e-30 to 1e30, got {value!r}")
    return number


def is_several(value: object) -> TypeGuard[Iterable[Any]]:
    """Whether these are several values; a text or a tensor is one."""
    if isinstance(value, (str, bytes)) or _is_tensor(value):
        return False
    try:
        iter(value)  # type: ignore[call-overload]
    except TypeError:  # NumPy's arrays without dimensions too, which say that they can be iterated
        return False
    return True


def flag(what: str, value: object) -> bool:
    """Return ``value`` as ``True`` or ``False``, else raise ``ValueError``."""
    try:
        return bool(value)
    except (TypeError, ValueError, RuntimeError):  # of several values
        raise ValueError(f"{what} must be True or False, got {shown(value)}") from None


def function(what: str, value: object) -> None:
    """Raise ``ValueError`` for anything but ``None`` or what can be called."""
    if value is not None and not callable(value):
        raise ValueError(f"{what} must be a function or None, got {shown(value)}")


def images(what: str, value: object) -> Tensor:
    """Return ``value`` if it is a float tensor (B, 3, H, W) of finite numbers, else raise."""
    import torch

    if not isinstance(value, torch.Tensor) or value.ndim != 4 or value.shape[1] != 3:
        got = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise ValueError(
            f"{what} must be a tensor of shape (B, 3, H, W) as load_image gives it, got {got}"
        )
    if value.layout != torch.strided or value.is_meta:
        raise ValueError(f"{what} must be a dense tensor with values; load the picture again")
    if not value.is_floating_point():
        raise ValueError(f"{what} must hold floats from 0 to 1, got {value.dtype}")
    if not value.numel():
        raise ValueError(f"{what} is empty, of shape {tuple(value.shape)}; load the picture again")
    if not torch.isfinite(value).all():
        raise ValueError(f"{what} holds NaN or infinite values; load the picture again")
    return value.clone() if value.is_inference() else value  # or no gradient could pass it


def pictures(what: str, value: object) -> Tensor:
    """Return ``value`` if it is pictures, (B, 3, H, W), 0..1, else raise ``ValueError``."""
    found = images(what, value)
    low, high = (float(value) for value in found.detach().aminmax())
    if low < -0.1 or high > 1.1:  # a little over, as resizing may leave it, does no harm
        raise ValueError(
            f"{what} holds values from {low:g} to {high:g}; scale it to 0..1, for instance by "
            "dividing by 255"
        )
    return found


def one_image(what: str, value: object) -> Tensor:
    """Return ``value`` if it is a single picture, (1, 3, H, W), 0..1, else raise ``ValueError``."""
    picture = pictures(what, value)
    if picture.shape[0] != 1:
        raise ValueError(
            f"{what} holds {picture.shape[0]} pictures, (B, 3, H, W); give one, for instance "
            f"{what}[:1], or a list of pictures where several are allowed"
        )
    return picture


def device(name: str | torch.device = "auto") -> torch.device:
    """Turn ``"auto"``, ``"cpu"``, ``"cuda"`` (or ``"cuda:1"``) or ``"mps"`` into a device.

    ``"auto"`` takes CUDA, then Apple's MPS, then the CPU. Raises ``ValueError`` with the way out
    where the device is unknown or not there.
    """
    is_name = isinstance(name, (str, *_of_torch("device")))
    name = str(name) if is_name else shown(name)
    kind, _, index = name.partition(":")
    one_of("device", kind, ("auto", "cpu", "cuda", "mps"))
    if name != kind and (kind == "auto" or not index.isdecimal()):
        raise ValueError(f"device '{name}' is not there; use 'auto', 'cpu', 'cuda' or 'cuda:1'")
    import torch

    if kind == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device '{name}' is not available here; use 'auto' or 'cpu'")
    if kind == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"device '{name}' is not available here; use 'auto' or 'cpu'")
        if index and int(index) >= torch.cuda.device_count():
            raise ValueError(
                f"device '{name}' is not there; this machine has cuda:0 to "
                f"cuda:{torch.cuda.device_count() - 1}"
            )
    return torch.device(name)


def _of_torch(name: str) -> tuple[type, ...]:
    """A class of torch, as ``isinstance`` takes it; none where torch is not loaded, since then
    nothing can be of it."""
    found = getattr(sys.modules.get("torch"), name, None)
    return () if found is None else (found,)


def _is_tensor(value: object) -> TypeGuard[Tensor]:
    return isinstance(value, _of_torch("Tensor"))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the machine or of a GPU."""
    # torch raises plain RuntimeErrors, and passes on what C++ and oneDNN call it.
    words = (
        "allocate memory|out of memory|bad_alloc|could not (create|execute) a primitive$"
        r"|CU[A-Z]+_(\w+_)?ALLOC(ATION)?_FAILED"  # cuBLAS, cuDNN, cuFFT, cuSOLVER
        # What they say where there is too little for them to begin with.
        "|CU[A-Z]+_STATUS_NOT_INITIALIZED|CUFFT_INTERNAL_ERROR"
        "|was unable to find an engine"  # cuDNN, whose plans all had too little
    )
    of_torch = isinstance(error, RuntimeError) and re.search(words, str(error))
    return isinstance(error, MemoryError) or bool(of_torch)


def explain(error: BaseException) -> str | None:
    """One line for the user on an error that a run ended with; ``None`` for a bug of ours."""
    if isinstance(error, (ValueError, OSError)):
        return one_line(error, whole=True)
    if is_out_of_memory(error):
        return "there is not enough memory for this; use a smaller size, for instance size=256"
    if isinstance(error, RuntimeError) and "not have a deterministic impl" in str(error):
        return (
            f"the GPU cannot do this the same way each time ({one_line(error)}); leave "
            'deterministic out, or, where it is about max_pool, take pooling="avg"'
        )
    # torch raises these where a device is at fault; NotImplementedError, what Apple's GPUs lack.
    if isinstance(error, (NotImplementedError, *_of_torch("AcceleratorError"))):
        return f'the device could not do this ({one_line(error)}); use the CPU (device="cpu")'
    return None
