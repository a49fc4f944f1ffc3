"""The preset ``poster`` beside crowsonkb's recipe, in the same network, on five pairs.

    python benchmarks/poster.py make --crowsonkb PATH     # PATH: a clone of their repository
    python benchmarks/poster.py make --ways poster --pairs 0 3
    python benchmarks/poster.py blind [--seed N]          # a sheet, sides changed by chance
    python benchmarks/poster.py blind --theirs crowsonkb-as-long
    python benchmarks/poster.py table                     # the table for README.md, and the key

Theirs is github.com/crowsonkb/style-transfer-pytorch as it is, with its own defaults, but for

- the numbers of the network, which are a download: the bundled Oxford network takes the place of
  torchvision's, its responses brought to the scale that torchvision's input gives;
- the iterations, which are for a GPU: a share of its 1000 at the smallest size and 500 at each
  other one, a quarter (``crowsonkb``) or about as many as the preset's time allows
  (``crowsonkb-as-long``).

One thread each; ``cpu`` is the seconds that its processor was at work. ``make`` goes on where it
was stopped; several may run side by side.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import time
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import side_by_side
import torch
from grain import grain, hatch
from style_statistics import losses, page, to_begin_with
from torch import Tensor

import nst_utils as nst
from nst_utils.images.files import to_pil
from nst_utils.networks.weights import load_weights

PAIRS = (
    ("chenonceau", "starry-night"),
    ("china", "great-wave"),
    ("eilean-donan", "village-street-in-auvers"),
    ("astronaut", "composition-viii"),
    ("chelsea", "cafe-terrace-at-night"),
)
WAYS = ("crowsonkb", "crowsonkb-as-long", "poster")
SHARES = {"crowsonkb": 0.25, "crowsonkb-as-long": 0.08}  # of their iterations
# The preset, and what was tried besides: without total variation, and with other shares of it; on
# the paper's network, with its ratios and equal layers; and on that with max pooling.
PAPERS: dict[str, Any] = {
    "normalized": "authors",
    "pooling": "avg",
    "style_layer_weights": None,
    "content_weight": 1e-2,
    "tv_weight": 0.1,
    "tv_color": 1.0,
}
OTHERWISE: dict[str, dict[str, Any]] = {
    "poster": {},
    "no-variation": {"tv_weight": 0.0},
    "their-variation": {"tv_weight": 2 * 57.6**2 * 0.025, "tv_color": 1.0},
    "papers-network": PAPERS,
    "papers-network-max-pooling": PAPERS | {"pooling": "max"},
}
MEASURED = ("content", "gram", "wasserstein", "sliced_wasserstein")
OUT = Path(__file__).with_suffix("")
Sides = dict[tuple[str, str], list[str]]  # of a pair: which way is A, which B


class Run(NamedTuple):
    """One picture."""

    pair: tuple[str, str]
    way: str

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.pair[0]}_{self.pair[1]}_{self.way}"


def runs(ways: Sequence[str], pairs: Sequence[tuple[str, str]] = PAIRS) -> Iterator[Run]:
    """What is made, in this order."""
    return (Run(pair, way) for pair in pairs for way in ways)


def make(run: Run, size: int, crowsonkb: Path | None) -> dict[str, Any]:
    """Make one picture, write it, and return its row of the table."""
    photograph, painting = (nst.load_image(name, size=size) for name in run.pair)
    began, cpu = time.perf_counter(), time.process_time()
    if run.way in SHARES:
        picture = _theirs(run.pair, size, crowsonkb, SHARES[run.way])
        about = f"{SHARES[run.way]:g} of its iterations"
    else:
        how: dict[str, Any] = {"precision": "auto", "device": "cpu", "progress": False}
        result = nst.preset("poster").transfer(photograph, painting, **how, **OTHERWISE[run.way])
        picture, about = result.image, f"{result.steps} steps"
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    nst.save_image(picture, OUT / f"{run.name}.png")
    found = grain(picture, photograph, painting)
    return {
        "name": run.name,
        "size": [picture.shape[3], picture.shape[2]],
        "about": about,
        "seconds": round(seconds, 1),
        "cpu": round(cpu, 1),
        "grain": found.picture,
        "own": found.own,
        "hatch": hatch(picture),
        "left": _left(run.pair, size, photograph, painting, picture),
    }


def _left(
    pair: tuple[str, str], size: int, photograph: Tensor, painting: Tensor, picture: Tensor
) -> dict[str, float]:
    """What is left of the losses that style_statistics.py measures: 1 is the photograph's own
    style loss, and the content loss of noise."""
    before = to_begin_with(pair, size)
    made = losses(nst.vgg19(), photograph, painting, picture)
    return {name: made[name] / before[name] for name in MEASURED}


def _theirs(pair: tuple[str, str], size: int, clone: Path | None, share: float) -> Tensor:
    """Their picture, by their code, with that share of their iterations at each size."""
    if clone is None or not (clone / "style_transfer" / "style_transfer.py").is_file():
        sys.exit("name a clone of crowsonkb/style-transfer-pytorch: --crowsonkb PATH")
    # The package without its __init__, which loads a web server.
    package = types.ModuleType("style_transfer")
    package.__path__ = [str(clone / "style_transfer")]
    sys.modules["style_transfer"] = package
    from torchvision import models

    models.vgg19 = _bundled_vgg19
    theirs = importlib.import_module("style_transfer.style_transfer")
    pictures = [to_pil(nst.load_image(name)) for name in pair]
    run = theirs.StyleTransfer(devices=["cpu"], pooling="max")
    run.stylize(
        pictures[0],
        [pictures[1]],
        end_scale=size,
        initial_iterations=round(1000 * share),
        iterations=round(500 * share),
    )
    return run.get_image_tensor()[None]


def _bundled_vgg19(**_: Any) -> torch.nn.Module:
    """The bundled network as torchvision's class has it, for torchvision's preprocessing.

    The input is RGB with a standard deviation near one instead of in gray levels: kernels of the
    first layer and all biases are scaled, so that every response is a fixed share of Oxford's.
    """
    from torchvision.models.vgg import VGG, cfgs, make_layers

    model = VGG(make_layers(cfgs["E"]), init_weights=False)
    bundled = load_weights()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    unit = 255 * std.mean()
    convolutions = [m for m in model.features if isinstance(m, torch.nn.Conv2d)]
    with torch.no_grad():
        names = [*bundled.kernels]
        for name, module in zip(names, convolutions, strict=True):
            module.weight.copy_(bundled.kernels[name])
            module.bias.copy_(bundled.biases[name] / unit)
        # Oxford: 255 x - mean_o. Theirs: (x - mean) / std, so 255 x - mean_o = 255 std y + rest.
        first, prep = convolutions[0], bundled.preprocessing
        kernel = bundled.kernels[names[0]]
        rest = 255 * mean - torch.tensor(prep.mean)
        first.bias.add_((kernel.sum((2, 3)) @ rest) / unit)
        first.weight.copy_(kernel * (255 * std / unit)[:, None, None])
    return model


def sheet(sides: Sides, path: Path) -> None:
    """Every pair that has both pictures: the photograph, the painting, and both, as ``sides`` says
    which of them is left; the sides are called A and B."""
    cells = []
    for pair, ways in sides.items():
        pictures = [to_pil(nst.load_image(OUT / f"{Run(pair, way).name}.png")) for way in ways]
        sources = [to_pil(nst.load_image(name, size=max(pictures[0].size))) for name in pair]
        cells += [*zip([*pair, "A", "B"], [*sources, *pictures], strict=True)]
    page(cells, 4, path)


def blind(rows: dict[Run, dict[str, Any]], theirs: str, seed: int) -> Sides:
    """For each pair with both pictures, which way is on the left: chance, but for the seed."""
    chance, ways = random.Random(seed), [theirs, "poster"]
    pairs = [pair for pair in PAIRS if all(Run(pair, way) in rows for way in ways)]
    return {pair: chance.sample(ways, len(ways)) for pair in pairs}


def table(rows: dict[Run, dict[str, Any]], sides: Sides) -> None:
    """Print the table, and which side was whose."""
    print("| pair | side | made by | CPU s |", " | ".join(MEASURED), "| grain | hatch |")
    print("|---|---|---|---|" + "---|" * (len(MEASURED) + 2))
    for run, row in rows.items():
        ways = sides.get(run.pair, [])
        side = "AB"[ways.index(run.way)] if run.way in ways else ""
        left = [f"{row['left'][name]:.3f}" for name in MEASURED]
        cells = [", ".join(run.pair), side, run.way, f"{row['cpu']:.0f}", *left]
        print("| " + " | ".join([*cells, f"{row['grain']:.2f}", f"{row['hatch']:.2f}"]) + " |")


def main() -> None:
    """Make pictures, or show what was made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["make", "blind", "table"])
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--crowsonkb", type=Path, metavar="PATH")
    parser.add_argument("--ways", nargs="+", choices=[*SHARES, *OTHERWISE], default=WAYS)
    parser.add_argument("--pairs", nargs="+", type=int, choices=range(len(PAIRS)))
    parser.add_argument("--theirs", choices=list(SHARES), default="crowsonkb", help="beside ours")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.what != "make":
        rows = side_by_side.rows_of(runs([*SHARES, *OTHERWISE]), OUT)
        sides = blind(rows, args.theirs, args.seed)
        if args.what == "blind":
            sheet(sides, OUT / f"blind-{args.theirs}.jpg")
        else:
            side_by_side.keep(rows, OUT)
            table(rows, sides)
        return
    torch.set_num_threads(1)
    pairs = [PAIRS[i] for i in args.pairs or range(len(PAIRS))]
    side_by_side.make_all(
        runs(args.ways, pairs),
        lambda run: make(run, args.size, args.crowsonkb),
        OUT,
    )


if __name__ == "__main__":
    main()
