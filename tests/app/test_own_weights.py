"""The weights of a preset that are not bundled can be uploaded; what is none is a sentence."""

from __future__ import annotations

import copy
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from picture_files import encoded, noisy
from safetensors.torch import save
from studio_driver import Driver, studios
from torch import Tensor

import nst_utils as nst
from nst_utils.app import own_weights, panels, recipes
from nst_utils.networks.architectures import ARCHITECTURES

MakeStudio = Callable[..., Driver]
PRESET = "squeezenet-tv"
build_network = recipes._network


@pytest.fixture
def make(
    thin_net: nst.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeStudio]:
    def download(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", download)
    monkeypatch.setattr(own_weights, "_networks", {})
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with studios(thin_net, tmp_path, monkeypatch) as factory:
        monkeypatch.setattr(recipes, "_network", build_network)
        yield factory
    assert not list(temporary.glob("nst-*")), "an upload is left on the disk"


def squeezenet(seed: int = 0) -> dict[str, Tensor]:
    """Random numbers under torchvision's names (He et al. 2015)."""
    architecture, state = ARCHITECTURES["squeezenet1_1"], {}
    generator = torch.Generator().manual_seed(seed)
    for part, (after, before, side) in architecture.shapes.items():
        kernel = torch.randn(after, before, side, side, generator=generator)
        state[f"{architecture.modules[part]}.weight"] = kernel * (2 / (before * side**2)) ** 0.5
        state[f"{architecture.modules[part]}.bias"] = torch.zeros(after)
    return state


def pickled(what: object) -> bytes:
    file = io.BytesIO()
    torch.save(what, file)
    return file.getvalue()


class Trap:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (Path.touch, (Path("trapped"),))  # type: ignore[return-value]


def without(name: str) -> dict[str, Tensor]:
    return {key: value for key, value in squeezenet().items() if key != name}


def other_network() -> dict[str, Tensor]:
    """All names of VGG-16, hardly any numbers."""
    modules = ARCHITECTURES["vgg16"].modules.values()
    return {f"{each}.{part}": torch.zeros(1) for each in modules for part in ("weight", "bias")}


FIRST = "features.0.weight"
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.pth": (lambda: b"", "empty.pth is empty"),
    "notes.txt": (lambda: b"no weights at all", "notes.txt is no file of tensors alone"),
    "photo.png": (lambda: encoded(noisy(), "PNG"), "photo.png"),
    "json.safetensors": (lambda: b"12345678{}", "json.safetensors cannot be read as safetensors"),
    "cut.pth": (lambda: pickled(squeezenet())[:100_000], "cut.pth"),
    "cut.safetensors": (lambda: save(squeezenet())[:100_000], "cannot be read as safetensors"),
    "trap.pth": (lambda: pickled({"weights": Trap()}), "pickled code is not loaded"),
    "list.pth": (lambda: pickled([torch.zeros(3)]), "list.pth is not a state dict"),
    "vgg.safetensors": (lambda: save(other_network()), "is not squeezenet1_1 but vgg16"),
    "part.pth": (lambda: pickled(without("features.12.expand1x1.bias")), "no usable fire9"),
    "nan.pth": (
        lambda: pickled(squeezenet() | {FIRST: torch.full((64, 3, 3, 3), torch.nan)}),
        "nan.pth holds NaN or infinite weights in conv1",
    ),
    "zero.pth": (
        lambda: pickled(squeezenet() | {FIRST: torch.zeros(64, 3, 3, 3)}),
        "conv1 does not respond to anything",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_such_weights_is_a_sentence(name: str, make: MakeStudio) -> None:
    content, says = BAD[name]
    studio = make(preset=PRESET)
    studio.send("nst-weights-upload", f"folder/{name}", content())
    assert studio.says.startswith("Not taken: ")
    assert says in studio.says
    assert "upload the weights of squeezenet1_1" in studio.says
    assert tempfile.tempdir is not None
    assert tempfile.tempdir not in studio.says
    assert not Path("trapped").exists()
    assert not own_weights._networks


def test_a_file_that_is_too_large_is_a_sentence(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_weights, "LARGEST", 1_000_000)
    studio = make(preset=PRESET)
    studio.send("nst-weights-upload", "vgg19.pth", bytes(2_000_000))
    assert studio.says.startswith("Not taken: vgg19.pth has 2 MB, too many; upload the weights")


def test_the_upload_stands_where_a_preset_needs_it(make: MakeStudio) -> None:
    studio = make()
    assert studio["nst-weights"].layout.display == "none"
    studio["nst-preset"].value = PRESET
    assert studio["nst-weights"].layout.display is None
    assert [name for name in nst.PRESETS if own_weights.needs_weights(name)] == [PRESET]


@pytest.mark.parametrize("write", [save, pickled], ids=["safetensors", "pth"])
def test_without_a_connection_an_upload_is_enough(
    write: Callable[[dict[str, Tensor]], bytes], make: MakeStudio
) -> None:
    studio = make(preset=PRESET, init="content", steps=1)
    found = []
    for seed in (0, 1):
        studio.send("nst-weights-upload", "mine", write(squeezenet(seed)))
        assert (
            studio.says == f"The preset {PRESET} uses the weights in mine from the next start on."
        )
        found.append(studio.studio.controls.recipe.network())
    assert found[0].description != found[1].description, "networks are kept by that"
    for seed, net in enumerate(found):
        kernel = net.get_buffer("_steps.conv1.kernel")
        assert torch.equal(kernel, squeezenet(seed)[FIRST].to(kernel))
    studio.click("try-ratios")
    studio.ends("All nine are there")


def test_a_run_and_its_panels_keep_the_network_that_it_began_with(
    make: MakeStudio, thin_net: nst.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, measured = [thin_net], []

    def grams(net: nst.Network, *given: object) -> object:
        measured.append(net)
        return gram_matrices(net, *given)  # type: ignore[arg-type]

    gram_matrices = panels.gram_matrices
    monkeypatch.setattr(panels, "gram_matrices", grams)
    monkeypatch.setattr(panels, "grams", lambda pair, layer: "")  # a drawing, which takes seconds
    monkeypatch.setattr(recipes, "_network", lambda name, device: now[0])
    studio = make()
    studio.begin()
    now[0] = copy.copy(thin_net)  # what an upload does
    studio["nst-gram-panel"].value = True
    studio.click("stop")
    studio.ends("Stopped after")
    studio["nst-gram-panel"].value = False
    studio["nst-gram-panel"].value = True
    assert len(measured) >= 2
    assert all(net is thin_net for net in measured)
    studio["nst-steps"].value = 1
    studio.paint()
    assert measured[-1] is now[0]
