"""The studio in a browser, in JupyterLab and in Voila, as a person uses it.

Skipped without playwright, a Chromium, JupyterLab or Voila (see ``browser.py``). The runs are long
and small, so that there is time to press buttons and each step is quick.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from browser import (
    CHROMIUM,
    DRAW,
    OF_JUPYTERLAB,
    START,
    Lab,
    axe_findings,
    chromium,
    comes_true,
    free_port,
    jupyterlab,
    reload,
    serving,
)
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from nst_utils.app.recipe_files import read_png

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

TESTS = Path(__file__).resolve().parents[1]
APP = TESTS.parent / "notebooks" / "app" / "studio.ipynb"
LONG = "size=64, steps=10000"
# A button that is pressed is answered in this many seconds; in the test in four times as many,
# because other work may go on beside it. What was measured stands in benchmarks/README.md.
ANSWER = 0.5
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium found: NST_CHROMIUM may name one"),
]
needs_lab = pytest.mark.skipif(not find_spec("jupyterlab"), reason="JupyterLab is not installed")
needs_voila = pytest.mark.skipif(not find_spec("voila"), reason="Voila is not installed")

# What the page shows, of the studio with that number.
TEXT = (
    "([css, i]) => (document.querySelectorAll(css)[i]?.innerText ?? '').replaceAll('\\u00a0', ' ')"
)
SOURCE = "document.querySelectorAll('.nst-stage img')[{}]?.src"
LINK = "document.querySelector('.nst-saved a').href"
CHANGED = f"before => {{ const now = {SOURCE.format(0)}; return now && now !== before; }}"
SAYS = f"([css, i, part]) => (({TEXT})([css, i])).includes(part)"


# So that a run leaves half of the processor to the page that is looked at.
SLOWER = """import time
import nst_utils as nst
sees = nst.Network.forward
nst.Network.forward = lambda *given: time.sleep(0.03) or sees(*given)
"""


# Work with the thin network, as a module beside the notebooks: its lines in a cell would be wider
# than a phone. The runs that are watched, and the app, have the real one.
THIN = f"""import sys
sys.path.append({str(TESTS)!r})
from forked import thin
thin()
"""


def notebook(*cells: str, first: str = "import thinly") -> dict[str, Any]:
    """The cells, one thread for their work; ``first`` goes before all that they do."""
    one_thread = f"import torch\n\ntorch.set_num_threads(1)\nimport nst_utils as nst\n{first}\n"
    made = [new_code_cell(one_thread + cells[0]), *(new_code_cell(cell) for cell in cells[1:])]
    return dict(new_notebook(cells=made, metadata={"kernelspec": KERNEL}))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("studio")
    (folder / "thinly.py").write_text(THIN)
    with jupyterlab(folder, browser, quick=False) as made:
        yield made


@pytest.fixture(scope="module")
def small_studio(lab: Lab) -> Iterator[Page]:
    """A page with one, for the tests that do not care who was there before: see ``anew``. The
    second cell lets it send files as it sends large ones."""
    as_bytes = "from nst_utils.app import saving\nsaving.LARGE = 0"
    with lab.opened(notebook("nst.studio(size=64, steps=20)", as_bytes)) as page:
        yield page


@pytest.fixture(scope="module")
def long_studios(lab: Lab) -> Iterator[Page]:
    """A page whose first two cells make one each; the third counts their threads.

    With the real network: of the thin one's loss the content's share is nothing.
    """
    threads = (
        "import threading\nprint([t.name for t in threading.enumerate()].count('nst session'))"
    )
    one, other = f"nst.studio({LONG})", f"nst.studio({LONG}, content='chelsea')"
    with lab.opened(notebook(one, other, threads, SLOWER, first="")) as page:
        run_cell(page, 3)
        yield page


def anew(page: Page) -> None:
    """The studio's cell is run, again or for the first time."""
    page.evaluate("document.querySelector('.nst-studio')?.classList.add('nst-old')")
    run_cell(page, 0)
    page.wait_for_selector(".nst-studio:not(.nst-old) .nst-start")
    assert not page.locator(".nst-old").count()


def click(page: Page, css: str, number: int = 0) -> None:
    page.locator(css).nth(number).click()


def text(page: Page, css: str, number: int = 0) -> str:
    return str(page.evaluate(TEXT, [css, number]))


