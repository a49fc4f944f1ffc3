"""``nst.check``: is this function of mine right? If not, a sentence that helps."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from nst_utils.support import checks
from nst_utils.support.messages import one_line, tell
from nst_utils.teaching.algorithms import ALGORITHMS
from nst_utils.teaching.equations import EQUATIONS
from nst_utils.teaching.quantity import Answer, Case, Quantity

QUANTITIES: dict[str, Quantity] = EQUATIONS | ALGORITHMS
SEED = 0
RELATIVE_ERROR = 1e-4  # of the largest value; the inputs are float32


class _WrongAnswerError(Exception):
    """What is wrong, as the sentence says it."""


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
        answer: the function. It is given tensors of its own and may do anything with them.

    Returns:
        Whether it is right. A wrong answer never raises.

    Raises:
        ValueError: there is no such quantity.
    """
    asked = QUANTITIES[checks.one_of("quantity", quantity, [*QUANTITIES])]
    try:
        count = _examine(asked, answer)
    except _WrongAnswerError as wrong:
        tell(f"{quantity}: not yet; {wrong}.")
        return False
    tell(f"{quantity}: right, in {count} cases.")
    return True


def _examine(asked: Quantity, answer: Answer) -> int:
    """Try all cases; how many, or :class:`_WrongAnswerError`."""
    if not callable(answer):
        raise _WrongAnswerError(
            f"give the function itself, not {type(answer).__name__}: {asked.call}"
        )
    cases = asked.cases(torch.Generator().manual_seed(SEED))
    given = [_called(asked, answer, case) for case in cases]
    wanted = [asked.right(*case) for case in cases]
    for sentence, mistake in asked.mistakes.items():
        made = [mistake(*case) for case in cases]
        if _all_alike(given, made) and not _all_alike(given, wanted):
            raise _WrongAnswerError(sentence)
    for case, one, other in zip(cases, given, wanted, strict=True):
        _compare(case, one, other)
    if asked.differentiable:
        _let_gradient_flow(asked, answer, cases[0])
    if torch.cuda.is_available():
        _compare_devices(asked, answer, cases[0])
    return len(cases)


