"""What each network is made of, before any number is loaded: layers by name, shapes, poolings.

VGG's layers are named as in the paper (``conv4_2``), SqueezeNet's as in its own (``fire2``). A
response is always taken after the layer's ReLU.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nst_utils.support import checks

POOLINGS = ("avg", "max")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
# Whose mean activations become 1: those of the network as it was trained, with max pooling, as the
# authors did before they replaced the pooling; those with the pooling that it has; nobody's.
NORMALIZATIONS = ("authors", "pooling", "none")
# What the first convolution sees beyond the picture's edge; with "nearest", poolings round up, too.
PADDINGS = ("nearest", "zeros")


@dataclass(frozen=True)
class Architecture:
    """A network without its numbers.

    Attributes:
        name: torchvision's name, and that of its builder here.
        layers: whose responses can be asked for, from the picture on.
        shapes: convolution -> (filters, filters before, side of the kernel). In VGG a layer is one
            convolution; a SqueezeNet layer ``fireN`` has three.
        modules: convolution -> its name in torchvision's state dict (``features.21``).
        normalizations: convolution -> the name of the batch normalization after it, if any.
        pooled: layers that have a pooling before them.
        strides: layer -> how many pixels lie between two of its positions.
        pool_side: of the windows of its poolings, which lie two positions apart.
        border: pixels of each side that its first convolution leaves out, if it has no padding.
        rounds_up: whether a last odd row or column is a pooling's window of its own. Else, where
            windows do not overlap, it is left out.
    """

    name: str
    layers: tuple[str, ...]
    shapes: dict[str, tuple[int, int, int]]
    modules: dict[str, str]
    pooled: frozenset[str]
    strides: dict[str, int]
    pool_side: int = 2
    border: int = 0
    rounds_up: bool = False
    normalizations: dict[str, str] = field(default_factory=dict)

    def filters(self, layer: str) -> int:
        """N_l, the number of a layer's filters."""
        if layer in self.shapes:
            return self.shapes[layer][0]
        return self.shapes[f"{layer}.expand1x1"][0] + self.shapes[f"{layer}.expand3x3"][0]

    def size(self, layer: str, picture: Sequence[int]) -> tuple[int, int]:
        """(H_l, W_l) of a layer's responses to a picture of (height, width)."""
        stride = self.strides[layer]
        more = stride - 1 if self.rounds_up else -self.border
        height, width = ((side + more) // stride for side in picture)
        return height, width

    def least_side(self, layer: str) -> int:
        """Pixels that both sides of a picture need for a layer."""
        # Windows that overlap need more than their stride.
        return self.strides[layer] * (2 if self.overlapping_pooling else 1)

    @property
    def overlapping_pooling(self) -> bool:
        """Whether the windows of its poolings overlap: then it cannot work in tiles."""
        return self.pool_side > 2

    @property
    def is_padded(self) -> bool:
        """Whether its first convolution looks beyond the picture's edge."""
        return self.border == 0

    @property
    def can_be_normalized(self) -> bool:
        """Whether each layer is one convolution of the layer before (section 2 of the paper)."""
        return all(layer in self.shapes for layer in self.layers)


# Filters of each of VGG's five blocks (Simonyan & Zisserman 2015, table 1).
_VGG_FILTERS = (64, 128, 256, 512, 512)


def _vgg(name: str, convolutions_per_block: tuple[int, ...], batch_norm: bool) -> Architecture:
    """Blocks of 3x3 convolutions, each followed by a ReLU, a pooling of 2x2 between blocks.

    In torchvision's ``features`` all of these are counted: conv4_2 of VGG-19 is number 21, and with
    batch normalization, which stands between a convolution and its ReLU, number 30.
    """
    shapes, modules, normalizations, strides = {}, {}, {}, {}
    before, index = 3, 0
    for block, convolutions in enumerate(convolutions_per_block, start=1):
        for i in range(1, convolutions + 1):
            layer = f"conv{block}_{i}"
            shapes[layer] = (_VGG_FILTERS[block - 1], before, 3)
            modules[layer] = f"features.{index}"
            strides[layer] = 2 ** (block - 1)
            if batch_norm:
                normalizations[layer] = f"features.{index + 1}"
            before = _VGG_FILTERS[block - 1]
            index += 3 if batch_norm else 2
        index += 1
    pooled = frozenset(f"conv{block}_1" for block in range(2, len(convolutions_per_block) + 1))
    return Architecture(
        name, tuple(shapes), shapes, modules, pooled, strides, normalizations=normalizations
    )


# Number in torchvision's ``features`` -> filters of the squeeze and of each of both expansions
# (Iandola et al. 2016, table 1; SqueezeNet 1.1 has its poolings earlier).
_FIRES = {
    3: (16, 64),
    4: (16, 64),
    6: (32, 128),
    7: (32, 128),
    9: (48, 192),
    10: (48, 192),
    11: (64, 256),
    12: (64, 256),
}


def _squeezenet() -> Architecture:
    """A convolution, then eight "fire" modules: 1x1 kernels squeeze, 1x1 and 3x3 kernels expand.

    ``conv1`` is number 1 of ``features`` (0 and its ReLU), ``fire2`` number 3, ``fire3`` 4,
    ``fire4`` 6, ``fire5`` 7.
    """
    shapes, modules, strides = {"conv1": (64, 3, 3)}, {"conv1": "features.0"}, {"conv1": 2}
    before = 64
    for number, (index, (squeezed, expanded)) in enumerate(_FIRES.items(), start=2):
        fire = f"fire{number}"
        for part, shape in {
            "squeeze": (squeezed, before, 1),
            "expand1x1": (expanded, squeezed, 1),
            "expand3x3": (expanded, squeezed, 3),
        }.items():
            shapes[f"{fire}.{part}"] = shape
            modules[f"{fire}.{part}"] = f"features.{index}.{part}"
        strides[fire] = 4 if index < 6 else 8 if index < 9 else 16
        before = 2 * expanded
    pooled = frozenset({"fire2", "fire4", "fire6"})
    layers = tuple(strides)
    return Architecture("squeezenet1_1", layers, shapes, modules, pooled, strides, 3, border=1)


def check_reading(architecture: Architecture, normalized: str | bool, padding: str | None) -> None:
    """Raise ``ValueError`` for a normalization or a padding that a network cannot have."""
    if not isinstance(normalized, bool):
        checks.one_of("normalized", normalized, NORMALIZATIONS)
    if normalized not in (False, "none") and not architecture.can_be_normalized:
        raise ValueError(f'{architecture.name} cannot be normalized; leave normalized at "none"')
    if padding is not None:
        checks.one_of("padding", padding, PADDINGS)
    if padding == "nearest" and not architecture.is_padded:
        raise ValueError(
            f'{architecture.name} looks at no border around the picture; leave padding at "zeros"'
        )


def usual_padding(normalized: str | bool) -> str:
    """Of the first convolution: zeros where a network is as it was trained."""
    as_trained = normalized is False or (isinstance(normalized, str) and normalized == "none")
    return "zeros" if as_trained else "nearest"


ARCHITECTURES = {
    "vgg19": _vgg("vgg19", (2, 2, 4, 4, 4), batch_norm=False),
    "vgg16": _vgg("vgg16", (2, 2, 3, 3, 3), batch_norm=False),
    "vgg19_bn": _vgg("vgg19_bn", (2, 2, 4, 4, 4), batch_norm=True),
    "squeezenet1_1": _squeezenet(),
}
VGG19_LAYERS = ARCHITECTURES["vgg19"].layers


def check_layers(
    layers: Sequence[str], unique: bool = True, known: Sequence[str] = VGG19_LAYERS
) -> list[str]:
    """Return the layer names as a list; raise ``ValueError`` for none or for an unknown one.

    ``relu4_2``, as others call the response of ``conv4_2`` after its ReLU, is taken for that. With
    ``unique``, a layer that is named twice is refused too: its weight would be ambiguous.
    """
    if isinstance(layers, str):
        raise ValueError(f"layers must be a list of names, for instance [{checks.shown(layers)}]")
    if not checks.is_several(layers) or isinstance(layers, Mapping):
        raise ValueError(f"layers must be a list of names, got {checks.shown(layers)}")
    names = [checks.one_of("layer", _as_convolution(layer), known) for layer in layers]
    if unique and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"layer {twice} is named twice; name each layer once")
    if not names:
        example = known[len(known) // 2 + 1]  # of VGG-19, conv4_2
        raise ValueError(f"no layer is named; name at least one, for instance '{example}'")
    return names


def _as_convolution(layer: object) -> object:
    return re.sub(r"^relu(?=\d_\d$)", "conv", layer) if isinstance(layer, str) else layer
