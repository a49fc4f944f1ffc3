"""Style transfer (eq. 7, figures 3 to 7), and what others have added to it.

It only fills in the table of :mod:`nst_utils.objective.table` for
:func:`nst_utils.optimize.loop.minimize`. A setting that is given as a list makes one picture for
each value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_utils.experiments.arguments import (
    Layers,
    as_layer_lists,
    as_list,
    as_statistics,
    broadcast,
    content_weights_of,
    known_layers,
    objective_maker,
    start_picture,
    style_parts,
    style_weights_of,
)
from nst_utils.experiments.defaults import (
    CONTENT_LAYERS,
    CONTENT_WEIGHT,
    PRESERVE_COLORS,
    STYLE_LAYERS,
)
from nst_utils.images.color import (
    as_gray,
    is_gray,
    match_color,
    match_luminance,
    with_color_of,
)
from nst_utils.networks.network import Network
from nst_utils.objective.formulas import Formulas
from nst_utils.objective.rows import Row
from nst_utils.optimize.coarse_to_fine import Level, coarse_levels, smaller_levels
from nst_utils.optimize.loop import minimize
from nst_utils.optimize.results import Callback, Result, listed, plain_settings
from nst_utils.optimize.settings import LearningRate, Settings, SmallerFirst
from nst_utils.support import checks
from nst_utils.support.neutral import neutral


@neutral()
def transfer(
    content: Tensor,
    style: Tensor | Sequence[Tensor],
    *,
    net: Network | None = None,
    content_weight: float | Sequence[float] = CONTENT_WEIGHT,
    style_weight: float | Sequence[float] = 1.0,
    content_layers: Layers | Sequence[Layers] = CONTENT_LAYERS,
    style_layers: Layers | Sequence[Layers] = STYLE_LAYERS,
    style_layer_weights: Sequence[float] | None = None,
    content_reduction: str = Formulas.content_reduction,
    style_reduction: str = Formulas.style_reduction,
    style_statistics: str | Sequence[str] = Row.style_statistics,
    tv_weight: float | Sequence[float] = 0.0,
    tv_power: int = Formulas.tv_power,
    tv_reduction: str = Formulas.tv_reduction,
    tv_color: float = Formulas.tv_color,
    style_blend: Sequence[float] | Sequence[Sequence[float]] | None = None,
    masks: Sequence[Tensor] | None = None,
    style_masks: Sequence[Tensor | None] | None = None,
    preserve_color: str | None = None,
    init: str | Tensor | Sequence[str | Tensor] = "noise",
    steps: int = Settings.steps,
    smaller_first: SmallerFirst | None = None,
    optimizer: str = Settings.optimizer,
    learning_rate: LearningRate = Settings.learning_rate,
    tolerance: float | None = Settings.tolerance,
    exact: bool = Settings.exact,
    seed: int | Sequence[int] = 0,
    device: str = "auto",
    tile: int | None = None,
    callback: Callback | None = None,
    progress: bool = True,
    checkpoint: str | Path | None = None,
) -> Result:
    """Paint the content of a photograph in the style of a painting (eq. 7, figures 3 to 7).

    Lists of one length make several pictures in one run: ``content_weight=[1e-4, 1e-3, 1e-2]``.

    Args:
        content: (1, 3, H, W), RGB, 0..1: the photograph, whose size the result has.
        style: (1, 3, H', W'), the painting; of any size: the same painting larger gives larger
            strokes. Several make several pictures, or one with ``style_blend`` or ``masks``.
        net: by default :func:`nst_utils.vgg19`, the paper's; copied if on another device.
        content_weight: alpha. style_weight: beta. Only their ratio matters to the picture.
        content_layers, style_layers: by name, or with the weight of each: ``{"conv1_1": 0.01}``.
        style_layer_weights: w_l for each style layer; by default 1 / number of layers.
        content_reduction: ``"mean"`` or ``"sum"`` of eq. 1 (see
            :func:`nst_utils.losses.content_loss`).
        style_reduction: ``"paper"`` (eq. 4), ``"sum"``, ``"mean"`` or ``"values"`` (see
            :func:`nst_utils.losses.style_loss`).
        style_statistics: what of the responses the style is: ``"gram"`` (eq. 3), or what others
            compare: ``"covariance"``, ``"mean_std"``, ``"wasserstein"``, ``"sliced_wasserstein"``,
            ``"histogram"``, ``"shifted_gram"``, of which the last three go without ``masks`` and
            ``tile`` (see :mod:`nst_utils.objective.statistics`).
        tv_weight: of total variation, which smooths the picture; not in the paper. tv_power: 1 or
            2. tv_reduction: ``"sum"`` or ``"mean"``. tv_color: how many times color counts in it
            (see :func:`nst_utils.losses.total_variation`).
        style_blend: the share of each of the paintings ``style`` in one picture, ``[0.7, 0.3]``; a
            list of such lists makes several pictures.
        masks: for each of the paintings ``style``, where in the picture its style belongs:
            (1, 1, H, W), 0..1, white inside; other sizes are scaled.
        style_masks: for each, which part of the painting is looked at; ``None`` for all of it.
        preserve_color: keep the photograph's colors (see :mod:`nst_utils.images.color`):
            ``"luminance"`` paints in brightness only, ``"statistics"`` recolors the painting first.
        init: ``"noise"``, ``"content"``, ``"style"``, or a picture (1, 3, H, W) to start from.
        exact: all steps at full size with plain L-BFGS, as the paper has it: without
            :mod:`nst_utils.optimize.coarse_to_fine` (where all start from noise, first at smaller
            sizes; ``smaller_first`` still holds) and without :mod:`nst_utils.optimize.curvature`.
            The edge is the network's: ``padding="zeros"`` of :func:`nst_utils.vgg19`.
        smaller_first: make the picture smaller first, enlarge it and go on: shares of the size, and
            how many of ``steps`` are made there. ``{0.5: 500}`` with 700 steps is what the authors
            came to do. Or ``"growing"``: sizes that grow by the square root of 2, from 128 px of
            the longer side, with as many steps at each. The painting is smaller there, too, and no
            layer is left out. It takes the place of the levels that a run from noise has
            otherwise; ``{}`` is ``None``.
        seed: of the noise. device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        tile: let the network see the picture in tiles of so many pixels a side: the same picture
            with less memory, in more time (see :mod:`nst_utils.objective.evaluation`).
        steps, optimizer, learning_rate, tolerance, callback, progress, checkpoint: see
            :func:`nst_utils.optimize.loop.minimize`.

    Raises:
        ValueError: any setting or picture that cannot be used, or more memory is needed than
            there is (see :mod:`nst_utils.memory.estimate`); the message says what to do.
        MemoryError: memory ran out before the first step, however little was done at a time.
    """
    content_weight, style_weight, tv_weight = listed(content_weight, style_weight, tv_weight)
    style, content_layers, style_layers = listed(style, content_layers, style_layers)
    style_layer_weights, style_blend = listed(style_layer_weights, style_blend)
    (style_statistics,) = listed(style_statistics)
    masks, style_masks, init, seed = listed(masks, style_masks, init, seed)
    settings = plain_settings(locals())
    how = Settings(steps, optimizer, learning_rate, tolerance, exact)
    formulas = Formulas(content_reduction, style_reduction, tv_power, tv_reduction, tv_color)
    checks.function("callback", callback)
    photograph = checks.one_image("content", content)
    content, style, recolor = _colors(photograph, style, preserve_color)
    known = known_layers(net)
    settings_of_each = broadcast(
        content_weight=as_list("content_weight", content_weight),
        style_weight=as_list("style_weight", style_weight),
        tv_weight=as_list("tv_weight", tv_weight),
        style=style_parts(style, style_blend, masks, style_masks, photograph.shape[2:]),
        content_layers=as_layer_lists("content_layers", content_layers, known),
        style_layers=as_layer_lists("style_layers", style_layers, known),
        style_statistics=as_statistics(style_statistics),
        init=as_list("init", init),
        seed=as_list("seed", seed),
    )
    rows = [_row(content, given, style_layer_weights) for given in settings_of_each]
    formulas.check_used(variation=any(row.tv_weight for row in rows))
    starts = [
        start_picture(given["init"], content, given["style"][0].picture, given["seed"])
        for given in settings_of_each
    ]
    size = content.shape[2:]
    make_objective = objective_maker(
        net, rows, device, size=size, optimizer=optimizer, tile=tile, formulas=formulas
    )
    objective = make_objective(rows)
    coarse: list[Level] = []
    # A picture to start from has its large shapes already; Adam is run as others run it.
    inits = [given["init"] for given in settings_of_each]
    from_noise = all(isinstance(each, str) and each == "noise" for each in inits)
    if isinstance(smaller_first, Mapping) and not smaller_first:
        smaller_first = None
    if smaller_first is not None:
        coarse = smaller_levels(
            objective.net, rows, size, make_objective, first=smaller_first, steps=steps
        )
    elif from_noise and optimizer == "lbfgs" and not exact:
        coarse = coarse_levels(objective.net, rows, size, make_objective)
    result = minimize(
        objective,
        torch.cat(starts),
        **vars(how),
        coarse=coarse,
        callback=_recolored(callback, recolor),
        progress=progress,
        checkpoint=checkpoint,
        settings=settings,
    )
    result.image = recolor(result.image)
    return result


def _row(content: Tensor, given: Mapping[str, Any], style_layer_weights: Any) -> Row:
    """What one picture is to be like, from what was given for it."""
    return Row(
        content=content,
        style=given["style"],
        content_layers=content_weights_of(given["content_layers"]),
        style_layers=style_weights_of(given["style_layers"], style_layer_weights),
        content_weight=checks.weight("content_weight", given["content_weight"]),
        style_weight=checks.weight("style_weight", given["style_weight"]),
        tv_weight=checks.weight("tv_weight", given["tv_weight"]),
        style_statistics=given["style_statistics"],
    )


Recolor = Callable[[Tensor], Tensor]


def _colors(photograph: Tensor, style: Any, preserve: str | None) -> tuple[Tensor, Any, Recolor]:
    """Content and styles as they go into the run, and what brings the colors back after it."""
    if preserve is None:
        return photograph, style, lambda image: image
    checks.one_of("preserve_color", preserve, PRESERVE_COLORS)
    paintings = [checks.one_image("style", each) for each in as_list("style", style)]
    if preserve == "statistics":
        # The responses hardly see a tint: a gray photograph would get that of the noise.
        finish = as_gray if is_gray(photograph) else lambda image: image
        return photograph, [match_color(each, photograph) for each in paintings], finish
    styles = [match_luminance(each, photograph) for each in paintings]
    return as_gray(photograph), styles, lambda image: with_color_of(image, photograph.to(image))


def _recolored(callback: Callback | None, recolor: Recolor) -> Callback | None:
    if callback is None:
        return None
    return lambda step: callback(step._replace(images=recolor(step.images)))
