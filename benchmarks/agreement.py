"""How far do results differ that should be the same? Against one thread in float32, one picture.

    python benchmarks/agreement.py                       # 256 px, 30 steps; a quarter of an hour
    python benchmarks/agreement.py --size 96 --compile   # with torch.compile, which takes minutes

Prints a table: the relative difference of the loss, and of the gradient in the L2 norm, on a
photograph under strong noise; that of the gradient on the paper's start, gray noise; and after some
steps of L-BFGS and of Adam the relative difference of the loss and the mean absolute one of the
pictures in gray levels. The last row is another noise: how far runs of one problem lie apart.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import nst_utils as nst
from nst_utils.experiments.style_transfer import STYLE_LAYERS
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Evaluation, Objective
from nst_utils.optimize.adam import Adam
from nst_utils.optimize.lbfgs import LBFGS, Evaluate

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from reference import ReferenceNetwork, ReferenceObjective

CONTENT, STYLE = {"conv4_2": 1.0}, dict.fromkeys(STYLE_LAYERS, 0.2)
ALPHA, BETA = 5e-2, 1.0
MOVERS: dict[str, Callable[[Evaluate, Tensor], LBFGS | Adam]] = {
    "L-BFGS": lambda evaluate, start: LBFGS(evaluate, start, curvature=True),
    "Adam": lambda evaluate, start: Adam(evaluate, start, learning_rate=lambda _: 0.02),
}


class Found(NamedTuple):
    """What one way of computing gives for the first picture of its batch."""

    lively: Evaluation
    flat: Evaluation
    ends: dict[str, tuple[Tensor, Tensor]]  # optimizer -> loss, picture


def find(evaluate: Evaluate, lively: Tensor, flat: Tensor, steps: int) -> Found:
    ends = {}
    for name, make in MOVERS.items():
        mover = make(evaluate, flat)
        for _ in range(steps):
            mover.step()
        ends[name] = (mover.loss[:1], mover.images[:1])
    return Found(evaluate(lively), evaluate(flat), ends)


def relative(found: Tensor, expected: Tensor) -> float:
    found, expected = found[:1].double(), expected[:1].double()
    return float((found - expected).norm() / expected.norm())


def show(name: str, found: Found, expected: Found, same_places: bool = True) -> None:
    """One row of the table; single evaluations are compared where they are of the same pictures."""
    cells = ["-"] * 3
    if same_places:
        apart = [
            relative(found.lively.loss, expected.lively.loss),
            relative(found.lively.gradient, expected.lively.gradient),
            relative(found.flat.gradient, expected.flat.gradient),
        ]
        cells = [f"{each:.0e}" if each else "0" for each in apart]
    for optimizer, (loss, image) in found.ends.items():
        other_loss, other_image = expected.ends[optimizer]
        levels = 255 * float((image.double() - other_image.double()).abs().mean())
        cells += [f"{relative(loss, other_loss):.1%}", f"{levels:.2f}"]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    yield
    torch.set_num_threads(before)


def compare(size: int, steps: int, compiled: bool) -> None:
    content, style = nst.load_image("chenonceau", size), nst.load_image("great-wave", size)
    height, width = content.shape[2:]
    flat = nst.noise_image(height, width)
    lively = (content + torch.rand(content.shape, generator=torch.Generator().manual_seed(0))) / 2
    row = Row(content, style, CONTENT, STYLE, ALPHA, BETA)
    net = nst.vgg19()
    ours = Objective(net, [row]).evaluate

    def of(evaluate: Evaluate, rows: int = 1, dtype: torch.dtype = torch.float32) -> Found:
        noisy, gray = (x.to(dtype).repeat(rows, 1, 1, 1) for x in (lively, flat))
        return find(evaluate, noisy, gray, steps)

    print(f"{width}x{height} px, {steps} steps\n")
    heads = (
        "| | loss | gradient | gradient, gray noise | L-BFGS: loss | levels | Adam: loss | levels"
    )
    print(f"{heads} |\n|{'---|' * 8}", flush=True)
    expected = of(ours)
    show("the same again", of(ours), expected)
    with threads(2):
        show("two threads", of(ours), expected)
    others = [Row(content, each, CONTENT, STYLE, 1e3, BETA) for each in (style, style.flip(3))]
    show("first of a batch of three", of(Objective(net, [row, *others]).evaluate, 3), expected)
    show("in tiles of 128 px", of(Objective(net, [row], tile=128).evaluate), expected)
    if compiled:
        fast = nst.vgg19()
        fast.compile()
        show("compiled", of(Objective(fast, [row]).evaluate), expected)
    reference = ReferenceObjective(ReferenceNetwork(), content, style, CONTENT, STYLE, ALPHA, BETA)
    show("float64, the reference", of(reference.evaluate, dtype=torch.float64), expected)
    coarse = Objective(nst.vgg19(precision="bfloat16"), [row]).evaluate
    show("bfloat16", of(coarse), expected)
    other = find(ours, lively, nst.noise_image(height, width, seed=1), steps)
    show("another noise", other, expected, same_places=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--compile", action="store_true", help="with torch.compile too")
    arguments = parser.parse_args()
    with threads(1):
        compare(arguments.size, arguments.steps, arguments.compile)


if __name__ == "__main__":
    main()
