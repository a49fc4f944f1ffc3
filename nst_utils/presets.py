"""Complete settings by name, each value with its source. ``paper`` is the default everywhere.

A preset is only numbers: all run through :func:`nst_utils.transfer`, and any single setting can be
given another value.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nst_utils import checks
from nst_utils.networks import vgg19
from nst_utils.synthesis import CONTENT_LAYERS, CONTENT_WEIGHT, STYLE_LAYERS


@dataclass(frozen=True)
class Preset:
    """Settings of :func:`nst_utils.vgg19` and :func:`nst_utils.transfer`, and one line on them."""

    summary: str
    network: str
    weights: str
    pooling: str
    normalized: bool
    precision: str
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    content_weight: float
    style_weight: float
    content_reduction: str
    init: str
    optimizer: str
    learning_rate: float
    steps: int

    def network_settings(self) -> dict[str, Any]:
        """The arguments of the network's builder."""
        names = ("weights", "pooling", "normalized", "precision")
        return {name: getattr(self, name) for name in names}

    def transfer_settings(self) -> dict[str, Any]:
        """The arguments of :func:`nst_utils.transfer`."""
        others = ("summary", "network", *self.network_settings())
        return {name: value for name, value in asdict(self).items() if name not in others}


NETWORKS = {"vgg19": vgg19}

PRESETS = {
    "paper": Preset(
        summary="Gatys, Ecker & Bethge, CVPR 2016",
        network="vgg19",  # section 2
        weights="bundled",  # the VGG authors' own release, which the paper used
        pooling="avg",  # section 2: average pooling instead of max pooling
        normalized=True,  # section 2: mean activation of every filter is 1
        precision="float32",
        content_layers=CONTENT_LAYERS,  # section 3: conv4_2
        style_layers=STYLE_LAYERS,  # section 3: conv1_1 to conv5_1, w_l = 1/5
        content_weight=CONTENT_WEIGHT,  # ours; figure 3: 1e-3 (B), 8e-4, 5e-3, 5e-4, 5e-4
        style_weight=1.0,
        content_reduction="mean",  # ours: eq. 1 prints the sum; see losses.content_loss
        init="noise",  # section 3.3: white noise, except where said
        optimizer="lbfgs",  # section 2
        learning_rate=0.02,  # of Adam, which the paper does not use
        steps=300,  # ours: the paper gives no number; the loss is nearly flat by then
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name; ``ValueError`` with the nearest name for an unknown one."""
    return PRESETS[checks.one_of("preset", name, tuple(PRESETS))]


def preset_table() -> str:
    """All presets side by side as plain text, one setting a line."""
    columns = [["preset", *Preset.__dataclass_fields__]]
    for name, settings in PRESETS.items():
        values = asdict(settings).values()
        columns.append([name, *(_cell(value) for value in values)])
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = zip(*columns, strict=True)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)
