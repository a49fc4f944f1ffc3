"""A process of its own for somebody else's code: limits, a scratch folder, and an end to it.

What holds, and what does not:

* Time, memory (of all its processes together), printed text and the size of files are limited
  everywhere; where there is ``resource`` (Linux, macOS) the system holds the limits, too.
* Where ``unshare`` works without a password (most Linux systems), the process sees no network, no
  other processes, and a file system that it can only read, but for its scratch folder; the
  solutions and the other submissions are not in it at all. Whatever else the grading user can read
  it can *read*, too: run the grading as a user who has no secrets.
* Elsewhere the network, and changes outside of the scratch folder, are only refused within Python:
  that stops accidents and not an attacker, who can call the system past Python. Processes that it
  leaves behind are looked for and ended there.
* Nothing limits how many small files it writes. Against students who mean harm, use a virtual
  machine or a container besides.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import selectors
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import psutil

CHILD = Path(__file__).resolve().parent / "submission.py"
PACKAGE = Path(__file__).resolve().parent.parent
TOKEN = "NST_GRADING"  # in the environment of every process of one submission
UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]
UNSHARE += ["--mount-proc", "--"]
LARGEST_REPLY = 64_000_000  # bytes
KEPT_OUTPUT = 64_000  # bytes
LARGEST_FOLDER = 200_000_000  # bytes
LARGEST_PICTURE = 3_000_000  # bytes


@dataclass(frozen=True)
class Limits:
    """Of one submission.

    Attributes:
        seconds: of wall-clock time, for all its cells and answers together.
        memory: bytes, of all its processes.
        printed: bytes of text.
        file: bytes, of each file.
    """

    seconds: float = 300.0
    memory: int = 4 << 30
    printed: int = 1_000_000
    file: int = 64 << 20


@dataclass
class Outcome:
    """What came of it: what it replied, the text that it printed, the file ``picture.png``, if any,
    that it left, and how it ended.

    ``ended`` is empty for a process that came to its own end, or a sentence's half: "it took longer
    than 300 seconds".
    """

    reply: bytes = b""
    output: bytes = b""
    printed: int = 0
    picture: bytes = b""
    ended: str = ""
    code: int | None = None


@functools.lru_cache
def wall() -> list[str]:
    """The words before a command that shut it in, or none where the system does not let us."""
    if not shutil.which(UNSHARE[0]):
        return []
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run([*UNSHARE, "true"], capture_output=True, timeout=20)
        return UNSHARE if done.returncode == 0 else []
    return []


@dataclass
class _Running:
    process: subprocess.Popen[bytes]
    token: str
    limits: Limits
    outcome: Outcome = field(default_factory=Outcome)

    def follow(self, reply: int, output: int) -> None:
        """Read both pipes until it has ended or broken a limit."""
        end = time.monotonic() + self.limits.seconds
        look = 0.0
        with selectors.DefaultSelector() as waiting:
            waiting.register(reply, selectors.EVENT_READ, "reply")
            waiting.register(output, selectors.EVENT_READ, "output")
            while not self.outcome.ended:
                ready = waiting.select(0.1)
                for key, _ in ready:
                    data = os.read(key.fd, 1 << 20)
                    if not data:
                        waiting.unregister(key.fd)
                    self._take(key.data, data)
                if self.process.poll() is not None and not ready:
                    return  # what it left behind may still hold the pipes, and is ended next
                if time.monotonic() > end:
                    self.outcome.ended = f"it took longer than {self.limits.seconds:g} seconds"
                if time.monotonic() > look:
                    look = time.monotonic() + 0.25
                    if self._memory() > self.limits.memory:
                        gigabytes = self.limits.memory / 2**30
                        self.outcome.ended = f"it took more than {gigabytes:.2g} GB of memory"

    def _take(self, pipe: str, data: bytes) -> None:
        if pipe == "output":
            self.outcome.printed += len(data)
            room = KEPT_OUTPUT - len(self.outcome.output)
            self.outcome.output += data[: max(room, 0)]
            return
        self.outcome.reply += data
        if len(self.outcome.reply) > LARGEST_REPLY:
            self.outcome.ended = "it answered with more than 64 MB"

    def _memory(self) -> int:
        """Bytes in use by the process and its descendants."""
        total = 0
        with contextlib.suppress(psutil.Error):
            first = psutil.Process(self.process.pid)
            for each in (first, *first.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += each.memory_info().rss
        return total

    def end(self) -> None:
        """Kill it, its group, and whatever else carries its token."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.outcome.code = self.process.wait()
        for _ in range(3):  # it may be making more of them at this moment
            left = [each for each in psutil.process_iter() if self._is_ours(each)]
            for each in left:
                with contextlib.suppress(psutil.Error):
                    each.kill()
            if not left:
                return

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(TOKEN) == self.token
        except (psutil.Error, OSError):
            return False


