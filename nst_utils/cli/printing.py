"""What a command is there to print."""

from __future__ import annotations

from nst_utils.cli.exit_codes import COULD_NOT_GO_ON
from nst_utils.support.messages import one_line, say, tell


def printed(text: str) -> int:
    """Print it; the exit code says whether that was possible."""
    hindrance = tell(text)
    if hindrance is None or isinstance(hindrance, BrokenPipeError):  # who reads has had enough
        return 0
    say(f"standard output cannot be written ({one_line(hindrance)}); send it elsewhere")
    return COULD_NOT_GO_ON
