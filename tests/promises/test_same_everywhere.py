"""The same picture everywhere: float64, one thread or two, compiled or not, batch or single.

What is asserted is what is promised; ``benchmarks/agreement.py`` measures the same at a real size.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from reference import ReferenceNetwork, ReferenceObjective
from thin import thin_vgg19
from torch import Tensor

import nst_utils as nst
from nst_utils.experiments.style_transfer import STYLE_LAYERS
from nst_utils.networks.network import Network, between_layers
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Objective
from nst_utils.optimize.adam import Adam
from nst_utils.optimize.lbfgs import LBFGS

QUIET: dict[str, Any] = {"device": "cpu", "progress": False}


def relative(found: Tensor, expected: Tensor) -> float:
    """|found - expected| / |expected|, in the L2 norm."""
    expected = expected.double()
    return float((found.double() - expected).norm() / expected.norm())


def gray_levels(found: Tensor, expected: Tensor) -> float:
    """The mean absolute difference of two pictures, in gray levels of 255."""
    return 255 * float((found.double() - expected.double()).abs().mean())


@pytest.fixture(scope="module")
def content() -> Tensor:
    """For single evaluations, (1, 3, 32, 48): two rows of three positions are left of it."""
    return nst.load_image("chelsea", size=48)


@pytest.fixture(scope="module")
def style() -> Tensor:
    return nst.load_image("starry-night", size=48)


@pytest.fixture(scope="module")
def photograph() -> Tensor:
    """For whole runs, (1, 3, 21, 32)."""
    return nst.load_image("chelsea", size=32)


@pytest.fixture(scope="module")
def painting() -> Tensor:
    return nst.load_image("starry-night", size=40)


@pytest.fixture(scope="module")
def lively(content: Tensor) -> list[Tensor]:
    """The photograph under strong noise, three times.

    On a flat picture many responses lie at the kink of their ReLU, where the gradient jumps.
    """
    seeds = (torch.Generator().manual_seed(seed) for seed in range(3))
    return [(content + torch.rand(content.shape, generator=seed)) / 2 for seed in seeds]


def check_gradients(found: list[Tensor], expected: list[Tensor]) -> None:
    """Equal but for rounding; one of three pictures may have a response at its kink."""
    pairs = zip(found, expected, strict=True)
    middle, largest = sorted(relative(a, b) for a, b in pairs)[1:]
    assert middle < 1e-5
    assert largest < 1e-2


@pytest.fixture(scope="module")
def flat(content: Tensor) -> Tensor:
    """Where the paper's runs begin: noise of one gray level."""
    return nst.noise_image(content.shape[2], content.shape[3])


