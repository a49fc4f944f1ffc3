"""Makes the slides of the lecture, one file with everything in it, from slides.md.

    python course/slides.py                     # writes course/slides.html (make slides)
    python course/slides.py -o lecture.html

The figures are those that the notebooks were committed with, named by notebook and cell:

    [[01/cell-16]]         the figure below that cell
    [[01/cell-16#1,4-6]]   of a row of pictures these, each with its own title
    [[01/cell-06#text]]    what the cell printed
    [[01/cell-14#code]]    the cell itself

Slides are divided by lines of `---`; a line `Notes 0-3:` begins the notes for the lecturer, with
the minutes of the lecture; `$$...$$` on a line of its own is a formula. The rest is Markdown. The
slides are shown by reveal.js, a copy of which is in `reveal/`: neither making nor showing them
needs a network.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import mistune
from matplotlib.figure import Figure
from PIL import Image

from nst_utils.support.paths import write_whole

HERE = Path(__file__).resolve().parent
NOTEBOOKS = HERE.parent / "notebooks"
NOTES = re.compile(r"^Notes (\d+)-(\d+):", re.MULTILINE)
PICTURE = re.compile(r"^\[\[(\d\d)/([\w-]+)(?:#([\w,-]+))?\]\]$", re.MULTILINE)
FORMULA = re.compile(r"^\$\$(.+)\$\$$", re.MULTILINE)
GAP, TITLE = 8, 30  # pixels between the pictures of nst.show, and above each for its title
COLUMNS = 3  # of nst.show where nothing is said
QUALITY = 92  # of the JPEG of a picture cut out of a row

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{reveal_css}</style>
<style>{own_css}</style>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script>{reveal_js}</script>
<script>{notes_js}</script>
<script>
Reveal.initialize({{
  width: 1280, height: 720, margin: 0, center: false, hash: true, slideNumber: "c/t",
  pdfMaxPagesPerSlide: 1, controls: false, transition: "none", plugins: [RevealNotes]
}});
</script>
</body>
</html>
"""


class Slide(NamedTuple):
    """One slide: its Markdown, the lecturer's notes, and from which minute to which."""

    text: str
    notes: str
    begin: int
    end: int


class SlideError(Exception):
    """What is wrong with slides.md, as a sentence."""


def slides(source: str) -> list[Slide]:
    """The slides of a text.

    Raises:
        SlideError: a slide has no line `Notes A-B:`.
    """
    found = []
    for part in re.split(r"^---$", source, flags=re.MULTILINE):
        match = NOTES.search(part)
        if match is None:
            first = part.strip().partition("\n")[0]
            raise SlideError(f"the slide {first!r} has no line 'Notes A-B:' with its minutes")
        notes = part[match.end() :].strip()
        found.append(Slide(part[: match.start()].strip(), notes, int(match[1]), int(match[2])))
    return found


@cache
def _cells(notebook: str) -> dict[str, dict[str, Any]]:
    """The code cells of a notebook by their id; "03" is the one whose name begins so."""
    paths = list(NOTEBOOKS.glob(f"{notebook}_*.ipynb"))
    if len(paths) != 1:
        raise SlideError(f"there is no notebook {notebook} in {NOTEBOOKS}")
    cells = json.loads(paths[0].read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: cell for cell in cells if cell["cell_type"] == "code"}


def cell(notebook: str, name: str) -> dict[str, Any]:
    """A code cell of a notebook, or :class:`SlideError`."""
    cells = _cells(notebook)
    if name not in cells:
        raise SlideError(
            f"notebook {notebook} has no code cell {name!r}; it has {', '.join(cells)}"
        )
    return cells[name]


def figure(notebook: str, name: str) -> tuple[str, bytes, str]:
    """The figure below a cell: its media type, the file, and what it shows in words.

    Raises:
        SlideError: there is none.
    """
    for output in cell(notebook, name)["outputs"]:
        for kind in ("image/jpeg", "image/png"):
            if kind in output.get("data", {}):
                data = base64.b64decode("".join(output["data"][kind]))
                return kind, data, "".join(output["data"]["text/plain"])
    raise SlideError(f"cell {name!r} of notebook {notebook} shows no picture")


def printed(notebook: str, name: str) -> str:
    """What a cell printed, or its value, or :class:`SlideError`."""
    outputs = cell(notebook, name)["outputs"]
    text = "".join("".join(output.get("text", "")) for output in outputs)
    if not text.strip():
        text = "".join("".join(output.get("data", {}).get("text/plain", "")) for output in outputs)
    if not text.strip():
        raise SlideError(f"cell {name!r} of notebook {notebook} printed nothing")
    return text.rstrip()


