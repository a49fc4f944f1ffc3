"""Damaged pictures by the ten thousand: each must give a picture or a sentence, soon, below 2 GB.

    python benchmarks/fuzz_images.py             # Linux; minutes on two cores
    python benchmarks/fuzz_images.py --kinds PNG --main 100 --seed 7

Every kind of file has a process of its own. A file that makes it end otherwise than with a picture
or a `ValueError` of one sentence, that takes longer than `--seconds`, or that takes the process
above `--gigabytes` is saved to the folder `--save`, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import signal
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from picture_mutations import SETTINGS, mutated, seeds, verdict

MAIN = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")
# Spawned, not forked: what torch and its libraries take counts in the peak, too.
SPAWN: Any = multiprocessing.get_context("spawn")


@dataclass
class Tally:
    """What became of the files of one kind."""

    kind: str
    mutations: int = 0
    pictures: int = 0
    sentences: int = 0
    slowest: float = 0.0  # seconds
    peak: float = 0.0  # gigabytes of the whole process
    failures: int = 0

    def row(self) -> str:
        numbers = f"{self.mutations:,} | {self.pictures:,} | {self.sentences:,}"
        return f"| {self.kind} | {numbers} | {self.slowest:.2f} s | {self.peak:.2f} GB |"


def gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def work(kind: str, numbers: range, seed: int, seconds: int, limit: float, pipe: Any) -> None:
    """Try each file, telling the parent before and after; too slow a one ends the process."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # a handler would wait for the decoder to return
    for number in numbers:
        content = mutated(kind, number, seed)
        pipe.send(number)
        begun = time.perf_counter()
        signal.alarm(seconds)
        try:
            said = verdict(kind, content, (None, None, 32)[number % 3])
        except Exception:
            said = traceback.format_exc()
        signal.alarm(0)
        if gigabytes() > limit:
            said = f"{gigabytes():.2f} GB"
        pipe.send((said, time.perf_counter() - begun, gigabytes()))


def fuzz(kind: str, args: argparse.Namespace) -> Tally:
    """All files of one kind, in one process after the other where one ends early."""
    tally, number = Tally(kind), 0
    count = args.main if kind in MAIN else args.others
    while number < count:
        here, there = SPAWN.Pipe(duplex=False)
        settings = (range(number, count), args.seed, args.seconds, args.gigabytes, there)
        worker = SPAWN.Process(target=work, args=(kind, *settings))
        worker.start()
        there.close()
        complaint = ""
        while number < count and not complaint:
            number = here.recv()  # EOFError: a worker that does not start is no file's fault
            try:
                said, took, peak = here.recv()
            except EOFError:
                worker.join()
                said, took, peak = f"ended with {worker.exitcode}", float(args.seconds), 0.0
            tally.mutations += 1
            tally.pictures += said == "picture"
            tally.sentences += said == "sentence"
            tally.slowest = max(tally.slowest, took)
            tally.peak = max(tally.peak, peak)
            complaint = "" if said in ("picture", "sentence") else said
            if complaint:
                keep(kind, number, complaint, args)
                tally.failures += 1
            number += 1
        if worker.is_alive() and complaint:
            worker.kill()
        worker.join()
    print(tally.row(), flush=True)
    return tally


def keep(kind: str, number: int, complaint: str, args: argparse.Namespace) -> None:
    args.save.mkdir(parents=True, exist_ok=True)
    path = args.save / f"{kind}-{args.seed}-{number}"
    path.write_bytes(mutated(kind, number, args.seed))
    print(f"{path}: {complaint}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--main", type=int, default=4000, help="of each of the six main kinds")
    parser.add_argument("--others", type=int, default=1000, help="of each other kind")
    parser.add_argument("--kinds", nargs="+", choices=list(seeds()), default=list(seeds()))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=30, help="for a single file")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="of a whole process")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--save", type=Path, default=Path("fuzz-failures"))
    args = parser.parse_args()
    print(f"| kind | mutations | pictures | sentences | slowest | peak memory |\n|{'---|' * 6}")
    with ThreadPoolExecutor(args.jobs) as pool:
        tallies = list(pool.map(lambda kind: fuzz(kind, args), args.kinds))
    total = Tally("all")
    for tally in tallies:
        total.mutations += tally.mutations
        total.pictures += tally.pictures
        total.sentences += tally.sentences
        total.failures += tally.failures
        total.slowest = max(total.slowest, tally.slowest)
        total.peak = max(total.peak, tally.peak)
    print(total.row())
    print(f"{total.failures} failures; pictures of '{SETTINGS}' are settings that were read")
    return int(total.failures > 0)


if __name__ == "__main__":
    sys.exit(main())
