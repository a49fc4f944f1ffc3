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
    """``owner.name`` is ``value``; how it was before, once the last of those who hold it has
    ended, in whatever thread."""
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


@contextlib.contextmanager
def full_products() -> Iterator[None]:
    """Products of float32 matrices are computed in float32: on a GPU not in TF32, which keeps 10
    bits, on a CPU not in bfloat16, whatever ``torch.set_float32_matmul_precision`` says."""
    backends: Any = torch.backends
    # Not the older switches: reading those raises where somebody has set one of these.
    with (
        switched(backends.cuda.matmul, "fp32_precision", "ieee"),
        switched(backends.mkldnn.matmul, "fp32_precision", "ieee"),
    ):
        yield
