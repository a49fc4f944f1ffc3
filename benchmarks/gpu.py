"""What this package does on a GPU: right, how fast, in how much memory; one command, one file.

    python benchmarks/gpu.py --out DIR [--device cuda] [--size 512] [--budget 560] [--stages ...]

For a machine that is had for half an hour and has nothing but Python and torch: the repository is
copied there and put on the path (``PYTHONPATH=.``). The stages come in the order of their value,
each in a process of its own with a limit of its own, and ``DIR/gpu.json`` is written anew after
each, so that whatever happens the figures so far are kept. What could not be measured says why. The
machine is always looked at first: figures of another one, or of another size, are put aside as
``DIR/gpu-before.json``. At most eight files come of it, since some machines give back no more.

    machine    what it is
    agreement  loss, terms and gradient against float64, in each precision, in tiles, in a batch
    bits       the same run twice and once taken up again, deterministic: whether its bits are the
               same, and how long it takes beside one that is not
    tests      those of the test suite that need a CUDA device (where pytest is there)
    speed      a step at half the size, the size and twice the size, of 1, 5 and 16 pictures; the
               loop that tutorials teach, on the same device
    together   16 pictures of 384 px in one batch against one by one
    rate       that of the convolutions of one evaluation, as a share of a matrix product's
    waits      how often the loop of a transfer waits for the device
    picture    a whole transfer of 300 steps, the first one and the next
    race       how long until the loss that the tutorials' loop has after 300 evaluations; pictures
    memory     peak against the estimate and the tutorials' loop; what happens where it runs out
    profile    the busiest operations of a step, and how often it waits

A second call makes what readers see, and is asked for by name: ``--stages notebooks`` runs the
notebooks at full size, in plain Python, and keeps each that came to its end in
``DIR/notebooks.zip``; ``--notebooks 03 04`` are those that begin so.

A rehearsal that takes some minutes: ``--device cpu --size 64``. Times are medians. ``table`` in
place of ``--out`` prints a kept file as Markdown: ``python benchmarks/gpu.py table DIR/gpu.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests")]

if TYPE_CHECKING:  # the parent process leaves the GPU alone
    import torch

    from nst_utils.objective.table import Objective

STAGES = (
    *("machine", "agreement", "bits", "tests", "speed", "together", "rate", "waits", "picture"),
    *("race", "memory", "profile"),
)
NOTEBOOKS = HERE.parent / "notebooks"
ZIP = "notebooks.zip"
TEXTS = "failed.txt"  # one file for all stages
BEFORE = "gpu-before.json"
PICTURES = ("default.jpg", "exact.jpg", "tutorials-loop.jpg", "ours-at-their-loss.jpg")
# What figures hold for.
OF_MACHINE = ("name", "capability", "memory_gib", "torch", "cuda", "cudnn")
MARK = "pytest.mark.gpu"
BATCHES = (1, 5, 16)
PRECISIONS = ("float32", "bfloat16", "float16")


def machine(device: str, size: int, out: Path) -> dict[str, Any]:
    import platform

    import torch

    from nst_utils.networks.precision import fastest

    told: dict[str, Any] = {"python": platform.python_version(), "torch": torch.__version__}
    told["precision=auto"] = fastest(torch.device(device))
    if not is_cuda(device):
        return told | {"name": f"CPU, {torch.get_num_threads()} threads"}
    properties = torch.cuda.get_device_properties(device)
    return told | {
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_gib": properties.total_memory / 2**30,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "tf32": {
            "matmul": torch.backends.cuda.matmul.allow_tf32,
            "cudnn": torch.backends.cudnn.allow_tf32,
        },
    }


def agreement(device: str, size: int, out: Path) -> dict[str, Any]:
    """Relative differences from the reference in float64, on a photograph under noise."""
    import torch
    from reference import ReferenceNetwork, ReferenceObjective

    import nst_utils as nst
    from nst_utils.experiments.style_transfer import STYLE_LAYERS
    from nst_utils.objective.rows import Row

    size = min(size, 256)  # the reference runs on the CPU
    content, style = nst.load_image("chenonceau", size), nst.load_image("great-wave", size)
    image = (content + torch.rand(content.shape, generator=torch.Generator().manual_seed(0))) / 2
    layers: Any = ({"conv4_2": 1.0}, dict.fromkeys(STYLE_LAYERS, 0.2))
    expected = ReferenceObjective(ReferenceNetwork(), content, style, *layers, 5e-3, 1.0)
    exact, losses = expected.evaluate(image), expected.losses(image)
    row = Row(content, style, *layers, 5e-3, 1.0)

    def differences(precision: str, *, rows: int = 1, tile: int | None = None) -> dict[str, float]:
        from nst_utils.objective.table import Objective

        net = nst.vgg19(precision=precision).to(device)
        objective = Objective(net, [row] * rows, tile=tile)
        found = objective.evaluate(image.repeat(rows, 1, 1, 1).to(device))
        told = objective.paper_losses(found.terms)
        return {
            "loss": relative(found.loss[:1], exact.loss),
            "gradient": relative(found.gradient[:1], exact.gradient),
            "worst term": max(relative(told[name][:1], losses[name][None]) for name in losses),
        }

    told: dict[str, Any] = {each: differences(each) for each in PRECISIONS}
    told["float32, batch of 3"] = differences("float32", rows=3)
    told["float32, tiles"] = differences("float32", tile=size // 2)
    told["30 steps, recorded against not"] = recorded_against_not(device, size)
    return told


def recorded_against_not(device: str, size: int) -> dict[str, Any]:
    """How far the losses of a run lie apart whose steps are replayed, and of one whose are not."""
    import nst_utils as nst
    from nst_utils.optimize import recorded

    content, style = pictures(size)
    options: dict[str, Any] = {"device": device, "steps": 30, "exact": True, "progress": False}
    options["net"] = nst.vgg19().to(device)
    before = recorded.BEFORE
    with recordings() as replayed:
        losses = [nst.transfer(content, style, **options).history["total_loss"]]
    recorded.BEFORE = 10**9
    try:
        losses.append(nst.transfer(content, style, **options).history["total_loss"])
    finally:
        recorded.BEFORE = before
    apart = (losses[0] - losses[1]).abs() / losses[1]
    early = before + 2  # the second step that is replayed
    return {
        "steps": in_words(replayed),
        f"at step {early}": float(apart[early - 1, 0]),
        "at the end": float(apart[-1, 0]),
    }


@contextlib.contextmanager
def recordings() -> Iterator[list[str]]:
    """What becomes of each try to record a step meanwhile."""
    from nst_utils.optimize.recorded import Recorded

    found: list[str] = []
    record = Recorded._record

    def told(self: Recorded, work: Callable[[], None]) -> None:
        record(self, work)
        found.append(self.told)

    Recorded._record = told  # type: ignore[method-assign]
    try:
        yield found
    finally:
        Recorded._record = record  # type: ignore[method-assign]


def in_words(recordings: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(recordings)) or "not recorded: it was not tried"


def bits(device: str, size: int, out: Path) -> dict[str, Any]:
    """Whether runs repeat themselves to the last bit where that is asked for, and what it costs."""
    import torch

    import nst_utils as nst
    from nst_utils.optimize import checkpoints

    steps = 60 if is_cuda(device) else 6
    content, style = pictures(size)

    def run(net: nst.Network, **how: Any) -> nst.Result:
        options: dict[str, Any] = {"steps": steps, "device": device, "progress": False}
        return nst.transfer(content, style, net=net, **options, **how)

    def stop(step: nst.Step) -> None:
        if step.number == steps * 2 // 3:
            raise KeyboardInterrupt

    def taken_up_again(net: nst.Network) -> nst.Result:
        before, checkpoints._SHARE = checkpoints._SHARE, 1e9  # it is saved after every step
        try:
            with tempfile.TemporaryDirectory() as scratch:
                file = Path(scratch) / "bits.ckpt"
                run(net, callback=stop, checkpoint=file)
                return run(net, checkpoint=file)
        finally:
            checkpoints._SHARE = before

    told: dict[str, Any] = {"steps": steps}
    for precision in ("float32", "auto"):
        # Before the GPU is used: then cuBLAS can still be told. What it is told stays.
        with nst.deterministic():
            net = nst.vgg19(precision=precision).to(device)
            first, second, resumed = run(net), run(net), taken_up_again(net)
        chance = [run(net) for _ in range(2)]
        told[f"{precision}, deterministic"] = {
            "the same bits": torch.equal(first.image, second.image),
            "the same bits, taken up again": torch.equal(first.image, resumed.image),
            "after step": resumed.resumed,
            "seconds": second.seconds,
        }
        told[f"{precision}, as it comes"] = {
            "the same bits": torch.equal(chance[0].image, chance[1].image),
            "seconds": chance[1].seconds,
        }
        told[f"{precision}, network"] = second.settings["network"].split("; ")[-1]
    return told


def tests(device: str, size: int, out: Path) -> dict[str, Any]:
    import importlib.util

    if not is_cuda(device):
        return {"skipped": "they need a CUDA device"}
    if importlib.util.find_spec("pytest") is None:
        return {"skipped": "pytest is not installed"}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", *map(str, tests_of_gpu())]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent)
    if ran.returncode:
        keep_text(out, "tests", ran.stdout + ran.stderr)
    return {"exit code": ran.returncode, "last line": ran.stdout.strip().splitlines()[-1:]}


def tests_of_gpu() -> list[Path]:
    """The files that have some; others may need packages that such a machine does not have."""
    files = sorted((HERE.parent / "tests").rglob("test_*.py"))
    return [file for file in files if MARK in file.read_text(encoding="utf-8")]


def speed(device: str, size: int, out: Path) -> dict[str, Any]:
    """Milliseconds of a step, once whatever is chosen and recorded at the start is."""
    import torch

    from nst_utils.optimize.recorded import fastest_convolutions

    told: dict[str, Any] = {}
    # A processor takes ten times as long in float16.
    precisions = [x for x in PRECISIONS if is_cuda(device) or x != "float16"]
    for pixels in (size // 2, size, 2 * size):
        for precision in precisions:
            for rows in BATCHES:
                name = f"{pixels} px, {precision}, {rows}"
                try:
                    seconds, recorded = step_time(device, pixels, precision, rows)
                    told[name] = {"ms": 1e3 * seconds, "steps": recorded}
                except (RuntimeError, MemoryError) as error:
                    told[name] = {"failed": str(error).splitlines()[0]}
                if not is_cuda(device):
                    break  # a processor takes them one by one anyway
        # With cuDNN's choice of the fastest methods, too.
        with fastest_convolutions(torch.device(device)):
            told[f"{pixels} px, tutorials' loop, 1"] = {"ms": 1e3 * plain_step(device, pixels)}
    return told


def step_time(device: str, pixels: int, precision: str, rows: int) -> tuple[float, str]:
    """Seconds, and whether it is replayed; in a function, so that the memory is free before the
    next ones take it."""
    import torch

    from nst_utils.optimize.lbfgs import LBFGS
    from nst_utils.optimize.recorded import fastest_convolutions

    warm, blocks, steps = (16, 5, 10) if is_cuda(device) else (2, 3, 1)
    table, start = problem(device, pixels, precision, rows)
    with fastest_convolutions(torch.device(device)):
        lbfgs = LBFGS(table.evaluate, start, curvature=True)
        repeat(lbfgs.step, warm)
        seconds = statistics.median(timed(device, lbfgs.step, steps) for _ in range(blocks))
        return seconds, lbfgs._recorded.told


def together(device: str, size: int, out: Path) -> dict[str, Any]:
    """Steps of pictures that go through the network together, against one after the other."""
    pixels, rows = (384, 16) if is_cuda(device) else (size, 2)
    told: dict[str, Any] = {}
    for precision in ("float32", "auto"):
        at_once, recorded = step_time(device, pixels, precision, rows)
        alone, alone_recorded = step_time(device, pixels, precision, 1)
        told[f"{rows} of {pixels} px, {precision}"] = {
            "ms at once": 1e3 * at_once,
            "ms one by one": 1e3 * rows * alone,
            "times as many a second": rows * alone / at_once,
            "steps at once": recorded,
            "steps one by one": alone_recorded,
        }
    return told


def rate(device: str, size: int, out: Path) -> dict[str, Any]:
    """Operations a second of the convolutions of one evaluation, there and back, and of a product
    of two large matrices; both in bfloat16, by the definition of a convolution."""
    import torch

    import nst_utils as nst
    from nst_utils.experiments.defaults import STYLE_LAYERS
    from nst_utils.networks.precision import layout
    from nst_utils.optimize.recorded import fastest_convolutions

    side, times = (8192, 20) if is_cuda(device) else (256, 1)
    of_numbers: dict[str, Any] = {"device": device, "dtype": torch.bfloat16}

    def seconds(work: Callable[[], Any]) -> float:
        repeat(work, 3 if is_cuda(device) else 1)
        return statistics.median(timed(device, work, times) for _ in range(3))

    a, b = (torch.randn(side, side, **of_numbers) for _ in range(2))
    product = 2 * side**3 / seconds(lambda: a @ b)
    net = nst.vgg19(precision="bfloat16").to(device)
    layers, modules = net.layers, net.modules_by_layer()
    operations = spent = 0.0
    with torch.no_grad(), fastest_convolutions(torch.device(device)):
        for layer in layers[: 1 + max(layers.index(each) for each in STYLE_LAYERS)]:
            module: Any = modules[layer]
            filters, before = module.kernel.shape[:2]
            here = [size // net.stride(layer)] * 2
            x = torch.randn(1, before, *here, **of_numbers)
            y = torch.randn(1, filters, *here, **of_numbers)
            x, y = (each.contiguous(memory_format=layout(x.device)) for each in (x, y))
            spent += seconds(partial(module.convolve, x))
            spent += seconds(partial(module.towards_input, y))
            operations += 2 * 2 * 9 * filters * before * here[0] * here[1]
    return {
        "product, 10^12 a second": product / 1e12,
        "convolutions, 10^12 a second": operations / spent / 1e12,
        "convolutions, ms": 1e3 * spent,
        "share": operations / spent / product,
    }


def waits(device: str, size: int, out: Path) -> dict[str, Any]:
    """How often a transfer's loop makes the processor wait for the device: what more steps cost.

    torch warns of what it waits for by itself, as when a value is read; not of the events by which
    the losses are known to have arrived, once in 16 steps.
    """
    import torch

    import nst_utils as nst

    content, style = pictures(size)
    numbers = (40, 140) if is_cuda(device) else (2, 4)
    options: dict[str, Any] = {"device": device, "progress": False}
    options["net"] = nst.vgg19().to(device)

    def counted(steps: int) -> tuple[Counter[str], str]:
        with recordings() as found, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if is_cuda(device):
                torch.cuda.set_sync_debug_mode("warn")
            try:
                nst.transfer(content, style, steps=steps, **options)
            finally:
                if is_cuda(device):
                    torch.cuda.set_sync_debug_mode("default")
        of_waits = [each for each in caught if "synchronizing CUDA" in str(each.message)]
        places = (f"{Path(each.filename).name}:{each.lineno}" for each in of_waits)
        return Counter(places), in_words(found)

    counted(numbers[0])  # whatever is loaded and chosen the first time
    (few, _), (many, recorded) = (counted(steps) for steps in numbers)
    more = many.copy()
    more.subtract(few)
    return {
        "counted": is_cuda(device),  # elsewhere nothing warns
        "steps": recorded,
        "a step": more.total() / (numbers[1] - numbers[0]),
        f"in {numbers[1]} steps, with what goes before and after": many.total(),
        "of which by line": dict(more.most_common(5)),
    }


def picture(device: str, size: int, out: Path) -> dict[str, Any]:
    """Seconds of a whole transfer as anybody calls it: default settings, and the paper's to the
    letter."""
    import nst_utils as nst

    steps = 300 if is_cuda(device) else 6
    content, style = pictures(size)
    told: dict[str, Any] = {"steps": steps}
    for name, exact in (("default", False), ("exact", True)):
        net = nst.vgg19(padding="zeros") if exact else nst.vgg19()
        for when in ("first", "second", "third"):
            options: dict[str, Any] = {"net": net.to(device), "device": device, "exact": exact}
            with recordings() as found:
                result = nst.transfer(content, style, steps=steps, progress=False, **options)
            told[f"{name}, {when}"] = {"seconds": result.seconds, "steps": in_words(found)}
        told[f"{name}, loss"] = float(result.history["total_loss"][-1, 0])
        nst.save_image(result.image, out / f"{name}.jpg")
    return told


def race(device: str, size: int, out: Path) -> dict[str, Any]:
    """Seconds to the loss at which the tutorials' loop is after so many evaluations."""
    import speed as contenders

    import nst_utils as nst

    evaluations = 300 if is_cuda(device) else 10
    times: list[float] = []
    last: list[torch.Tensor] = []

    def seen(image: torch.Tensor) -> None:
        wait(device)
        times.append(time.perf_counter())
        last[:] = [image]

    contenders.plain(size, evaluations, seen, device)
    exact = contenders.exact_loss
    goal = exact(last[0].clamp(0, 1).cpu(), size)
    theirs = times[-1] - times[0]
    nst.save_image(last[0].clamp(0, 1).cpu(), out / "tutorials-loop.jpg")
    told: dict[str, Any] = {"tutorials' loop": {"seconds": theirs, "loss": goal}}
    content, style = (nst.load_image(name, size=size) for name in contenders.PICTURES)
    net = nst.vgg19(**contenders.READING).to(device)
    options: dict[str, Any] = {"net": net, "device": device, "progress": False}
    options["content_weight"] = contenders.RATIO
    nst.transfer(content, style, steps=20 if is_cuda(device) else 1, **options)  # loads, chooses
    for steps in range(evaluations // 10, evaluations + 1, evaluations // 10):
        with recordings() as found:
            result = nst.transfer(content, style, steps=steps, **options)
        loss = exact(result.image, size)
        told[f"ours, {steps} steps"] = {
            "seconds": result.seconds,
            "loss": loss,
            "steps": in_words(found),
        }
        if loss <= goal:
            told["of theirs"] = result.seconds / theirs
            nst.save_image(result.image, out / "ours-at-their-loss.jpg")
            break
    return told


def memory(device: str, size: int, out: Path) -> dict[str, Any]:
    import torch

    import nst_utils as nst
    from nst_utils.memory.estimate import estimate

    if not is_cuda(device):
        return {"skipped": "a process's peak on a CPU is measured by benchmarks/memory.py"}
    told: dict[str, Any] = {}
    for pixels in (size, 2 * size):
        for rows in (1, 5):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            table, start = problem(device, pixels, "float32", rows)
            nst.minimize(table, start, steps=20, progress=False)
            peak = torch.cuda.max_memory_allocated() - before
            said = estimate(table.net, table.rows, tuple(start.shape[2:]))
            told[f"{pixels} px, {rows}"] = {"peak_gib": peak / 2**30, "of estimate": peak / said}
            del table, start
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        plain_step(device, pixels)
        peak = torch.cuda.max_memory_allocated()
        told[f"{pixels} px, tutorials' loop"] = {"peak_gib": peak / 2**30}
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 4e9 / total))
    content, style = pictures(2 * size)
    try:
        result = nst.transfer(
            content, style, seed=[0, 1, 2, 3], device=device, steps=15, progress=False
        )
        told["4 GB for four of twice the size"] = {
            "steps": result.steps,
            "finite": bool(result.image.isfinite().all()),
            "device": result.device,
            "trouble": result.trouble or "none",
        }
    except (ValueError, MemoryError, RuntimeError) as error:
        told["4 GB for four of twice the size"] = {"refused": str(error).splitlines()[0]}
    return told


