"""Which reading of equation 1 makes the ratios of figure 4 act as the paper shows them?

The paper prints L_content as a sum over all values of a layer; divided by their number it is
about a million times smaller at 512 px. For three photographs and three paintings this makes the
pictures of figure 4 (alpha/beta = 1e-4 ... 1e-1) under the mean, and under the sum the one with
most style, 1e-4 (if that is a photograph, so are the others), from the same noise, and writes the
pictures and ``results.json``.

    python benchmarks/content_reduction.py [--size 512] [--steps 120] [--threads N]

It goes on where it was stopped. ``content_left`` is L_content relative to that of the noise,
``style_left`` is L_style relative to that of the photograph itself: 1 means that nothing of the
painting was taken over, 0 that its Gram matrices are matched.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

import nst_utils as nst
from nst_utils.experiments.style_transfer import STYLE_LAYERS
from nst_utils.images.files import to_pil
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Objective

PAIRS = [
    ("chenonceau", "starry-night"),
    ("china", "great-wave"),
    ("eilean-donan", "composition-viii"),
]
RATIOS = {"sum": (1e-4,), "mean": (1e-3, 1e-2, 1e-1, 1e-4)}
OUT = Path(__file__).with_suffix("")


def style_of_photograph(net: nst.Network, content: torch.Tensor, style: torch.Tensor) -> float:
    """L_style (eq. 5) of the photograph itself: the style loss of doing nothing."""
    weights = dict.fromkeys(STYLE_LAYERS, 1 / len(STYLE_LAYERS))
    objective = Objective(net, [Row(style=style, style_layers=weights, style_weight=1.0)])
    return objective.paper_losses(objective.evaluate(content).terms)["style_loss"].item()


def run_one(
    net: nst.Network, pair: tuple[str, str], reduction: str, ratio: float, size: int, steps: int
) -> dict[str, object]:
    """Make one picture, write it, and return its row of the table."""
    content, style = (nst.load_image(name, size=size) for name in pair)
    result = nst.transfer(
        content,
        style,
        net=net,
        content_weight=ratio,
        content_reduction=reduction,
        steps=steps,
        exact=True,
        device="cpu",
        progress=False,
    )
    name = f"{pair[0]}_{pair[1]}_{reduction}_{ratio:.0e}.jpg"
    to_pil(result.image).save(OUT / name, quality=85)
    content_loss, style_loss = (
        result.history[kind][-1].item() for kind in ("content_loss", "style_loss")
    )
    return {
        "picture": name,
        "content": pair[0],
        "style": pair[1],
        "reduction": reduction,
        "ratio": ratio,
        "size": [content.shape[3], content.shape[2]],
        "steps": steps,
        "evaluations": result.evaluations,
        "content_loss": content_loss,
        "style_loss": style_loss,
        "content_left": content_loss / result.start["content_loss"].item(),
        "style_left": style_loss / style_of_photograph(net, content, style),
        "network": net.description,
    }


def main() -> None:
    """Make all pictures that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    OUT.mkdir(exist_ok=True)
    table = OUT / "results.json"
    rows = json.loads(table.read_text()) if table.exists() else []
    done = {row["picture"] for row in rows}
    net = nst.vgg19(precision="auto")
    for reduction, ratios in RATIOS.items():
        for ratio in ratios:
            for pair in PAIRS:
                if f"{pair[0]}_{pair[1]}_{reduction}_{ratio:.0e}.jpg" in done:
                    continue
                row = run_one(net, pair, reduction, ratio, args.size, args.steps)
                rows.append(row)
                table.write_text(json.dumps(rows, indent=1) + "\n")
                print(
                    f"{pair[0]:<13}{pair[1]:<17}{reduction:<5}{ratio:.0e}  "
                    f"content left {row['content_left']:.3f}  style left {row['style_left']:.4f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
