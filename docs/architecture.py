"""Draws docs/architecture.svg from the imports (``make architecture``).

A folder is a room. It stands one floor above the highest room that it imports from. Gray arrows
lead to the rooms that it is built on, but for those that one of them already leads to. The red
numbers are the way from a call of ``nst.transfer`` to the pixel as docs/architecture.md tells it,
held against a run: the files in which Python stands when the network's first convolution is
computed, and the losses after it. With ``--measure`` the figures are printed instead.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from types import FrameType

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import nst_utils as nst

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "nst_utils"
OUT, PAGE = HERE / "architecture.svg", HERE / "architecture.md"
INK, LINE, WALK, ROOM, PAPER = "#222222", "#9a9a9a", "#c0392b", "#f6f3ea", "#ffffff"
ACROSS = 3  # files side by side in a room
FILE_WIDTH, FILE_HEIGHT, GAP = 2.6, 0.42, 0.6


def modules() -> dict[str, Path]:
    """``"objective.table"`` -> its file; folders' docstrings and the two doors are left out."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if not path.name.startswith("__"):
            found[".".join(path.relative_to(PACKAGE).with_suffix("").parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of the package that a file imports, each once for each statement."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            yield from (n for n in (x.removeprefix("nst_utils.") for x in named) if n in known)


def told() -> list[str]:
    """The modules that the page numbers, in its order."""
    numbered = re.findall(r"^\d+\. \[`(\S+)\.py`\]", PAGE.read_text(encoding="utf-8"), re.M)
    return [name.replace("/", ".") for name in numbered]


def folder(module: str) -> str:
    """The room of a module."""
    return module.split(".")[0]


def floors(arrows: Counter[tuple[str, str]], rooms: list[str]) -> list[list[str]]:
    """The rooms of each floor, the ground floor first."""
    below = {room: {b for a, b in arrows if a == room} for room in rooms}
    level: dict[str, int] = {}
    for room in TopologicalSorter(below).static_order():
        level[room] = 1 + max((level[each] for each in below[room]), default=-1)
    house = [sorted(r for r in rooms if level[r] == n) for n in range(max(level.values()) + 1)]
    return [house[0][::-1], *house[1:]]  # losses on the right, so that all arrows are upright


def walk() -> tuple[list[str], list[str]]:
    """The modules that ``nst.transfer`` enters, in that order; the frames of a loss and gradient,
    from the call to the network's first convolution."""
    entered: dict[str, None] = {}
    stack: list[str] = []

    def look(frame: FrameType, event: str, _: object) -> None:
        module = str(frame.f_globals.get("__name__", ""))
        if event != "call" or not module.startswith("nst_utils."):
            return
        entered.setdefault(module.removeprefix("nst_utils."))
        if not stack and frame.f_code.co_qualname == "ConvReLU.forward":
            names = list(_frames(frame))
            if any(name.endswith("LBFGS._move") for name in names):
                stack.extend(names[::-1])

    photo, painting = nst.load_image("chelsea", 64), nst.load_image("starry-night", 64)
    sys.setprofile(look)
    try:
        nst.transfer(photo, painting, steps=2, progress=False, device="cpu")
    finally:
        sys.setprofile(None)
    return list(entered), stack


def _frames(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("nst_utils."):
            yield f"{module.removeprefix('nst_utils.')}: {frame.f_code.co_qualname}"
        frame = frame.f_back


def needed(arrows: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    """The arrows without those that others imply."""
    below: dict[str, set[str]] = {}
    for a, b in arrows:
        below.setdefault(a, set()).add(b)

    def reaches(a: str, b: str) -> bool:
        return any(x == b or reaches(x, b) for x in below.get(a, ()))

    return [(a, b) for a, b in arrows if not any(reaches(x, b) for x in below[a] - {b})]


def draw() -> Figure:
    """The house."""
    known = modules()
    pairs = [(a, b) for a, path in known.items() for b in imports(path, known)]
    arrows = Counter((folder(a), folder(b)) for a, b in pairs if folder(a) != folder(b))
    rooms = sorted({folder(name) for name in known})
    passed = [*dict.fromkeys(name.split(":")[0] for name in walk()[1]), "losses"]
    number = {name: i for i, name in enumerate(told(), start=1)}
    if [name for name in passed if name in number] != [*number]:
        sys.exit(f"{PAGE.name} tells of another way than Python took: {', '.join(passed)}")
    house = floors(arrows, rooms)
    figure = Figure(figsize=(12, 11.5))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    y, boxes = 0.0, {}
    for floor in house:
        inside = {room: [n for n in known if folder(n) == room] for room in floor}
        height = max(_room_height(names) for names in inside.values())
        width = sum(_room_width(names) for names in inside.values()) + GAP * (len(floor) - 1)
        x = -width / 2
        for room, names in inside.items():
            boxes[room] = (x, y, _room_width(names), _room_height(names))
            _draw_room(axes, room, names, boxes[room], number)
            x += _room_width(names) + GAP
        y += height + GAP
    for above, below in needed(arrows):
        _draw_arrow(axes, boxes[above], boxes[below])
    half = max(max(-x, x + width) for x, _, width, _ in boxes.values()) + 0.2
    axes.set(xlim=(-half, half), ylim=(-0.2, y - GAP + 0.2))
    return figure


def _room_width(names: list[str]) -> float:
    return FILE_WIDTH * min(ACROSS, len(names)) + 0.5


def _room_height(names: list[str]) -> float:
    return FILE_HEIGHT * -(-len(names) // ACROSS) + 0.75


def _draw_room(
    axes: Axes,
    room: str,
    names: list[str],
    box: tuple[float, float, float, float],
    number: dict[str, int],
) -> None:
    """A box with its files; those on the way, in their order, first."""
    x, y, width, height = box
    style = "round,pad=0,rounding_size=0.12"
    axes.add_patch(FancyBboxPatch((x, y), width, height, style, fc=ROOM, ec=INK, lw=1.0, zorder=2))
    title = f"{room}.py" if names == [room] else room
    axes.text(x + 0.18, y + height - 0.32, title, size=11, weight="bold", va="center", zorder=3)
    if names == [room]:
        names = [f"{room}.equations 1 to 7"]
        number = {names[0]: number[room]}
    for i, name in enumerate(sorted(names, key=lambda n: (number.get(n, 999), n))):
        left = x + 0.2 + FILE_WIDTH * (i % ACROSS)
        middle = y + height - 0.8 - FILE_HEIGHT * (i // ACROSS)
        color = WALK if name in number else INK
        label = name.split(".")[-1]
        axes.text(left, middle, str(number.get(name, "")), size=8, color=color, va="center")
        axes.text(left + 0.36, middle, label, size=8.5, color=color, va="center", zorder=3)


def _draw_arrow(
    axes: Axes,
    above: tuple[float, float, float, float],
    below: tuple[float, float, float, float],
) -> None:
    """From the floor of one room to the roof of another, as upright as both allow."""
    left, right = max(above[0], below[0]) + 0.3, min(above[0] + above[2], below[0] + below[2]) - 0.3
    if left < right:
        start = end = (left + right) / 2
    else:
        start, end = above[0] + above[2] / 2, below[0] + below[2] / 2
    ends = ((start, above[1]), (end, below[1] + below[3]))
    axes.add_patch(
        FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=12, color=LINE, lw=1.2, zorder=1)
    )


def measure() -> None:
    """Print floors, arrows, and how far it is from the call to the first convolution."""
    known = modules()
    pairs = {(a, b) for a, path in known.items() for b in imports(path, known)}
    between = Counter((folder(a), folder(b)) for a, b in pairs if folder(a) != folder(b))
    entered, stack = walk()
    print(f"{len(known)} files in {len({folder(n) for n in known})} rooms")
    print(f"{len(floors(between, sorted({folder(n) for n in known})))} floors of rooms")
    print(f"{len(pairs)} imports between files, {len(between)} kinds of them between rooms")
    files = {name.split(":")[0] for name in stack}
    print(f"transfer enters {len(entered)} files; in a step the first convolution stands")
    print(f"{len(stack)} frames and {len(files)} files below it:", *stack, sep="\n  ")


if __name__ == "__main__":
    if "--measure" in sys.argv:
        measure()
    else:
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nst_utils"}):
            draw().savefig(OUT, metadata={"Date": None}, facecolor=PAPER)
        print(OUT.name)
