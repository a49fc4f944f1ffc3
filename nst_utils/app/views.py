"""What the studio shows of a run: picture, film, where the loss comes from, Gram matrices."""

from __future__ import annotations

import html
import io
import time
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from nst_utils.app.page import data_url, to_jpeg, wide
from nst_utils.app.sentences import counted
from nst_utils.images.files import resize, to_pil
from nst_utils.plots.figures import Drawing
from nst_utils.plots.style_match import GramPair, plot_grams

FILM = 48  # positions of the film's slider before its last, which is the picture now
_LEAST_WIDTH = 512  # pixels on the screen; smaller pictures are enlarged
_MOST_SHOWN = 1280  # of what goes to the page, several times a second; a file has all of them


class Throttle:
    """Keeps what costs time rare: at most ``rate`` times a second and ``share`` of the time."""

    def __init__(self, rate: float, share: float) -> None:
        self._wait, self._share = 1 / rate, share
        self._next = 0.0

    def try_call(self, work: Callable[[], object]) -> None:
        """Do it, unless it is too early."""
        begun = time.monotonic()
        if begun >= self._next:
            work()
            now = time.monotonic()
            self._next = now + max(self._wait, (now - begun) / self._share)


def image_html(data: bytes, alt: str, width: int, shape: float) -> str:
    """A JPEG with a description; it never jumps while it changes.

    Args:
        width: at most, in pixels. shape: width / height; no higher than Start is still in view.
    """
    style = f"max-width:min({width}px, {58 * shape:.1f}vh)"
    source = data_url(data, "jpeg")
    return f'<img decoding="sync" alt="{html.escape(alt)}" src="{source}" style="{style}">'


def plot_html(figure: Drawing, width: int, css: str = "nst-plot") -> str:
    """A plot with its description; dark where the page is, but for those that are maps of colors.

    Args:
        css: ``nst-plot``, or ``nst-map`` for those.
    """
    source = data_url(figure.encode(), figure.file_type)
    alt = html.escape(figure.alt)
    return f'<img class="{css}" alt="{alt}" src="{source}" style="max-width:{width}px">'


def bars_html(rows: Sequence[tuple[str, float, str]], caption: str) -> str:
    """A table of names, bars (0..1) and words."""
    lines = [
        f'<tr><th scope="row">{html.escape(name)}</th>'
        f'<td class="nst-bar"><div style="width:{100 * min(max(part, 0.0), 1.0):.1f}%"></div></td>'
        f"<td>{html.escape(text)}</td></tr>"
        for name, part, text in rows
    ]
    return f'<table class="nst-bars"><caption>{caption}</caption>{"".join(lines)}</table>'


def _shown(image: Tensor) -> Image.Image:
    """The picture, (1, 3, H, W), as the page shows it: smaller where it is large."""
    return to_pil(resize(image, _MOST_SHOWN) if max(image.shape[2:]) > _MOST_SHOWN else image)


