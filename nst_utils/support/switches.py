"""Torch's switches for the whole process, set for a while and put back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch

_lock = threading.Lock()
_held: dict[tuple[int, str], tuple[int, Any]] = {}  # by how many, and how it was before


@contextlib.contextmanager
def switched(owner: Any, name: str, value: object) -> Iterator[None]:
    """Set ``owner.name`` to ``value``; set it back when the last holder, of any thread, leaves."""
    key = (id(owner), name)
    with _lock:
        users, before = _held.get(key, (0, getattr(owner, name)))
        _held[key] = users + 1, before
        setattr(owner, name, value)
    try:
        yield
    finally:
        with _lock:
            users, before = _held.pop(key)
            if users > 1:
                _held[key] = users - 1, before
            else:
                setattr(owner, name, before)


# Of these, not the older switches, reading which raises where somebody has set one of these.
_BACKENDS: Any = torch.backends
_FULL = "ieee"


@contextlib.contextmanager
def full_products() -> Iterator[None]:
    """Products of float32 matrices on an NVIDIA GPU are computed in float32, and not in TF32, which
    keeps 10 bits, whatever ``torch.set_float32_matmul_precision`` says."""
    with switched(_BACKENDS.cuda.matmul, "fp32_precision", _FULL):
        yield


@contextlib.contextmanager
def full_on_processor() -> Iterator[None]:
    """On a CPU, products and convolutions of float32 are computed in float32, and not in bfloat16,
    which the same function allows there."""
    with (
        switched(_BACKENDS.mkldnn.matmul, "fp32_precision", _FULL),
        switched(_BACKENDS.mkldnn.conv, "fp32_precision", _FULL),
    ):
        yield