def run(job: bytes, files: Path | None, limits: Limits, quick: bool) -> Outcome:
    """Run ``submission.py`` on a job, in a scratch folder with a copy of the files of ``files``."""
    scratch = Path(tempfile.mkdtemp(prefix="nst-grading-")).resolve()
    try:
        (scratch / "work").mkdir()
        _furnish(scratch, files)
        outcome = _run(job, scratch, limits, quick)
        picture = scratch / "work" / "picture.png"
        with contextlib.suppress(OSError):
            if stat.S_ISREG(picture.lstat().st_mode) and picture.stat().st_size <= LARGEST_PICTURE:
                outcome.picture = picture.read_bytes()
        return outcome
    finally:
        shutil.rmtree(scratch, onerror=_open_and_remove)


def _run(job: bytes, scratch: Path, limits: Limits, quick: bool) -> Outcome:
    token = secrets.token_hex(8)
    with tempfile.TemporaryFile() as task, contextlib.ExitStack() as pipes:
        task.write(job)
        task.seek(0)
        reply, replying = os.pipe()
        output, printing = os.pipe()
        for end in (reply, output):
            pipes.callback(os.close, end)
        numbers = (limits.memory, limits.file, int(limits.seconds) + 5, int(bool(wall())))
        command = [*wall(), sys.executable, str(CHILD), str(replying), str(scratch)]
        command += [str(each) for each in numbers]
        try:
            process = subprocess.Popen(
                command,
                stdin=task,
                stdout=printing,
                stderr=printing,
                pass_fds=(replying,),
                cwd=scratch / "work",
                env=_environment(scratch, token, quick),
                start_new_session=True,
            )
        finally:
            os.close(replying)
            os.close(printing)
        running = _Running(process, token, limits)
        try:
            running.follow(reply, output)
        finally:  # Ctrl-C, too, leaves nothing behind
            if process.poll() is not None:
                running.outcome.code = process.returncode
            running.end()
        return running.outcome


def _environment(scratch: Path, token: str, quick: bool) -> dict[str, str]:
    """Nothing of the grading user's own environment but where programs are."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    here = {name: str(scratch) for name in ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR")}
    return {
        **kept,
        **here,
        TOKEN: token,
        "PYTHONPATH": str(PACKAGE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "NST_QUICK": str(int(quick)),
    }


def _furnish(scratch: Path, files: Path | None) -> None:
    """What matplotlib knows about fonts, which takes seconds to find out; and their own files."""
    for cache in Path(matplotlib.get_cachedir()).glob("fontlist-*.json"):
        shutil.copy(cache, scratch)
    if files is not None:
        size = sum(each.stat().st_size for each in files.rglob("*") if each.is_file())
        if size < LARGEST_FOLDER:
            ignore = shutil.ignore_patterns(".*", "__MACOSX")
            work = scratch / "work"
            shutil.copytree(files, work, dirs_exist_ok=True, symlinks=True, ignore=ignore)


def _open_and_remove(function: Any, path: str, _: Any) -> None:
    """For a folder that a submission has closed."""
    with contextlib.suppress(OSError):
        os.chmod(Path(path).parent, 0o700)
        os.chmod(path, 0o700)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
