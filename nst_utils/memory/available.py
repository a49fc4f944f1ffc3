"""How much memory there is for more, by everything that may limit a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

# A group without a limit has one of nearly 2^63 bytes.
_NO_LIMIT = 2**60


def available(device: torch.device) -> int:
    """Bytes that can still be had on a device."""
    if device.type == "cuda":
        reserved = torch.cuda.memory_reserved(device)
        free, total = torch.cuda.mem_get_info(device)
        left = int(_share_of(device) * total) - reserved
        return max(0, min(free, left) + reserved - torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return max(0, min([psutil.virtual_memory().available, *_of_process(), *_of_groups()]))


def _share_of(device: torch.device) -> float:
    """How much of a GPU this process may have, as ``torch.cuda.set_per_process_memory_fraction``
    sets it; older versions of torch cannot be asked."""
    asked = getattr(torch.cuda, "get_per_process_memory_fraction", None)
    return 1.0 if asked is None else float(asked(device))


def _of_process() -> Iterator[int]:
    """Limits of this process (``ulimit -v`` and ``-d``), less what it has."""
    process = psutil.Process()
    if not hasattr(process, "rlimit"):  # macOS, Windows
        return
    has = process.memory_info()
    for limit, used in ((psutil.RLIMIT_AS, has.vms), (psutil.RLIMIT_DATA, has.data)):
        most, _ = process.rlimit(limit)
        if most != psutil.RLIM_INFINITY:
            yield most - used


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


def _lines(path: Path) -> list[str]:
    """Of a file of the kernel's; none where there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
