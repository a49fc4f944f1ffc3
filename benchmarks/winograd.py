"""From how many positions on is Winograd's method quicker than the definition? In turns.

    python benchmarks/winograd.py [--sizes 64 128 320] [--threads 1]

Prints the processor's time for an evaluation of loss and gradient (paper's layers, float32), its
median, by the least number of positions of a layer for which the method is used.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch

import nst_utils as nst
from nst_utils.experiments.style_transfer import CONTENT_LAYERS, STYLE_LAYERS
from nst_utils.networks import convolutions

LEAST = {"always": 0, "from 100": 100, "from 200": 200, "from 400": 400, "never": 10**9}


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 96, 128, 192, 320])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print("| size | padding |", " | ".join(LEAST), "|\n|---|---|" + "---|" * len(LEAST))
    for size in args.sizes:
        pair = [nst.load_image(name, size=size) for name in ("chenonceau", "great-wave")]
        weights = [dict.fromkeys(names, 1.0) for names in (CONTENT_LAYERS, STYLE_LAYERS)]
        for padding in ("zeros", "nearest"):
            net = nst.vgg19(padding=padding)
            objective = nst.Objective(net, [nst.Row(*pair, *weights, 5e-3, 1.0)])
            spent: dict[str, list[float]] = {name: [] for name in LEAST}
            for _ in range(args.rounds + 1):  # the first prepares
                for name, least in LEAST.items():
                    convolutions._LEAST_POSITIONS = least
                    began = time.process_time()
                    objective.evaluate(pair[0])
                    spent[name].append(time.process_time() - began)
            cells = [f"{1000 * median(times[1:]):.0f} ms" for times in spent.values()]
            print(f"| {size} | {padding} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
