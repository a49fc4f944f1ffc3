"""What is wrong with a folder of web pages: ``python docs/site/check.py build/site/html``.

Every link within the site leads somewhere, its anchor too; every picture has a description; each
page has a title that no other has, a language and one h1, under which headings go down one level at
a time; ids are there once; no Markdown, reStructuredText or TeX is left in the text; nothing is
loaded from another host. Links in the text may lead outside; whether anybody
is there is not asked here (``make site EXTERNAL=1`` does).
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, NavigableString, Tag

# What a browser fetches by itself. Links that are followed (a, area) are not among it.
LOADED = {
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "script": ("src",),
    "iframe": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "audio": ("src",),
    "video": ("src", "poster"),
    "track": ("src",),
    "input": ("src",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
    "link": ("href",),
}
NOT_FETCHED = {"canonical", "alternate", "author", "license", "next", "prev", "search", "index"}
FOREIGN = re.compile(r"^(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
CSS_LOADS = re.compile(r"(?:url\(|@import\s+)\s*[\"']?((?:[a-z][a-z0-9+.-]*:)?//[^\"')\s]+)", re.I)

# Where it stands for itself: code, formulas (with their TeX beside them), signatures.
VERBATIM = ["pre", "code", "script", "style", "math", "template", "svg"]
MARKUP = re.compile(
    r"`|\]\(|\[\[|\]\]|\{\{|\$\$|\*\*|^#{1,6} |^\.\. [\w-]+:|:[a-z]{2,}:\S|\\[A-Za-z]{2,}"
    r"|(?<!\w)\$[^$\d][^$]*\$(?!\w)|</?[a-z]+>",
    re.MULTILINE,
)


class Page:
    """A page, parsed."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.tree = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        self.ids = Counter(str(x["id"]) for x in self.tree.find_all(id=True))
        self.anchors = {
            *self.ids,
            *(str(x["name"]) for x in self.tree.find_all("a", attrs={"name": True})),
        }


def _loads(page: Page) -> Iterator[str]:
    """Addresses that a browser fetches to show the page."""
    for tag in page.tree.find_all(list(LOADED)):
        if tag.name == "link" and NOT_FETCHED & {
            x.lower() for x in tag.get_attribute_list("rel") if x
        }:
            continue
        for attribute in LOADED[tag.name]:
            value = str(tag.get(attribute) or "")
            if attribute == "srcset":
                yield from (part.split()[0] for part in value.split(",") if part.strip())
            elif value:
                yield value


def _headings(page: Page) -> Iterator[str]:
    if page.tree.find(class_="reveal"):
        return  # slides: each has a heading of its own
    levels = [
        (int(x.name[1]), x.get_text(" ", strip=True))
        for x in page.tree.find_all(re.compile("^h[1-6]$"))
    ]
    if (number := sum(level == 1 for level, _ in levels)) != 1:
        yield f"{number} headings h1, should be one"
    above = 0
    for level, text in levels:
        if level > above + 1:
            yield f"the heading {text!r} is an h{level} and comes after " + (
                f"an h{above}" if above else "no other"
            )
        if not text:
            yield f"an h{level} is empty"
        above = level


def _head(page: Page) -> Iterator[str]:
    html, title = page.tree.find("html"), page.tree.find("title")
    if not (isinstance(html, Tag) and html.get("lang")):
        yield "no language (<html lang=...>)"
    if not (title and title.get_text(strip=True)):
        yield "no title"


def _descriptions(page: Page) -> Iterator[str]:
    for picture in page.tree.find_all(["img", "area"]):
        if not str(picture.get("alt") or "").strip() and picture.get("role") != "presentation":
            yield f"the picture {picture.get('src', '')} has no description (alt)"
    for link in page.tree.find_all("a", href=True):
        pictures = [x for x in link.find_all("img") if x.get("alt")]
        if not (
            link.get_text(strip=True) or pictures or link.get("aria-label") or link.get("title")
        ):
            yield f"the link to {link['href']} has no text"


def _markup(page: Page) -> Iterator[str]:
    """What was meant to be turned into HTML and was not."""
    for text in page.tree.find_all(string=True):
        verbatim = text.find_parent(VERBATIM) or text.find_parent(class_="sig")
        if type(text) is NavigableString and not verbatim and (found := MARKUP.search(text)):
            around = text[max(found.start() - 20, 0) : found.end() + 20]
            yield f"{' '.join(around.split())!r} is markup that is left in the text"


def _foreign(page: Page) -> Iterator[str]:
    for address in _loads(page):
        if FOREIGN.match(address):
            yield f"{address} is loaded from another host"
    for style in page.tree.find_all("style"):
        yield from (f"{x} is loaded from another host" for x in CSS_LOADS.findall(style.get_text()))
    for tag in page.tree.find_all(style=True):
        yield from (
            f"{x} is loaded from another host" for x in CSS_LOADS.findall(str(tag["style"]))
        )


def _links(page: Page, pages: dict[Path, Page], root: Path) -> Iterator[str]:
    """Those within the site that lead nowhere."""
    followed = [str(x["href"]) for x in page.tree.find_all(["a", "area"], href=True)]
    for address in [*followed, *_loads(page)]:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        path = unquote(parts.path)
        if path.startswith("/"):
            yield f"the link to {address} leaves the folder that the site is in"
            continue
        file = (page.file.parent / path).resolve() if path else page.file
        file = file / "index.html" if file.is_dir() else file
        if not file.is_file() or not file.is_relative_to(root):
            yield f"the link to {address} leads nowhere"
        elif (
            parts.fragment
            and file in pages
            and unquote(parts.fragment) not in pages[file].anchors | {"top"}
        ):
            yield f"the link to {address} leads to a page that has no such anchor"


def faults(root: Path) -> list[str]:
    """A sentence for each, with the page it is on; none for a site that is in order."""
    root = root.resolve()
    pages = {file: Page(file) for file in sorted(root.rglob("*.html"))}
    found = [] if pages else [f"{root}: there are no pages"]
    for file, page in pages.items():
        own = [*_head(page), *_headings(page), *_descriptions(page), *_foreign(page)]
        own += [*_markup(page), *_links(page, pages, root)]
        own += [f"the id {name!r} is there {n} times" for name, n in page.ids.items() if n > 1]
        found += [f"{file.relative_to(root)}: {fault}" for fault in dict.fromkeys(own)]
    titles = [x.get_text(strip=True) for p in pages.values() if (x := p.tree.select_one("title"))]
    found += [f"the title {x!r} is there {n} times" for x, n in Counter(titles).items() if n > 1]
    for file in sorted(root.rglob("*.css")):
        foreign = dict.fromkeys(CSS_LOADS.findall(file.read_text(encoding="utf-8")))
        found += [f"{file.relative_to(root)}: {x} is loaded from another host" for x in foreign]
    return found


def main(arguments: list[str]) -> int:
    """Exit code 1 if anything is wrong."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: check.py FOLDER, the folder of a site that was built", file=sys.stderr)
        return 2
    root = Path(arguments[0])
    found = faults(root)
    for fault in found:
        print(fault, file=sys.stderr)
    number = len(list(root.rglob("*.html")))
    print(f"{root}: {number} pages, " + (f"{len(found)} faults" if found else "in order"))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
