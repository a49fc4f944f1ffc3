"""Every notebook in JupyterLab in a browser, as a reader has it: run through the menu, and read.

Skipped without playwright, JupyterLab, or a Chromium; ``NST_CHROMIUM`` names one that is not found
by itself. Everything happens on copies, with settings of its own, and without the network.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = [os.environ.get("NST_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
CHROMIUM = next(filter(None, map(shutil.which, filter(None, NAMES))), None)
NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("0*.ipynb"))
TOKEN = secrets.token_hex(16)
# Seconds to wait at most: a busy machine takes many times the usual few.
START, RUN, DRAW, STOP = 120, 240, 30, 30

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not find_spec("jupyterlab"), reason="JupyterLab is not installed"),
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium found: NST_CHROMIUM may name one"),
]

# Otherwise cells out of view may not be on the page, and a box asks whether to fetch news.
SETTINGS: dict[str, Any] = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}

# What a reader sees of each code cell. On the page an error looks like any other red text.
BOOK = "jupyterapp.shell.currentWidget"
LOOK = f"""() => {BOOK}.content.widgets.filter(cell => cell.model.type === 'code').map(cell => ({{
    prompt: cell.node.querySelector('.jp-InputPrompt').textContent,
    errors: cell.model.outputs.toJSON().filter(o => o.output_type === 'error')
        .map(error => error.ename + ': ' + error.evalue),
    pictures: [...cell.node.querySelectorAll('.jp-OutputArea img, .jp-OutputArea canvas')]
        .filter(picture => (picture.naturalWidth ?? picture.width) > 0).length,
}}))"""
# Not the circle at the top right: it looks idle before there is a kernel, too.
IDLE = f"window.jupyterapp && {BOOK}?.sessionContext?.kernelDisplayStatus === 'idle'"
OPENED = f"number => {IDLE} && {BOOK}.content.widgets.length === number"
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


def comes_true(page: Page, condition: str, seconds: float, argument: Any = None) -> bool:
    """Whether it does within that time: the caller can tell better what was not there."""
    try:
        page.wait_for_function(condition, arg=argument, timeout=1000 * seconds, polling=200)
    except sync_api.TimeoutError:
        return False
    return True


class Lab(NamedTuple):
    """A JupyterLab, and a browser to look at it."""

    folder: Path
    address: str
    browser: Browser

    @contextmanager
    def opened(
        self, notebook: dict[str, Any], app: str = "lab", theme: str = "Light", width: int = 1280
    ) -> Iterator[Page]:
        """The notebook in a page of its own, its kernel idle; both are ended afterwards."""
        (self.folder / "notebook.ipynb").write_text(json.dumps(notebook))
        themes = {"@jupyterlab/apputils-extension:themes": {"theme": f"JupyterLab {theme}"}}
        (self.folder / "overrides.json").write_text(json.dumps(SETTINGS | themes))
        page = self.browser.new_page(viewport={"width": width, "height": 844})
        page.set_default_timeout(1000 * START)
        try:
            page.goto(f"{self.address}/{app}/tree/notebook.ipynb?reset&token={TOKEN}")
            assert comes_true(page, OPENED, START, len(notebook["cells"])), page.inner_text("body")
            yield page
        finally:  # a kernel would outlive its page, and each holds a network
            kernels = f"{self.address}/api/kernels"
            for kernel in page.request.get(f"{kernels}?token={TOKEN}").json():
                page.request.delete(f"{kernels}/{kernel['id']}?token={TOKEN}")
            page.close()


def environment(folder: Path) -> dict[str, str]:
    """Nothing of the user's own Jupyter: neither read nor written."""
    kinds = ["_CONFIG", "_DATA", "_RUNTIME", "LAB_SETTINGS", "LAB_WORKSPACES"]
    own = {f"JUPYTER{kind}_DIR": str(folder / kind) for kind in kinds}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    return inherited | own | {"IPYTHONDIR": str(folder), "JUPYTER_TOKEN": TOKEN, "NST_QUICK": "1"}


def wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-2000:]}")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A JupyterLab on that folder: its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += [f"--LabApp.app_settings_dir={folder}", "--LabApp.expose_app_in_browser=True"]
    env, log = environment(folder), folder / "log.txt"
    with log.open("wb") as out, subprocess.Popen(command, env=env, stdout=out, stderr=out) as lab:
        try:
            wait_for(lab, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            lab.terminate()
            try:
                lab.wait(STOP)
            except subprocess.TimeoutExpired:
                lab.kill()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    with serving(folder) as address, sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, timeout=1000 * START)
        yield Lab(folder, address, browser)
        browser.close()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_run_all_cells_shows_every_picture_and_no_error(path: Path, lab: Lab) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    committed = pictures(notebook)
    for cell in code_cells(notebook):  # so that what is there afterwards comes from this run
        cell |= {"outputs": [], "execution_count": None}
    with lab.opened(notebook) as page:
        page.locator(".lm-MenuBar-item").get_by_text("Run", exact=True).click()
        page.locator("[data-command='runmenu:run-all']").click()
        finished = comes_true(page, FINISHED, RUN)
        cells = page.evaluate(LOOK)
        assert not [error for cell in cells for error in cell["errors"]]
        assert finished, f"waited in vain: {[cell['prompt'] for cell in cells]}"
        drawn = comes_true(page, DRAWN, DRAW, committed)
        assert drawn, f"{[cell['pictures'] for cell in page.evaluate(LOOK)]}, not {committed}"


def test_pictures_are_whole_on_a_phone_in_the_dark_theme(lab: Lab) -> None:
    """On its page for one document: beside the file browser a phone has no room left."""
    notebook = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))
    number = sum(pictures(notebook)) + str([c["source"] for c in notebook["cells"]]).count("![")
    with lab.opened(notebook, app="doc", theme="Dark", width=390) as page:
        assert comes_true(page, "document.body.dataset.jpThemeName === 'JupyterLab Dark'", DRAW)
        assert comes_true(page, GOOD, DRAW, number), f"{number}: {page.evaluate(MEASURE)}"
