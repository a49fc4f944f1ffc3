"""Pictures and loss curves, as matplotlib figures.

The figures are returned, not shown: in a notebook a figure that ends a cell appears below it; in a
script, ``figure.savefig("name.png")``. White ground, so that they read in light and dark themes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from nst_utils.optimize.results import Result
from nst_utils.support import checks

# A pixel of a picture is a pixel of the figure, as long as its title has room and a screen too.
_PIXELS_PER_INCH = 100
_WIDTHS = (2.4, 7.0)  # inches
_INSET = 0.3  # of a picture's width
_GAP, _TITLE = 0.08, 0.3  # inches between pictures, and for a title


class Drawing(Figure):
    """A figure that a notebook keeps with a description, pictures as JPEG instead of PNG.

    JPEG because a notebook holds its pictures: at the quality of 85 a painting takes a fifth of the
    space. The description is what a screen reader says, where no picture can be shown.
    """

    alt = ""
    file_type = "png"

    def encode(self) -> bytes:
        """The figure as a file of its type."""
        buffer = io.BytesIO()
        jpeg: dict[str, Any] = {"pil_kwargs": {"quality": 85}}
        self.savefig(buffer, format=self.file_type, **(jpeg if self.file_type == "jpeg" else {}))
        return buffer.getvalue()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        kind = f"image/{self.file_type}"
        data = {kind: base64.b64encode(self.encode()).decode(), "text/plain": self.alt}
        display(data, metadata={kind: {"alt": self.alt}}, raw=True)


def show(
    images: Tensor | Result | Sequence[Tensor | Result],
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    width: float | None = None,
    insets: Sequence[Tensor | None] | None = None,
    alt: str | None = None,
) -> Figure:
    """Draw pictures in a grid.

    Args:
        images: (3, H, W) or (B, 3, H, W) tensors, RGB, 0..1, or results; one or several.
        titles: one for each picture.
        columns: pictures in a row; by default all, at most three.
        width: inches for each picture, of 100 pixels; by default that of the widest picture.
        insets: a small picture for the lower left corner of each, or ``None``: the paintings, as in
            figure 3 of the paper.
        alt: what the figure shows, in words; by default the titles.

    Raises:
        ValueError: no picture, something else, or another number of titles or insets than of
            pictures.
    """
    pictures = _pictures(images)
    if not pictures:
        raise ValueError("there is no picture to show")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"{len(titles)} titles for {len(pictures)} pictures; give one for each")
    corners = [None if inset is None else _pictures(inset) for inset in insets or ()]
    if insets is not None and len(corners) != len(pictures):
        raise ValueError(f"{len(corners)} insets for {len(pictures)} pictures; give one for each")
    if any(corner is not None and len(corner) != 1 for corner in corners):
        raise ValueError("an inset is one picture, or None")
    columns = min(3 if columns is None else checks.count("columns", columns), len(pictures))
    if width is None:
        widest = max(picture.shape[2] for picture in pictures) / _PIXELS_PER_INCH
        width = min(max(widest, _WIDTHS[0]), _WIDTHS[1])
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    heights = [width * max(picture.shape[1] / picture.shape[2] for picture in row) for row in rows]
    above = _TITLE if titles else 0.0
    across = columns * width + (columns - 1) * _GAP
    down = sum(heights) + len(rows) * above + (len(rows) - 1) * _GAP
    figure = Drawing(figsize=(across, down), dpi=_PIXELS_PER_INCH)
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        left, height = column * (width + _GAP), heights[row]
        top = down - sum(heights[:row]) - row * (above + _GAP) - above
        box = (left / across, (top - height) / down, width / across, height / down)
        axis = figure.add_axes(box)
        axis.axis("off")
        axis.set_anchor("N")  # titles of pictures of different shapes stand at one height
        axis.imshow(picture.permute(1, 2, 0).numpy())
        if corners and (corner := corners[i]) is not None:
            _draw_inset(axis, picture, corner[0])
        if titles is not None:
            axis.set_title(titles[i], fontsize=11)
    figure.alt = alt or "; ".join(titles or [f"pictures without titles: {len(pictures)}"])
    figure.file_type = "jpeg"
    return figure


def _draw_inset(axis: Axes, picture: Tensor, inset: Tensor) -> None:
    """A small picture in the lower left corner of another, in a white frame."""
    shape = inset.shape[1] / inset.shape[2] * picture.shape[2] / picture.shape[1]
    across = min(_INSET / max(1.0, shape**0.5), 0.9 / shape)
    box = axis.inset_axes((0, 0, across, across * shape))
    box.imshow(inset.permute(1, 2, 0).numpy(), aspect="auto")
    box.set(xticks=[], yticks=[])
    box.spines[:].set(color="white", linewidth=2)


def plot_history(result: Result, *, picture: int | None = None) -> Figure:
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
    figure = Drawing(figsize=(12, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
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
    left.legend(fontsize=8)
    right.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))  # beside, not on them
    figure.alt = (
        f"The losses over {result.steps} steps: the total loss falls from {total[0, row]:.3g} to "
        f"{total[-1, row]:.3g}; beside it, each layer by itself"
    )
    return figure


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


def plot_table(
    values: Tensor,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    form: str = "{:.1%}",
    labels: tuple[str, str] = ("", ""),
) -> Figure:
    """Draw a table of positive numbers, each on a ground that is the darker the larger it is.

    Args:
        values: (rows, columns), on a logarithmic scale; 0 is as light as the least other value.
        rows, columns: their names.
        form: how a number is written.
        labels: what the rows and what the columns are.

    Raises:
        ValueError: not one name for each row and column, or values that are negative or NaN.
    """
    values = torch.as_tensor(values).detach().double().cpu()
    if values.shape != (len(rows), len(columns)):
        raise ValueError(
            f"the table is {tuple(values.shape)}, but there are {len(rows)} names of rows and "
            f"{len(columns)} of columns"
        )
    if not bool((values >= 0).all()):
        raise ValueError("the table holds negative numbers or NaN; give their size")
    positive = values[values > 0]
    shade = values.clamp(min=float(positive.min()) if len(positive) else 1.0).log10()
    shade = (shade - shade.min()) / (shade.max() - shade.min()).clamp(min=1e-9)
    size = (1.6 + 0.95 * len(columns), 1.0 + 0.5 * len(rows))
    figure = Drawing(figsize=size, layout="constrained")
    axis = figure.add_subplot()
    axis.imshow(shade.numpy(), cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
    for row in range(len(rows)):
        for column in range(len(columns)):
            color = "white" if shade[row, column] > 0.75 else "black"
            text = form.format(float(values[row, column]))
            axis.text(column, row, text, ha="center", va="center", color=color)
    # Names wider than a column would run into each other.
    long = any(len(name) > 11 for name in columns)
    axis.set_xticks(range(len(columns)), columns)
    if long:
        for name in axis.get_xticklabels():
            name.set(rotation=25, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(rows)), rows)
    axis.set(ylabel=labels[0], xlabel=labels[1])
    lines = [
        f"{name}: " + ", ".join(form.format(float(value)) for value in line)
        for name, line in zip(rows, values, strict=True)
    ]
    figure.alt = f"A table with the columns {', '.join(columns)}. " + "; ".join(lines)
    return figure
