"""How the command line reads its options' values; what cannot be read is a sentence."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable

from nst_utils.optimize.settings import GROWING
from nst_utils.support import checks


def whole(least: int, most: int = 10**9) -> Callable[[str], int]:
    """A converter for whole numbers from ``least`` to ``most``."""

    def convert(text: str) -> int:
        try:
            return checks.count("it", int(text), least, most)
        except ValueError:
            raise ArgumentTypeError(
                f"must be a whole number from {least} to {most}, got '{text}'"
            ) from None

    return convert


def weight(text: str) -> float:
    """A number of at least 0."""
    try:
        return checks.weight("it", text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def weights(text: str) -> list[float]:
    """Numbers separated by commas: ``0.7,0.3``."""
    return [weight(part) for part in text.split(",")]


def layers(text: str) -> list[str]:
    """Layer names separated by commas: ``conv1_1,conv2_1``. Each network has its own."""
    return [name.strip() for name in text.split(",") if name.strip()]


def layer_sets(text: str) -> list[list[str]]:
    """Sets of layers separated by semicolons: ``conv1_1;conv1_1,conv2_1``."""
    return [layers(part) for part in text.split(";") if part.strip()] or [layers("")]


def learning_rate(text: str) -> float | dict[int, float]:
    """A rate, and the steps from which others hold: ``0.02`` or ``0.02,200:0.005``."""
    first, *later = text.split(",")
    if not later:
        return weight(first)
    rates = {1: weight(first)}
    for part in later:
        step, colon, rate = part.partition(":")
        if not colon:
            raise ArgumentTypeError(f"must be RATE or RATE,STEP:RATE, got '{text}'")
        first_step = whole(2)(step)
        if first_step in rates:
            raise ArgumentTypeError(f"names step {first_step} twice; name each step once")
        rates[first_step] = weight(rate)
    return rates


def shares_of_steps(text: str) -> dict[float, int] | str:
    """Shares of the size with the steps that are made there: ``0.5:200``, ``0.25:50,0.5:100``; or
    ``growing``, or ``none``."""
    found: dict[float, int] = {}
    if text == GROWING:
        return text
    if text == "none":
        return found
    for part in text.split(","):
        share, colon, steps = part.partition(":")
        if not colon:
            raise ArgumentTypeError(
                f"must be SHARE:STEPS or SHARE:STEPS,..., {GROWING} or none, got '{text}'"
            )
        size = weight(share)
        if size in found:
            raise ArgumentTypeError(f"names the share {share} twice; name each once")
        found[size] = whole(1)(steps)
    return found
