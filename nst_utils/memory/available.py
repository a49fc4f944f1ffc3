"""How much memory there is for more, by everything that may limit a process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch

# A group without a limit has one of nearly 2^63 bytes.
_NO_LIMIT = 2**60


def available(device: torch.device) -> int | None:
    """Bytes that can still be had on a device; ``None`` where that is not known."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    known = [*_of_machine(), *_of_process(), *_of_groups()]
    return max(0, min(known)) if known else None


def _of_machine(root: Path = Path("/")) -> Iterator[int]:
    """What the system would give without moving anything to a disk."""
    fields = _kibibytes(root / "proc/meminfo")
    if "MemAvailable" in fields:
        yield fields["MemAvailable"]
    else:  # macOS does not tell what is free; no run can take more than there is
        try:
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):
            return


def _of_process(root: Path = Path("/")) -> Iterator[int]:
    """Limits of this process (``ulimit -v`` and ``-d``), less what it has."""
    try:
        import resource
    except ImportError:  # Windows
        return
    has = _kibibytes(root / "proc/self/status")
    for limit, used in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        most, _ = resource.getrlimit(limit)
        if most != resource.RLIM_INFINITY and used in has:
            yield most - has[used]


def _of_groups(root: Path = Path("/")) -> Iterator[int]:
    """Limits of the control groups that it is in (containers, systemd), less what they have.

    A group's limit holds for all groups within it. Inside a container the group may be seen at
    the root, whatever its name.
    """
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, name = line.split(":", 2)
        if controllers in ("", "memory"):
            mounted = root / "sys/fs/cgroup" / controllers
            group = mounted / name.lstrip("/")
            for each in (group, *group.parents):
                yield from _of_group(each)
                if each == mounted:
                    break


def _of_group(folder: Path) -> Iterator[int]:
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),  # version 2
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        numbers = [int(x) for file in (limit, used) for x in _lines(folder / file) if x.isdigit()]
        if len(numbers) == 2 and numbers[0] < _NO_LIMIT:
            # Files that were read lie in memory until it is wanted for something else.
            fields = (line.split() for line in _lines(folder / "memory.stat"))
            yield numbers[0] - numbers[1] + sum(int(n) for name, n in fields if name == cache)


def _kibibytes(path: Path) -> dict[str, int]:
    """name -> bytes, of lines such as ``MemAvailable:   2048 kB``."""
    fields = (line.split() for line in _lines(path))
    return {x[0].rstrip(":"): int(x[1]) * 1024 for x in fields if x[2:] == ["kB"]}


def _lines(path: Path) -> list[str]:
    """Of a file of the kernel's; none where there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
