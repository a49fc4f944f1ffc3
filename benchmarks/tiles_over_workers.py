"""One picture whose tiles are shared among processes: what it takes, and how that would grow.

    python benchmarks/tiles_over_workers.py               # some 10 CPU minutes
    python benchmarks/tiles_over_workers.py --size 64 --tile 32 --repeat 1

An evaluation of the default objective (eq. 7 and its gradient) of one picture in tiles, in this
process and over two workers. Twice something is exchanged: each worker is given the rows of the
picture that its tiles see and answers with what they add up to (five Gram matrices and the content
loss); it is given the derivatives towards these sums and answers with the gradient at its rows.
Then the growth with the picture and the number of workers, reckoned from what was measured here.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import pickle
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import nst_utils as nst
from nst_utils.experiments.defaults import CONTENT_LAYERS, CONTENT_WEIGHT, STYLE_LAYERS
from nst_utils.networks.architectures import ARCHITECTURES
from nst_utils.objective import tiles
from nst_utils.objective.evaluation import equation_7
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Objective
from nst_utils.objective.tiles import Tile

GRAMS = 4 * sum(n * n for n in (64, 128, 256, 512, 512))  # bytes of five Gram matrices
# Bytes a pixel: of an RGB picture in float32; of conv4_2, 512 filters at every eighth position.
PICTURE, CONTENT = 3 * 4, 512 * 4 // 64
VECTORS = 80  # pictures that L-BFGS keeps and works on, as nst_utils/memory/estimate.py has it
MEGAPIXELS, WORKERS = (4, 16, 64, 256), (1, 2, 8, 64)
MESSAGE = 32_000_000  # bytes, by which a pipe is measured


class Given(NamedTuple):
    """What every process makes its objective of."""

    size: int
    tile: int
    precision: str


def objective_of(given: Given) -> Objective:
    """The default's, of one picture."""
    layers = {layer: 1 / len(STYLE_LAYERS) for layer in STYLE_LAYERS}
    row = Row(
        content=nst.load_image("chenonceau", given.size),
        style=nst.load_image("starry-night", given.size),
        content_layers=dict.fromkeys(CONTENT_LAYERS, 1.0),
        style_layers=layers,
        content_weight=CONTENT_WEIGHT,
        style_weight=1.0,
    )
    return Objective(nst.vgg19(precision=given.precision), [row], tile=given.tile)


def cut(objective: Objective, size: Sequence[int], side: int) -> list[Tile]:
    layers = [*CONTENT_LAYERS, *STYLE_LAYERS]
    return tiles.cut(objective.net.architecture, layers, size, side)


