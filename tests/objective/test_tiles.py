"""Tiles: the loss and the gradient of the whole picture, from its parts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

import nst_utils as nst
from nst_utils.networks.architectures import ARCHITECTURES
from nst_utils.networks.network import Network, between_layers
from nst_utils.networks.weights import Weights, load_weights
from nst_utils.objective import tiles
from nst_utils.objective.formulas import CONTENT_REDUCTIONS, STYLE_REDUCTIONS, Formulas
from nst_utils.objective.rows import Painting, Row, Weighting
from nst_utils.objective.table import Evaluation, Objective

VGG = ARCHITECTURES["vgg19"]
DEEP = {f"conv{block}_1": 0.2 for block in range(1, 6)}
SHALLOW = {"conv1_1": 0.3, "conv2_1": 0.7}
# Longer than two halos of conv5_1, so that there are parts that a tile does not see.
SIZE = (37, 271)


@pytest.fixture(scope="module")
def net(thin_net: nst.Network) -> nst.Network:
    """What is tested here goes on around the network."""
    return thin_net


def picture(name: str, height: int, width: int) -> Tensor:
    return nst.resize(nst.load_image(name, 300), (height, width))


@pytest.fixture(scope="module")
def photograph() -> Tensor:
    return picture("chelsea", *SIZE)


@pytest.fixture(scope="module")
def painting() -> Tensor:
    return picture("starry-night", 49, 230)


@pytest.fixture(scope="module")
def lively() -> Tensor:
    return torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))


def deep_row(photograph: Tensor, painting: Any, **options: Any) -> Row:
    return Row(photograph, painting, {"conv4_2": 1.0}, DEEP, 1e-2, 1.0, **options)


def shallow_row(photograph: Tensor, painting: Any, **options: Any) -> Row:
    return Row(photograph, painting, {"conv2_2": 1.0}, SHALLOW, 1e-2, 1.0, **options)


def both_ways(
    net: Network, rows: list[Row], images: Tensor, tile: int, **formulas: Any
) -> tuple[Evaluation, Evaluation]:
    how = Formulas(**formulas)
    whole, tiled = (Objective(net, rows, tile=side, formulas=how) for side in (None, tile))
    return whole.evaluate(images), tiled.evaluate(images)


def assert_same(whole: Evaluation, tiled: Evaluation, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(tiled.loss, whole.loss, rtol=tolerance, atol=0)
    torch.testing.assert_close(tiled.terms, whole.terms, rtol=tolerance, atol=0, equal_nan=True)
    for one, other in zip(tiled.gradient, whole.gradient, strict=True):
        assert (one - other).norm() <= tolerance * other.norm()
    assert whole.gradient.norm() > 0


@given(
    st.tuples(st.integers(16, 700), st.integers(16, 700)),
    st.integers(1, 800),
    st.sampled_from(VGG.layers),
)
@example((40, 33), 1, "conv1_2")
@example((513, 16), 512, "conv5_1")
@settings(deadline=None, max_examples=100)
def test_tiles_cover_a_picture_once(size: tuple[int, int], side: int, layer: str) -> None:
    stride = VGG.strides[layer]
    assume(size[0] * size[1] < 10_000 * max(side, stride) ** 2)  # half a million tiles take long
    parts = tiles.cut(VGG, [layer, "conv1_1"], size, side)
    hits = torch.zeros(1, 1, *size, dtype=torch.int8)
    positions = torch.zeros(1, 1, *VGG.size(layer, size), dtype=torch.int8)
    around = tiles.halo(VGG, [layer, "conv1_1"])
    for part in parts:
        part.of_whole(hits, 1).add_(1)
        part.of_whole(positions, stride).add_(1)
        for own, seen, length in zip(part.own, part.seen, size, strict=True):
            assert own.first % stride == seen.first % stride == 0
            assert seen == (max(0, own.first - around), min(length, own.end + around))
            assert own.end - own.first <= max(side, stride) + 2 * (stride - 1)
    assert (hits == 1).all()
    assert (positions == 1).all()


@pytest.mark.parametrize("layer", ["conv1_1", "conv1_2", "conv2_1", "conv3_3", "conv5_1"])
def test_the_halo_is_as_far_as_a_layer_sees(layer: str, net: Network) -> None:
    """With a halo, a tile's responses do not depend on what is beyond; a step nearer they do."""
    stride, around = net.stride(layer), tiles.halo(VGG, [layer])
    size = (2 * around + 6 * stride, 2 * stride)
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)).double()
    image.requires_grad_(True)
    middle = slice(around // stride, around // stride + 1)
    response = copy.deepcopy(net).double()(image, [layer])[layer]
    (reach,) = torch.autograd.grad(response[:, :, middle].sum(), image)
    rows = reach.abs().sum((0, 1, 3)).nonzero().flatten()
    assert 0 <= rows[0] < stride  # the cut is at row `around`, and nothing nearer would do
    assert 2 * around <= rows[-1] < 2 * around + stride


@pytest.mark.parametrize("tile", [64, 100, 1000])
def test_every_layer_of_the_paper_in_tiles(
    tile: int, net: Network, photograph: Tensor, painting: Tensor, lively: Tensor
) -> None:
    whole, tiled = both_ways(net, [deep_row(photograph, painting)], lively, tile)
    assert_same(whole, tiled)
    assert tiled.gradient.isfinite().all()


@pytest.mark.parametrize(("size", "tile"), [((61, 93), 8), ((61, 93), 30), ((9, 11), 1)])
def test_a_picture_that_is_cut_both_ways(size: tuple[int, int], tile: int, net: Network) -> None:
    """Odd sizes, of which a pooling leaves something out, and tiles of two pixels a side."""
    row = shallow_row(picture("chelsea", *size), picture("starry-night", 55, 71))
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    assert_same(*both_ways(net, [row], image, tile))


@pytest.mark.parametrize("style_reduction", STYLE_REDUCTIONS)
@pytest.mark.parametrize("content_reduction", CONTENT_REDUCTIONS)
def test_every_reduction(
    style_reduction: str,
    content_reduction: str,
    net: Network,
    photograph: Tensor,
    painting: Tensor,
    lively: Tensor,
) -> None:
    formulas = {"style_reduction": style_reduction, "content_reduction": content_reduction}
    rows = [shallow_row(photograph, painting)]
    assert_same(*both_ways(net, rows, lively, 96, **formulas))


def test_masks_blends_and_total_variation(
    net: Network, photograph: Tensor, painting: Tensor, lively: Tensor
) -> None:
    left = torch.zeros(1, 1, *SIZE)
    left[..., :130] = torch.linspace(1, 0.1, 130)
    source = torch.zeros(1, 1, *painting.shape[2:])
    source[..., 40:] = 1
    other = picture("great-wave", 64, 64)
    masked = [
        Painting(painting, region=left, source=source),
        Painting(other, 3.0, region=1 - left),
        Painting(painting, 1.0, region=1 - left),
    ]
    rows = [
        shallow_row(photograph, masked, tv_weight=1e-4),
        shallow_row(photograph, [Painting(painting, 1.0), Painting(other, 2.0)], tv_weight=1.0),
        shallow_row(photograph, other),
    ]
    images = torch.cat([lively, lively.flip(3), 1 - lively])
    whole, tiled = both_ways(net, rows, images, 80, tv_power=1)
    assert_same(whole, tiled)
    how = Formulas(tv_power=1)
    table = Objective(net, rows, formulas=how, tile=80)
    only_one = table.evaluate(images[1:2], [1])
    assert_same(Evaluation(*(each[1:2] for each in whole)), only_one)


def test_other_weights_from_now_on(
    net: Network, photograph: Tensor, painting: Tensor, lively: Tensor
) -> None:
    new = Weighting(content_weight=3.0, style_layers={"conv1_1": 0.0})
    whole, tiled = (
        Objective(net, [shallow_row(photograph, painting)], tile=tile).reweighed(new)
        for tile in (None, 64)
    )
    assert_same(whole.evaluate(lively), tiled.evaluate(lively))


def test_max_pooling_and_vgg16(photograph: Tensor, painting: Tensor, lively: Tensor) -> None:
    """With those of VGG-19's kernels whose layers it has."""
    known = load_weights("bundled")
    vgg16 = ARCHITECTURES["vgg16"]
    kernels, biases = ({k: v[k] for k in vgg16.layers} for v in (known.kernels, known.biases))
    net = Network(replace(known, architecture=vgg16, kernels=kernels, biases=biases), pooling="max")
    row = Row(photograph, painting, {"conv3_3": 1.0}, {"conv4_1": 1.0}, 1e-2, 1.0)
    assert_same(*both_ways(net, [row], lively, 64))


def test_bfloat16_up_to_its_own_rounding(
    photograph: Tensor, painting: Tensor, lively: Tensor
) -> None:
    net = nst.vgg19(precision="bfloat16")
    assert_same(*both_ways(net, [shallow_row(photograph, painting)], lively, 64), 2e-2)


def test_a_network_with_overlapping_poolings_says_no(photograph: Tensor) -> None:
    squeezenet = ARCHITECTURES["squeezenet1_1"]
    shapes = squeezenet.shapes.items()
    kernels = {part: torch.zeros(n, before, side, side) for part, (n, before, side) in shapes}
    biases = {part: torch.zeros(shape[0]) for part, shape in shapes}
    net = Network(Weights(squeezenet, kernels, biases, load_weights("bundled").preprocessing, ""))
    row = Row(photograph, None, {"fire9": 1.0}, {}, 1.0)
    with pytest.raises(ValueError, match="squeezenet1_1 cannot work in tiles"):
        Objective(net, [row], tile=64)
    for size in ((37, 271), (64, 65), (38, 40), (35, 36)):
        for layer, response in net(torch.rand(1, 3, *size), squeezenet.layers).items():
            assert response.shape[2:] == squeezenet.size(layer, size)


def test_a_pause_takes_effect_within_a_tile(
    net: Network, photograph: Tensor, painting: Tensor, lively: Tensor
) -> None:
    class StoppedError(Exception):
        pass

    def stop() -> None:
        raise StoppedError

    objective = Objective(net, [shallow_row(photograph, painting)], tile=64)
    before = objective.evaluate(lively)
    token = between_layers.set(stop)
    try:
        with pytest.raises(StoppedError):
            objective.evaluate(lively)
    finally:
        between_layers.reset(token)
    assert torch.equal(objective.evaluate(lively).gradient, before.gradient)


@pytest.mark.parametrize("tile", [0, -5, 2.5, "64", True])
def test_a_tile_that_is_no_number_of_pixels_is_a_sentence(
    tile: Any, net: Network, photograph: Tensor
) -> None:
    row = Row(photograph, None, {"conv1_1": 1.0}, {}, 1.0)
    with pytest.raises(ValueError, match="tile must be a whole number of at least 1"):
        Objective(net, [row], tile=tile)


def test_every_experiment_may_be_made_in_tiles(net: Network) -> None:
    """Coarse levels too; the same pictures, though an optimizer makes more of rounding."""
    photograph, painting = picture("chelsea", 130, 150), picture("starry-night", 90, 80)
    run: dict[str, Any] = {"net": net, "device": "cpu", "progress": False}
    experiments = [
        lambda tile: nst.transfer(
            *(photograph, painting),
            style_layers=list(SHALLOW),
            content_layers=["conv2_2"],
            steps=5,
            tile=tile,
            **run,
        ),
        lambda tile: nst.reconstruct_content(photograph, ["conv2_1"], steps=2, tile=tile, **run),
        lambda tile: nst.reconstruct_style(painting, [["conv2_1"]], steps=2, tile=tile, **run),
    ]
    for experiment in experiments:
        whole, tiled = experiment(None), experiment(48)
        assert tiled.levels == whole.levels
        assert tiled.settings["tile"] == 48
        difference = (tiled.image - whole.image).abs()
        assert 0 < difference.mean() < 1e-4
        assert difference.max() < 5 / 255


@pytest.mark.parametrize("command", ["transfer", "reconstruct-content", "reconstruct-style"])
def test_the_command_line_has_tiles(
    command: str, run: Callable[..., Any], shared_net: list[Any], tmp_path: Path
) -> None:
    report, out = tmp_path / "report.json", tmp_path / "out.png"
    pictures = ["chelsea", "starry-night"] if command == "transfer" else ["chelsea"]
    layers = {
        "transfer": ["--content-layers", "conv1_1", "--style-layers", "conv1_1"],
        "reconstruct-content": ["--layers", "conv1_1"],
        "reconstruct-style": ["--layer-sets", "conv1_1"],
    }[command]
    options = ["--size", 64, "--steps", 1, "--tile", 32, "--quiet", "-o", out, "--report", report]
    outcome = run(command, *pictures, *layers, *options)
    assert outcome.code == 0, outcome.err
    assert json.loads(report.read_text())["config"]["tile"] == 32
    assert run(command, *pictures, *layers, "--tile", "0", "-o", out).complaint == (
        f"nst: argument --tile: must be a whole number from 1 to 1000000000, got '0' (see nst "
        f"{command} --help)"
    )
