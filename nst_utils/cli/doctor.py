"""``nst doctor``: what is installed, which device, which weights, and a tiny run."""

from __future__ import annotations

import platform
import time
from importlib.metadata import PackageNotFoundError, version

import torch

from nst_utils.experiments.style_transfer import transfer
from nst_utils.images.files import noise_image
from nst_utils.images.names import samples
from nst_utils.networks.builders import vgg19
from nst_utils.support import checks
from nst_utils.support.messages import tell

PACKAGES = (
    "nst-utils", "torch", "torchvision", "safetensors", "pillow", "matplotlib",
    "ipywidgets", "jupyterlab", "voila", "nbval",
)  # fmt: skip


def doctor(device: str = "auto") -> int:
    """Print what a bug report needs; return 0 if everything works, else 1, printed or not."""
    tell(f"python       {platform.python_version()} on {platform.platform()}")
    for name in PACKAGES:
        tell(f"{name:<12} {_version(name)}")
    where = checks.device(device)
    tell(f"device       {where} ({_device_name(where)})")
    tell(f"pictures     {len(samples())} bundled")
    begun = time.perf_counter()
    try:
        net = vgg19()
        tell(f"weights      {net.description}, loaded in {time.perf_counter() - begun:.2f} s")
        picture = noise_image(64, 64, seed=1)
        # Eight steps: the first ones may be too long, and then the picture stays where it is.
        result = transfer(
            picture, noise_image(64, 64, seed=2), net=net, steps=8, device=device, progress=False
        )
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        tell(f"tiny run     FAILED: {error}")
        return 1
    if result.interrupted:
        raise KeyboardInterrupt
    before, after = float(result.start["total_loss"]), float(result.history["total_loss"][-1])
    fell = after < before
    verdict = "works" if fell else "FAILED: the loss did not fall"
    tell(f"tiny run     {verdict} ({before:.4g} -> {after:.4g} in {result.seconds:.2f} s)")
    return 0 if fell else 1


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
