"""How far something has come, on standard error: a bar, or plain lines where nobody looks."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any

from tqdm.auto import tqdm

from nst_utils.support.messages import STDERR, print_line, silent

_IN_NOTEBOOK = any(each.__module__ == "tqdm.notebook" for each in tqdm.__mro__)
_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
_TENTHS = 10  # a line after the first piece of the work, then one for each of so many parts


class Progress:
    """A bar in a notebook or a terminal; elsewhere, as in a log, a line each 10 %.

    A context. Whatever is wrong with the place where it is shown, the work goes on.

    Args:
        what: the name of the work. shown: ``False`` shows nothing.
    """

    def __init__(self, what: str, *, shown: bool = True) -> None:
        self._what = what
        self._shown = shown and not silent.get()
        self._as_bar = _IN_NOTEBOOK or STDERR.isatty()
        self._bar: Any = None
        self._last = -1  # the last tenth that was told of

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            with contextlib.suppress(Exception):
                self._bar.close()

    def show(self, done: float, total: float | None, told: str = "") -> None:
        """So much is done, of so much in the same unit (``None``: unknown); ``told`` stands
        beside it."""
        if not self._shown:
            return
        if not self._as_bar:
            self._show_line(done, total, told)
            return
        with contextlib.suppress(Exception):  # of a front end that is gone
            self._show_bar(done, total, told)

    def _show_bar(self, done: float, total: float | None, told: str) -> None:
        if self._bar is None:
            where = {} if _IN_NOTEBOOK else {"file": STDERR, "dynamic_ncols": True}
            how = {"bar_format": _FORMAT} if total is not None else {}
            self._bar = tqdm(
                total=total, initial=done, desc=self._what, mininterval=0.5, **how, **where
            )
        if told:
            self._bar.set_postfix_str(told, refresh=False)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def _show_line(self, done: float, total: float | None, told: str) -> None:
        share = done / total if total else 0.0
        if done and int(_TENTHS * share) > self._last:
            self._last = int(_TENTHS * share)
            percent = f"{100 * share:.0f} %" if total else ""
            # As it is: "style=201" is a loss here, not a setting.
            print_line(f"{self._what}: {', '.join(filter(None, (percent, told)))}")
