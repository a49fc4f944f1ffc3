"""One process at a time: a file that is held for the length of a run."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from nst_utils.support.paths import hidden_prefix

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold ``path`` as long as the context lasts; ``False`` where somebody else does.

    A second run in the same process is somebody else, too. The lock is an empty file beside
    ``path``, which is deleted at the end; what a killed process leaves holds nobody up. On network
    disks that know no locks, everybody is let in.

    Raises:
        ValueError: no file can be made there.
    """
    target = path.resolve()
    lock = target.with_name(f"{hidden_prefix(target)}lock")
    try:
        number = _take(lock)
    except OSError as error:
        raise ValueError(
            f"{lock} cannot be opened ({error.strerror}); name another file than {path}, or delete "
            "it where no run goes on"
        ) from None
    try:
        yield number is not None
    finally:
        if number is not None:
            _give_back(lock, number)


def _take(lock: Path) -> int | None:
    """The number of the open file, ``None`` where another one has it."""
    if fcntl is None:  # Windows deletes no file that is open
        try:
            lock.unlink(missing_ok=True)
            return os.open(lock, os.O_CREAT | os.O_EXCL | os.O_RDWR)
        except (PermissionError, FileExistsError):
            return None
    while True:
        number = os.open(lock, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                os.close(number)
                return None
        if _is_still_there(lock, number):
            return number
        os.close(number)  # who had it has deleted it in between


def _is_still_there(lock: Path, number: int) -> bool:
    try:
        return os.path.samestat(lock.stat(), os.fstat(number))
    except FileNotFoundError:
        return False


def _give_back(lock: Path, number: int) -> None:
    """Deleted before it is let go, so that nobody gets hold of what is deleted then."""
    with contextlib.suppress(OSError):
        if fcntl is None:
            os.close(number)
            lock.unlink()
        else:
            if _is_still_there(lock, number):
                lock.unlink()
            os.close(number)
