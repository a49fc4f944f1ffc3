"""Figure 7, mended: how much of the photograph's edges is in a day that was turned into night?

*Edges* is the correlation, over all pixels, of how steep the brightness of two pictures is: the
lengths of their gradients, as differences of neighboring pixels. The night is the one that notebook
06 ends with, for which masks told where the sky is; it is made again, or given.

    python benchmarks/photorealism.py --picture docs/photorealism.jpg
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor
from torch.nn import functional as fn

import nst_utils as nst
from nst_utils.images.color import luminance
from nst_utils.images.files import to_pil


def steepness(picture: Tensor) -> Tensor:
    """(1, 3, H, W) -> (H - 1, W - 1): the length of the gradient of the brightness."""
    bright = luminance(picture)[0, 0]
    down, across = bright.diff(dim=0)[:, :-1], bright.diff(dim=1)[:-1]
    return torch.hypot(down, across)


def edges(picture: Tensor, photograph: Tensor) -> float:
    """See this file."""
    pair = torch.stack([steepness(each).flatten() for each in (picture, photograph)])
    return float(torch.corrcoef(pair)[0, 1])


def sky(picture: Tensor, darkest: float, brightest: float, lowest: float) -> Tensor:
    """(1, 3, H, W) -> (1, 1, H, W): white where it is blue, not too red, above a line."""
    red, _, blue = picture[0]
    found = (blue > red + 0.02) & (red >= darkest) & (red <= brightest)
    found[int(lowest * len(found)) :] = False
    share = fn.avg_pool2d(found.float()[None, None], 11, 1, 5, count_include_pad=False)
    return (share > 0.5).float()


def main() -> None:
    """Make the night, mend it, print the edges, write the three pictures in a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="longest side in pixels (512)")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--night", help="the night, made before, as a picture of that size")
    parser.add_argument("--picture", metavar="ROW.jpg", help="photograph, night, mended night")
    args = parser.parse_args()
    day, city = (nst.load_image(x, args.size) for x in ("schwerin-day", "cincinnati-night"))
    above = sky(day, darkest=0.3, brightest=1.0, lowest=0.75)
    if args.night:
        night = nst.load_image(args.night)
    else:
        of_city = sky(city, darkest=0.0, brightest=0.35, lowest=0.6)
        night = nst.transfer(
            day,
            [city, city],
            masks=[above, 1 - above],
            style_masks=[of_city, 1 - of_city],
            net=nst.vgg19(precision="auto"),
            init="content",
            content_weight=1e-2,
            steps=args.steps,
        ).image
    mended = nst.photorealistic(night, day)
    found = {
        "as it was painted": night,
        "photorealistic": mended,
        "with the sky's mask": nst.photorealistic(night, day, masks=[above]),
    }
    for radius in (0.01, 0.03, 0.2):
        found[f"radius={radius:g}"] = nst.photorealistic(night, day, radius=radius)
    for epsilon in (1e-4, 1e-3, 1e-2):
        found[f"epsilon={epsilon:g}"] = nst.photorealistic(night, day, epsilon=epsilon)
    for name, picture in found.items():
        off = float((picture - night).abs().mean())
        print(f"{name:<20} edges {edges(picture, day):.2f}, {off:.3f} from what was painted")
    if args.picture:
        row = to_pil(torch.cat([day, night, mended]))
        row.save(args.picture, quality=88, optimize=True)


if __name__ == "__main__":
    main()
