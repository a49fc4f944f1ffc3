"""What checkpoints cost: their share of the time of a run, and what a kill can lose.

    python benchmarks/checkpoint.py    # 256 and 512 px; five and a half minutes on one core

Each run writes its checkpoint as `nst transfer --checkpoint` does; the time within `save` is summed
up and divided by that of the whole run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import nst_utils as nst
from nst_utils.optimize.checkpoints import Checkpoint


def measure(size: int, steps: int, **options: Any) -> str:
    """One line of the table."""
    saves: list[float] = []
    ends: list[float] = []
    largest = 0
    save = Checkpoint.save

    def timed(self: Checkpoint, state: Any) -> None:
        nonlocal largest
        begun = time.perf_counter()
        save(self, state)
        ends.append(time.perf_counter())
        saves.append(ends[-1] - begun)
        largest = max(largest, self.path.stat().st_size)

    content, style = nst.load_image("chenonceau", size), nst.load_image("starry-night", size)
    net = nst.vgg19()
    with tempfile.TemporaryDirectory() as folder:
        Checkpoint.save = timed  # type: ignore[method-assign]
        begun = time.perf_counter()
        nst.transfer(
            content, style, net=net, steps=steps, checkpoint=Path(folder) / "run", **options
        )
        whole = time.perf_counter() - begun
        Checkpoint.save = save  # type: ignore[method-assign]
    apart = max(b - a for a, b in zip([begun, *ends], ends, strict=False))
    return (
        f"| {size} px, {options.get('optimizer', 'lbfgs')} | {whole:.0f} s | {len(saves)} | "
        f"{largest / 1e6:.0f} MB | {max(saves):.2f} s | {sum(saves) / whole:.2%} | {apart:.0f} s |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    steps = parser.parse_args().steps
    print("| run | time | saved | size | longest save | share of the time | longest gap |")
    print("|---|---|---|---|---|---|---|")
    print(measure(256, steps), flush=True)
    print(measure(256, steps, optimizer="adam"), flush=True)
    print(measure(512, steps), flush=True)


if __name__ == "__main__":
    main()
