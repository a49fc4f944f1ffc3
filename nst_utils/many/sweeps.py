"""``nst.sweep``: settings as lists, one picture for each combination, and one sheet of all."""

from __future__ import annotations

import pickle
import tempfile
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from nst_utils.images.files import load_image, resize
from nst_utils.many.axes import Axis
from nst_utils.many.clusters import LOCAL
from nst_utils.many.engine import Run
from nst_utils.many.jobs import SIZE, make_job
from nst_utils.many.outcomes import Outcome, write_table
from nst_utils.many.plans import (
    checked_threads,
    made_folder,
    names,
    planned,
    refuse_twins,
    varying,
)
from nst_utils.networks.network import Network
from nst_utils.optimize.checkpoints import digest_of_network
from nst_utils.plots.contact_sheet import contact_sheet, contact_strip, most_across, strip_columns
from nst_utils.plots.figures import Drawing
from nst_utils.support import checks
from nst_utils.support.messages import one_line
from nst_utils.support.neutral import neutral
from nst_utils.support.paths import write_whole

Picture = str | Path


@dataclass
class Sweep:
    """What a sweep returns.

    Attributes:
        folder: of the pictures, ``sheet.png`` (``sheet-1.png``, ... of several) and ``table.csv``.
        axes: what varies, each with the labels of its values; the last one varies fastest.
        settings: of each picture, those that vary, as text.
        outcomes: of each picture, in the same order (see
            :class:`nst_utils.many.outcomes.Outcome`): its losses, its time, or why it failed.
        interrupted: whether it was stopped (Ctrl-C).
        trouble: a sentence where sheet or table could not be written; the pictures are there.
    """

    folder: Path
    axes: list[Axis]
    settings: list[dict[str, str]]
    outcomes: list[Outcome]
    interrupted: bool = False
    trouble: str = ""
    _kept: Any = field(default=None, repr=False)  # a temporary folder goes with it

    def __repr__(self) -> str:
        there = sum(each.is_there for each in self.outcomes)
        varying = ", ".join(f"{axis.name} ({len(axis.labels)})" for axis in self.axes)
        return f"Sweep: {there} of {len(self.outcomes)} pictures in {self.folder}; {varying}"

    @property
    def files(self) -> list[Path]:
        """Of all pictures, whether they are there or not."""
        return [self.folder / f"{each.name}.png" for each in self.outcomes]

    @property
    def images(self) -> list[Tensor | None]:
        """(1, 3, H, W) each, as they were saved; ``None`` for what is not there."""
        pairs = zip(self.outcomes, self.files, strict=True)
        return [load_image(file) if each.is_there else None for each, file in pairs]

    def sheets(self) -> list[Drawing]:
        """The contact sheets: rows and columns are the last two settings that vary.

        Where more vary, there is one for each combination of the others. ``ValueError`` where not
        a single picture is there.
        """
        across = len(self.axes[-1].labels) if len(self.axes) > 1 else strip_columns(len(self.files))
        most = most_across(across)
        pairs = zip(self.outcomes, self.files, strict=True)
        shown = [
            _at_most(load_image(file), most) if each.is_there else None for each, file in pairs
        ]
        return draw_sheets(self.axes, shown)


