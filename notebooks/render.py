"""Run notebooks at full size and keep their outputs; up to two hours each on a processor.

    python notebooks/render.py                       # all of them
    python notebooks/render.py 01_content_representation.ipynb

A notebook that fails is left as it was. What its cell with the tag ``finished`` shows becomes the
picture at its beginning. Where all pictures together are too large, they are compressed further.
"""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

from nst_utils.support.paths import write_whole

FOLDER = Path(__file__).resolve().parent
FINISHED_WIDTH = 900  # pixels
MOST_BYTES = 1_950_000  # of a notebook; the tests allow two million
QUALITIES = (85, 80, 75, 70, 65, 60)  # of a JPEG; nst.show takes 85
WIDGET = "application/vnd.jupyter.widget-view+json"


def run(notebook: Any) -> None:
    """Execute every cell, in a folder of its own, saying which one is running."""
    begun = time.perf_counter()

    def tell(cell: Any, cell_index: int) -> None:
        if cell.cell_type == "code":
            first = cell.source.partition("\n")[0]
            print(f"{time.perf_counter() - begun:6.0f} s  {first}", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        client = NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            resources={"metadata": {"path": scratch}},
            coalesce_streams=True,
            on_cell_start=tell,
        )
        client.execute()
    print(f"{time.perf_counter() - begun:6.0f} s  done", flush=True)


def clean(notebook: Any) -> None:
    """Drop what only the run itself needed: progress bars, times, versions."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info.pop("version", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [
                output
                for output in cell.outputs
                if output.get("name") != "stderr" and not is_of_studio(output.get("data", {}))
            ]


def is_of_studio(data: Any) -> bool:
    """A widget, which no longer works, or the script that belongs to it."""
    return WIDGET in data or "".join(data.get("text/html", "")).startswith("<script>")


def put_finished_picture_first(notebook: Any) -> None:
    """Attach what the cell ``finished``, if any, shows to the first cell, as ``finished.jpg``."""
    cells = [c for c in notebook.cells if "finished" in c.metadata.get("tags", [])]
    outputs = [output.get("data", {}) for cell in cells for output in cell.outputs]
    encoded = next((data["image/jpeg"] for data in outputs if "image/jpeg" in data), None)
    if encoded is None:
        return
    attachment = {"image/jpeg": compressed(encoded, QUALITIES[0], FINISHED_WIDTH)}
    notebook.cells[0]["attachments"] = {"finished.jpg": attachment}


def compressed(encoded: str, quality: int, largest: int | None = None) -> str:
    """A JPEG in base64, saved again, with no side longer than ``largest`` pixels."""
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    if largest is not None:
        picture.thumbnail((largest, largest))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return base64.b64encode(buffer.getvalue()).decode()


def fit(notebook: Any, most: int = MOST_BYTES) -> int:
    """Compress what the cells show until the notebook is small enough; returns the quality."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [o["data"] for o in outputs if "image/jpeg" in o.get("data", {})]
    as_shown = [each["image/jpeg"] for each in data]
    for quality in QUALITIES:
        if quality < QUALITIES[0]:
            for each, encoded in zip(data, as_shown, strict=True):
                each["image/jpeg"] = compressed(encoded, quality)
        if len(nbformat.writes(notebook).encode()) <= most:
            return quality
    raise ValueError(f"the notebook is larger than {most} bytes; show fewer or smaller pictures")


def write(notebook: Any, path: Path) -> None:
    """Write a notebook, whole or not at all."""
    write_whole(path, lambda file: file.write(f"{nbformat.writes(notebook)}\n".encode()))


def render(path: Path) -> None:
    """Run one notebook and write it back."""
    notebook = nbformat.read(path, as_version=4)
    run(notebook)
    clean(notebook)
    put_finished_picture_first(notebook)
    fit(notebook)
    nbformat.validate(notebook)
    write(notebook, path)


def main() -> None:
    os.environ.pop("NST_QUICK", None)
    for name in sys.argv[1:] or sorted(path.name for path in FOLDER.glob("*.ipynb")):
        path = FOLDER / Path(name).name
        if not path.exists():
            sys.exit(f"there is no notebook {name} in {FOLDER.name}/")
        print(path.name, flush=True)
        render(path)


if __name__ == "__main__":
    main()
