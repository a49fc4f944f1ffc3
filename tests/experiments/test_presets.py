"""Presets are complete, printable, and what the functions themselves default to."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from pathlib import Path
from pkgutil import walk_packages

import pytest
import torch
import torchvision
from torch import Tensor

import nst_utils as nst
from nst_utils.experiments import presets
from nst_utils.experiments.complete_settings import OF_CALL, OF_NETWORK, OF_TRANSFER
from nst_utils.experiments.presets import PRESETS, Preset, preset, preset_table
from nst_utils.networks.architectures import ARCHITECTURES
from nst_utils.networks.builders import NETWORKS
from nst_utils.networks.network import Network, check_layers


def defaults(function: object) -> dict[str, object]:
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def test_the_preset_paper_holds_the_papers_settings() -> None:
    paper = PRESETS["paper"]
    assert paper.network == "vgg19"
    assert (paper.pooling, paper.normalized, paper.padding) == ("avg", "authors", "nearest")
    assert paper.content_layers == ("conv4_2",)
    assert paper.style_layers == ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    assert paper.content_weight / paper.style_weight == pytest.approx(5e-3)
    assert (paper.init, paper.optimizer) == ("noise", "lbfgs")


def test_the_preset_paper_is_what_the_functions_default_to() -> None:
    paper = PRESETS["paper"]
    for function, chosen in (
        (nst.transfer, paper.transfer_settings()),
        (nst.vgg19, paper.network_settings() | {"padding": None}),
    ):
        expected = {name: defaults(function)[name] for name in chosen}
        assert chosen == expected
    assert nst.vgg19().padding == paper.padding  # None is the paper's, where it is normalized


def test_settings_are_those_of_a_transfer() -> None:
    """Named where torch is not loaded, so written down."""
    taken = {*inspect.signature(nst.transfer).parameters} - {"content", "style", "net"}
    assert {*OF_TRANSFER, *OF_CALL} == taken


# Where a default is another one, on purpose.
OF_THEIR_OWN = {
    "transform_features": {"init": "content", "steps": 100},  # a search for each layer
    "reconstruct_style": {"exact": True},
    "Row": {"content_weight": 0.0, "style_weight": 0.0},  # asks for nothing
}


def test_a_default_is_the_same_wherever_it_stands() -> None:
    """Written out where a signature is to be read, and then held together here."""
    pytest.importorskip("voila")  # which a module of the studio is made of
    truth = PRESETS["paper"].transfer_settings() | {"seed": 0, "tolerance": None}
    found = []
    for module in walk_packages(nst.__path__, "nst_utils."):
        if module.name.endswith("__main__"):
            continue
        for thing in vars(importlib.import_module(module.name)).values():
            if getattr(thing, "__module__", "") != module.name:
                continue
            if not inspect.isfunction(thing) and not (
                inspect.isclass(thing) and dataclasses.is_dataclass(thing)
            ):
                continue
            own = OF_THEIR_OWN.get(thing.__name__, {})
            for name, default in defaults(thing).items():
                if name in truth and isinstance(default, (str, int, float)):
                    found.append(name)
                    assert default == (truth | own)[name], f"{name} of {thing.__name__}"
    assert len(found) > 50


def test_the_two_parts_make_up_a_preset() -> None:
    paper = PRESETS["paper"]
    parts = paper.network_settings() | paper.transfer_settings()
    assert set(parts) | {"summary", "network"} == {f.name for f in dataclasses.fields(Preset)}
    assert not set(paper.network_settings()) & set(paper.transfer_settings())
    assert set(parts) <= {*OF_NETWORK, *OF_TRANSFER}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_names_things_that_exist(name: str) -> None:
    chosen = preset(name)
    assert chosen is PRESETS[name]
    assert chosen.network in NETWORKS
    assert chosen.summary
    accepted = inspect.signature(NETWORKS[chosen.network]).parameters
    assert set(chosen.network_settings()) <= set(accepted)
    assert set(chosen.transfer_settings()) <= set(inspect.signature(nst.transfer).parameters)
    known = ARCHITECTURES[chosen.network].layers
    assert check_layers([*chosen.content_layers, *chosen.style_layers], known=known)
    weights = chosen.style_layer_weights
    assert weights is None or len(weights) == len(chosen.style_layers)


def test_an_unknown_preset_gets_a_suggestion() -> None:
    with pytest.raises(ValueError, match="unknown preset 'papr'; did you mean 'paper'"):
        preset("papr")


def test_a_preset_cannot_be_changed_by_accident() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PRESETS["paper"].steps = 1  # type: ignore[misc]


def test_the_table_prints_every_setting_of_every_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    other = dataclasses.replace(PRESETS["paper"], steps=7, content_layers=("conv1_1", "conv5_4"))
    monkeypatch.setattr(presets, "PRESETS", PRESETS | {"another": other})
    lines = preset_table().splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert max(len(line) for line in lines) < 140
    assert lines[0].split() == ["preset", *PRESETS, "another"]
    starts = {name: lines[0].index(name) for name in (*PRESETS, "another")}
    rows = {line.split()[0]: i for i, line in enumerate(lines) if line[:1] not in ("", " ")}
    for field in dataclasses.fields(Preset):
        if field.name == "summary":
            continue
        for name, chosen in (*PRESETS.items(), ("another", other)):
            value = getattr(chosen, field.name)
            values = value if isinstance(value, tuple) else (value,)
            if isinstance(value, dict):
                values = tuple(
                    f"{here} at {key:g}" if isinstance(key, float) else f"{here:.3g} from {key}"
                    for key, here in value.items()
                )
            for i, each in enumerate(values):
                shown = f"{each:.3g}" if isinstance(each, float) else str(each)
                at = lines[rows[field.name] + i][starts[name] :]
                assert at.startswith(shown), f"{field.name} is not in the column of {name}"
    for name, chosen in PRESETS.items():
        assert f"{name}: {chosen.summary}" in lines


@pytest.mark.parametrize("name", [name for name in PRESETS if PRESETS[name].weights == "bundled"])
def test_every_preset_runs_from_one_call(name: str, content: Tensor, style: Tensor) -> None:
    result = preset(name).transfer(content, style, steps=3, progress=False)
    assert result.image.shape == content.shape
    assert torch.isfinite(result.image).all()
    assert result.history["total_loss"][-1] < result.start["total_loss"]
    assert result.settings["optimizer"] == PRESETS[name].optimizer


def test_the_squeezenet_preset_runs_on_a_file(
    content: Tensor, style: Tensor, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = torchvision.models.squeezenet1_1(weights=None)
    torch.save(model.state_dict(), tmp_path / "squeezenet.pth")
    result = preset("squeezenet-tv").transfer(
        content, style, weights=tmp_path / "squeezenet.pth", steps=3, progress=False
    )
    assert list(result.history) == [
        *("content_loss", "style_loss", "total_loss", "content/fire2", "style/conv1"),
        *("style/fire3", "style/fire4", "style/fire5", "total_variation"),
    ]


def test_any_single_setting_can_be_overridden() -> None:
    chosen = preset("keras-adam")
    plain = chosen.transfer_settings()
    assert chosen.transfer_settings(steps=5) == plain | {"steps": 5}
    assert chosen.network_settings(pooling="avg") == chosen.network_settings() | {"pooling": "avg"}
    # Weights for each layer belong to the preset's own layers.
    other = chosen.transfer_settings(style_layers=["conv1_1"])
    assert (other["style_layers"], other["style_layer_weights"]) == (["conv1_1"], None)
    both = chosen.transfer_settings(style_layers=["conv1_1"], style_layer_weights=[2.0])
    assert both["style_layer_weights"] == [2.0]


def test_no_setting_is_swallowed(net: Network, content: Tensor, style: Tensor) -> None:
    """A misspelled one, and one that nothing would read."""
    paper = preset("paper")
    with pytest.raises(ValueError, match="unknown setting 'poling'; did you mean 'pooling'"):
        paper.build_network(poling="max")
    with pytest.raises(ValueError, match="unknown setting 'pooling'"):
        paper.transfer_settings(pooling="max")
    with pytest.raises(ValueError, match="unknown setting 'steps'"):
        paper.network_settings(steps=3)
    with pytest.raises(ValueError, match="unknown setting 'stepz'; did you mean 'steps'"):
        paper.transfer(content, style, stepz=3)
    with pytest.raises(ValueError, match="unknown setting 'stepz'"):
        paper.transfer(content, style, net=net, stepz=3)
    with pytest.raises(ValueError, match="pooling is of no use beside net"):
        paper.transfer(content, style, net=net, pooling="max")
    with pytest.raises(ValueError, match="unknown setting 'summary'"):
        paper.transfer(content, style, summary="mine")


def test_another_network_brings_its_own_weights() -> None:
    paper = preset("paper")
    assert paper.network_settings(network="vgg16")["weights"] == "torchvision"
    assert paper.network_settings(network="vgg16", weights="my.pth")["weights"] == "my.pth"
    assert paper.network_settings(network="squeezenet1_1")["normalized"] == "none"
    back = preset("squeezenet-tv").network_settings(network="vgg19")
    assert back["weights"] == "bundled"
    with pytest.raises(ValueError, match="unknown network 'vgg'"):
        paper.build_network(network="vgg")
    with pytest.raises(ValueError, match="unknown network 'vgg'"):
        paper.network_settings(network="vgg")


def test_the_padding_goes_with_the_normalization() -> None:
    """As in the builders: what is not normalized is as it was trained."""
    for name, given, padding in (
        ("paper", {"normalized": "none"}, "zeros"),
        ("paper", {"normalized": False}, "zeros"),
        ("paper", {"normalized": "pooling"}, "nearest"),
        ("paper", {"normalized": "none", "padding": "nearest"}, "nearest"),
        ("kimrass", {"normalized": "authors"}, "nearest"),
        ("kimrass", {}, "zeros"),
        ("paper", {"network": "squeezenet1_1"}, "zeros"),
    ):
        assert preset(name).network_settings(**given)["padding"] == padding, (name, given)


def test_the_projects_weigh_as_they_say() -> None:
    """Written in their own units: what a preset changes into ours is changed back here."""
    kimrass, keras = preset("kimrass"), preset("keras-adam")
    assert kimrass.content_weight / kimrass.style_weight == pytest.approx(0.002)  # lambda
    assert (keras.content_weight, keras.style_weight, keras.steps) == (8e-4, 8e-1, 3000)
    assert (keras.optimizer, keras.pooling) == ("adam", "max")
    squeezenet = preset("squeezenet-tv")
    assert squeezenet.content_weight / 2 == pytest.approx(1 * 6e-2)  # alpha; eq. 1 has one half
    assert squeezenet.style_weight == 2  # beta
    mean_square = sum(1 / std**2 for std in (0.229, 0.224, 0.225)) / 3
    assert squeezenet.tv_weight / mean_square == pytest.approx(1e-3 * 2e-2, rel=0.01)  # gamma
    rates = squeezenet.learning_rate
    assert isinstance(rates, dict)
    assert list(rates) == [1, 181]
    assert rates[1] / rates[181] == pytest.approx(3 / 0.1)


def test_the_authors_weigh_as_they_say() -> None:
    """LossLayers.lua and BasicStyleTransfer.ipynb; their mean squares are ours without the half."""
    for name, content_weight, style_weights in (
        ("gatys-2016", 1e6, [1e9 / 5] * 5),
        ("gatys-pytorch", 1e0, [1e3 / N**2 for N in (64, 128, 256, 512, 512)]),
    ):
        chosen = preset(name)
        F, P = torch.rand(1, 5, 4, 6), torch.rand(1, 5, 4, 6)
        ours = chosen.content_weight * nst.content_loss(F, P, reduction=chosen.content_reduction)
        assert ours.item() == pytest.approx(content_weight * (F - P).square().mean().item())
        given = chosen.style_layer_weights or (1 / 5,) * 5
        for weight, theirs in zip(given, style_weights, strict=True):
            G, A = (x.flatten(2) @ x.flatten(2).mT / 24 for x in (F, P))
            expected = theirs * (G - A).square().mean().item()
            loss = nst.style_loss(F, P, reduction=chosen.style_reduction).item()
            assert chosen.style_weight * weight * loss == pytest.approx(expected, rel=1e-4)
        assert (chosen.init, chosen.optimizer, chosen.exact) == ("content", "lbfgs", True)
        assert isinstance(chosen.smaller_first, dict)
        (first,) = chosen.smaller_first.values()
        assert (first, chosen.steps - first) == (500, 200)
    assert preset("gatys-2016").content_weight / preset("gatys-2016").style_weight == 5e-4


def test_without_total_variation_nothing_says_how_it_is_read() -> None:
    chosen = preset("poster")
    assert chosen.transfer_settings(tv_weight=0.2)["tv_reduction"] == "mean"
    assert chosen.transfer_settings(tv_weight=[0.0, 0.2])["tv_reduction"] == "mean"
    for off in (0, 0.0):
        without = chosen.transfer_settings(tv_weight=off)
        assert (without["tv_power"], without["tv_reduction"], without["tv_color"]) == (2, "sum", 1)


def test_sizes_that_grow_do_so_for_any_number_of_steps() -> None:
    for steps in (1, 70, 900):
        assert preset("poster").transfer_settings(steps=steps)["smaller_first"] == "growing"


def test_a_share_of_the_steps_stays_one() -> None:
    chosen = preset("gatys-2016")
    assert chosen.transfer_settings(steps=70)["smaller_first"] == {0.5: 50}
    assert chosen.transfer_settings(steps=1)["smaller_first"] is None  # too few for two sizes
    assert chosen.transfer_settings(steps=900)["smaller_first"] == {0.5: 500}  # goes on from 700
    with pytest.raises(ValueError, match="steps must be a whole number"):
        chosen.transfer_settings(steps="many")
    own = chosen.transfer_settings(steps=70, smaller_first={0.25: 3})
    assert own["smaller_first"] == {0.25: 3}
    adam = chosen.transfer_settings(optimizer="adam")  # which knows no exact
    assert adam["exact"] is False


def test_keras_divides_every_layer_by_the_size_of_the_picture(content: Tensor) -> None:
    """Their loss, sum (G - A)^2 / (4 N^2 (H W)^2) with the picture's H and W, from our weights."""
    chosen = preset("keras-adam")
    picture = content[:, :, :32, :64]
    height, width = picture.shape[2:]
    assert chosen.style_layer_weights is not None
    for layer, weight in zip(chosen.style_layers, chosen.style_layer_weights, strict=True):
        pooled = int(layer[4]) - 1
        F = torch.rand(1, 3, height >> pooled, width >> pooled)
        A = torch.rand_like(F)
        difference = nst.gram_matrix(F) - nst.gram_matrix(A)
        theirs = difference.square().sum() / (4 * 3**2 * (height * width) ** 2) / 5
        assert weight * nst.style_loss(F, A).item() == pytest.approx(theirs.item(), rel=1e-4)
