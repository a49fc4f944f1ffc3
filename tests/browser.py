"""A JupyterLab or a Voila on a folder of its own, and a Chromium to look at it.

``NST_CHROMIUM`` names a browser that is not found by itself. Nothing of the user's own Jupyter is
read or written, and nothing needs the network.
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
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = [os.environ.get("NST_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
CHROMIUM = next(filter(None, map(shutil.which, filter(None, NAMES))), None)
TOKEN = secrets.token_hex(16)
# Seconds to wait at most: a busy machine takes many times the usual few.
START, RUN, DRAW, STOP = 120, 240, 30, 30

# Otherwise cells out of view may not be on the page, and a box asks whether to fetch news.
SETTINGS: dict[str, Any] = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}

BOOK = "jupyterapp.shell.currentWidget"
# Not the circle at the top right: it looks idle before there is a kernel, too.
IDLE = f"window.jupyterapp && {BOOK}?.sessionContext?.kernelDisplayStatus === 'idle'"
OPENED = f"number => {IDLE} && {BOOK}.content.widgets.length === number"


def comes_true(page: Page, condition: str, seconds: float, argument: Any = None) -> bool:
    """Whether it does within that time: the caller can tell better what was not there.

    It looks every 50 ms; where minutes are given, a thousand times at most.
    """
    try:
        every = max(50, seconds)
        page.wait_for_function(condition, arg=argument, timeout=1000 * seconds, polling=every)
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
        name = f"notebook-{secrets.token_hex(4)}.ipynb"  # of one name, pages would share a kernel
        (self.folder / name).write_text(json.dumps(notebook))
        themes = {"@jupyterlab/apputils-extension:themes": {"theme": f"JupyterLab {theme}"}}
        (self.folder / "overrides.json").write_text(json.dumps(SETTINGS | themes))
        page = self.browser.new_page(viewport={"width": width, "height": 844})
        page.set_default_timeout(1000 * START)
        try:
            page.goto(f"{self.address}/{app}/tree/{name}?reset&token={TOKEN}")
            assert comes_true(page, OPENED, START, len(notebook["cells"])), page.inner_text("body")
            yield page
        finally:  # a kernel would outlive its page, and each holds a network
            sessions = f"{self.address}/api/sessions"
            for session in page.request.get(f"{sessions}?token={TOKEN}").json():
                if session["path"] == name:
                    page.request.delete(f"{sessions}/{session['id']}?token={TOKEN}")
            page.close()


def environment(folder: Path, quick: bool) -> dict[str, str]:
    """Nothing of the user's own Jupyter: neither read nor written."""
    kinds = ["_CONFIG", "_DATA", "_RUNTIME", "LAB_SETTINGS", "LAB_WORKSPACES"]
    own = {f"JUPYTER{kind}_DIR": str(folder / kind) for kind in kinds}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    own |= {"IPYTHONDIR": str(folder), "JUPYTER_TOKEN": TOKEN, "NST_QUICK": str(int(quick))}
    return inherited | own


def wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def serving(command: list[str], port: int, folder: Path, quick: bool) -> Iterator[str]:
    """A server, run by this Python as a module: its address."""
    log = folder / "log.txt"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=environment(folder, quick),
            stdout=out,
            stderr=out,
        ) as server,
    ):
        try:
            wait_for(server, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(STOP)
            except subprocess.TimeoutExpired:
                server.kill()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; there can be one at a time."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, timeout=1000 * START)
        yield browser
        browser.close()


@contextmanager
def jupyterlab(folder: Path, browser: Browser, quick: bool) -> Iterator[Lab]:
    """A JupyterLab on that folder; ``quick`` sets ``NST_QUICK`` for its kernels."""
    port = free_port()
    command = ["jupyterlab", "--allow-root", "--no-browser", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--ServerApp.root_dir={folder}", f"--LabApp.app_settings_dir={folder}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    with serving(command, port, folder, quick) as address:
        yield Lab(folder, address, browser)


def reload(page: Page, until: Literal["commit", "load"] = "load") -> None:
    """Load it again; Chromium refuses while it puts one page in the place of another."""
    deadline = time.monotonic() + START
    while True:
        try:
            page.reload(wait_until=until, timeout=1000 * START)
        except sync_api.Error as error:
            if "Not attached to an active page" not in error.message or time.monotonic() > deadline:
                raise
            page.wait_for_timeout(50)
        else:
            return


# What axe-core finds in JupyterLab's own parts of a notebook, which are not ours to mend: editors,
# the list of cells and folding buttons without names, pictures whose description is not shown.
OF_JUPYTERLAB = ("aria-input-field-name", "aria-required-children", "button-name", "image-alt")


def axe_findings(page: Page, css: str = "html", but: tuple[str, ...] = ()) -> list[str]:
    """What axe-core calls serious or critical in that part of the page, without those rules."""
    package = find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        warnings.warn("axe-playwright-python is not installed: not looked at", stacklevel=2)
        return []
    page.evaluate(Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("css => axe.run({include: [[css]]})", css)["violations"]
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical") and each["id"] not in but
        for node in each["nodes"]
    ]


def run_all_cells(page: Page) -> None:
    """Through JupyterLab's menu."""
    page.locator(".lm-MenuBar-item").get_by_text("Run", exact=True).click()
    page.locator("[data-command='runmenu:run-all']").click()
