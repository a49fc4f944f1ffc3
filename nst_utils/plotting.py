"""Pictures and loss curves, as matplotlib figures.

The figures are returned, not shown: in a notebook a figure that ends a cell appears below it; in a
script, ``figure.savefig("name.png")``. White ground, so that they read in light and dark themes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from nst_utils import checks
from nst_utils.runs import Result


def show(
    images: Tensor | Result | Sequence[Tensor | Result],
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    width: float = 4.0,
) -> Figure:
    """Draw pictures in a grid.

    Args:
        images: (3, H, W) or (B, 3, H, W) tensors, RGB, 0..1, or results; one or several.
        titles: one for each picture.
        columns: pictures in a row; by default all, at most five.
        width: inches for each picture.

    Raises:
        ValueError: no picture, something else, or another number of titles than of pictures.
    """
    pictures = _pictures(images)
    if not pictures:
        raise ValueError("there is no picture to show")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"{len(titles)} titles for {len(pictures)} pictures; give one for each")
    columns = min(5 if columns is None else checks.count("columns", columns), len(pictures))
    rows = -(-len(pictures) // columns)
    aspect = max(picture.shape[1] / picture.shape[2] for picture in pictures)
    size = (columns * width, rows * (width * aspect + (0.3 if titles else 0.05)))
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for i, (axis, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        axis.imshow(picture.permute(1, 2, 0).numpy())
        if titles is not None:
            axis.set_title(titles[i], fontsize=11)
    return _detached(figure)


def plot_history(result: Result, picture: int | None = None) -> Figure:
    """Draw the losses over the steps: the total loss (eq. 7), and every layer by itself.

    A dotted line ends each coarse level, whose losses are those of a smaller picture.

    Args:
        result: of a run.
        picture: which row of the batch; by default the first, and the total of all others thinly.

    Raises:
        ValueError: the run made no step, or has no such picture.
    """
    if not result.steps:
        raise ValueError("the run made no step, so there is no history to draw")
    row = picture or 0
    if not 0 <= row < result.image.shape[0]:
        raise ValueError(f"there is no picture {row}; the run made {result.image.shape[0]}")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    total = torch.cat([result.start["total_loss"][None], result.history["total_loss"]])
    if picture is None:
        for other in range(1, total.shape[1]):
            left.plot(total[:, other], color="0.75", linewidth=0.8)
    left.plot(total[:, row], color="black", label="total (eq. 7)")
    left.set_title("total loss")
    for name in result.history:
        values = torch.cat([result.start[name][None], result.history[name]])[:, row]
        if "/" in name and not values.isnan().all():
            kind, layer = name.split("/")
            right.plot(
                values, label=f"{kind} {layer}", linestyle="--" if kind == "content" else "-"
            )
    right.set_title("each layer, before weighting")
    change = 0
    for _, width, steps in result.levels[:-1]:
        change += steps
        left.axvline(change, color="0.6", linestyle=":", linewidth=1)
        left.annotate(
            f" {width} px before", (change, 0.97), xycoords=("data", "axes fraction"), va="top",
            rotation=90, fontsize=7, color="0.4", ha="right",
        )  # fmt: skip
    for axis in (left, right):
        axis.set(xlabel="step", yscale="log")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    return _detached(figure)


def _pictures(images: Tensor | Result | Sequence[Tensor | Result]) -> list[Tensor]:
    """A flat list of (3, H, W) tensors on the CPU, clamped to 0..1."""
    if isinstance(images, Result):
        images = images.image
    if isinstance(images, Tensor):
        batch = images if images.ndim == 4 else images.unsqueeze(0)
        if batch.ndim != 4 or batch.shape[1] != 3:
            raise ValueError(
                f"a picture has shape (3, H, W) or (B, 3, H, W), got {tuple(images.shape)}"
            )
        if not batch.is_floating_point():
            raise ValueError(f"a picture holds floats from 0 to 1, got {batch.dtype}")
        return list(batch.detach().float().cpu().clamp(0, 1))
    if isinstance(images, str) or not isinstance(images, Iterable):
        raise ValueError(
            f"pictures are tensors as load_image gives them, or results; got {images!r:.60}"
        )
    return [picture for each in images for picture in _pictures(each)]


def _detached(figure: Figure) -> Figure:
    """Take the figure out of pyplot's hands, or a notebook would draw it twice."""
    plt.close(figure)
    return figure
