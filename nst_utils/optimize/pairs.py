"""What L-BFGS remembers of each picture: the last pairs (s, y), and the direction that they give.

A pair is a step that was taken, s, and how the gradient changed by it, y. The two loops of Nocedal
& Wright (algorithm 7.4) walk through them one by one, two inner products and two additions a pair.
Written out for all pairs at once they are two triangular systems of m equations and four products
with m rows (Byrd, Nocedal & Schnabel 1994 call it the compact form). With S and Y the pairs as
rows, oldest first, R the upper triangle of S Y^T, diagonal included, and D that diagonal:

    first loop    R a = S g,            q = g - Y^T a
    then          r = H0 q
    second loop   R^T c = D a - Y r,    the inverse Hessian times g = r + S^T c

A few large products keep a GPU busy where many small ones let it wait. Nothing here looks at a
value from Python, so nothing waits for the device either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

_STATE = ("_s", "_y", "_inner", "_next", "_known", "scaling")


class Pairs:
    """The newest pairs of every row; rows never influence one another.

    Args:
        rows, size: how many pictures, and how many values each has.
        number: m, how many pairs are kept.
        like: a tensor of the same kind and on the same device.

    Attributes:
        scaling: (B,), s y / y y of each row's newest pair: the usual H0 is that times the identity.
    """

    def __init__(self, rows: int, size: int, number: int, like: Tensor) -> None:
        self._make(rows, size, number, like)
        self.scaling = like.new_ones(rows)

    def _make(self, rows: int, size: int, number: int, like: Tensor) -> None:
        self._size = size
        self._s = like.new_zeros(rows, number, size)
        self._y = like.new_zeros(rows, number, size)
        self._inner = like.new_zeros(rows, number, number)  # s_i y_j, by place
        self._next = torch.zeros(rows, dtype=torch.long, device=like.device)  # place to be filled
        self._known = torch.zeros_like(self._next)  # pairs since the last :meth:`forget`
        self._rows = torch.arange(rows, device=like.device)
        self._places = torch.arange(number, device=like.device)
        self._identity = torch.eye(number, dtype=like.dtype, device=like.device)

    def __len__(self) -> int:
        return len(self._places)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next directions depend on."""
        return {name: getattr(self, name) for name in _STATE}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where :meth:`state` was taken. With as few pairs as there; where those are
        more than there is room for here, with the newest."""
        number = state["_s"].shape[1]
        if number < len(self):
            self.begin_anew(number)
        elif number > len(self):
            state = _newest(state, len(self))
        for name in _STATE:
            getattr(self, name).copy_(state[name])

    @property
    def any(self) -> Tensor:
        """(B,), which rows know a pair."""
        return self._known > 0

    def direction(self, gradient: Tensor, first_guess: Callable[[Tensor], Tensor]) -> Tensor:
        """Minus the inverse Hessian's estimate times the gradient, (B, n) -> (B, n).

        Args:
            gradient: g. first_guess: H0, the estimate before any pair, times a (B, n).
        """
        m = len(self._places)
        by_age = (self._next[:, None] + self._places) % m  # (B, m), places, the oldest pair first
        there = (self._places - self._next[:, None]) % m  # and where each place stands in that
        known = self._places >= m - self._known[:, None]  # by age; those before are empty
        sy = self._inner.gather(1, by_age[:, :, None].expand_as(self._inner))
        sy = sy.gather(2, by_age[:, None].expand_as(sy))
        both = known[:, :, None] & known[:, None]
        upper = torch.where(both, sy, self._identity).triu()  # R; an empty place multiplies nothing
        diagonal = upper.diagonal(dim1=1, dim2=2)

        def sorted_by_age(products: Tensor) -> Tensor:  # (B, m, 1) -> (B, m)
            return torch.where(known, products[:, :, 0].gather(1, by_age), 0)

        def in_place(values: Tensor) -> Tensor:  # back, as a row: (B, m, 1) -> (B, 1, m)
            return values[:, :, 0].gather(1, there)[:, None]

        a = _solve(upper, sorted_by_age(_inner_products(self._s, gradient)), upper=True)
        q = _sums(gradient, in_place(-a), self._y)
        r = first_guess(q)
        right = diagonal * a[:, :, 0] - sorted_by_age(_inner_products(self._y, r))
        c = _solve(upper.transpose(1, 2), right, upper=False)
        return _sums(r, in_place(c), self._s).neg_()

    def remember(self, s: Tensor, y: Tensor, good: Tensor) -> None:
        """Keep the pair (s, y), (B, n) each, in the place of the oldest, in the rows that are
        ``good``, (B,)."""
        one = good[:, None]
        # What may not be finite must not come into the memory, not even times 0.
        here = self._places == self._next[:, None]  # (B, m), the place to be filled
        for kept, new in ((self._s, s), (self._y, y)):
            self._put(kept, new, one, here)
        with_newest = _inner_products(self._s, y)[:, :, 0]
        # Of the pair itself, computed as by the caller who found it good, so that it is above 0.
        itself = torch.linalg.vecdot(s, y)
        with_newest = torch.where(here, itself[:, None], with_newest)
        column = (here & one)[:, None]
        self._inner.copy_(torch.where(column, with_newest[:, :, None], self._inner))
        scaling = itself / torch.linalg.vecdot(y, y)
        self.scaling.copy_(torch.where(good, scaling, self.scaling))
        m = len(self._places)
        self._next.copy_(torch.where(good, (self._next + 1) % m, self._next))
        self._known.copy_(torch.where(good, (self._known + 1).clamp(max=m), self._known))

    def _put(self, kept: Tensor, new: Tensor, good: Tensor, here: Tensor) -> None:
        """Into the place of each row that is to be filled, (B, n) into (B, m, n)."""
        if kept.device.type != "cpu" and torch.are_deterministic_algorithms_enabled():
            # A GPU then writes to places given by numbers in a way that some versions of torch
            # cannot record. This reads and writes all pairs once more.
            kept.copy_(torch.where((here & good)[:, :, None], new[:, None], kept))
            return
        before = kept[self._rows, self._next]
        kept[self._rows, self._next] = torch.where(good, new, before)

    def begin_anew(self, number: int) -> None:
        """Know nothing any more but the scaling, and from now on keep so many pairs."""
        self._s = self._y = self.scaling.new_zeros(0)  # before memory for others is taken
        self._make(len(self._rows), self._size, number, self.scaling)

    def forget(self, rows: Tensor) -> None:
        """Begin anew in these rows, (B,) bool; their scaling stays."""
        self._known.masked_fill_(rows, 0)


def _newest(state: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """The same with so many pairs, which is fewer."""
    of_each = {name: state[name].clone() for name in ("_next", "_known", "scaling")}
    m = state["_s"].shape[1]
    ages = torch.arange(m - number, m, device=of_each["_next"].device)
    by_age = (of_each["_next"][:, None] + ages) % m  # (B, number), places, the oldest of them first
    rows = torch.arange(len(by_age), device=by_age.device)[:, None]
    return of_each | {
        "_s": state["_s"][rows, by_age],
        "_y": state["_y"][rows, by_age],
        "_inner": state["_inner"][rows[:, :, None], by_age[:, :, None], by_age[:, None]],
        "_next": torch.zeros_like(of_each["_next"]),
        "_known": of_each["_known"].clamp(max=number),
    }


def _inner_products(vectors: Tensor, other: Tensor) -> Tensor:
    """Inner products of m vectors of each row with another: (B, m, n), (B, n) -> (B, m, 1)."""
    return _row_by_row(torch.bmm, vectors, other[:, :, None])


def _sums(start: Tensor, factors: Tensor, vectors: Tensor) -> Tensor:
    """(B, n) + (B, 1, m) times (B, m, n) -> (B, n)."""
    return _row_by_row(torch.baddbmm, start[:, None], factors, vectors)[:, 0]


def _row_by_row(work: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """On a GPU all rows at once. On a CPU one after the other, which costs nothing, since each is
    large, and makes a batch the same as its rows to the last bit."""
    if tensors[0].device.type != "cpu" or len(tensors[0]) == 1:
        return work(*tensors)
    return torch.cat([work(*row) for row in zip(*(x.split(1) for x in tensors), strict=True)])


def _solve(triangle: Tensor, right: Tensor, *, upper: bool) -> Tensor:
    """(B, m, m), (B, m) -> (B, m, 1)."""
    return torch.linalg.solve_triangular(triangle, right[:, :, None], upper=upper)
