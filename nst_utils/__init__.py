"""Neural style transfer as Gatys, Ecker & Bethge (CVPR 2016) describe it.

>>> import nst_utils as nst
>>> content = nst.load_image("chenonceau", size=512)
>>> style = nst.load_image("starry-night", size=512)
>>> result = nst.transfer(content, style)  # doctest: +SKIP
>>> nst.save_image(result.image, "out.png")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nst_utils.experiments.presets import PRESETS, preset, preset_table
from nst_utils.experiments.reconstructions import reconstruct_content, reconstruct_style
from nst_utils.experiments.style_transfer import transfer
from nst_utils.images.color import match_color
from nst_utils.images.files import load_image, noise_image, resize, samples, save_image
from nst_utils.images.masks import load_alpha, load_mask
from nst_utils.losses import (
    content_loss,
    content_loss_gradient,
    gram_matrix,
    style_loss,
    style_loss_gradient,
    total_loss,
    total_variation,
)
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

if TYPE_CHECKING:
    from nst_utils.app.recipes import Recipe, read_png, write_png
    from nst_utils.app.sessions import Session
    from nst_utils.app.studio import studio

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
    "Weighting",
    "compare_styles",
    "content_loss",
    "content_loss_gradient",
    "gram_matrix",
    "load_alpha",
    "load_image",
    "load_mask",
    "match_color",
    "mean_activations",
    "minimize",
    "noise_image",
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
    "total_loss",
    "total_variation",
    "transfer",
    "vgg16",
    "vgg19",
    "vgg19_bn",
    "write_png",
]


# Loaded when asked for: widgets take time that scripts do not need.
_LATE = {
    "Recipe": "nst_utils.app.recipes",
    "Session": "nst_utils.app.sessions",
    "read_png": "nst_utils.app.recipes",
    "studio": "nst_utils.app.studio",
    "write_png": "nst_utils.app.recipes",
}


def __getattr__(name: str) -> Any:
    """The studio and its parts, see ``_LATE``."""
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module 'nst_utils' has no attribute '{name}'")
