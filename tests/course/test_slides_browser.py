"""The slides in a browser: each fits into its 1280 x 720 pixels, and nothing is fetched."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import pytest

pytest.importorskip("mistune", reason="mistune is not installed")
FOLDER = Path(__file__).resolve().parents[2] / "course"
sys.path.insert(0, str(FOLDER))
import slides  # noqa: E402

pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason="there is no Chromium")
COUNT = len(slides.slides((FOLDER / "slides.md").read_text(encoding="utf-8")))
# To a slide, until it is drawn.
TURN = """number => new Promise(drawn => {
  Reveal.slide(number);
  requestAnimationFrame(() => requestAnimationFrame(drawn));
})"""
# What is cut off, or so small that the last row sees nothing.
AMISS = """() => {
  const amiss = [], slide = Reveal.getCurrentSlide().querySelector('.slide');
  if (slide.scrollHeight > 720) amiss.push('the slide is ' + slide.scrollHeight + ' px high');
  for (const each of slide.querySelectorAll('*')) {
    const box = each.getBoundingClientRect(), style = getComputedStyle(each);
    const name = each.tagName + ' ' + each.textContent.slice(0, 30);
    if (!box.width || !box.height) continue;
    if (box.bottom > 712 || box.right > 1270 || box.left < 10) amiss.push(name + ' is cut off');
    if (each.scrollWidth > each.clientWidth + 2 && style.overflow === 'hidden')
      amiss.push(name + ' is wider than its box');
    if (each.tagName === 'IMG' && !each.naturalWidth) amiss.push(name + ' is no picture');
    if (each.tagName === 'IMG' && !each.closest('.formula') && box.height < 120)
      amiss.push(name + ' is only ' + box.height + ' px high');
    if (parseFloat(style.fontSize) < 20) amiss.push(name + ' has letters of ' + style.fontSize);
  }
  return amiss;
}"""


@pytest.fixture(scope="module")
def deck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str, list[str]]]:
    """A page with the slides, their address, and all that it has asked for."""
    file = tmp_path_factory.mktemp("slides") / "slides.html"
    source = (FOLDER / "slides.md").read_text(encoding="utf-8")
    file.write_text(slides.page(source), encoding="utf-8")
    asked: list[str] = []
    with browser.chromium() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 720})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_function("window.Reveal && Reveal.isReady()")
        yield page, file.as_uri(), asked


@pytest.mark.parametrize("number", range(COUNT))
def test_a_slide_fits(deck: tuple[Any, str, list[str]], number: int) -> None:
    page, *_ = deck
    page.evaluate(TURN, number)
    assert page.evaluate(AMISS) == []


def test_nothing_is_fetched(deck: tuple[Any, str, list[str]]) -> None:
    _, address, asked = deck
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:")} == {address}


def test_keys_lead_on_and_back(deck: tuple[Any, str, list[str]]) -> None:
    page, *_ = deck
    page.evaluate("Reveal.slide(0)")
    for key, then in {"ArrowRight": 1, " ": 2, "ArrowLeft": 1, "End": COUNT - 1, "Home": 0}.items():
        page.keyboard.press(key)
        assert page.evaluate("Reveal.getIndices().h") == then


def test_the_presenter_sees_the_notes(deck: tuple[Any, str, list[str]]) -> None:
    page, *_ = deck
    page.evaluate("Reveal.slide(0)")
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    notes = opened.value
    notes.wait_for_function("document.body.innerText.includes('Minute 0 to 3')", timeout=60_000)
    notes.close()


def test_a_page_for_each_slide_when_printed(deck: tuple[Any, str, list[str]]) -> None:
    page, address, _ = deck
    page.goto(f"{address}?view=print")
    page.wait_for_function(
        "n => document.querySelectorAll('.pdf-page').length === n", arg=COUNT, timeout=60_000
    )
    sheets = page.evaluate(
        "[...document.querySelectorAll('.pdf-page')].map(each => each.querySelectorAll('.slide')"
        ".length === 1 && each.offsetHeight <= 722)"
    )
    assert sheets == [True] * COUNT
