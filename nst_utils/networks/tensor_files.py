"""Files of tensors by name. Nothing is unpickled as code; every failure is a sentence.

Files are read by safetensors or by ``torch.load(weights_only=True)``.
"""

from __future__ import annotations

import mmap
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from nst_utils.support.messages import one_line

LARGEST = 10_000_000_000  # bytes; a checkpoint of VGG-19 with Adam's state has 1.7 GB


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors``, ``.pth`` or ``.pt`` file by name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no regular file, unreadable, damaged, or needs unpickling.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a weights file (.safetensors, .pth or .pt)")
    if not path.exists():
        raise FileNotFoundError(
            f"no weights file {path}; give a path, 'bundled' or 'torchvision' as weights"
        )
    if not path.is_file():  # reading a device or a pipe might never end
        raise ValueError(f"{path} is no regular file; name a weights file (.safetensors, .pth)")
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST:,} bytes, which no weights here are")
    try:
        path.open("rb").close()  # safetensors calls a file that may not be read a missing one
        with torch.device("cpu"):  # older versions follow torch's default device
            state = load_file(path) if path.suffix == ".safetensors" else read_pickle(path)
    except PermissionError:
        raise ValueError(f"{path} may not be read; change its permissions") from None
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path} is no file of tensors alone (pickled code is not loaded, and this may be it); "
            "save the state dict with safetensors, or with torch.save(model.state_dict(), ...)"
        ) from None
    except Exception as error:  # of a damaged file, torch raises a dozen kinds
        kind = "safetensors" if path.suffix == ".safetensors" else "a state dict"
        raise ValueError(
            f"{path} cannot be read as {kind} ({one_line(error)}); get the file again, or "
            "save it again with torch.save(model.state_dict(), ...)"
        ) from None
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{path} is not a state dict (a dict of tensors by name)")
    return {str(name): tensor.detach() for name, tensor in state.items()}


def read_pickle(path: Path) -> Any:
    """What :func:`torch.load` makes of a file, once it is known to be whole and no trap for memory.

    Of a damaged one, torch raises a dozen kinds of errors.
    """
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's remarks on unusual pickles
        if zipfile.is_zipfile(file):
            _check_zip(file, path.stat().st_size)
        if _holds(file, b"bytearray\n"):  # the one allowed name that takes any amount of memory
            raise pickle.UnpicklingError
        return torch.load(path, map_location="cpu", weights_only=True)


def _check_zip(file: Any, size: int) -> None:
    """Refuse what torch would unpack without looking: bombs and wrong checksums."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if packed or sum(entry.file_size for entry in entries) > size:
            raise ValueError("it is packed, which torch.save does not do")
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} is wrong, so it is damaged")


def _holds(file: Any, text: bytes) -> bool:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(text) >= 0
