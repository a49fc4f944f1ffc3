"""Options and pictures in whatever order they are typed.

argparse wants all pictures in one piece, and lets an option with several values take every picture
that follows.
"""

from __future__ import annotations

import re
from argparse import Action
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nst_utils.support import checks

# Options with a file for each painting; only of these the number tells which words are theirs.
_FOR_EACH_PAINTING = ("masks", "style_masks")
# A picture, or the values of an option that takes several.
_Piece = tuple[Action | None, list[str]]


class _Typed(NamedTuple):
    pieces: list[_Piece]
    settings: list[str]  # every other option, as --name=value or --name


def pictures_first(words: Sequence[str], options: Mapping[str, Action]) -> list[str]:
    """The words of a command as argparse takes them: pictures, then options.

    Args:
        words: as typed, without the command's name. options: all that it has, by their spellings.

    Raises:
        ValueError: an unknown option; lists of files that do not add up.
    """
    if {"-h", "--help"} & {*_before_dashes(words)}:
        return ["--help"]
    typed = _read(deque(words), options)
    pieces = _shared_out(typed.pieces)
    pictures = [word for action, each in pieces if action is None for word in each]
    ordered = [f"./{word}" if re.match("-.", word) else word for word in pictures]
    ordered += typed.settings
    for action, each in pieces:
        if action is not None and each:
            ordered += [action.option_strings[-1], *each]
    return ordered


def _before_dashes(words: Sequence[str]) -> Sequence[str]:
    return words[: words.index("--")] if "--" in words else words


def _read(words: deque[str], options: Mapping[str, Action]) -> _Typed:
    """What each word is."""
    typed = _Typed([], [])
    while words:
        word = words.popleft()
        if word == "--":  # what follows is a picture, whatever it looks like
            typed.pieces.extend((None, [each]) for each in words)
            break
        action, value = _option(word, options)
        if action is None:
            typed.pieces.append((None, [word]))
        elif action.nargs == "+":
            several = [] if value is None else [value]
            while value is None and words and not _may_be_option(words[0], options):
                several.append(words.popleft())
            typed.pieces.append((action, several))
            if not several:
                typed.settings.append(word)  # argparse says what is missing
        elif action.nargs is None:
            if value is None and words and not _is_option(words[0], options):
                value = words.popleft()  # -1e-3 too, and a file called -dash.png
            long = action.option_strings[-1]
            typed.settings.append(long if value is None else f"{long}={value}")
        else:
            typed.settings.append(word)
    return typed


def _may_be_option(word: str, options: Mapping[str, Action]) -> bool:
    """Whether the word is an option, or looks like one."""
    if word == "--" or _is_option(word, options):
        return True
    return bool(re.match(r"-[^\d.]", word)) and " " not in word


def _is_option(word: str, options: Mapping[str, Action]) -> bool:
    return word == "--" or word in options or word.partition("=")[0] in options


def _option(word: str, options: Mapping[str, Action]) -> tuple[Action | None, str | None]:
    """The option, and the value that is part of the word; neither for a picture."""
    name, equals, value = word.partition("=")
    if name in options:
        return options[name], value if equals else None
    if not _may_be_option(word, options):
        return None, None
    if Path(word).is_file():
        raise ValueError(f"{word} reads like an option; for the file of that name write ./{word}")
    action = options.get(word[:2])
    if action is not None and action.nargs is None:  # -oout.png
        return action, word[2:]
    known = checks.unknown("option", name, options).partition(" Known:")[0].removesuffix(";")
    raise ValueError(known)


def _shared_out(pieces: list[_Piece]) -> list[_Piece]:
    """The pieces, in which no option holds pictures that are not its own.

    ``--masks`` and its like take as many files as there are paintings. So where they have swallowed
    the photograph or all paintings, the number of words tells how many belong to each.
    """
    outside = sum(len(each) for action, each in pieces if action is None)
    lists: dict[Action, list[list[str]]] = {}
    for action, each in pieces:
        if action is not None and each and action.dest in _FOR_EACH_PAINTING:
            lists.setdefault(action, []).append(each)
    if not lists or outside >= 2:
        return pieces
    in_lists = sum(len(each) for several in lists.values() for each in several)
    paintings, rest = divmod(outside + in_lists - 1, 1 + len(lists))
    enough = all(sum(map(len, several)) >= paintings for several in lists.values())
    # Of an option that is repeated, only the last can have swallowed anything.
    is_clear = all(len(each) == 1 for several in lists.values() for each in several[:-1])
    if rest or not paintings or not enough or not is_clear:
        names = " and ".join(action.option_strings[-1] for action in lists)
        raise ValueError(
            f"what follows {names} is taken for its files, one for each STYLE, which leaves no "
            f"CONTENT and STYLE; write these first: CONTENT STYLE ... {names.split()[0]} FILE ..."
        )
    left = dict.fromkeys(lists, paintings)
    shared: list[_Piece] = []
    for action, each in pieces:
        own = len(each) if action not in left else min(left[action], len(each))
        shared.append((action, each[:own]))
        if action in left and each:
            left[action] -= own
            shared.append((None, each[own:]))
    return shared
