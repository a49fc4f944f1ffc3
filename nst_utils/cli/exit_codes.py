"""How ``nst`` ends, but for 0 where all is well, and for signals (``support.interrupts``)."""

from __future__ import annotations

COULD_NOT_GO_ON = 1
BAD_INPUT = 2
