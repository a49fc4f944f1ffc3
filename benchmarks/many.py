"""Many pictures: what each way of getting them made costs.

    python benchmarks/many.py                  # all; some 6 CPU minutes
    python benchmarks/many.py engines memory   # of: engines, empty, resume, memory

``engines``: pictures a minute for a sweep of 16, in this process, in a pool of two processes and
on two Dask workers, each with one thread. Each time includes the start of the workers. CPU seconds
are those of all processes together, which a busy machine does not change much.
``empty``: what the engine costs for a job that does nothing.
``resume``: a sweep that is killed with SIGKILL and gone on with.
``memory``: of a worker over 100 jobs of ten photographs and paintings in two sizes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import torch

import nst_utils as nst
from nst_utils.many import engine
from nst_utils.many.jobs import make_job
from nst_utils.many.outcomes import FINISHED, Outcome

HOW: dict[str, Any] = {"device": "cpu", "threads": 1, "progress": False}


def cpu_seconds() -> float:
    """Of this process and of those that it has waited for."""
    own, others = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


@contextmanager
def dask(workers: int) -> Iterator[str]:
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def timed(folder: Path, run: Callable[[Path], Any]) -> tuple[float, float, Any]:
    begun, used = time.perf_counter(), cpu_seconds()
    found = run(folder)
    return time.perf_counter() - begun, cpu_seconds() - used, found


def engines(size: int, steps: int) -> None:
    """A table: the way, seconds, pictures a minute, CPU seconds a picture, whether equal."""

    def sweep(folder: Path, executor: Any) -> nst.Sweep:
        return nst.sweep(
            *("chenonceau", ["starry-night", "great-wave"]),
            **HOW,
            size=size,
            steps=steps,
            content_weight=[1e-4, 1e-3, 1e-2, 1e-1],
            seed=[0, 1],
            folder=folder,
            executor=executor,
        )

    def on_dask(folder: Path) -> nst.Sweep:
        with dask(2) as address:
            return sweep(folder, address)

    ways: dict[str, Callable[[Path], nst.Sweep]] = {
        "this process": lambda folder: sweep(folder, None),
        "a pool of two processes": lambda folder: sweep(folder, 2),
        "two Dask workers": on_dask,
    }
    print(
        f"| 16 pictures, {size} px, {steps} steps | seconds | a minute | CPU s each | bit for bit |"
    )
    print("|---|---|---|---|---|")
    first: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, run) in enumerate(ways.items()):
            seconds, used, found = timed(Path(folder) / str(number), run)
            pictures = [file.read_bytes() for file in found.files]
            first = first or pictures
            same = "yes" if pictures == first else "NO"
            print(
                f"| {name} | {seconds:.0f} | {16 * 60 / seconds:.1f} | {used / 16:.1f} | {same} |",
                flush=True,
            )


def nothing(given: dict[str, Any], told: object = None) -> list[dict[str, Any]]:
    """A job that does nothing."""
    return [asdict(Outcome(job["name"], FINISHED)) for job in given["jobs"]]


def empty(number: int) -> None:
    """Milliseconds a job, once the workers are there."""
    given = {"content": "chelsea", "style": "china", "device": "cpu"}
    jobs = [make_job(f"{seed:04d}", given | {"seed": seed}) for seed in range(number)]

    def run(folder: Path, executor: Any) -> float:
        folder.mkdir()
        engine.Run(jobs[:2], folder, 1, None).do(executor, False, False)  # they are awake then
        begun = time.perf_counter()
        engine.Run(jobs, folder, 1, None).do(executor, False, False)
        return time.perf_counter() - begun

    engine.paint = nothing
    print("| an empty job | ms |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        here = run(Path(folder) / "here", None)
        print(f"| this process | {1e3 * here / number:.2f} |", flush=True)
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            seconds = run(Path(folder) / "pool", pool)
        print(f"| a pool of two processes | {1e3 * seconds / number:.2f} |", flush=True)
        from distributed import Client

        with dask(2) as address, Client(address) as client:
            seconds = run(Path(folder) / "dask", client.get_executor())
        print(f"| two Dask workers | {1e3 * seconds / number:.2f} |", flush=True)


def resume(size: int, steps: int) -> None:
    """What a kill costs: the work of two lives against that of one."""
    words = ["sweep", "chenonceau", "starry-night", "--seed", "0..3", "--size", str(size)]
    words += ["--steps", str(steps), "--device", "cpu", "--threads", "1", "--quiet", "--resume"]
    command = [sys.executable, "-m", "nst_utils", *words, "-o"]
    with tempfile.TemporaryDirectory() as folder:
        used = cpu_seconds()
        subprocess.run([*command, f"{folder}/whole"], check=True)
        whole = cpu_seconds() - used
        used = cpu_seconds()
        killed = Path(folder) / "killed"
        with subprocess.Popen([*command, str(killed)]) as process:
            while not step_of(killed, 2) > steps * 2 / 3:  # in the third picture
                time.sleep(0.01)
            at = step_of(killed, 2)
            process.send_signal(signal.SIGKILL)
        there = len([*killed.glob("0*.png")])
        subprocess.run([*command, str(killed)], check=True)
        both = cpu_seconds() - used
        rows = (killed / "table.csv").read_text().splitlines()
        columns = rows[0].split(",")
        states = [dict(zip(columns, row.split(","), strict=True)) for row in rows[1:]]
        same = all(
            file.read_bytes() == (killed / file.name).read_bytes()
            for file in Path(folder, "whole").glob("0*.png")
        )
    print(
        f"resume: killed at step {at} of picture 3 of 4, {there} were there; then "
        f"{sum(each['state'] == 'skipped' for each in states)} were kept, picture 3 went on after "
        f"step {states[2]['resumed']} of {steps}; bit for bit: {same}; CPU seconds {whole:.1f} at "
        f"once, {both:.1f} in two lives",
        flush=True,
    )


def step_of(folder: Path, number: int) -> int:
    """The step at which the picture of that number is."""
    for status in (folder / ".nst-jobs").glob(f"{number + 1:02d}*.json"):
        try:
            return int(json.loads(status.read_text()).get("step", 0))
        except (OSError, ValueError):
            pass
    return 0


def memory(size: int) -> None:
    """Resident memory after so many jobs."""
    sizes: list[float] = []
    take = engine.Run._take

    def watched(run: engine.Run, answers: Any) -> None:
        take(run, answers)
        sizes.append(psutil.Process().memory_info().rss / 1e6)

    engine.Run._take = watched  # type: ignore[method-assign]
    names = {kind: [x.name for x in nst.samples().values() if x.kind == kind] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        nst.sweep(
            names["content"][:5], names["style"][:5], size=[size, 2 * size], seed=[0, 1], steps=1,
            folder=folder, **HOW,
        )  # fmt: skip
    engine.Run._take = take  # type: ignore[method-assign]
    told = ", ".join(f"{sizes[n - 1]:.0f} MB after {n}" for n in (1, 10, 25, 50, 100))
    print(f"memory: {told} jobs of {size} and {2 * size} px", flush=True)


KINDS = ("content", "style")
PARTS = ("engines", "empty", "resume", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--size", type=int, default=256, help="of the sweep, in pixels")
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    if "engines" in args.parts:
        engines(args.size, args.steps)
    if "resume" in args.parts:
        resume(64, 40)
    if "memory" in args.parts:
        memory(48)
    if "empty" in args.parts:
        empty(200)


if __name__ == "__main__":
    main()
