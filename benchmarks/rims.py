"""What do zeros around the picture do to the textures of figure 1, at the edge and inside?

    python benchmarks/rims.py make [--size 256] [--steps 100] [--threads N]
    python benchmarks/rims.py table              # the table for README.md, and a sheet

The Starry Night's Gram matrices of conv1_1 alone, to conv3_1 and to conv5_1, each from the same
two noises. Ways: ``first`` is the default (the first convolution sees the edge again, the others
zeros); ``zeros``, as the network was trained; ``all``, every convolution sees the edge again; and
``margin``, the default with 32 px more on each side, which are cut off. ``make`` goes on where it
was stopped; several may run side by side.

``rim`` is the finest octave's energy in the outermost 8 pixels in units of that of the others;
``lights``, how much brighter the outermost 16 pixels are than the others, in gray levels;
``place``, the correlation of the picture, in a grid of about 16x13 fields, with the painting, less
that with the painting turned upside down, left to right, and both: above 0, lights and darks stand
where the painting has them, which Gram matrices by themselves cannot know.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import side_by_side
import torch
from clean import edge_and_rest, network, rim
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as fn

import nst_utils as nst
from nst_utils.experiments.defaults import STYLE_LAYERS
from nst_utils.images.color import luminance
from nst_utils.images.files import to_pil

PAINTING = "starry-night"
WAYS: dict[str, dict[str, Any]] = {
    "first": {},
    "zeros": {"padding": "zeros"},
    "all": {"padding": "nearest in all"},
    "margin": {"margin": 32},
}
DEPTHS = (1, 3, 5)
SEEDS = range(2)
OUT = Path(__file__).with_suffix("")


class Run(NamedTuple):
    """One picture."""

    way: str
    depth: int
    seed: int

    @property
    def name(self) -> str:
        """Of its files."""
        return "_".join(str(word) for word in self)


def runs() -> Iterator[Run]:
    """What is made, in this order."""
    each = itertools.product(SEEDS, DEPTHS, WAYS)
    return (Run(way, depth, seed) for seed, depth, way in each)


def make(run: Run, size: int, steps: int) -> dict[str, Any]:
    """Make one picture, write it, and return its row of the table."""
    painting = nst.load_image(PAINTING, size=size)
    height, width = painting.shape[2:]
    way = WAYS[run.way]
    margin = way.get("margin", 0)
    result = nst.reconstruct_style(
        painting,
        [list(STYLE_LAYERS[: run.depth])],
        net=network(way),
        size=(height + 2 * margin, width + 2 * margin),
        seed=run.seed,
        steps=steps,
        device="cpu",
        progress=False,
    )
    picture = result.image[..., margin : margin + height, margin : margin + width]
    nst.save_image(picture, OUT / f"{run.name}.png")
    loss = result.history["style_loss"][-1].item()
    return {"name": run.name, **run._asdict(), "loss": loss, **measures(picture, painting)}


def measures(picture: Tensor, painting: Tensor) -> dict[str, float]:
    """See this file; of two pictures (1, 3, H, W) of one size."""
    return {"rim": rim(picture), "lights": lights(picture), "place": place(picture, painting)}


def lights(picture: Tensor, width: int = 16) -> float:
    """See this file."""
    outer, inner = edge_and_rest(luminance(picture) * 255, width)
    return float(outer.mean() - inner.mean())


def place(picture: Tensor, painting: Tensor) -> float:
    """See this file."""
    one, other = (_coarse(x) for x in (picture, painting))
    turned = [other.flip(sides) for sides in ((2,), (3,), (2, 3))]
    own, *chance = (_correlation(one, each) for each in (other, *turned))
    return own - statistics.mean(chance)


def _coarse(picture: Tensor) -> Tensor:
    """Its brightness in fields of about a sixteenth of the width."""
    height, width = picture.shape[2:]
    return fn.adaptive_avg_pool2d(luminance(picture), (round(16 * height / width), 16))


def _correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def sheet(rows: dict[Run, dict[str, Any]], width: int = 256) -> None:
    """The pictures of the first noise: a row for each depth, a column for each way."""
    paths = {run: OUT / f"{run.name}.png" for run in rows if run.seed == SEEDS[0]}
    if len(paths) < len(WAYS) * len(DEPTHS) or not all(path.exists() for path in paths.values()):
        print("not all pictures are here (git does not keep them): the sheet stays as it is")
        return
    pictures = {run: to_pil(nst.load_image(path)) for run, path in paths.items()}
    height = next(iter(pictures.values())).height + 18
    made = Image.new("RGB", (len(WAYS) * width, len(DEPTHS) * height), "white")
    draw = ImageDraw.Draw(made)
    for run, picture in pictures.items():
        left, top = list(WAYS).index(run.way) * width, DEPTHS.index(run.depth) * height
        draw.text((left + 4, top + 3), f"{run.way}, to {STYLE_LAYERS[run.depth - 1]}", fill="black")
        made.paste(picture, (left, top + 18))
    made.save(OUT / "sheet.jpg", quality=85)


def table() -> None:
    """Write the sheet and ``results.json``, and print the means over the noises."""
    rows = side_by_side.rows_of(runs(), OUT)
    sheet(rows)
    side_by_side.keep(rows, OUT)
    print("| layers | around | loss | rim | lights | place |\n|---|---|---|---|---|---|")
    painting = nst.load_image(PAINTING, size=256)
    own = {kind: f"{value:.2f}" for kind, value in measures(painting, painting).items()}
    print(f"| the painting itself | | | {own['rim']} | {own['lights']} | {own['place']} |")
    for depth, way in itertools.product(DEPTHS, WAYS):
        these = [row for run, row in rows.items() if run[:2] == (way, depth)]
        cells = [_spread([row[kind] for row in these]) for kind in ("rim", "lights", "place")]
        loss = statistics.mean(row["loss"] for row in these)
        last = STYLE_LAYERS[depth - 1]
        print(f"| to `{last}` | {way} | {loss:.1e} | {' | '.join(cells)} |")


def _spread(values: list[float]) -> str:
    """Mean, least and largest."""
    return f"{statistics.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Make pictures, or show what was made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["make", "table"])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    if args.what == "table":
        table()
        return
    torch.set_num_threads(args.threads)
    side_by_side.make_all(runs(), lambda run: make(run, args.size, args.steps), OUT)


if __name__ == "__main__":
    main()
