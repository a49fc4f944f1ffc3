"""One submission, run in the process that ``boxed.py`` shuts in: its cells, then the hidden cases.

It knows the questions and not the answers: what a function gives is sent back as tensors, and
compared by the process that grades. So a submission that prints points, or changes torch or
``nst.check``, only changes what it answers with.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import struct
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

LARGEST_ANSWER = 1_000_000  # numbers
# What Python reports before it does it (sys.addaudithook), and where its arguments hold paths.
NETWORK = {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"}
CHANGES = {"os.remove", "os.rmdir", "os.rename", "os.truncate", "os.chmod", "os.link", "os.mkdir"}
CHANGES |= {"os.symlink", "shutil.rmtree", "shutil.move"}
KILLS = {"os.kill", "os.killpg", "signal.pthread_kill"}
# From Linux's headers.
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, RDONLY = 442, -100, 0x8000, 1
PR_SET_SECUREBITS, NO_ROOT, PR_SET_NO_NEW_PRIVS = 28, 0x3, 38
CAPABILITY_VERSION = 0x20080522


def limit(memory: int, file: int, seconds: int) -> None:
    """Let the system hold the limits, as far as it knows them."""
    if resource is None:
        return
    wanted = {"RLIMIT_DATA": memory, "RLIMIT_FSIZE": file, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 1024}
    wanted["RLIMIT_CPU"] = seconds * (os.cpu_count() or 1)
    wanted["RLIMIT_NPROC"] = 4096  # of all processes of this user
    for name, most in wanted.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            number = getattr(resource, name)
            hard = resource.getrlimit(number)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(number, (most, most))


def shut_in(scratch: str, hidden: list[str]) -> None:
    """In a mount namespace of our own: everything read-only but the scratch folder, for good.

    An empty folder lies over those that are hidden.
    """
    system, here = ctypes.CDLL(None, use_errno=True), scratch.encode()
    read_only, writable = struct.pack("QQQQ", RDONLY, 0, 0, 0), struct.pack("QQQQ", 0, RDONLY, 0, 0)
    system.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
    system.mount(here, here, None, MS_BIND, None)
    for folder in hidden:
        system.mount(b"tmpfs", folder.encode(), b"tmpfs", 0, None)
    system.syscall(MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, read_only, len(read_only))
    system.syscall(MOUNT_SETATTR, AT_FDCWD, here, 0, writable, len(writable))
    system.prctl(PR_SET_SECUREBITS, NO_ROOT, 0, 0, 0)
    system.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    system.capset(struct.pack("Ii", CAPABILITY_VERSION, 0), bytes(24))
    os.chdir(os.path.join(scratch, "work"))  # the folder as it is mounted now


def watch(scratch: str, hidden: list[str]) -> None:
    """Refuse the network, what is hidden, and changes elsewhere, within Python; a hook cannot be
    taken off again."""

    def inside(path: object) -> bool:
        if isinstance(path, int) or path is None:
            return True
        return under(os.fsdecode(path), [scratch, "/dev", "/proc"])  # type: ignore[arg-type]

    def relative_to(event: str, arguments: tuple[Any, ...]) -> str:
        """The folder that a path begins at, where it is given as an open one."""
        at = arguments[1] if event in ("os.remove", "os.rmdir") and len(arguments) > 1 else -1
        return os.path.realpath(f"/proc/self/fd/{at}") if at >= 0 else ""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in NETWORK:
            raise PermissionError("there is no network in the grading")
        if event in KILLS and arguments[0] != os.getpid():
            raise PermissionError("other processes are left alone in the grading")
        if event == "open":
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR) if mode is None else set("wax+") & set(mode)
            if writes and not inside(path):
                raise PermissionError("only the working folder is written to in the grading")
            if not isinstance(path, int) and under(os.fsdecode(path), hidden):
                raise PermissionError("this folder is hidden in the grading")
        if event in CHANGES and not all(
            inside(os.path.join(relative_to(event, arguments), os.fsdecode(each)))
            for each in arguments
            if isinstance(each, str | bytes | os.PathLike)
        ):
            raise PermissionError("only the working folder is changed in the grading")

    sys.addaudithook(hook)


def under(path: str, folders: list[str]) -> bool:
    """Whether a path leads into one of the folders."""
    name = os.path.realpath(path)
    return any(name == each or name.startswith(each + os.sep) for each in folders)


def switched_off(*_: Any, **__: Any) -> Any:
    raise PermissionError("the package's own version is switched off in the grading")


def switch_off_the_package() -> None:
    """Let no answer be the package's own function, under whatever name."""
    from nst_utils import losses

    for each in vars(losses).values():
        if getattr(each, "__module__", "") == losses.__name__ and hasattr(each, "__code__"):
            each.__code__ = switched_off.__code__