@pytest.fixture
def one_thread() -> Iterator[None]:
    """With several threads, sums are split by their length, and so round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


Layers = tuple[dict[str, float], dict[str, float]]
PAPERS: Layers = ({"conv4_2": 1.0}, dict.fromkeys(STYLE_LAYERS, 0.2))
# A run of the whole network in float64 is for the benchmark.
FIRST_BLOCKS: Layers = ({"conv3_2": 1.0}, dict.fromkeys(STYLE_LAYERS[:3], 1 / 3))


@functools.cache
def reference_network(*given: Any) -> ReferenceNetwork:
    return ReferenceNetwork(*given)


def in_float64(
    content: Tensor,
    style: Tensor,
    net: ReferenceNetwork | None = None,
    layers: Layers = PAPERS,
) -> ReferenceObjective:
    return ReferenceObjective(net or reference_network(), content, style, *layers, 5e-2, 1.0)


def ours(content: Tensor, style: Tensor, net: Network, layers: Layers = PAPERS) -> Objective:
    return Objective(net, [Row(content, style, *layers, 5e-2, 1.0)])


# In float64.

PAPERS_READING = ("avg", "authors", "max", "nearest")


@pytest.mark.parametrize(
    ("pooling", "normalized", "means_of", "padding"),
    [
        PAPERS_READING,
        ("avg", "authors", "max", "zeros"),
        ("avg", "pooling", "avg", "nearest"),
        ("avg", "none", None, "zeros"),
        ("max", "authors", "max", "nearest"),
        ("max", "none", None, "nearest"),
    ],
)
def test_loss_gradient_and_every_term_are_those_of_float64(
    pooling: str,
    normalized: str,
    means_of: str | None,
    padding: str,
    content: Tensor,
    style: Tensor,
    lively: list[Tensor],
) -> None:
    expected = in_float64(content, style, reference_network(pooling, means_of, padding))
    net = nst.vgg19(pooling=pooling, normalized=normalized, padding=padding)
    objective = ours(content, style, net)
    found, reference = [objective.evaluate(lively[0])], [expected.evaluate(lively[0])]
    losses = objective.paper_losses(found[0].terms)
    for name, value in expected.losses(lively[0]).items():
        assert relative(losses[name][0], value) < 2e-5, name
    error = relative(found[0].gradient, reference[0].gradient)
    is_papers = (pooling, normalized, means_of, padding) == PAPERS_READING
    # To save time, the others are asked for all three only where a response may be at its kink.
    if pooling == "avg" and (is_papers or error >= 1e-5):
        found += [objective.evaluate(image) for image in lively[1:]]
        reference += [expected.evaluate(image) for image in lively[1:]]
        gradients = [[each.gradient for each in those] for those in (found, reference)]
        check_gradients(*gradients)
    for ours_, theirs in zip(found, reference, strict=True):
        assert relative(ours_.loss, theirs.loss) < 1e-5
    assert error < 2e-2  # with max, where another position is the greatest, it is that one's


def test_at_the_papers_start_the_gradient_is_float64s_but_for_the_kinks(
    net: Network, content: Tensor, style: Tensor, flat: Tensor
) -> None:
    found = ours(content, style, net).evaluate(flat)
    reference = in_float64(content, style).evaluate(flat)
    assert relative(found.loss, reference.loss) < 1e-5
    assert relative(found.gradient, reference.gradient) < 1e-2


def test_bfloat16_goes_nearly_the_same_way(
    content: Tensor, style: Tensor, lively: list[Tensor], flat: Tensor
) -> None:
    """bfloat16 has 8 bits for a number: a loss within 2 %, a direction within 12 degrees."""
    objective = ours(content, style, nst.vgg19(precision="bfloat16"))
    reference = in_float64(content, style)
    for image in (lively[0], flat):
        found, expected = objective.evaluate(image), reference.evaluate(image)
        assert 1e-6 < relative(found.loss, expected.loss) < 2e-2
        towards, truth = found.gradient.double().flatten(), expected.gradient.flatten()
        assert torch.cosine_similarity(towards, truth, dim=0) > 0.98


@pytest.mark.parametrize(
    ("kind", "loss_within", "levels_within"), [("lbfgs", 0.05, 8.0), ("adam", 5e-3, 1.0)]
)
def test_a_run_goes_as_in_float64(
    kind: str,
    loss_within: float,
    levels_within: float,
    net: Network,
    photograph: Tensor,
    painting: Tensor,
) -> None:
    """The first steps are the same. L-BFGS amplifies rounding: later they part, at equal loss."""

    def start(objective: Objective | ReferenceObjective, images: Tensor) -> LBFGS | Adam:
        if kind == "adam":
            return Adam(objective.evaluate, images, learning_rate=lambda _: 0.02)
        return LBFGS(objective.evaluate, images, curvature=True)

    gray = nst.noise_image(photograph.shape[2], photograph.shape[3])
    found = start(ours(photograph, painting, net, FIRST_BLOCKS), gray)
    reference = in_float64(photograph, painting, layers=FIRST_BLOCKS)
    expected = start(reference, gray.double())
    for step in range(1, 31):
        found.step()
        expected.step()
        if step <= 3:
            assert relative(found.loss, expected.loss) < 1e-5
            assert gray_levels(found.images, expected.images) < 0.05
    assert relative(found.loss, expected.loss) < loss_within
    assert gray_levels(found.images, expected.images) < levels_within


# Threads.

# Makes a process for each file, once it has loaded torch and the network, and used one thread only.
THREADS_SCRIPT = """
import os, sys
import torch
import nst_utils as nst
from nst_utils.objective.table import Objective
from nst_utils.objective.rows import Row

