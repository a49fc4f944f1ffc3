"""Pictures in a labelled table: rows and columns are what varies, as in figure 4 of the paper."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from nst_utils.plots.figures import Drawing, show

_PIXELS_PER_INCH = 100
_SIDE = 4096  # pixels, which a sheet has at most across
_LEAST = 140  # pixels across for a picture, so that its label has room
_GAP, _HEAD, _LINE = 8, 30, 34  # pixels between pictures, above them, and left of them
_ACROSS = 4  # pictures in a row where only one thing varies


def most_across(columns: int) -> int:
    """How many pixels of a picture's width a sheet of so many columns shows at most."""
    return max(_LEAST, (_SIDE - _LINE) // columns - _GAP)


def strip_columns(number: int) -> int:
    """How many of so many pictures stand in a row where only one thing varies."""
    return number if number <= _ACROSS else min(_ACROSS, -(-number // -(-number // _ACROSS)))


def contact_sheet(
    pictures: Sequence[Sequence[Tensor | None]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str = "",
) -> Drawing:
    """Draw a table of pictures with its rows and columns labelled.

    Args:
        pictures: a list for each row; (1, 3, H, W) or (3, H, W), RGB, 0..1; ``None`` for one that
            is not there.
        rows, columns: what they are. title: above all.

    Raises:
        ValueError: no picture at all, or another number of them than of labels.
    """
    if len(pictures) != len(rows) or any(len(row) != len(columns) for row in pictures):
        raise ValueError(
            f"the sheet has {len(rows)} labels of rows and {len(columns)} of columns; give a "
            "picture, or None, for each of both"
        )
    shapes = [each.shape[-2:] for row in pictures for each in row if each is not None]
    if not shapes:
        raise ValueError("there is no picture to show")
    width = max(_LEAST, min(most_across(len(columns)), max(shape[1] for shape in shapes)))
    height = round(width * max(shape[0] / shape[1] for shape in shapes))
    above = _HEAD * (1 + bool(title))
    across = _LINE + len(columns) * (width + _GAP)
    down = above + len(rows) * (height + _GAP)
    figure = Drawing(
        figsize=(across / _PIXELS_PER_INCH, down / _PIXELS_PER_INCH), dpi=_PIXELS_PER_INCH
    )
    if title:
        figure.text(0.5, 1 - 0.5 * _HEAD / down, title, ha="center", va="center", fontsize=11)
    for column, label in enumerate(columns):
        x = (_LINE + column * (width + _GAP) + width / 2) / across
        y = 1 - (above - 0.5 * _HEAD) / down
        figure.text(x, y, _fitted(label, width), ha="center", va="center", fontsize=10)
    for row, (label, each) in enumerate(zip(rows, pictures, strict=True)):
        top = above + row * (height + _GAP)
        figure.text(
            0.5 * _LINE / across, 1 - (top + height / 2) / down, _fitted(label, height),
            ha="center", va="center", rotation=90, fontsize=10,
        )  # fmt: skip
        for column, picture in enumerate(each):
            left = _LINE + column * (width + _GAP)
            box = (left / across, 1 - (top + height) / down, width / across, height / down)
            axis = figure.add_axes(box)
            axis.axis("off")
            if picture is None:
                axis.text(0.5, 0.5, "not there", ha="center", va="center", color="0.4")
                continue
            shown = picture.reshape(3, *picture.shape[-2:]).detach().float().cpu().clamp(0, 1)
            axis.imshow(shown.permute(1, 2, 0).numpy())
    told = f"rows: {'; '.join(rows)}; columns: {'; '.join(columns)}"
    figure.alt = f"A table of pictures. {title + '. ' if title else ''}{told}"
    figure.file_type = "jpeg"
    return figure


def contact_strip(
    pictures: Sequence[Tensor | None], labels: Sequence[str], *, name: str = ""
) -> Drawing:
    """Draw pictures of which one thing varies, with a label above each, four in a row.

    Args:
        pictures: as in :func:`contact_sheet`. labels: one for each. name: of what varies.
    """
    there = [each for each in pictures if each is not None]
    if not there:
        raise ValueError("there is no picture to show")
    gray = [there[0] * 0 + 0.85 if each is None else each for each in pictures]
    told = [
        f"{label} (not there)" if each is None else label
        for label, each in zip(labels, pictures, strict=True)
    ]
    columns = strip_columns(len(pictures))
    width = max(_LEAST, min(most_across(columns), max(each.shape[-1] for each in there)))
    named = [f"{name} = {label}" for label in told] if name and "," not in name else told
    room = 0.85 * width  # these letters are larger
    has_room = all(_fitted(title, room) == title for title in named)
    titles = named if has_room else [_fitted(label, room) for label in told]
    figure = show(gray, titles=titles, columns=columns, width=width / _PIXELS_PER_INCH)
    assert isinstance(figure, Drawing)
    figure.alt = f"Pictures of which {name or 'one setting'} varies: {'; '.join(told)}"
    return figure


def _fitted(label: str, room: float) -> str:
    """As much of a label as has room in so many pixels."""
    most = max(3, int(room / 7.5))
    return label if len(label) <= most else f"{label[: most - 1]}…"