def wait_for(page: Page, css: str, part: str, number: int = 0, seconds: float = 60) -> float:
    """Until that is written there; how long it took."""
    begun = time.monotonic()
    said = comes_true(page, SAYS, seconds, [css, number, part])
    assert said, f"{css} does not say {part!r} but {text(page, css, number)!r}"
    return time.monotonic() - begun


def wait_for_another_picture(page: Page) -> str:
    before = page.evaluate(SOURCE.format(0))
    assert comes_true(page, CHANGED, DRAW, before), text(page, ".nst-state")
    return str(page.evaluate(SOURCE.format(0)))


def content_share(page: Page, number: int = 0) -> int:
    """How much of the loss is the content's, in percent, as the page says."""
    found = re.search(r"content \S+\s+(\d+)%", text(page, ".nst-shares", number))
    assert found is not None, text(page, ".nst-shares", number)
    return int(found[1])


def start(page: Page) -> None:
    page.wait_for_selector(".nst-start")
    click(page, ".nst-start")
    wait_for(page, ".nst-state", "Painting")


def press(page: Page, css: str, key: str, times: int) -> None:
    """A slider's handle, by the keyboard."""
    handle = page.locator(f"{css} .noUi-handle").first
    handle.focus()
    for _ in range(times):
        handle.press(key)


@needs_lab
def test_a_run_is_watched_changed_paused_resumed_stopped_saved_and_reopened(
    lab: Lab, long_studios: Page
) -> None:
    page = long_studios
    anew(page)
    start(page)
    wait_for_another_picture(page)

    before = content_share(page)
    press(page, ".nst-ratio", "ArrowRight", 20)  # a factor of ten
    wait_for(page, ".nst-state", "alpha/beta is 0.05")
    assert content_share(page) > before + 5
    wait_for_another_picture(page)

    click(page, ".nst-pause")
    assert wait_for(page, ".nst-state", "Paused") < 4 * ANSWER
    paused = page.evaluate(SOURCE.format(0))
    assert not comes_true(page, CHANGED, 1, paused)
    click(page, ".nst-pause")
    assert wait_for(page, ".nst-state", "Going on") < 4 * ANSWER
    wait_for_another_picture(page)
    click(page, ".nst-stop")
    assert wait_for(page, ".nst-state", "Stopped after") < 4 * ANSWER

    click(page, ".nst-save-picture")
    wait_for(page, ".nst-saved", "Saved as chenonceau-great-wave-1.png")
    saved = lab.folder / "chenonceau-great-wave-1.png"
    recipe = read_png(saved)
    assert recipe.ratio == pytest.approx(0.05, rel=0.01)
    assert Image.open(saved).size == (64, 48)
    click(page, ".nst-save-film")
    wait_for(page, ".nst-saved", "Saved as chenonceau-great-wave-1.gif")
    assert getattr(Image.open(lab.folder / "chenonceau-great-wave-1.gif"), "n_frames", 1) > 1

    press(page, ".nst-ratio", "ArrowLeft", 40)
    page.locator(".nst-size select").select_option("256")
    page.get_by_text("More settings, and pictures saved before").click()
    choose_file(page, ".nst-open", saved)
    wait_for(page, ".nst-state", "what chenonceau-great-wave-1.png was made with")
    assert page.locator(".nst-size select").input_value() == "64"
    assert text(page, ".nst-ratio .widget-readout") == "0.050"


def choose_file(page: Page, css: str, *paths: Path) -> None:
    """By the button of an upload, as a person does."""
    with page.expect_file_chooser() as chooser:
        page.locator(css).first.click()
    chooser.value.set_files([str(path) for path in paths])


@needs_lab
def test_uploads_good_and_bad_are_answered(small_studio: Page, tmp_path: Path) -> None:
    good, bad = tmp_path / "holiday.png", tmp_path / "notes.png"
    Image.effect_noise((120, 90), 80).convert("RGB").save(good)
    bad.write_text("no picture at all")
    page = small_studio
    anew(page)
    choose_file(page, ".nst-content-upload", bad)
    wait_for(page, ".nst-state", "Not taken: notes.png is not a picture")
    choose_file(page, ".nst-content-upload", good)
    wait_for(page, ".nst-state", "holiday.png is here, 120x90 px.")
    assert page.locator(".nst-content input:checked").count() == 1
    click(page, ".nst-start")
    wait_for(page, ".nst-state", "Finished after 20 steps")
    alt = page.locator(".nst-stage img").get_attribute("alt")
    assert alt == "holiday.png in the style of great-wave, the picture now"


