"""From what users pass in to the rows of the table and the pictures they start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from typing import Any, TypeGuard

import torch
from torch import Tensor

from nst_utils.experiments.defaults import INITS
from nst_utils.images.files import noise_image, resize
from nst_utils.memory import estimate
from nst_utils.memory.step_down import WithinMemory
from nst_utils.networks.architectures import VGG19_LAYERS, check_layers
from nst_utils.networks.builders import vgg19
from nst_utils.networks.network import Network, on_device
from nst_utils.objective import tiles
from nst_utils.objective.formulas import STYLE_STATISTICS, Formulas
from nst_utils.objective.rows import Painting, Row, check_mask
from nst_utils.objective.table import Objective
from nst_utils.support import checks

# Names of layers, or the weight of each.
Layers = Sequence[str] | Mapping[str, float]


MakeObjective = Callable[[Sequence[Row]], Objective]


def objective_maker(
    net: Network | None,
    rows: Sequence[Row],
    device: str,
    *,
    size: Sequence[int],
    optimizer: str,
    tile: int | None,
    formulas: Formulas = Formulas(),
) -> MakeObjective:
    """What makes the table of rows, on the device where the work is to be done.

    Args:
        net, device, optimizer, tile: as the user gave them.
        rows: the largest that it will be asked for. size: (height, width) of their pictures.
        formulas: the readings of the equations.

    Raises:
        ValueError: a run will need more memory than there is; a bad setting.
    """
    if net is not None and not is_network(net):
        raise ValueError(f"net must be a network as nst.vgg19() gives it, got {checks.shown(net)}")
    net = on_device(vgg19() if net is None else net, checks.device(device))
    tiles.check(net.architecture, tile)
    estimate.check_fits(net, rows, (size[0], size[1]), optimizer, tile)
    return partial(WithinMemory, net, formulas=formulas, tile=tile, may_move=device == "auto")


def known_layers(net: object) -> tuple[str, ...]:
    """The layers that can be named; the default network's where none is given."""
    return net.layers if is_network(net) else VGG19_LAYERS


def is_network(net: object) -> TypeGuard[Network]:
    """Whether it is a network; what ``torch.compile(net)`` gives behaves as one."""
    return isinstance(getattr(net, "_orig_mod", net), Network)


def style_parts(
    style: object,
    blend: Sequence[Any] | None,
    masks: Sequence[Any] | None,
    style_masks: Sequence[Any] | None,
    size: Sequence[int],
) -> list[list[Painting]]:
    """The paintings of each picture to be made, from the style options of ``transfer``.

    Args:
        style: a picture or several. blend, masks, style_masks: see
            :func:`nst_utils.experiments.style_transfer.transfer`.
        size: (height, width) of the picture to be made.
    """
    pictures = [checks.one_image("style", each) for each in as_list("style", style)]
    if blend is not None and masks is not None:
        raise ValueError("style_blend and masks cannot be combined; leave one of them out")
    if style_masks is not None and masks is None:
        raise ValueError("style_masks need masks, which say where each style belongs")
    if blend is not None:
        return [_blended(pictures, shares) for shares in _as_share_lists(blend)]
    if masks is None:
        return [[Painting(picture)] for picture in pictures]
    _same_number("masks", masks, pictures)
    sources = [None] * len(pictures) if style_masks is None else list(style_masks)
    _same_number("style_masks", sources, pictures)
    return [
        [
            Painting(
                picture,
                region=check_mask(f"mask {number}", mask, size),
                source=None
                if source is None
                else check_mask(f"style mask {number}", source, picture.shape[2:]),
            )
            for number, (picture, mask, source) in enumerate(
                zip(pictures, masks, sources, strict=True), start=1
            )
        ]
    ]


def _blended(pictures: list[Tensor], shares: list[Any]) -> list[Painting]:
    _same_number("style_blend", shares, pictures)
    return [
        Painting(picture, share=checks.weight("a share of style_blend", share))
        for picture, share in zip(pictures, shares, strict=True)
    ]


def _as_share_lists(blend: Any) -> list[list[Any]]:
    shares = as_list("style_blend", blend)
    several = any(checks.is_several(share) for share in shares)
    return [as_list("style_blend", each) for each in shares] if several else [shares]


def _same_number(what: str, values: Sequence[Any], pictures: Sequence[Tensor]) -> None:
    if not isinstance(values, (list, tuple)) or len(values) != len(pictures):
        got = f"{len(values)}" if isinstance(values, (list, tuple)) else type(values).__name__
        raise ValueError(
            f"{what} must be a list with one value for each of the {len(pictures)} style pictures, "
            f"got {got}"
        )


def content_weights_of(layers: Layers) -> dict[str, float]:
    """Layer -> weight in the sum over layers, 1 where none is given."""
    return dict(layers) if isinstance(layers, Mapping) else dict.fromkeys(layers, 1.0)


def style_weights_of(layers: Layers, weights: Sequence[float] | None) -> dict[str, float]:
    """Layer -> w_l of eq. 5, all alike where none are given."""
    if isinstance(layers, Mapping):
        if weights is not None:
            raise ValueError(
                "style_layers has weights already; leave style_layer_weights out, or give "
                "style_layers as a list"
            )
        return dict(layers)
    if weights is None:
        return {layer: 1 / len(layers) for layer in layers}
    one_tensor = isinstance(weights, Tensor) and weights.ndim == 1
    weights = list(weights) if one_tensor else as_list("style_layer_weights", weights)
    if len(weights) != len(layers):
        raise ValueError(
            f"style_layer_weights has {len(weights)} values for {len(layers)} style layers; "
            "give one for each"
        )
    return {
        layer: checks.weight(f"the weight of {layer}", value)
        for layer, value in zip(layers, weights, strict=True)
    }


def start_picture(init: object, content: Tensor, style: Tensor, seed: object) -> Tensor:
    """(1, 3, H, W) on the CPU, where a picture begins: of content's size."""
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


def as_list(what: str, value: Any) -> list[Any]:
    """A list of the values; of one where it is a single value."""
    if isinstance(value, (Mapping, Set)):
        raise ValueError(
            f"{what} must be one value or a list of them, got {checks.shown(value)}, which has no "
            "order; give a list"
        )
    return list(value) if checks.is_several(value) else [value]


def as_statistics(names: Any) -> list[str]:
    """Names of :mod:`nst_utils.objective.statistics`, of one or of several."""
    several = as_list("style_statistics", names)
    return [checks.one_of("style_statistics", name, STYLE_STATISTICS) for name in several]


def as_layer_lists(what: str, layers: Any, known: Sequence[str]) -> list[Layers]:
    """Layer names, a dictionary of their weights, or a list of either, as the latter.

    ``known`` are the network's layers.
    """
    if isinstance(layers, (str, Mapping)):
        return [as_layers(layers, known)]
    if not checks.is_several(layers):
        raise ValueError(f"{what} must be a list of names, got {checks.shown(layers)}")
    layers = list(layers)
    if any(isinstance(layer, str) for layer in layers):
        return [as_layers(layers, known)]
    return [as_layers(each, known) for each in layers]


def as_layers(layers: Any, known: Sequence[str]) -> Layers:
    """Names that the network has, with their weights where it is a dictionary."""
    if not isinstance(layers, Mapping):
        return check_layers(layers, known=known)
    pairs = zip(check_layers(list(layers), known=known), layers.values(), strict=True)
    return {name: checks.weight(f"the weight of {name}", value) for name, value in pairs}


def broadcast(**options: list[Any]) -> list[dict[str, Any]]:
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