def shared(parts: Sequence[Tile], number: int) -> list[Sequence[Tile]]:
    """As many neighboring tiles for each of so many workers, or one more."""
    cuts = [len(parts) * i // number for i in range(number + 1)]
    return [parts[a:b] for a, b in itertools.pairwise(cuts)]


def rows_seen(parts: Sequence[Tile]) -> slice:
    """From the first to the last row of the picture that these tiles see."""
    return slice(min(p.seen[0].first for p in parts), max(p.seen[0].end for p in parts))


def moved(part: Tile, rows: slice) -> Callable[[Tensor], Tensor]:
    """What the tile sees of those rows of the picture; a view."""
    (top, bottom), (left, right) = part.seen
    return lambda x: x[:, :, top - rows.start : bottom - rows.start, left:right]


def peak() -> float:
    """The most memory that this process has had, in MB; Linux alone tells."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1e3


def add(total: list[Tensor], more: Sequence[Tensor]) -> None:
    for a, b in zip(total, more, strict=True):
        a.add_(b)


def work(pipe: Any, given: Given, first: int, end: int) -> None:
    """A worker: the tiles from ``first`` to before ``end``, until it is sent nothing."""
    torch.set_num_threads(1)
    begun = peak()
    objective = objective_of(given)
    net, (batch,) = objective.net, objective._all_batches().parts
    size = objective.rows[0].pictures[0].shape[2:]
    parts = cut(objective, size, given.tile)[first:end]
    rows = rows_seen(parts)
    pipe.send_bytes(pickle.dumps((begun, peak())))
    while message := pickle.loads(pipe.recv_bytes()):
        used = time.process_time()
        slab, singly = torch.from_numpy(message[0]), message[1]
        with torch.no_grad():
            found = [
                batch.group._sums(net, moved(part, rows)(slab), part, batch.members)
                for part in parts
            ]
        if not singly:
            for more in found[1:]:
                add(found[0], more)
            del found[1:]
        pipe.send_bytes(pickle.dumps([[x.numpy() for x in each] for each in found]))
        of_sums = [torch.from_numpy(each) for each in pickle.loads(pipe.recv_bytes())]
        gradients = []
        total = torch.zeros_like(slab)
        for part in parts:
            seen = moved(part, rows)(slab).detach().requires_grad_(True)
            its = batch.group._sums(net, seen, part, batch.members)
            (gradient,) = torch.autograd.grad(its, seen, of_sums)
            if singly:
                gradients.append(gradient.numpy())
            else:
                moved(part, rows)(total).add_(gradient)
        answer = gradients if singly else [total.numpy()]
        pipe.send_bytes(pickle.dumps((answer, time.process_time() - used, peak())))


class Workers:
    """Processes of one thread each, with neighboring tiles each."""

    def __init__(self, given: Given, parts: Sequence[Tile], number: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.parts = shared(parts, number)
        cuts = [0, *itertools.accumulate(map(len, self.parts))]
        self.rows = [rows_seen(each) for each in self.parts]
        self._pipes, self._all = [], []
        for a, b in itertools.pairwise(cuts):
            here, there = context.Pipe()
            process = context.Process(target=work, args=(there, given, a, b), daemon=True)
            process.start()
            self._pipes.append(here)
            self._all.append(process)
        self.begun = [pickle.loads(each.recv_bytes()) for each in self._pipes]
        self.sent = self.came = 0  # bytes
        self.cpu: list[float] = []
        self.peaks: list[float] = []

    def tell(self, messages: Sequence[Any]) -> None:
        for pipe, message in zip(self._pipes, messages, strict=True):
            data = pickle.dumps(message)
            pipe.send_bytes(data)
            self.sent += len(data)

    def answers(self) -> list[Any]:
        data = [pipe.recv_bytes() for pipe in self._pipes]
        self.came += sum(map(len, data))
        return [pickle.loads(each) for each in data]

    def evaluate(self, objective: Objective, x: Tensor, singly: bool) -> tuple[Tensor, Tensor]:
        """Loss and gradient of a picture.

        Args:
            singly: each tile's part is sent by itself, to be added up here in the same order as in
                one process; else each worker adds up its own.
        """
        (batch,), self.sent, self.came = objective._all_batches().parts, 0, 0
        self.tell([(x[:, :, rows].numpy(), singly) for rows in self.rows])
        each = [
            [torch.from_numpy(a.copy()) for a in of_tile]
            for answer in self.answers()
            for of_tile in answer
        ]
        sums = each[0]
        for more in each[1:]:
            add(sums, more)
        at = x.detach().requires_grad_(True)
        sums = [total.requires_grad_(True) for total in sums]
        columns = batch.group._losses(objective.net, at, sums, batch.members)
        loss = equation_7(columns, batch.group._kinds, batch.weights).total
        gradient, *of_sums = torch.autograd.grad(
            loss.sum(), [at, *sums], allow_unused=True, materialize_grads=True
        )
        self.tell([[each.numpy() for each in of_sums]] * len(self.rows))
        found = self.answers()
        for parts, rows, (answer, _, _) in zip(self.parts, self.rows, found, strict=True):
            if singly:
                for part, its in zip(parts, answer, strict=True):
                    part.pixels(gradient).add_(torch.from_numpy(its))
            else:
                gradient[:, :, rows].add_(torch.from_numpy(answer[0]))
        self.cpu, self.peaks = [each[1] for each in found], [each[2] for each in found]
        return loss.detach(), gradient

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.send_bytes(pickle.dumps(None))
        for process in self._all:
            process.join()


def seconds_a_byte() -> float:
    """Of a pipe between two processes on this machine, there and back; by messages."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=echo, args=(there,), daemon=True)
    process.start()
    data, found = bytes(MESSAGE), []
    for _ in range(5):
        begun = time.perf_counter()
        here.send_bytes(data)
        here.recv_bytes()
        found.append((time.perf_counter() - begun) / (2 * len(data)))
    here.send_bytes(b"")
    process.join()
    return statistics.median(found)


def echo(pipe: Any) -> None:
    while data := pipe.recv_bytes():
        pipe.send_bytes(data)


def seen_pixels(parts: Sequence[Tile]) -> int:
    return sum((p.seen[0].end - p.seen[0].first) * (p.seen[1].end - p.seen[1].first) for p in parts)


def measure(given: Given, repeat: int) -> tuple[float, float, float]:
    """Prints what is measured; CPU seconds a pixel that is seen, MB of a worker, seconds a byte."""
    objective = objective_of(given)
    x = 0.5 + 0.1 * torch.randn(
        objective.rows[0].pictures[0].shape, generator=torch.Generator().manual_seed(0)
    )
    parts = cut(objective, x.shape[2:], given.tile)
    pixels, seen = x.shape[2] * x.shape[3], seen_pixels(parts)
    print(f"measured: {x.shape[3]}x{x.shape[2]} px, {len(parts)} tiles of at most {given.tile} px")
    print(f"which see {seen / pixels:.2f} times its pixels; {objective.net.description}")
    workers = Workers(given, parts, 2)
    ways: dict[str, list[tuple[float, float, int]]] = {}
    first: Any = None
    same: dict[str, str] = {}
    for _ in range(repeat):
        begun, used = time.perf_counter(), time.process_time()
        first = objective.evaluate(x)
        took = time.perf_counter() - begun, time.process_time() - used, 0
        ways.setdefault("one process", []).append(took)
        for name, singly in (("two, each adds up its own", False), ("two, tile by tile", True)):
            begun, used = time.perf_counter(), time.process_time()
            loss, gradient = workers.evaluate(objective, x, singly)
            cpu = time.process_time() - used + sum(workers.cpu)
            took = time.perf_counter() - begun, cpu, workers.sent + workers.came
            ways.setdefault(name, []).append(took)
            off = float((gradient - first.gradient).abs().max() / first.gradient.abs().max())
            equal = torch.equal(gradient, first.gradient) and torch.equal(loss, first.loss)
            same[name] = "bit for bit" if equal else f"to {off:.1e} of the largest value"
    print(
        "| | seconds | CPU seconds, all | MB exchanged | gradient agrees |\n|---|---|---|---|---|"
    )
    for name, took in ways.items():
        wall, cpu, exchanged = (statistics.median(each) for each in zip(*took, strict=True))
        agrees = same.get(name, "")
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {exchanged / 1e6:.1f} | {agrees} |")
    begun_mb, built_mb = (max(each) for each in zip(*workers.begun, strict=True))
    print(
        f"memory of a worker: {begun_mb:.0f} MB with torch, {built_mb:.0f} MB with network and "
        f"targets, {max(workers.peaks):.0f} MB at most"
    )
    workers.close()
    a_byte = seconds_a_byte()
    print(f"a pipe: {1e-6 / a_byte:.0f} MB/s", flush=True)
    cpu = statistics.median(took[1] for took in ways["one process"])
    return cpu / seen, max(workers.peaks) - (PICTURE * 2 + CONTENT) * pixels / 1e6, a_byte


def reckon(tile: int, a_pixel: float, base: float, a_byte: float) -> None:
    """Prints the growth: nothing of it is measured but the three numbers it is made of."""
    architecture, layers = ARCHITECTURES["vgg19"], [*CONTENT_LAYERS, *STYLE_LAYERS]
    print(
        f"\nreckoned, for square pictures in tiles of {tile} px and W workers of one thread, from "
        f"the measured {1e6 * a_pixel:.1f} CPU s a million pixels that are seen, {base:.0f} MB of "
        f"a worker and {1e-6 / a_byte:.0f} MB/s:\n"
        f"  bytes = 2 * {PICTURE} * (pixels of the rows that each worker's tiles see, of all W) "
        f"+ 2 * W * {GRAMS:,}\n"
        "  seconds = s a pixel * pixels that the tiles of the busiest worker see "
        "+ bytes / (bytes a second)\n"
        f"  memory of a worker = base + (2 * {PICTURE} + {CONTENT}) * pixels / W\n"
        f"  memory of who minimizes = {VECTORS} * {PICTURE} * pixels\n"
    )
    print("| megapixels | workers | s an evaluation | of it exchange | GB exchanged | GB a worker "
          "| GB of who minimizes |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for mega in MEGAPIXELS:
        side = round((mega * 2**20) ** 0.5)
        parts = tiles.cut(architecture, layers, (side, side), tile)
        for number in WORKERS:
            if number > len(parts):
                continue
            shares, exchanged = shared(parts, number), 0
            if number > 1:
                rows = map(rows_seen, shares)
                exchanged = 2 * PICTURE * side * sum(each.stop - each.start for each in rows)
                exchanged += 2 * number * GRAMS
            moving = exchanged * a_byte
            seconds = a_pixel * max(map(seen_pixels, shares)) + moving
            memory = base / 1e3 + (2 * PICTURE + CONTENT) * side**2 / number / 1e9
            told = f"{VECTORS * PICTURE * side**2 / 1e9:.1f}"
            print(f"| {mega} | {number} | {seconds:.0f} | {moving:.1f} | {exchanged / 1e9:.2f} | "
                  f"{memory:.1f} | {told} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=768, help="longest side in pixels")
    parser.add_argument("--tile", type=int, default=384, help="side in pixels")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--precision", default="float32")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    given = Given(args.size, args.tile, args.precision)
    reckon(args.tile, *measure(given, args.repeat))


if __name__ == "__main__":
    main()
