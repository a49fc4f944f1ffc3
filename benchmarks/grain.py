"""How grainy is a picture where the photograph is smooth?

*Grain* is the energy of the finest octave (periods of 2 to 4 pixels) of the picture's brightness in
the smooth third of the photograph, in units of the same energy of the painting: 1 means that the
sky is as rough as the painting is on average, and strokes bring about as much as the painting's
own smooth parts have. ``own`` is the same of the photograph itself.

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

# Smooth is the third of the photograph with the least contrast within so many pixels (odd).
_WINDOW = 31
_BRIGHTNESS = (0.299, 0.587, 0.114)


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


def finest_octave(picture: Tensor) -> Tensor:
    """(1, 3, H, W) -> (1, 1, H, W): what its brightness has above a quarter cycle a pixel."""
    bright = (picture * picture.new_tensor(_BRIGHTNESS).view(1, 3, 1, 1)).sum(1, keepdim=True)
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
    print(f"{'grain':>6}{'own':>7}")
    for name in args.pictures:
        found = grain(nst.load_image(name), photograph, painting)
        print(f"{found.picture:6.3f}{found.own:7.3f}  {name}")


if __name__ == "__main__":
    main()
