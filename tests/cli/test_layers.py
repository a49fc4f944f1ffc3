"""Layers that are typed are those of the network at hand, and the sentence names the option."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from outcome import Outcome

from nst_utils.cli.early import check_reconstruction, check_transfer
from nst_utils.cli.parser import build_parser
from nst_utils.experiments.presets import PRESETS
from nst_utils.networks.architectures import ARCHITECTURES

Run = Callable[..., Outcome]

COMMANDS = {
    "--content-layers": "transfer chelsea china",
    "--style-layers": "transfer chelsea china",
    "--layers": "reconstruct-content chelsea",
    "--layer-sets": "reconstruct-style chelsea",
}
# A typo of a layer of each network, and the layer.
TYPOS = {
    "vgg19": ("conv42", "conv4_2"),
    "vgg16": ("conv3-3", "conv3_3"),
    "vgg19_bn": ("comv5_1", "conv5_1"),
    "squeezenet1_1": ("fir4", "fire4"),
}


def words(option: str, layers: str, *others: str) -> list[str]:
    return [*COMMANDS[option].split(), "-o", "a.png", option, layers, *others]


@pytest.mark.parametrize("network", ARCHITECTURES)
@pytest.mark.parametrize("option", COMMANDS)
def test_a_typo_is_likened_to_the_networks_own_layers(
    option: str, network: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    typo, meant = TYPOS[network]
    outcome = run(*words(option, typo, "--network", network))
    assert outcome.code == 2
    says = f"nst: {option} names layers of {network}: unknown layer '{typo}'; did you mean "
    assert outcome.complaint.startswith(f"{says}'{meant}'? Known: ")
    known = outcome.complaint.partition("Known: ")[2].split(", ")
    assert known == list(ARCHITECTURES[network].layers)


@pytest.mark.parametrize("network", ARCHITECTURES)
@pytest.mark.parametrize("option", COMMANDS)
def test_a_layer_of_another_network_is_refused(
    option: str, network: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    known = ARCHITECTURES[network].layers
    others = {layer for each in ARCHITECTURES.values() for layer in each.layers} - {*known}
    for layer in sorted(others):
        outcome = run(*words(option, layer, "--network", network))
        assert outcome.code == 2
        assert f"{option} names layers of {network}: unknown layer '{layer}'" in outcome.complaint


@pytest.mark.parametrize("network", ["vgg19", "vgg16", "vgg19_bn"])
@pytest.mark.parametrize("option", COMMANDS)
def test_a_response_may_be_called_by_its_relu(
    option: str, network: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    others = ["--network", network, "--device", "cpu"]
    if option == "--content-layers":
        others += ["--style-layers", "relu1_1"]
    args = build_parser().parse_args(words(option, "relu3_2", *others))
    (check_transfer if args.command == "transfer" else check_reconstruction)(args)


@pytest.mark.parametrize("layers", ["", ",", ";", " , "])
@pytest.mark.parametrize("option", COMMANDS)
def test_no_layer_is_refused_with_the_option(
    option: str, layers: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run(*words(option, layers))
    assert outcome.code == 2
    assert option in outcome.complaint


@pytest.mark.parametrize("name", PRESETS)
def test_a_presets_network_is_the_one_at_hand(
    name: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    network = PRESETS[name].network
    outcome = run(*words("--style-layers", "nosuch", "--preset", name))
    assert f"--style-layers names layers of {network}: unknown" in outcome.complaint


@pytest.mark.parametrize("option", ["--content-layers", "--style-layers"])
def test_where_only_the_network_is_named_its_layers_are_asked_for(
    option: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    other = {"--content-layers": "--style-layers", "--style-layers": "--content-layers"}[option]
    outcome = run(*words(other, "fire3", "--network", "squeezenet1_1"))
    assert "squeezenet1_1 has other layers: unknown layer" in outcome.complaint
    assert outcome.complaint.endswith(f"name its own with {option}")


@pytest.mark.parametrize("layers", ["conv1_1", "conv1_1,conv2_1,conv3_1"])
def test_each_style_layer_has_one_weight(
    layers: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run(*words("--style-layers", layers, "--style-layer-weights", "1,2"))
    number = layers.count(",") + 1
    assert f"--style-layer-weights has 2 values for {number} style layers" in outcome.complaint
