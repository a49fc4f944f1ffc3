"""What the caller has set in torch for the moment does not change what is computed here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from nst_utils.support.switches import full_on_processor


@contextlib.contextmanager
def neutral() -> Iterator[None]:
    """No inference mode, whose tensors cannot be used outside of it, no autocast, and on a CPU no
    products in fewer bits than the numbers have.

    A context, and a decorator for what users call. Defaults of dtype and device are not touched:
    every tensor here is made with its own.
    """
    with (
        torch.inference_mode(False),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
        full_on_processor(),
    ):
        yield
