"""Run a notebook in plain Python, for machines that have neither Jupyter nor IPython.

A machine that is lent with a GPU often has torch and matplotlib and nothing else. What a cell
prints, shows or ends with becomes its outputs, as in Jupyter. Widgets have nobody to draw them, so
the studio is not for this; and of IPython's own commands there is only ``%pip``, which does nothing
here.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import linecache
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

Output = dict[str, Any]


class Recorder(io.TextIOBase):
    """The outputs of one cell, in the order in which they come; standard output while it runs."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """All that a cell prints is one output, as the notebooks are rendered otherwise."""
        streams = [output for output in self.outputs if output["output_type"] == "stream"]
        if streams:
            streams[0]["text"] += text
        elif text:
            self.outputs.append({"output_type": "stream", "name": "stdout", "text": text})
        return len(text)

    def display(
        self, *values: Any, metadata: dict[str, Any] | None = None, raw: bool = False, **_: Any
    ) -> None:
        """``IPython.display.display``, of values or of the data of one as it is (``raw``)."""
        for value in values:
            if raw:
                self._add("display_data", value, metadata)
            elif hasattr(value, "_ipython_display_"):
                value._ipython_display_()
            else:
                self._add("display_data", data_of(value), metadata)

    def result(self, value: Any, number: int) -> None:
        """What a cell ends with."""
        if hasattr(value, "_ipython_display_"):
            value._ipython_display_()
        elif value is not None:
            self._add("execute_result", data_of(value), None)
            self.outputs[-1]["execution_count"] = number

    def _add(self, kind: str, data: dict[str, Any], metadata: dict[str, Any] | None) -> None:
        self.outputs.append({"output_type": kind, "data": data, "metadata": metadata or {}})


def data_of(value: Any) -> dict[str, Any]:
    """A value as Jupyter keeps it: its picture or its HTML, if it has one, and its text."""
    from matplotlib.figure import Figure

    data: dict[str, Any] = {"text/plain": repr(value)}
    if isinstance(value, Figure):
        return {"image/png": png(value)} | data
    for kind in ("html", "markdown", "latex", "svg"):
        text = getattr(value, f"_repr_{kind}_", lambda: None)()
        if text is not None:
            data["text/markdown" if kind == "markdown" else f"text/{kind}"] = text
    return data


def png(figure: Any) -> str:
    """A figure as Jupyter draws it, without what is empty around it; base64."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", dpi="figure")
    return base64.b64encode(buffer.getvalue()).decode()


def run(notebook: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> None:
    """Run every cell of a notebook, and keep what each shows.

    Args:
        notebook: as in its file, with the text of each cell in one piece.
        tell: called with each cell of code before it runs.
    """
    import matplotlib as mpl

    mpl.use("agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and cell["source"]]
    for number, cell in enumerate(cells, start=1):
        tell(cell)
        cell["outputs"] = run_cell(cell["source"], names, number)
        cell["execution_count"] = number


def run_cell(source: str, names: dict[str, Any], number: int) -> list[Output]:
    """Run one cell and return its outputs.

    Args:
        source: its code. names: of the notebook, which it reads and changes. number: of the cell.
    """
    file = f"cell {number}"
    code = re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
    # Tracebacks show the line, and inspect finds functions that were written in a cell.
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    tree = ast.parse(code, file)
    last, value = (tree.body[-1] if tree.body else None), None
    if isinstance(last, ast.Expr) and not code.rstrip().endswith(";"):
        tree.body.pop()
        value = ast.Expression(last.value)
    recorder = Recorder()
    with shown_to(recorder), contextlib.redirect_stdout(recorder):
        exec(compile(tree, file, "exec"), names)
        if value is not None:
            recorder.result(eval(compile(value, file, "eval"), names), number)
        show_open_figures(recorder)
    return recorder.outputs


def show_open_figures(recorder: Recorder) -> None:
    """Those that pyplot made, at the end of a cell, as Jupyter does."""
    from matplotlib import pyplot as plt

    for number in plt.get_fignums():
        recorder.display(plt.figure(number))
    plt.close("all")


@contextlib.contextmanager
def shown_to(recorder: Recorder) -> Iterator[None]:
    """What is shown by ``IPython.display.display`` goes to the recorder."""
    # Without its parent: many libraries ask whether IPython is there, and how new.
    display = ModuleType("IPython.display")
    vars(display).update(display=recorder.display)
    before = sys.modules.get(display.__name__)
    sys.modules[display.__name__] = display
    try:
        yield
    finally:
        del sys.modules[display.__name__]
        if before is not None:
            sys.modules[display.__name__] = before
