"""What is done first of all where memory ran out."""

from __future__ import annotations

import gc

import torch


def give_back() -> None:
    """What nobody uses any more is freed. Not while the error is handled that told of it: that
    holds on to what was computed so far."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
