"""Does memory grow with the number of runs? 200 transfers in one process.

    python benchmarks/soak.py            # Linux; about four minutes on two cores

Runs of changing pictures, sizes, optimizers and numbers of pictures, and now and then a studio that
is opened, run and closed. Prints the memory of the process after the 10th run and on; ends with
exit code 1 if after the last it is more than 5 % above that after the 10th.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path
from typing import Any

import nst_utils as nst
from nst_utils.app.recipes import Recipe
from nst_utils.app.studio import Studio

CONTENTS = ("chenonceau", "chelsea", "china", "astronaut")
STYLES = ("starry-night", "great-wave", "composition-viii")
# Each needs other memory: the default, several pictures at once, Adam, plain L-BFGS, colors kept.
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"content_weight": [1e-2, 1e-1]},
    {"optimizer": "adam"},
    {"exact": True, "init": "content"},
    {"preserve_color": "luminance", "tv_weight": 1e-3},
)


def megabytes() -> float:
    """What the process holds now, resident."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run(number: int, net: nst.Network) -> None:
    size = (96, 128, 160)[number % 3]
    content = nst.load_image(CONTENTS[number % len(CONTENTS)], size)
    style = nst.load_image(STYLES[number % len(STYLES)], size)
    options = VARIANTS[number % len(VARIANTS)]
    nst.transfer(content, style, net=net, steps=4, progress=False, **options)
    if number % 10 == 0:
        studio = Studio(Recipe(size=96, steps=3), blocking=True)
        studio._start()
        studio.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    net = nst.vgg19()
    after_ten = megabytes()
    for number in range(1, runs + 1):
        run(number, net)
        if number == 10 or number % 20 == 0:
            gc.collect()
            now = megabytes()
            after_ten = now if number == 10 else after_ten
            print(f"after {number:3} runs {now:7.0f} MB, {now / after_ten:.3f}", flush=True)
    return int(megabytes() > 1.05 * after_ten)


if __name__ == "__main__":
    sys.exit(main())