def tiles(notebook: str, name: str) -> list[tuple[str, bytes]]:
    """The pictures of a row or grid that nst.show drew, each with its title.

    Raises:
        SlideError: the cell shows none, or something else.
    """
    kind, data, alt = figure(notebook, name)
    titles = alt.split("; ")
    given = re.search(r"columns=(\d+)", "".join(cell(notebook, name)["source"]))
    across = min(int(given[1]) if given else COLUMNS, len(titles))
    down = -(-len(titles) // across)
    with Image.open(io.BytesIO(data)) as sheet:
        whole = sheet.convert("RGB")
    width = (whole.width - (across - 1) * GAP) / across
    height = (whole.height - (down - 1) * GAP) / down - TITLE
    if kind != "image/jpeg" or height <= 0:
        raise SlideError(f"cell {name!r} of notebook {notebook} shows no row of pictures")
    found = []
    for number, title in enumerate(titles):
        row, column = divmod(number, across)
        left, top = column * (width + GAP), row * (height + TITLE + GAP) + TITLE
        box = (round(left), round(top), round(left + width), round(top + height))
        buffer = io.BytesIO()
        _without_margin(whole.crop(box)).save(buffer, "JPEG", quality=QUALITY)
        found.append((title, buffer.getvalue()))
    return found


def _without_margin(picture: Image.Image) -> Image.Image:
    """Without the white that stands around a picture of another shape than its neighbors'."""
    ink = picture.convert("L").point(lambda level: 255 * (level < 250))
    return picture.crop(ink.getbbox())


def formula(tex: str) -> bytes:
    """A formula as SVG, drawn by matplotlib, so that it needs no font where it is shown."""
    buffer = io.BytesIO()
    with mpl.rc_context({"mathtext.fontset": "cm", "svg.fonttype": "path", "svg.hashsalt": "x"}):
        drawing = Figure()
        drawing.text(0, 0, f"${tex}$", fontsize=30)
        drawing.savefig(
            buffer, format="svg", bbox_inches="tight", pad_inches=0.04, metadata={"Date": None}
        )
    return buffer.getvalue()


def _image(kind: str, data: bytes, alt: str) -> str:
    source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return f'<img src="{source}" alt="{html.escape(alt)}">'


def _numbers(listed: str) -> Iterator[int]:
    """1, 4, 5, 6 of "1,4-6"."""
    for part in listed.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _picture(match: re.Match[str]) -> str:
    """HTML for one line `[[...]]`."""
    notebook, name, what = match.groups()
    if what == "text":
        return f"<pre>{html.escape(printed(notebook, name))}</pre>\n"
    if what == "code":
        code = "".join(cell(notebook, name)["source"])
        return f'<pre class="code">{html.escape(code)}</pre>\n'
    if what is None:
        return f'<div class="figure">{_image(*figure(notebook, name))}</div>\n'
    shown, wanted = tiles(notebook, name), list(_numbers(what))
    if not all(1 <= number <= len(shown) for number in wanted):
        raise SlideError(f"{match[0]} asks for more than the {len(shown)} pictures there are")
    parts = []
    for title, data in (shown[number - 1] for number in wanted):
        image = _image("image/jpeg", data, title)
        parts.append(f"<figure>{image}<figcaption>{html.escape(title)}</figcaption></figure>")
    return f'<div class="tiles n{len(wanted)}">{"".join(parts)}</div>\n'


def _formula(match: re.Match[str]) -> str:
    return f'<p class="formula">{_image("image/svg+xml", formula(match[1]), match[1])}</p>\n'


def slide_html(slide: Slide) -> str:
    """A slide as reveal.js wants it."""
    body = str(mistune.html(FORMULA.sub(_formula, PICTURE.sub(_picture, slide.text))))
    notes = str(mistune.html(f"**Minute {slide.begin} to {slide.end}.** {slide.notes}"))
    kind = "pictures" if 'class="figure"' in body or 'class="tiles' in body else "words"
    return (
        f'<section><div class="slide {kind}">\n{body}</div>\n'
        f'<aside class="notes">{notes}</aside></section>'
    )


def page(source: str) -> str:
    """The whole file."""
    title = re.search(r"^# (.+)$", source, re.MULTILINE)
    files = {"reveal_css": "reveal/reveal.css", "own_css": "slides.css"}
    files |= {"reveal_js": "reveal/reveal.js", "notes_js": "reveal/notes.js"}
    parts = {key: (HERE / name).read_text(encoding="utf-8") for key, name in files.items()}
    shown = "\n".join(map(slide_html, slides(source)))
    return PAGE.format(title=title[1] if title else "Slides", slides=shown, **parts)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the slides of the lecture, as one file.")
    parser.add_argument("-o", "--output", default=str(HERE / "slides.html"), help="the file")
    output = parser.parse_args().output
    try:
        made = page((HERE / "slides.md").read_text(encoding="utf-8")).encode()
        write_whole(output, lambda file: file.write(made))
    except (SlideError, ValueError, OSError) as error:
        print(f"The slides were not made: {error}", file=sys.stderr)
        return 1
    print(f"{output} ({len(made) / 1e6:.1f} MB): open it in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