def profile(device: str, size: int, out: Path) -> dict[str, Any]:
    """The busiest operations of some steps."""
    import torch
    from torch.profiler import ProfilerActivity

    from nst_utils.optimize.lbfgs import LBFGS
    from nst_utils.optimize.recorded import fastest_convolutions

    table, start = problem(device, size, "float32", 1)
    lbfgs = LBFGS(table.evaluate, start, curvature=True)
    with fastest_convolutions(torch.device(device)):
        repeat(lbfgs.step, 20 if is_cuda(device) else 2)
    steps = 10 if is_cuda(device) else 2
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * is_cuda(device)
    with torch.profiler.profile(activities=activities) as profiler:
        repeat(lbfgs.step, steps)
        wait(device)
    key = "self_device_time_total" if is_cuda(device) else "self_cpu_time_total"
    events = sorted(profiler.key_averages(), key=lambda event: -getattr(event, key))
    waits = [e for e in events if e.key in ("cudaStreamSynchronize", "cudaMemcpyAsync")]
    return {
        "steps": lbfgs._recorded.told,
        "busiest": [
            {
                "name": event.key[:100],
                "a step": event.count / steps,
                "us a step": getattr(event, key) / steps,
            }
            for event in events[:20]
        ],
        "waits a step": {event.key: event.count / steps for event in waits},
    }


