"""Should threads that wait for one another sleep? ``nst transfer`` with OMP_WAIT_POLICY=passive.

    python benchmarks/waiting.py [--size 256] [--steps 20] [--threads 2] [--pairs 5]
    python benchmarks/waiting.py --setting GOMP_SPINCOUNT=30000

OpenMP's threads spin for a while before they sleep, unless that variable is "passive" when torch is
imported; the other one says how long they spin (in GCC's OpenMP, by itself 300,000 turns; ``nst``
sets fewer, cli/waiting.py). The setting and those 300,000 turns take turns themselves, each time
beginning with the other one: first on the machine as it is, then beside as many processes that do
nothing but count as there are threads. Prints medians, and the median of the ratios of each pair
(below 1, the setting is quicker): by the clock, and of the processor's time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
BY_ITSELF = "GOMP_SPINCOUNT=300000"  # what GCC's OpenMP does when nothing is set


def seconds(is_set: bool, options: argparse.Namespace, folder: str) -> tuple[float, float]:
    """Of one transfer, from the start of its process to its end: by the clock, and of processor."""
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    environment["OMP_NUM_THREADS"] = str(options.threads)
    environment |= [(options.setting if is_set else BY_ITSELF).split("=")]
    command = [sys.executable, "-m", "nst_utils", "transfer", "chenonceau", "great-wave"]
    command += ["--size", str(options.size), "--steps", str(options.steps), "--device", "cpu"]
    command += ["--quiet", "-o", str(Path(folder) / "out.png")]
    before, begun = os.times(), time.perf_counter()
    subprocess.run(command, env=environment, check=True)
    took, after = time.perf_counter() - begun, os.times()
    processor = after.children_user + after.children_system
    return took, processor - before.children_user - before.children_system


def compare(options: argparse.Namespace) -> str:
    """A row of the table: medians of both, and of the ratios."""
    found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(options.pairs):
            for is_set in (False, True) if pair % 2 else (True, False):
                found[is_set].append(seconds(is_set, options, folder))
    cells = []
    for kind in (0, 1):
        without, with_it = ([run[kind] for run in found[is_set]] for is_set in (False, True))
        ratio = statistics.median(b / a for a, b in zip(without, with_it, strict=True))
        medians = statistics.median(without), statistics.median(with_it)
        cells.append(f"{medians[0]:.1f} s | {medians[1]:.1f} s | {ratio:.2f}")
    return " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--setting", default="OMP_WAIT_POLICY=passive")
    options = parser.parse_args()
    kinds = f"| without | {options.setting} | ratio " * 2
    print(f"| the machine {kinds}|\n|---{'|---' * 6}|")
    print("| as it is |", compare(options), "|", flush=True)
    busy = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(busy) for _ in range(options.threads)]
    try:
        print("| busy |", compare(options), "|", flush=True)
    finally:
        for other in others:
            other.kill()


if __name__ == "__main__":
    main()
