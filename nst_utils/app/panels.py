"""The studio's panels that explain: where the loss comes from, and what is not matched yet."""

from __future__ import annotations

import threading

import ipywidgets as widgets
from torch import Tensor

from nst_utils.app.page import Section
from nst_utils.app.recipes import Recipe
from nst_utils.app.sessions import Levels
from nst_utils.app.views import Throttle, composition, curves, grams, match_table, plot_html
from nst_utils.experiments.large import LARGEST_UNTILED, is_large
from nst_utils.experiments.presets import preset
from nst_utils.images.files import resize
from nst_utils.networks.network import Network
from nst_utils.optimize.results import Step
from nst_utils.plots.style_match import GramPair, gram_matrices


class Panels:
    """Shares of the loss and its curves; each style layer's Gram matrix against its target."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # steps come from another thread than clicks
        self._history: list[tuple[int, dict[str, float]]] = []
        self._last: Step | None = None
        self._levels = Levels()
        self._recipe = Recipe()
        self._network: Network | None = None
        self._style: Tensor | None = None
        self._image: Tensor | None = None
        self._targets: dict[str, Tensor] = {}  # the painting's Gram matrices, once wanted
        self._pairs: dict[str, GramPair] = {}
        self._curves_now, self._grams_now = Throttle(1, 0.05), Throttle(1, 0.1)
        self._shares = widgets.HTML()
        self._shares.add_class("nst-shares")
        self._curves = widgets.HTML()
        self._table, self._grams = widgets.HTML(), widgets.HTML()
        self._table.add_class("nst-match")
        self._layer = widgets.Dropdown(description="Style layer", layout={"width": "auto"})
        self._layer.add_class("nst-gram-layer")
        self._layer.observe(lambda change: self._draw_grams(), "value")
        parts = [self._shares, self._curves]
        self._loss_panel = Section("Where the loss comes from", "nst-loss-panel", parts, True)
        parts = [self._table, self._layer, self._grams]
        title = "Which styles are matched: Gram matrices"
        self._gram_panel = Section(title, "nst-gram-panel", parts)
        self._gram_panel.button.observe(lambda change: self._opened(), "value")
        self.widget = widgets.VBox([self._loss_panel.widget, self._gram_panel.widget])
        self.widget.layout.display = "none"  # there is nothing yet

    def begin(self, recipe: Recipe, style: Tensor, network: Network) -> None:
        """A new run; ``style`` is the painting in the size that is used, ``network`` the run's."""
        with self._lock:
            self._history, self._last, self._recipe = [], None, recipe
            self._style, self._network = style, network
            self._image, self._targets, self._pairs = None, {}, {}
            self._levels = Levels()
        self.widget.layout.display = None
        layers = list(preset(recipe.preset).style_layers)
        if list(self._layer.options) != layers:
            self._layer.options = layers
            self._layer.value = layers[len(layers) // 2]

    def reweigh(self, recipe: Recipe) -> None:
        """The weights are others; the shares change at once."""
        self._recipe = recipe
        self.show_shares()

    def take(self, step: Step) -> None:
        """What a step tells."""
        weights = self._recipe.term_weights
        parts = {name: weights[name] * float(step.losses[name][0]) for name in weights}
        with self._lock:
            self._last = step
            self._levels.take(step)
            self._history.append((step.number, parts))

    def show_shares(self) -> None:
        with self._lock:
            step = self._last
        if step is not None:
            self._shares.value = composition(step.losses, self._recipe.term_weights)

    def show_if_time(self, image: Tensor) -> None:
        """What costs more to show, now and then; only what is on view."""
        self._image = image
        if self._loss_panel.is_open:
            self._curves_now.try_call(self._draw_curves)
        if self._gram_panel.is_open:
            self._grams_now.try_call(self._compare)

    def show_all(self, image: Tensor) -> None:
        """The last state of a run."""
        self._image = image
        self.show_shares()
        self._draw_curves()
        self._opened()

    def _opened(self) -> None:
        if self._gram_panel.is_open and self._image is not None:
            self._compare()

    def _draw_curves(self) -> None:
        with self._lock:
            history, begun = list(self._history), list(self._levels.begun)
        if history:
            figure = curves(history, begun)
            self._curves.value = plot_html(figure, 480)

    def _compare(self) -> None:
        if self._image is None or self._style is None or self._network is None:
            return
        layers, network = preset(self._recipe.preset).style_layers, self._network
        self._targets = self._targets or gram_matrices(network, _copy(self._style), layers)
        now = gram_matrices(network, _copy(self._image), layers)
        self._pairs = {layer: GramPair(now[layer], self._targets[layer]) for layer in layers}
        self._table.value = match_table(self._pairs)
        self._draw_grams()

    def _draw_grams(self) -> None:
        pair = self._pairs.get(str(self._layer.value))
        if pair is not None:
            self._grams.value = grams(pair, str(self._layer.value))


def _copy(image: Tensor) -> Tensor:
    """A smaller one of a large picture, which the network could see in tiles alone."""
    return resize(image, LARGEST_UNTILED) if is_large(image.shape[2:]) else image