torch.set_num_threads(1)
content, style = nst.load_image("chelsea", 32), nst.load_image("starry-night", 32)
net = nst.vgg19()
layers = dict.fromkeys(("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"), 0.2)
row = Row(content, style, {"conv4_2": 1.0}, layers, 5e-2, 1.0)
seeds = (torch.Generator().manual_seed(seed) for seed in range(3))
lively = [(content + torch.rand(content.shape, generator=seed)) / 2 for seed in seeds]
run = {"net": net, "steps": 3, "progress": False, "device": "cpu"}
def make(number):
    torch.set_num_threads(number)
    loss, gradient, terms = zip(*map(Objective(net, [row]).evaluate, lively))
    image = nst.transfer(content, style, **run).image
    return torch.get_num_threads(), loss, gradient, terms, image
def save(path, numbers):
    torch.save([make(int(each)) for each in numbers.split()], path)
jobs = list(zip(sys.argv[1::2], sys.argv[2::2]))
if len(jobs) == 1:
    save(*jobs[0])
else:
    for job in jobs:
        child = os.fork()
        if not child:
            save(*job)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
"""


class Made(NamedTuple):
    """What was made with so many threads."""

    threads: int
    losses: list[Tensor]
    gradients: list[Tensor]
    terms: list[Tensor]
    image: Tensor


def with_threads(folder: Path) -> list[list[Made]]:
    """What one process makes with one thread and then with two, and another one with two."""
    jobs = [(str(folder / "one-and-two.pt"), "1 2"), (str(folder / "two.pt"), "2")]
    waiting = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    for together in [jobs] if hasattr(os, "fork") else [[job] for job in jobs]:
        command = [sys.executable, "-c", THREADS_SCRIPT, *sum(together, ())]
        subprocess.run(command, env=os.environ | waiting, check=True, timeout=300)
    return [[Made(*each) for each in torch.load(path)] for path, _ in jobs]


def test_one_thread_and_two_agree_and_each_repeats_itself_bit_for_bit(tmp_path: Path) -> None:
    (one, two), (again,) = with_threads(tmp_path)
    assert (one.threads, two.threads, again.threads) == (1, 2, 2)
    assert torch.equal(two.image, again.image)
    for a, b in zip(two.gradients, again.gradients, strict=True):
        assert torch.equal(a, b)
    assert relative(torch.cat(two.losses), torch.cat(one.losses)) < 1e-5
    assert relative(torch.cat(two.terms), torch.cat(one.terms)) < 2e-5
    check_gradients(two.gradients, one.gradients)
    assert gray_levels(two.image, one.image) < 0.5


# Compiled.

# The same for both, and the painting as large as the photograph: all else would be compiled anew.
COMPILED = ["conv1_1", "conv2_1"]
SHALLOW: dict[str, Any] = {"content_layers": ["conv1_2"], "style_layers": ["conv1_1", "conv2_1"]}
CHEAP: dict[str, Any] = {"content_layers": ["conv1_1"], "style_layers": ["conv1_1"]}


@pytest.mark.parametrize("how", ["torch.compile(net)", "net.compile()"])
def test_a_compiled_network_paints_the_same(how: str, net: Network, photograph: Tensor) -> None:
    """Without code generation, which takes minutes (``benchmarks/agreement.py`` has it)."""
    fast: Any = nst.vgg19()
    if how == "net.compile()":
        fast.compile(backend="eager")  # the graphs as they are; how they go back is in the other
    else:
        fast = torch.compile(fast, backend="aot_eager")
    painting = nst.load_image("starry-night", tuple(photograph.shape[2:]))  # type: ignore[arg-type]
    options: dict[str, Any] = {"steps": 3, **QUIET}
    options |= {"content_layers": COMPILED, "style_layers": COMPILED}
    expected = nst.transfer(photograph, painting, net=net, **options)
    found = nst.transfer(photograph, painting, net=fast, **options)
    assert relative(found.history["total_loss"], expected.history["total_loss"]) < 1e-5
    assert gray_levels(found.image, expected.image) < 0.5
    layers = dict.fromkeys(COMPILED, 0.5)
    objective = Objective(fast, [Row(photograph, painting, layers, layers, 1.0, 1.0)])
    asked: list[int] = []
    token = between_layers.set(lambda: asked.append(1))
    try:
        objective.evaluate(photograph)
    finally:
        between_layers.reset(token)
    assert asked, "a run with a compiled network could not be paused"


# Batch or single.


def halves(picture: Tensor) -> list[Tensor]:
    left = torch.zeros(1, 1, *picture.shape[2:])
    left.chunk(2, dim=3)[0][:] = 1
    return [left, 1 - left]


@pytest.fixture(scope="module")
def larger() -> Tensor:
    """Large enough for one coarse level: (1, 3, 128, 132)."""
    return nst.load_image("chelsea", size=200)[..., :128, :132]


OVER_LEVELS = ("weights and seeds", "masks")
BATCHES: dict[str, dict[str, Any]] = {
    "weights and seeds": {"content_weight": [1e-6, 5e-2, 1e3], "seed": [0, 1, 2]},
    "exact": {"content_weight": [1e-6, 5e-2, 1e3], "seed": [0, 1, 2], "exact": True},
    "adam": {"content_weight": [1e-6, 5e-2, 1e3], "seed": [0, 1, 2], "optimizer": "adam"},
    "layers": {
        "content_layers": [["conv1_2"], ["conv2_1"], ["conv1_1"]],
        "style_layers": [["conv1_1"], ["conv1_1", "conv2_1"], ["conv2_1"]],
    },
    "paintings": {"style": ["starry-night", "great-wave", "starry-night"]},
    # With a coarse level only where all of a batch start from noise, so here without.
    "starts": {"init": ["content", "style", "noise"], "exact": True},
    "blends": {"style_blend": [[1, 0], [0.5, 0.5], [0.2, 0.8]], "tv_weight": [0, 1e-3, 0.1]},
    "masks": {"masks": True, "style_weight": [1e-3, 1.0, 1e3]},
    # Matrices of 512 filters, which few steps are enough for: they take long.
    "distributions": {
        "style_statistics": "wasserstein",
        "style_layers": ("conv4_1",),
        "seed": [0, 1, 2],
        "steps": 1,
    },
    "colors": {"preserve_color": "luminance", "seed": [0, 1, 2]},
}


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("case", BATCHES)
def test_a_batch_is_its_rows_one_by_one_bit_for_bit(
    case: str, net: Network, photograph: Tensor, larger: Tensor
) -> None:
    content = larger if case in OVER_LEVELS else photograph
    layers = CHEAP if case in OVER_LEVELS else SHALLOW
    options: dict[str, Any] = {"net": net, "steps": 5, **layers, **QUIET} | BATCHES[case]
    varied = [name for name, value in BATCHES[case].items() if isinstance(value, list)]
    two = [nst.load_image(name, size=48) for name in ("starry-night", "great-wave")]
    names = options.pop("style", None)
    if "masks" in options:
        options["masks"] = halves(content)
    styles: Any = two if "blends" in case or "masks" in case else two[0]
    if names:
        styles = [nst.load_image(name, size=48) for name in names]
    together = nst.transfer(content, styles, **options)
    assert together.image.shape[0] == 3
    for i in range(3):
        mine = {name: value[i] if name in varied else value for name, value in options.items()}
        alone = nst.transfer(content, styles[i] if names else styles, **mine)
        assert together.levels == alone.levels
        assert len(alone.levels) == (2 if case in OVER_LEVELS else 1)
        assert torch.equal(together.image[i], alone.image[0])
        assert torch.equal(together.history["total_loss"][:, i], alone.history["total_loss"][:, 0])


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    "name", [name for name, preset in nst.PRESETS.items() if preset.weights == "bundled"]
)
def test_a_preset_paints_a_batch_as_it_paints_each(
    name: str, net: Network, photograph: Tensor, painting: Tensor
) -> None:
    """All but the paper's, to save time, with an eighth of the filters."""
    preset, both = nst.preset(name), [painting, painting.flip(3)]
    if name != "paper":
        reading = {each: getattr(preset, each) for each in ("pooling", "normalized", "padding")}
        net = thin_vgg19(**reading)
    if preset.smaller_first:  # than what the deepest layer needs
        photograph = nst.resize(photograph, 2 * max(photograph.shape[2:]))
    options: dict[str, Any] = {"net": net, "steps": 2, **QUIET}
    together = preset.transfer(photograph, both, **options)
    for i, style in enumerate(both):
        alone = preset.transfer(photograph, style, **options)
        assert torch.equal(together.image[i], alone.image[0])
