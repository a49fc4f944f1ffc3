"""Other statistics of the style than Gram matrices, in the table: each obeys the same rules."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import nst_utils as nst
from nst_utils.memory import estimate
from nst_utils.memory.step_down import WithinMemory
from nst_utils.objective.formulas import STYLE_STATISTICS, Formulas
from nst_utils.objective.rows import Painting, Row
from nst_utils.objective.statistics import STATISTICS
from nst_utils.objective.table import Objective
from nst_utils.style_statistics import moments

SUMS = [name for name in STYLE_STATISTICS if STATISTICS[name].adds_up]
WHOLE = [name for name in STYLE_STATISTICS if not STATISTICS[name].adds_up]
LAYERS = {f"conv{block}_1": 0.25 for block in range(1, 5)}
SIZE = (48, 40)
QUIET: dict[str, Any] = {"progress": False, "device": "cpu"}


@pytest.fixture(scope="module")
def net(thin_net: nst.Network) -> nst.Network:
    """What is tested here goes on around the network."""
    return thin_net


def picture(name: str, height: int, width: int) -> Tensor:
    return nst.resize(nst.load_image(name, 100), (height, width))


@pytest.fixture(scope="module")
def photograph() -> Tensor:
    return picture("chelsea", *SIZE)


@pytest.fixture(scope="module")
def painting() -> Tensor:
    return picture("starry-night", 40, 56)


def row(photograph: Tensor, style: Any, name: str) -> Row:
    return Row(photograph, style, {"conv3_2": 1.0}, LAYERS, 1e-2, 1.0, style_statistics=name)


def test_every_name_is_a_statistic_and_the_papers_is_the_first() -> None:
    assert tuple(STATISTICS) == STYLE_STATISTICS
    assert STYLE_STATISTICS[0] == Row.style_statistics == "gram"
    assert "gram" in SUMS
    assert WHOLE


def test_rows_of_all_statistics_do_not_feel_one_another(
    net: nst.Network, photograph: Tensor, painting: Tensor
) -> None:
    rows = [row(photograph, painting, name) for name in STYLE_STATISTICS]
    noise = [nst.noise_image(*SIZE, seed=seed) for seed in range(len(rows))]
    together = Objective(net, rows).evaluate(torch.cat(noise))
    for i, (each, image) in enumerate(zip(rows, noise, strict=True)):
        alone = Objective(net, [each]).evaluate(image)
        torch.testing.assert_close(together.loss[i], alone.loss[0], rtol=1e-4, atol=0)
        assert torch.equal(together.gradient[i], alone.gradient[0])
    assert len({f"{loss:.4g}" for loss in together.loss.tolist()}) == len(rows)


@pytest.mark.parametrize("name", STYLE_STATISTICS)
def test_pictures_at_once_are_as_one_by_one(
    net: nst.Network, photograph: Tensor, painting: Tensor, name: str
) -> None:
    """As on a GPU, with paintings of two sizes."""
    rows = [row(photograph, style, name) for style in (painting, painting[:, :, :32])]
    objective = Objective(net, rows)
    images = torch.cat([nst.noise_image(*SIZE, seed=seed) for seed in range(2)])
    one_by_one = objective.evaluate(images)
    objective.at_once = None
    at_once = objective.evaluate(images)
    torch.testing.assert_close(at_once.loss, one_by_one.loss, rtol=1e-4, atol=0)
    for one, other in zip(at_once.gradient, one_by_one.gradient, strict=True):
        assert (one - other).norm() < 1e-2 * other.norm()  # some responses lie at their kinks


@pytest.mark.parametrize("name", STYLE_STATISTICS)
def test_the_gradient_is_the_slope_of_the_loss(
    net: nst.Network, photograph: Tensor, painting: Tensor, name: str
) -> None:
    """A directional derivative by central differences, in float64."""
    objective = Objective(
        copy.deepcopy(net).double(), [row(photograph.double(), painting.double(), name)]
    )
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(photograph.shape, generator=generator).double()
    direction = torch.randn(photograph.shape, generator=generator).double()
    h = 1e-7
    up, down = (objective.evaluate(image + s * h * direction).loss for s in (1, -1))
    slope = (objective.evaluate(image).gradient * direction).sum()
    torch.testing.assert_close((up - down) / (2 * h), slope[None], rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", STYLE_STATISTICS)
def test_a_painting_has_its_own_style(net: nst.Network, painting: Tensor, name: str) -> None:
    objective = Objective(
        net, [Row(style=painting, style_layers=LAYERS, style_weight=1.0, style_statistics=name)]
    )
    own, noise = objective.evaluate(painting), nst.noise_image(*painting.shape[2:])
    assert own.loss.abs().item() < 1e-4 * objective.evaluate(noise).loss.item()


@pytest.mark.parametrize("name", SUMS)
def test_tiles_add_up(net: nst.Network, photograph: Tensor, painting: Tensor, name: str) -> None:
    """With a layer whose halo leaves something out."""
    shallow = {"conv1_1": 0.5, "conv2_1": 0.5}
    rows = [Row(photograph, painting, {}, shallow, 0.0, 1.0, style_statistics=name)]
    image = nst.noise_image(*SIZE)
    whole, tiled = (Objective(net, rows, tile=tile).evaluate(image) for tile in (None, 16))
    torch.testing.assert_close(tiled.loss, whole.loss, rtol=1e-4, atol=0)
    assert (tiled.gradient - whole.gradient).norm() < 1e-3 * whole.gradient.norm()


@pytest.mark.parametrize("name", SUMS)
def test_a_mask_is_as_its_part_of_the_picture(
    net: nst.Network, painting: Tensor, name: str
) -> None:
    """In conv1_1 what a mask leaves is seen as the part alone, but for the seam."""
    region = torch.zeros(1, 1, *SIZE)
    region[:, :, :, :20] = 1
    image = nst.noise_image(*SIZE)
    layers = {"conv1_1": 1.0}
    with_mask = Row(
        style=[Painting(painting, region=region)],
        style_layers=layers,
        style_weight=1.0,
        style_statistics=name,
    )
    alone = Row(style=painting, style_layers=layers, style_weight=1.0, style_statistics=name)
    masked = Objective(net, [with_mask]).evaluate(image).loss
    part = Objective(net, [alone]).evaluate(image[:, :, :, :20]).loss
    torch.testing.assert_close(masked, part, rtol=0.05, atol=0)


@pytest.mark.parametrize("name", WHOLE)
def test_what_needs_the_whole_picture_says_so(
    net: nst.Network, photograph: Tensor, painting: Tensor, name: str
) -> None:
    white = torch.ones(8, 8)
    out = "gram, covariance, mean_std, wasserstein"
    with pytest.raises(ValueError, match=f"{name}.* tiles; leave them out, or use {out}$"):
        nst.transfer(
            photograph, painting, net=net, style_statistics=name, tile=32, steps=1, **QUIET
        )
    both: list[dict[str, Any]] = [{}, {"style_masks": [white]}]
    for others in both:
        with pytest.raises(ValueError, match=f"{name}.* masks; leave them out, or use {out}$"):
            nst.transfer(
                photograph,
                [painting],
                net=net,
                style_statistics=name,
                steps=1,
                masks=[white],
                **others,
                **QUIET,
            )


def test_a_reading_of_equation_4_belongs_to_gram_matrices(
    net: nst.Network, photograph: Tensor, painting: Tensor
) -> None:
    rows = [row(photograph, painting, "covariance")]
    with pytest.raises(ValueError, match='style_reduction="sum" is a reading of equation 4'):
        Objective(net, rows, formulas=Formulas(style_reduction="sum"))


@pytest.mark.parametrize("name", STYLE_STATISTICS)
def test_paintings_of_different_sizes_are_blended(
    net: nst.Network, photograph: Tensor, painting: Tensor, name: str
) -> None:
    """Of twice the same painting, any blend is that painting."""
    both = [Painting(painting, share=0.3), Painting(painting.clone(), share=0.7)]
    sizes = [Painting(painting, share=0.5), Painting(painting[:, :, :33], share=0.5)]
    image = nst.noise_image(*SIZE)
    one, blend, mixed = (
        Objective(net, [row(photograph, style, name)]).evaluate(image).loss
        for style in (painting, both, sizes)
    )
    torch.testing.assert_close(blend, one, rtol=1e-4, atol=0)
    assert mixed.isfinite().all()


class NoWaiting(TorchDispatchMode):
    """Refuses what makes a program wait for a GPU."""

    WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "linalg_", "_linalg", "masked_select")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).removeprefix("aten.")
        assert not name.startswith(self.WAITS), f"{name} waits for the device"
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("name", STYLE_STATISTICS)
def test_nothing_waits_for_the_device(
    net: nst.Network,
    photograph: Tensor,
    painting: Tensor,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moments, "_by_eigenvalues", moments._by_products)  # as off the CPU
    rows = [row(photograph, painting, name)]
    objective, image = Objective(net, rows), nst.noise_image(*SIZE)
    objective.evaluate(image)  # what is made once, for all steps
    with NoWaiting():
        (group,) = objective._groups
        weights = objective._scaled
        group.evaluate(net, image, slice(0, 1), weights, None)


@pytest.mark.parametrize("name", STYLE_STATISTICS)
def test_a_run_goes_on_bit_for_bit(
    net: nst.Network, photograph: Tensor, painting: Tensor, name: str, tmp_path: Path
) -> None:
    def run(steps: int, **options: Any) -> nst.Result:
        return nst.transfer(
            photograph,
            painting,
            net=net,
            style_statistics=name,
            style_layers=list(LAYERS),
            steps=steps,
            **options,
            **QUIET,
        )

    file = tmp_path / "run.pt"
    run(3, checkpoint=file)
    resumed = run(6, checkpoint=file)
    assert resumed.resumed == 3
    assert torch.equal(resumed.image, run(6).image)
    assert resumed.history["total_loss"][-1] < resumed.start["total_loss"]


def test_another_statistic_is_another_run(
    net: nst.Network, photograph: Tensor, painting: Tensor, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"net": net, "steps": 1, "checkpoint": tmp_path / "run.pt", **QUIET}
    nst.transfer(photograph, painting, **options)
    with pytest.raises(ValueError, match="style_statistics: gram there, covariance here"):
        nst.transfer(photograph, painting, style_statistics="covariance", **options)


def test_a_list_of_statistics_makes_several_pictures(
    net: nst.Network, photograph: Tensor, painting: Tensor
) -> None:
    names = ["gram", "mean_std"]
    result = nst.transfer(photograph, painting, net=net, style_statistics=names, steps=2, **QUIET)
    assert len(result.image) == 2
    assert not torch.equal(result.image[0], result.image[1])
    assert result.settings["style_statistics"] == names
    sets = [["conv1_1"], ["conv1_1", "conv2_1"]]
    for given in (names, "histogram"):
        result = nst.reconstruct_style(
            painting, sets, net=net, style_statistics=given, steps=1, **QUIET
        )
        assert len(result.image) == 2
    with pytest.raises(ValueError, match=r"style_statistics.*grahm"):
        nst.transfer(photograph, painting, net=net, style_statistics="grahm", **QUIET)


@pytest.mark.parametrize("name", ["gram", "histogram"])
def test_where_memory_is_short_tiles_are_proposed_to_sums_alone(
    net: nst.Network,
    photograph: Tensor,
    painting: Tensor,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = torch.zeros(1, 3, 2048, 2048)
    rows = [row(large, painting, name)]
    size = (2048, 2048)
    whole, tiled = (estimate.estimate(net, rows, size, "adam", tile) for tile in (None, 256))
    assert tiled < whole
    monkeypatch.setattr(estimate, "available", lambda device: (whole + tiled) // 2)
    with pytest.raises(ValueError, match="use ") as refused:
        estimate.check_fits(net, rows, size, "adam")
    assert ("tile" in str(refused.value)) == (name in SUMS)
    assert "size=" in str(refused.value)
    within = WithinMemory(net, [row(photograph, painting, name)])
    if name in SUMS:
        assert "tiles of 128 px" in within._step_down(1, 256)
    else:
        with pytest.raises(MemoryError, match="smaller size"):
            within._step_down(1, 256)
