"""At which alpha/beta does the photograph show, under which normalization and which equation 1?

Two normalizations of the network (the authors', and the means of the network with average
pooling), two readings of equation 1 (its mean, and its sum as printed), the ratios of figure 4,
1e-4 to 1e-1, and three pairs of a photograph and a painting, all from the same noise. Under the
authors' normalization and the mean also with the ends of figure 3's range, 5e-4 and 5e-3, and from
the photograph, as the authors' own code begins.

    python benchmarks/ratios.py make [--size 448] [--steps 300] [--threads N]
    python benchmarks/ratios.py table            # the table for README.md, and the overviews

``make`` goes on where it was stopped; several may run side by side. ``content_left`` is L_content
relative to that of gray noise, ``style_left`` is L_style relative to that of the photograph itself:
1 means that nothing of the painting was taken over, 0 that its Gram matrices are matched. ``grain``
is explained in grain.py.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import side_by_side
import torch
from grain import grain
from PIL import Image, ImageDraw

import nst_utils as nst
from nst_utils.experiments.defaults import STYLE_LAYERS
from nst_utils.images.files import to_pil
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Objective

PAIRS = (
    ("chenonceau", "starry-night"),
    ("china", "great-wave"),
    ("eilean-donan", "composition-viii"),
)
RATIOS = (1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 1e-1)
FIGURE_3 = (5e-4, 5e-3)  # the ends of its range; the others are figure 4's
# What is made: (normalization, reduction of eq. 1, start), one row of an overview each.
READINGS = (
    ("authors", "mean", "noise"),
    ("pooling", "mean", "noise"),
    ("authors", "mean", "content"),
    ("authors", "sum", "noise"),
    ("pooling", "sum", "noise"),
)
OUT = Path(__file__).with_suffix("")


class Run(NamedTuple):
    """One picture."""

    content: str
    style: str
    normalized: str
    reduction: str
    init: str
    ratio: float

    @property
    def name(self) -> str:
        """Of its files."""
        *words, ratio = self
        return "_".join([*words, f"{ratio:.0e}"])


def runs() -> Iterator[Run]:
    """All pictures, in the order in which they are made: what matters most comes first."""
    for reading, ratio, pair in itertools.product(READINGS, RATIOS, PAIRS):
        if ratio in FIGURE_3 and reading != READINGS[0]:
            continue
        # A sum that gives the photograph at the least ratio gives it at all.
        if reading[1] == "sum" and ratio > RATIOS[0]:
            continue
        # From the photograph one pair, too: more of it are in the presets' pictures.
        if reading[2] == "content" and pair != PAIRS[1]:
            continue
        yield Run(*pair, *reading, ratio)


def style_of_photograph(net: nst.Network, content: torch.Tensor, style: torch.Tensor) -> float:
    """L_style (eq. 5) of the photograph itself: the style loss of doing nothing."""
    weights = dict.fromkeys(STYLE_LAYERS, 1 / len(STYLE_LAYERS))
    objective = Objective(net, [Row(style=style, style_layers=weights, style_weight=1.0)])
    return objective.paper_losses(objective.evaluate(content).terms)["style_loss"].item()


def gray_noise(net: nst.Network, content: torch.Tensor) -> float:
    """L_content (the mean of eq. 1) of the noise that a picture starts from."""
    found = nst.reconstruct_content(
        content, ["conv4_2"], net=net, steps=1, device="cpu", progress=False
    )
    return found.start["content_loss"].item()


def make(run: Run, size: int, steps: int) -> dict[str, Any]:
    """Make one picture, write it, and return its row of the table."""
    content, style = (nst.load_image(name, size=size) for name in (run.content, run.style))
    net = nst.vgg19(normalized=run.normalized, precision="auto")
    result = nst.transfer(
        content,
        style,
        net=net,
        content_weight=run.ratio,
        content_reduction=run.reduction,
        init=run.init,
        steps=steps,
        device="cpu",
        progress=False,
    )
    nst.save_image(result.image, OUT / f"{run.name}.png")
    losses = {kind: result.history[kind][-1].item() for kind in ("content_loss", "style_loss")}
    values = 1
    if run.reduction == "sum":
        height, width = net.architecture.size("conv4_2", content.shape[2:])
        values = net.filters("conv4_2") * height * width
    return {
        "name": run.name,
        **run._asdict(),
        "size": [content.shape[3], content.shape[2]],
        "steps": result.steps,
        "evaluations": result.evaluations,
        "seconds": round(result.seconds, 1),
        **losses,
        "content_left": losses["content_loss"] / values / gray_noise(net, content),
        "style_left": losses["style_loss"] / style_of_photograph(net, content, style),
        "grain": grain(result.image, content, style).picture,
        "network": net.description,
    }


def overview(pair: tuple[str, str], made_of_it: list[Run], width: int = 320) -> None:
    """A sheet: one row for each reading, one column for each ratio."""
    cells = []
    for run in made_of_it:
        path = OUT / f"{run.name}.png"
        if not path.exists():
            print(f"{path.name} is not here (git does not keep it): the sheet stays as it is")
            return
        picture = to_pil(nst.load_image(path))
        reading = (run.normalized, run.reduction, run.init)
        cells.append((READINGS.index(reading), RATIOS.index(run.ratio), picture))
    height = round(width * cells[0][2].height / cells[0][2].width)
    made = sorted({row for row, *_ in cells})
    cells = [(made.index(row), column, READINGS[row], picture) for row, column, picture in cells]
    sheet = Image.new("RGB", (len(RATIOS) * width, len(made) * (height + 16)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, column, (normalized, reduction, init), picture in cells:
        text = f"{normalized}, {reduction}, from {init}: {RATIOS[column]:.0e}"
        draw.text((column * width + 4, row * (height + 16) + 2), text, fill="black")
        small = picture.resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(small, (column * width, row * (height + 16) + 16))
    sheet.save(OUT / f"{pair[0]}.jpg", quality=85)


def table() -> None:
    """Write the overviews and ``results.json``, and print the table."""
    rows = side_by_side.rows_of(runs(), OUT)
    for pair in PAIRS:
        overview(pair, [run for run in rows if run[:2] == pair])
    side_by_side.keep(rows, OUT)
    print("| photograph, painting | normalized | eq. 1 | start | alpha/beta ", end="")
    print("| content left | style left | grain |\n|---|---|---|---|---|---|---|---|")
    for pair, run in itertools.product(PAIRS, rows):
        if run[:2] == pair:
            row = rows[run]
            left = f"{row['content_left']:.3f} | {row['style_left']:.4f} | {row['grain']:.2f}"
            words = f"{', '.join(pair)} | {run.normalized} | {run.reduction} | {run.init}"
            mark = "" if "round up" in row["network"] else "+"
            print(f"| {words} | {run.ratio:.0e}{mark} | {left} |")


def main() -> None:
    """Make pictures, or show what was made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("make", "table"))
    parser.add_argument("--size", type=int, default=448)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.what == "make":
        side_by_side.make_all(runs(), lambda run: make(run, args.size, args.steps), OUT)
    else:
        table()


if __name__ == "__main__":
    main()
