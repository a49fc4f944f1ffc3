"""A run on disk: whatever ends the process, the same call goes on from there, bit for bit.

The file is one of :func:`torch.save`, tensors and a line of JSON, read without unpickling code. It
is written whole or not at all, and not more often than its share of the run's time allows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_utils.networks.network import Network
from nst_utils.networks.tensor_files import read_pickle
from nst_utils.objective.rows import Row
from nst_utils.objective.table import Objective
from nst_utils.support.interrupts import held_back
from nst_utils.support.locks import held
from nst_utils.support.messages import one_line, say
from nst_utils.support.paths import check_writable, remove_leftovers, user_path, write_whole

State = tuple[dict[str, Tensor], dict[str, Any]]

FORMAT = 3  # from 3 on, a step is one evaluation
_KIND = "a run of nst_utils"
# What writing may take of the run's time. Stated is 3 %.
_SHARE = 0.02
# How fast a first checkpoint is taken to be written, in bytes a second; then it is measured.
_FIRST_GUESS = 200e6


class AnotherRunError(ValueError):
    """The file is whole, and that of another run."""


class Checkpoint:
    """The file of one run.

    Args:
        path: of the file. identity: what makes the run what it is (see :func:`identity`).

    Raises:
        FileNotFoundError: its folder does not exist.
        ValueError: it cannot be written, is no checkpoint, is damaged, or of another run
            (:class:`AnotherRunError`, by :meth:`load`).
    """

    def __init__(self, path: str | Path, identity: Mapping[str, Any]) -> None:
        self.path = user_path(path)
        self._identity = dict(identity)
        self._threads = torch.get_num_threads()
        self._last = time.perf_counter()
        self._cost: float | None = None
        self._complained = False
        check_writable(self.path)

    @contextlib.contextmanager
    def held(self) -> Iterator[Checkpoint]:
        """As long as the run lasts, no other one writes the file.

        Raises:
            ValueError: another one does.
        """
        with held(self.path) as is_ours:
            if not is_ours:
                raise ValueError(
                    f"another run is writing the checkpoint {self.path}; wait until it has ended, "
                    "or name another file"
                )
            remove_leftovers(self.path)
            yield self

    def load(self) -> State | None:
        """What was saved last; ``None`` where there is no file yet."""
        if not self.path.exists():
            return None
        saved = read(self.path)
        other = _difference(saved["identity"], self._identity)
        if other is not None:
            raise AnotherRunError(
                f"the checkpoint {self.path} is of another run ({other}); give the settings of "
                "that run, or another file"
            )
        more = self._other_steps(saved)
        where = {"torch": str(torch.__version__), "threads": self._threads}
        for name, value in where.items():
            if saved[name] != value:
                say(
                    f"{self.path}: {name} was {saved[name]}, is {value}; the picture may differ in "
                    "the last digits from that of an uninterrupted run"
                )
        random = saved["tensors"].pop("rng")
        if more or not saved["values"]["finished"]:  # a callback that goes on may draw from it
            torch.set_rng_state(random)
        return saved["tensors"], saved["values"]

    def _other_steps(self, saved: Mapping[str, Any]) -> bool:
        """Whether the run goes on to another number of steps; ``ValueError`` where it cannot."""
        before, now = (each.get("steps") for each in (saved["identity"], self._identity))
        if now is None or now == before:
            return False
        made = len(saved["tensors"]["history/total_loss"])
        if made > now:
            raise ValueError(
                f"the checkpoint {self.path} has made {made} steps already; ask for at least as "
                f"many (steps={made}), or name another file"
            )
        if saved["values"]["level"] + 1 < len(saved["values"]["plan"]):
            raise ValueError(
                f"the checkpoint {self.path} is still painting a smaller picture, which gets a "
                f"share of {before} steps; go on with steps={before} first, or name another file"
            )
        return True

    def save_if_due(self, state: Callable[[], State]) -> None:
        """Save, unless that would take too much of the run's time."""
        since = time.perf_counter() - self._last
        if self._cost is None:
            # Tensors are not copied for this; it takes no time.
            self._cost = sum(tensor.nbytes for tensor in state()[0].values()) / _FIRST_GUESS
        if since >= self._cost / _SHARE:
            self.save(state())

    def save(self, state: State) -> None:
        """Save now. A disk that is full does not end the run; it is said, once, and tried again."""
        begun = time.perf_counter()
        tensors, values = state
        content = {
            "kind": _KIND,
            "format": FORMAT,
            "torch": str(torch.__version__),
            "threads": self._threads,
            "identity": json.dumps(self._identity),
            "values": json.dumps(values),
            "tensors": {name: tensor.cpu() for name, tensor in tensors.items()}
            | {"rng": torch.get_rng_state()},
        }
        try:
            with held_back():
                write_whole(self.path, lambda file: torch.save(content, file))
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            if not self._complained:
                say(f"no checkpoint could be saved now, the run goes on: {error}")
            self._complained = True
        self._last = time.perf_counter()
        self._cost = self._last - begun


