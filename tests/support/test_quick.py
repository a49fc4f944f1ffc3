"""Quick mode shrinks, and says so once."""

from __future__ import annotations

import pytest

from nst_utils.support import quick


@pytest.fixture(autouse=True)
def not_announced_yet() -> None:
    quick._announce.cache_clear()


@pytest.mark.parametrize("value", ["1", "yes"])
def test_quick_mode_shrinks_and_says_so_once(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NST_QUICK", value)
    assert quick.is_quick()
    assert [quick.quick_size(size) for size in (16, 64, 65, 512)] == [16, 64, 64, 64]
    assert [quick.quick_steps(steps) for steps in (1, 6, 7, 300)] == [1, 6, 6, 6]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "NST_QUICK is set: pictures of at most 64 px, at most 6 steps" in err


@pytest.mark.parametrize("value", [None, "", "0"])
def test_otherwise_nothing_is_shrunk_or_said(
    value: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NST_QUICK", raising=False)
    if value is not None:
        monkeypatch.setenv("NST_QUICK", value)
    assert not quick.is_quick()
    assert quick.quick_size(512) == 512
    assert quick.quick_steps(300) == 300
    assert capsys.readouterr() == ("", "")
