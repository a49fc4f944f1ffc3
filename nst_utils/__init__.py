"""Neural style transfer as Gatys, Ecker & Bethge (CVPR 2016) describe it.

>>> import nst_utils as nst
>>> content = nst.load_image("chenonceau", size=512)
>>> style = nst.load_image("starry-night", size=512)
>>> result = nst.transfer(content, style)  # doctest: +SKIP
>>> nst.save_image(result.image, "out.png")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nst_utils.backbones import squeezenet1_1, vgg16, vgg19, vgg19_bn
from nst_utils.color import match_color
from nst_utils.film import Film
from nst_utils.images import load_image, noise_image, resize, samples, save_image
from nst_utils.losses import (
    content_loss,
    gram_matrix,
    style_loss,
    total_loss,
    total_variation,
)
from nst_utils.networks import Network, mean_activations
from nst_utils.objective import Objective
from nst_utils.plotting import plot_history, plot_table, show
from nst_utils.presets import PRESETS, preset
from nst_utils.reconstructions import reconstruct_content, reconstruct_style
from nst_utils.results import Result, Step
from nst_utils.rows import Painting, Row, Weighting
from nst_utils.runs import minimize
from nst_utils.synthesis import transfer

if TYPE_CHECKING:
    from nst_utils.studio_app import studio

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "Film",
    "Network",
    "Objective",
    "Painting",
    "Result",
    "Row",
    "Step",
    "Weighting",
    "content_loss",
    "gram_matrix",
    "load_image",
    "match_color",
    "mean_activations",
    "minimize",
    "noise_image",
    "plot_history",
    "plot_table",
    "preset",
    "reconstruct_content",
    "reconstruct_style",
    "resize",
    "samples",
    "save_image",
    "show",
    "squeezenet1_1",
    "studio",
    "style_loss",
    "total_loss",
    "total_variation",
    "transfer",
    "vgg16",
    "vgg19",
    "vgg19_bn",
]


def __getattr__(name: str) -> Any:
    """The studio is loaded when it is asked for: its widgets take time that scripts do not need."""
    if name == "studio":
        from nst_utils.studio_app import studio

        return studio
    raise AttributeError(f"module 'nst_utils' has no attribute '{name}'")
