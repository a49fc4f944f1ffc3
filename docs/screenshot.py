"""Takes the picture of the studio in the README and in notebook 08: a run in its middle.

    python docs/screenshot.py      # docs/studio.jpg, and the notebook's copy of it; minutes

Needs a Chromium and what the tests need.
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "notebooks")]

from browser import START, chromium, comes_true, free_port, serving  # noqa: E402
from render import write  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STUDIO = (
    "import nst_utils as nst\n\n"
    'nst.studio(content="eilean-donan", style="great-wave", size=384, steps=300)'
)
SIZE = {"width": 1280, "height": 1000}
REACHED = "() => /Step 1[7-9][0-9] of/.test(document.body.innerText)"  # soon after step 170
PATIENCE = 2700.0  # seconds
QUALITY = 88


def screenshot(browser: Browser, folder: Path) -> Image.Image:
    """The studio after some 170 of 300 steps."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = new_notebook(cells=[new_code_cell(STUDIO)], metadata={"kernelspec": kernel})
    nbformat.write(book, folder / "studio.ipynb")
    port = free_port()
    command = ["voila", "studio.ipynb", "--no-browser", f"--Voila.port={port}"]
    with serving([*command, "--Voila.ip=127.0.0.1"], port, folder, quick=False) as address:
        page = browser.new_page(viewport=SIZE)
        page.goto(address, timeout=1000 * START)
        page.wait_for_selector(".nst-start", timeout=1000 * START)
        page.locator(".nst-start").click()
        if not comes_true(page, REACHED, PATIENCE):
            raise SystemExit(f"step 170 was not reached in {PATIENCE:.0f} seconds")
        return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def put_into_notebook(jpeg: bytes) -> None:
    """In place of the attachment ``studio.jpg`` of notebook 08."""
    path = HERE.parent / "notebooks" / "08_studio.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if "studio.jpg" in cell.get("attachments", {}):
            cell.attachments["studio.jpg"] = {"image/jpeg": base64.b64encode(jpeg).decode()}
    write(notebook, path)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        picture = screenshot(browser, Path(folder))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    (HERE / "studio.jpg").write_bytes(buffer.getvalue())
    put_into_notebook(buffer.getvalue())
    print(HERE / "studio.jpg")


if __name__ == "__main__":
    main()
