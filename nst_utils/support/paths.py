"""Where the bundled data lies, and how files are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import io
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from nst_utils.support.messages import one_line

_PACKAGE = Path(__file__).resolve().parent.parent
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # of one letter it is a drive
# What the system's refusals mean, and what to do besides choosing another path.
_REFUSALS = {
    errno.ENOSPC: ("the disk is full", "make room"),
    errno.EDQUOT: ("your share of the disk is used up", "make room"),
    errno.EFBIG: ("no file may grow that large here", "raise the limit (ulimit -f)"),
}


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


def notebooks() -> list[Path]:
    """The notebooks in their order: in a wheel inside the package, in a checkout beside it."""
    for root in (_PACKAGE, _PACKAGE.parent):
        if found := sorted((root / "notebooks").glob("[0-9]*.ipynb")):
            return found
    raise FileNotFoundError("the notebooks are missing; install nst_utils again")


def studio_notebook() -> Path:
    """The notebook that is the studio as an app: where the others are."""
    for root in (_PACKAGE, _PACKAGE.parent):
        if (path := root / "notebooks" / "app" / "studio.ipynb").is_file():
            return path
    raise FileNotFoundError("the studio's notebook is missing; install nst_utils again")


def made(path: Path) -> Path:
    """The folder, made where it is not there, but none above it; ``ValueError`` where it cannot
    be."""
    try:
        path.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise ValueError(f"the folder {path.parent} does not exist; make it first") from None
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{path} cannot be a folder ({reason}); name another") from None
    return path


def user_path(path: str | os.PathLike[str], what: str = "a path") -> Path:
    """``path`` with ``~`` expanded; ``ValueError`` for one that no file can have or be read at."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise ValueError(f"{what} must be a text or a pathlib.Path, got {type(path).__name__}")
    if not text:
        raise ValueError(f"{what} must name a file, but it is empty")
    if _ADDRESS.match(text) and not os.path.lexists(text):
        address = re.sub(
            r"^([^:]+):/+", r"\1://", re.split("[?#]", text)[0]
        )  # pathlib took a slash
        raise ValueError(
            f"{one_line(address)} is an address on the network, and only files on this machine are "
            "read and written; download it first, and name the file"
        )
    expanded = Path(text)
    try:
        expanded = expanded.expanduser()
        expanded.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass  # whoever asked knows what that means
    except (OSError, RuntimeError, ValueError) as error:
        shown = text if len(text) < 200 else f"{text[:60]}..."
        shown = shown.encode(errors="backslashreplace").decode()  # half characters cannot be shown
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{shown} cannot be used as a path ({reason}); choose another") from None
    return expanded


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise before a long run, not after it, where ``path`` could not be written.

    Raises ``FileNotFoundError`` for a missing folder, ``ValueError`` for the rest.
    """
    path = user_path(path)
    if path.is_symlink():
        path = path.resolve()
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file in it, for instance {path / 'out.png'}")
    if path.exists() and not path.is_file():  # a device, a pipe: replacing it would destroy it
        raise ValueError(f"{path} is no regular file; choose another output path")
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(
            f"{path} is write-protected; change its permissions, or choose another path"
        )
    folder = path.parent
    if not folder.exists():
        raise FileNotFoundError(f"the folder {folder} does not exist; make it, or write elsewhere")
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder; choose another output path")
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))  # for which a full disk has no room
    except OSError as error:
        raise ValueError(f"cannot write into {folder}: {_reason(error)}") from None


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Write a file by ``write(binary_file)``: the whole file appears, or nothing changes.

    Until then the old file stays, even through a power cut, so the disk needs room for both. The
    new one has its permissions; of a link, the file that it points to is replaced.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: the place cannot be written, the disk is full, or ``write`` raised ``OSError``
            or ``ValueError``, as Pillow does where a format has limits. Its other exceptions pass.
    """
    check_writable(path)
    target = user_path(path).resolve()
    remove_leftovers(target)
    # A name of its own each time: with one for all, files would be whole only where the disk knows
    # locks, since two processes would write the same one.
    temporary = target.with_name(f"{hidden_prefix(target)}{secrets.token_hex(4)}.part")
    try:
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
        with _Output(temporary, private=mode is not None) as output:
            output.fill(write)
            if mode is not None:
                with contextlib.suppress(OSError):  # some disks keep no permissions
                    temporary.chmod(mode)
            if fcntl is None:  # Windows renames no open file; elsewhere it stays locked till then
                output.close()
            temporary.replace(target)
        _sync_folder(target.parent)
    except (OSError, ValueError) as error:
        raise ValueError(f"{target} could not be written: {_reason(error)}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Delete what processes that were killed while they wrote this file have left beside it.

    What a living process is writing stays, where the disk knows locks.
    """
    target = user_path(path).resolve()
    for file in target.parent.glob(f"{glob.escape(hidden_prefix(target))}{'[0-9a-f]' * 8}.part"):
        with contextlib.suppress(OSError), file.open("r+b") as opened:
            if fcntl is not None:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:  # Windows deletes none that is open, here or elsewhere
                opened.close()
            file.unlink()


class _Output(io.FileIO):
    """A new file that is locked while it is open, and knows why the system refused a write.

    It shows no file number: Pillow would write to that, and take no notice where a full disk takes
    only a part of what is left. ``private``: only the owner may read it.
    """

    def __init__(self, path: Path, private: bool) -> None:
        self.refused: BaseException | None = None
        mode = 0o600 if private else 0o666  # less what the umask takes
        there = False
        while not there:
            super().__init__(path, "x", opener=lambda name, flags: os.open(name, flags, mode))
            if fcntl is not None:
                with contextlib.suppress(OSError):  # some network disks know no locks
                    fcntl.flock(super().fileno(), fcntl.LOCK_EX)
            there = path.exists()  # unless another process was quicker, and removed a leftover

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BaseException as error:  # Ctrl-C too
            self.refused = error
            raise

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")

    def fill(self, write: Callable[[BinaryIO], object]) -> None:
        """Write it, down to the disk. What the system refuses is raised, whatever others do."""
        try:
            file = io.BufferedWriter(self)
            write(file)
            file.detach()  # written out, and this stays open, thus locked
            os.fsync(super().fileno())
        except BaseException:
            if self.refused is None:
                raise
        if self.refused is not None:
            raise self.refused


def hidden_prefix(path: Path) -> str:
    """What the names of the temporary files for ``path`` begin with; short for a long name."""
    name = path.name
    if len(os.fsencode(name)) > 100:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f".nst-{name}-"


def _sync_folder(folder: Path) -> None:
    """Return when its names are on the disk."""
    with contextlib.suppress(OSError):  # Windows opens no folders, some network disks sync none
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _reason(error: BaseException) -> str:
    """Why something could not be written, and what to do."""
    system = getattr(error, "strerror", None) or str(error)
    number = getattr(error, "errno", None)
    if number in _REFUSALS:
        meaning, remedy = _REFUSALS[number]
        return f"{meaning} ({system}); {remedy} or choose another path"
    return f"{system}; choose another path"
