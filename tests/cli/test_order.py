"""Options and pictures in any order: what is typed means what it should, or is explained."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from outcome import Outcome

from nst_utils.cli import parser

Run = Callable[..., Outcome]

PIECES = ["c.png a.png b.png", "--masks l.png r.png", "--style-masks x.png y.png", "-o o.png"]
PIECES += ["--quiet", "--content-weight 1e-1"]


build_parser = functools.cache(parser.build_parser)  # which takes longer than to parse


def parsed(line: str) -> dict[str, Any]:
    return vars(build_parser().parse_args(["transfer", *line.split()]))


@pytest.mark.parametrize("count", range(3, len(PIECES) + 1))
def test_every_order_of_the_pieces_means_the_same(count: int) -> None:
    """Also where a list is followed by the pictures, which argparse would give to the list."""
    needed = [PIECES[0], PIECES[3], *PIECES[1:3], *PIECES[4:]][:count]
    wanted = parsed(" ".join([needed[0], *needed[1:]]))
    for order in itertools.permutations(needed):
        assert parsed(" ".join(order)) == wanted, order


def test_pictures_may_stand_apart() -> None:
    """Between options, in pieces, as long as no list is before them."""
    options = ["-o o.png", "--quiet", "--size=64", "--style-blend 1,2", "--seed 3"]
    wanted = parsed(f"c.png a.png b.png {' '.join(options)}")
    for seed in range(100):
        words = options.copy()
        random.Random(seed).shuffle(words)
        places = sorted(random.Random(seed).choices(range(len(words) + 1), k=3))
        for place, picture in reversed([*zip(places, ("c.png", "a.png", "b.png"), strict=True)]):
            words.insert(place, picture)
        assert parsed(" ".join(words)) == wanted, words


# As typed -> what is meant.
MEANT: dict[str, dict[str, Any]] = {
    "c a -o o.png b": {"content": "c", "style": ["a", "b"]},
    "-oo.png c a": {"output": "o.png"},
    "-o=o.png c a": {"output": "o.png"},
    "c a --output=o.png": {"output": "o.png"},
    "--masks l --masks r -o o.png c a b": {"masks": ["l", "r"]},  # a list may be repeated
    "--masks l --masks r c a b -o o.png": {"masks": ["l", "r"], "style": ["a", "b"]},
    "c --masks l r a b -o o.png": {"masks": ["l", "r"], "content": "c", "style": ["a", "b"]},
    "--masks l c a -o o.png": {"masks": ["l"], "content": "c", "style": ["a"]},
    "-o o.png --masks l r -- c a -o": {"masks": ["l", "r"], "style": ["a", "./-o"]},
    "-o o.png -- -dash.png a": {"content": "./-dash.png", "style": ["a"]},
    "./-dash.png a -o o.png": {"content": "./-dash.png"},
    "c a -o -dash.png": {"output": "-dash.png"},
    "c a -o o.png --report -dash.json --quiet": {"report": "-dash.json", "quiet": True},
    "c a -o o.png --tv-weight 1e-3": {"tv_weight": 1e-3},
    "c - -o o.png": {"style": ["-"]},
}


@pytest.mark.parametrize("line", MEANT)
def test_what_is_typed_is_what_is_meant(line: str) -> None:
    found = parsed(line)
    assert {name: found[name] for name in MEANT[line]} == MEANT[line]


EXPLAINED: dict[str, str] = {
    "transfer --masks l r c a -o o.png": "write these first: CONTENT STYLE ... --masks FILE",
    "transfer --masks l c --masks r a b -o o.png": "write these first: CONTENT STYLE",
    "transfer c a --masks l r x -o o.png": "--masks has 3 values for 1 painting; give one for each",
    "transfer -dash.png a -o o.png": "write ./-dash.png",
    "transfer -old.png a -o o.png": "write ./-old.png",
    "transfer -horse.png a -o o.png": "write ./-horse.png",
    "transfer c a -o o.png --masks -dash.png": "write ./-dash.png",
    "transfer c a -o o.png --content-weight -1e-3": "finite number of at least 0",
    "transfer c a -o o.png --sise 3": "did you mean '--size'?",
    "transfer c a -o": "expected one argument",
    "transfer c a -o --quiet": "expected one argument",
    "transfer c a -o o.png --masks": "--masks: expected at least one argument",
    "--output o.png transfer c a": "the command comes before its options: nst COMMAND",
    "-o o.png transfer c a": "the command comes before its options: nst COMMAND",
    "--verson": "unknown option '--verson'; there are -h, --help, -V, --version",
    "-v": "unknown option '-v'; there are -h, --help, -V, --version",
    "transferr c a -o o.png": "unknown command 'transferr'; did you mean 'transfer'?",
    "transfer c a -o o.png --optimizer adamm": "unknown value 'adamm'; did you mean 'adam'?",
    "transfer c a -o o.png --bits 9": "--bits: unknown value '9'; Known: 8, 16",
    "reconstruct-content c a -o o.png": "unknown option or argument: a",
}


@pytest.mark.parametrize("line", EXPLAINED)
def test_what_cannot_be_meant_is_explained(
    line: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-dash.png", "-old.png", "-horse.png", "c", "a", "l", "r", "x"):
        Path(name).touch()
    outcome = run(*line.split())
    assert outcome.code == 2
    assert EXPLAINED[line] in outcome.complaint


@pytest.mark.parametrize("line", ["c a --help", "--sise --help", "--masks -h", "-h c"])
def test_help_is_given_wherever_it_is_asked_for(line: str, run: Run) -> None:
    outcome = run("transfer", *line.split())
    assert outcome.code == 0
    assert outcome.out.startswith("usage: nst transfer")
