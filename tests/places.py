"""Real places where files cannot be written: a disk that is full, folders of somebody else."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@contextlib.contextmanager
def unprivileged() -> Iterator[Path]:
    """A new folder, and permissions that count: root, who may write everywhere, is put aside."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() != 0:
            yield Path(folder)
            return
        if not hasattr(os, "setresuid"):
            pytest.skip("this system does not let root become somebody else for a while")
        os.chown(folder, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, 0)
        try:
            yield Path(folder)
        finally:
            os.setresuid(0, 0, 0)


class SmallDisk:
    """A file system of its own in memory, mounted on a folder."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        done = mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.splitlines()[0]}")

    def remount(self, options: str) -> None:
        """With other options: another size, read-only."""
        done = mount("-o", f"remount,{options}", str(self.folder))
        assert not done.returncode, done.stderr

    def fill(self, leave: int = 0) -> Path:
        """Write a file that leaves that many bytes, in pages of 4096."""
        filler = self.folder / "filler"
        free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
        filler.write_bytes(bytes(free - leave))
        return filler

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


def mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["mount", *arguments], capture_output=True, text=True)
    except OSError as error:  # there is no such program
        return subprocess.CompletedProcess([], 1, "", str(error))
