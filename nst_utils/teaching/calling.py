"""Calling somebody else's function, which may do anything: what it gives, or a sentence."""

from __future__ import annotations

import contextlib
import inspect
import re
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_utils.support.messages import one_line
from nst_utils.teaching.quantity import Answer, Case, Quantity

_TORCH = str(Path(torch.__file__).parent)


class WrongAnswerError(Exception):
    """What is wrong with an answer, as the sentence says it."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Gradients on, whatever the caller has set; and whatever the answer sets is set back."""
    dtype = torch.get_default_dtype()
    with warnings.catch_warnings(), torch.inference_mode(False), torch.enable_grad():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


def call(asked: Quantity, answer: Answer, case: Case) -> list[Tensor]:
    """What the answer gives, as tensors; its arguments must stay as they were.

    Raises:
        WrongAnswerError: it raises, changes its arguments, or gives something else.
    """
    arguments = tuple(each.clone() if isinstance(each, Tensor) else each for each in case)
    parts = _tensors(asked, _result(asked, answer, arguments), case)
    for number, (before, after) in enumerate(zip(case, arguments, strict=True), 1):
        if isinstance(before, Tensor) and not torch.equal(before, after):
            raise WrongAnswerError(
                f"it changes its argument number {number} in place (as x -= 1 or x.sub_(1) do); "
                "compute a new tensor, x - 1, and leave what you were given as it is"
            )
    return [part.detach().clone() for part in parts]  # a buffer may be written to once more


def call_followed(asked: Quantity, answer: Answer, case: Case) -> Tensor:
    """The same, with what a gradient can be followed back through; the arguments as they are."""
    try:
        result = _bound(asked, answer, case)
    except KeyboardInterrupt:
        raise
    except BaseException:  # as .numpy() raises it; without gradients there was none
        return torch.zeros(())
    return result if isinstance(result, Tensor) else torch.zeros(())


def _result(asked: Quantity, answer: Answer, arguments: Case) -> Any:
    try:
        return _bound(asked, answer, arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of a wrong answer, whatever it may be, SystemExit included
        sentence = _what_was_raised(asked, error)
    raise WrongAnswerError(sentence)


def _by_name(asked: Quantity, answer: Answer) -> set[str]:
    """Those of its parameters that it only takes by name, as total_loss takes alpha."""
    try:
        parameters = inspect.signature(answer).parameters.values()
    except (TypeError, ValueError):
        return set()
    return {each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}


def _bound(asked: Quantity, answer: Answer, arguments: Case) -> Any:
    by_name = _by_name(asked, answer)
    listed = re.findall(r"\w+", asked.call[asked.call.index("(") : asked.call.index(")")])
    pairs = list(zip(listed, arguments, strict=True))
    named = {name: value for name, value in pairs if name in by_name}
    with torch.enable_grad():  # an earlier call may have switched it off
        return answer(*(value for name, value in pairs if name not in by_name), **named)


def _what_was_raised(asked: Quantity, error: BaseException) -> str:
    """One sentence for an error, with the line of the answer where it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((_TORCH, __file__))]
    line = (own[-1].line or "") if own else ""
    try:
        said = one_line(error)
    except Exception:  # of an exception that cannot say what it is
        said = ""
    kind = type(error).__name__
    silent = said in ("", kind)
    if isinstance(error, NotImplementedError) and (silent or line.startswith("raise")):
        return f"nothing is there yet: {asked.call}"
    what = kind if silent else f"{kind}: {said.rstrip('.')}"
    if not own:
        return f"it cannot be called so ({what}); it should be {asked.call}"
    where = f" at {line}" if line else ""
    return f"it stops{where} with {what}; it should be {asked.call}"


def _tensors(asked: Quantity, result: Any, case: Case) -> list[Tensor]:
    """The tensors or numbers of a result."""
    of_numbers = not any(isinstance(each, Tensor) for each in case)
    if result is None or result is Ellipsis:
        raise WrongAnswerError(
            f"it gives nothing back; is there a return? It should be {asked.call}"
        )
    if type(result).__module__.partition(".")[0] == "numpy":
        if not of_numbers or result.ndim:
            raise WrongAnswerError(
                "it gives NumPy's numbers back; stay with torch, or no gradient can flow"
            )
        result = result.item()
    parts = list(result) if isinstance(result, tuple | list) else [result]
    if isinstance(result, tuple | list) and not isinstance(asked.right(*case), tuple):
        raise WrongAnswerError(
            f"it gives a {type(result).__name__} of {len(parts)} back, not a tensor; torch.stack "
            "puts those of several pictures into one"
        )
    if not all(isinstance(part, Tensor | int | float) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise WrongAnswerError(f"it gives {kinds} back; it should be {asked.call}")
    try:
        tensors = [p if isinstance(p, Tensor) else torch.tensor(float(p)) for p in parts]
    except OverflowError:
        raise WrongAnswerError("it gives a number that is too large for a float") from None
    devices = {each.device for each in case if isinstance(each, Tensor)} or {torch.device("cpu")}
    for each in tensors:
        if each.layout != torch.strided or each.is_nested or each.is_complex():
            raise WrongAnswerError("it gives a sparse, nested or complex tensor, not a plain one")
        if each.device not in devices:
            raise WrongAnswerError(f"it gives a tensor on {each.device}, not where its input is")
    return tensors
