"""Everything that decides a picture, as plain values: kept in the picture's file, and read from it.

A recipe is what the controls of :mod:`nst_utils.app.studio` say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from math import log10
from typing import Any

import torch
from torch import Tensor

from nst_utils.app import own_weights
from nst_utils.app.limits import Limits
from nst_utils.app.sessions import Run
from nst_utils.experiments.arguments import style_weights_of
from nst_utils.experiments.defaults import CONTENT_LAYERS, CONTENT_WEIGHT, INITS
from nst_utils.experiments.large import Demand, demand, is_large, passes_of, seconds
from nst_utils.experiments.presets import preset
from nst_utils.experiments.style_transfer import transfer
from nst_utils.images.files import load_image, resize
from nst_utils.images.names import samples
from nst_utils.networks.network import Network
from nst_utils.objective.rows import Weighting
from nst_utils.optimize.results import Callback, Result
from nst_utils.optimize.settings import Settings
from nst_utils.support import checks
from nst_utils.support.messages import gigabytes, one_line
from nst_utils.support.quick import quick_size

MAX_TEXT = 100_000  # characters; a recipe has less than a thousand
# The limits of the studio's controls, not of what can be run; of alpha/beta, as powers of 10.
LEAST_RATIO, MAX_RATIO, MAX_FACTOR = -6, 4, 10
AROUND = 2  # powers of ten that alpha/beta can be moved either way from the preset's own
MAX_TV, MAX_STEPS, MAX_STUDIO_SEED = 1e9, 100_000, 2**31
SO_FAR = "picture so far"  # a start besides those of ``nst.transfer``

# Is told what a picture takes; then also about how many seconds.
Foretold = Callable[[Demand, float | None], object]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of one picture.

    Attributes:
        content, style: names of pictures: bundled, or given beside the recipe.
        preset: whose settings hold where nothing else is said (see
            :mod:`nst_utils.experiments.presets`).
        size: longest side in pixels, of both.
        ratio: alpha/beta.
        factors: style layer -> what the preset's weight of that layer is multiplied by.
        content_layer: a single one.
        init: ``"noise"``, ``"content"``, ``"style"`` or ``"picture so far"``.
        tv_weight, steps, seed, device: as for :func:`nst_utils.transfer`.
    """

    content: str = "chenonceau"
    style: str = "great-wave"
    preset: str = "paper"
    size: int = 256
    ratio: float = CONTENT_WEIGHT
    factors: Mapping[str, float] = field(default_factory=dict)
    content_layer: str = CONTENT_LAYERS[0]
    init: str = "noise"
    tv_weight: float = 0.0
    steps: int = Settings.steps
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for what no run could use, or no control could say."""
        for name in ("content", "style", "preset", "content_layer", "init", "device"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a text, got {getattr(self, name)!r}")
        theirs = preset(self.preset)
        checks.count("size", self.size, 32, 8192)
        _check_number("alpha/beta", self.ratio, 10.0**LEAST_RATIO, 10.0**MAX_RATIO)
        if not isinstance(self.factors, Mapping):
            raise ValueError(f"factors must give a number for each layer, got {self.factors!r}")
        for layer, factor in self.factors.items():
            checks.one_of("style layer", layer, theirs.style_layers)
            _check_number(f"the factor of {layer}", factor, 0, MAX_FACTOR)
        checks.one_of("content layer", self.content_layer, theirs.layers)
        checks.one_of("start", self.init, (*INITS, SO_FAR))
        _check_number("tv_weight", self.tv_weight, 0, MAX_TV)
        checks.count("steps", self.steps, 1, MAX_STEPS)
        checks.count("seed", self.seed, 0, MAX_STUDIO_SEED)
        checks.one_of("device", self.device.partition(":")[0], ("auto", "cpu", "cuda", "mps"))

    @property
    def style_weights(self) -> dict[str, float]:
        """w_l of each style layer."""
        theirs = preset(self.preset)
        weights = style_weights_of(theirs.style_layers, theirs.style_layer_weights)
        return {layer: weight * self.factors.get(layer, 1.0) for layer, weight in weights.items()}

    @property
    def weighting(self) -> Weighting:
        """What of it can be changed while it runs: alpha, beta and w_l."""
        beta = preset(self.preset).style_weight
        return Weighting(self.ratio * beta, beta, self.style_weights)

    @property
    def term_weights(self) -> dict[str, float]:
        """What each loss term of the run is multiplied by in eq. 7, by its name in the history."""
        now = self.weighting
        alpha, beta = now.content_weight or 0.0, now.style_weight or 0.0
        terms = {f"content/{self.content_layer}": alpha}
        terms |= {f"style/{layer}": beta * weight for layer, weight in now.style_layers.items()}
        return terms | ({"total_variation": self.tv_weight} if self.tv_weight else {})

    def picture(self, name: str, pictures: Mapping[str, Tensor]) -> Tensor:
        """A picture in the size that is used; ``pictures`` are those that are not bundled."""
        if name in pictures:
            return resize(pictures[name], quick_size(self.size))
        if name not in samples():
            raise ValueError(f"the picture {name} is not here; give it among the pictures")
        return load_image(samples()[name].path, self.size)  # not a file that is called so

    def network(self) -> Network:
        """The preset's network, on the device; the last two are kept."""
        return _network(self.preset, str(checks.device(self.device)))

    def run(
        self,
        pictures: Mapping[str, Tensor],
        *,
        so_far: Tensor | None = None,
        network: Callable[[], Network] | None = None,
        foretold: Foretold | None = None,
    ) -> Run:
        """The work for a session. It loads everything itself, so that nobody else has to wait.

        Args:
            pictures: name -> (1, 3, H, W), of those that are not bundled.
            so_far: the picture to go on from, where that is the start.
            network: gives the network, by default :meth:`network`.
            foretold: is told what a large picture will take, before it is begun; a run that cannot
                fit into memory ends there, with a ``ValueError``.
        """

        def run(callback: Callback) -> Result:
            content, style = (self.picture(each, pictures) for each in (self.content, self.style))
            net = (network or self.network)()
            settings = self._settings(so_far, content)
            if is_large(content.shape[2:]):
                settings["tile"] = _tile(net, content, style, settings, foretold)
            return transfer(content, style, net=net, callback=callback, progress=False, **settings)

        return run

    def _settings(self, so_far: Tensor | None, content: Tensor) -> dict[str, Any]:
        """The arguments of :func:`nst_utils.transfer` for a photograph of that size."""
        theirs, weighting = preset(self.preset), self.weighting
        settings: dict[str, Any] = {
            "content_weight": weighting.content_weight,
            "style_layer_weights": tuple(weighting.style_layers.values()),
            "content_layers": (self.content_layer,),
            "init": self.init,
            "tv_weight": self.tv_weight,
            "steps": self.steps,
            "seed": self.seed,
            "device": self.device,
        }
        if self.init == SO_FAR:
            if so_far is None:
                raise ValueError("there is no picture yet to go on from; choose another start")
            # Nothing of it would be left at a smaller size.
            settings |= {"init": so_far, "smaller_first": None}
        elif is_large(content.shape[2:]):
            first = passes_of(theirs, max(content.shape[2:]), self.steps, self.init)
            settings |= {} if first is None else {"smaller_first": first}
        return theirs.transfer_settings(**settings)

    def to_json(self) -> str:
        """As text; :func:`from_json` is the way back."""
        return json.dumps(asdict(self))


