"""A device that is not there: tensors that claim to be on it and hold their values on the CPU.

What would fail on a GPU fails here: tensors of two devices in one operation, float64 where the
device has none. What would be slow there is counted: operations, and waits for the device, which is
whenever a value is read from it or is brought to it from memory that the system may move.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

NAME = "pretended"
# Operations that give values to Python, and those that bring them from one device to another.
READS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2"}
# What a GPU does by chance, or, where the same bits are asked for, in a way that some versions of
# torch cannot record.
UNRECORDED = re.compile("_?index_put|_?scatter|index_(add|copy)|put|cumsum|nonzero|masked_s")
MOVES = {"_to_copy", "copy_", "_copy_from", "set_"}


def can_be_had() -> bool:
    """Whether this torch lets Python pretend to be a device."""
    return hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend")


def register() -> None:
    """Make the device known; before anything is differentiated, since then autograd counts them."""
    if can_be_had() and not _MADE:
        torch.utils.backend_registration._setup_privateuseone_for_python_backend(NAME)
        _MADE.append(torch.library.Library("aten", "IMPL"))
        _MADE[0].impl("empty.memory_format", _empty, "PrivateUse1")
        _MADE[0].impl("empty_strided", _empty_strided, "PrivateUse1")
        _MADE[0].impl("_copy_from", _copy_from, "PrivateUse1")


_MADE: list[torch.library.Library] = []


def _empty(size: Any, *, dtype: Any = None, **_: Any) -> There:
    return There(torch.empty(size, dtype=dtype, device="cpu"))


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> There:
    return There(torch.empty_strided(size, stride, dtype=dtype, device="cpu"))


def _copy_from(source: Tensor, target: Tensor, _: bool = False) -> Tensor:
    """How torch itself brings a tensor from one device to another."""
    both = (source, target)
    if _NOW and not all(isinstance(x, There) for x in both):
        _NOW[-1].waits["_copy_from"] += 1
    values, into = (x.held if isinstance(x, There) else x for x in both)
    into.copy_(values)
    return target


_NOW: list[Pretended] = []


class There(Tensor):
    """A tensor on the device that is not there."""

    held: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> There:
        return Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=torch.device(NAME, 0),
        )

    def __init__(self, values: Tensor) -> None:
        self.held = values

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise RuntimeError("an operation on the device outside of the test's context")


class Pretended(TorchDispatchMode):
    """While this lasts, the device is there.

    Attributes:
        operations: by name, how many there were, without those that only view values otherwise.
        waits: by name, those that wait for the device.
    """

    def __init__(self, *, float64: bool = True) -> None:
        super().__init__()
        self._float64 = float64
        self.operations: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name.removeprefix("aten::")
        flat = pytree.arg_tree_leaves(*args, **kwargs)
        there = [x for x in flat if isinstance(x, There)]
        # A single number may stand beside tensors of any device, but to bring it takes as long.
        alone = name in MOVES
        here = [
            x
            for x in flat
            if isinstance(x, Tensor) and not isinstance(x, There) and (x.ndim or alone)
        ]
        asked = kwargs.get("device")
        on_device = bool(there) if asked is None else torch.device(asked).type == NAME
        if not there and not on_device:
            return func(*args, **kwargs)
        indexes = name.lstrip("_").startswith("index")
        if there and here and not indexes and name not in MOVES:
            raise RuntimeError(f"{name}: tensors on the CPU and on {NAME} in one operation")
        self.operations[name] += not func.is_view
        masks = indexes and any(x.dtype == torch.bool for x in there[1:])
        brings = (indexes or name in MOVES) and bool(here if on_device else there)
        if name in READS or masks or brings:
            self.waits[name] += 1
        if asked is not None:
            kwargs["device"] = torch.device("cpu")
        args, kwargs = pytree.tree_map_only(There, lambda x: x.held, (args, kwargs))
        if (
            name == "_conj"
        ):  # a mark on the tensor, of which what is called below here knows nothing
            func = torch.ops.aten.conj_physical.default
        made = func(*args, **kwargs)
        if not on_device or name in READS - {"nonzero", "masked_select", "_unique2"}:
            return made
        known = {id(x.held): x for x in there}  # what is changed in place stays itself
        return pytree.tree_map_only(
            Tensor, lambda x: known[id(x)] if id(x) in known else self._put(x), made
        )

    def _put(self, values: Tensor) -> There:
        if values.dtype == torch.float64 and not self._float64:
            raise TypeError(f"{NAME} has no float64")
        return There(values)


@contextlib.contextmanager
def pretended(*, float64: bool = True) -> Iterator[Pretended]:
    """The device is there, and everything on it is counted."""
    with Pretended(float64=float64) as device:
        _NOW.append(device)
        yield device
        _NOW.remove(device)
