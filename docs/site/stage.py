"""Lays out what the site is made of: copies of the pages, their pictures, and pages of source code.

The pages stay as they are in the repository; only links are turned, from files of the repository to
pages of the site, and notebooks get what their pages need: attachments as files, and the
descriptions of pictures where myst-nb looks for them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shutil
import tomllib
from collections.abc import Callable
from os.path import normpath, relpath
from pathlib import Path
from typing import Any

SITE = Path(__file__).resolve().parent
# The front page is README.md. A chapter without pages is left out.
CHAPTERS = {
    "Course": ["course/README.md", "course/*.ipynb", "course/*.md"],
    "Notebooks": ["notebooks/0*.ipynb"],
    "Using it": [
        "docs/command-line.md",
        "docs/many-pictures.md",
        "docs/print.md",
        "docs/presets.md",
        "docs/class.md",
        "docs/gpu.md",
    ],
    "Behind it": [
        *("docs/paper.md", "docs/statistics.md", "docs/photorealism.md", "docs/promises.md"),
        *("benchmarks/README.md", "data/README.md"),
    ],
    "Reference": ["docs/architecture.md", "api/index", "docs/site/about.md"],
}
# What is no page, because build.py makes something else of it, which stands in its place.
MADE_OF = {"course/slides.md": "course/slides.html"}
AS_THEY_ARE = {".html", ".pdf", ".zip"}  # files that the site hands out under the same path
PICTURES = {".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp"}
LANGUAGES = {".py": "python", ".json": "json", ".toml": "toml", ".yml": "yaml", ".sh": "bash"}
# [text](target "title") and <img src="target">, where the target is in the repository.
LINK = re.compile(
    r"(\]\(<?|\b(?:src|href)=\")(?![a-z][a-z0-9+.-]*:|[#/>])([^\s\")>#]+)(#[^\s\")>]*)?"
)
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?^ {0,3}\1[`~]*\s*$", re.DOTALL | re.MULTILINE)


class SiteError(Exception):
    """What is wrong with the sources, in a sentence."""


def pages(root: Path) -> dict[str, list[str]]:
    """Chapter -> its pages, paths from the root; what is not there (yet) is left out."""
    chapters = {}
    for chapter, patterns in CHAPTERS.items():
        found: list[str] = []
        for pattern in patterns:
            paths = [x.relative_to(root).as_posix() for x in sorted(root.glob(pattern))]
            paths = [x for x in paths if x not in MADE_OF]
            found += [x for x in paths or [pattern] * pattern.startswith("api/") if x not in found]
        if found:
            chapters[chapter] = found
    return chapters


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """The text with everything changed but fenced code."""
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def picture(encoded: str | list[str], page: str) -> bytes:
    """A picture of a notebook, if nothing has been written into the middle of it."""
    try:
        return base64.b64decode("".join(encoded).replace("\n", ""), validate=True)
    except binascii.Error as error:
        raise SiteError(f"{page} has a picture that is broken ({error}); run it again") from error


class Stage:
    """A folder of sources for Sphinx, made from the repository in ``root``."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder, self.extra = root, folder, folder / "_extra"
        self.chapters = pages(root)
        self.pages = {"README.md", *(x for each in self.chapters.values() for x in each)}
        self.alts = tomllib.loads((SITE / "alt.toml").read_text(encoding="utf-8"))

    def write(self, path: str, content: str | bytes) -> None:
        """A file of the folder."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    def place(self, path: str, page: str) -> str:
        """Where a file of the repository is on the site; it is put there if it is not yet."""
        file = self.root / path
        if path == "README.md":
            return "index.md"
        if path in self.pages:
            return path
        if path in MADE_OF and file.is_file():
            return f"_extra/{MADE_OF[path]}"
        if file.suffix in {".md", ".ipynb"} and file.is_file():  # a page that no chapter has
            self.pages.add(path)
            self.page(path)
            return path
        if (file / "README.md").is_file():
            return self.place(normpath(f"{path}/README.md"), page)
        if path == "nst_utils" or (file.is_dir() and file.parent == self.root / "nst_utils"):
            return f"api/{file.name if path != 'nst_utils' else 'index'}.rst"
        if not file.exists():
            raise SiteError(f"{page} has a link to {path}, which is not in the repository")
        if file.suffix in PICTURES:
            self.write(path, file.read_bytes())
            return path
        return self.source_page(path, page)

    def source_page(self, path: str, page: str) -> str:
        """A page that shows a text or lists a folder; other files are handed out as they are."""
        file = self.root / path
        if file.is_dir():
            text = "\n".join(x.name + "/" * x.is_dir() for x in sorted(file.iterdir()))
        else:
            text = file.read_text(encoding="utf-8", errors="replace")
        if file.suffix in AS_THEY_ARE or "\ufffd" in text:
            self.write(f"_extra/{path}", file.read_bytes())
            return f"_extra/{path}"
        language = LANGUAGES.get(file.suffix, "text")
        head = f"---\nnosearch: true\n---\n\n# `{path}`\n\n"
        if file.suffix == ".py" and path.startswith("nst_utils/"):
            room = path.split("/")[1].removesuffix(".py")
            room = "index" if room.startswith("__") else room
            reference = relpath(f"api/{room}.rst", f"source/{Path(path).parent}")
            head += f"[In the reference]({reference})\n\n"
        self.write(f"source/{path}.md", f"{head}`````{language}\n{text.rstrip()}\n`````\n")
        return f"source/{path}.md"

    def turn_links(self, text: str, page: str) -> str:
        """Links to files of the repository become links to pages of the site."""

        def turn(link: re.Match[str]) -> str:
            before, target, anchor = link[1], link[2], link[3] or ""
            if self.folder.joinpath(normpath(f"{Path(page).parent}/{target}")).is_file():
                return link[0]  # an attachment, put there before
            path = normpath(f"{Path(page).parent}/{target}")
            place = self.place(path, page)
            if place.startswith("_extra/"):  # conf.py has this scheme
                target = relpath(place.removeprefix("_extra/"), Path(page).parent)
                return before + "asis:" * before.startswith("]") + target + anchor
            return before + relpath(place, Path(page).parent) + anchor

        return outside_code(text, lambda part: LINK.sub(turn, part))

    def page(self, page: str) -> None:
        """A page of either kind."""
        (self.notebook if page.endswith(".ipynb") else self.markdown)(page)

    def markdown(self, page: str) -> None:
        """A page of Markdown."""
        text = (self.root / page).read_text(encoding="utf-8")
        self.write(page, self.turn_links(text, page))

    def notebook(self, page: str) -> None:
        """A notebook with its outputs."""
        book = json.loads((self.root / page).read_text(encoding="utf-8"))
        stem = page.removesuffix(".ipynb")
        for cell in book["cells"]:
            text = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                for name, kinds in cell.pop("attachments", {}).items():
                    for data in kinds.values():
                        self.write(f"{stem}/{name}", picture(data, page))
                    text = text.replace(f"](attachment:{name}", f"]({Path(stem).name}/{name}")
                if missing := re.search(r"\]\(attachment:([^)]*)", text):
                    raise SiteError(f"{page} has no attachment {missing[1]}, but shows it")
                cell["source"] = self.turn_links(text, page)
            elif alt := self.alt(cell, Path(stem).name):
                cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
        self.write(page, json.dumps(book))

    def alt(self, cell: dict[str, Any], notebook: str) -> str:
        """What the picture of a cell shows: kept by nst's figures; of others alt.toml says it."""
        for output in cell.get("outputs", ()):
            for kind in output.get("data", ()):
                if not kind.startswith("image/"):
                    continue
                if kind != "image/svg+xml":
                    picture(output["data"][kind], notebook)
                kept = output["metadata"].get(kind, {}).get("alt")
                source = "".join(cell["source"])
                told = [x for line, x in self.alts.get(notebook, {}).items() if line in source]
                if not kept and len(told) != 1:
                    raise SiteError(
                        f"{notebook}: {len(told)} entries of docs/site/alt.toml describe the "
                        f"picture of the cell that ends with {source.splitlines()[-1]!r}; "
                        "let it be one"
                    )
                return " ".join((kept or told[0]).split())
        return ""

    def front_page(self) -> None:
        """The README, and the table of contents that Sphinx wants to have somewhere."""
        text = self.turn_links((self.root / "README.md").read_text(encoding="utf-8"), "README.md")
        for chapter, each in self.chapters.items():
            listed = "\n".join(re.sub(r"\.(md|ipynb)$", "", page) for page in each)
            text += f"\n```{{toctree}}\n:hidden:\n:caption: {chapter}\n\n{listed}\n```\n"
        self.write("index.md", text)

    def lay_out(self) -> None:
        """All of it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.extra.mkdir(parents=True)
        self.front_page()
        for page in sorted(self.pages - {"README.md"}):
            if "." in page:  # the reference comes from elsewhere
                self.page(page)
        for file in sorted((self.root / "nst_utils").rglob("*.py")):
            self.source_page(file.relative_to(self.root).as_posix(), "the reference")
