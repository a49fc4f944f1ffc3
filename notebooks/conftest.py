"""What nbval does not look at: whether a cell shows as many pictures as it does in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest


def pictures(outputs: Sequence[dict[str, Any]]) -> int:
    return sum("image/" in str([*output.get("data", {})]) for output in outputs)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Iterator[None]:
    yield
    if getattr(item, "test_outputs", None) is not None:  # a cell, and it was run
        shown, expected = pictures(item.test_outputs), pictures(item.cell.outputs)
        assert shown >= expected, f"{shown} pictures are shown, not {expected}"
