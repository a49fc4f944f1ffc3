"""Options that take a single value become options that take several: lists and ranges."""

from __future__ import annotations

import argparse
import itertools
import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from typing import Any

from nst_utils.cli.converters import whole
from nst_utils.support import checks

# Of these, commas separate what is one value, so several are separated by semicolons.
_LISTS = (
    *("content_layers", "style_layers", "style_layer_weights", "style_blend"),
    *("learning_rate", "smaller_first"),
)
_NUMBERS = ("content_weight", "style_weight", "tv_weight", "tv_color")
_WHOLE = ("size", "style_size", "tv_power", "steps", "seed", "tile")
_NAMES = (
    *("preset", "content_reduction", "style_reduction", "style_statistics", "tv_reduction"),
    *("preserve_color", "init", "optimizer", "network", "weights", "pooling", "normalized"),
    *("padding", "precision"),
)
_RANGE = re.compile(r"(.+?)\.\.(.+?)(?::(\d+))?")
_MOST = 10_000  # values of a range

_count = itertools.count()


class Values(list[Any]):
    """The values of an option, and its place in the order in which options were typed."""

    def __init__(self, found: Sequence[Any]) -> None:
        super().__init__(found)
        self.place = next(_count)


def let_vary(sub: argparse.ArgumentParser) -> None:
    """Let the options take several values, where pictures can differ in them."""
    for action in sub._actions:
        one: Callable[[str], Any] = action.type if callable(action.type) else str
        if action.choices is not None:
            one = _one_of([str(each) for each in action.choices])
        if action.dest in _LISTS:
            action.type = _separated(one, ";")
        elif action.dest in _NUMBERS:
            action.type = _separated(one, ",", _spread)
        elif action.dest in _WHOLE:
            action.type = _separated(one, ",", _each_whole)
        elif action.dest in _NAMES:
            action.type = _separated(one, ",")
        else:
            continue
        if action.choices is not None:
            action.metavar = "|".join(map(str, action.choices))
            action.choices = None


_Spread = Callable[[Callable[[str], Any], str, str, int | None], list[Any]]


def _separated(
    one: Callable[[str], Any], separator: str, spread: _Spread | None = None
) -> Callable[[str], Values]:
    def convert(text: str) -> Values:
        found: list[Any] = []
        for part in text.split(separator):
            between = _RANGE.fullmatch(part.strip()) if spread is not None else None
            if spread is not None and between is not None:
                first, last, number = between.groups()
                found += spread(one, first, last, None if number is None else whole(0)(number))
            elif part.strip():
                found.append(one(part.strip()))
        if not found:
            raise ArgumentTypeError(f"has no value in it, got '{text}'; give at least one")
        if len(found) > _MOST:
            raise ArgumentTypeError(f"has {len(found):,} values; give at most {_MOST:,}")
        return Values(found)

    return convert


def _one_of(known: Sequence[str]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        try:
            return checks.one_of("value", text, known)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None

    return convert


def _spread(one: Callable[[str], Any], first: str, last: str, number: int | None) -> list[Any]:
    """So many weights from the first to the last, each the same number of times the one before."""
    if number is None:
        raise ArgumentTypeError(
            f"must say how many values there are from {first} to {last}: {first}..{last}:4"
        )
    least, most = one(first), one(last)
    if number < 2 or not 0 < least < most:
        raise ArgumentTypeError(
            f"has no value in it, got '{first}..{last}:{number}'; a range goes from a number above "
            "0 to a larger one, in at least 2 values"
        )
    between = [least * (most / least) ** (i / (number - 1)) for i in range(number)]
    return [least, *(float(f"{each:.6g}") for each in between[1:-1]), most]


def _each_whole(one: Callable[[str], Any], first: str, last: str, number: int | None) -> list[Any]:
    """Each whole number from the first to the last, or so many of them, evenly spread."""
    least, most = one(first), one(last)
    there = most - least + 1
    number = there if number is None else number
    if not 1 <= number <= there or (number == 1 and there > 1):
        told = f"{first}..{last}" + (f":{number}" if number != there else "")
        raise ArgumentTypeError(
            f"has no such values, got '{told}'; a range goes from a number to one that is not "
            "smaller, in at most as many values as there are"
        )
    if number > _MOST:
        raise ArgumentTypeError(f"has {number:,} values; give at most {_MOST:,}")
    return [least + round(i * (most - least) / max(1, number - 1)) for i in range(number)]
