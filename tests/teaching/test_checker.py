"""``nst.check`` takes every right answer, and has a sentence for every wrong one."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import nst_utils as nst
from nst_utils.losses import content_loss, gram_matrix, style_loss_gradient, total_loss
from nst_utils.teaching.checker import QUANTITIES, SEED
from nst_utils.teaching.quantity import Case

Say = Callable[[str, Any], str]
ALL_MISTAKES = [
    (name, sentence) for name, asked in QUANTITIES.items() for sentence in asked.mistakes
]


@pytest.fixture
def wrong(capfd: pytest.CaptureFixture[str]) -> Say:
    """Check an answer that must be refused; what is said."""

    def refused(quantity: str, answer: Any) -> str:
        assert nst.check(quantity, answer) is False
        out, err = capfd.readouterr()
        assert not err
        assert out.startswith(f"{quantity}: not yet; ")
        assert out.count("\n") == 1, "one sentence"
        assert "Traceback" not in out
        return out

    return refused


def cases(quantity: str) -> list[Case]:
    return QUANTITIES[quantity].cases(torch.Generator().manual_seed(SEED))


# Right answers, in several styles.


def content_in_a_loop(F: Tensor, P: Tensor) -> Tensor:
    values = []
    for one, other in zip(F, P, strict=True):
        total = F.new_zeros(())
        for i in range(one.shape[0]):
            total = total + ((one[i] - other[i]) ** 2).sum()
        values.append(0.5 * total)
    return torch.stack(values)


def gram_in_loops(F: Tensor) -> Tensor:
    G = F.new_zeros(len(F), F.shape[1], F.shape[1])
    for b, i, j in itertools.product(range(len(F)), range(F.shape[1]), range(F.shape[1])):
        G[b, i, j] = (F[b, i] * F[b, j]).sum()
    return G


def gradient_by_autograd(F: Tensor, P: Tensor) -> Tensor:
    before = torch.where(F > 0, F, -torch.ones_like(F)).requires_grad_()
    (gradient,) = torch.autograd.grad(((before.relu() - P) ** 2).sum() / 2, before)
    return gradient


def style_of_one(F: Tensor, A: Tensor) -> Tensor:
    _, N, H, W = F.shape
    features = F.reshape(F.shape[0], N, H * W)
    G = torch.einsum("bik,bjk->bij", features, features)
    return ((G - A) ** 2).sum(dim=(1, 2)) / (4 * N**2 * (H * W) ** 2)


def two_loops_by_matrices(gradient: Tensor, s: Tensor, y: Tensor) -> Tensor:
    """The BFGS update itself, applied pair by pair to a whole matrix."""
    n = len(gradient)
    H = torch.eye(n, device=s.device) * (s[-1] @ y[-1]) / (y[-1] @ y[-1])
    for step, change in zip(s, y, strict=True):
        rho = 1 / (step @ change)
        V = torch.eye(n, device=s.device) - rho * torch.outer(change, step)
        H = V.T @ H @ V + rho * torch.outer(step, step)
    return -H @ gradient


def normalize_filter_by_filter(w: Tensor, b: Tensor, before: Tensor, own: Tensor) -> Any:
    w, b = w.clone(), b.clone()
    for i, j in itertools.product(range(w.shape[0]), range(w.shape[1])):
        w[i, j] *= before[j] / own[i]
    for i in range(len(b)):
        b[i] /= own[i]
    return [w, b]


def named(value: Any) -> str:
    """The same in every process, as the address of a function is not."""
    return getattr(value, "__name__", str(value))


RIGHT: list[tuple[str, Any]] = [
    *((name, asked.right) for name, asked in QUANTITIES.items()),
    ("content_loss", content_in_a_loop),
    ("content_loss", lambda F, P: 0.5 * (F - P).pow(2).flatten(1).sum(1)),
    ("content_loss_mean", lambda F, P: ((F - P) ** 2).mean(dim=[1, 2, 3]) / 2),
    ("content_loss_gradient", gradient_by_autograd),
    ("content_loss_gradient", lambda F, P: (F - P) * (F > 0)),
    ("gram_matrix", gram_in_loops),
    ("gram_matrix", lambda F: torch.einsum("bihw,bjhw->bij", F, F)),
    ("style_loss", style_of_one),
    ("total_loss", lambda c, s, a, b: torch.stack([a * c, b * s]).sum(0)),
    ("sum_to_mean", lambda ratio, N, M: torch.tensor(ratio) * N * M),
    ("gradient_step", lambda x, gradient, rate: torch.add(x, gradient, alpha=-rate)),
    ("two_loops", two_loops_by_matrices),
    ("normalize", normalize_filter_by_filter),
]


@pytest.mark.parametrize(("quantity", "answer"), RIGHT, ids=named)
def test_a_right_answer_is_right(
    quantity: str, answer: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert nst.check(quantity, answer) is True
    count = len(cases(quantity))
    assert capfd.readouterr().out == f"{quantity}: right, in {count} cases.\n"


# Wrong ones.


@pytest.mark.parametrize(("quantity", "sentence"), ALL_MISTAKES, ids=str)
def test_each_mistake_is_told_by_its_own_sentence(quantity: str, sentence: str, wrong: Say) -> None:
    said = wrong(quantity, QUANTITIES[quantity].mistakes[sentence])
    assert said == f"{quantity}: not yet; {sentence}.\n"


def nothing(*_: Any) -> Iterator[None]:
    raise NotImplementedError


def stops(F: Tensor) -> Tensor:
    features = F.flatten(2)
    return features @ features  # (B, N, M) times (B, N, M)


def leaves() -> None:
    sys.exit(3)


def in_place(F: Tensor, P: Tensor) -> Tensor:
    F -= P
    return F.square().sum((1, 2, 3)) / 2


GENERAL: dict[str, tuple[str, Any, str]] = {
    "nothing yet": ("gram_matrix", nothing, "nothing is there yet: gram_matrix(F), F (B, N, H, W)"),
    "no return": ("gram_matrix", lambda F: None, "is there a return?"),
    "dots": ("gram_matrix", lambda F: ..., "is there a return?"),
    "no function": ("gram_matrix", 3, "give the function itself, not int"),
    "too few arguments": ("content_loss", lambda F: F, "it cannot be called so (TypeError"),
    "an error inside": (
        "gram_matrix",
        stops,
        "it stops at return features @ features  # (B, N, M) times (B, N, M) with RuntimeError",
    ),
    "it leaves Python": ("gram_matrix", lambda F: leaves(), "SystemExit: 3"),
    "recursion": ("gram_matrix", lambda F: GENERAL["recursion"][1](F), "RecursionError"),
    "text": ("content_loss", lambda F, P: "0.5", "it gives str back"),
    "NumPy": ("content_loss", lambda F, P: ((F - P).numpy() ** 2).sum((1, 2, 3)) / 2, "NumPy"),
    "in place": ("content_loss", in_place, "argument number 1 in place"),
    "another shape": ("gram_matrix", lambda F: F, "it has the shape (1, 3, 5, 7), not (1, 3, 3)"),
    "double": (
        "content_loss",
        lambda F, P: content_sum(F, P).double(),
        "it has the type torch.float64, its input torch.float32",
    ),
    "another device": ("gram_matrix", lambda F: gram_matrix(F).to("meta"), "on meta, not where"),
    "NaN": ("gradient_step", lambda x, g, rate: x * float("nan"), "it is NaN or infinite"),
    "a factor": ("gram_matrix", lambda F: 7 * gram_matrix(F), "each value is 7 times what"),
    "one value": (
        "gradient_step",
        lambda x, g, rate: spoiled(x - rate * g),
        "1 of 60 values are wrong; at [0, 0, 0, 0] it is",
    ),
    "NumPy inside": (
        "content_loss",
        lambda F, P: torch.from_numpy(((F - P).numpy() ** 2).sum((1, 2, 3)) / 2),
        "no gradient can flow",
    ),
    "detached": ("content_loss", lambda F, P: content_sum(F, P).detach(), "no gradient can flow"),
    "as a float": (
        "content_loss",
        lambda F, P: torch.tensor([float(each) for each in content_sum(F, P).detach()]),
        "no gradient can flow",
    ),
    "the wrong half detached": (
        "content_loss",
        lambda F, P: content_sum(F.detach(), P),
        "no gradient can flow",
    ),
    "half detached": (
        "gram_matrix",
        lambda F: torch.einsum("bihw,bjhw->bij", F, F.detach()),
        "but their gradient is not",
    ),
    "too many": (
        "normalize",
        lambda w, b, before, own: (w, b, own),
        "it gives 3 tensors back, not 2",
    ),
    "by another name": (
        "style_loss_gradient",
        lambda F, A: style_loss_gradient(F, A).flatten(2),
        "it has the shape",
    ),
}


def content_sum(F: Tensor, P: Tensor) -> Tensor:
    return content_loss(F, P, reduction="sum")


def spoiled(x: Tensor) -> Tensor:
    x = x.clone()
    x[0, 0, 0, 0] += 1
    return x


@pytest.mark.parametrize("case", GENERAL)
def test_whatever_is_wrong_there_is_a_sentence(case: str, wrong: Say) -> None:
    quantity, answer, sentence = GENERAL[case]
    assert sentence in wrong(quantity, answer)


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


def silent(F: Tensor) -> Tensor:
    raise SilentError


def changed_underway(F: Tensor, P: Tensor) -> Tensor:
    difference = F - P
    squares = difference**2
    difference *= 0
    return squares.sum((1, 2, 3)) / 2


def leaves_later() -> Callable[[Tensor], Tensor]:
    calls: list[int] = []

    def gram(F: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) > 3:
            sys.exit(1)
        return gram_matrix(F)

    return gram


# Each of these once raised, passed, or was told something untrue.
FOUND_BY_ATTACK: dict[str, tuple[str, Any, str]] = {
    "absolute values": (
        "content_loss",
        lambda F, P: (F - P).abs().sum((1, 2, 3)),
        "it adds up absolute values, where equation 1 has half of the squares",
    ),
    "a sum for a product": ("sum_to_mean", lambda r, N, M: r + N * M, "it is 344064 and should be"),
    "M twice": (
        "sum_to_mean",
        lambda r, N, M: r * N * M * M,
        "it is 23121.1 and should be 34.4064",
    ),
    "another weight": (
        "total_loss",
        lambda c, s, a, b: a * c + (1 - a) * s,
        "of 2 values are wrong",
    ),
    "half the bias": (
        "normalize",
        lambda w, b, before, own: (
            w * before.view(1, -1, 1, 1) / own.view(-1, 1, 1, 1),
            b / own.square(),
        ),
        "number 2 of the results",
    ),
    "style cut off": (
        "total_loss",
        lambda c, s, a, b: a * c + b * s.detach(),
        "no gradient can flow",
    ),
    "a root in between": (
        "content_loss",
        lambda F, P: ((F - P) ** 2).sqrt().pow(2).sum((1, 2, 3)) / 2,
        "a square root or a division has none at 0",
    ),
    "a height for the 2": (
        "content_loss",
        lambda F, P: (F - P).square().sum((1, 2, 3)) / F.shape[2],
        "it is",
    ),
    "changed under way": ("content_loss", changed_underway, "their gradient cannot be computed"),
    "too large": ("sum_to_mean", lambda ratio, N, M: N**M, "too large"),
    "sparse": ("gram_matrix", lambda F: gram_matrix(F).to_sparse(), "sparse"),
    "complex": ("sum_to_mean", lambda r, N, M: torch.tensor(complex(r * N * M, 5)), "complex"),
    "meta": ("sum_to_mean", lambda r, N, M: torch.tensor(r, device="meta"), "on meta"),
    "silent": ("gram_matrix", silent, "it stops at raise SilentError with SilentError"),
    "leaves later": ("gram_matrix", leaves_later(), "no gradient can flow"),
    "a list": (
        "gram_matrix",
        lambda F: [gram_matrix(each[None])[0] for each in F],
        "it gives a list of 1 back, not a tensor; torch.stack",
    ),
    "NumPy for a tensor": ("gram_matrix", lambda F: gram_matrix(F).numpy(), "NumPy"),
    "a mean of means": ("content_loss_mean", lambda F, P: (F - P).square().mean() / 2, "own"),
}


@pytest.mark.parametrize("case", FOUND_BY_ATTACK)
def test_what_once_slipped_through_has_its_sentence(case: str, wrong: Say) -> None:
    quantity, answer, sentence = FOUND_BY_ATTACK[case]
    assert sentence in wrong(quantity, answer)


class WithoutGradients(torch.nn.Module):
    def forward(self, F: Tensor) -> Tensor:
        return torch.func.vmap(lambda one: one.flatten(1) @ one.flatten(1).T)(F)


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_it_does_not_matter_where_it_is_asked(around: Any) -> None:
    with around():
        assert nst.check("content_loss", content_in_a_loop)
        assert nst.check("gram_matrix", WithoutGradients())


def test_what_an_answer_sets_is_set_back(wrong: Say) -> None:
    def spoils(F: Tensor) -> Tensor:
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        return gram_matrix(F)

    wrong("gram_matrix", spoils)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert nst.check("gram_matrix", gram_matrix)


def test_more_ways_of_being_right() -> None:
    buffer = torch.empty(1, 3, 4, 5)
    step = partial(lambda scale, x, gradient, rate: x - scale * rate * gradient, 1)
    assert nst.check("gradient_step", step)
    assert nst.check("gradient_step", lambda x, g, rate: torch.sub(x, rate * g, out=buffer))
    assert nst.check("total_loss", total_loss)  # the package's own, with weights by name
    assert nst.check("sum_to_mean", lambda ratio, N, M: ratio * np.prod([N, M]))
    assert nst.check("gram_matrix", lambda F: gram_matrix(F.relu()))
    assert nst.check("gram_matrix", torch.compiler.disable(gram_matrix))


def test_ctrl_c_is_not_an_answer() -> None:
    def pressed(F: Tensor) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nst.check("gram_matrix", pressed)


def test_an_unknown_quantity_is_named_with_those_that_are_known() -> None:
    with pytest.raises(
        ValueError,
        match=r"unknown quantity 'gram'; did you mean 'gram_matrix'\? Known: .*two_loops",
    ):
        nst.check("gram", gram_matrix)


# The table itself.


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_no_two_mistakes_are_the_same_and_none_is_right(quantity: str) -> None:
    """On every case together, by more than rounding; else a sentence would be said for another."""
    asked = QUANTITIES[quantity]
    answers = {"right": asked.right, **asked.mistakes}
    given = {
        sentence: [
            torch.cat([torch.as_tensor(part).flatten() for part in parts(answer(*case))])
            for case in cases(quantity)
        ]
        for sentence, answer in answers.items()
    }
    for (one, mine), (other, theirs) in itertools.combinations(given.items(), 2):
        assert any(
            a.shape != b.shape or (a - b).abs().max() > 1e-3 * b.abs().max()
            for a, b in zip(mine, theirs, strict=True)
        ), (one, other)


def parts(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def test_the_cases_are_the_same_every_time() -> None:
    for quantity in QUANTITIES:
        for one, other in zip(cases(quantity), cases(quantity), strict=True):
            for a, b in zip(one, other, strict=True):
                assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))


@pytest.mark.gpu
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_right_answer_is_right_on_a_gpu(quantity: str) -> None:
    assert nst.check(quantity, QUANTITIES[quantity].right)
