"""Numbers in a notebook's text stand in its code or in what the code printed.

A claim that was true of an earlier picture is easily left behind. So each decimal, percentage or
number of three digits in the text is looked for, as rounded as the text has it; the few that come
from elsewhere are listed here with where they come from. The settings and exercises at the end
speak of the paper and of runs that are the reader's, and are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
NOT_PROSE = re.compile(r"\$\$.*?\$\$|\$.*?\$|`[^`]*`|\]\([^)]*\)|<[^>]*>", re.DOTALL)
IN_PROSE = re.compile(r"(?<![\w.,])(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(e-?\d+)?(?!\w)( ?%)?")
IN_OUTPUT = re.compile(r"\d[\d,]*\.?\d*(?:e[+-]?\d+)?")
YEARS = range(1800, 2100)
OF_FIGURE_3 = "the ratios of the paper's figure 3"
OF_PYRAMID = "N (N + 1) / 2 of the five layers, their sum, and what a picture of it would measure"
EXCEPTIONS: dict[str, dict[str, str]] = {
    "02": {
        "156": "pixels that conv5_1 sees",
        **dict.fromkeys(["8,256", "32,896", "131,328", "319"], OF_PYRAMID),
    },
    "04": {"5e-4": "the authors' later program"},
    "05": {"100 %": "what a layer that does not respond is wrong by"},
    "06": {"5e-4": OF_FIGURE_3, "5e-3": OF_FIGURE_3},
    "07": {
        "3e-6": "a weight of the preset table, there with three digits",
        "120": "the steps of the default that are made on smaller copies",
    },
    "08": {"0.15": "GramPair's limit of what is matched", "120": "the steps after the turn"},
    "09": {
        "100": "the default steps of transform_features",
    },
}


def text_of(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def claimed(notebook: dict[str, Any]) -> Iterator[tuple[str, float, float]]:
    """(as written, value, how far off it may be) of each number in the text that says something."""
    text = "\n".join(text_of(c) for c in notebook["cells"] if c["cell_type"] == "markdown")
    text = NOT_PROSE.sub(" ", text.partition("**Which settings are the paper's?**")[0])
    for match in IN_PROSE.finditer(text):
        whole, decimals, exponent, percent = match.groups()
        value = float(whole.replace(",", "") + (decimals or "") + (exponent or ""))
        if decimals or exponent or percent or (value >= 100 and value not in YEARS):
            yield match[0], value, 0 if exponent else 0.5 * 10.0 ** -len((decimals or ".")[1:])


def computed(notebook: dict[str, Any]) -> list[float]:
    """Every number in the code cells and in the text that they put out."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in code for output in cell["outputs"]]
    printed = ["".join(o.get("text") or o.get("data", {}).get("text/plain", "")) for o in outputs]
    found = IN_OUTPUT.findall("\n".join([*map(text_of, code), *printed]))
    return [float(number.replace(",", "").rstrip(".")) for number in found]


def unfounded(notebook: dict[str, Any]) -> set[str]:
    """The numbers of the text that nothing in the notebook computes."""
    values = computed(notebook)
    return {
        written
        for written, value, error in claimed(notebook)
        if not any(abs(value - other) <= error * (1 + 1e-6) for other in values)
    }


def notebook(text: str, *outputs: str) -> dict[str, Any]:
    shown = [{"output_type": "stream", "text": output} for output in outputs]
    code = {"cell_type": "code", "source": "print(7)", "outputs": shown}
    return {"cells": [{"cell_type": "markdown", "source": text}, code]}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_numbers_of_the_text_are_those_of_the_outputs(path: Path) -> None:
    found = unfounded(json.loads(path.read_text(encoding="utf-8")))
    allowed = EXCEPTIONS.get(path.stem[:2], {})
    assert not found - allowed.keys(), "in the text, but in no output: correct it, or compute it"
    assert not allowed.keys() - found, "an exception that is not needed any more: take it out"


def test_what_is_held_against_the_outputs() -> None:
    claims = "It fell to 0.25, by 61 % of 1,376,256, in 1889, at 5e-3; $x = 0.9$, `0.8`, twice."
    assert unfounded(notebook(claims, "0.2489 and 61%", "0.005, 1376256")) == set()
    assert unfounded(notebook(claims, "0.2561 and 62%", "0.004, 137625")) == {
        "0.25",
        "61 %",
        "1,376,256",
        "5e-3",
    }
    assert unfounded(notebook("**Which settings are the paper's?** 8e-4", "")) == set()