def of_preset(name: str, **settings: Any) -> Recipe:
    """The settings of that preset, but for the given ones."""
    theirs = preset(name)
    recipe = Recipe(
        preset=name,
        ratio=theirs.content_weight / theirs.style_weight,
        content_layer=theirs.content_layers[0],
        init=theirs.init,
        tv_weight=theirs.tv_weight,
        steps=theirs.steps,
    )
    return replace(recipe, **settings)


def ratios_around(name: str) -> list[float]:
    """Nine alpha/beta over the range of the studio's slider, that of the preset in their middle;
    fewer where its limits come before.

    >>> [f"{ratio:.2g}" for ratio in ratios_around("paper")]
    ['5e-05', '0.00016', '0.0005', '0.0016', '0.005', '0.016', '0.05', '0.16', '0.5']
    """
    own = of_preset(name).ratio
    ratios = [own * 10 ** (k / 2) if k else own for k in range(-2 * AROUND, 2 * AROUND + 1)]
    return [ratio for ratio in ratios if LEAST_RATIO <= log10(ratio) <= MAX_RATIO]


def allowed(recipe: Recipe) -> Recipe:
    """The nearest that this server allows."""
    size, steps = Limits.here().within(recipe.size, recipe.steps)
    return replace(recipe, size=size, steps=steps)


def from_json(text: str) -> Recipe:
    """A recipe from text; ``ValueError`` for text that is none."""
    try:
        if len(text) > MAX_TEXT:
            raise ValueError(f"they are longer than {MAX_TEXT:,} characters")
        values = json.loads(text)
        json.dumps(values, ensure_ascii=False).encode()  # half a character cannot be shown
        known = {each.name for each in fields(Recipe)}
        return replace(Recipe(), **{k: v for k, v in values.items() if k in known})
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"its settings cannot be used ({one_line(error)})") from None


def _tile(
    net: Network,
    content: Tensor,
    style: Tensor,
    settings: Mapping[str, Any],
    foretold: Foretold | None,
) -> int | None:
    """The tiles that a large picture is made in; what it takes is told, if somebody listens."""
    takes = demand(net, content, style, settings)
    if foretold is None:
        return takes.tile
    foretold(takes, None)
    if takes.need > takes.free:
        smallest = f", even in tiles of {takes.tile} px" if takes.tile else ""
        raise ValueError(
            f"{takes.size[1]}x{takes.size[0]} px take about {gigabytes(takes.need)} of memory"
            f"{smallest}, and {gigabytes(takes.free)} are free; choose a smaller size"
        )
    foretold(takes, seconds(net, content, style, settings, takes.tile))
    return takes.tile


def _check_number(what: str, value: object, least: float, most: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # A slider's end may be off by a rounding.
    if not number or not least * (1 - 1e-9) <= value <= most * (1 + 1e-9):  # type: ignore[operator]
        raise ValueError(f"{what} must be a number from {least:g} to {most:g}, got {value!r}")


def _network(name: str, device: str) -> Network:
    return own_weights.network_of(name, device) or _built(name, device)


@lru_cache(maxsize=2)
def _built(name: str, device: str) -> Network:
    try:
        return preset(name).build_network(precision="auto").to(torch.device(device))
    except ValueError as error:  # of a download
        told = str(error).replace("give its path as weights", "upload it below the preset")
        raise ValueError(told) from None
