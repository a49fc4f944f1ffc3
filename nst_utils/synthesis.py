"""The paper's three experiments: style transfer and the two kinds of reconstruction.

Each only fills in the table of :mod:`nst_utils.objective` for :func:`nst_utils.runs.minimize`. A
setting that is given as a list makes one picture for each value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from nst_utils import checks
from nst_utils.images import noise_image, resize
from nst_utils.levels import coarse_levels
from nst_utils.networks import VGG19, check_layers, on_device, vgg19
from nst_utils.objective import Objective, Row
from nst_utils.runs import Callback, Result, minimize, plain_settings

# Figure 3: content from conv4_2, style from five layers, each with the weight w_l = 1/5.
CONTENT_LAYERS = ("conv4_2",)
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
# Figure 1, top and bottom.
RECONSTRUCTION_LAYERS = ("conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2")
STYLE_LAYER_SETS = tuple(STYLE_LAYERS[:depth] for depth in range(1, 6))
# Paper: alpha/beta from 5e-4 to 5e-3 in figure 3. Here: 5e-2, because with the mean of equation 1
# the photograph shows later (benchmarks/README.md): at 1e-3 hardly anything of it is left.
CONTENT_WEIGHT = 5e-2
INITS = ("noise", "content", "style")


def transfer(
    content: Tensor,
    style: Tensor | Sequence[Tensor],
    *,
    net: VGG19 | None = None,
    content_weight: float | Sequence[float] = CONTENT_WEIGHT,
    style_weight: float | Sequence[float] = 1.0,
    content_layers: Sequence[str] | Sequence[Sequence[str]] = CONTENT_LAYERS,
    style_layers: Sequence[str] | Sequence[Sequence[str]] = STYLE_LAYERS,
    style_layer_weights: Sequence[float] | None = None,
    content_reduction: str = "mean",
    init: str | Tensor | Sequence[str | Tensor] = "noise",
    steps: int = 300,
    optimizer: str = "lbfgs",
    learning_rate: float = 0.02,
    tolerance: float | None = None,
    exact: bool = False,
    seed: int | Sequence[int] = 0,
    device: str = "auto",
    callback: Callback | None = None,
    progress: bool = True,
) -> Result:
    """Paint the content of a photograph in the style of a painting (eq. 7, figures 3 to 7).

    Lists of one length make several pictures in one run: ``content_weight=[1e-4, 1e-3, 1e-2]``.

    Args:
        content: (1, 3, H, W), RGB, 0..1: the photograph, whose size the result has.
        style: (1, 3, H', W'), the painting; of any size.
        net: by default :func:`nst_utils.vgg19`, the paper's; copied if on another device.
        content_weight: alpha. style_weight: beta. Only their ratio matters to the picture.
        content_layers, style_layers: by name.
        style_layer_weights: w_l for each style layer; by default 1 / number of layers.
        content_reduction: ``"mean"`` or ``"sum"`` of eq. 1 (see
            :func:`nst_utils.losses.content_loss`).
        init: ``"noise"``, ``"content"``, ``"style"``, or a picture (1, 3, H, W) to start from.
        exact: the paper's procedure to the letter, without :mod:`nst_utils.levels` (where all start
            from noise, first at smaller sizes) and without :mod:`nst_utils.curvature`.
        seed: of the noise. device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        steps, optimizer, learning_rate, tolerance, callback, progress: see
            :func:`nst_utils.runs.minimize`.

    Raises:
        ValueError: any setting or picture that cannot be used; the message says what to do.
    """
    settings = plain_settings(locals())
    checks.one_image("content", content)
    table = _broadcast(
        content_weight=_as_list(content_weight),
        style_weight=_as_list(style_weight),
        style=_as_list(style),
        content_layers=_as_layer_lists(content_layers),
        style_layers=_as_layer_lists(style_layers),
        init=_as_list(init),
        seed=_as_list(seed),
    )
    rows = [
        Row(
            content=content,
            style=checks.one_image("style", row["style"]),
            content_layers=dict.fromkeys(row["content_layers"], 1.0),
            style_layers=_style_table(row["style_layers"], style_layer_weights),
            content_weight=checks.weight("content_weight", row["content_weight"]),
            style_weight=checks.weight("style_weight", row["style_weight"]),
        )
        for row in table
    ]
    starts = [_start(row["init"], content, row["style"], row["seed"]) for row in table]
    objective = _objective(net, rows, device, content_reduction)
    coarse = []
    # A picture to start from has its large shapes already; Adam is run as others run it.
    from_noise = all(isinstance(row["init"], str) and row["init"] == "noise" for row in table)
    if from_noise and optimizer == "lbfgs" and not exact:
        coarse = coarse_levels(objective.net, rows, content.shape[2:], content_reduction)
    return minimize(
        objective,
        torch.cat(starts),
        steps=steps,
        optimizer=optimizer,
        learning_rate=learning_rate,
        tolerance=tolerance,
        exact=exact,
        coarse=coarse,
        callback=callback,
        progress=progress,
        settings=settings,
    )


def reconstruct_content(
    image: Tensor,
    layers: Sequence[str] = RECONSTRUCTION_LAYERS,
    *,
    net: VGG19 | None = None,
    content_reduction: str = "mean",
    init: str | Tensor = "noise",
    seed: int = 0,
    device: str = "auto",
    **run: Any,
) -> Result:
    """Figure 1, top: what each layer still knows of a photograph.

    From white noise, a picture is found with the same responses in one layer (eq. 1); one picture
    for each of ``layers``, in one run.

    Args:
        image: (1, 3, H, W), RGB, 0..1.
        layers: by name; one picture each.
        net, content_reduction, seed, device: as for :func:`transfer`.
        init: ``"noise"``, or a picture (1, 3, H, W) to start from.
        run: ``steps``, ``optimizer``, ... of :func:`nst_utils.runs.minimize`.

    Raises:
        ValueError: as :func:`transfer`.
    """
    settings = plain_settings({k: v for k, v in locals().items() if k != "run"} | run)
    checks.one_image("image", image)
    rows = [
        Row(content=image, content_layers={layer: 1.0}, content_weight=1.0)
        for layer in check_layers(layers)
    ]
    start = _start(init, image, image, seed).repeat(len(rows), 1, 1, 1)
    objective = _objective(net, rows, device, content_reduction)
    return minimize(objective, start, settings=settings, **run)


def reconstruct_style(
    image: Tensor,
    layer_sets: Sequence[Sequence[str]] = STYLE_LAYER_SETS,
    *,
    net: VGG19 | None = None,
    size: tuple[int, int] | None = None,
    init: str | Tensor = "noise",
    seed: int = 0,
    device: str = "auto",
    exact: bool = True,
    **run: Any,
) -> Result:
    """Figure 1, bottom: what the Gram matrices of some layers know of a painting.

    From white noise, a picture with the same Gram matrices (eq. 5, each layer with the weight
    1 / number of layers in the set); one for each of ``layer_sets``, in one run.

    Args:
        image: (1, 3, H, W), RGB, 0..1: a painting or a texture.
        layer_sets: lists of layer names; one picture each.
        size: (height, width) of the pictures; by default that of ``image``.
        net, seed, device: as for :func:`transfer`.
        exact: plain L-BFGS, because :mod:`nst_utils.curvature`, where no layer holds the place of
            things, lays the colors down in a few large stains.
        init: ``"noise"``, or a picture (1, 3, H, W) to start from.
        run: ``steps``, ``optimizer``, ... of :func:`nst_utils.runs.minimize`.

    Raises:
        ValueError: as :func:`transfer`.
    """
    settings = plain_settings({k: v for k, v in locals().items() if k != "run"} | run)
    checks.one_image("image", image)
    layer_sets = list(layer_sets)
    if any(isinstance(layers, str) for layers in layer_sets):
        raise ValueError("layer_sets must be a list of lists of layer names: [['conv1_1'], ...]")
    rows = [
        Row(style=image, style_layers=_style_table(check_layers(layers), None), style_weight=1.0)
        for layers in layer_sets
    ]
    canvas = image if size is None else resize(image, size)
    start = _start(init, canvas, image, seed).repeat(len(rows), 1, 1, 1)
    objective = _objective(net, rows, device, "mean")
    return minimize(objective, start, exact=exact, settings=settings, **run)


def _objective(net: VGG19 | None, rows: Sequence[Row], device: str, reduction: str) -> Objective:
    if not isinstance(net, (VGG19, type(None))):
        raise ValueError(f"net must be a network as nst.vgg19() gives it, got {net!r}")
    return Objective(on_device(net or vgg19(), checks.device(device)), rows, reduction)


def _style_table(layers: Sequence[str], weights: Sequence[float] | None) -> dict[str, float]:
    """Layer -> w_l of eq. 5."""
    if weights is None:
        return {layer: 1 / len(layers) for layer in layers}
    if len(weights) != len(layers):
        raise ValueError(
            f"style_layer_weights has {len(weights)} values for {len(layers)} style layers; "
            "give one for each"
        )
    return {
        layer: checks.weight(f"the weight of {layer}", value)
        for layer, value in zip(layers, weights, strict=True)
    }


def _start(init: object, content: Tensor, style: Tensor, seed: object) -> Tensor:
    """(1, 3, H, W), where a picture begins: of content's size."""
    size = (content.shape[2], content.shape[3])
    if isinstance(init, Tensor):
        return resize(_on_cpu(checks.one_image("init", init)), size)
    if not isinstance(init, str):
        raise ValueError(f"init must be {', '.join(INITS)} or a picture, got {type(init).__name__}")
    kind = checks.one_of("init", init, INITS)
    if kind == "noise":
        return noise_image(*size, seed=checks.count("seed", seed, least=0))
    return _on_cpu(content) if kind == "content" else resize(_on_cpu(style), size)


def _on_cpu(picture: Tensor) -> Tensor:
    """Starts are put together on the CPU, wherever the user's pictures are."""
    return picture.detach().to("cpu", torch.float32)


def _as_list(value: Any) -> list[Any]:
    several = isinstance(value, Iterable) and not isinstance(value, (str, Tensor))
    return list(value) if several else [value]


def _as_layer_lists(layers: Any) -> list[list[str]]:
    if isinstance(layers, str):
        return [check_layers(layers)]
    if not isinstance(layers, Iterable):
        raise ValueError(f"layers must be a list of layer names, got {layers!r}")
    layers = list(layers)
    if any(isinstance(layer, str) for layer in layers):
        return [check_layers(layers)]
    return [check_layers(each) for each in layers]


def _broadcast(**options: list[Any]) -> list[dict[str, Any]]:
    """One dict for each picture, from lists of length 1 or of one common length."""
    lengths = {name: len(values) for name, values in options.items() if len(values) != 1}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        given = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise ValueError(f"lists must all have the same length, one value a picture ({given})")
    rows = max([1, *lengths.values()])
    return [
        {name: values[i if len(values) > 1 else 0] for name, values in options.items()}
        for i in range(rows)
    ]