FOCUS_IS_SEEN = (
    "(at => !at.closest('.nst-studio') ||"
    "getComputedStyle(at.closest('.nst-pictures label') ?? at).outlineStyle !== 'none')"
    "(document.activeElement)"
)


def tab_to(page: Page, there: str) -> None:
    """By the Tab key, until that is true; in the studio it is seen where one is."""
    for _ in range(40):
        assert page.evaluate(FOCUS_IS_SEEN), page.evaluate("document.activeElement.outerHTML")
        if page.evaluate(there):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"never came there: {there}")


@needs_lab
def test_the_keyboard_is_enough(small_studio: Page) -> None:
    page = small_studio
    anew(page)
    page.locator(".nst-content input:checked").focus()
    for _ in range(4):  # a group is one stop: arrows choose in it
        page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.closest('label').innerText") == "chelsea"
    tab_to(page, "document.activeElement.closest('label')?.innerText === 'great-wave'")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.closest('label').innerText") == "starry-night"
    tab_to(page, "document.activeElement.classList.contains('nst-start')")
    page.keyboard.press("Enter")
    wait_for(page, ".nst-state", "Finished after 20 steps")
    alt = page.locator(".nst-stage img").get_attribute("alt")
    assert alt == "chelsea in the style of starry-night, the picture now"
    tab_to(page, "document.activeElement.classList.contains('nst-layers')")
    page.keyboard.press("Enter")
    page.locator(".nst-factor-conv5_1 .noUi-handle").wait_for(state="visible")
    tab_to(page, "document.activeElement.classList.contains('nst-gram-panel')")
    page.keyboard.press("Space")
    wait_for(page, ".nst-match", "conv5_1")


def drag_across(page: Page, css: str, first: float, last: float) -> None:
    """From one share of its width to another."""
    page.locator(css).scroll_into_view_if_needed()
    box = page.locator(css).bounding_box()
    assert box is not None
    x, y = box["x"], box["y"] + box["height"] / 2
    page.mouse.move(x + first * box["width"], y)
    page.mouse.down()
    page.mouse.move(x + last * box["width"], y + 5, steps=5)
    page.mouse.up()


@needs_lab
def test_a_screen_reader_is_told_what_things_are_and_what_they_say(small_studio: Page) -> None:
    page = small_studio
    anew(page)

    def told(css: str, name: str) -> str | None:
        return page.locator(css).first.get_attribute(name)

    said = "css => document.querySelector(css)?.getAttribute('aria-label')"
    assert comes_true(page, f"({said})('.nst-ratio .noUi-handle') === 'alpha/beta'", DRAW)
    assert told(".nst-ratio .noUi-handle", "aria-valuetext") == "0.0050"
    press(page, ".nst-ratio", "ArrowRight", 20)
    wait_for(page, ".nst-ratio .widget-readout", "0.050")
    spoken = "document.querySelector('.nst-ratio .noUi-handle').getAttribute('aria-valuetext')"
    assert comes_true(page, f"{spoken} === '0.050'", DRAW)
    assert told(".nst-content [role=radiogroup]", "aria-label") == "Photograph"
    assert told(".nst-more", "aria-expanded") == "false"
    click(page, ".nst-more")
    opened = "document.querySelector('.nst-more').getAttribute('aria-expanded') === 'true'"
    assert comes_true(page, opened, DRAW)
    assert told(".nst-state .widget-html-content", "role") == "status"
    assert not page.locator(".nst-studio [title=null]").count()
    uploads = [each.strip() for each in page.locator(".widget-upload").all_inner_texts()]
    assert uploads[:2] == ["Upload a photograph", "Upload a painting"]
    assert not any(each.endswith(")") for each in uploads), "they count files, of which none stay"
    names = page.locator(".nst-content input").evaluate_all("all => all.map(one => one.name)")
    assert len({*names}) == 1, "a group is one stop of the Tab key"
    click(page, ".nst-try-ratios")
    assert comes_true(page, "document.querySelector('.nst-try:not([disabled])')", DRAW)
    click(page, ".nst-stop")
    wait_for(page, ".nst-state", "Stopped; ")
    page.get_by_role("button", name="take alpha/beta 0.00005").press("Enter")
    wait_for(page, ".nst-state", "alpha/beta is 0.00005 now")