def read(path: Path) -> dict[str, Any]:
    """What a checkpoint holds; ``ValueError`` for a file that is none, damaged, or may not be read.

    Nobody is told to delete what may be something else.
    """
    try:
        with path.open("rb") as file:
            is_archive = zipfile.is_zipfile(file)
    except PermissionError:
        raise ValueError(
            f"the checkpoint {path} may not be read; change its permissions, or name another file"
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    if not is_archive:
        raise ValueError(
            f"{path} is no checkpoint of nst_utils; name another file, or move it away"
        )
    try:
        content = read_pickle(path)
        known = content["kind"] == _KIND
        version = content["format"]
        if known and version == FORMAT:
            content["identity"] = json.loads(content["identity"])
            content["values"] = json.loads(content["values"])
    except OSError as error:
        raise _unreadable(path, error) from None
    except Exception as error:  # torch and json raise a dozen kinds
        raise ValueError(
            f"the checkpoint {path} is damaged ({one_line(error)}); move it away to begin anew, or "
            "name another file"
        ) from None
    if not known:
        raise ValueError(f"{path} is no checkpoint of nst_utils; name another file")
    if version != FORMAT:
        raise ValueError(
            f"the checkpoint {path} has the format {version}, this version of nst_utils reads "
            f"{FORMAT}; go on with the version that wrote it, or name another file"
        )
    return dict(content)


def _unreadable(path: Path, error: OSError) -> ValueError:
    return ValueError(
        f"the checkpoint {path} cannot be read ({error.strerror or error}); try again, or name "
        "another file"
    )


def identity(objective: Objective, start: Tensor, **run: Any) -> dict[str, Any]:
    """What makes a run what it is, as plain values: settings, and digests of pictures and network.

    Args:
        objective: the table. start: where the pictures begin. run: the loop's settings.
    """
    what: dict[str, Any] = {
        "network": objective.net.description,
        "numbers of the network": digest_of_network(objective.net),
        "picture to start from": _digest(start),
        **asdict(objective.formulas),
    }
    for number, row in enumerate(objective.rows, start=1):
        which = f" of picture {number}" if len(objective) > 1 else ""
        what |= {f"{name}{which}": value for name, value in _of_row(row).items()}
    # As JSON gives it back.
    return dict(json.loads(json.dumps(what | run)))


def _of_row(row: Row) -> dict[str, Any]:
    pictures = {"content picture": row.content}
    for number, painting in enumerate(row.paintings, start=1):
        pictures[f"style picture {number}"] = painting.picture
        pictures[f"mask {number}"] = painting.region
        pictures[f"style mask {number}"] = painting.source
    pictures |= {f"responses of {layer}": value for layer, value in row.responses.items()}
    return {
        "content_weight": float(row.content_weight),
        "style_weight": float(row.style_weight),
        "tv_weight": float(row.tv_weight),
        "content_layers": {layer: float(value) for layer, value in row.content_layers.items()},
        "style_layers": {layer: float(value) for layer, value in row.style_layers.items()},
        "style_blend": [float(painting.share) for painting in row.paintings],
        "style_statistics": row.style_statistics,
    } | {name: _digest(picture) for name, picture in pictures.items() if picture is not None}


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """The first thing in which two runs differ, in words; but for their number of steps."""
    for name in [*new, *old]:
        if name == "steps" or old.get(name) == new.get(name):
            continue
        if isinstance(old.get(name), str) and old[name].startswith("sha256:"):
            return f"with another {name}"
        return f"{name}: {old.get(name)} there, {new.get(name)} here"
    return None


def digest_of_network(net: Network) -> str:
    """Of its numbers: kernels, biases and what else goes into a response."""
    return _digest(*(buffer for _, buffer in sorted(net.named_buffers())))


def _digest(*tensors: Tensor) -> str:
    total = hashlib.sha256()
    for tensor in tensors:
        values = tensor.detach().cpu().contiguous()
        total.update(f"{values.dtype}{tuple(values.shape)}".encode())
        total.update(values.flatten().view(torch.uint8).numpy().data)
    return f"sha256:{total.hexdigest()}"
