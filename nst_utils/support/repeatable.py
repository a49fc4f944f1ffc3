"""The same bits on a GPU each time: torch's switches for that, for as long as a run lasts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch

from nst_utils.support.switches import switched

# What cuBLAS is told to work in, so that products come out the same: NVIDIA's names for it.
_VARIABLE, _VALUES = "CUBLAS_WORKSPACE_CONFIG", (":4096:8", ":16:8")


class _Algorithms:
    """A switch of torch's that has functions of its own, as an attribute."""

    @property
    def mode(self) -> int:
        return torch.get_deterministic_debug_mode()

    @mode.setter
    def mode(self, mode: int) -> None:
        torch.set_deterministic_debug_mode(mode)


_ALGORITHMS, _ERRORS = _Algorithms(), 2


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    """Runs on an NVIDIA GPU repeat themselves bit for bit, on the same card with the same torch::

        with nst.deterministic():
            result = nst.transfer(content, style)

    A run that is taken up from its checkpoint ends the same, too, where all of it was made so. On a
    CPU, nothing changes. Inside, torch takes no method whose sums depend on chance, and cuDNN does
    not try which method is the fastest; both is as it was afterwards. It takes longer; how much was
    not measured. What a GPU can only do the other way (max pooling) ends in a sentence.

    Raises:
        ValueError: the GPU is in use already, and cuBLAS was not told before to do the same.
    """
    _tell_cublas()
    cudnn: Any = torch.backends.cudnn
    memory: Any = torch.utils.deterministic
    with (
        switched(_ALGORITHMS, "mode", _ERRORS),
        switched(cudnn, "deterministic", True),
        switched(cudnn, "benchmark", False),
        switched(memory, "fill_uninitialized_memory", False),  # which nothing here reads
    ):
        yield


def is_asked_for() -> bool:
    """Whether somebody wants the same bits each time, with :func:`deterministic` or by torch's own
    switches."""
    return torch.are_deterministic_algorithms_enabled() or torch.backends.cudnn.deterministic


def _tell_cublas() -> None:
    """It reads the variable once, when it is used for the first time; so it is left set."""
    if not torch.cuda.is_available() or os.environ.get(_VARIABLE) in _VALUES:
        return
    if torch.cuda.is_initialized():
        raise ValueError(
            "the GPU is in use already, and its products of matrices may differ from run to run; "
            f"begin with deterministic, or start Python with {_VARIABLE}={_VALUES[0]}"
        )
    os.environ[_VARIABLE] = _VALUES[0]