@neutral()
def sweep(
    content: Picture | Sequence[Picture],
    style: Picture | Sequence[Picture] | Sequence[Sequence[Picture]],
    *,
    folder: str | Path | None = None,
    size: int | Sequence[int] = SIZE,
    net: Callable[[], Network] | Network | None = None,
    zipped: bool = False,
    resume: bool = False,
    executor: Executor | int | str | None = None,
    threads: int | None = None,
    progress: bool = True,
    **settings: Any,
) -> Sweep:
    """Make a picture for each combination of settings, and a contact sheet of all.

    >>> import nst_utils as nst
    >>> found = nst.sweep("china", ["great-wave", "starry-night"], size=256, folder="ratios",
    ...                   content_weight=[1e-4, 1e-3, 1e-2])  # doctest: +SKIP
    >>> found.sheets()[0]  # two rows, three columns  # doctest: +SKIP

    ``content``, ``style``, ``size`` and all ``settings`` may have several values, as a list or a
    range. Of what is a list in itself (layers, their weights, blends, masks) several are a list of
    lists.

    Args:
        content: a photograph: a file or a bundled name. style: a painting. With ``style_blend`` or
            ``masks``, the list of paintings of one picture.
        folder: where the pictures go, each a PNG with its settings in it, ``sheet.png`` and
            ``table.csv``; made if it is not there. By default one that goes with the result.
        size: longest side in pixels; of paintings, ``style_size``.
        net: a network, or for an executor a function of a module that makes one; by default that
            of the preset. ``resume`` takes a function's name for it.
        zipped: the lists walk together, first with first, instead of each value with each.
        resume: keep what is in the folder already, finished, whole and of the same settings.
        executor: who paints: by default this process, on a GPU in batches of one size; any of
            ``concurrent.futures``, which is left as it is; a number of processes, which are
            started and replaced where they die; the address of a Dask scheduler or its file, or
            ``"local"``.
        threads: of torch, in each worker; by default 1 there, and here what torch has.
        progress: show one bar over all pictures.
        settings: of :func:`nst_utils.transfer`; ``preset``; ``style_size``; ``network`` by name and
            the arguments of its builder; ``photorealistic``, whether
            :func:`nst_utils.photorealistic` has the last word, inside the masks if there are any.

    An interrupt (Ctrl-C) ends it and returns what there is.

    Raises:
        ValueError, FileNotFoundError: what can be seen before the first picture: settings that
            cannot be used, pictures that are not there, a folder that cannot be written, a cluster
            that is not there; workers of another version. What goes wrong with one picture is in
            its outcome, and the others are made.
    """
    given = {"content": content, "style": style, "size": size, **settings}
    axes, rows = planned(given, zipped)
    name = _checked_net(net, executor, resume)
    jobs = [make_job(each, row, name) for each, row in zip(names(axes, rows), rows, strict=True)]
    refuse_twins(jobs)
    temporary = tempfile.TemporaryDirectory(prefix="nst-sweep-") if folder is None else None
    if temporary is not None and not (executor in (None, LOCAL) or isinstance(executor, int)):
        raise ValueError("an executor needs a folder that its workers can write; give folder")
    where = made_folder(temporary.name if temporary is not None else folder)
    run = Run(jobs, where, checked_threads(threads), net)
    run.do(executor, resume, progress)
    outcomes = [run.found[job.name] for job in jobs]
    found = Sweep(where, axes, varying(axes, rows), outcomes, run.interrupted, _kept=temporary)
    try:
        save(found)
    except (OSError, ValueError) as error:  # a full disk
        found.trouble = f"{one_line(error, whole=True)}; the pictures are in {where}"
    except (MemoryError, RuntimeError) as error:
        if not checks.is_out_of_memory(error):
            raise
        found.trouble = f"too little memory for the sheet; pictures and table.csv are in {where}"
    return found


def _checked_net(net: Any, executor: Any, resume: bool) -> str | None:
    """What tells a network that the caller brings from others: with its numbers; of a function,
    by where it is found, and ``resume`` takes no function that is found nowhere."""
    if net is None:
        return None
    if isinstance(net, Network):
        if executor is not None:
            raise ValueError(
                "net is a network, which is not sent to other processes; give the function that "
                "makes it, for instance nst.vgg19"
            )
        return f"{net.description} {digest_of_network(net)}"
    if not callable(net):
        raise ValueError(f"net must be a network or make one, got {checks.shown(net)}")
    if isinstance(executor, int):
        try:
            pickle.dumps(net)
        except Exception:
            raise ValueError(
                f"net ({checks.shown(net)}) cannot be sent to other processes; give a function "
                "of a module, which they can import"
            ) from None
    made = net.func if isinstance(net, partial) else net
    place = getattr(made, "__qualname__", "<an object>")
    if resume and "<" in place:  # <lambda>, <locals>
        raise ValueError(
            f"resume cannot tell what net ({checks.shown(net)}) makes from what others make; give "
            "a function of a module, or the network itself"
        )
    told = f"{getattr(made, '__module__', '')}.{place}"
    return f"{told} {net.args} {net.keywords}" if isinstance(net, partial) else told


def _at_most(picture: Tensor, width: int) -> Tensor:
    """Not wider than that, so that many large pictures need not be held at once."""
    height, own = picture.shape[-2:]
    return resize(picture, (max(1, round(height * width / own)), width)) if own > width else picture


def draw_sheets(axes: Sequence[Axis], images: Sequence[Tensor | None]) -> list[Drawing]:
    """See :meth:`Sweep.sheets`."""
    if len(axes) < 2:
        labels = axes[0].labels if axes else ("",)
        return [contact_strip(images, labels, name=axes[0].name if axes else "")]
    *others, down, across = axes
    each = len(down.labels) * len(across.labels)
    drawn = []
    for number in range(len(images) // each):
        here = images[number * each : (number + 1) * each]
        if all(picture is None for picture in here):
            continue
        width = len(across.labels)
        grid = [here[i : i + width] for i in range(0, each, width)]
        title = [f"rows: {down.name}, columns: {across.name}"]
        rest = number
        for axis in reversed(others):
            rest, value = divmod(rest, len(axis.labels))
            title.insert(0, f"{axis.name} {axis.labels[value]}")
        drawn.append(contact_sheet(grid, down.labels, across.labels, title="; ".join(title)))
    if not drawn:
        raise ValueError("there is no picture to show")
    return drawn


def save(found: Sweep) -> None:
    """The table and the sheets, beside the pictures."""
    write_table(found.folder, found.settings, found.outcomes)
    if any(each.is_there for each in found.outcomes):
        sheets = found.sheets()
        for number, figure in enumerate(sheets, start=1):
            name = "sheet.png" if len(sheets) == 1 else f"sheet-{number}.png"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of letters that the font does not have
                write_whole(found.folder / name, partial(figure.savefig, format="png"))
