"""Does the estimate of memory hold, and what do tiles cost? Each run is a process of its own.

    python benchmarks/memory.py                      # the table; half an hour on one core
    python benchmarks/memory.py --sizes 256 --cases default

Prints how far the peak of a run of two steps rose above what the process had before (Linux only),
what was estimated, and with tiles the processor's time for an evaluation of loss and gradient, that
without tiles being 1.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

import nst_utils as nst
from nst_utils.experiments.style_transfer import CONTENT_LAYERS, STYLE_LAYERS
from nst_utils.memory.estimate import estimate
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Objective
from nst_utils.optimize import curvature, lbfgs

CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "exact": {"exact": True},
    "adam": {"optimizer": "adam"},
    "bfloat16": {"precision": "bfloat16"},
    "painting twice as long": {"style_scale": 2},
    "4 pictures": {"pictures": 4},
    "tiles of 512 px": {"tile": 512},
    "tiles of 256 px": {"tile": 256},
    "tiles of 128 px": {"tile": 128},
}


def status(field: str) -> int:
    """Bytes, of this process: VmRSS is what it has, VmHWM the most it had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def fill_memory_of_optimizers() -> None:
    """As after twenty steps: L-BFGS has all its pairs, and the curvature is in use."""
    make = lbfgs.LBFGS.__init__

    def make_full(self: lbfgs.LBFGS, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        self._pairs._s.fill_(0)  # memory counts from the first time it is written to
        self._pairs._y.fill_(0)

    lbfgs.LBFGS.__init__ = make_full  # type: ignore[method-assign]
    curvature._PAIRS_NEEDED = 1


def one(case: dict[str, Any]) -> dict[str, float]:
    """Measure one run, in this process."""
    size, optimizer, tile = case["size"], case.get("optimizer", "lbfgs"), case.get("tile")
    net = nst.vgg19(precision=case.get("precision", "float32"))
    content = torch.rand(1, 3, size * 3 // 4, size)
    style = torch.rand(1, 3, *(side * case.get("style_scale", 1) for side in content.shape[2:]))
    fill_memory_of_optimizers()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what loading left behind would be used again
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # now VmHWM is VmRSS
    nst.transfer(
        content,
        style,
        net=net,
        content_weight=[5e-2] * case.get("pictures", 1),
        optimizer=optimizer,
        exact=case.get("exact", False),
        tile=tile,
        steps=2,
        device="cpu",
        progress=False,
    )
    peak = status("VmHWM") - before
    table = dict.fromkeys(STYLE_LAYERS, 0.2)
    row = Row(content, style, dict.fromkeys(CONTENT_LAYERS, 1.0), table, 5e-2, 1.0)
    rows = [row] * case.get("pictures", 1)
    expected = estimate(net, rows, (content.shape[2], content.shape[3]), optimizer, tile)
    told = {"peak": peak, "estimate": expected}
    if case.get("timed"):
        told["relative"] = seconds(net, row, content, tile) / seconds(net, row, content, None)
    return told


def seconds(net: nst.Network, row: Row, image: torch.Tensor, tile: int | None) -> float:
    """What an evaluation takes of the processor's time; the first one is not counted."""
    objective = Objective(net, [row], tile=tile)
    objective.evaluate(image)
    begun = time.process_time()
    objective.evaluate(image)
    return time.process_time() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 768, 1024])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one)))
        return 0
    print("| longest side | run | peak | estimate | estimate / peak | time of an evaluation |")
    print("|---|---|---|---|---|---|")
    for size in args.sizes:
        for name in args.cases:
            case = json.dumps(CASES[name] | {"size": size, "timed": "tile" in CASES[name]})
            done = subprocess.run(
                [sys.executable, __file__, "--one", case], check=True, stdout=subprocess.PIPE
            )
            told = json.loads(done.stdout)
            peak, expected = (f"{told[key] / 1e6:.0f} MB" for key in ("peak", "estimate"))
            ratio = told["estimate"] / told["peak"]
            time_taken = f"{told['relative']:.2f}" if "relative" in told else ""
            row = (str(size), name, peak, expected, f"{ratio:.2f}", time_taken)
            print(f"| {' | '.join(row)} |")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
