"""What ``nst`` hands to others: the notebooks to a folder, a picture to the system's viewer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from nst_utils.support.messages import say, tell
from nst_utils.support.paths import made, notebooks, user_path, write_whole


def notebooks_command(args: Namespace) -> int:
    """Copy all or none; never over a file."""
    folder = user_path(args.folder)
    copies = {book: folder / book.name for book in notebooks()}
    for copy in copies.values():
        if copy.exists() or copy.is_symlink():
            raise ValueError(f"{copy} is there already; name another folder")
    made(folder)
    for book, copy in copies.items():
        write_whole(copy, partial(_copy, book))
    tell(f"{folder}  ({len(copies)} notebooks; begin with {next(iter(copies.values())).name})")
    return 0


def _copy(source: Path, file: BinaryIO) -> None:
    file.write(source.read_bytes())


def open_picture(path: Path) -> None:
    """Let the system show it; one line where it has no viewer, since the picture is made."""
    if sys.platform == "win32":
        try:
            os.startfile(path.resolve())
        except OSError as error:
            say(f"no program shows {path} ({error.strerror}); open it yourself")
        return
    viewer = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if viewer is None:
        say(f"there is no program here to show {path} with; open it yourself")
        return
    quiet = subprocess.DEVNULL
    try:
        # Not waited for: it may stay as long as the picture is looked at.
        subprocess.Popen(
            [viewer, path.resolve()],
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
    except OSError as error:
        say(f"{viewer} does not start ({error.strerror}); open {path} yourself")
