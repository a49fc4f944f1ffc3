"""Networks and pictures, loaded once a worker and kept."""

from __future__ import annotations

import json
import os
import pickle
import threading
from functools import lru_cache
from typing import Any

from torch import Tensor

from nst_utils.experiments.complete_settings import OF_NETWORK
from nst_utils.images.files import load_image
from nst_utils.images.masks import load_alpha
from nst_utils.many.jobs import Job
from nst_utils.networks import builders
from nst_utils.networks.network import Network, on_device
from nst_utils.support import checks

_KEPT_NETWORKS, _KEPT_PICTURES = 2, 8

_lock = threading.RLock()
_networks: dict[str, tuple[Any, Network]] = {}  # each with what has made it, where not we


def network_of(job: Job, net: Any) -> Network:
    """The network of a job, on its device.

    Args:
        job: whose it is. net: a network or a function that makes it, where it is none of ours.
    """
    where = checks.device(job.device)
    key = json.dumps([job.what["network"], job.what.get("weights"), str(where)])
    with _lock:
        maker, found = _networks.pop(key, (None, None))
        if found is None or not _is_same(maker, net):
            found = on_device(_made(job, net), where)
            while len(_networks) >= _KEPT_NETWORKS:
                del _networks[next(iter(_networks))]
        _networks[key] = net, found  # the last one that was used
        return found


def _is_same(maker: Any, net: Any) -> bool:
    """Whether both make the same network: one object, or, where it was sent here, one again.

    A name says too little: all lambdas of a function have one.
    """
    if maker is net or isinstance(net, Network):
        return maker is net
    try:
        return pickle.dumps(maker) == pickle.dumps(net)
    except Exception:  # of what cannot be sent
        return False


def _made(job: Job, net: Any) -> Network:
    if net is not None:
        found = net if isinstance(net, Network) else net()
        if not isinstance(found, Network):
            raise ValueError(
                f"net must make a network as nst.vgg19() does, but gave {checks.shown(found)}"
            )
        return found
    described = job.what["network"]
    options = {name: described[name] for name in OF_NETWORK}
    if "weights" in job.files:
        options["weights"] = job.files["weights"]
    return builders.NETWORKS[described["network"]](**options)


def picture_of(path: str, size: int) -> tuple[Tensor, Tensor | None]:
    """A picture and its transparency; loaded again where the file has changed."""
    try:
        stat = os.stat(path)
        stamp = (stat.st_mtime_ns, stat.st_size)
    except OSError:
        stamp = (0, 0)  # loading says what is wrong
    return _picture_as_of(path, size, stamp)


@lru_cache(maxsize=_KEPT_PICTURES)
def _picture_as_of(path: str, size: int, stamp: tuple[int, int]) -> tuple[Tensor, Tensor | None]:
    return load_image(path, size), load_alpha(path, size)
