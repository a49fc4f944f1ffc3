"""The library names settings as in Python; here they become the options of the command line."""

from __future__ import annotations

import re
from collections.abc import Container

# ``tile=512``, ``device="cpu"``, or a name alone that can be no other word: ``style_blend``. What
# is in quotes or part of a file's name is the user's own.
_SETTING = re.compile(r"""(?<![\w./\\'"-])(?:(\w+)=("?)(\w+)\2|(\w+_\w+))(?![\w./\\'"=-])""")


def in_options(sentence: str, known: Container[str]) -> str:
    """A sentence of the library, in which the settings that are ``known`` are options.

    >>> in_options("use tiles (tile=512), or masks without style_blend", {"tile", "style_blend"})
    'use tiles (--tile 512), or masks without --style-blend'
    >>> in_options("load it as vgg16 (network=\\"vgg16\\"); not style_blend", {"network"})
    'load it as vgg16 (--network vgg16); not style_blend'
    """

    def option(found: re.Match[str]) -> str:
        name, _, value, alone = found.groups()
        if (name or alone) not in known:
            return found[0]
        flag = f"--{(name or alone).replace('_', '-')}"
        return flag if alone or value == "True" else f"{flag} {value}"

    return _SETTING.sub(option, sentence)
