"""What does each statistic of the style see and forget, and what does a step of it cost?

Two photographs and paintings, from the same noise at the default ratio, under every statistic of
nst_utils/objective/statistics.py; and beside them AdaIN and WCT without a decoder.

    python benchmarks/style_statistics.py make [--size 192] [--steps 60] [--threads N]
    python benchmarks/style_statistics.py texture    # of citrus slices, which lie in order
    python benchmarks/style_statistics.py table      # the tables for README.md, and the sheets
    python benchmarks/style_statistics.py time       # a loss with its gradient, by Gram's, in turns
    python benchmarks/style_statistics.py weigh      # how the factors of the statistics were found

``make`` goes on where it was stopped. A picture is measured by every statistic, whatever it was
made with: 1 means as far from the painting as the photograph is, 0 that the statistic agrees.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import side_by_side
import torch
from grain import grain
from PIL import Image, ImageDraw
from torch import Tensor

import nst_utils as nst
from nst_utils.experiments.defaults import CONTENT_LAYERS, CONTENT_WEIGHT, STYLE_LAYERS
from nst_utils.images.files import to_pil
from nst_utils.objective.formulas import STYLE_STATISTICS
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Objective

PAIRS = (("chenonceau", "starry-night"), ("china", "great-wave"))
DEEPEST_FIRST = tuple(reversed(STYLE_LAYERS))
# Without a loss of style: method, layers.
TRANSFORMED = {
    "adain": ("adain", ("conv4_1",)),
    "wct": ("wct", ("conv4_1",)),
    "wct-all": ("wct", DEEPEST_FIRST),
}
OUT = Path(__file__).with_suffix("")


class Run(NamedTuple):
    """One picture."""

    content: str
    style: str
    how: str  # a statistic, or a name of TRANSFORMED

    @property
    def name(self) -> str:
        """Of its files."""
        return "_".join(self)


def runs() -> Iterator[Run]:
    """All pictures, in the order in which they are made."""
    for pair, how in itertools.product(PAIRS, (*STYLE_STATISTICS, *TRANSFORMED)):
        yield Run(*pair, how)


def objective(net: nst.Network, content: Tensor, style: Tensor, statistic: str) -> Objective:
    """Equation 7 as ``transfer`` has it by default, with that statistic."""
    weights = dict.fromkeys(STYLE_LAYERS, 1 / len(STYLE_LAYERS))
    content_layers = dict.fromkeys(CONTENT_LAYERS, 1.0)
    row = Row(
        *(content, style, content_layers, weights, CONTENT_WEIGHT, 1.0),
        style_statistics=statistic,
    )
    return Objective(net, [row])


def losses(net: nst.Network, content: Tensor, style: Tensor, image: Tensor) -> dict[str, float]:
    """The style loss of a picture under each statistic, and its content loss."""
    found = {}
    for statistic in STYLE_STATISTICS:
        table = objective(net, content, style, statistic)
        its = table.paper_losses(table.evaluate(image).terms)
        found[statistic] = its["style_loss"].item()
        found["content"] = its["content_loss"].item()
    return found


@cache
def to_begin_with(pair: tuple[str, str], size: int) -> dict[str, float]:
    """The style losses of the photograph itself, and the content loss of gray noise."""
    net = nst.vgg19()
    content, style = (nst.load_image(name, size=size) for name in pair)
    photograph = losses(net, content, style, content)
    row = Row(content, content_layers=dict.fromkeys(CONTENT_LAYERS, 1.0), content_weight=1.0)
    table = Objective(net, [row])
    noise = table.paper_losses(table.evaluate(nst.noise_image(*content.shape[2:])).terms)
    return photograph | {"content": noise["content_loss"].item()}


def step_times(net: nst.Network, content: Tensor, style: Tensor) -> dict[str, float]:
    """Of a loss with its gradient, by that of Gram matrices: the median of pairs in turns."""
    image = nst.noise_image(*content.shape[2:])
    gram = objective(net, content, style, "gram")
    times = {}
    for statistic in STYLE_STATISTICS:
        table = objective(net, content, style, statistic)
        ratios = []
        for turn in range(4):
            seconds = []
            for each in (gram, table):
                begun = time.process_time()
                each.evaluate(image)
                seconds.append(time.process_time() - begun)
            if turn:  # the first one makes what is kept
                ratios.append(seconds[1] / seconds[0])
        times[statistic] = median(ratios)
    return times


def make(run: Run, size: int, steps: int) -> dict[str, Any]:
    """Make one picture, write it, and return its row of the table."""
    content, style = (nst.load_image(name, size=size) for name in (run.content, run.style))
    net = nst.vgg19()
    common: dict[str, Any] = {"net": net, "device": "cpu", "progress": False}
    begun = time.process_time()  # others may use the machine, too
    if run.how in TRANSFORMED:
        method, layers = TRANSFORMED[run.how]
        each = steps // len(layers)
        result = nst.transform_features(content, style, layers, method=method, steps=each, **common)
    else:
        result = nst.transfer(content, style, style_statistics=run.how, steps=steps, **common)
    seconds = time.process_time() - begun
    nst.save_image(result.image, OUT / f"{run.name}.png")
    before = to_begin_with((run.content, run.style), size)
    made = losses(net, content, style, result.image)
    row = {
        "name": run.name,
        **run._asdict(),
        "size": [content.shape[3], content.shape[2]],
        "steps": steps,
        "seconds": round(seconds, 1),
        "evaluations": result.evaluations,
        "left": {name: made[name] / value for name, value in before.items()},
        "grain": grain(result.image, content, style).picture,
    }
    if run.how in STYLE_STATISTICS:
        own = {k: v[-1].item() for k, v in result.history.items() if k.startswith("style/")}
        row |= {"style_loss": result.history["style_loss"][-1].item(), "layers": own}
    return row


def texture(size: int, steps: int) -> None:
    """From noise, with Gram matrices and with those of shifted pairs: a sheet."""
    name, kinds = "texture-citrus", ["gram", "shifted_gram"]
    source = nst.load_image(name, size=size)
    result = nst.reconstruct_style(
        source, [STYLE_LAYERS], style_statistics=kinds, steps=steps, device="cpu", progress=False
    )
    OUT.mkdir(exist_ok=True)
    pictures = [source, *result.image.split(1)]
    page(zip([name, *kinds], map(to_pil, pictures), strict=True), 3, OUT / f"{name}.jpg")


def sheet(pair: tuple[str, str], made_of_it: list[Run]) -> None:
    """The pictures of a pair side by side, photograph and painting first."""
    paths = [OUT / f"{run.name}.png" for run in made_of_it]
    if not all(path.exists() for path in paths):
        print("pictures are not here (git does not keep them): the sheet stays as it is")
        return
    pictures = [to_pil(nst.load_image(path)) for path in paths]
    width, height = pictures[0].size
    sources = [to_pil(nst.load_image(name, size=max(width, height))) for name in pair]
    texts = [*pair, *(run.how for run in made_of_it)]
    page(zip(texts, [*sources, *pictures], strict=True), 4, OUT / f"{pair[0]}.jpg")


def page(pictures: Iterable[tuple[str, Image.Image]], columns: int, path: Path) -> None:
    """Write pictures with a line of text above each, at the size they have."""
    cells = list(pictures)
    width = max(picture.width for _, picture in cells)
    tall = max(picture.height for _, picture in cells) + 18
    rows = math.ceil(len(cells) / columns)
    paper = Image.new("RGB", (columns * (width + 4), rows * tall), "white")
    draw = ImageDraw.Draw(paper)
    for i, (text, picture) in enumerate(cells):
        x, y = i % columns * (width + 4), i // columns * tall
        draw.text((x + 2, y + 2), text, fill="black")
        paper.paste(picture, (x, y + 16))
    paper.save(path, quality=90)


def table() -> None:
    """Write the sheets and ``results.json``, and print the tables."""
    rows = side_by_side.rows_of(runs(), OUT)
    side_by_side.keep(rows, OUT)
    for pair in PAIRS:
        its = [run for run in rows if run[:2] == pair]
        sheet(pair, its)
        print(f"\n{', '.join(pair)}:\n\n| made with | seconds | content left | ", end="")
        print(" | ".join(STYLE_STATISTICS), "| grain |\n|" + "---|" * (4 + len(STYLE_STATISTICS)))
        for run in its:
            row = rows[run]
            values = [f"{row['left'][name]:.3f}" for name in ("content", *STYLE_STATISTICS)]
            cells = [f"`{run.how}`", f"{row['seconds']:.0f}", *values, f"{row['grain']:.2f}"]
            print(f"| {' | '.join(cells)} |")


def weigh(size: int, steps: int, rounds: int = 4) -> None:
    """Print at which content weight the content loss is that of Gram matrices at the default."""
    net = nst.vgg19()
    for pair in PAIRS:
        content, style = (nst.load_image(name, size=size) for name in pair)

        def found(statistic: str, weight: float) -> float:
            """The logarithm of the content loss in the end."""
            result = nst.transfer(
                *(content, style),  # noqa: B023
                net=net,
                content_weight=weight,
                style_statistics=statistic,
                steps=steps,
                device="cpu",
                progress=False,
            )
            return math.log(result.history["content_loss"][-1].item())

        goal = found("gram", CONTENT_WEIGHT)
        for statistic in STYLE_STATISTICS[1:]:
            at, slope = math.log(CONTENT_WEIGHT), -0.35
            before: tuple[float, float] | None = None
            for _ in range(rounds):
                value = found(statistic, math.exp(at))
                if abs(value - goal) < 0.03:
                    break
                if before is not None:
                    slope = min(-0.1, (value - before[1]) / (at - before[0]))
                before = at, value
                at += (goal - value) / slope
            print(*pair, statistic, f"as plain at {math.exp(at):.3g}", flush=True)


def main() -> None:
    """Make pictures, show what was made, or find the factors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("make", "texture", "table", "time", "weigh"))
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.what == "make":
        side_by_side.make_all(runs(), lambda run: make(run, args.size, args.steps), OUT)
    elif args.what == "table":
        table()
    elif args.what == "texture":
        texture(args.size, args.steps)
    elif args.what == "time":
        content, style = (nst.load_image(name, size=args.size) for name in PAIRS[0])
        for statistic, ratio in step_times(nst.vgg19(), content, style).items():
            print(f"{statistic}: {ratio:.2f}", flush=True)
    else:
        weigh(args.size, args.steps)


if __name__ == "__main__":
    main()