def _called(asked: Quantity, answer: Answer, case: Case) -> Any:
    """What the answer gives, if it is a number or tensors; its arguments must stay as they were."""
    arguments = tuple(each.clone() if isinstance(each, Tensor) else each for each in case)
    try:
        result = answer(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of a wrong answer, whatever it may be, SystemExit included
        raise _WrongAnswerError(_what_was_raised(asked, answer, error)) from None
    for number, (before, after) in enumerate(zip(case, arguments, strict=True), 1):
        if isinstance(before, Tensor) and not torch.equal(before, after):
            raise _WrongAnswerError(
                f"it changes its argument number {number} in place (as x -= 1 or x.sub_(1) do); "
                "compute a new tensor, x - 1, and leave what you were given as it is"
            )
    result = _of_known_type(asked, result)
    devices = {each.device for each in arguments if isinstance(each, Tensor)}
    for each in _parts(result) if devices else ():
        if each.device not in devices:
            raise _WrongAnswerError(f"it gives a tensor on {each.device}, not where its input is")
    return result


def _what_was_raised(asked: Quantity, answer: Answer, error: BaseException) -> str:
    """One sentence for an error in the answer, with its line where that is known."""
    if isinstance(error, NotImplementedError):
        return f"nothing is there yet: {asked.call}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)[1:]]
    code = getattr(answer, "__code__", None)
    what = f"{type(error).__name__}: {one_line(error).rstrip('.')}"
    if not lines or code is None:
        return f"it cannot be called so ({what}); it should be {asked.call}"
    line = lines[0] - code.co_firstlineno + 1 if lines[0] else 1
    return f"it stops in line {line} with {what}; it should be {asked.call}"


def _of_known_type(asked: Quantity, result: Any) -> Any:
    """A number, a tensor or a tuple of tensors, as asked for."""
    if result is None or result is Ellipsis:
        raise _WrongAnswerError(
            f"it gives nothing back; is there a return? It should be {asked.call}"
        )
    if type(result).__module__.partition(".")[0] == "numpy":
        raise _WrongAnswerError(
            "it gives NumPy's numbers back; stay with torch, or no gradient can flow"
        )
    parts = result if isinstance(result, tuple | list) else (result,)
    if not all(isinstance(part, Tensor | int | float) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise _WrongAnswerError(f"it gives {kinds} back; it should be {asked.call}")
    return result


def _parts(result: Any) -> list[Tensor]:
    """Tensors of what may be a number, a tensor or some of them."""
    parts = result if isinstance(result, tuple | list) else (result,)
    return [torch.as_tensor(part) for part in parts]


def _fits(given: Tensor, wanted: Tensor) -> bool:
    """Whether the shapes are the same; that of a batch of one may be left out."""
    single = wanted.ndim > 0 and len(wanted) == 1
    return given.shape == wanted.shape or (single and given.shape == wanted.shape[1:])


def _alike(given: Tensor, wanted: Tensor) -> bool:
    """Equal in shape and, up to rounding, in values."""
    if not _fits(given, wanted):
        return False
    wanted = wanted.double().cpu()
    given = given.detach().double().cpu().view_as(wanted)
    error = RELATIVE_ERROR * max(wanted.abs().max().item(), 1e-30)
    return bool(((given - wanted).abs() <= error).all())  # not where it is NaN


def _all_alike(given: Iterable[Any], wanted: Iterable[Any]) -> bool:
    for one, other in zip(given, wanted, strict=True):
        mine, theirs = _parts(one), _parts(other)
        if len(mine) != len(theirs) or not all(map(_alike, mine, theirs)):
            return False
    return True


def _compare(case: Case, given: Any, wanted: Any) -> None:
    """Find words for what differs, from the coarse to the fine."""
    mine, theirs = _parts(given), _parts(wanted)
    if len(mine) != len(theirs):
        raise _WrongAnswerError(f"it gives {len(mine)} things back, not {len(theirs)}")
    given_tensors = [each for each in case if isinstance(each, Tensor)]
    for one, other in zip(mine, theirs, strict=True):
        if not _fits(one, other):
            raise _WrongAnswerError(
                f"for {_shapes(given_tensors)} it gives the shape {_shape(one)}, not "
                f"{_shape(other)}"
            )
        if given_tensors and one.dtype != given_tensors[0].dtype:
            raise _WrongAnswerError(
                f"it gives {one.dtype}, not {given_tensors[0].dtype} as its arguments"
            )
        if not torch.isfinite(one).all():
            raise _WrongAnswerError("it gives NaN or infinity")
        if not _alike(one, other):
            raise _WrongAnswerError(_difference(one, other))


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def _shapes(tensors: list[Tensor]) -> str:
    return "arguments of the shapes " + ", ".join(map(_shape, tensors))


def _difference(one: Tensor, other: Tensor) -> str:
    """Which numbers differ; by which factor, if all of them do by the same."""
    one, other = (each.detach().flatten().double().cpu() for each in (one, other))
    there = other.abs() > 1e-6 * other.abs().max()
    factors = one[there] / other[there]
    if len(factors) and (factors - factors[0]).abs().max() < RELATIVE_ERROR * factors[0].abs():
        return f"each value is {factors[0].item():.6g} times what it should be; look for a factor"
    worst = int((one - other).abs().argmax())
    count = int((~torch.isclose(one, other, rtol=RELATIVE_ERROR, atol=1e-9)).sum())
    return (
        f"{count} of {len(one)} values are wrong; number {worst + 1} is {one[worst].item():.6g} "
        f"and should be {other[worst].item():.6g}"
    )


def _let_gradient_flow(asked: Quantity, answer: Answer, case: Case) -> None:
    """The picture is found by following this gradient back, so it must be there, and right."""
    leaves = [each.clone().requires_grad_() if torch.is_tensor(each) else each for each in case]
    expected = [each.clone().requires_grad_() if torch.is_tensor(each) else each for each in case]
    try:
        result = torch.as_tensor(answer(*leaves))
    except Exception:  # as .numpy() raises it; without gradients there was none
        result = torch.zeros(())
    if not result.requires_grad:
        raise _WrongAnswerError(
            "the numbers are right, but no gradient can flow back through them; leave out "
            ".item(), .detach(), float(), torch.tensor(...) and NumPy"
        )
    (mine,) = torch.autograd.grad(result.sum(), leaves[:1], allow_unused=True)
    (right,) = torch.autograd.grad(asked.right(*expected).sum(), expected[:1])
    if mine is None or (mine - right).abs().max() > 1e-3 * right.abs().max():
        raise _WrongAnswerError(
            "the numbers are right, but their gradient is not; is a part of it detached?"
        )


def _compare_devices(asked: Quantity, answer: Answer, case: Case) -> None:
    """On a GPU, where there is one: a tensor made on the processor does not go with those there."""
    there = tuple(each.cuda() if isinstance(each, Tensor) else each for each in case)
    result = _called(asked, answer, there)
    if any(isinstance(each, Tensor) for each in there):
        _compare(there, result, asked.right(*there))
