"""Which readings of the equations there are, and which are meant where nothing is said.

The equations themselves are in :mod:`nst_utils.losses`.
"""

from __future__ import annotations

from dataclasses import dataclass

from nst_utils.support import checks

CONTENT_REDUCTIONS = ("mean", "sum")
STYLE_REDUCTIONS = ("paper", "sum", "mean", "values")
TV_REDUCTIONS = ("sum", "mean")
OF_VARIATION = ("tv_power", "tv_reduction", "tv_color")  # change nothing without a tv_weight
# What of the responses the style is (see nst_utils.objective.statistics), the paper's first.
STYLE_STATISTICS = (
    *("gram", "covariance", "mean_std", "wasserstein"),
    *("sliced_wasserstein", "histogram", "shifted_gram"),
)


@dataclass(frozen=True)
class Formulas:
    """Which readings of the equations are meant; ``ValueError`` for unknown ones.

    Attributes:
        content_reduction: of eq. 1, see :func:`nst_utils.content_loss`.
        style_reduction: of eq. 4, see :func:`nst_utils.style_loss`.
        tv_power, tv_reduction, tv_color: see :func:`nst_utils.total_variation`.
    """

    content_reduction: str = "mean"
    style_reduction: str = "paper"
    tv_power: int = 2
    tv_reduction: str = "sum"
    tv_color: float = 1.0

    def __post_init__(self) -> None:
        checks.one_of("content reduction", self.content_reduction, CONTENT_REDUCTIONS)
        checks.one_of("style reduction", self.style_reduction, STYLE_REDUCTIONS)
        checks.count("tv_power", self.tv_power, 1, 2)
        checks.one_of("tv_reduction", self.tv_reduction, TV_REDUCTIONS)
        checks.weight("tv_color", self.tv_color)

    def check_used(self, *, variation: bool) -> None:
        """Refuse a setting of total variation where that has no weight: it would change nothing."""
        for name in () if variation else OF_VARIATION:
            if getattr(self, name) != getattr(Formulas, name):
                raise ValueError(f"{name} changes nothing without a tv_weight; give one, or none")
