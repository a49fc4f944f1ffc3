"""How much goes through the network at once, and where: less from the moment when memory runs out.

What comes out is the same, up to rounding, whichever way it is had.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from nst_utils.networks.network import Network, on_device
from nst_utils.objective import tiles
from nst_utils.support import checks
from nst_utils.support.messages import say

T = TypeVar("T")


class Capacity:
    """A network and what it is given at a time.

    Args:
        net: the network, on the device where the work is to be done.
        tile: the side in pixels of the tiles that a picture is cut into, if it is to be cut.
        may_move: whether the work may be moved from a GPU to the CPU.

    Attributes:
        net, tile: what holds now.

    Raises:
        ValueError: the tile is no number of pixels, or the network cannot work in tiles.
    """

    def __init__(self, net: Network, tile: int | None = None, may_move: bool = False) -> None:
        tiles.check(net.architecture, tile)
        self.net = net
        self.tile = self._tile_asked_for = tile
        self._may_move = may_move
        self._one_by_one = net.mean.device.type == "cpu"

    def at_once(self, pictures: int) -> int:
        """How many of the pictures go through the network together.

        A GPU takes them all at once; a processor's cache holds one picture better than many.
        """
        return 1 if self._one_by_one else max(1, pictures)

    def run(self, work: Callable[[], T], pictures: int, side: int) -> T:
        """Do the work; whenever memory runs out, again with less at a time, from then on.

        Args:
            work: looks at this object for what it may do at a time.
            pictures: how many there are. side: the longest one of any, in pixels.

        Raises:
            MemoryError: there is nothing left to do with less.
        """
        while True:
            try:
                return work()
            except Exception as error:
                if not checks.is_out_of_memory(error):
                    raise
            # Here, not above: the error would hold on to what was computed so far.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            say(f"memory ran out; from here on {self._step_down(pictures, side)}")

    def _step_down(self, pictures: int, side: int) -> str:
        """Take the next measure, and say which."""
        now = min(side, self.tile or side)
        smaller = max(tiles.LEAST_TILE, now // 2)
        if not self._one_by_one and pictures > 1:
            self._one_by_one = True
            return "one picture at a time goes through the network"
        if smaller < now and tiles.can_be_cut(self.net.architecture):
            self.tile = smaller
            return f"the network sees tiles of {smaller} px, which takes longer"
        if self._may_move and self.net.mean.device.type != "cpu":
            self.net = on_device(self.net, torch.device("cpu"))
            self.tile, self._one_by_one = self._tile_asked_for, True
            return "the network runs on the CPU, which takes longer"
        raise MemoryError(
            "there is not enough memory, however a picture is cut; use a smaller size"
        )
