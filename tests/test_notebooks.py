"""What every notebook must hold before it is run: nbval runs them (see the Makefile)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == kind]


def test_the_first_notebook_is_there() -> None:
    assert NOTEBOOKS
    assert NOTEBOOKS[0].name == "00_start_here.ipynb"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_run_top_to_bottom_without_errors(path: Path) -> None:
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    pictures = [name for o in outputs for name in o.get("data", {}) if name.startswith("image/")]
    assert pictures


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_its_cells_are_short(path: Path) -> None:
    assert path.stat().st_size < 2_000_000
    code = cells(path, "code")
    assert 8 <= len(code) <= 20
    assert max(len(cell["source"]) for cell in code) <= 15


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_picture_in_the_text_has_alt_text(path: Path) -> None:
    text = "".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    for alt, _ in re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", text):
        assert len(alt) > 20


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_ids_are_unique_and_no_path_of_a_machine_is_in_it(path: Path) -> None:
    notebook = json.loads(path.read_text())
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert not re.search(r"/(home|root|tmp|Users|work)/", path.read_text())
