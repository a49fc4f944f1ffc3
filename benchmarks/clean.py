"""How clean is figure 3, before and after? Its five paintings on one photograph.

    python benchmarks/clean.py make [--size 448] [--steps 300] [--threads N]
    python benchmarks/clean.py make --ways default zeros --paintings great-wave
    python benchmarks/clean.py table             # the table for README.md, and a sheet

Each way is today's default with one thing otherwise, but ``first edition``, which is all that was
otherwise in it. ``make`` goes on where it was stopped; several may run side by side. ``grain`` and
``hatch`` are explained in grain.py; ``rim`` is the finest octave of the outermost 8 pixels
in units of that of the others.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import side_by_side
import torch
from grain import finest_octave, grain, hatch
from PIL import Image, ImageDraw

import nst_utils as nst
from nst_utils.images.files import to_pil

PHOTOGRAPH = "eilean-donan"
PAINTINGS = (
    "great-wave",
    "starry-night",
    "composition-viii",
    "village-street-in-auvers",
    "cafe-terrace-at-night",
)
NETWORK = ("normalized", "padding", "precision")
WAYS: dict[str, dict[str, Any]] = {
    "default": {},
    "first edition": {"normalized": "pooling", "padding": "zeros", "content_weight": 5e-2},
    "float32": {"precision": "float32"},
    "zeros": {"padding": "zeros"},
    "exact": {"exact": True},
    # The rim, otherwise: all convolutions see the edge again, not the first alone; or the picture
    # is painted with a margin, mirrored, that is cut off.
    "all nearest": {"padding": "nearest in all"},
    "margin": {"margin": 16},
    # The size is that of a square of as many pixels, as in the authors' later code.
    "by area": {"by": "area"},
}
OUT = Path(__file__).with_suffix("")


class Run(NamedTuple):
    """One picture."""

    painting: str
    way: str

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.painting}_{self.way.replace(' ', '-')}"


def runs(ways: Sequence[str], paintings: Sequence[str] = PAINTINGS) -> Iterator[Run]:
    """What is made, in this order."""
    return (Run(painting, way) for way, painting in itertools.product(ways, paintings))


def make(run: Run, size: int, steps: int) -> dict[str, Any]:
    """Make one picture, write it, and return its row of the table."""
    way = WAYS[run.way]
    names, by = (PHOTOGRAPH, run.painting), way.get("by", "longest")
    content, style = (nst.load_image(name, size, by=by) for name in names)
    of_run = {k: v for k, v in way.items() if k not in (*NETWORK, "margin", "by")}
    net = network(way)
    margin = way.get("margin", 0)
    padded = torch.nn.functional.pad(content, (margin,) * 4, mode="reflect")
    result = nst.transfer(
        padded, style, net=net, steps=steps, device="cpu", progress=False, **of_run
    )
    height, width = content.shape[2:]
    picture = result.image[..., margin : margin + height, margin : margin + width]
    nst.save_image(picture, OUT / f"{run.name}.png")
    found = grain(picture, content, style)
    return {
        "name": run.name,
        "otherwise": way,
        "size": [content.shape[3], content.shape[2]],
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
        "grain": found.picture,
        "own": found.own,
        "rim": rim(picture),
        "hatch": hatch(picture),
        "network": net.description,
    }


def network(way: dict[str, Any]) -> nst.Network:
    """The network of a way."""
    settings = {"precision": "auto"} | {k: v for k, v in way.items() if k in NETWORK}
    in_all = settings.get("padding") == "nearest in all"
    net = nst.vgg19(**settings | ({"padding": "nearest"} if in_all else {}))
    if in_all:
        for step in net.modules_by_layer().values():
            step.padding = "nearest"  # type: ignore[assignment]
    return net


def rim(picture: torch.Tensor, width: int = 8) -> float:
    """The finest octave's energy in the outermost pixels, in units of that of the others."""
    outer, inner = edge_and_rest(finest_octave(picture).square(), width)
    return float(outer.mean() / inner.mean())


def edge_and_rest(values: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Those of the outermost ``width`` pixels of (1, 1, H, W), and the others, as rows."""
    inner = torch.zeros_like(values, dtype=torch.bool)
    inner[..., width:-width, width:-width] = True
    return values[~inner], values[inner]


def sheet(rows: dict[Run, dict[str, Any]], width: int = 360) -> None:
    """One row for each way that has all paintings, one column for each of them."""
    ways = [way for way in WAYS if all(Run(painting, way) in rows for painting in PAINTINGS)]
    paths = {run: OUT / f"{run.name}.png" for run in runs(ways)}
    if not all(path.exists() for path in paths.values()):
        print("not all pictures are here (git does not keep them): the sheet stays as it is")
        return
    height = round(width * 2 / 3)
    made = Image.new("RGB", (len(PAINTINGS) * width, len(ways) * (height + 18)), "white")
    draw = ImageDraw.Draw(made)
    for run, path in paths.items():
        left, top = PAINTINGS.index(run.painting) * width, ways.index(run.way) * (height + 18)
        draw.text((left + 4, top + 3), run.way, fill="black")
        small = to_pil(nst.load_image(path)).resize((width, height), Image.Resampling.LANCZOS)
        made.paste(small, (left, top + 18))
    made.save(OUT / "sheet.jpg", quality=85)


def table() -> None:
    """Write the sheet and ``results.json``, and print a table for each measure."""
    rows = side_by_side.rows_of(runs([*WAYS]), OUT)
    sheet(rows)
    side_by_side.keep(rows, OUT)
    for measure in ("grain", "hatch", "rim"):
        print(f"| {measure} | " + " | ".join(PAINTINGS) + " |\n|---|" + "---|" * len(PAINTINGS))
        for way in dict.fromkeys(run.way for run in rows):
            of_way = [rows.get(Run(painting, way)) for painting in PAINTINGS]
            cells = [f"{row[measure]:.2f}" if row else "" for row in of_way]
            print(f"| {way} | {' | '.join(cells)} |")
        print()


def main() -> None:
    """Make pictures, or show what was made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["make", "table"])
    parser.add_argument("--size", type=int, default=448)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--paintings", nargs="+", choices=PAINTINGS, default=PAINTINGS)
    args = parser.parse_args()
    if args.what == "table":
        table()
        return
    torch.set_num_threads(args.threads)
    side_by_side.make_all(
        runs(args.ways, args.paintings), lambda run: make(run, args.size, args.steps), OUT
    )


if __name__ == "__main__":
    main()
