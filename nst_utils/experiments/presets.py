"""Complete settings by name, each value with its source. ``paper`` is the default everywhere.

The others are five projects that people use, as they are. A preset is only settings: all run
through :func:`nst_utils.transfer`, and any single one can be given another value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from nst_utils.experiments.defaults import CONTENT_LAYERS, CONTENT_WEIGHT, STYLE_LAYERS
from nst_utils.networks.architectures import ARCHITECTURES
from nst_utils.objective.formulas import Formulas
from nst_utils.optimize.settings import Settings
from nst_utils.support import checks

if TYPE_CHECKING:  # settings alone are read without torch
    from torch import Tensor

    from nst_utils.networks.network import Network
    from nst_utils.optimize.results import Result

_OF_NETWORK = ("weights", "pooling", "normalized", "precision")


@dataclass(frozen=True)
class Preset:
    """Settings of a network's builder and of :func:`nst_utils.transfer`, and one line on them."""

    summary: str
    network: str
    weights: str
    pooling: str
    normalized: bool
    precision: str
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    style_layer_weights: tuple[float, ...] | None
    content_weight: float
    style_weight: float
    content_reduction: str
    style_reduction: str
    tv_weight: float
    tv_power: int
    init: str
    optimizer: str
    learning_rate: float | Mapping[int, float]
    steps: int

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer of its network, from the picture on."""
        return ARCHITECTURES[self.network].layers

    def network_settings(self, **overrides: Any) -> dict[str, Any]:
        """The arguments of the network's builder.

        With another ``network``, whose numbers are not those of the preset, they are torchvision's
        unless said otherwise.
        """
        settings = {name: getattr(self, name) for name in _OF_NETWORK}
        network = overrides.get("network", self.network)
        if network != self.network:
            settings["weights"] = "bundled" if network == "vgg19" else "torchvision"
            settings["normalized"] &= ARCHITECTURES[network].can_be_normalized
        return settings | {k: v for k, v in overrides.items() if k in _OF_NETWORK}

    def transfer_settings(self, **overrides: Any) -> dict[str, Any]:
        """The arguments of :func:`nst_utils.transfer`."""
        others = ("summary", "network", *_OF_NETWORK)
        names = [field.name for field in fields(self) if field.name not in others]
        settings = {name: getattr(self, name) for name in names}
        if "style_layers" in overrides:  # the weights belong to the preset's own layers
            settings["style_layer_weights"] = None
        if overrides.get("optimizer", self.optimizer) != self.optimizer:  # so does the rate
            settings["learning_rate"] = Settings.learning_rate
        return settings | {k: v for k, v in overrides.items() if k not in others}

    def build_network(self, **overrides: Any) -> Network:
        """The network; raises as its builder does (see :mod:`nst_utils.networks.builders`)."""
        from nst_utils.networks.builders import NETWORKS

        name = checks.one_of("network", overrides.get("network", self.network), tuple(NETWORKS))
        return NETWORKS[name](**self.network_settings(**overrides))

    def transfer(
        self,
        content: Tensor,
        style: Tensor | list[Tensor],
        *,
        net: Network | None = None,
        **overrides: Any,
    ) -> Result:
        """Run :func:`nst_utils.transfer` with these settings, but for the ``overrides``.

        >>> import nst_utils as nst
        >>> nst.preset("kimrass").transfer(photo, painting, steps=100)  # doctest: +SKIP

        Args:
            content, style, net: as there; by default the preset's own network.
            overrides: arguments of ``transfer`` or of the network's builder, or ``network``.
        """
        from nst_utils.experiments.style_transfer import transfer

        if net is None:
            net = self.build_network(**overrides)
        return transfer(content, style, net=net, **self.transfer_settings(**overrides))


# The standard deviation that torchvision's preprocessing divides by, on average: lengths in such
# units are that much shorter on the 0..1 scale, and squares of differences 19.6 times larger.
_STD = 0.226

PRESETS = {
    "paper": Preset(
        summary="Gatys, Ecker & Bethge, CVPR 2016",
        network="vgg19",  # section 2
        weights="bundled",  # the VGG authors' own release, which the paper used
        pooling="avg",  # section 2: average pooling instead of max pooling
        normalized=True,  # section 2: mean activation of every filter is 1
        precision="float32",
        content_layers=CONTENT_LAYERS,  # section 3: conv4_2
        style_layers=STYLE_LAYERS,  # section 3: conv1_1 to conv5_1
        style_layer_weights=None,  # section 3: w_l = 1/5
        content_weight=CONTENT_WEIGHT,  # ours; figure 3: 1e-3 (B), 8e-4, 5e-3, 5e-4, 5e-4
        style_weight=1.0,
        content_reduction=Formulas.content_reduction,  # ours: see losses.content_loss
        style_reduction=Formulas.style_reduction,  # eq. 4
        tv_weight=0.0,  # section 2: no image prior
        tv_power=Formulas.tv_power,
        init="noise",  # section 3.3: white noise, except where said
        optimizer=Settings.optimizer,  # section 2
        learning_rate=Settings.learning_rate,  # of Adam, which the paper does not use
        steps=Settings.steps,  # ours: the paper gives no number
    ),
    # github.com/KimRass/Gatys-et-al.-2016: main.py, config.py and README.
    "kimrass": Preset(
        summary="lambda L_content + L_style, equations as printed, network not normalized, Adam",
        network="vgg19",
        # Theirs: torchvision's numbers. Here: the bundled ones, because they need no download.
        # With weights="torchvision" lambda is some 1e-8, their script's default: that network takes
        # pictures in units 58 times larger (0.226 * 255 gray levels) and so responds less.
        weights="bundled",
        pooling="avg",  # main.py puts average poolings in
        normalized=False,  # their README says so
        precision="float32",
        content_layers=("conv4_2",),  # config.py: module 21
        style_layers=STYLE_LAYERS,  # config.py: modules 0, 5, 10, 19, 28
        style_layer_weights=(0.2, 0.2, 0.2, 0.2, 0.2),  # config.py
        content_weight=2e-3,  # lambda = alpha / beta; the README's sample
        style_weight=1.0,
        content_reduction="sum",  # main.py: half the sum of squares, eq. 1 as printed
        style_reduction="paper",  # main.py: eq. 4 as printed
        tv_weight=0.0,
        tv_power=2,
        init="content",  # config.py: FROM_CONTENT_IMAGE = True
        optimizer="adam",  # main.py: "much faster"
        # config.py: 0.12, in units of the normalized picture; it was 1, which leaves rainbow noise.
        learning_rate=0.12 * _STD,
        steps=150,  # config.py, when the rate was 1
    ),
    # github.com/superb20/Image-Style-Transfer-Using-Convolutional-Neural-Networks: codes/main.py.
    "keras-adam": Preset(
        summary="Keras: Adam, max pooling, shallow layers weigh most",
        network="vgg19",
        weights="bundled",  # keras.applications has the same Oxford release
        pooling="max",  # the network as it comes
        normalized=False,
        precision="float32",
        # The code has block5_conv2; its page compares conv4_2 with conv2_2. At this ratio conv4_2
        # gives the photograph with another tint, since the deep style layers hardly count.
        content_layers=("conv5_2",),
        style_layers=STYLE_LAYERS,
        # A fifth each, but every layer is divided by the size of the picture instead of its own,
        # a quarter for each pooling: by 1, 16, 256, ... more in the square.
        style_layer_weights=tuple(0.2 / 16**pooled for pooled in range(5)),
        content_weight=8e-4,
        style_weight=8e-1,
        content_reduction="sum",  # half the sum of squares
        style_reduction="paper",
        tv_weight=0.0,
        tv_power=2,
        init="noise",  # or content, one comment away
        optimizer="adam",
        # 8 gray levels, times 0.98 every 445 steps. Theirs: continuously. Here: in steps.
        learning_rate={1 + 445 * k: 8 / 255 * 0.98**k for k in range(7)},
        steps=3000,
    ),
    # The loop of Udacity's course "Intro to Deep Learning with PyTorch", in hundreds of projects.
    "content-start": Preset(
        summary="starts from the photograph; mean squares, a weight for each layer, small steps",
        network="vgg19",
        weights="bundled",  # theirs: torchvision's, see kimrass; style prevails with either
        pooling="max",  # the network as it comes
        normalized=False,
        precision="float32",
        content_layers=("conv4_2",),
        style_layers=STYLE_LAYERS,
        style_layer_weights=(1.0, 0.75, 0.2, 0.2, 0.2),
        content_weight=2.0,  # 1; times 2, because eq. 1 has one half
        style_weight=1e6,
        content_reduction="mean",
        style_reduction="values",  # mean square of G - A, divided by the number of values
        tv_weight=0.0,
        tv_power=2,
        init="content",
        optimizer="adam",
        learning_rate=0.003 * _STD,  # 0.003, in units of the normalized picture
        steps=2000,
    ),
    # The style transfer of Stanford's course CS231n, total = 1 content + 2 style + 1e-3 variation.
    "squeezenet-tv": Preset(
        summary="SqueezeNet 1.1, total variation, Adam with large steps from the photograph",
        network="squeezenet1_1",
        weights="torchvision",
        pooling="max",  # the network as it comes
        normalized=False,
        precision="float32",
        content_layers=("fire2",),  # module 3
        style_layers=("conv1", "fire3", "fire4", "fire5"),  # modules 1, 4, 6, 7
        style_layer_weights=(300000.0, 1000.0, 15.0, 3.0),
        content_weight=2 * 6e-2,  # 6e-2; times 2, because eq. 1 has one half
        style_weight=2.0,
        content_reduction="sum",
        style_reduction="sum",  # of squares of G / (number of values) - A / (number of values)
        tv_weight=1e-3 * 2e-2 / _STD**2,  # 1e-3 times 2e-2, on the normalized picture
        tv_power=2,
        init="content",
        optimizer="adam",
        learning_rate={1: 3 * _STD, 181: 0.1 * _STD},  # 3, and 0.1 from iteration 180, from 0 on
        steps=200,
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name; ``ValueError`` with the nearest name for an unknown one."""
    return PRESETS[checks.one_of("preset", name, tuple(PRESETS))]


def preset_table() -> str:
    """All presets side by side as plain text, one setting a row; below it, what each is."""
    names = [field.name for field in fields(Preset) if field.name != "summary"]
    rows = [[["preset"], *([name] for name in PRESETS)]]
    for name in names:
        rows.append([[name], *(_cell(getattr(each, name)) for each in PRESETS.values())])
    columns = range(len(PRESETS) + 1)
    widths = [max(len(line) for row in rows for line in row[column]) for column in columns]
    lines = []
    for row in rows:
        for i in range(max(len(cell) for cell in row)):
            parts = [
                (cell[i] if i < len(cell) else "").ljust(w)
                for cell, w in zip(row, widths, strict=True)
            ]
            lines.append("  ".join(parts).rstrip())
    lines += ["", *(f"{name}: {each.summary}" for name, each in PRESETS.items())]
    return "\n".join(lines)


def _cell(value: object) -> list[str]:
    """The lines of a cell: one for each value of several."""
    if isinstance(value, tuple):
        return [line for each in value for line in _cell(each)]
    if isinstance(value, Mapping):  # a learning rate that changes
        return [f"{_cell(rate)[0]} from step {step}" for step, rate in value.items()]
    return [f"{value:.3g}" if isinstance(value, float) else str(value)]
