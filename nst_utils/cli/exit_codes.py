"""How ``nst`` ends, but for 0 where all is well."""

from __future__ import annotations

COULD_NOT_GO_ON = 1
BAD_INPUT = 2
INTERRUPTED = 130
