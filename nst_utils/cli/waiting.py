"""How long threads that wait for one another keep a processor busy before they sleep."""

import os

SPINS = 30_000
_CHOSEN = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def sleep_sooner() -> None:
    """Set it for the torch of this process and its children, unless somebody has.

    Call before torch is imported. GCC's OpenMP, which torch has on Linux, turns 300,000 times; a
    tenth costs nothing on an idle machine and saves a third of the time on a busy one
    (benchmarks/waiting.py). Others do not read it.
    """
    if not any(name in os.environ for name in _CHOSEN):
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)
