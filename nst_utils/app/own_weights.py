"""The weights of a preset that needs others than the bundled ones, from a file that is uploaded.

The file is read once and checked, and the network kept in memory; nothing of it stays on the disk.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from functools import lru_cache
from pathlib import Path

import torch

from nst_utils.experiments.presets import preset
from nst_utils.networks.network import Network, on_device

LARGEST = 50_000_000  # bytes; SqueezeNet 1.1 has 5 MB, with Adam's state 15 MB

_networks: dict[str, Network] = {}  # by preset, on the processor


def needs_weights(name: str) -> bool:
    """Whether the weights of that preset are not bundled."""
    return preset(name).weights != "bundled"


def take(name: str, file: str, content: bytes) -> None:
    """Let that preset use those weights from now on, in all studios of this process.

    Args:
        name: of the preset. file: of the file. content: a state dict, as ``.safetensors``, ``.pth``
            or ``.pt`` files hold it; which of them it is, is seen from it. Nothing is unpickled as
            code (see :mod:`nst_utils.networks.tensor_files`).

    Raises:
        ValueError: it holds no weights of the preset's network; those that were there stay.
    """
    theirs = preset(name)
    file = re.split(r"[/\\]", file)[-1].encode(errors="replace").decode() or "the file"
    way_out = f"upload the weights of {theirs.network} (.pth or .safetensors, 5 MB)"
    if not content:
        raise ValueError(f"{file} is empty; {way_out}")
    if len(content) > LARGEST:
        raise ValueError(f"{file} has {len(content) / 1e6:.0f} MB, too many; {way_out}")
    # A safetensors file begins with a length, 8 bytes, and JSON.
    ending = "safetensors" if content[8:9] == b"{" else "pth"
    digest = hashlib.sha256(content).hexdigest()
    with tempfile.TemporaryDirectory(prefix="nst-weights-", ignore_cleanup_errors=True) as folder:
        # Named after what is in it, since networks are told apart by it.
        path = Path(folder, f"{theirs.network}-{digest[:16]}.{ending}")
        path.write_bytes(content)
        try:
            _networks[name] = theirs.build_network(precision="auto", weights=path)
        except ValueError as error:
            told = str(error).replace(str(path), file).replace(path.name, file)
            raise ValueError(f"{told.split('; ')[0]}; {way_out}") from None


def network_of(name: str, device: str) -> Network | None:
    """The network of that preset with what was uploaded for it, if anything was."""
    net = _networks.get(name)
    return None if net is None else _moved(net, device)


@lru_cache(maxsize=1)
def _moved(net: Network, device: str) -> Network:
    return on_device(net, torch.device(device))