@needs_lab
def test_the_film_the_comparison_and_the_gram_matrices_are_shown(
    lab: Lab, small_studio: Page
) -> None:
    page = small_studio
    anew(page)
    click(page, ".nst-start")
    wait_for(page, ".nst-state", "Finished after 20 steps")
    now = page.evaluate(SOURCE.format(0))
    press(page, ".nst-film", "ArrowLeft", 10)
    wait_for(page, ".nst-frame", "after step")
    assert page.evaluate(SOURCE.format(0)) != now
    press(page, ".nst-film", "End", 1)
    wait_for(page, ".nst-frame", "the picture now")
    press(page, ".nst-compare", "ArrowRight", 30)
    assert comes_true(
        page,
        "document.querySelector('.nst-stage img').alt.includes('30 % of its width')",
        DRAW,
    )
    drag_across(page, ".nst-stage img", 0.2, 0.7)
    wait_for(page, ".nst-compare .widget-readout", "70")
    page.get_by_text("Which styles are matched: Gram matrices").click()
    wait_for(page, ".nst-match", "conv5_1")
    assert "% off" in text(page, ".nst-match")
    page.wait_for_selector("img[alt^='Gram matrices of conv3_1']")  # it is drawn afterwards
    assert page.locator("img[alt^='Gram matrices of conv3_1']").count() == 1
    run_cell(page, 1)
    click(page, ".nst-save-picture")
    wait_for(page, ".nst-saved", "Saved as")
    file = lab.folder / text(page, ".nst-saved").split()[2]
    size = f"fetch({LINK}).then(file => file.blob()).then(file => file.size)"
    assert comes_true(page, f"{LINK}.startsWith('blob:')", DRAW)
    assert page.evaluate(size) == file.stat().st_size
    assert not page.locator(".nst-studio img:not([alt])").count()


@needs_lab
def test_two_studios_and_a_cell_that_is_run_again(long_studios: Page) -> None:
    """A studio whose cell is run again leaves no thread; another one goes on."""
    page = long_studios
    for cell in (0, 1):
        run_cell(page, cell)
    wait_for(page, ".nst-state", "press Start", 1)
    for number in (0, 1):
        click(page, ".nst-start", number)
        wait_for(page, ".nst-state", "Painting", number)
    click(page, ".nst-stop", 0)
    wait_for(page, ".nst-state", "Stopped", 0)
    assert "Painting" in text(page, ".nst-state", 1)
    click(page, ".nst-start", 0)
    wait_for(page, ".nst-state", "Painting", 0)
    assert count_threads(page) == 2
    run_cell(page, 0)
    wait_for(page, ".nst-state", "press Start", 0)
    assert count_threads(page) == 1
    assert "Painting" in text(page, ".nst-state", 1)
    click(page, ".nst-stop", 1)  # it would take a processor from the tests that follow
    wait_for(page, ".nst-state", "Stopped", 1)


def run_cell(page: Page, number: int) -> None:
    page.evaluate(
        "async number => { const book = jupyterapp.shell.currentWidget.content;"
        "book.activeCellIndex = number; await jupyterapp.commands.execute('notebook:run-cell'); }",
        number,
    )


def count_threads(page: Page) -> int:
    run_cell(page, 2)
    return int(page.locator(".jp-OutputArea-output pre").last.inner_text())


# What of a studio goes beyond its right edge, or is larger than what shows it.
CUT_OFF = """() => {
    const studio = document.querySelector('.nst-studio');
    const edge = studio.getBoundingClientRect().right + 2;
    return [...studio.querySelectorAll('*')].filter(each => each.clientWidth && (
        each.getBoundingClientRect().right > edge
        || getComputedStyle(each).overflow !== 'visible' && (
            each.scrollWidth > each.clientWidth + 2 || each.scrollHeight > each.clientHeight + 2)
    )).map(each => each.outerHTML.slice(0, 200));
}"""


