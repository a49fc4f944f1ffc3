r"""Why is there a weave where the photograph is smooth? A grating of each frequency, tried out.

A finished picture is smoothed by a Gaussian of 3 pixels, in those parts that are smooth in the
photograph and plain in the picture. There a faint grating of one frequency is laid over it, gray
levels that rise and fall, and both losses are taken again. Where their weighted sum is lower with
the grating than without, the loss asks for it. Beside it: how much the finished picture has of each
frequency there, in units of what the painting has on average.

    python benchmarks/gratings.py PHOTOGRAPH PAINTING PICTURE --content-weight ALPHA \
        [--content-layer conv4_2]

The photograph and the painting (files or bundled names) are scaled to the picture's longest side.
The table is printed; it and the maps are kept in ``gratings/``. 337 evaluations without a gradient:
ten minutes at 512 px on one thread.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from grain import smooth_part
from matplotlib import pyplot as plt
from matplotlib.colors import LogNorm, Normalize
from torch import Tensor
from torch.nn import functional as fn
from torchvision.transforms.functional import gaussian_blur
from tqdm.auto import tqdm

import nst_utils as nst
from nst_utils.experiments.defaults import STYLE_LAYERS
from nst_utils.images.color import luminance

# Frequencies are so many cycles in this many pixels, down and across; 12 are a period of 2 pixels.
UNIT = 24
SIDE = UNIT // 2 + 1  # of the maps
AMPLITUDES = (0.015, 0.03)  # on the 0..1 scale: 4 and 8 gray levels, up and down
SIGMA = 3  # pixels
OUT = Path(__file__).with_suffix("")

Losses = Callable[[Tensor], Tensor]


def blurred(x: Tensor, sigma: float) -> Tensor:
    """(B, C, H, W) seen through a Gaussian of that many pixels."""
    return gaussian_blur(x, [2 * round(3 * sigma) + 1] * 2, [sigma] * 2)


def losses_of(photograph: Tensor, painting: Tensor, layer: str, content_weight: float) -> Losses:
    """Weighted losses of a picture: those of the style layers, and last that of the content."""
    net = nst.vgg19()
    style, content = net(painting, STYLE_LAYERS), net(photograph, [layer])

    def losses(picture: Tensor) -> Tensor:
        seen = net(picture, [*STYLE_LAYERS, layer])
        each = [nst.style_loss(seen[x], style[x]) / len(STYLE_LAYERS) for x in STYLE_LAYERS]
        each.append(content_weight * nst.content_loss(seen[layer], content[layer]))
        return torch.cat(each)

    return losses


def grating(down: int, across: int, shape: tuple[int, int]) -> Tensor:
    """(1, 1, H, W), from -1 to 1."""
    height, width = shape
    cycles = down * torch.arange(height)[:, None] + across * torch.arange(width)
    return torch.cos(2 * math.pi * cycles / UNIT + 0.7)[None, None]  # not at its highest at 0


def changes(picture: Tensor, smooth: Tensor, losses: Losses) -> tuple[Tensor, Tensor]:
    """What the losses are without a grating, (6,), and by how much each of them changes with one.

    Returns:
        The latter is (13, 13, 6): frequency down, across, loss; of the better amplitude.
    """
    base = picture + smooth * (blurred(picture, SIGMA) - picture)
    before = losses(base)
    found = before.new_zeros(SIDE, SIDE, len(before))
    for place in tqdm(range(1, SIDE * SIDE), unit="grating"):
        down, across = divmod(place, SIDE)
        wave = smooth * grating(down, across, base.shape[2:])
        tries = [losses((base + x * wave).clamp(0, 1)) - before for x in AMPLITUDES]
        found[down, across] = min(tries, key=lambda change: float(change.sum()))
    return before, found


def spectrum(picture: Tensor, part: Tensor) -> Tensor:
    """(13, 13), the power of each frequency of a picture's brightness in that part of it, in the
    squares that lie in it, or, where none does, in those that lie in it most."""
    size = 4 * UNIT
    window = (torch.hann_window(size)[:, None] * torch.hann_window(size)).flatten()
    bright = luminance(picture)
    both = torch.cat([bright - blurred(bright, SIGMA), part], 1)
    values, inside = fn.unfold(both, size, stride=UNIT // 2)[0].unflatten(0, (2, -1)).mT
    share = inside.mean(1)
    waves = (values[share >= share.max().clamp(max=0.9)] * window).unflatten(1, (size, size))
    power = torch.fft.fft2(waves).abs().square().mean(0)
    power = fn.avg_pool2d(power.roll((2, 2), (0, 1))[None], 4)[0]
    both_ways = (power + power.roll(-1, 1).flip(1)) / 2  # waves that rise to the right, and fall
    return both_ways[:SIDE, :SIDE]


def draw(change: Tensor, power: Tensor, path: Path) -> None:
    """Both maps, side by side."""
    change = 1e5 * change.sum(2)
    change[0, 0] = torch.nan
    most = -float(change.nan_to_num().min())
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    looks: list[dict[str, Any]] = [
        {"cmap": "RdBu_r", "norm": Normalize(-most, most)},
        {"cmap": "magma", "norm": LogNorm()},
    ]
    titles = {
        "What such a grating does to the loss": "lower (blue) or higher (red), x 1e-5",
        "What the finished picture has of it": "times what the painting has",
    }
    for axis, values, look, title in zip(axes, (change, power), looks, titles, strict=True):
        reach = (-0.5 / UNIT, (SIDE - 0.5) / UNIT)
        shown = axis.imshow(values, origin="lower", extent=(*reach, *reach), **look)
        figure.colorbar(shown, ax=axis, label=titles[title])
        axis.set(title=title, xlabel="cycles a pixel, across", ylabel="cycles a pixel, down")
    figure.savefig(path, dpi=90, pil_kwargs={"quality": 90})


def main() -> None:
    """Print the gratings that lower the loss most, and draw the maps."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("photograph", "painting", "picture"):
        parser.add_argument(name)
    parser.add_argument("--content-weight", type=float, required=True)
    parser.add_argument("--content-layer", default="conv4_2")
    args = parser.parse_args()
    picture = nst.load_image(args.picture)
    side = max(picture.shape[2:])
    photograph, painting = (nst.load_image(x, size=side) for x in (args.photograph, args.painting))
    # Of each the smooth third: where the picture has large strokes, they would be smoothed, too.
    smooth = blurred((smooth_part(photograph) & smooth_part(picture)).float(), SIGMA)
    with torch.no_grad():
        losses = losses_of(photograph, painting, args.content_layer, args.content_weight)
        before, change = changes(picture, smooth, losses)
        power = spectrum(picture, smooth) / spectrum(painting, torch.ones_like(painting[:, :1]))
    names = [*STYLE_LAYERS, "content"]
    print(f"{'period, px':>10}" + "".join(f"{name:>10}" for name in names) + f"{'sum':>10}")
    print(f"{'smoothed':>10}" + "".join(f"{x:10.1e}" for x in [*before, before.sum()]))
    for place in change.sum(2).flatten().argsort()[:10].tolist():
        down, across = divmod(place, SIDE)
        parts = change[down, across]
        period = UNIT / math.hypot(down, across)
        print(f"{period:10.1f}" + "".join(f"{x:10.1e}" for x in [*parts, parts.sum()]))
    OUT.mkdir(exist_ok=True)
    kept = {"before": before.tolist(), "change": change.tolist(), "spectrum": power.tolist()}
    name = f"{args.content_layer}-{args.content_weight:.0e}"
    (OUT / f"{name}.json").write_text(json.dumps(kept) + "\n")
    draw(change, power, OUT / f"{name}.jpg")


if __name__ == "__main__":
    main()
