"""``nst completion``: what a shell has to read to complete commands, options and names.

The script is made by shtab from the parser; here stands what it cannot know, where names and files
go.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from nst_utils.cli.printing import printed
from nst_utils.experiments.presets import PRESETS
from nst_utils.images.names import samples

HOW = """bash: put  eval "$(nst completion bash)"  into ~/.bashrc
zsh:  put  eval "$(nst completion zsh)"  into ~/.zshrc, after compinit"""
# By the name of an argument, of any command.
_PICTURES = ("content", "more_contents", "style", "more_styles", "image")
_FILES = ("output", "report", "checkpoint", "masks", "style_masks", "weights", "init")
_FOLDERS = ("folder",)
_FOLDER_COMMANDS = ("sweep", "batch")  # whose output is a folder
_PICTURE = {"bash": "_nst_picture_file", "zsh": "_nst_picture_file"}
_PRESET = {"bash": "_nst_preset", "zsh": "_nst_preset"}


def add_completion_options(sub: argparse.ArgumentParser) -> None:
    """Of ``nst completion``."""
    sub.formatter_class = argparse.RawDescriptionHelpFormatter
    sub.epilog = HOW
    sub.add_argument("shell", choices=("bash", "zsh"), help="that is to complete")


def print_completion(parser: argparse.ArgumentParser, shell: str) -> int:
    """Print the script for a shell; return the exit code."""
    import shtab  # here, because every other command would wait for it, too

    for command, action in _arguments(parser):
        complete = _completed(command, action.dest, shtab.FILE, shtab.DIRECTORY)
        if complete is not None and action.nargs != 0:
            action.complete = complete  # type: ignore[attr-defined]
    return printed(shtab.complete(parser, shell=shell, preamble=_preamble()))


def _arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                yield from ((name, each) for each in sub._actions)


def _completed(command: str, argument: str, file: Any, folder: Any) -> Any:
    if argument in _PICTURES:
        return _PICTURE
    if argument == "preset":
        return _PRESET
    if argument in _FOLDERS or (argument == "output" and command in _FOLDER_COMMANDS):
        return folder
    return file if argument in _FILES else None


def _preamble() -> Any:
    """Functions of each shell, as shtab takes them: bundled names or files; presets."""
    pictures, presets = " ".join(samples()), " ".join(PRESETS)
    bash = f"""
_nst_picture_file() {{ compgen -W "{pictures}" -- "$1"; compgen -f -- "$1"; }}
_nst_preset() {{ compgen -W "{presets}" -- "$1"; }}
"""
    zsh = f"""
_nst_picture_file() {{ compadd {pictures}; _files }}
_nst_preset() {{ compadd {presets} }}
"""
    return {"bash": bash, "zsh": zsh}
