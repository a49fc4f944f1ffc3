"""Neural style transfer as Gatys, Ecker & Bethge (CVPR 2016) describe it.

>>> import nst_utils as nst
>>> content = nst.load_image("chenonceau", size=512)
>>> style = nst.load_image("starry-night", size=512)
>>> result = nst.transfer(content, style)  # doctest: +SKIP
>>> nst.save_image(result.image, "out.png")  # doctest: +SKIP
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # as in _HOMES, for who reads this without running it
    from nst_utils.app.recipe_files import read_png, write_png
    from nst_utils.app.recipes import Recipe
    from nst_utils.app.sessions import Session
    from nst_utils.app.studio import studio
    from nst_utils.experiments.inversions import transform_features
    from nst_utils.experiments.presets import PRESETS, preset, preset_table
    from nst_utils.experiments.reconstructions import reconstruct_content, reconstruct_style
    from nst_utils.experiments.style_transfer import transfer
    from nst_utils.images.color import match_color
    from nst_utils.images.files import load_image, noise_image, resize, save_image
    from nst_utils.images.guided import photorealistic
    from nst_utils.images.masks import load_alpha, load_mask
    from nst_utils.images.names import samples
    from nst_utils.losses import (
        content_loss,
        content_loss_gradient,
        gram_matrix,
        style_loss,
        style_loss_gradient,
        total_loss,
        total_variation,
        weighted_style_loss,
    )
    from nst_utils.many.sweeps import Sweep, sweep
    from nst_utils.networks.builders import squeezenet1_1, vgg16, vgg19, vgg19_bn
    from nst_utils.networks.network import Network, mean_activations
    from nst_utils.objective.rows import Painting, Row, Weighting
    from nst_utils.objective.table import Objective
    from nst_utils.optimize.loop import minimize
    from nst_utils.optimize.results import Result, Step
    from nst_utils.plots.algorithm import plot_algorithm
    from nst_utils.plots.figures import plot_history, plot_table, show
    from nst_utils.plots.film import Film
    from nst_utils.plots.style_match import GramPair, compare_styles, plot_grams
    from nst_utils.support.repeatable import deterministic
    from nst_utils.teaching.checker import check

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "Film",
    "GramPair",
    "Network",
    "Objective",
    "Painting",
    "Recipe",
    "Result",
    "Row",
    "Session",
    "Step",
    "Sweep",
    "Weighting",
    "check",
    "compare_styles",
    "content_loss",
    "content_loss_gradient",
    "deterministic",
    "gram_matrix",
    "load_alpha",
    "load_image",
    "load_mask",
    "match_color",
    "mean_activations",
    "minimize",
    "noise_image",
    "photorealistic",
    "plot_algorithm",
    "plot_grams",
    "plot_history",
    "plot_table",
    "preset",
    "preset_table",
    "read_png",
    "reconstruct_content",
    "reconstruct_style",
    "resize",
    "samples",
    "save_image",
    "show",
    "squeezenet1_1",
    "studio",
    "style_loss",
    "style_loss_gradient",
    "sweep",
    "total_loss",
    "total_variation",
    "transfer",
    "transform_features",
    "vgg16",
    "vgg19",
    "vgg19_bn",
    "weighted_style_loss",
    "write_png",
]


# Where each public name is. It is loaded when it is asked for: the command line starts without
# torch, and a script that draws nothing does without matplotlib and widgets.
_HOMES = {
    "Film": "nst_utils.plots.film",
    "GramPair": "nst_utils.plots.style_match",
    "Network": "nst_utils.networks.network",
    "Objective": "nst_utils.objective.table",
    "PRESETS": "nst_utils.experiments.presets",
    "Painting": "nst_utils.objective.rows",
    "Recipe": "nst_utils.app.recipes",
    "Result": "nst_utils.optimize.results",
    "Row": "nst_utils.objective.rows",
    "Session": "nst_utils.app.sessions",
    "Step": "nst_utils.optimize.results",
    "Sweep": "nst_utils.many.sweeps",
    "Weighting": "nst_utils.objective.rows",
    "check": "nst_utils.teaching.checker",
    "compare_styles": "nst_utils.plots.style_match",
    "content_loss": "nst_utils.losses",
    "content_loss_gradient": "nst_utils.losses",
    "deterministic": "nst_utils.support.repeatable",
    "gram_matrix": "nst_utils.losses",
    "load_alpha": "nst_utils.images.masks",
    "load_image": "nst_utils.images.files",
    "load_mask": "nst_utils.images.masks",
    "match_color": "nst_utils.images.color",
    "mean_activations": "nst_utils.networks.network",
    "minimize": "nst_utils.optimize.loop",
    "noise_image": "nst_utils.images.files",
    "photorealistic": "nst_utils.images.guided",
    "plot_algorithm": "nst_utils.plots.algorithm",
    "plot_grams": "nst_utils.plots.style_match",
    "plot_history": "nst_utils.plots.figures",
    "plot_table": "nst_utils.plots.figures",
    "preset": "nst_utils.experiments.presets",
    "preset_table": "nst_utils.experiments.presets",
    "read_png": "nst_utils.app.recipe_files",
    "reconstruct_content": "nst_utils.experiments.reconstructions",
    "reconstruct_style": "nst_utils.experiments.reconstructions",
    "resize": "nst_utils.images.files",
    "samples": "nst_utils.images.names",
    "save_image": "nst_utils.images.files",
    "show": "nst_utils.plots.figures",
    "squeezenet1_1": "nst_utils.networks.builders",
    "studio": "nst_utils.app.studio",
    "style_loss": "nst_utils.losses",
    "style_loss_gradient": "nst_utils.losses",
    "sweep": "nst_utils.many.sweeps",
    "total_loss": "nst_utils.losses",
    "total_variation": "nst_utils.losses",
    "transfer": "nst_utils.experiments.style_transfer",
    "transform_features": "nst_utils.experiments.inversions",
    "vgg16": "nst_utils.networks.builders",
    "vgg19": "nst_utils.networks.builders",
    "vgg19_bn": "nst_utils.networks.builders",
    "weighted_style_loss": "nst_utils.losses",
    "write_png": "nst_utils.app.recipe_files",
}


def _module(package: str, name: str) -> Any:
    """A file or folder as an attribute, loaded or not: ``nst_utils.losses``."""
    module = f"{package}.{name}"
    if name.startswith("_") or find_spec(module) is None:
        raise AttributeError(f"module '{package}' has no attribute '{name}'")
    return import_module(module)


if not TYPE_CHECKING:  # it would take every name for known

    def __getattr__(name: str) -> Any:
        """A public name, from its home, or a module."""
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        return _module(__name__, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


for _each in iter_modules(__path__, f"{__name__}."):
    if _each.ispkg:  # folders, which are no more than a docstring: ``nst_utils.images.color``
        vars(import_module(_each.name))["__getattr__"] = partial(_module, _each.name)
