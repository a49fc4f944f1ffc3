"""Files of tensors by name. Nothing is unpickled as code; every failure is a sentence.

Files are read by safetensors or by ``torch.load(weights_only=True)``.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors``, ``.pth`` or ``.pt`` file by name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is a folder, damaged, or needs unpickling.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a weights file (.safetensors, .pth or .pt)")
    if not path.exists():
        raise FileNotFoundError(
            f"no weights file {path}; give a path, 'bundled' or 'torchvision' as weights"
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on unusual pickles
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path} is no file of tensors alone (pickled code is not loaded, and this may be it); "
            "save the state dict with safetensors, or with torch.save(model.state_dict(), ...)"
        ) from None
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a state dict ({type(error).__name__}: "
            f"{first_line(error)}); save it again with torch.save(model.state_dict(), ...)"
        ) from None
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{path} is not a state dict (a dict of tensors by name)")
    return {str(name): tensor for name, tensor in state.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read as safetensors ({first_line(error)}); get the file again"
        ) from None


def download_from_torchvision(network: str) -> dict[str, Tensor]:
    """torchvision's ImageNet weights of ``vgg16``, ``squeezenet1_1``, ...; cached by torch.

    Raises:
        ValueError: they could not be fetched, or are damaged.
    """
    from torchvision.models import get_model_weights

    weights = get_model_weights(network)["IMAGENET1K_V1"]
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # its bar goes to standard error
            return dict(weights.get_state_dict(check_hash=True, weights_only=True))
    except Exception as error:
        bundled = ", or use the bundled ones" if network == "vgg19" else ""
        raise ValueError(
            f"torchvision's weights of {network} could not be fetched ({first_line(error)}); check "
            f"the network, or download {weights.url} by hand and give its path as weights{bundled}"
        ) from None


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
