"""The checker of the site finds each kind of fault in a small page, and none in a good one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("bs4", reason="beautifulsoup4 is not installed")
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "site"
sys.path.insert(0, str(FOLDER))
import check  # noqa: E402

GOOD = """<!doctype html>
<html lang="en">
<head><title>Good</title><link rel="stylesheet" href="style.css"></head>
<body>
<h1 id="good">Good</h1>
<img src="a%20b.png" alt="a gray square"><img src="data:image/gif;base64,R0lG" alt="a dot">
<h2>Links</h2>
<h3>Deeper</h3>
<h2 id="%C3%A9">Up again by two is no fault</h2>
<a href="other.html#there">page</a> <a href="#good">here</a> <a href="folder/">folder</a>
<a href="https://example.org/">outside</a> <a href="mailto:a@example.org">mail</a>
<a href="#"><img src="a%20b.png" alt="picture as a link"></a>
<p>$5 and $6 is no formula, #1 no heading, a: b no role, a * b &lt; c no markup</p>
<pre>``x`` **kwargs ](</pre><code>[[1]]</code><math><annotation>\\alpha</annotation></math>
</body></html>
"""
OTHER = """<html lang="en"><title>Other</title><h1>Other</h1><a name="there"></a></html>"""
DEEPER = OTHER.replace("Other", "Deeper")


def site(folder: Path, page: str, style: str = "h1 { color: red }") -> list[str]:
    """The faults of a site of three pages, one of them this one."""
    (folder / "folder").mkdir()
    files = {"index.html": page, "other.html": OTHER, "folder/index.html": DEEPER}
    for name, text in (files | {"style.css": style, "a b.png": ""}).items():
        (folder / name).write_text(text, encoding="utf-8")
    return check.faults(folder)


def test_a_good_page_has_no_faults(tmp_path: Path) -> None:
    assert site(tmp_path, GOOD) == []


# What of the good page is changed, into what, and a piece of the sentence that must come.
FAULTS = {
    "no-language": (' lang="en"', "", "no language"),
    "no-title": ("<title>Good</title>", "", "no title"),
    "empty-title": ("<title>Good", "<title> ", "no title"),
    "no-alt": (' alt="a gray square"', "", "has no description"),
    "empty-alt": ('alt="a gray square"', 'alt=" "', "has no description"),
    "no-h1": ("<h1", "<p", "0 headings h1"),
    "two-h1": ("<h2>Links</h2>", "<h1>Links</h1>", "2 headings h1"),
    "skipped-level": ("<h3>Deeper</h3>", "<h4>Deeper</h4>", "is an h4 and comes after an h2"),
    "first-not-h1": ('<h1 id="good">Good</h1>', "<h2>x</h2><h1>y</h1>", "comes after no other"),
    "empty-heading": ("Deeper", "", "an h3 is empty"),
    "dead-page": ("other.html", "another.html", "another.html#there leads nowhere"),
    "dead-anchor": ("#there", "#nowhere", "other.html#nowhere leads to a page that has no such"),
    "dead-anchor-here": ('"#good"', '"#bad"', "#bad leads to a page that has no such anchor"),
    "dead-picture": ("a%20b.png", "b.png", "b.png leads nowhere"),
    "dead-style": ("style.css", "styles.css", "styles.css leads nowhere"),
    "dead-folder": ('"folder/"', '"folders/"', "folders/ leads nowhere"),
    "out-of-the-folder": ("other.html#there", "../secret.html", "secret.html leads nowhere"),
    "absolute": ("other.html#there", "/other.html", "leaves the folder"),
    "link-without-text": (">page</a>", "></a>", "has no text"),
    "title-twice": ("<title>Good", "<title>Other", "the title 'Other' is there 2 times"),
    "markdown-link": ("Good</h1>", "Good</h1>[a](b.md)", "'[a](b.md)' is markup"),
    "markdown-bold": ("Good</h1>", "Good</h1><p>a **b** c", "is markup that is left"),
    "markdown-heading": ("Good</h1>", "Good</h1><p>a\n## b", "is markup that is left"),
    "code-ticks": ("Good</h1>", "Good</h1>``a``", "is markup that is left"),
    "rest-role": ("Good</h1>", "Good</h1>:func:nst.show", "is markup that is left"),
    "rest-directive": ("Good</h1>", "Good</h1><p>.. note:: a", "is markup that is left"),
    "slide": ("Good</h1>", "Good</h1>[[00/cell-04]]", "is markup that is left"),
    "tex": ("Good</h1>", r"Good</h1>\alpha", "is markup that is left"),
    "tex-dollars": ("Good</h1>", "Good</h1>of $F$ here", "is markup that is left"),
    "html": ("Good</h1>", "Good</h1>&lt;br&gt;", "is markup that is left"),
    "id-twice": ("<h3>", '<h3 id="good">', "'good' is there 2 times"),
    "foreign-script": ("</body>", "<script src='https://x.org/a.js'></script>", "another host"),
    "foreign-without-scheme": ("</body>", "<script src='//x.org/a.js'></script>", "another host"),
    "foreign-style": ("style.css", "https://x.org/a.css", "loaded from another host"),
    "foreign-picture": ("a%20b.png", "http://x.org/a.png", "loaded from another host"),
    "foreign-srcset": ("<img ", "<img srcset='a%20b.png 1x, //x.org/b.png 2x' ", "x.org/b.png is"),
    "foreign-frame": ("</body>", "<iframe src='https://x.org'></iframe>", "another host"),
    "foreign-preconnect": ("</head>", "<link rel=preconnect href=https://x.org>", "another host"),
    "foreign-in-style": ("</head>", "<style>@import 'https://x.org/a'</style>", "another host"),
    "foreign-in-attribute": ("<h3>", "<h3 style='background:url(//x.org/a)'>", "another host"),
}


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_each_kind_of_fault_is_found(kind: str, tmp_path: Path) -> None:
    before, after, sentence = FAULTS[kind]
    assert before in GOOD
    found = site(tmp_path, GOOD.replace(before, after, 1))
    of_all = kind == "title-twice"
    assert any((of_all or x.startswith("index.html: ")) and sentence in x for x in found), found


@pytest.mark.parametrize(
    "style",
    ["@import 'https://x.org/a.css';", "@font-face { src: url(//x.org/a.woff2) }"],
    ids=["import", "font"],
)
def test_a_style_sheet_that_loads_from_another_host_is_found(style: str, tmp_path: Path) -> None:
    assert site(tmp_path, GOOD, style) == [
        f"style.css: {'https:' * style.startswith('@import')}//x.org/a"
        + (".css" if "import" in style else ".woff2")
        + " is loaded from another host"
    ]


def test_slides_have_a_heading_each(tmp_path: Path) -> None:
    slides = GOOD.replace("<h2>Links</h2>", "<h1>Links</h1>")
    assert site(tmp_path, slides.replace("<body>", "<body><div class='reveal'></div>")) == []


def test_a_folder_without_pages_is_a_fault(tmp_path: Path) -> None:
    assert "there are no pages" in " ".join(check.faults(tmp_path))


def test_the_exit_code_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([]) == 2
    assert check.main([str(tmp_path / "nothing")]) == 2
    site(tmp_path, GOOD)
    assert check.main([str(tmp_path)]) == 0
    (tmp_path / "style.css").unlink()
    assert check.main([str(tmp_path)]) == 1
    assert "index.html: the link to style.css leads nowhere" in capsys.readouterr().err
