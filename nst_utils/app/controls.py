"""The studio's controls: what a :class:`nst_utils.app.recipes.Recipe` says, as widgets."""

from __future__ import annotations

from collections.abc import Callable
from math import log10
from typing import Any

import ipywidgets as widgets
import torch
from torch import Tensor

from nst_utils.app.layout import painting_to_photograph
from nst_utils.app.limits import Limits
from nst_utils.app.page import Section, explained, wide
from nst_utils.app.pictures import PictureChoice, clear, named, uploads
from nst_utils.app.recipe_files import read_png
from nst_utils.app.recipes import (
    AROUND,
    LEAST_RATIO,
    MAX_FACTOR,
    MAX_RATIO,
    MAX_STEPS,
    MAX_STUDIO_SEED,
    MAX_TV,
    SO_FAR,
    Recipe,
    allowed,
    of_preset,
    ratios_around,
)
from nst_utils.app.sentences import in_words, paragraph
from nst_utils.app.sizes import enlarged, options
from nst_utils.app.weights_upload import WeightsUpload
from nst_utils.experiments.presets import PRESETS, preset

_CONTENTS, _STYLES = ("content", "photoreal"), ("style", "photoreal")
_LABEL = {"description_width": "8em"}


class Controls:
    """All of them; ``recipe`` is what they say.

    ``widget`` holds what a run begins with, ``live_widget`` what can be moved while it goes on.

    Args:
        recipe: what they say at first.
        say: is told what the user should know, in a sentence.
        on_weights: called when alpha/beta or the weight of a layer has been moved.
        on_pictures: called when another photograph or painting has been chosen.
    """

    def __init__(
        self,
        recipe: Recipe,
        say: Callable[[str], object],
        on_weights: Callable[[], object],
        on_pictures: Callable[[], object],
    ) -> None:
        self._say, self._on_weights = say, on_weights
        self._filling, self._limits = False, Limits.here()
        self.pictures: dict[str, Tensor] = {}  # the uploaded ones
        self.content = PictureChoice("Photograph", "nst-content", _CONTENTS, self.pictures, say)
        self.style = PictureChoice("Painting", "nst-style", _STYLES, self.pictures, say)
        self._preset = self._labeled(widgets.Dropdown, "Preset", "nst-preset", options=[*PRESETS])
        self._weights = WeightsUpload(say)
        self._size = self._labeled(widgets.Dropdown, "Size (px)", "nst-size")
        self._enlarged = widgets.HTML()
        self._enlarged.add_class("nst-enlarged")
        self._ratio = self._labeled(
            widgets.FloatLogSlider, "alpha/beta", "nst-ratio", min=LEAST_RATIO, max=MAX_RATIO
        )
        self._ratio.step = 0.05  # twenty to a factor of ten
        self._ratio.readout_format = ".2g"
        self.try_ratios = widgets.Button(layout=wide())
        self.try_ratios.add_class("nst-try-ratios")
        self._factors: dict[str, widgets.FloatSlider] = {}
        self._factor_box = widgets.VBox(layout=wide())
        self._content_layer = self._labeled(widgets.Dropdown, "Content layer", "nst-content-layer")
        starts = ["noise", "content", "style", SO_FAR]
        self._init = self._labeled(widgets.Dropdown, "Start from", "nst-init", options=starts)
        self._tv = self._labeled(widgets.BoundedFloatText, "Smoothing (TV)", "nst-tv", max=MAX_TV)
        self._steps = self._labeled(
            widgets.BoundedIntText, "Steps", "nst-steps", min=1, max=MAX_STEPS
        )
        self._seed = self._labeled(widgets.BoundedIntText, "Seed", "nst-seed", max=MAX_STUDIO_SEED)
        self._device = self._labeled(widgets.Dropdown, "Device", "nst-device", options=devices())
        self._open = widgets.FileUpload(accept=".png", description="Open a saved picture")
        self._open.layout.width = "auto"
        self._open.add_class("nst-open")
        self._open.observe(self._take_recipe, "value")
        self._preset.observe(self._take_preset, "value")
        self._ratio.observe(self._weights_moved, "value")
        self._explain()
        self.fill(recipe)
        for choice in (self.content, self.style):
            choice.radio.observe(lambda change: on_pictures(), "value")
        for each in (self.content.radio, self.style.radio, self._size):
            each.observe(lambda change: self._show_enlarged(), "value")
        self._show_enlarged()
        self.widget, self.live_widget = self._layout(), self._live_layout()

    @staticmethod
    def _labeled(kind: Any, label: str, css: str, **options: Any) -> Any:
        widget = kind(description=label, style=_LABEL, layout=wide(), **options)
        widget.add_class(css)
        return widget

    def _layout(self) -> widgets.Widget:
        parts = [self._content_layer, self._init, self._tv, self._seed, self._device, self._open]
        more = Section("More settings, and pictures saved before", "nst-more", parts)
        chosen = [self._preset, self._weights.widget, self._size, self._enlarged]
        chosen += [self._steps, more.widget]
        box = widgets.VBox([self.content.widget, self.style.widget, *chosen])
        box.add_class("nst-controls")
        return box

    def _live_layout(self) -> widgets.Widget:
        title = "Style layers: how much each counts"
        layers = Section(title, "nst-layers", [self._factor_box])
        ends = painting_to_photograph("nst-ends")
        return widgets.VBox([self._ratio, ends, self.try_ratios, layers.widget])

    def _explain(self) -> None:
        """What each is for, where the mouse rests on it."""
        for widget, text in {
            self._preset: "Complete settings by name: the paper's, and those of other projects",
            self._size: "Longest side of the picture; twice the size takes four times as long",
            self._ratio: "More to the right shows more of the photograph",
            self.try_ratios: "Small pictures of this pair, to choose alpha/beta from",
            self._steps: "How often the picture is improved",
            self._content_layer: "Deep layers hold less of the photograph's detail",
            self._init: "What the picture is before the first step",
            self._tv: "Total variation: a weight of 0 leaves the grain as it is",
            self._seed: "Another number is another noise to begin with",
            self._device: "What computes",
        }.items():
            explained(widget, text)

    @property
    def recipe(self) -> Recipe:
        """What the controls say now."""
        return Recipe(
            content=self.content.value,
            style=self.style.value,
            preset=self._preset.value,
            size=self._size.value,
            ratio=self._ratio.value,
            factors={layer: slider.value for layer, slider in self._factors.items()},
            content_layer=self._content_layer.value,
            init=self._init.value,
            tv_weight=self._tv.value,
            steps=self._steps.value,
            seed=self._seed.value,
            device=self._device.value,
        )

    def fill(self, recipe: Recipe) -> None:
        """Let the controls say that; ``ValueError`` where a picture of it is not here, or where
        this server paints nothing as large."""
        self._limits.check(recipe.size, recipe.steps)
        for choice, name in ((self.content, recipe.content), (self.style, recipe.style)):
            if not choice.has(name):
                raise ValueError(f"the picture {name} is not here; upload it first")
        self.content.choose(recipe.content)
        self.style.choose(recipe.style)
        self._filling = True
        try:
            self._preset.value = recipe.preset
            self._weights.show(recipe.preset)
            self._size.options = options(self._limits.size, recipe.size)
            self._size.value = recipe.size
            self._fill_layers(recipe)
            self._fill_ratio(recipe)
            self._init.value = recipe.init
            self._tv.value = recipe.tv_weight
            self._steps.value = recipe.steps
            self._seed.value = recipe.seed
            known = recipe.device in self._device.options
            self._device.value = recipe.device if known else "auto"
        finally:
            self._filling = False

    def _show_enlarged(self) -> None:
        """Below the size: whether a picture has fewer pixels than that."""
        if self._size.value and self.content.value and self.style.value:
            chosen = (self._size.value, self.content.value, self.style.value)
            self._enlarged.value = paragraph(enlarged(*chosen, self.pictures))

    def _fill_ratio(self, recipe: Recipe) -> None:
        """The range in which something happens: around the preset's own ratio."""
        own, now = (log10(each.ratio) for each in (of_preset(recipe.preset), recipe))
        self._ratio.min, self._ratio.max = LEAST_RATIO, MAX_RATIO
        self._ratio.value = recipe.ratio
        self._ratio.min = max(LEAST_RATIO, min(own - AROUND, now))
        self._ratio.max = min(MAX_RATIO, max(own + AROUND, now))
        number = in_words(len(ratios_around(recipe.preset)))
        self.try_ratios.description = f"Try {number} ratios"

    def take_ratio(self, tried: Recipe, ratio: float) -> None:
        """Move alpha/beta there; ``ValueError`` where it was tried with another preset."""
        if tried.preset != self._preset.value:
            raise ValueError(
                f"it was tried with the preset {tried.preset}; choose that first, or try the "
                "ratios of this one"
            )
        self._ratio.value = ratio

    def _fill_layers(self, recipe: Recipe) -> None:
        layers = preset(recipe.preset).style_layers
        if tuple(self._factors) != layers:
            self._factors = {layer: self._factor_slider(layer) for layer in layers}
            note = "<p>How many times the preset's own weight. 0 leaves a layer out.</p>"
            self._factor_box.children = [widgets.HTML(note), *self._factors.values()]
        for layer, slider in self._factors.items():
            slider.value = recipe.factors.get(layer, 1.0)
        self._content_layer.options = list(preset(recipe.preset).layers)
        self._content_layer.value = recipe.content_layer

    def _factor_slider(self, layer: str) -> widgets.FloatSlider:
        slider = self._labeled(
            widgets.FloatSlider, layer, f"nst-factor-{layer}", value=1, max=MAX_FACTOR, step=0.1
        )
        slider.observe(self._weights_moved, "value")
        return slider

    def _weights_moved(self, change: dict[str, Any]) -> None:
        if not self._filling:
            self._on_weights()

    def _take_preset(self, change: dict[str, Any]) -> None:
        """The preset's own settings; pictures, size, seed and device stay."""
        if not self._filling:
            own = {"content": self.content.value, "style": self.style.value}
            own |= {"size": self._size.value, "seed": self._seed.value}
            recipe = of_preset(change["new"], **own, device=self._device.value)
            self.fill(allowed(recipe))
            self._on_weights()

    def _take_recipe(self, change: dict[str, Any]) -> None:
        for name, content in uploads(change):
            try:
                self.fill(read_png(named(name, content)))
            except ValueError as error:
                self._say(f"Not opened: {error}.")
            else:
                self._say(f"The controls say what {name} was made with. Start makes it again.")
        if change["new"]:
            clear(self._open)


def devices() -> list[str]:
    """Those that can be chosen here."""
    gpu = ["cuda"] if torch.cuda.is_available() else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["auto", *gpu, *mps, "cpu"]
