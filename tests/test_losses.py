"""Every equation against plain NumPy, and the two gradients as the paper writes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nst_utils.losses import (
    content_loss,
    content_loss_gradient,
    gram_loss,
    gram_matrix,
    style_loss,
    style_loss_gradient,
    total_loss,
    total_variation,
    weighted_style_loss,
)
from nst_utils.objective.formulas import STYLE_REDUCTIONS, Formulas

shapes = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))


def responses(shape: tuple[int, ...], seed: int) -> Tensor:
    """Responses as a network gives them: about half of them zero."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).relu()


def as_matrix(F: Tensor) -> np.ndarray:
    """(N, M) of one image, as the paper writes it."""
    return F.reshape(F.shape[0], -1).numpy()


def gram_by_loops(F: np.ndarray) -> np.ndarray:
    """Equation 3, letter by letter."""
    N, M = F.shape
    G = np.zeros((N, N))
    for i in range(N):
        for j in range(N):
            for k in range(M):
                G[i, j] += F[i, k] * F[j, k]
    return G


@given(shapes, st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_equation_1_sums_the_squared_differences(shape: tuple[int, ...], seed: int) -> None:
    F, P = responses(shape, seed), responses(shape, seed + 1)
    for image, value in enumerate(content_loss(F, P, reduction="sum")):
        f, p = as_matrix(F[image]), as_matrix(P[image])
        expected = 0.5 * sum(
            (f[i, j] - p[i, j]) ** 2 for i in range(f.shape[0]) for j in range(f.shape[1])
        )
        assert value == pytest.approx(expected, abs=1e-12)


@given(shapes, st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_the_mean_is_the_sum_over_n_times_m(shape: tuple[int, ...], seed: int) -> None:
    F, P = responses(shape, seed), responses(shape, seed + 1)
    values = shape[1] * shape[2] * shape[3]
    torch.testing.assert_close(content_loss(F, P), content_loss(F, P, reduction="sum") / values)


@given(shapes, st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_equation_3_is_the_inner_product_of_filters(shape: tuple[int, ...], seed: int) -> None:
    F = responses(shape, seed)
    for image, G in enumerate(gram_matrix(F)):
        np.testing.assert_allclose(G.numpy(), gram_by_loops(as_matrix(F[image])), atol=1e-12)


@given(shapes, st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_equation_4_compares_gram_matrices(shape: tuple[int, ...], seed: int) -> None:
    F, A = responses(shape, seed), responses(shape, seed + 1)
    N, M = shape[1], shape[2] * shape[3]
    for image, value in enumerate(style_loss(F, A)):
        G = gram_by_loops(as_matrix(F[image]))
        target = gram_by_loops(as_matrix(A[image]))
        expected = ((G - target) ** 2).sum() / (4 * N**2 * M**2)
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_style_loss_takes_features_or_their_gram_matrix() -> None:
    F, A = responses((2, 4, 3, 5), 0), responses((2, 4, 3, 5), 1)
    torch.testing.assert_close(style_loss(F, A), style_loss(F, gram_matrix(A)))


def test_a_painting_of_another_size_is_divided_by_its_own_positions() -> None:
    """A painting tiled twice has the same statistics, so the same loss."""
    F, A = responses((1, 4, 6, 6), 0), responses((1, 4, 6, 6), 1)
    tiled = torch.cat([A, A], dim=3)
    torch.testing.assert_close(style_loss(F, tiled), style_loss(F, A))
    torch.testing.assert_close(style_loss(F, gram_matrix(tiled), positions=72), style_loss(F, A))


def test_a_gram_matrix_forgets_place() -> None:
    F = responses((1, 4, 5, 5), 0)
    shuffled = F.flatten(2)[:, :, torch.randperm(25)].view_as(F)
    torch.testing.assert_close(gram_matrix(F), gram_matrix(shuffled))
    assert content_loss(F, shuffled).item() > 0.01


def test_equations_5_and_7_weigh_and_add() -> None:
    layers = torch.tensor([[1.0, 2.0, 4.0], [0.0, 1.0, 0.5]], dtype=torch.float64)
    weights = [0.5, 0.25, 0.25]
    style = weighted_style_loss(layers, weights)
    np.testing.assert_allclose(style, layers.numpy() @ np.array(weights))
    content = torch.tensor([3.0, 5.0], dtype=torch.float64)
    total = total_loss(content, style, alpha=1e-3, beta=2.0)
    np.testing.assert_allclose(total, [3e-3 + 4.0, 5e-3 + 0.75])


def gradient_before_relu(loss: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """dL/dF as autograd sees it: through the ReLU that made F."""
    z = z.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(z.relu()).sum(), z)
    return gradient


@given(shapes, st.integers(0, 1000), st.sampled_from(["mean", "sum"]))
@settings(deadline=None, max_examples=30)
def test_equation_2_is_the_gradient_of_equation_1(
    shape: tuple[int, ...], seed: int, reduction: str
) -> None:
    z = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    P = responses(shape, seed + 1)
    expected = gradient_before_relu(lambda F: content_loss(F, P, reduction=reduction), z)
    torch.testing.assert_close(content_loss_gradient(z.relu(), P, reduction=reduction), expected)


@given(shapes, st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_equation_6_is_the_gradient_of_equation_4(shape: tuple[int, ...], seed: int) -> None:
    z = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    A = gram_matrix(responses(shape, seed + 1))
    expected = gradient_before_relu(lambda F: style_loss(F, A), z)
    torch.testing.assert_close(style_loss_gradient(z.relu(), A), expected)


def test_equation_6_reads_as_the_paper_prints_it() -> None:
    """1 / (N^2 M^2) (F^T (G - A))_ji, with F as an (N, M) matrix."""
    F, A = responses((1, 3, 2, 4), 0), gram_matrix(responses((1, 3, 2, 4), 1))
    f, difference = as_matrix(F[0]), (gram_matrix(F) - A)[0].numpy()
    printed = (f.T @ difference).T / (3**2 * 8**2) * (f > 0)
    np.testing.assert_allclose(as_matrix(style_loss_gradient(F, A)[0]), printed, atol=1e-15)


def test_images_of_a_batch_do_not_influence_one_another() -> None:
    F, A = responses((3, 4, 5, 5), 0), responses((1, 4, 5, 5), 1)
    for loss in (content_loss, style_loss):
        one_by_one = torch.cat([loss(F[i : i + 1], A) for i in range(3)])
        torch.testing.assert_close(loss(F, A), one_by_one)


def test_wrong_shapes_and_reductions_are_sentences() -> None:
    F = responses((1, 3, 4, 4), 0)
    with pytest.raises(ValueError, match="same size"):
        content_loss(F, responses((1, 3, 4, 5), 0))
    with pytest.raises(ValueError, match="same layer"):
        style_loss(F, responses((1, 2, 4, 4), 0))
    with pytest.raises(ValueError, match="'mean' or 'sum'"):
        content_loss(F, F, reduction="median")
    F = torch.rand(1, 2, 3, 3)
    for function in (content_loss, content_loss_gradient):
        with pytest.raises(ValueError, match="'mean' or 'sum', got 'maen'"):
            function(F, F, reduction="maen")
        with pytest.raises(ValueError, match="differ in shape"):
            function(F, F[:, :, :2])


def test_responses_without_a_batch_are_refused() -> None:
    """(N, H, W) would silently be read as N images."""
    F = responses((3, 4, 4), 0)
    for call in (lambda: gram_matrix(F), lambda: content_loss(F, F), lambda: style_loss(F, F)):
        with pytest.raises(ValueError, match=r"features\[None\]"):
            call()
    with pytest.raises(ValueError, match="3 targets for 2 images"):
        content_loss(responses((2, 1, 2, 2), 0), responses((3, 1, 2, 2), 0))
    with pytest.raises(ValueError, match="or their Gram matrix"):
        style_loss(responses((2, 4, 2, 2), 0), responses((4, 4), 0))


def test_positions_are_those_of_a_gram_matrix() -> None:
    """Beside responses, which have their own, they would be dropped; 0 is no number of them."""
    F = responses((1, 3, 4, 4), 0)
    with pytest.raises(ValueError, match="leave them out beside responses"):
        style_loss(F, F, positions=5)
    for positions in (0, -1):
        with pytest.raises(ValueError, match=f"1 or more, got {positions}"):
            style_loss(F, gram_matrix(F), positions=positions)
    torch.testing.assert_close(
        style_loss(F, gram_matrix(F), positions=16), style_loss(F, gram_matrix(F))
    )


def test_shapes_that_do_not_go_together_are_sentences() -> None:
    F = responses((2, 3, 4, 4), 0)
    with pytest.raises(ValueError, match=r"pass gram_matrix\(A\)"):
        style_loss_gradient(F, F)
    for function in (style_loss, style_loss_gradient):
        with pytest.raises(ValueError, match=r"features\[None\]"):
            function(F[0], gram_matrix(F))
        with pytest.raises(ValueError, match="same layer"):
            function(F, gram_matrix(F[:, :2]))
        for A in (F.flatten(2), gram_matrix(responses((3, 3, 4, 4), 0)), F[0, 0]):
            with pytest.raises(ValueError, match="or their Gram matrix"):
                function(F, A)
    with pytest.raises(ValueError, match=r"images\[None\]"):
        total_variation(F[0])
    losses = torch.rand(2, 3)
    for E, w in (
        (losses, [1.0, 2.0]),
        (losses, torch.ones(())),
        (losses, losses.T),
        (losses[0], [1.0] * 3),
    ):
        with pytest.raises(ValueError, match="one for each layer"):
            weighted_style_loss(E, w)


def test_the_gradient_of_the_gram_matrix_is_autograds() -> None:
    """Of any function of it, symmetric or not; ours is one product, autograd's two."""
    F = torch.randn(2, 5, 4, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 5, 5, dtype=torch.float64)
    features = F.flatten(2)
    (expected,) = torch.autograd.grad((features @ features.transpose(1, 2) * weights).sum(), F)
    (found,) = torch.autograd.grad((gram_matrix(F) * weights).sum(), F)
    torch.testing.assert_close(found, expected)
    assert torch.autograd.gradcheck(gram_matrix, (F,))


def test_a_gram_matrix_does_not_depend_on_how_responses_lie_in_memory() -> None:
    F = torch.randn(2, 5, 4, 3, dtype=torch.float64)
    beside = F.contiguous(memory_format=torch.channels_last).requires_grad_(True)
    F.requires_grad_(True)
    torch.testing.assert_close(gram_matrix(F), gram_matrix(beside))
    gradients = [torch.autograd.grad(gram_matrix(f).square().sum(), f)[0] for f in (F, beside)]
    torch.testing.assert_close(*gradients)


STYLE_FACTORS = {
    "paper": lambda N, M: 1 / (4 * N**2 * M**2),
    "sum": lambda N, M: 1 / (N * M) ** 2,
    "mean": lambda N, M: 1 / N**2 / (N * M) ** 2,
    "values": lambda N, M: 1 / N**2 / (N * M),
}


@pytest.mark.parametrize("reduction", STYLE_REDUCTIONS)
@given(shapes, st.integers(0, 1000))
@settings(deadline=None, max_examples=15)
def test_style_reductions_are_their_formulas(
    reduction: str, shape: tuple[int, ...], seed: int
) -> None:
    F, A = responses(shape, seed), responses(shape, seed + 1)
    N, M = shape[1], shape[2] * shape[3]
    for image, value in enumerate(style_loss(F, A, reduction=reduction)):
        G = gram_by_loops(as_matrix(F[image]))
        target = gram_by_loops(as_matrix(A[image]))
        squares = sum((G[i, j] - target[i, j]) ** 2 for i in range(N) for j in range(N))
        expected = squares * STYLE_FACTORS[reduction](N, M)
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    ("reduction", "value"), [("paper", 0.625), ("sum", 2.5), ("mean", 0.625), ("values", 2.5)]
)
def test_style_reductions_by_hand(reduction: str, value: float) -> None:
    """Two filters, two positions: G = [[5, 2], [2, 4]], A = [[1, 0], [0, 0]].

    The squares are 16 + 4 + 4 + 16 = 40, and N = M = 2: the paper's factor is 1/64.
    """
    F = torch.tensor([[[[1.0, 2.0]], [[2.0, 0.0]]]], dtype=torch.float64)
    A = torch.tensor([[[[1.0, 0.0]], [[0.0, 0.0]]]], dtype=torch.float64)
    assert style_loss(F, A, reduction=reduction).item() == pytest.approx(value)


def test_the_losses_of_the_squeezenet_course() -> None:
    """CS231n: sums of squares, Gram matrices over C H W, a weight in front of each."""
    F, P = responses((1, 3, 4, 5), 0), responses((1, 3, 4, 5), 1)
    w = 0.06
    content = w * (F - P).square().sum()
    torch.testing.assert_close(2 * w * content_loss(F, P, reduction="sum")[0], content)
    grams = [torch.einsum("bihw,bjhw->bij", x, x) / (3 * 4 * 5) for x in (F, P)]
    style = w * (grams[0] - grams[1]).square().sum()
    torch.testing.assert_close(w * style_loss(F, P, reduction="sum")[0], style)
    down = (F[:, :, 1:, :] - F[:, :, :-1, :]).square().sum()
    right = (F[:, :, :, 1:] - F[:, :, :, :-1]).square().sum()
    torch.testing.assert_close(w * total_variation(F)[0], w * (down + right))


def test_total_variation_by_hand() -> None:
    """0 1 over 3 7, once in each of two channels, the second ten times as dark."""
    picture = torch.tensor([[0.0, 1.0], [3.0, 7.0]], dtype=torch.float64)
    images = torch.stack([picture, picture / 10])[None]
    assert total_variation(images).item() == pytest.approx(62 * 1.01)
    assert total_variation(images, power=1).item() == pytest.approx(14 * 1.1)
    mean = total_variation(images, power=1, reduction="mean")  # over two channels of four values
    assert mean.item() == pytest.approx(14 * 1.1 / 8)
    with pytest.raises(ValueError, match="a 'sum' or a 'mean', not 'average'"):
        total_variation(images, reduction="average")


@given(shapes, st.integers(0, 1000), st.floats(0, 100))
@settings(deadline=None, max_examples=30)
def test_total_variation_can_count_color_beside_brightness(
    shape: tuple[int, ...], seed: int, color: float
) -> None:
    """3 b^2 + color c^2, where b is of the channels' mean and c of what is left of them."""
    images = responses(shape, seed)
    brightness = images.mean(1, keepdim=True)
    of_brightness = total_variation(brightness) * images.shape[1]
    of_color = total_variation(images - brightness)
    torch.testing.assert_close(
        total_variation(images, color=color), of_brightness + color * of_color
    )
    torch.testing.assert_close(total_variation(images), of_brightness + of_color)
    first_powers = total_variation(images - brightness, power=1) * color
    found = total_variation(images - brightness, power=1, color=color)
    torch.testing.assert_close(found, first_powers)


def test_a_gray_picture_has_no_variation_of_color() -> None:
    gray = torch.rand(2, 1, 5, 7, dtype=torch.float64).expand(2, 3, 5, 7)
    for power in (1, 2):
        plain = total_variation(gray, power=power)
        torch.testing.assert_close(total_variation(gray, power=power, color=1e3), plain)


def test_as_a_mean_total_variation_weighs_the_same_in_every_size_and_batch() -> None:
    chance = torch.Generator().manual_seed(0)
    small = torch.rand(2, 3, 6, 8, dtype=torch.float64, generator=chance)
    large = small.repeat(1, 1, 20, 20)  # the same picture again and again; only seams differ
    mean, larger = (total_variation(x, reduction="mean") for x in (small, large))
    torch.testing.assert_close(larger, mean, rtol=0.2, atol=0)
    assert bool((total_variation(large) > 300 * total_variation(small)).all())
    alone = torch.cat([total_variation(x[None], reduction="mean") for x in small])
    torch.testing.assert_close(mean, alone)


@given(shapes, st.integers(0, 1000), st.sampled_from([1, 2]))
@settings(deadline=None, max_examples=30)
def test_total_variation_sums_over_neighbors(shape: tuple[int, ...], seed: int, power: int) -> None:
    images = responses(shape, seed)
    for image, value in zip(images.numpy(), total_variation(images, power=power), strict=True):
        expected = 0.0
        for channel, i, j in np.ndindex(*image.shape):
            x = image[channel]
            if i + 1 < x.shape[0]:
                expected += abs(x[i + 1, j] - x[i, j]) ** power
            if j + 1 < x.shape[1]:
                expected += abs(x[i, j + 1] - x[i, j]) ** power
        assert value == pytest.approx(expected, abs=1e-12)


def test_total_variation_of_one_color_is_zero_and_has_a_gradient() -> None:
    flat = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    for power in (1, 2):
        loss = total_variation(flat, power=power)
        (gradient,) = torch.autograd.grad(loss.sum(), flat)
        assert loss.item() == 0
        assert gradient.abs().max() == 0


def test_the_gradient_of_total_variation_is_right() -> None:
    images = torch.rand(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(total_variation, (images,))


@pytest.mark.parametrize(
    ("function", "argument", "setting"),
    [
        (content_loss, "reduction", "content_reduction"),
        (content_loss_gradient, "reduction", "content_reduction"),
        (style_loss, "reduction", "style_reduction"),
        (gram_loss, "reduction", "style_reduction"),
        (total_variation, "power", "tv_power"),
        (total_variation, "reduction", "tv_reduction"),
        (total_variation, "color", "tv_color"),
    ],
)
def test_a_function_means_by_default_what_a_run_does(
    function: Callable[..., Tensor], argument: str, setting: str
) -> None:
    default = inspect.signature(function).parameters[argument].default
    assert default == getattr(Formulas(), setting)


def test_unknown_style_reductions_and_powers_are_sentences() -> None:
    F = responses((1, 3, 4, 4), 0)
    with pytest.raises(ValueError, match="must be one of paper, sum, mean, values, got 'median'"):
        style_loss(F, F, reduction="median")
    with pytest.raises(ValueError, match="must be 1 or 2, got 3"):
        total_variation(F, power=3)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_responses_in_half_precision_do_not_overflow_in_their_sum(reduction: str) -> None:
    F, P = torch.full((1, 64, 40, 40), 2.0).half(), torch.zeros(1, 64, 40, 40).half()
    value = content_loss(F, P, reduction=reduction).item()
    assert value == pytest.approx(2 * (F.numel() if reduction == "sum" else 1))


@pytest.mark.parametrize("format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradients_lie_in_memory_as_the_responses_do(
    format: torch.memory_format, reduction: str
) -> None:
    """Or each layer below mixes two orders, which takes many times as long."""
    F, P = (responses((2, 8, 6, 5), seed).contiguous(memory_format=format) for seed in (0, 1))
    F.requires_grad_(True)
    readings = {"mean": "paper", "sum": "sum"}
    for loss in (
        content_loss(F, P, reduction=reduction),
        style_loss(F, P, reduction=readings[reduction]),
    ):
        (gradient,) = torch.autograd.grad(loss.sum(), F)
        assert gradient.stride() == F.stride()
