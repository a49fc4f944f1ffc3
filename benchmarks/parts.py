"""What the parts of an evaluation of loss and gradient take, each way of doing them in turns.

    python benchmarks/parts.py winograd [--sizes 64 128 320]   # from how many positions on?
    python benchmarks/parts.py content [--sizes 448]           # equation 1 as a sum, and as a mean
    python benchmarks/parts.py roots                           # by eigenvalues, and by products

Medians of the processor's time, in float32 on a CPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any
from unittest import mock

import torch
from torch import Tensor

import nst_utils as nst
from nst_utils.experiments.style_transfer import CONTENT_LAYERS, STYLE_LAYERS
from nst_utils.networks import convolutions
from nst_utils.objective import evaluation
from nst_utils.style_statistics import moments

LEAST = {"always": 0, "from 100": 100, "from 200": 200, "from 400": 400, "never": 10**9}


def in_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> str:
    """The cells of a row: the median of each way."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):  # the first prepares
        for name, work in ways.items():
            began = time.process_time()
            work()
            spent[name].append(time.process_time() - began)
    return " | ".join(f"{1000 * median(times[1:]):.0f} ms" for times in spent.values())


def winograd(sizes: Sequence[int], rounds: int) -> None:
    """The paper's layers, by the least number of positions for which Winograd's method is used."""
    print("| size | padding |", " | ".join(LEAST), "|\n|---|---|" + "---|" * len(LEAST))
    weights = [dict.fromkeys(names, 1.0) for names in (CONTENT_LAYERS, STYLE_LAYERS)]
    for size in sizes:
        pair = [nst.load_image(name, size=size) for name in ("chenonceau", "great-wave")]
        for padding in ("zeros", "nearest"):
            objective = nst.Objective(
                nst.vgg19(padding=padding), [nst.Row(*pair, *weights, 5e-3, 1.0)]
            )

            def evaluate(least: int, objective: Any = objective, image: Tensor = pair[0]) -> None:
                with mock.patch.object(convolutions, "_LEAST_POSITIONS", least):
                    objective.evaluate(image)

            ways = {name: lambda least=least: evaluate(least) for name, least in LEAST.items()}
            print(f"| {size} | {padding} |", in_turns(ways, rounds), "|", flush=True)


def content(sizes: Sequence[int], rounds: int) -> None:
    """The content of one layer alone; torch's mean gives a gradient in another order of memory."""
    print("| size | layer | sum | mean |\n|---|---|---|---|")
    for size in sizes:
        photo = nst.load_image("chenonceau", size=size)
        for layer in ("conv1_2", "conv2_2", "conv4_2"):
            row = nst.Row(photo, content_layers={layer: 1.0}, content_weight=1.0)
            objective, image = nst.Objective(nst.vgg19(), [row]), 0.9 * photo

            def with_mean(objective: Any = objective, image: Tensor = image) -> None:
                with mock.patch.object(evaluation, "content_loss", _mean):
                    objective.evaluate(image)

            ways = {"sum": lambda o=objective, x=image: o.evaluate(x), "mean": with_mean}
            print(f"| {size} | {layer} |", in_turns(ways, rounds), "|", flush=True)


def _mean(F: Tensor, P: Tensor, *, reduction: str) -> Tensor:
    return (F - P).square().mean((1, 2, 3)) / 2


def roots(rounds: int) -> None:
    """The trace of a root, and the inverse root that its gradient is, for conv4_1 of two pictures;
    how far the inverse is off that of double precision."""
    net = nst.vgg19()
    F, A = (net(nst.load_image(x, size=320), ["conv4_1"])["conv4_1"] for x in ("china", "chelsea"))
    (_, C), (_, C_A) = (
        moments.mean_and_covariance(moments.moments(x) / x[0, 0].numel()) for x in (F, A)
    )
    target = moments.wasserstein_target(torch.cat([C_A, torch.zeros_like(C_A[:, :, :1])], 2))
    R = target[:, :, :-1]
    S = R @ (C + 0.1 * C.diagonal(dim1=1, dim2=2).mean() * torch.eye(C.shape[1])) @ R
    exact = moments._by_eigenvalues(S.double())[1]
    ways = {"eigenvalues": moments._by_eigenvalues, "products": moments._by_products}
    print("|", " | ".join(ways), "|\n|---|---|")
    print("|", in_turns({name: lambda way=way: way(S) for name, way in ways.items()}, rounds), "|")
    off = [float((way(S)[1] - exact).norm() / exact.norm()) for way in ways.values()]
    print("|", " | ".join(f"{each:.0e}" for each in off), "|")


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["winograd", "content", "roots"])
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.what == "winograd":
        winograd(args.sizes or [64, 96, 128, 192, 320], args.rounds)
    elif args.what == "content":
        content(args.sizes or [448], args.rounds)
    else:
        roots(args.rounds)


if __name__ == "__main__":
    main()
