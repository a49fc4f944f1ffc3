"""When a picture cannot go on: where in the network something stopped being finite, in a sentence.

The optimizers never move a picture to where its loss or gradient is not finite, so what is left
then is the last good one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from nst_utils.networks.network import Network
from nst_utils.objective.table import Objective


def describe(objective: Objective, images: Tensor, picture: int) -> str:
    """Where, evaluated once more, something of that row is not finite, and what to do."""
    with _Watch(objective.net) as watch:
        # Without stepping down where memory runs out: a recorded step goes on using what there is.
        evaluation = Objective.evaluate(objective, images[picture : picture + 1], [picture])
    if watch.response is not None:
        return f"the responses of {watch.response} are not finite; {watch.advice}"
    bad = (~evaluation.terms[0].isfinite()).nonzero().flatten().tolist()
    # Columns that a row does not have are NaN, too.
    terms = [objective.columns[column] for column in bad if objective.has(picture, column)]
    if terms:
        though = ", though the responses to the picture are" if watch.looked else ""
        return f"the loss {terms[0]} is not finite{though}; {watch.advice}"
    if watch.gradient is not None:
        return f"the gradient at {watch.gradient} is not finite; {watch.advice}"
    if not bool(evaluation.gradient.isfinite().all()):
        return f"the gradient at the picture is not finite; {watch.advice}"
    return (
        "the loss or its gradient was not finite wherever the picture was moved, and is finite "
        "where it is; take another precision or device, or start again with another seed"
    )


class _Watch:
    """Looks at the responses of every layer, and at their gradients, while the network works.

    Attributes:
        response: the first layer, from the picture on, whose responses are not finite.
        gradient: the first one on the way back whose gradient is not.
        looked: whether it saw any; a compiled network does not let it.
    """

    def __init__(self, net: Network) -> None:
        self.response: str | None = None
        self.gradient: str | None = None
        self.looked = False
        self._net = net
        self._handles: list[Any] = []
        self._greatest = 0.0

    def __enter__(self) -> _Watch:
        for layer, module in self._net.modules_by_layer().items():
            self._handles.append(module.register_forward_hook(self._hook(layer)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def advice(self) -> str:
        if self._greatest > 1e15:
            return (
                f"values reach {self._greatest:.1e} before it: the weights of this network are too "
                "large; use other weights"
            )
        size = "values before it are of ordinary size: " if self.looked else ""
        return f"{size}use other weights, another precision, or another device"

    def _hook(self, layer: str) -> Callable[[Any, Any, Tensor], None]:
        def look(_module: Any, _inputs: Any, response: Tensor) -> None:
            self.looked = True
            if self.response is None and not bool(response.isfinite().all()):
                self.response = layer
            if self.response is None:
                self._greatest = max(self._greatest, float(response.detach().abs().max()))
            if response.requires_grad:
                response.register_hook(look_back)

        def look_back(gradient: Tensor) -> None:
            if self.gradient is None and not bool(gradient.isfinite().all()):
                self.gradient = layer

        return look
