"""Figures hold every picture, right side up, and leave nothing open."""

from __future__ import annotations

import base64
import io
import math
import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

import nst_utils as nst
from nst_utils import plot_history, show

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    before = plt.get_fignums()
    yield
    assert plt.get_fignums() == before


def plain(value: float = 0.5, height: int = 6, width: int = 8) -> Tensor:
    return torch.full((1, 3, height, width), value)


def drawn(figure: Figure) -> np.ndarray:
    """The figure as (H, W, 3) bytes; any warning on the way is an error."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of what matplotlib itself calls
        figure.savefig(buffer, format="png", dpi=figure.dpi)
    return np.asarray(Image.open(buffer).convert("RGB"))


def at(figure: Figure, axis: Axes, across: float, down: float) -> tuple[int, ...]:
    """The drawn color at a place of an axis, 0..1 from its left and from its top."""
    pixels = drawn(figure)
    box = axis.get_window_extent()
    row = round(len(pixels) - (box.y1 - down * box.height))
    return tuple(pixels[row, round(box.x0 + across * box.width)].tolist())


def test_a_picture_is_drawn_right_side_up_in_its_colors() -> None:
    picture = torch.zeros(3, 8, 12)
    for color, rows, columns in (
        (RED, slice(0, 4), slice(0, 6)),
        (GREEN, slice(0, 4), slice(6, 12)),
        (BLUE, slice(4, 8), slice(0, 6)),
        (WHITE, slice(4, 8), slice(6, 12)),
    ):
        picture[:, rows, columns] = torch.tensor(color).view(3, 1, 1) / 255
    figure = show(picture)
    (axis,) = figure.axes
    assert at(figure, axis, 0.25, 0.25) == RED
    assert at(figure, axis, 0.75, 0.25) == GREEN
    assert at(figure, axis, 0.25, 0.75) == BLUE
    assert at(figure, axis, 0.75, 0.75) == WHITE


def test_values_are_shown_as_they_are_and_not_stretched() -> None:
    figure = show([plain(0.2), plain(0.4), plain(7.0), plain(-1.0)])
    shades = [at(figure, axis, 0.5, 0.5)[0] for axis in figure.axes]
    assert shades == [51, 102, 255, 0]


def result_of(batch: int, history: dict[str, Any], start: dict[str, Any]) -> nst.Result:
    return nst.Result(
        image=torch.linspace(0, 1, batch).view(-1, 1, 1, 1).expand(batch, 3, 4, 4),
        history={name: torch.tensor(v, dtype=torch.float64) for name, v in history.items()},
        start={name: torch.tensor(v, dtype=torch.float64) for name, v in start.items()},
    )


EMPTY = result_of(3, {"total_loss": [[1.0] * 3]}, {"total_loss": [2.0] * 3})


@pytest.mark.parametrize(
    ("images", "pictures"),
    [
        (plain(), 1),
        (plain()[0], 1),
        (plain().repeat(3, 1, 1, 1), 3),
        ([plain(), plain()[0]], 2),
        ((plain(), plain(height=20)), 2),
        ([plain().repeat(2, 1, 1, 1), plain()], 3),
        (EMPTY, 3),
        ([EMPTY, plain()], 4),
        ({"a": plain(), "b": plain()}.values(), 2),
        ((plain() for _ in range(2)), 2),
        (plain().half().requires_grad_(), 1),
    ],
)
def test_one_or_several_pictures_of_any_kind_are_shown(images: Any, pictures: int) -> None:
    titles = [f"number {i}" for i in range(pictures)]
    figure = show(images, titles=titles)
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == pictures
    assert [axis.get_title() for axis in shown] == titles
    assert not any(axis.axison for axis in figure.axes)


@pytest.mark.parametrize(
    ("pictures", "columns", "grid"),
    [
        (1, None, (1, 1)),
        (5, None, (2, 3)),
        (6, None, (2, 3)),
        (5, 5, (1, 5)),
        (6, 3, (2, 3)),
        (2, 9, (1, 2)),
        (3, 1, (3, 1)),
    ],
)
def test_pictures_stand_in_rows(pictures: int, columns: int | None, grid: tuple[int, int]) -> None:
    figure = show([plain(i / pictures) for i in range(pictures)], columns=columns)
    assert len(figure.axes) == pictures
    drawn(figure)
    boxes = [axis.get_position() for axis in figure.axes]
    assert len({round(box.x0, 3) for box in boxes}) == grid[1]
    assert len({round(box.y0, 3) for box in boxes}) == grid[0]
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= 1 + 1e-9
    assert min(box.y0 for box in boxes) >= -1e-9
    assert max(box.y1 for box in boxes) <= 1 + 1e-9
    shown = [np.asarray(axis.images[0].get_array()) for axis in figure.axes if axis.images]
    values = [array[0, 0, 0] for array in shown]
    assert values == pytest.approx([i / pictures for i in range(pictures)])


def test_an_inset_lies_in_the_lower_left_corner() -> None:
    """In a white frame, with its own shape, and only where one was given."""
    gray, tall = plain(0.5, 80, 120), plain(0.0, 60, 30)
    figure = show([gray, gray], insets=[tall, None], width=4)
    with_one, without = figure.axes
    here = at(figure, without, 0.05, 0.95)
    assert here not in (WHITE, (0, 0, 0))
    assert at(figure, with_one, 0.05, 0.95) == (0, 0, 0)
    assert at(figure, with_one, 0.05, 0.05) == here
    assert at(figure, with_one, 0.5, 0.95) == here
    (box,) = with_one.child_axes
    inside, whole = box.get_window_extent(), with_one.get_window_extent()
    assert inside.height / inside.width == pytest.approx(2, rel=0.02)
    column = drawn(figure)[:, round(whole.x0 + inside.width / 2)]
    assert (column > 220).all(axis=1).any()  # the frame


def test_a_tall_inset_stays_within_a_wide_picture() -> None:
    figure = show(plain(0.5, 30, 200), insets=[plain(0.0, 100, 40)])
    (box,) = figure.axes[0].child_axes
    assert box.get_window_extent().height < figure.axes[0].get_window_extent().height


def test_width_is_of_each_picture() -> None:
    figure = show([plain()] * 3, width=2.0)
    across, down = figure.get_size_inches()
    for axis in figure.axes:
        box = axis.get_position()
        assert (box.width * across, box.height * down) == pytest.approx((2.0, 1.5))


def test_a_row_is_as_tall_as_its_tallest_picture() -> None:
    """A portrait below leaves no empty space under landscapes."""
    figure = show([plain(0.5, 100, 300), plain(0.5, 200, 300), plain(0.5, 600, 300)], columns=2)
    _, down = figure.get_size_inches()
    boxes = [axis.get_position() for axis in figure.axes]
    assert [box.height * down for box in boxes] == pytest.approx([1.0, 2.0, 6.0])
    assert down == pytest.approx(8.08)


@pytest.mark.parametrize("titles", [None, ["one", "two"]])
def test_a_pixel_of_a_picture_is_a_pixel_of_the_figure(titles: list[str] | None) -> None:
    """Where nothing is resampled, nothing is blurred."""
    torch.manual_seed(0)
    pictures = torch.rand(2, 3, 200, 300)
    pixels = drawn(show(pictures, titles=titles))
    expected = pictures.mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    bottom = len(pixels)
    for left, picture in zip((0, 308), expected, strict=True):
        found = pixels[bottom - 200 :, left : left + 300]
        assert np.abs(found.astype(int) - picture).max() <= 1


def displayed(figure: Figure, monkeypatch: pytest.MonkeyPatch) -> tuple[dict, dict]:
    """The data and the metadata that a notebook gets."""
    caught: list[tuple[dict, dict]] = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, metadata, raw: caught.append((data, metadata))
    )
    figure._ipython_display_()  # type: ignore[attr-defined]
    ((data, metadata),) = caught
    return data, metadata


def test_a_notebook_keeps_pictures_as_jpeg_with_their_titles_as_description(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, metadata = displayed(show([plain(), plain()], titles=["one", "two"]), monkeypatch)
    assert list(data) == ["image/jpeg", "text/plain"]
    assert data["text/plain"] == metadata["image/jpeg"]["alt"] == "one; two"
    assert Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))).format == "JPEG"
    data, _ = displayed(show(plain(), alt="a gray field"), monkeypatch)
    assert data["text/plain"] == "a gray field"


def test_a_notebook_keeps_curves_as_png_with_a_description(
    two_pictures: nst.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, metadata = displayed(plot_history(two_pictures), monkeypatch)
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).format == "PNG"
    assert "2 steps" in metadata["image/png"]["alt"]
    assert "falls from 9 to 4.2" in metadata["image/png"]["alt"]


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        ([], {}, "there is no picture"),
        (torch.zeros(0, 3, 4, 4), {}, "there is no picture"),
        ("photo.jpg", {}, "tensors as load_image gives them"),
        (["photo.jpg"], {}, "tensors as load_image gives them"),
        (None, {}, "tensors as load_image gives them"),
        (np.zeros((4, 4, 3)), {}, "tensors as load_image gives them"),
        (torch.zeros(4, 4, 3), {}, r"got \(4, 4, 3\)"),
        (torch.zeros(4, 4), {}, r"got \(4, 4\)"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), {}, "floats from 0 to 1, got torch.uint8"),
        (plain(), {"titles": ["one", "two"]}, "2 titles for 1 pictures; give one for each"),
        (plain(), {"titles": []}, "0 titles for 1 pictures; give one for each"),
        (plain(), {"insets": [[]]}, "an inset is one picture, or None"),
        (plain(), {"insets": [torch.zeros(2, 3, 4, 4)]}, "an inset is one picture, or None"),
        (plain(), {"insets": []}, "0 insets for 1 pictures; give one for each"),
        (plain(), {"insets": [torch.zeros(2, 2)]}, r"got \(2, 2\)"),
        (plain(), {"columns": 0}, "columns must be a whole number of at least 1"),
        (plain(), {"columns": -2}, "columns must be a whole number of at least 1"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(
    images: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        show(images, **options)
    assert "\n" not in str(caught.value)


@pytest.fixture
def two_pictures() -> nst.Result:
    """Two steps of two pictures; the second has no content term, the first begins at content."""
    nan = math.nan
    history = {
        "content_loss": [[0.1, 0.0], [0.2, 0.0]],
        "style_loss": [[5.0, 7.0], [4.0, 6.0]],
        "total_loss": [[5.1, 7.0], [4.2, 6.0]],
        "content/conv4_2": [[0.1, nan], [0.2, nan]],
        "style/conv1_1": [[5.0, 7.0], [4.0, 6.0]],
    }
    start = {
        "content_loss": [0.0, 0.0],
        "style_loss": [9.0, 8.0],
        "total_loss": [9.0, 8.0],
        "content/conv4_2": [0.0, nan],
        "style/conv1_1": [9.0, 8.0],
    }
    return result_of(2, history, start)


def legend_of(axis: Axes) -> list[str]:
    legend = axis.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def values_of(axis: Axes) -> list[list[float]]:
    return [np.asarray(line.get_ydata()).tolist() for line in axis.lines]


@pytest.mark.parametrize(
    ("picture", "left", "right", "labels"),
    [
        (
            None,
            [[8.0, 7.0, 6.0], [9.0, 5.1, 4.2]],
            [[0.0, 0.1, 0.2], [9.0, 5.0, 4.0]],
            ["content conv4_2", "style conv1_1"],
        ),
        (
            0,
            [[9.0, 5.1, 4.2]],
            [[0.0, 0.1, 0.2], [9.0, 5.0, 4.0]],
            ["content conv4_2", "style conv1_1"],
        ),
        (1, [[8.0, 7.0, 6.0]], [[8.0, 7.0, 6.0]], ["style conv1_1"]),
    ],
)
def test_the_history_shows_the_total_and_each_layer_from_the_start_on(
    picture: int | None,
    left: list[list[float]],
    right: list[list[float]],
    labels: list[str],
    two_pictures: nst.Result,
) -> None:
    figure = plot_history(two_pictures, picture=picture)
    total, layers = figure.axes
    assert values_of(total) == left
    assert values_of(layers) == right
    assert legend_of(layers) == labels
    assert legend_of(total) == ["total (eq. 7)"]
    for axis in figure.axes:
        assert axis.get_yscale() == "log"
        assert axis.get_xlabel() == "step"
        assert axis.get_title()
    assert drawn(figure).std() > 0


def test_a_real_run_can_be_drawn(net: nst.Network) -> None:
    picture = nst.load_image("chelsea", 32)
    layers = ["conv1_1", "conv2_1"]
    result = nst.reconstruct_content(picture, layers, net=net, steps=2, progress=False)
    total, by_layer = plot_history(result).axes
    assert [len(values) for values in values_of(total)] == [3, 3]
    assert len(by_layer.lines) == 1
    assert len(show(result, titles=layers).axes) == 2


@pytest.mark.parametrize("picture", [2, -1])
def test_a_picture_that_the_run_did_not_make_is_refused(
    picture: int, two_pictures: nst.Result
) -> None:
    with pytest.raises(ValueError, match=f"there is no picture {picture}; the run made 2"):
        plot_history(two_pictures, picture=picture)


def test_a_run_without_steps_is_refused(two_pictures: nst.Result) -> None:
    two_pictures.history = {name: value[:0] for name, value in two_pictures.history.items()}
    with pytest.raises(ValueError, match="made no step"):
        plot_history(two_pictures)


def test_a_table_shows_every_number_the_larger_the_darker() -> None:
    values = torch.tensor([[0.001, 0.5], [0.0, 2.0]])
    figure = nst.plot_table(values, ["a", "b"], ["c", "d"], form="{:.2f}", labels=("row", "column"))
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.texts] == ["0.00", "0.50", "0.00", "2.00"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["c", "d"]
    assert (axis.get_ylabel(), axis.get_xlabel()) == ("row", "column")
    grounds = [at(figure, axis, across, down) for down in (0.05, 0.55) for across in (0.02, 0.52)]
    assert sum(grounds[3]) < sum(grounds[1]) < sum(grounds[0])
    assert grounds[2] == grounds[0]  # 0 is as light as the least other value
    assert [text.get_color() for text in axis.texts] == ["black", "white", "black", "white"]
    alt = "A table with the columns c, d. a: 0.00, 0.50; b: 0.00, 2.00"
    assert getattr(figure, "alt", "") == alt


def test_names_of_columns_do_not_run_into_each_other() -> None:
    figure = nst.plot_table(torch.ones(1, 3), ["a"], ["wasserstein"] * 3)
    drawn(figure)
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    figure = nst.plot_table(torch.ones(1, 3), ["a"], ["sliced_wasserstein"] * 3)
    assert [label.get_rotation() for label in figure.axes[0].get_xticklabels()] == [25] * 3


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_table_of_equal_numbers_can_be_drawn(value: float) -> None:
    assert drawn(nst.plot_table(torch.full((1, 2), value), ["a"], ["b", "c"])).std() > 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.ones(2, 2), r"the table is \(2, 2\), but there are 1 names of rows and 2 of"),
        (torch.tensor([[1.0, -1.0]]), "negative numbers or NaN"),
        (torch.tensor([[1.0, math.nan]]), "negative numbers or NaN"),
    ],
)
def test_a_table_that_cannot_be_drawn_is_refused(values: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nst.plot_table(values, ["a"], ["b", "c"])
