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


def user_path(path: str | Path) -> Path:
    """``path`` with ``~`` expanded; ``ValueError`` for one that no file can have or be read at."""
    expanded = Path(path)
    try:
        expanded = expanded.expanduser()
        expanded.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass  # whoever asked knows what that means
    except (OSError, RuntimeError, ValueError) as error:
        shown = str(path) if len(str(path)) < 200 else f"{str(path)[:60]}..."
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{shown} cannot be used as a path ({reason}); choose another") from None
    return expanded


def check_writable(path: Path) -> None:
    """Raise before a long run, not after it, where ``path`` could not be written.

    Raises ``FileNotFoundError`` for a missing folder, ``ValueError`` for the rest.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file in it, for instance {path / 'out.png'}")
    if path.exists() and not path.is_file():  # a device, a pipe: replacing it would destroy it
        raise ValueError(f"{path} is no regular file; choose another output path")
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
    path = path.resolve()  # of a link, the file that it points to is replaced
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".nst-")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except (OSError, ValueError) as error:  # Pillow raises either where a format has limits
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{path} could not be written ({reason}); choose another path") from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
