"""Neural style transfer as Gatys, Ecker & Bethge (CVPR 2016) describe it.

>>> import nst_utils as nst
>>> content = nst.load_image("chenonceau", size=512)
>>> style = nst.load_image("starry-night", size=512)
>>> result = nst.transfer(content, style)  # doctest: +SKIP
>>> nst.save_image(result.image, "out.png")  # doctest: +SKIP
"""

from nst_utils.film import Film
from nst_utils.images import load_image, noise_image, resize, samples, save_image
from nst_utils.losses import content_loss, gram_matrix, style_loss, total_loss
from nst_utils.networks import VGG19, mean_activations, vgg19
from nst_utils.objective import Objective, Row
from nst_utils.plotting import plot_history, plot_table, show
from nst_utils.presets import PRESETS, preset
from nst_utils.runs import Result, Step, minimize
from nst_utils.synthesis import reconstruct_content, reconstruct_style, transfer

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "VGG19",
    "Film",
    "Objective",
    "Result",
    "Row",
    "Step",
    "content_loss",
    "gram_matrix",
    "load_image",
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
    "style_loss",
    "total_loss",
    "transfer",
    "vgg19",
]
