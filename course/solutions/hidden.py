"""The hidden cases: what each part is asked, what the right answer is, and what it is worth.

A submission gets the arguments and sends back what its functions make of them; the right answers
are computed here, in the process that grades. The numbers are drawn anew for every grading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from nst_utils import losses
from nst_utils.teaching.checker import QUANTITIES

POINTS = {
    "content_loss": 6.0,
    "gradient_step": 4.0,
    "gram_matrix": 8.0,
    "style_loss": 8.0,
    "style_loss_gradient": 8.0,
    "total_loss": 6.0,
    "paint": 6.0,
}
# What is asked of each part, in words; the first counts half, and the others only with it.
KINDS = {
    "numbers": "the numbers for one picture",
    "batch": "a batch of several pictures in float64",
    "gradient": "the gradient through it",
    "silent": "where a filter is silent",
    "kept": "its argument is left as it was",
    "range": "within 0..1",
}
RELATIVE_ERROR = 1e-3  # of the largest value
NEAR = 0.05  # of a pixel's range: how close to the lowest point of a bowl is there
STEPS = 100
QUANTITY = {"content_loss": "content_loss_mean"}  # where nst.check has another name for a part

Answer = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """One question.

    Attributes:
        part: the function that is asked. kind: one of ``KINDS``.
        arguments: tensors and numbers. followed: which of them a gradient is followed back to.
        pull: what the answer is multiplied with before it is followed back.
        bowl: the arguments are a start, the lowest point of a loss, and a number of steps.
    """

    part: str
    kind: str
    arguments: tuple[Any, ...]
    followed: tuple[int, ...] = ()
    pull: Tensor | None = None
    bowl: bool = False


def cases(seed: int) -> list[Case]:
    """All of them, in the order of the parts."""
    random = Generator().manual_seed(seed)
    found = [
        Case(part, kind, arguments)
        for part in POINTS
        if part != "paint"
        for kind, arguments in _asked(part, random)
    ]
    followed = {"content_loss": (0,), "gram_matrix": (0,), "style_loss": (0,), "total_loss": (0, 1)}
    for part, places in followed.items():
        same = (each for each in found if (each.part, each.kind) == (part, "batch"))
        arguments = next(same).arguments
        shape = right(part, arguments).shape
        pull = torch.randn(shape, generator=random, dtype=torch.float64)
        found.append(Case(part, "gradient", arguments, places, pull))
    step = next(each for each in found if each.part == "gradient_step")
    found.append(Case(step.part, "kept", step.arguments))
    for kind, low, high in (("numbers", 0.1, 0.9), ("range", -0.6, 1.6)):
        lowest = torch.rand(1, 3, 6, 5, generator=random) * (high - low) + low
        start = torch.rand(1, 3, 6, 5, generator=random) * 0.2 + 0.4
        found.append(Case("paint", kind, (start, lowest, STEPS), bowl=True))
    found.append(Case("paint", "kept", found[-1].arguments, bowl=True))
    return sorted(found, key=lambda case: list(POINTS).index(case.part))


def _asked(part: str, random: Generator) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """(kind, arguments) without the cases that a gradient is followed through."""
    shapes = {"numbers": [(1, 4, 5, 3), (1, 2, 3, 9), (1, 7, 1, 6)], "batch": [(3, 5, 4, 6)]}
    for kind, each in ((name, shape) for name in shapes for shape in shapes[name]):
        dtype = torch.float64 if kind == "batch" else torch.float32

        def numbers(*shape: int, like: torch.dtype = dtype) -> Tensor:
            return torch.randn(shape, generator=random, dtype=like)

        F, P = numbers(*each).add(0.4).relu(), numbers(*each).add(0.4).relu()
        if part == "content_loss":
            yield kind, (F, P)
        elif part == "gradient_step":
            yield kind, (numbers(*each), numbers(*each), 0.3 if kind == "numbers" else 7.0)
        elif part == "gram_matrix":
            yield kind, (F,)
        elif part == "style_loss":
            yield kind, (F, losses.gram_matrix(P))
        elif part == "style_loss_gradient":
            yield kind, (F + 0.1, losses.gram_matrix(P))
            if kind == "batch":
                yield "silent", (F, losses.gram_matrix(P))
        elif part == "total_loss":
            content, style = numbers(each[0]).square(), numbers(each[0]).square()
            yield kind, (content, style, 0.02, 3.0)


def right(part: str, arguments: tuple[Any, ...]) -> Tensor:
    """The right answer, from the package."""
    return QUANTITIES[QUANTITY.get(part, part)].right(*arguments)


def is_right(case: Case, answer: Answer | None) -> bool:
    """Whether a submission's answer is right; it may hold anything."""
    if answer is None or "result" not in answer:
        return False
    result, first = answer["result"], answer.get("first")
    if case.kind == "kept":
        return first is not None and torch.equal(first, case.arguments[0])
    if case.bowl:
        start, lowest, _ = case.arguments
        if result.shape != start.shape or not torch.isfinite(result).all():
            return False
        if case.kind == "range":
            goal = lowest.clamp(0, 1)
            nearer = (result - goal).norm() < 0.8 * (start - goal).norm()
            return bool(nearer and result.min() >= -1e-6 and result.max() <= 1 + 1e-6)
        return bool((result - lowest).abs().max() < NEAR)
    if case.pull is None:
        return alike(result, right(case.part, case.arguments))
    copies = [each.clone() if isinstance(each, Tensor) else each for each in case.arguments]
    towards = [copies[place].requires_grad_() for place in case.followed]
    expected = torch.autograd.grad((right(case.part, tuple(copies)) * case.pull).sum(), towards)
    given = [answer.get(f"gradient{place}") for place in range(len(expected))]
    open_ = [at > 0 for at in towards]  # at the kink of a ReLU a gradient is a choice
    return all(
        one is not None and one.shape == other.shape and alike(one * at, other * at)
        for one, other, at in zip(given, expected, open_, strict=True)
    )


def alike(given: Tensor, wanted: Tensor) -> bool:
    """The same but for rounding; the shape of a batch of one may be left out."""
    single = wanted.ndim > 0 and len(wanted) == 1 and given.shape == wanted.shape[1:]
    if given.is_complex() or not (given.shape == wanted.shape or single):
        return False
    given, wanted = given.double().reshape(wanted.shape), wanted.double()
    error = RELATIVE_ERROR * max(wanted.abs().max().item(), 1e-30)
    return bool(((given - wanted).abs() <= error).all())


def mistake(part: str, asked: list[Case], given: list[Answer | None]) -> str:
    """The sentence for a mistake that ``nst.check`` knows, or nothing."""
    quantity = QUANTITIES.get(QUANTITY.get(part, part))
    pairs = [(case, each) for case, each in zip(asked, given, strict=True) if not case.followed]
    wrong: dict[str, Callable[..., Any]] = {} if quantity is None else {**quantity.mistakes}
    for sentence, function in wrong.items():
        made = [function(*case.arguments) for case, _ in pairs]
        if all(
            answer is not None and "result" in answer and alike(answer["result"], each)
            for each, (_, answer) in zip(made, pairs, strict=True)
        ):
            return sentence
    return ""
