"""Run notebooks at full size and keep their outputs; up to two hours each on a processor.

    python notebooks/render.py                       # all of them
    python notebooks/render.py 01_content_representation.ipynb
    python notebooks/render.py --plain --out FOLDER  # without Jupyter, written somewhere else
    python notebooks/render.py --within FOLDER       # what a sweep has painted there is taken up

A notebook that fails is left as it was. What its cell with the tag ``finished`` shows becomes the
picture at its beginning. Where all pictures together are too large, they are compressed further.
Where Jupyter is not installed, they are run in plain Python (plain.py).
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import plain
from PIL import Image

from nst_utils.support.paths import write_whole

FOLDER = Path(__file__).resolve().parent
FINISHED_WIDTH = 900  # pixels
MOST_BYTES = 1_950_000  # of a notebook; the tests allow two million
QUALITIES = (85, 80, 75, 70, 65, 60)  # of a JPEG; nst.show takes 85
# What is kept line by line; a picture is one long line.
LINES = ("text/plain", "text/html", "text/markdown", "text/latex", "image/svg+xml")
WIDGET = "application/vnd.jupyter.widget-view+json"


def has_jupyter() -> bool:
    """Whether notebooks can be run as people run them."""
    return all(importlib.util.find_spec(name) for name in ("nbclient", "ipykernel"))


def read(path: Path) -> dict[str, Any]:
    """A notebook; the text of each cell in one piece, as nbformat gives it."""
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


def run(
    notebook: dict[str, Any], without_jupyter: bool = False, within: Path | None = None
) -> dict[str, Any]:
    """Execute every cell, in a folder of its own or in the given one, saying which is running."""
    begun = time.perf_counter()

    def tell(cell: Any, cell_index: int = 0) -> None:
        if cell["cell_type"] == "code":
            first = cell["source"].partition("\n")[0]
            print(f"{time.perf_counter() - begun:6.0f} s  {first}", flush=True)

    own = contextlib.nullcontext(str(within)) if within else tempfile.TemporaryDirectory()
    with own as scratch:
        if without_jupyter:
            with contextlib.chdir(scratch):
                plain.run(notebook, tell)
        else:
            from nbclient import NotebookClient
            from nbformat import from_dict

            executed = from_dict(notebook)
            NotebookClient(
                executed,
                timeout=None,
                kernel_name="python3",
                resources={"metadata": {"path": scratch}},
                coalesce_streams=True,
                on_cell_start=tell,
            ).execute()
            notebook = executed
    print(f"{time.perf_counter() - begun:6.0f} s  done", flush=True)
    return notebook


def clean(notebook: dict[str, Any]) -> None:
    """Drop what only the run itself needed: progress bars, times, versions."""
    notebook["metadata"].pop("widgets", None)
    notebook["metadata"]["language_info"].pop("version", None)
    for cell in notebook["cells"]:
        cell["metadata"].pop("execution", None)
        if cell["cell_type"] == "code":
            cell["outputs"] = [
                output
                for output in cell["outputs"]
                if output.get("name") != "stderr" and not is_of_studio(output.get("data", {}))
            ]


def is_of_studio(data: Any) -> bool:
    """A widget, which no longer works, or the script that belongs to it."""
    return WIDGET in data or "".join(data.get("text/html", "")).startswith("<script>")


def put_finished_picture_first(notebook: dict[str, Any]) -> None:
    """Attach what the cell ``finished``, if any, shows to the first cell, as ``finished.jpg``."""
    cells = [c for c in notebook["cells"] if "finished" in c["metadata"].get("tags", [])]
    outputs = [output.get("data", {}) for cell in cells for output in cell["outputs"]]
    encoded = next((data["image/jpeg"] for data in outputs if "image/jpeg" in data), None)
    if encoded is None:
        return
    attachment = {"image/jpeg": compressed(encoded, QUALITIES[0], FINISHED_WIDTH)}
    notebook["cells"][0]["attachments"] = {"finished.jpg": attachment}


def compressed(encoded: str, quality: int, largest: int | None = None) -> str:
    """A JPEG in base64, saved again, with no side longer than ``largest`` pixels."""
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    if largest is not None:
        picture.thumbnail((largest, largest))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return base64.b64encode(buffer.getvalue()).decode()


def fit(notebook: dict[str, Any], most: int = MOST_BYTES) -> int:
    """Compress what the cells show until the notebook is small enough; returns the quality."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    data = [o["data"] for o in outputs if "image/jpeg" in o.get("data", {})]
    as_shown = [each["image/jpeg"] for each in data]
    for quality in QUALITIES:
        if quality < QUALITIES[0]:
            for each, encoded in zip(data, as_shown, strict=True):
                each["image/jpeg"] = compressed(encoded, quality)
        if len(written(notebook)) <= most:
            return quality
    raise ValueError(f"the notebook is larger than {most} bytes; show fewer or smaller pictures")


def written(notebook: dict[str, Any]) -> bytes:
    """The notebook's file, to the byte as nbformat writes it: the lines of a text as a list."""
    lines = json.loads(json.dumps(notebook))
    for cell in lines["cells"]:
        outputs = cell.get("outputs", [])
        texts = [(cell, "source"), *((output, "text") for output in outputs if "text" in output)]
        shown = [*cell.get("attachments", {}).values(), *(o.get("data", {}) for o in outputs)]
        texts += [(data, kind) for data in shown for kind in data if kind in LINES]
        for place, name in texts:
            if isinstance(place[name], str):
                place[name] = place[name].splitlines(keepends=True)
    return f"{json.dumps(lines, indent=1, ensure_ascii=False, sort_keys=True)}\n".encode()


def write(notebook: dict[str, Any], path: Path) -> None:
    """Write a notebook, whole or not at all."""
    write_whole(path, lambda file: file.write(written(notebook)))


def render(
    path: Path,
    out: Path | None = None,
    without_jupyter: bool = False,
    within: Path | None = None,
) -> None:
    """Run one notebook and write it back, or into another folder."""
    notebook = run(read(path), without_jupyter, within)
    clean(notebook)
    put_finished_picture_first(notebook)
    fit(notebook)
    if not without_jupyter:
        from nbformat import from_dict, validate

        validate(from_dict(notebook))
    write(notebook, (out or path.parent) / path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run notebooks and keep their outputs.")
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="by default all")
    parser.add_argument("--plain", action="store_true", help="in plain Python, without Jupyter")
    parser.add_argument("--out", type=Path, help="a folder for them; by default where they are")
    parser.add_argument("--within", type=Path, help="a folder to run in; by default an empty one")
    parser.add_argument("--quick", action="store_true", help="tiny pictures; needs --out")
    args = parser.parse_args()
    if args.quick and args.out is None:
        parser.error("--quick makes tiny pictures, which are not for keeping; name --out")
    os.environ.pop("NST_QUICK", None)
    if args.quick:
        os.environ["NST_QUICK"] = "1"
    for name in args.names or sorted(path.name for path in FOLDER.glob("*.ipynb")):
        path = FOLDER / Path(name).name
        if not path.exists():
            sys.exit(f"there is no notebook {name} in {FOLDER.name}/")
        for folder in filter(None, (args.out, args.within)):
            folder.mkdir(parents=True, exist_ok=True)
        print(path.name, flush=True)
        render(path, args.out, args.plain or not has_jupyter(), args.within)


if __name__ == "__main__":
    main()
