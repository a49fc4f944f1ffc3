"""Figure 1: what a layer remembers of a photograph, and Gram matrices of a painting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from nst_utils.experiments.arguments import (
    Layers,
    as_layers,
    as_statistics,
    broadcast,
    known_layers,
    objective_maker,
    start_picture,
    style_weights_of,
)
from nst_utils.experiments.defaults import RECONSTRUCTION_LAYERS, STYLE_LAYER_SETS
from nst_utils.images.files import resize
from nst_utils.networks.architectures import check_layers
from nst_utils.networks.network import Network
from nst_utils.objective.formulas import Formulas
from nst_utils.objective.rows import Row
from nst_utils.optimize.loop import minimize
from nst_utils.optimize.results import Callback, Result, listed, plain_settings
from nst_utils.optimize.settings import LearningRate, Settings
from nst_utils.support import checks
from nst_utils.support.neutral import neutral


@neutral()
def reconstruct_content(
    image: Tensor,
    layers: Sequence[str] = RECONSTRUCTION_LAYERS,
    *,
    net: Network | None = None,
    content_reduction: str = Formulas.content_reduction,
    init: str | Tensor = "noise",
    seed: int = 0,
    device: str = "auto",
    tile: int | None = None,
    steps: int = Settings.steps,
    optimizer: str = Settings.optimizer,
    learning_rate: LearningRate = Settings.learning_rate,
    tolerance: float | None = Settings.tolerance,
    exact: bool = Settings.exact,
    callback: Callback | None = None,
    progress: bool = True,
    checkpoint: str | Path | None = None,
) -> Result:
    """Figure 1, top: what each layer still knows of a photograph.

    From white noise, a picture is found with the same responses in one layer (eq. 1); one picture
    for each of ``layers``, in one run.

    Args:
        image: (1, 3, H, W), RGB, 0..1.
        layers: by name; one picture each.
        net, content_reduction, seed, device, tile: as for :func:`nst_utils.transfer`.
        init: ``"noise"``, or a picture (1, 3, H, W) to start from.
        steps, optimizer, learning_rate, tolerance, exact, callback, progress, checkpoint: see
            :func:`nst_utils.minimize`.

    Raises:
        ValueError: as :func:`nst_utils.transfer`.
    """
    (layers,) = listed(layers)
    settings = plain_settings(locals())
    how = Settings(steps, optimizer, learning_rate, tolerance, exact)
    checks.function("callback", callback)
    checks.one_image("image", image)
    rows = [
        Row(content=image, content_layers={layer: 1.0}, content_weight=1.0)
        for layer in check_layers(layers, known=known_layers(net))
    ]
    start = start_picture(init, image, image, seed).repeat(len(rows), 1, 1, 1)
    return _minimized(
        rows,
        start,
        how,
        net=net,
        device=device,
        tile=tile,
        formulas=Formulas(content_reduction=content_reduction),
        callback=callback,
        progress=progress,
        checkpoint=checkpoint,
        settings=settings,
    )


@neutral()
def reconstruct_style(
    image: Tensor,
    layer_sets: Sequence[Layers] = STYLE_LAYER_SETS,
    *,
    net: Network | None = None,
    style_statistics: str | Sequence[str] = Row.style_statistics,
    size: tuple[int, int] | None = None,
    init: str | Tensor = "noise",
    seed: int = 0,
    device: str = "auto",
    tile: int | None = None,
    steps: int = Settings.steps,
    optimizer: str = Settings.optimizer,
    learning_rate: LearningRate = Settings.learning_rate,
    tolerance: float | None = Settings.tolerance,
    exact: bool = True,
    callback: Callback | None = None,
    progress: bool = True,
    checkpoint: str | Path | None = None,
) -> Result:
    """Figure 1, bottom: what the Gram matrices of some layers know of a painting.

    From white noise, a picture with the same Gram matrices (eq. 5, each layer with the weight
    1 / number of layers in the set); one for each of ``layer_sets``, in one run, or of
    ``style_statistics``.

    Args:
        image: (1, 3, H, W), RGB, 0..1: a painting or a texture.
        layer_sets: lists of layer names, or dictionaries with their weights; one picture each.
        size: (height, width) of the pictures; by default that of ``image``.
        net, style_statistics, seed, device, tile: as for :func:`nst_utils.transfer`.
        exact: plain L-BFGS, because :mod:`nst_utils.optimize.curvature`, where no layer holds the
            place of things, lays the colors down in a few large stains.
        init: ``"noise"``, or a picture (1, 3, H, W) to start from.
        steps, optimizer, learning_rate, tolerance, callback, progress, checkpoint: see
            :func:`nst_utils.minimize`.

    Raises:
        ValueError: as :func:`nst_utils.transfer`.
    """
    layer_sets, style_statistics = listed(layer_sets, style_statistics)
    settings = plain_settings(locals())
    how = Settings(steps, optimizer, learning_rate, tolerance, exact)
    checks.function("callback", callback)
    checks.one_image("image", image)
    several = checks.is_several(layer_sets) and not isinstance(layer_sets, Mapping)
    layer_sets = list(layer_sets) if several else []
    if not layer_sets or any(isinstance(layers, str) for layers in layer_sets):
        raise ValueError("layer_sets must be a list of lists of layer names: [['conv1_1'], ...]")
    known = known_layers(net)
    settings_of_each = broadcast(
        style_layers=[style_weights_of(as_layers(layers, known), None) for layers in layer_sets],
        style_statistics=as_statistics(style_statistics),
    )
    rows = [Row(style=image, style_weight=1.0, **given) for given in settings_of_each]
    canvas = image if size is None else resize(image, size)
    start = start_picture(init, canvas, image, seed).repeat(len(rows), 1, 1, 1)
    return _minimized(
        rows,
        start,
        how,
        net=net,
        device=device,
        tile=tile,
        callback=callback,
        progress=progress,
        checkpoint=checkpoint,
        settings=settings,
    )


def _minimized(
    rows: Sequence[Row],
    start: Tensor,
    how: Settings,
    *,
    net: Network | None,
    device: str,
    tile: int | None,
    formulas: Formulas = Formulas(),
    **run: Any,
) -> Result:
    """The table of the rows, made and run; ``run`` is what the loop is given besides."""
    make_objective = objective_maker(
        net,
        rows,
        device,
        size=start.shape[2:],
        optimizer=how.optimizer,
        tile=tile,
        formulas=formulas,
    )
    return minimize(make_objective(rows), start, **vars(how), **run)
