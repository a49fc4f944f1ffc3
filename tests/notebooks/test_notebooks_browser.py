"""Notebooks in JupyterLab in a browser, as a reader has them: run through the menu, and read.

The first one, which shows every kind of output that any of them has. All of them are run by nbval,
and their pictures counted (``notebooks/conftest.py``); the studio has a file of its own.

Skipped without playwright, JupyterLab, or a Chromium (see :mod:`tests.browser`). Everything happens
on copies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from browser import (
    BOOK,
    CHROMIUM,
    DRAW,
    IDLE,
    RUN,
    Lab,
    chromium,
    comes_true,
    jupyterlab,
    run_all_cells,
)

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("0*.ipynb"))

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not find_spec("jupyterlab"), reason="JupyterLab is not installed"),
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium found: NST_CHROMIUM may name one"),
]

# What a reader sees of each code cell. On the page an error looks like any other red text.
LOOK = f"""() => {BOOK}.content.widgets.filter(cell => cell.model.type === 'code').map(cell => ({{
    prompt: cell.node.querySelector('.jp-InputPrompt').textContent,
    errors: cell.model.outputs.toJSON().filter(o => o.output_type === 'error')
        .map(error => error.ename + ': ' + error.evalue),
    pictures: [...cell.node.querySelectorAll('.jp-OutputArea img, .jp-OutputArea canvas')]
        .filter(picture => (picture.naturalWidth ?? picture.width) > 0).length,
}}))"""
# After an error the other cells are not run: they would be waited for in vain.
FINISHED = rf"""() => {IDLE} && (cells => cells.some(cell => cell.errors.length)
    || cells.every(cell => /\[\d+\]/.test(cell.prompt)))(({LOOK})())"""
DRAWN = f"numbers => ({LOOK})().every((cell, i) => cell.pictures >= numbers[i])"
# Of every picture, in the text too: is it there, nothing cut off, with a ground of its own?
MEASURE = """() => [...document.querySelectorAll('.jp-Notebook img')].map(picture => {
    const box = picture.getBoundingClientRect();
    const panel = picture.closest('.jp-Notebook').getBoundingClientRect();
    const context = document.createElement('canvas').getContext('2d');
    if (picture.naturalWidth > 0) context.drawImage(picture, 0, 0);
    return {
        loaded: picture.naturalWidth > 0,
        whole: box.width > 0 && box.left >= panel.left && box.right <= panel.right,
        opaque: context.getImageData(0, 0, 1, 1).data[3] === 255,
    };
})"""
GOOD = f"""number => (pictures => pictures.length >= number
    && pictures.every(picture => Object.values(picture).every(Boolean)))(({MEASURE})())"""


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def pictures(notebook: dict[str, Any]) -> list[int]:
    """How many pictures each code cell has in the file."""
    cells = code_cells(notebook)
    return [sum("image/" in str([*o.get("data", {})]) for o in c["outputs"]) for c in cells]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    with chromium() as browser, jupyterlab(folder, browser, quick=True) as made:
        yield made


def test_run_all_cells_shows_every_picture_and_no_error(lab: Lab) -> None:
    notebook = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))
    committed = pictures(notebook)
    for cell in code_cells(notebook):  # so that what is there afterwards comes from this run
        cell |= {"outputs": [], "execution_count": None}
    with lab.opened(notebook) as page:
        run_all_cells(page)
        finished = comes_true(page, FINISHED, RUN)
        cells = page.evaluate(LOOK)
        assert not [error for cell in cells for error in cell["errors"]]
        assert finished, f"waited in vain: {[cell['prompt'] for cell in cells]}"
        drawn = comes_true(page, DRAWN, DRAW, committed)
        assert drawn, f"{[cell['pictures'] for cell in page.evaluate(LOOK)]}, not {committed}"


def test_the_first_notebook_shows_every_kind_of_output() -> None:
    """So that it may stand for the others in the browser."""

    def kinds(path: Path) -> set[str]:
        outputs = [o for c in code_cells(json.loads(path.read_text("utf-8"))) for o in c["outputs"]]
        return {kind for o in outputs for kind in (o["output_type"], *o.get("data", {}))}

    assert set.union(*map(kinds, NOTEBOOKS)) == kinds(NOTEBOOKS[0])


def test_pictures_are_whole_on_a_phone_in_the_dark_theme(lab: Lab) -> None:
    """On its page for one document: beside the file browser a phone has no room left."""
    notebook = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))
    number = sum(pictures(notebook)) + str([c["source"] for c in notebook["cells"]]).count("![")
    with lab.opened(notebook, app="doc", theme="Dark", width=390) as page:
        assert comes_true(page, "document.body.dataset.jpThemeName === 'JupyterLab Dark'", DRAW)
        assert comes_true(page, GOOD, DRAW, number), f"{number}: {page.evaluate(MEASURE)}"
