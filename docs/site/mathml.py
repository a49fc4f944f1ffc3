"""Formulas as MathML, made while the site is built: no script draws them, and no font is loaded.

All browsers show MathML since 2023. A command that math-core does not know is a warning with the
place where it stands, and warnings end the build.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util import logging

CONVERT = LatexToMathML(annotation=True)


def _mathml(node: nodes.Element, block: bool) -> str:
    formula = node.astext().strip()
    try:
        return CONVERT.convert_with_local_state(formula, displaystyle=block)
    except LatexError as error:
        logging.getLogger(__name__).warning(
            "this formula is not understood: %s (%s)", formula, error, location=node
        )
        return ""


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(f'<span class="math">{_mathml(node, block=False)}</span>')
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    # It scrolls where it is too wide; what scrolls must be reached from the keyboard, too.
    body = f'<div class="math" tabindex="0">{_mathml(node, block=True)}</div>\n'
    translator.body.append(body)
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
