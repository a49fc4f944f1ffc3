"""``nst.check``: is this function of mine right? If not, a sentence that helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nst_utils.support import checks
from nst_utils.support.messages import one_line, tell
from nst_utils.teaching.algorithms import ALGORITHMS
from nst_utils.teaching.calling import WrongAnswerError, call, call_followed, undisturbed
from nst_utils.teaching.equations import EQUATIONS
from nst_utils.teaching.quantity import Answer, Case, Quantity

QUANTITIES: dict[str, Quantity] = EQUATIONS | ALGORITHMS
SEED = 0
RELATIVE_ERROR = 1e-4  # of the largest value; the inputs are float32
CUT_OFF = (
    "the numbers are right, but no gradient can flow back through them; leave out .item(), "
    ".detach(), float(), torch.tensor(...), torch.no_grad, out= and NumPy"
)

Tensors = list[Tensor]


def check(quantity: str, answer: Callable[..., Any]) -> bool:
    """Try a function on some cases and say on standard output whether it is right.

    >>> import nst_utils as nst
    >>> def gram_matrix(F):
    ...     F = F.flatten(2)
    ...     return F @ F.transpose(1, 2) / F.shape[2]
    >>> nst.check("gram_matrix", gram_matrix)
    gram_matrix: not yet; it is divided by M; equation 3 divides by nothing.
    False

    Args:
        quantity: ``content_loss``, ``content_loss_mean``, ``content_loss_gradient``,
            ``gram_matrix``, ``style_loss``, ``style_loss_gradient``, ``total_loss``,
            ``sum_to_mean``, ``normalize``, ``gradient_step`` or ``two_loops``. What each is called
            with is said where the answer cannot be called so.
        answer: the function. It gets copies, which it must leave as they are.

    Returns:
        Whether it is right. A wrong answer never raises; one that never ends is not ended.

    Raises:
        ValueError: there is no such quantity.
    """
    asked = QUANTITIES[checks.one_of("quantity", quantity, [*QUANTITIES])]
    try:
        with undisturbed():
            count = _examine(asked, answer)
    except WrongAnswerError as wrong:
        tell(f"{quantity}: not yet; {wrong}.")
        return False
    tell(f"{quantity}: right, in {count} cases.")
    return True


def _examine(asked: Quantity, answer: Answer) -> int:
    """Try all cases; how many, or :class:`WrongAnswerError`."""
    if not callable(answer):
        raise WrongAnswerError(
            f"give the function itself, not {type(answer).__name__}: {asked.call}"
        )
    cases = asked.cases(torch.Generator().manual_seed(SEED))
    given = [call(asked, answer, case) for case in cases]
    wanted = [_listed(asked.right(*case)) for case in cases]
    if not all(map(_all_alike, given, wanted)):
        _find_mistake(asked, cases, given)
        _find_factor(given, wanted)
    for case, mine, right in zip(cases, given, wanted, strict=True):
        _compare(case, mine, right)
    if asked.followed:
        _follow_gradient(asked, answer, cases[0])
    if torch.cuda.is_available():
        there = tuple(each.cuda() if isinstance(each, Tensor) else each for each in cases[0])
        _compare(there, call(asked, answer, there), _listed(asked.right(*there)))
    return len(cases)


def _listed(result: Any) -> Tensors:
    return [torch.as_tensor(part) for part in (result if isinstance(result, tuple) else (result,))]


def _find_mistake(asked: Quantity, cases: list[Case], given: list[Tensors]) -> None:
    for sentence, mistake in asked.mistakes.items():
        made = [_listed(mistake(*case)) for case in cases]
        if all(map(_all_alike, given, made)):
            raise WrongAnswerError(sentence)


def _find_factor(given: list[Tensors], wanted: list[Tensors]) -> None:
    """One factor in all cases, and 0 where 0 is right."""
    mine, right = ([part for parts in each for part in parts] for each in (given, wanted))
    if len(mine) != len(right) or not all(map(_fits, mine, right)):
        return
    one, other = (torch.cat([_plain(part).flatten() for part in each]) for each in (mine, right))
    there = other.abs() > 1e-6 * other.abs().max()
    factors = one[there] / other[there]
    factor = factors.median()
    alike = (factors - factor).abs().max() <= RELATIVE_ERROR * factor.abs()
    if len(factors) > 1 and alike and factor != 0 and not one[~there].any():
        raise WrongAnswerError(
            f"each value is {factor.item():.6g} times what it should be; look for a factor"
        )


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().double().cpu()


def _fits(given: Tensor, wanted: Tensor) -> bool:
    """Whether the shapes are the same; that of a batch of one may be left out."""
    single = wanted.ndim > 0 and len(wanted) == 1
    return given.shape == wanted.shape or (single and given.shape == wanted.shape[1:])


def _wrong(given: Tensor, wanted: Tensor) -> Tensor:
    """Where two tensors of one shape differ by more than rounding, or one is NaN."""
    wanted = _plain(wanted)
    error = RELATIVE_ERROR * max(wanted.abs().max().item(), 1e-30)
    return ~((_plain(given).view_as(wanted) - wanted).abs() <= error)


def _alike(given: Tensor, wanted: Tensor) -> bool:
    return _fits(given, wanted) and not bool(_wrong(given, wanted).any())


def _all_alike(given: Tensors, wanted: Tensors) -> bool:
    return len(given) == len(wanted) and all(map(_alike, given, wanted))


def _compare(case: Case, given: Tensors, wanted: Tensors) -> None:
    """Find words for what differs, from the coarse to the fine."""
    if len(given) != len(wanted):
        raise WrongAnswerError(f"it gives {len(given)} tensors back, not {len(wanted)}")
    inputs = [each for each in case if isinstance(each, Tensor)]
    shapes = ", ".join(str(tuple(each.shape)) for each in inputs)
    what = f"arguments of the shapes {shapes}" if inputs else f"the arguments {case}"
    for number, (one, other) in enumerate(zip(given, wanted, strict=True), 1):
        it = "it" if len(wanted) == 1 else f"number {number} of the results"
        if not _fits(one, other):
            raise WrongAnswerError(
                f"for {what} {it} has the shape {tuple(one.shape)}, not {tuple(other.shape)}"
            )
        if inputs and one.dtype != inputs[0].dtype:
            raise WrongAnswerError(f"{it} has the type {one.dtype}, its input {inputs[0].dtype}")
        if not torch.isfinite(_plain(one)).all():
            raise WrongAnswerError(f"for {what} {it} is NaN or infinite")
        if not _alike(one, other):
            raise WrongAnswerError(f"for {what} {_difference(it, one, other)}")


def _difference(it: str, one: Tensor, other: Tensor) -> str:
    """Which numbers differ."""
    wrong = _wrong(one, other)
    one, other = _plain(one).view_as(other), _plain(other)
    if other.numel() == 1:
        return f"{it} is {one.item():.6g} and should be {other.item():.6g}"
    worst = int(torch.where(wrong, (one - other).abs(), -1.0).argmax())
    index = [int(each) for each in torch.unravel_index(torch.tensor(worst), other.shape)]
    return (
        f"{int(wrong.sum())} of {other.numel()} values are wrong; at {index} {it} is "
        f"{one.flatten()[worst].item():.6g} and should be {other.flatten()[worst].item():.6g}"
    )


def _follow_gradient(asked: Quantity, answer: Answer, case: Case) -> None:
    """The picture is found by following this gradient back, so it must be there, and right."""
    mine, right = (
        [each.clone().requires_grad_() if isinstance(each, Tensor) else each for each in case]
        for _ in range(2)
    )
    result = call_followed(asked, answer, tuple(mine))
    if not result.requires_grad:
        raise WrongAnswerError(CUT_OFF)
    count = asked.followed
    try:
        found = torch.autograd.grad(result.sum(), mine[:count], allow_unused=True)
    except Exception as error:  # as autograd does where a tensor that it needs was changed
        raise WrongAnswerError(
            "the numbers are right, but their gradient cannot be computed "
            f"({one_line(error).rstrip('.')})"
        ) from None
    expected = torch.autograd.grad(asked.right(*right).sum(), right[:count])
    for one, other, at in zip(found, expected, case, strict=False):
        if one is None:
            raise WrongAnswerError(CUT_OFF)
        if not torch.isfinite(one).all():
            raise WrongAnswerError(
                "the numbers are right, but their gradient is NaN in places; a square root or a "
                "division has none at 0"
            )
        if bool((_wrong(one, other) & (at > 0)).any()):  # at the kink of a ReLU it is a choice
            raise WrongAnswerError(
                "the numbers are right, but their gradient is not; a part of it seems to be "
                "detached"
            )
