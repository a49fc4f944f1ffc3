"""Where lines may break, and how commands are colored.

Long paths and addresses in tables break after a slash or an underscore. A short piece of code in a
sentence never breaks: ``--exact`` would leave its ``--`` behind. Of what a cell of a notebook
printed, sentences are wrapped as text is; columns of numbers are not, they scroll.
"""

from __future__ import annotations

import re

from docutils import nodes
from pygments import token
from pygments.lexer import RegexLexer
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

LONG = re.compile(r"\S{20,}")  # characters; shorter words fit into a column
BREAK = re.compile(r"(?<=[/_])(?=\w)|(?<=[a-z])(?=[A-Z])")
SHORT, SHORT_IN_TABLES = 40, 20  # characters of code without a space; a phone has 45 in a line


def _divide(node: nodes.Node, parts: list[nodes.Node]) -> None:
    """These parts in its place, with room for a break between them."""
    new = parts[:1]
    for part in parts[1:]:
        new += [nodes.raw("", "<wbr>", format="html"), part]
    node.parent.replace(node, new)


class LongWords(SphinxPostTransform):
    """``<wbr>`` in the words of tables, and in titles that are names of files."""

    default_priority = 900  # after all that makes or moves text
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Sphinx calls this for every page."""
        for entry in list(self.document.findall(nodes.entry)):
            for text in list(entry.findall(nodes.Text)):
                if isinstance(text.parent, nodes.literal | nodes.math):
                    continue
                marked = LONG.sub(lambda word: BREAK.sub("\0", word[0]), text)
                _divide(text, [nodes.Text(part) for part in marked.split("\0")])
        for title in list(self.document.findall(nodes.title)):
            for code in list(title.findall(nodes.literal)):
                parts = re.split("(?<=/)", code.astext())
                _divide(code, [nodes.literal(part, part) for part in parts])


class Code(SphinxPostTransform):
    """The class ``short`` for code that is to stay in one line."""

    default_priority = 900
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Sphinx calls this for every page."""
        in_tables = {id(x) for e in self.document.findall(nodes.entry) for x in e.findall()}
        for code in self.document.findall(nodes.literal):
            longest = max(map(len, code.astext().split()), default=0)
            if longest <= (SHORT_IN_TABLES if id(code) in in_tables else SHORT):
                code["classes"].append("short")


class Sentences(SphinxPostTransform):
    """The class ``sentences`` for outputs that have no columns."""

    default_priority = 900
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Sphinx calls this for every page."""
        for output in self.document.findall(nodes.container):
            if "cell_output" in output["classes"]:
                for block in output.findall(nodes.literal_block):
                    if not re.search(r"\S {2,}\S|\n {2,}", block.astext()):
                        block["classes"].append("sentences")


class Commands(RegexLexer):
    """Commands with their comments. As bash, half of ``0.5`` and ``make test`` would be colored."""

    name = "Commands"
    tokens = {  # noqa: RUF012, Pygments wants it so
        "root": [
            (r"(?:^|(?<=\s))#.*", token.Comment),
            (r"\"[^\"\n]*\"|'[^'\n]*'", token.String),
            (r"\s+|[^\s\"']+|.", token.Text),
        ]
    }


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this."""
    for transform in (LongWords, Code, Sentences):
        app.add_post_transform(transform)
    app.add_lexer("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
