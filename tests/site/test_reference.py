"""The reference, and how lines break."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

for _module in ("griffe", "sphinx"):
    pytest.importorskip(_module, reason=f"{_module} is not installed")
from docutils import nodes, utils  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs" / "site"))
import api  # noqa: E402
import wrapping  # noqa: E402

SOURCE = '''
LAYERS = ("conv4_2", "conv5_2")
SIZE = 256
KINDS = ("gram", *LAYERS)

class Recipe:
    """Settings.

    Attributes:
        content, style: names.
        seed: of the noise. device: where it runs.
    """

    def __init__(
        self, layer: str = LAYERS[0], size: int = SIZE, kind: str = KINDS[0]
    ) -> None:
        self.content = self.style = layer
        self.seed = size
        self.device = "cpu"

def loss(F, *, alpha, beta):
    """Equation 7.

    Args:
        F: (B, N, H, W). alpha: a number.
        beta: see alpha: it is
            longer. alpha: not an entry here.

    Returns:
        (B,), one value for each image: what is minimized.

    Raises:
        ValueError, TypeError: bad input.
    """
'''


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("package")
    (root / "nst_utils").mkdir()
    (root / "nst_utils" / "__init__.py").write_text(SOURCE, encoding="utf-8")
    return api.read_package(root)


def test_names_that_share_a_line_are_entries_of_their_own(package: Any) -> None:
    told = api._docstring(package["Recipe"])
    for name, text in {"content": "names.", "style": "names.", "device": "where it runs."}.items():
        assert f":ivar {name}: {text}" in told, told
    assert ":ivar seed: of the noise.\n" in told, told
    told = api._docstring(package["loss"])
    assert ":param F: (B, N, H, W).\n:param alpha: a number.\n" in told, told
    assert "longer. alpha: not an entry here." in told, told


def test_what_is_returned_is_no_type_and_what_is_raised_is_one(package: Any) -> None:
    told = api._docstring(package["loss"])
    assert ":returns: (B,), one value for each image: what is minimized." in told, told
    assert ":raises ValueError, TypeError: bad input." in told, told


def test_defaults_are_shown_by_their_values(package: Any) -> None:
    signature = api._signature(package["Recipe"], package)
    assert "layer: str = 'conv4_2'" in signature, signature
    assert "size: int = 256" in signature, signature
    assert "kind: str = KINDS[0]" in signature, "only running it would tell"


def changed(transform: type, *children: Any) -> Any:
    """A page of these nodes, after one of the transforms."""
    document = utils.new_document("page")
    document += list(children)
    transform(document).run()
    return document


def test_long_words_of_tables_may_break() -> None:
    words = "short/one and/a/very_long/pathWithout spaces"
    entry = nodes.entry("", nodes.paragraph("", words))
    page = changed(wrapping.LongWords, entry, nodes.paragraph("", words))
    marked = ["\n" if isinstance(x, nodes.raw) else x.astext() for x in entry[0].children]
    assert "".join(marked) == "short/one and/\na/\nvery_\nlong/\npath\nWithout spaces"
    assert len(page[1].children) == 1


def test_titles_that_are_names_of_files_may_break() -> None:
    title = nodes.title("", "", nodes.literal("", "nst_utils/app/page.py"))
    changed(wrapping.LongWords, nodes.section("", title))
    assert [x.astext() for x in title if isinstance(x, nodes.literal)] == [
        "nst_utils/",
        "app/",
        "page.py",
    ]
    assert [x.astext() for x in title if isinstance(x, nodes.raw)] == ["<wbr>", "<wbr>"]


@pytest.mark.parametrize(
    ("code", "outside", "in_table"),
    [("--exact", True, True), ("--style-layer-weights", True, False), ("x" * 41, False, False)],
    ids=["short", "middle", "long"],
)
def test_short_code_stays_in_one_line(code: str, outside: bool, in_table: bool) -> None:
    both = [nodes.literal("", f"a {code}") for _ in range(2)]
    changed(wrapping.Code, nodes.paragraph("", "", both[0]), nodes.entry("", both[1]))
    assert ["short" in x["classes"] for x in both] == [outside, in_table]


@pytest.mark.parametrize(
    ("printed", "sentences"),
    [
        ("content_loss: not yet. It is divided by 2.\nFalse", True),
        ("conv1_1   0.5\nconv2_1  12.5", False),
        ("tensor([[1., 2.],\n        [3., 4.]])", False),
    ],
    ids=["sentences", "columns", "tensor"],
)
def test_sentences_that_were_printed_are_wrapped(printed: str, sentences: bool) -> None:
    block = nodes.literal_block(printed, printed)
    changed(wrapping.Sentences, nodes.container("", block, classes=["cell_output"]))
    assert ("sentences" in block["classes"]) is sentences


def test_commands_are_plain_but_for_comments_and_texts() -> None:
    line = "make test --x 0.5 a#b 'c d' \"[lab]\"   # it's done\n"
    found = [(str(kind), text) for kind, text in wrapping.Commands().get_tokens(line)]
    assert "".join(text for _, text in found) == line
    colored = [text for kind, text in found if kind != "Token.Text"]
    assert colored == ["'c d'", '"[lab]"', "# it's done"]