class Stage:
    """The picture, the photograph to compare it with, and the film of how it came about."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []  # step, JPEG
        self._photo: Image.Image | None = None
        self._now: Image.Image | None = None
        self._about, self._is_kept = "", False
        self.picture = widgets.HTML()
        self.picture.add_class("nst-stage")
        style = {"description_width": "8em"}
        self.compare = widgets.IntSlider(
            description="Compare (%)", max=100, readout_format="d", style=style, layout=wide()
        )
        self.compare.add_class("nst-compare")
        self.film = widgets.IntSlider(
            description="Film", max=FILM, value=FILM, readout=False, style=style, layout=wide()
        )
        self.film.add_class("nst-film")
        self.frame = widgets.HTML()
        self.frame.add_class("nst-frame")
        self.compare.observe(lambda change: self.draw(), "value")
        self.film.observe(lambda change: self.draw(), "value")
        hint = widgets.HTML(
            "<p>Or drag across the picture: from the left comes the photograph.</p>"
        )
        self.sliders = widgets.VBox([self.compare, hint, self.film, self.frame])
        self.sliders.layout.display = "none"  # there is nothing to look at yet

    def begin(self, about: str, photo: Tensor) -> None:
        """A new run; ``about`` says what it paints."""
        self.frames, self._photo, self._now, self._about = [], _shown(photo), None, about
        self.film.value, self.compare.value = FILM, 0
        self.sliders.layout.display = None

    @property
    def is_live(self) -> bool:
        """Whether the film is at its end: what is seen is the picture now."""
        return bool(self.film.value == FILM or not self.frames)

    def show(self, number: int, image: Tensor) -> None:
        """The picture after that step, (1, 3, H, W)."""
        self._now = _shown(image)
        self._is_kept = bool(self.frames) and self.frames[-1][0] == number
        if self.is_live:
            self.draw()

    def keep(self, number: int, image: Tensor) -> None:
        """Add the picture after that step to the film."""
        self.frames.append((number, to_jpeg(_shown(image))))

    @property
    def film_pictures(self) -> list[Image.Image]:
        """The film, decoded; its last is the picture now."""
        kept = [Image.open(io.BytesIO(data)).convert("RGB") for _, data in self.frames]
        return kept if self._now is None or self._is_kept else [*kept, self._now]

    @property
    def _width(self) -> int:
        return max(_LEAST_WIDTH, self._photo.width if self._photo else 0)

    def draw(self) -> None:
        """What the two sliders ask for."""
        if self.is_live:
            picture, when = self._now, "the picture now"
        else:
            number, data = self.frames[self.film.value * len(self.frames) // FILM]
            picture, when = Image.open(io.BytesIO(data)), f"after step {number}"
        if picture is None:
            return
        alt = f"{self._about}, {when}"
        part = self.compare.value
        if part and self._photo is not None:
            left = self._photo.width * part // 100
            picture = picture.copy()
            picture.paste(self._photo.crop((0, 0, left, self._photo.height)))
            alt += f"; on the left {part} % of its width is the photograph"
        self.frame.value = f"<p>Seen above: {when}.</p>"
        shape = picture.width / picture.height
        self.picture.value = image_html(to_jpeg(picture), alt, self._width, shape)


def composition(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> str:
    """Where the total loss comes from: the share of each term, as bars.

    Args:
        losses: of a step. weights: term -> what it is multiplied by in eq. 7.
    """
    parts = {name: weights.get(name, 0.0) * float(losses[name][0]) for name in losses}
    parts = {name: part for name, part in parts.items() if name in weights and part == part}
    total = sum(parts.values()) or 1.0
    rows = [(k.replace("/", " "), v / total, f"{v / total:.0%}") for k, v in parts.items()]
    return bars_html(rows, f"Shares of the total loss, {total:.3g}")


# Told apart without colors, too, which are those of Okabe and Ito.
_LOOKS = [
    ("#000000", "--", "o"),
    ("#0072b2", "-", "s"),
    ("#d55e00", "-", "^"),
    ("#009e73", "-", "D"),
    ("#cc79a7", "-", "v"),
    ("#56b4e9", "-", "P"),
    ("#e69f00", ":", "X"),
]


def curves(steps: Sequence[tuple[int, Mapping[str, float]]], larger: Sequence[int] = ()) -> Drawing:
    """Every loss term over the steps, weighted as it counts, on a logarithmic scale.

    Args:
        steps: number and terms. larger: the steps with which a larger copy begins.
    """
    # Narrow and with the names below, so that they can be read on a phone, too.
    figure = Drawing(figsize=(3.6, 3.6), dpi=150, layout="constrained")
    axis = figure.subplots()
    names, every = list(steps[0][1]), 1 + len(steps) // 7
    for place, name in enumerate(names):
        color, line, marker = _LOOKS[place % len(_LOOKS)]
        axis.plot(
            [number for number, _ in steps],
            [each.get(name) or float("nan") for _, each in steps],
            label=name.replace("/", " "),
            color=color,
            linestyle=line,
            marker=marker,
            markersize=4,
            markevery=(every * place // len(names), every),  # they do not cover one another
        )
    for number in larger:
        axis.axvline(number, color="#777777", linewidth=1, linestyle=":")
        axis.annotate(
            "larger copy",
            (number, 0.98),
            xycoords=("data", "axes fraction"),
            rotation=90,
            fontsize=8,
            ha="right",
            va="top",
        )
    axis.set(xlabel="step", yscale="log")
    axis.set_title("what each term adds to the loss", fontsize=10)
    axis.tick_params(labelsize=8)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="outside lower center", ncols=2, frameon=False)
    last = ", ".join(f"{name.replace('/', ' ')} {steps[-1][1][name]:.2g}" for name in names)
    figure.alt = f"Curves of the loss terms over {counted(steps[-1][0], 'step')}; at the end {last}"
    if larger:
        where = " and ".join(map(str, larger))
        figure.alt += f"; they jump at step {where}, where the picture goes on in a larger copy"
    return figure


def match_table(pairs: Mapping[str, GramPair]) -> str:
    """Which style layers are matched, nearly matched, or not yet."""
    rows = [
        (layer, 1 - pair.difference, f"{pair.verdict}: {pair.difference:.0%} off")
        for layer, pair in pairs.items()
    ]
    return bars_html(rows, "How far each style layer's Gram matrix is matched")


def grams(pair: GramPair, layer: str) -> str:
    """A layer's Gram matrices."""
    figure = plot_grams(pair, layer)
    figure.set_figheight(2.8)
    for axis in figure.axes:  # so that they can be read on a phone, too
        axis.title.set_fontsize(14)
        axis.xaxis.label.set_fontsize(13)
    return plot_html(figure, 660, "nst-map")
