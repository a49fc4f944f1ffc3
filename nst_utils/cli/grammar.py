"""What can be typed in which order, and the one line for what cannot."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from nst_utils.cli.exit_codes import BAD_INPUT
from nst_utils.cli.order import pictures_first
from nst_utils.cli.printing import printed
from nst_utils.support import checks
from nst_utils.support.messages import one_line, say


class Parser(argparse.ArgumentParser):
    """Of ``nst`` itself: bad input is one line."""

    def error(self, message: str) -> NoReturn:
        """One line instead of argparse's usage dump."""
        raise SystemExit(refuse(f"{message} (see {self.prog} --help)"))

    def _print_message(self, message: str, file: object = None) -> None:
        """``--help`` and ``--version``, which argparse would drop where they cannot be printed."""
        code = printed(message.rstrip("\n"))
        if code:
            raise SystemExit(code)

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Complain about an unknown option here, where its command's own help is named."""
        words = self._in_order(sys.argv[1:] if args is None else list(args))
        namespace, unknown = super().parse_known_args(words, namespace)
        if unknown:
            self.error(f"unknown option or argument: {' '.join(unknown)}")
        return namespace, unknown

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """With the nearest one, as for every other name."""
        if action.choices is not None and value not in action.choices:
            what = "command" if action.dest == "command" else "value"
            known = map(str, action.choices)
            raise argparse.ArgumentError(action, checks.unknown(what, value, known))

    def _in_order(self, words: list[str]) -> list[str]:
        if not words:  # somebody who wants to know what there is
            self.print_help()
            raise SystemExit(0)
        if words[0].startswith("-") and words[0] not in self._option_string_actions:
            if len(words) == 1:
                known = ", ".join(self._option_string_actions)
                self.error(f"unknown option '{words[0]}'; there are {known}")
            self.error(f"the command comes before its options: {self.prog} COMMAND ... {words[0]}")
        return words


class Command(Parser):
    """Of one command: options and pictures in any order."""

    def _in_order(self, words: list[str]) -> list[str]:
        try:
            return pictures_first(words, self._option_string_actions)
        except ValueError as error:
            self.error(str(error))


def refuse(message: object) -> int:
    """Say on one line what is wrong; return the exit code."""
    say(one_line(message, whole=True))
    return BAD_INPUT
