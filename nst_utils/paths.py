"""Where the bundled data lies, and how files are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_PACKAGE = Path(__file__).resolve().parent


def data_file(relative: str) -> Path:
    """The path of a bundled file.

    A wheel carries ``data/`` inside the package; a checkout has it beside the package.
    Raises ``FileNotFoundError`` where neither has it.
    """
    for root in (_PACKAGE / "data", _PACKAGE.parent / "data"):
        if (root / relative).is_file():
            return root / relative
    raise FileNotFoundError(
        f"the bundled file data/{relative} is missing; install nst_utils again, or check it out "
        "again with git"
    )


def check_writable(path: Path) -> None:
    """Raise before a long run, not after it, where ``path`` could not be written.

    Raises ``FileNotFoundError`` for a missing folder, ``ValueError`` for the rest.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file in it, for instance {path / 'out.png'}")
    folder = path.parent
    if not folder.exists():
        raise FileNotFoundError(f"the folder {folder} does not exist; make it, or write elsewhere")
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder; choose another output path")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"cannot write into {folder} ({error.strerror}); choose another") from None


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file by ``write(binary_file)``: the whole file appears, or nothing changes."""
    check_writable(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise ValueError(f"{path} could not be written ({error.strerror or error})") from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
