"""What a preset is: complete settings of a network and of a transfer, and how they are run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from nst_utils.networks.architectures import ARCHITECTURES, usual_padding
from nst_utils.objective.formulas import OF_VARIATION, STYLE_STATISTICS, Formulas
from nst_utils.optimize.settings import Settings, SmallerFirst
from nst_utils.support import checks

if TYPE_CHECKING:  # settings alone are read without torch
    from torch import Tensor

    from nst_utils.networks.network import Network
    from nst_utils.optimize.results import Result

# The settings of a network's builder.
OF_NETWORK = ("weights", "pooling", "normalized", "padding", "precision")
# Those of :func:`nst_utils.transfer`, and what it takes that is about one call in one process.
OF_TRANSFER = (
    *("content_weight", "style_weight", "content_layers", "style_layers", "style_layer_weights"),
    *("content_reduction", "style_reduction", "style_statistics"),
    *("tv_weight", "tv_power", "tv_reduction", "tv_color"),
    *("style_blend", "masks", "style_masks", "preserve_color", "init", "steps", "smaller_first"),
    *("optimizer", "learning_rate", "tolerance", "exact", "seed", "device", "tile"),
)
OF_CALL = ("callback", "progress", "checkpoint")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings of a network's builder and of :func:`nst_utils.transfer`, and one line on them.

    What few say has the paper's value: Gram matrices, no total variation.
    """

    summary: str
    network: str
    weights: str
    pooling: str
    normalized: str
    padding: str
    precision: str
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    style_layer_weights: tuple[float, ...] | None
    content_weight: float
    style_weight: float
    content_reduction: str
    style_reduction: str
    style_statistics: str = STYLE_STATISTICS[0]
    tv_weight: float = 0.0
    tv_power: int = Formulas.tv_power
    tv_reduction: str = Formulas.tv_reduction
    tv_color: float = Formulas.tv_color
    init: str
    optimizer: str
    learning_rate: float | Mapping[int, float]
    exact: bool
    steps: int
    smaller_first: SmallerFirst | None

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer of its network, from the picture on."""
        return ARCHITECTURES[self.network].layers

    def network_settings(self, **overrides: Any) -> dict[str, Any]:
        """The arguments of the network's builder.

        With another ``network``, whose numbers are not those of the preset, they are torchvision's
        unless said otherwise. Raises ``ValueError`` for a setting that is not one of ``network``
        and of the builder.
        """
        _check_names(overrides, ("network", *OF_NETWORK))
        settings = {name: getattr(self, name) for name in OF_NETWORK}
        network = overrides.get("network", self.network)
        checks.one_of("network", network, tuple(ARCHITECTURES))
        if network != self.network:
            settings["weights"] = "bundled" if network == "vgg19" else "torchvision"
            if not ARCHITECTURES[network].can_be_normalized:
                settings["normalized"] = "none"
            if not ARCHITECTURES[network].is_padded:
                settings["padding"] = "zeros"
        elif "normalized" in overrides:  # which the padding belongs to
            settings["padding"] = usual_padding(overrides["normalized"])
        return settings | {k: v for k, v in overrides.items() if k != "network"}

    def transfer_settings(self, **overrides: Any) -> dict[str, Any]:
        """The arguments of :func:`nst_utils.transfer`; ``ValueError`` for what is none of them."""
        _check_names(overrides, (*OF_TRANSFER, *OF_CALL))
        names = [field.name for field in fields(self) if field.name in OF_TRANSFER]
        settings = {name: getattr(self, name) for name in names}
        if "style_layers" in overrides:  # the weights belong to the preset's own layers
            settings["style_layer_weights"] = None
        if overrides.get("optimizer", self.optimizer) != self.optimizer:  # so does the rate
            settings["learning_rate"], settings["exact"] = Settings.learning_rate, Settings.exact
        weight = overrides.get("tv_weight", self.tv_weight)
        if isinstance(weight, (int, float)) and not weight:  # nothing reads these
            settings |= {name: getattr(Formulas, name) for name in OF_VARIATION}
        if isinstance(self.smaller_first, Mapping) and "steps" in overrides:
            settings["smaller_first"] = self._part_of(
                self.smaller_first, checks.count("steps", overrides["steps"])
            )
        return settings | overrides

    def build_network(self, **overrides: Any) -> Network:
        """The network; raises as :meth:`network_settings` and its builder do (see
        :mod:`nst_utils.networks.builders`).
        """
        from nst_utils.networks.builders import NETWORKS

        settings = self.network_settings(**overrides)
        return NETWORKS[overrides.get("network", self.network)](**settings)

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
            overrides: arguments of ``transfer`` or, without ``net``, of the network's builder, or
                ``network``.

        Raises:
            ValueError: as there, and for a setting that none of them has.
        """
        from nst_utils.experiments.style_transfer import transfer

        of_network = {x: overrides.pop(x) for x in ("network", *OF_NETWORK) if x in overrides}
        of_any = () if net is not None else ("network", *OF_NETWORK)
        _check_names(overrides, (*OF_TRANSFER, *OF_CALL, *of_any))
        if of_network and net is not None:
            raise ValueError(
                f"{next(iter(of_network))} is of no use beside net; leave one of them out"
            )
        if net is None:
            net = self.build_network(**of_network)
        return transfer(content, style, net=net, **self.transfer_settings(**overrides))

    def _part_of(self, whole: Mapping[float, int], steps: int) -> dict[float, int] | None:
        """As it is where there are more steps, the same part of fewer; ``None`` where those are too
        few."""
        part = min(1.0, steps / self.steps)
        first = {share: round(here * part) for share, here in whole.items()}
        return first if min(first.values()) and sum(first.values()) < steps else None


def _check_names(overrides: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Or a misspelled setting would be taken for the preset's."""
    for setting in overrides:
        checks.one_of("setting", setting, known)


def side_by_side(presets: Mapping[str, Preset]) -> str:
    """Presets as plain text, one setting a row; below it, what each is."""
    names = [field.name for field in fields(Preset) if field.name != "summary"]
    rows = [[["preset"], *([name] for name in presets)]]
    for name in names:
        rows.append([[name], *(_cell(getattr(each, name)) for each in presets.values())])
    columns = range(len(presets) + 1)
    widths = [max(len(line) for row in rows for line in row[column]) for column in columns]
    lines = []
    for row in rows:
        for i in range(max(len(cell) for cell in row)):
            parts = [
                (cell[i] if i < len(cell) else "").ljust(w)
                for cell, w in zip(row, widths, strict=True)
            ]
            lines.append("  ".join(parts).rstrip())
    lines += ["", *(f"{name}: {each.summary}" for name, each in presets.items())]
    return "\n".join(lines)


def _cell(value: object) -> list[str]:
    """The lines of a cell: one for each value of several, or ``STEPS at SHARE``, ``from STEP``."""
    if isinstance(value, Mapping) and any(isinstance(key, float) for key in value):
        return [f"{steps} at {share:g}" for share, steps in value.items()]
    if isinstance(value, tuple):
        return [line for each in value for line in _cell(each)]
    if isinstance(value, Mapping):  # a learning rate that changes
        return [f"{_cell(rate)[0]} from {step}" for step, rate in value.items()]
    return [f"{value:.3g}" if isinstance(value, float) else str(value)]
