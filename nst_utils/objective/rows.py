"""What a picture shall match: the rows of the table that every experiment is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from nst_utils.images.masks import as_mask, scale_mask
from nst_utils.objective.formulas import STYLE_STATISTICS
from nst_utils.support import checks

LEAST_SHARE = 0.001  # of the picture: what a mask must have inside


@dataclass(frozen=True)
class Painting:
    """A style picture and its part in a row.

    ``picture`` is (1, 3, H', W'), RGB, 0..1. ``share`` is its part in the Gram matrices that are
    aimed at, among the paintings of the same region. ``region`` (1, 1, H, W), 0..1, says where in
    the image being made its style belongs (``None``: everywhere); ``source`` (1, 1, H', W') which
    part of the painting is looked at (``None``: all of it).
    """

    picture: Tensor
    share: float = 1.0
    region: Tensor | None = None
    source: Tensor | None = None


@dataclass(frozen=True)
class Weighting:
    """New weights for a run that goes on: a callback that returns one changes them from then on.

    ``None`` leaves a weight as it is; ``style_layers`` gives w_l for those layers that change.
    """

    content_weight: float | None = None
    style_weight: float | None = None
    style_layers: Mapping[str, float] = field(default_factory=dict)

    @property
    def in_floats(self) -> Weighting:
        """The same with plain floats, which any file can hold; for numbers that were checked."""
        alpha, beta = self.content_weight, self.style_weight
        return Weighting(
            None if alpha is None else float(alpha),
            None if beta is None else float(beta),
            {layer: float(weight) for layer, weight in self.style_layers.items()},
        )

    def then(self, new: Weighting) -> Weighting:
        """Both, where they speak of the same weight the new one."""
        alpha, beta = new.content_weight, new.style_weight
        return Weighting(
            self.content_weight if alpha is None else alpha,
            self.style_weight if beta is None else beta,
            {**self.style_layers, **new.style_layers},
        )


@dataclass(frozen=True)
class Row:
    """One picture to be made: what it shall match, and how much that counts (eq. 7).

    ``content`` and ``style`` are (1, 3, H, W), RGB, 0..1; they may differ in size. Instead of one
    style picture there may be several :class:`Painting`. ``content_layers`` and ``style_layers``
    give each layer its weight in the sum over layers (w_l of eq. 5), ``content_weight`` is alpha,
    ``style_weight`` beta, ``tv_weight`` that of total variation, which the paper does not have.
    ``style_statistics`` says what of the responses the style is: Gram matrices, or one of
    :mod:`nst_utils.objective.statistics`. ``responses``, (1, N, H, W) of a content layer, are aimed
    at in place of those to ``content``.
    """

    content: Tensor | None = None
    style: Tensor | Sequence[Painting] | None = None
    content_layers: Mapping[str, float] = field(default_factory=dict)
    style_layers: Mapping[str, float] = field(default_factory=dict)
    content_weight: float = 0.0
    style_weight: float = 0.0
    tv_weight: float = 0.0
    style_statistics: str = STYLE_STATISTICS[0]
    responses: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def paintings(self) -> list[Painting]:
        """The style pictures; empty where there are none."""
        if self.style is None:
            return []
        return [Painting(self.style)] if isinstance(self.style, Tensor) else list(self.style)

    @property
    def regions(self) -> list[Tensor | None]:
        """The different regions of the paintings, in their order; ``[None]`` is everywhere."""
        found: list[Tensor | None] = []
        for painting in self.paintings:
            if not any(painting.region is known for known in found):
                found.append(painting.region)
        return found

    @property
    def areas(self) -> list[float]:
        """How large each of the regions is, as a share of the picture."""
        return [1.0 if each is None else float(each.mean()) for each in self.regions]

    @property
    def pictures(self) -> list[Tensor]:
        """All that the network has to see of it, each (1, 3, H, W)."""
        content = [] if self.content is None else [self.content]
        return content + [painting.picture for painting in self.paintings]

    def layers(self, kind: str) -> Mapping[str, float]:
        """Layer -> weight in the ``"content"`` or the ``"style"`` loss; 0 is only measured."""
        return {"content": self.content_layers, "style": self.style_layers}[kind]

    def reweighed(self, new: Weighting) -> Row:
        """The same row with other weights; layers that it does not have stay out of it."""
        alpha, beta = new.content_weight, new.style_weight
        return replace(
            self,
            content_weight=self.content_weight if alpha is None else alpha,
            style_weight=self.style_weight if beta is None else beta,
            style_layers={k: new.style_layers.get(k, v) for k, v in self.style_layers.items()},
        )

    @property
    def weighs_something(self) -> bool:
        """Whether there is a content or a style loss whose weight is not 0."""
        alpha = self.content_weight * sum(self.content_layers.values())
        beta = self.style_weight * sum(self.style_layers.values())
        return alpha > 0 or beta > 0

    def check(self) -> None:
        """Raise ``ValueError`` for a row that asks for nothing or for something impossible."""
        weights = {
            "content_weight": self.content_weight,
            "style_weight": self.style_weight,
            "tv_weight": self.tv_weight,
        }
        for layers in (self.content_layers, self.style_layers):
            weights |= {f"the weight of {layer}": value for layer, value in layers.items()}
        for name, value in weights.items():
            checks.weight(name, value)
        checks.one_of("style_statistics", self.style_statistics, STYLE_STATISTICS)
        if not self.weighs_something:
            raise ValueError("all weights are 0: there is nothing to optimize; raise one of them")
        if self.content_layers and self.content is None:
            raise ValueError("content layers are given, but no content picture")
        if self.style_layers and not self.paintings:
            raise ValueError("style layers are given, but no style picture")
        for region in self.regions:
            shares = [p.share for p in self.paintings if p.region is region]
            for share in shares:
                checks.weight("the share of a painting", share)
            if sum(shares) == 0:
                raise ValueError("the shares of the paintings are all 0; raise one of them")


def check_mask(what: str, mask: object, size: Sequence[int]) -> Tensor:
    """Return a mask of a style as :func:`nst_utils.images.masks.as_mask` does, of ``size``
    (height, width).

    Raises:
        ValueError: it is no mask, or hardly anything is inside.
    """
    mask = as_mask(what, mask)
    if not bool((mask > 0).any()):
        raise ValueError(f"{what} is black all over: no place would get its style; make some white")
    share = float((mask / mask.amax()).mean())  # or a faint mask would be none
    if share < LEAST_SHARE:
        raise ValueError(
            f"{what} has only {share:.2g} of its picture inside, too little to have a style; make "
            f"at least {LEAST_SHARE:g} white"
        )
    return scale_mask(mask, size)
