"""Presets are complete, printable, and what the functions themselves default to."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import nst_utils as nst
from nst_utils import presets
from nst_utils.presets import NETWORKS, PRESETS, Preset, preset, preset_table


def defaults(function: object) -> dict[str, object]:
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def test_the_preset_paper_holds_the_papers_settings() -> None:
    paper = PRESETS["paper"]
    assert paper.network == "vgg19"
    assert (paper.pooling, paper.normalized) == ("avg", True)
    assert paper.content_layers == ("conv4_2",)
    assert paper.style_layers == ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    assert paper.content_weight / paper.style_weight == pytest.approx(5e-2)
    assert (paper.init, paper.optimizer) == ("noise", "lbfgs")


def test_the_preset_paper_is_what_the_functions_default_to() -> None:
    paper = PRESETS["paper"]
    for function, chosen in (
        (nst.transfer, paper.transfer_settings()),
        (nst.vgg19, paper.network_settings()),
    ):
        expected = {name: defaults(function)[name] for name in chosen}
        assert chosen == expected


def test_the_two_parts_make_up_a_preset() -> None:
    paper = PRESETS["paper"]
    parts = paper.network_settings() | paper.transfer_settings()
    assert set(parts) | {"summary", "network"} == {f.name for f in dataclasses.fields(Preset)}
    assert not set(paper.network_settings()) & set(paper.transfer_settings())


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_names_things_that_exist(name: str) -> None:
    chosen = preset(name)
    assert chosen is PRESETS[name]
    assert chosen.network in NETWORKS
    assert chosen.summary
    accepted = inspect.signature(NETWORKS[chosen.network]).parameters
    assert set(chosen.network_settings()) <= set(accepted)
    assert set(chosen.transfer_settings()) <= set(inspect.signature(nst.transfer).parameters)
    assert nst.networks.check_layers([*chosen.content_layers, *chosen.style_layers])


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
    names = ["preset", *(field.name for field in dataclasses.fields(Preset))]
    assert [line.split()[0] for line in lines] == names
    assert lines[0].split() == ["preset", *PRESETS, "another"]
    starts = [lines[0].index(name) for name in (*PRESETS, "another")]
    for line, name in zip(lines[1:], names[1:], strict=True):
        for start, chosen in zip(starts, (*PRESETS.values(), other), strict=True):
            value = getattr(chosen, name)
            shown = " ".join(value) if isinstance(value, tuple) else str(value)
            assert line[start:].startswith(shown), f"{name} is not in its column"
    assert all(line == line.rstrip() for line in lines)
