"""torchvision's weights: downloaded whole or not at all, checked before every use.

They lie where torch keeps them for all programs: ``$TORCH_HOME/hub/checkpoints``.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.request
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.parse import urlparse

import torch
from torch import Tensor
from tqdm.auto import tqdm

from nst_utils.networks.tensor_files import read_state_dict
from nst_utils.support.messages import one_line
from nst_utils.support.paths import write_whole

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
    path = Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(url).path).name)
    try:
        if not _is_whole(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _download(url, path)
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
        return _has_hash(hashlib.file_digest(file, "sha256").hexdigest(), path)


def _has_hash(digest: str, path: Path) -> bool:
    """Names end in the first digits of the file's SHA-256: ``vgg19-dcbb9e9d.pth``."""
    promised = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    return promised is not None and digest.startswith(promised[1])


def _download(url: str, path: Path) -> None:
    # The server knows this name; some turn Python's own away.
    request = urllib.request.Request(url, headers={"User-Agent": "torch.hub"})
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
    except (OSError, http.client.HTTPException) as error:
        raise _DownloadError(_why(error)) from None
    with answer:
        write_whole(path, lambda file: _copy(answer, file, path))


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, path: Path) -> None:
    """Write what comes, with a progress bar on standard error; raise unless it is that file."""
    digest, size = hashlib.sha256(), answer.length
    with tqdm(total=size, desc=path.name, unit="B", unit_scale=True, unit_divisor=1024) as bar:
        while chunk := _next(answer):
            file.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
    if size is not None and bar.n < size:
        raise _DownloadError(f"the connection was cut after {bar.n:,} of {size:,} bytes")
    if not _has_hash(digest.hexdigest(), path):
        raise _DownloadError(f"what came is another file, of SHA-256 {digest.hexdigest()}")


def _next(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(1 << 17)
    except (OSError, http.client.HTTPException) as error:
        raise _DownloadError(_why(error)) from None


def _why(error: Exception) -> str:
    """What is the matter, in a few words: of a URLError, what lies behind it."""
    code = f"the server answers {error.code}, " if isinstance(error, HTTPError) else ""
    reason = getattr(error, "reason", error)
    return code + one_line(reason)