class Reply:
    """What is sent back: a line of JSON, then as many bytes as it says."""

    def __init__(self, number: int) -> None:
        self._number = number

    def send(self, tensors: dict[str, Tensor] | None = None, **said: Any) -> None:
        from safetensors.torch import save

        data = save(tensors) if tensors else b""
        message = json.dumps({**said, "bytes": len(data)}).encode() + b"\n" + data
        while message:
            message = message[os.write(self._number, message) :]


def one_line(error: BaseException) -> str:
    try:
        said = (str(error).strip().splitlines() or [""])[0][:120]
    except Exception:
        said = ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def run_cells(job: dict[str, Any], reply: Reply) -> dict[str, Any]:
    """Run all cells, whatever becomes of one of them; the names that there are then."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    quiet = {"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "NoColor"}}
    shell = InteractiveShell.instance(config=Config(quiet))
    for number, source in job["cells"]:
        reply.send(cell=number)
        try:
            result = shell.run_cell(source)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as raised:  # whatever a cell may have done to the shell
            error = raised
        if error is not None:
            reply.send(cell=number, error=one_line(error))
    return shell.user_ns


def answer(function: Callable[..., Any], case: dict[str, Any], given: dict[str, Tensor]) -> Any:
    """The tensors with which a function answers a case."""
    import torch

    arguments: list[Any] = []
    for each in case["arguments"]:
        arguments.append(given[each].clone() if isinstance(each, str) else each)
    if case["bowl"]:
        x, lowest, steps = arguments
        arguments = [x, lambda picture: (picture - lowest).square().sum((1, 2, 3)), steps]
    followed = [arguments[place].requires_grad_() for place in case["followed"]]
    with torch.enable_grad():
        result = function(*arguments)
        if not isinstance(result, torch.Tensor):
            raise TypeError(f"it gives {type(result).__name__} back, not a tensor")
        if result.numel() > LARGEST_ANSWER:
            raise ValueError(f"it gives a tensor of {result.numel()} numbers back")
        tensors = {"result": result, "first": arguments[0]}
        if followed:
            pull = given[case["pull"]].reshape(result.shape).to(result.dtype)
            found = torch.autograd.grad((result * pull).sum(), followed)
            tensors |= {f"gradient{place}": each for place, each in enumerate(found)}
    return {name: each.detach().clone().contiguous() for name, each in tensors.items()}


def main() -> None:
    number, scratch, memory, file, seconds, shut = sys.argv[1:]
    job = json.loads(sys.stdin.buffer.readline())
    questions = sys.stdin.buffer.read()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    limit(int(memory), int(file), int(seconds))
    if shut == "1":
        shut_in(scratch, job["hidden"])
    from safetensors.torch import load

    import nst_utils.losses  # noqa: F401 - before the hook, so that nothing of it is in the way

    reply = Reply(int(number))
    given = load(questions)
    watch(scratch, job["hidden"])
    names = run_cells(job, reply)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    switch_off_the_package()
    for case in job["cases"]:
        reply.send(case=case["id"])
        function = names.get(case["function"])
        try:
            if not callable(function):
                raise NotImplementedError
            reply.send(answer(function, case, given), case=case["id"], answered=True)
        except BaseException as error:
            missing = isinstance(error, NotImplementedError)
            reply.send(case=case["id"], error="" if missing else one_line(error))
    reply.send(done=True)
    os._exit(0)  # threads that it has left behind are not waited for


if __name__ == "__main__":
    main()