@needs_lab
def test_on_a_phone_in_the_dark_nothing_is_cut_off(lab: Lab, tmp_path: Path) -> None:
    upload = tmp_path / f"IMG_{'20240518_' * 6}.png"
    Image.effect_noise((64, 48), 80).convert("RGB").save(upload)
    with lab.opened(notebook("nst.studio(size=64, steps=3)"), "doc", "Dark", 400) as page:
        page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_selector(".nst-start")
        choose_file(page, ".nst-content-upload", upload)
        wait_for(page, ".nst-state", "is here, 64x48 px.")
        click(page, ".nst-try-ratios")
        wait_for(page, ".nst-state", "All nine are there")
        click(page, ".nst-start")
        wait_for(page, ".nst-state", "Finished after 3 steps")
        click(page, ".nst-tries")
        for width in (320, 400, 700, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            assert comes_true(page, f"!({CUT_OFF})().length", DRAW), page.evaluate(CUT_OFF)
        page.set_viewport_size({"width": 400, "height": 844})
        assert is_dark(page)
        assert not axe_findings(page, ".jp-Notebook", but=OF_JUPYTERLAB)


def is_dark(page: Page) -> bool:
    """Whether what is said is light on a dark ground."""
    colors = page.evaluate(
        "(style => [style.color, getComputedStyle(document.body).backgroundColor])"
        "(getComputedStyle(document.querySelector('.nst-state p')))"
    )
    light, dark = (sum(map(int, re.findall(r"\d+", color)[:3])) for color in colors)
    return light > dark + 300  # legible


def kernels_of(port: int) -> int:
    """How many processes of visitors the server at that port has."""
    (server,) = (each for each in psutil.Process().children() if f"--port={port}" in each.cmdline())
    return sum("ipykernel_launcher" in each.cmdline() for each in server.children(recursive=True))


@needs_voila
def test_the_app_as_make_studio_opens_it(tmp_path: Path, browser: Browser) -> None:
    """A run is found again however often its page is loaded; there is one process, for one visitor;
    what is saved goes to the browser; nothing is asked of another server."""
    port, asked = free_port(), []
    requests: list[Request] = []
    command = ["nst_utils", "studio", "--no-browser", f"--port={port}", "--visitors=1"]
    with serving([*command, "--max-size=256"], port, tmp_path, quick=False) as address:
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.on("request", lambda request: requests.append(request))
        page.goto(address, timeout=1000 * START)
        page.wait_for_selector(".nst-start", timeout=1000 * START)
        sent = [each for each in requests if each.failure != "csp"]
        ours = ("data:", "blob:", f"http://127.0.0.1:{port}/")
        assert [each.url for each in sent if not each.url.startswith(ours)] == []
        sizes = page.locator(".nst-size option").all_inner_texts()
        assert max(map(int, sizes)) == 256
        page.locator(".nst-size select").select_option("128")
        start(page)
        wait_for_another_picture(page)

        def leave(dialog: Any) -> None:
            asked.append(dialog.type)
            dialog.accept()

        page.on("dialog", leave)
        for _ in range(4):
            reload(page, until="commit")
        reload(page)
        assert {*asked} == {"beforeunload"}
        page.wait_for_selector(".nst-start", timeout=1000 * START)
        wait_for_another_picture(page)
        assert kernels_of(port) == 1
        refused = browser.new_context().new_page()
        answer = refused.goto(address)
        assert answer is not None
        assert answer.status == 503
        assert "The studio is full" in refused.inner_text("h1")
        refused.close()

        before = content_share(page)
        press(page, ".nst-ratio", "ArrowRight", 20)
        wait_for(page, ".nst-state", "alpha/beta is 0.05")
        assert content_share(page) > before + 5
        click(page, ".nst-stop")
        wait_for(page, ".nst-state", "Stopped after")
        with page.expect_download() as download:
            click(page, ".nst-save-picture")
        assert download.value.suggested_filename == "chenonceau-great-wave-1.png"
        data = Path(download.value.path()).read_bytes()
        assert read_png(io.BytesIO(data)).size == 128
        assert [path.name for path in APP.parent.iterdir()] == [APP.name]
        assert (page.title(), page.locator("h1").count()) == ("Style transfer studio", 1)
        assert not axe_findings(page)
        page.emulate_media(color_scheme="dark")
        assert comes_true(page, "document.body.dataset.jpThemeLight === 'false'", DRAW)
        assert is_dark(page)
        assert not axe_findings(page)
        page.close()
