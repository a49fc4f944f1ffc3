"""How grainy is a picture where the photograph is smooth?

*Grain* is the energy of the finest octave (periods of 2 to 4 pixels) of the picture's brightness in
the smooth third of the photograph, in units of the same energy of the painting: 1 means that the
sky is as rough as the painting is on average, and strokes bring about as much as the painting's
own smooth parts have. ``own`` is the same of the photograph itself. It cannot tell a stroke from a
speck: where strokes are painted into a sky, it rises, too.

*Hatch* is how much of the finest octave of the whole picture repeats every 2 or 4 pixels, as the
network's poolings do: the power at those frequencies by that around them. 1 is none; paintings
have about 1 to 1.7 by chance.

    python benchmarks/grain.py PHOTOGRAPH PAINTING PICTURE [PICTURE ...]

The photograph and the painting (files or bundled names) are scaled to each picture's size.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as fn

import nst_utils as nst
from nst_utils.images.color import luminance

# Smooth is the third of the photograph with the least contrast within so many pixels (odd).
_WINDOW = 31
# Cycles a pixel, downward and across, of what repeats every 2 or 4 pixels.
_OF_POOLINGS = (
    *((0.25, 0.0), (0.0, 0.25), (0.25, 0.25), (0.5, 0.25), (0.25, 0.5)),
    *((0.5, 0.5), (0.5, 0.0), (0.0, 0.5)),
)


class Grain(NamedTuple):
    """See this file; each in units of the painting's energy."""

    picture: float
    own: float


def grain(picture: Tensor, photograph: Tensor, painting: Tensor) -> Grain:
    """The grain of ``picture`` (1, 3, H, W); the photograph and the painting of any size."""
    height, width = picture.shape[2:]
    photograph = nst.resize(photograph, (height, width))
    painting = nst.resize(painting, max(height, width))
    smooth = smooth_part(photograph)
    unit = finest_octave(painting).square().mean()
    energies = (finest_octave(x).square()[smooth].mean() / unit for x in (picture, photograph))
    return Grain(*(float(energy) for energy in energies))


def hatch(picture: Tensor) -> float:
    """See this file; of a picture (1, 3, H, W) of at least 128 px."""
    height, width = (side // 16 * 16 for side in picture.shape[2:])
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)
    spectrum = torch.fft.fft2(finest_octave(picture)[0, 0, :height, :width] * window)
    power = spectrum.abs().square()
    found = []
    for down, across in _OF_POOLINGS:
        rows = torch.arange(-6, 7) + int(down * height)
        columns = torch.arange(-6, 7) + int(across * width)
        around = power[rows % height][:, columns % width]
        middle = around[4:9, 4:9].sum()
        found.append(middle / 25 / ((around.sum() - middle) / (13**2 - 25)))
    return float(torch.stack(found).mean())


def finest_octave(picture: Tensor) -> Tensor:
    """(1, 3, H, W) -> (1, 1, H, W): what its brightness has above a quarter cycle a pixel."""
    bright = luminance(picture)
    height, width = bright.shape[2:]
    # Mirrored at its edges, which would otherwise be steps and have every frequency.
    mirrored = fn.pad(bright, (0, width - 1, 0, height - 1), mode="reflect")
    rows = torch.fft.fftfreq(mirrored.shape[2])[:, None]
    columns = torch.fft.rfftfreq(mirrored.shape[3])
    high = (rows**2 + columns**2).sqrt() >= 0.25
    fine = torch.fft.irfft2(torch.fft.rfft2(mirrored) * high, s=mirrored.shape[2:])
    return fine[..., :height, :width]


def smooth_part(photograph: Tensor) -> Tensor:
    """(1, 1, H, W), true in the third with the least local contrast."""
    bright = photograph.mean(1, keepdim=True)

    def around(values: Tensor) -> Tensor:
        return fn.avg_pool2d(values, _WINDOW, 1, _WINDOW // 2, count_include_pad=False)

    contrast = around(bright.square()) - around(bright).square()
    return contrast <= contrast.flatten().kthvalue(contrast.numel() // 3).values


def main() -> None:
    """Print the grain of each picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photograph")
    parser.add_argument("painting")
    parser.add_argument("pictures", nargs="+")
    args = parser.parse_args()
    photograph, painting = nst.load_image(args.photograph), nst.load_image(args.painting)
    print(f"{'grain':>6}{'own':>7}{'hatch':>7}")
    for name in args.pictures:
        picture = nst.load_image(name)
        found = grain(picture, photograph, painting)
        print(f"{found.picture:6.3f}{found.own:7.3f}{hatch(picture):7.3f}  {name}")


if __name__ == "__main__":
    main()
