"""What somebody has set in torch, for good or for the moment, changes no picture and no number."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import nst_utils as nst

LAYERS: dict[str, Any] = {"content_layers": ["conv2_2"], "style_layers": ["conv1_1", "conv2_1"]}


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextlib.contextmanager
def medium_products() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")  # bfloat16 on a CPU that has it
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


AMBIENT: dict[str, Callable[[], contextlib.AbstractContextManager[object]]] = {
    "default dtype float64": lambda: default_dtype(torch.float64),
    "default dtype bfloat16": lambda: default_dtype(torch.bfloat16),
    "default device meta": lambda: torch.device("meta"),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic algorithms": deterministic,
    "fewer bits in products": medium_products,
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
}


# Whoever calls the network as a module asks for these, as of any other module.
OF_A_MODULE = ("autocast", "inference mode", "fewer bits in products")


def everything() -> dict[str, Tensor]:
    """What the public functions give, from a file to a picture."""
    net = nst.vgg19()
    content, style = nst.load_image("chelsea", 32), nst.load_image("starry-night", (24, 28))
    half = torch.zeros(1, 1, *content.shape[2:], dtype=torch.float32, device="cpu")
    half[..., :16] = 1
    options: dict[str, Any] = {"net": net, "steps": 2, "progress": False, "device": "cpu"} | LAYERS
    made = {
        "noise": nst.noise_image(20, 30, seed=1),
        "resized": nst.resize(content, (30, 31)),
        "recolored": nst.match_color(style, content),
        "mended": nst.photorealistic(content.flip(3), content, masks=[half]),
        "L-BFGS": nst.transfer(content, style, **options).image,
        "exact": nst.transfer(content, style, exact=True, **options).image,
        "Adam": nst.transfer(content, style, optimizer="adam", init="content", **options).image,
        "luminance": nst.transfer(content, style, preserve_color="luminance", **options).image,
        "masks": nst.transfer(content, [style] * 2, masks=[half, 1 - half], **options).image,
        "tiles": nst.transfer(content, style, tile=16, **options).image,
        "content": nst.reconstruct_content(
            content, ["conv2_1"], net=net, steps=2, progress=False, device="cpu"
        ).image,
        "style": nst.reconstruct_style(
            style, [["conv1_1"]], net=net, steps=2, progress=False, device="cpu"
        ).image,
    }
    made |= {f"response {k}": v for k, v in net(content, ["conv1_1", "conv3_1"]).items()}
    made |= {f"mean {k}": v for k, v in nst.mean_activations(net, [content]).items()}
    return made


@pytest.fixture(scope="module")
def wanted() -> dict[str, Tensor]:
    return everything()


@pytest.mark.parametrize("name", AMBIENT)
def test_what_torch_is_set_to_changes_nothing(name: str, wanted: dict[str, Tensor]) -> None:
    with AMBIENT[name]():
        made = everything()
    for what, picture in made.items():
        if what.startswith("response") and name in OF_A_MODULE:
            continue
        assert picture.dtype == torch.float32, what
        assert picture.device.type == "cpu", what
        assert not picture.is_inference(), what
        assert torch.equal(picture, wanted[what]), what


def test_what_was_made_in_inference_mode_can_be_used_outside() -> None:
    with torch.inference_mode():
        net = nst.vgg19()
        content, style = nst.load_image("chelsea", 48) * 1.0, nst.load_image("starry-night", 48)
        assert content.is_inference()
    result = nst.transfer(content, style, net=net, steps=2, progress=False, **LAYERS)
    assert (result.history["total_loss"][-1] < result.start["total_loss"]).all()
    picture = content.clone().requires_grad_()
    net(picture, ["conv2_1"])["conv2_1"].sum().backward()
    assert picture.grad is not None
