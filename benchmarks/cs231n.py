"""Our losses against the stored answers of the course CS231n, on SqueezeNet's real weights.

The course's style transfer exercise ships the values that a right solution gives
(``style-transfer-checks.npz``). Neither they nor the weights are part of this project; give paths:

    python benchmarks/cs231n.py squeezenet1_1.safetensors style-transfer-checks.npz styles/

``styles/`` is the exercise's folder with tubingen.jpg and starry_night.jpg. With weights that were
rounded to float16 the values agree to about 1 %.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as fn
from torchvision.transforms.functional import resize, to_tensor

import nst_utils as nst

SHORTER_SIDE = 192
# SqueezeNet's modules 1, 4, 6 and 7, with the weights of the exercise's check.
STYLE = {"conv1": 300000.0, "fire3": 1000.0, "fire4": 15.0, "fire5": 3.0}


def load(path: Path) -> Tensor:
    """As the exercise does: bilinear, the shorter side at 192 px."""
    with Image.open(path) as picture:
        return to_tensor(resize(picture.convert("RGB"), [SHORTER_SIDE]))[None]


def ours(net: nst.Network, content: Tensor, style: Tensor) -> dict[str, Tensor]:
    """What the exercise asks for, by the names of its answers."""
    F, A = (net(picture, ["fire2", *STYLE]) for picture in (content, style))
    gray = net.mean.expand_as(content)  # zeros, once the mean is taken off
    pooled = fn.max_pool2d(A["fire3"], 3, 2, ceil_mode=True)  # module 5
    # Theirs is a sum without the half.
    of_gray = nst.content_loss(net(gray, ["fire2"])["fire2"], F["fire2"], reduction="sum")
    return {
        "cl_out": 6e-2 * 2 * of_gray,
        "gm_out": nst.gram_matrix(pooled) / pooled[0].numel(),
        "sl_out": torch.stack(
            [w * nst.style_loss(F[x], A[x], reduction="sum") for x, w in STYLE.items()]
        ).sum(),
        "tv_out": 2e-2 * nst.total_variation((content - net.mean) / net.std),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("pictures", type=Path)
    args = parser.parse_args()
    net = nst.squeezenet1_1(args.weights)
    content, style = (load(args.pictures / f"{x}.jpg") for x in ("tubingen", "starry_night"))
    with torch.no_grad(), np.load(args.answers) as answers:
        for name, value in ours(net, content, style).items():
            theirs = torch.as_tensor(answers[name]).squeeze().float()
            value = value.squeeze()
            difference = float((value - theirs).norm() / theirs.norm())
            shown = f"{value:12.1f}  {theirs:12.1f}" if not value.ndim else f"{'a matrix':>26}"
            print(f"{name}  {shown}  relative difference {difference:.2%}")


if __name__ == "__main__":
    main()