def notebook(device: str, size: int, out: Path, name: str) -> dict[str, Any]:
    """Run one, small where it is only a rehearsal, and add it to the archive."""
    if "nst.studio(" in (NOTEBOOKS / name).read_text(encoding="utf-8"):
        return {"skipped": "the studio needs Jupyter; `make render` makes this one"}
    quick = not is_cuda(device)
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, str(NOTEBOOKS / "render.py"), name, "--plain", "--out", scratch]
        environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
        ran = subprocess.run(
            command + ["--quick"] * quick, capture_output=True, text=True, env=environment
        )
        if ran.returncode:
            print(ran.stdout, ran.stderr, file=sys.stderr)
            sys.exit(ran.returncode)
        with zipfile.ZipFile(out / ZIP, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.write(Path(scratch) / name, name)
    return {"quick": quick}


def is_cuda(device: str) -> bool:
    return device.split(":")[0] == "cuda"


def wait(device: str) -> None:
    import torch

    if is_cuda(device):
        torch.cuda.synchronize()


def repeat(work: Callable[[], Any], times: int) -> None:
    for _ in range(times):
        work()


def timed(device: str, work: Callable[[], Any], times: int) -> float:
    """Seconds of one."""
    wait(device)
    begun = time.perf_counter()
    repeat(work, times)
    wait(device)
    return (time.perf_counter() - begun) / times


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    return float((found - expected).norm() / expected.norm())


def pictures(size: int) -> list[torch.Tensor]:
    import nst_utils as nst

    return [nst.load_image(name, size=size) for name in ("chenonceau", "starry-night")]


def problem(device: str, size: int, precision: str, rows: int) -> tuple[Objective, torch.Tensor]:
    """Equation 7 with default settings, and noise to start from."""
    import torch

    import nst_utils as nst
    from nst_utils.experiments.defaults import CONTENT_WEIGHT, STYLE_LAYERS
    from nst_utils.objective.rows import Row
    from nst_utils.objective.table import Objective

    content, style = pictures(size)
    layers = dict.fromkeys(STYLE_LAYERS, 0.2)
    row = Row(content, style, {"conv4_2": 1.0}, layers, CONTENT_WEIGHT, 1.0)
    noise = [nst.noise_image(*content.shape[2:], seed=seed) for seed in range(rows)]
    net = nst.vgg19(precision=precision).to(device)
    return Objective(net, [row] * rows), torch.cat(noise).to(device)


def plain_step(device: str, size: int) -> float:
    """Seconds of an evaluation of the tutorials' loop, with what its optimizer does."""
    import speed as contenders

    times: list[float] = []

    def seen(_: torch.Tensor) -> None:
        wait(device)
        times.append(time.perf_counter())

    contenders.plain(size, 40 if is_cuda(device) else 7, seen, device)
    half = len(times) // 2
    return statistics.median(b - a for a, b in zip(times[half:-1], times[half + 1 :], strict=True))


def run_stage(stage: str, device: str, size: int, out: Path, limit: float) -> dict[str, Any]:
    """What a stage found, or why it found nothing."""
    stage, *name = stage.split()
    command = [sys.executable, __file__, "stage", stage, device, str(size), str(out), *name]
    begun = time.perf_counter()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as ran:
        try:
            output, errors = ran.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(ran.pid, signal.SIGKILL)  # and what it has started
            return {"failed": f"not finished within {limit:.0f} s"}
    if ran.returncode:
        keep_text(out, " ".join([stage, *name]), output + errors)
        last = (errors.strip().splitlines() or ["no word"])[-1]
        return {"failed": f"exit code {ran.returncode}: {last}"}
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    return told | {"took": time.perf_counter() - begun}


def keep_text(out: Path, stage: str, text: str) -> None:
    """What a stage that failed has said."""
    with (out / TEXTS).open("a", encoding="utf-8") as file:
        file.write(f"{stage}\n\n{text[-100_000:]}\n\n")


def begun(out: Path, device: str, size: int, here: dict[str, Any]) -> dict[str, Any]:
    """The figures to go on from: those that were measured on this machine in this size. Others are
    put aside; pictures of them would be taken for this machine's."""
    file = out / "gpu.json"
    kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    of_it = kept.get("machine", {})
    same = (kept.get("device"), kept.get("size")) == (device, size)
    if kept and not (same and all(of_it.get(name) == here.get(name) for name in OF_MACHINE)):
        file.replace(out / BEFORE)
        for name in PICTURES:
            (out / name).unlink(missing_ok=True)
        kept = {}
    return kept | {"device": device, "size": size, "machine": here}


def write(file: Path, kept: dict[str, Any]) -> None:
    """Whole, or not at all: whatever happens, there is a file that can be read."""
    new = file.with_suffix(".part")
    new.write_text(json.dumps(kept, indent=1) + "\n")
    new.replace(file)


def table(kept: dict[str, Any]) -> str:
    """A kept file as Markdown; a cell for each figure, or why there is none."""
    name = kept.get("machine", {}).get("name", "unknown")
    lines = [f"{name}, {kept['size']} px", ""]
    for stage in [*STAGES[1:], *(each for each in kept if each.startswith("notebook "))]:
        lines += [f"| {stage} | |", "|---|---|"]
        for name, value in kept.get(stage, {"not run": "-"}).items():
            if name == "busiest":
                for event in value[:8]:
                    lines.append(f"| {event['name']} | us a step {event['us a step']:.1f} |")
                continue
            shown = value.items() if isinstance(value, dict) else [("", value)]
            cells = [f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown]
            lines.append(f"| {name} | {', '.join(cells).strip()} |")
        lines.append("")
    return "\n".join(lines)


def each_by_itself(stages: Sequence[str], beginnings: Sequence[str]) -> list[str]:
    """The stages, with one for each notebook whose name begins in one of these ways."""
    names = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
    chosen = [name for name in names if name.startswith(tuple(beginnings))]
    each = {"notebooks": [f"notebook {name}" for name in chosen]}
    return [part for stage in stages for part in each.get(stage, [stage])]


def main() -> None:
    if sys.argv[1:2] == ["stage"]:
        stage, device, size, out, *name = sys.argv[2:]
        print(json.dumps(globals()[stage](device, int(size), Path(out), *name)))
        return
    if sys.argv[1:2] == ["table"]:
        print(table(json.loads(Path(sys.argv[2]).read_text())))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget", type=float, default=560, help="seconds for all stages")
    parser.add_argument("--stages", nargs="+", choices=(*STAGES, "notebooks"), default=STAGES)
    parser.add_argument("--notebooks", nargs="+", default=[""], help="how their names begin")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / TEXTS).unlink(missing_ok=True)
    file, end = args.out / "gpu.json", time.perf_counter() + args.budget
    kept: dict[str, Any] = {}
    for stage in ["machine", *each_by_itself(args.stages, args.notebooks)]:
        if stage in kept and stage == "machine":
            continue
        left = end - time.perf_counter()
        found = (
            # One that hangs must not take what the others need.
            run_stage(stage, args.device, args.size, args.out, min(left, max(60, left / 2)))
            if left > 5
            else {"failed": "no time was left"}
        )
        kept = kept or begun(args.out, args.device, args.size, found)
        kept[stage] = found
        told = found.get("failed") or found.get("skipped") or "done"
        print(f"{stage}: {told}, {end - time.perf_counter():.0f} s left", flush=True)
        write(file, kept)
    print(table(kept))


if __name__ == "__main__":
    main()
