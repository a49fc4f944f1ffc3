"""torchvision's weights: downloaded whole or not at all, checked before every use.

They lie where torch keeps them for all programs: ``$TORCH_HOME/hub/checkpoints``.
"""

from __future__ import annotations

import hashlib
import re
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError

import torch
from torch import Tensor

from nst_utils.networks.tensor_files import read_state_dict
from nst_utils.support.messages import one_line
from nst_utils.support.paths import write_whole
from nst_utils.support.progress import Progress

PATIENCE = 60.0  # seconds without a byte after which a download is given up


class _DownloadError(Exception):
    """The server's or the network's fault, not the disk's."""


def download_from_torchvision(network: str) -> dict[str, Tensor]:
    """torchvision's ImageNet weights of ``vgg16``, ``squeezenet1_1``, ...; downloaded once.

    A file that is already there is checked against the hash in its name; a damaged one, as a
    crash or another program may leave it, is downloaded again.

    Raises:
        ValueError: they could not be fetched, or not be stored.
    """
    from torchvision.models import get_model_weights

    url = get_model_weights(network)["IMAGENET1K_V1"].url
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    try:
        if not _is_whole(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, lambda file: _download(url, file))
    except _DownloadError as error:
        bundled = ", or use the bundled ones" if network == "vgg19" else ""
        damaged = f"{path} is damaged, and " if path.is_file() else ""
        raise ValueError(
            f"{damaged}torchvision's weights of {network} could not be fetched ({error}); check "
            f"the network, or download {url} by hand and give its path as weights{bundled}"
        ) from None
    except (OSError, ValueError) as error:
        raise ValueError(
            f"torchvision's weights of {network} could not be stored ({one_line(error)}); name "
            "another folder for them in the environment variable TORCH_HOME"
        ) from None
    return read_state_dict(path)


def _is_whole(path: Path) -> bool:
    """Whether the file is there, with the hash that its name promises."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _has_hash(hashlib.file_digest(file, "sha256").hexdigest(), path.name)


def _has_hash(digest: str, name: str) -> bool:
    """Names end in the first digits of the file's SHA-256: ``vgg19-dcbb9e9d.pth``."""
    promised = re.search(r"-([0-9a-f]{8,64})\.", name)
    return promised is not None and digest.startswith(promised[1])


def _download(url: str, file: BinaryIO) -> None:
    """Write what comes, with a progress bar on standard error; raise unless it is that file."""
    # torch.hub.download_url_to_file would need as many lines around it. Its timeout is the whole
    # process's, a full disk or a kill leaves its file behind, and a connection that was cut is not
    # told from a wrong file.
    digest, name, came = hashlib.sha256(), url.rpartition("/")[2], 0
    # The server knows this name; some turn Python's own away.
    request = urllib.request.Request(url, headers={"User-Agent": "torch.hub"})
    try:
        with (
            urllib.request.urlopen(request, timeout=PATIENCE) as answer,
            Progress(name) as bar,
        ):
            promised = answer.length  # counts down what is still to come
            while chunk := answer.read(1 << 17):
                file.write(chunk)
                digest.update(chunk)
                came += len(chunk)
                bar.show(came, promised, f"{came / 1e6:.1f} MB")
    except (OSError, HTTPException) as error:  # of the disk's errors, write_whole takes note itself
        code = f"the server answers {error.code}, " if isinstance(error, HTTPError) else ""
        raise _DownloadError(code + one_line(getattr(error, "reason", error))) from None
    if promised is not None and came < promised:
        raise _DownloadError(f"the connection was cut after {came:,} of {promised:,} bytes")
    if not _has_hash(digest.hexdigest(), name):
        raise _DownloadError(f"what came is another file, of SHA-256 {digest.hexdigest()}")
