"""How far something has come, where nobody looks: plain lines."""

from __future__ import annotations

from functools import partial

import pytest

from nst_utils.cli.wording import in_options
from nst_utils.support.messages import say, wording
from nst_utils.support.progress import Progress


def test_losses_in_a_line_are_not_taken_for_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """A whole number looks like one: style=201."""
    before = wording.set(partial(in_options, known={"style", "tile"}))
    try:
        with Progress("style transfer") as progress:
            progress.show(1, 300, "step=1/300, style=201, total=269")
        say("use tiles (tile=512)")
    finally:
        wording.reset(before)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "nst: style transfer: 0 %, step=1/300, style=201, total=269"
    assert second == "nst: use tiles (--tile 512)"
