"""``nst``: every option arrives, every mistake is one line, and nothing is lost on the way."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from outcome import Outcome
from picture_files import BAD_PICTURES, make_bad_picture, noisy
from PIL import Image
from torch import Tensor

import nst_utils as nst
from nst_utils.cli import commands, numbered, parser
from nst_utils.experiments.presets import PRESETS
from nst_utils.images import guided
from nst_utils.networks import builders, network
from nst_utils.optimize import loop
from nst_utils.optimize.lbfgs import LBFGS
from nst_utils.support import checks

Run = Callable[..., Outcome]
SMALL = ("--size", 48, "--steps", 3)


@pytest.fixture(scope="module")
def net(thin_net: nst.Network) -> nst.Network:
    """Of those that share it: what is tested here goes on around the network."""
    return thin_net


# A run that is real.


def test_a_transfer_writes_the_picture_and_the_report(run: Run, tmp_path: Path) -> None:
    picture, report_file = tmp_path / "out.png", tmp_path / "report.json"
    outcome = run(
        *("transfer", "chelsea", "starry-night", "-o", picture, "--size", 64, "--steps", 3),
        *("--report", report_file),
    )
    assert outcome.code == 0
    assert str(picture) in outcome.out
    assert outcome.out.count("\n") == 1
    with Image.open(picture) as saved:
        assert (saved.format, saved.mode, saved.size) == ("PNG", "RGB", (64, 43))
    report = json.loads(report_file.read_text())
    assert report["device"] == str(checks.device("auto"))
    assert report["seconds"] > 0
    assert report["evaluations"] >= 4  # one at the start, at least one a step
    assert report["peak_memory_bytes"] > 50e6  # the network alone is larger
    assert report["interrupted"] is False
    assert set(report) >= {"config", "content_loss", "style_loss", "total_loss"}
    total = report["total_loss"]
    assert len(total) == len(report["content_loss"]) == len(report["style_loss"]) == 3
    assert total[0] > total[1] > total[2] > 0
    for content, style, both in zip(
        report["content_loss"], report["style_loss"], total, strict=True
    ):
        assert both == pytest.approx(5e-3 * content + style)  # equation 7
    config = report["config"]
    expected = PRESETS["paper"].transfer_settings() | PRESETS["paper"].network_settings()
    expected |= {"content": "chelsea", "style": "starry-night", "size": 64, "steps": 3, "seed": 0}
    expected |= {"network": "vgg19", "preset": "paper", "output": str(picture)}
    for name, value in expected.items():
        assert config[name] == (list(value) if isinstance(value, tuple) else value), name


def test_the_command_does_what_the_functions_do(
    run: Run, shared_net: list[dict[str, Any]], net: nst.Network, tmp_path: Path
) -> None:
    options = ("-o", tmp_path / "cli.png", *SMALL, "--seed", 5, "--device", "cpu")
    run("transfer", "chelsea", "great-wave", *options)
    pictures = [nst.load_image(name, 48) for name in ("chelsea", "great-wave")]
    result = nst.transfer(*pictures, net=net, steps=3, seed=5, device="cpu", progress=False)
    nst.save_image(result.image, tmp_path / "api.png")
    assert (tmp_path / "cli.png").read_bytes() == (tmp_path / "api.png").read_bytes()


def test_a_seed_fixes_the_file_byte_for_byte(
    run: Run, shared_net: list[dict[str, Any]], tmp_path: Path
) -> None:
    files = []
    for number, seed in enumerate((0, 0, 1)):
        files.append(tmp_path / f"{number}.png")
        options = (*SMALL, "--device", "cpu", "--seed", seed)
        assert run("transfer", "chelsea", "china", "-o", files[-1], *options).code == 0
    first, again, other = (file.read_bytes() for file in files)
    assert first == again
    assert first != other


def test_files_of_ones_own_and_unusual_names_work(
    run: Run, shared_net: list[dict[str, Any]], tmp_path: Path
) -> None:
    photo, painting = tmp_path / "my photo (1).jpg", tmp_path / "Gemälde.webp"
    noisy(40, 60).save(photo)
    noisy(60, 40, seed=1).save(painting)
    output = tmp_path / "où.jpg"
    assert run("transfer", photo, painting, "-o", output, "--size", 48, "--steps", 1).code == 0
    assert nst.load_image(output).shape == (1, 3, 48, 32)


def test_reconstruct_content_makes_a_picture_for_each_layer(
    run: Run, shared_net: list[dict[str, Any]], tmp_path: Path
) -> None:
    output, report_file = tmp_path / "out.png", tmp_path / "report.json"
    options = ("-o", output, *SMALL, "--layers", "conv1_1, conv3_1", "--report", report_file)
    assert run("reconstruct-content", "chelsea", *options).code == 0
    assert nst.load_image(output).shape == (1, 3, 32, 2 * 48 + 8)
    report = json.loads(report_file.read_text())
    assert report["config"]["layers"] == ["conv1_1", "conv3_1"]
    assert report["config"]["image"] == "chelsea"
    losses = torch.tensor(report["content_loss"])
    assert losses.shape == (3, 2)
    assert (losses[-1] < losses[0]).all()
    assert report["style_loss"] == [[0, 0]] * 3


def test_reconstruct_style_makes_a_picture_for_each_set(
    run: Run, shared_net: list[dict[str, Any]], tmp_path: Path
) -> None:
    output, report_file = tmp_path / "out.png", tmp_path / "report.json"
    sets = "conv1_1; conv1_1,conv2_1; conv1_1,conv2_1,conv3_1"
    options = ("-o", output, *SMALL, "--layer-sets", sets, "--report", report_file)
    assert run("reconstruct-style", "texture-gravel", *options).code == 0
    assert max(nst.load_image(output).shape) == 3 * 48 + 2 * 8
    report = json.loads(report_file.read_text())
    assert report["config"]["layer_sets"] == [part.strip().split(",") for part in sets.split(";")]
    losses = torch.tensor(report["style_loss"])
    assert losses.shape == (3, 3)
    assert (losses[-1] < losses[0]).all()
    assert report["content_loss"] == [[0, 0, 0]] * 3


def test_without_sets_the_figures_layers_are_reconstructed(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = parser.build_parser().parse_args
    content = parse(["reconstruct-content", "chelsea", "-o", "a.png"])
    assert content.layers == ["conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2"]
    style = parse(["reconstruct-style", "chelsea", "-o", "a.png"])
    every = ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
    assert style.layer_sets == [every[:depth] for depth in range(1, 6)]


def test_quiet_prints_nothing(run: Run, shared_net: list[dict[str, Any]], tmp_path: Path) -> None:
    output = tmp_path / "out.png"
    options = ("--size", 32, "--steps", 1)
    quiet = run("transfer", "chelsea", "china", "-o", output, *options, "--quiet")
    assert quiet == Outcome(0, "", "")
    assert output.is_file()
    loud = run("transfer", "chelsea", "china", "-o", output, *options)
    assert str(output) in loud.out
    assert loud.err.startswith("nst: style transfer: 100 %, step=1/1, content=")
    assert "\r" not in loud.err, "in a log, lines"
    assert loud.err.count("\n") == 1


def test_quick_mode_shrinks_a_run(
    run: Run,
    shared_net: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NST_QUICK", "1")
    report_file = tmp_path / "report.json"
    options = ("-o", tmp_path / "out.png", "--report", report_file, "--quiet")
    assert run("transfer", "chelsea", "china", *options).code == 0
    assert nst.load_image(tmp_path / "out.png").shape == (1, 3, 43, 64)
    assert len(json.loads(report_file.read_text())["total_loss"]) == 6


def test_numbered_pictures_are_saved_on_the_way(
    run: Run, shared_net: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.png"
    options = ("--size", 48, "--steps", 5, "--quiet", "--save-every", 2)
    command = ("transfer", "chelsea", "china", "-o", output, *options)
    assert run(*command) == Outcome(0, "", "")
    names = ["out-0002.png", "out-0004.png", "out.png"]
    assert sorted(each.name for each in tmp_path.iterdir()) == names
    run("transfer", "chelsea", "china", "-o", tmp_path / "four.png", *SMALL[:2], "--steps", 4)
    assert (tmp_path / "four.png").read_bytes() == (tmp_path / "out-0004.png").read_bytes()
    outcome = run("transfer", tmp_path / "out-0002.png", "china", "-o", output, *options)
    assert outcome.code == 2
    assert "--save-every could overwrite" in outcome.complaint

    def full(*_: object) -> None:
        raise ValueError("the disk is full")

    monkeypatch.setattr(numbered, "save_image", full)
    outcome = run(*command)
    assert outcome.code == 0, "the run goes on"
    assert "on the way could not be saved, the run goes on: the disk is full" in outcome.complaint


@pytest.mark.gpu
def test_a_transfer_runs_on_the_gpu(run: Run, tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    options = ("-o", tmp_path / "out.png", *SMALL, "--device", "cuda", "--report", report_file)
    assert run("transfer", "chelsea", "china", *options).code == 0
    report = json.loads(report_file.read_text())
    assert report["device"].startswith("cuda")
    assert report["peak_memory_bytes"] > 0
    assert report["total_loss"][-1] < report["total_loss"][0]


# Options and what they become.


def tiny_result(**changes: Any) -> nst.Result:
    losses = {
        name: torch.ones(1, 1, dtype=torch.float64)
        for name in ("content_loss", "style_loss", "total_loss")
    }
    start = {name: value[0] for name, value in losses.items()}
    defaults: dict[str, Any] = {"image": torch.zeros(1, 3, 4, 4), "settings": {"network": "a stub"}}
    return nst.Result(history=losses, start=start, **(defaults | changes))


class Asked:
    """What a command asked of the network's builder and of the experiment."""

    network: dict[str, Any]
    positional: tuple[Any, ...]
    settings: dict[str, Any]


@pytest.fixture
def asked(shared_net: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Let the three experiments only write down what they are asked for."""
    written = Asked()

    def experiment(*positional: Any, **named: Any) -> nst.Result:
        written.network = shared_net[-1]
        written.positional, written.settings = positional, named
        return tiny_result()

    for name in ("transfer", "reconstruct_content", "reconstruct_style"):
        monkeypatch.setattr(commands, name, experiment)
    return written


NETWORK_OPTIONS: list[tuple[str, str, Any]] = [
    ("--pooling max", "pooling", "max"),
    ("--weights torchvision", "weights", "torchvision"),
    ("--normalized pooling", "normalized", "pooling"),
    ("--padding zeros", "padding", "zeros"),
    ("--precision bfloat16", "precision", "bfloat16"),
]
RUN_OPTIONS: list[tuple[str, str, Any]] = [
    ("--steps 7", "steps", 7),
    ("--optimizer adam", "optimizer", "adam"),
    ("--optimizer adam --learning-rate 0.5", "learning_rate", 0.5),
    ("--seed 9", "seed", 9),
    ("--device cpu", "device", "cpu"),
    ("--quiet", "progress", False),
    ("--exact", "exact", True),
]
TRANSFER_OPTIONS: list[tuple[str, str, Any]] = [
    ("--content-weight 2.5", "content_weight", 2.5),
    ("--content-weight 0", "content_weight", 0.0),
    ("--style-weight 1e4", "style_weight", 1e4),
    ("--style-weight 0", "style_weight", 0.0),
    ("--content-layers conv1_2,conv5_2", "content_layers", ["conv1_2", "conv5_2"]),
    ("--style-layers conv3_1", "style_layers", ["conv3_1"]),
    ("--content-reduction sum", "content_reduction", "sum"),
    ("--init content", "init", "content"),
    ("--init style", "init", "style"),
    ("--smaller-first none", "smaller_first", {}),
    ("--exact --no-exact", "exact", False),
    ("--smaller-first 0.25:9,0.5:20", "smaller_first", {0.25: 9, 0.5: 20}),
    ("--smaller-first growing", "smaller_first", "growing"),
    ("--style-layer-weights 1,2,3,4,5", "style_layer_weights", [1.0, 2.0, 3.0, 4.0, 5.0]),
    ("--style-reduction values", "style_reduction", "values"),
    ("--style-statistics covariance", "style_statistics", "covariance"),
    ("--tv-weight 1e-3", "tv_weight", 1e-3),
    ("--tv-power 1", "tv_power", 1),
    ("--tv-reduction mean", "tv_reduction", "mean"),
    ("--tv-color 40", "tv_color", 40.0),
    ("--preserve-color luminance", "preserve_color", "luminance"),
    ("--optimizer adam --learning-rate 0.5,20:0.1", "learning_rate", {1: 0.5, 20: 0.1}),
]


@pytest.mark.parametrize("is_masked", [False, True])
def test_the_finished_picture_gets_the_edges_of_the_photograph(
    is_masked: bool, run: Run, shared_net: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Inside the masks that the paintings have; the report says so."""
    content, painted = nst.load_image("chelsea", 32), nst.load_image("china", (20, 32))
    result = tiny_result(image=nst.resize(painted, (content.shape[2], 32)))
    painted = result.image.clone()
    monkeypatch.setattr(commands, "transfer", lambda *_, **__: result)
    half = torch.zeros(1, 3, *content.shape[2:])
    half[..., :16] = 1
    files = [nst.save_image(x, tmp_path / f"{i}.png") for i, x in enumerate((half, 1 - half))]
    paintings = ("china", "great-wave", "--masks", *files) if is_masked else ("china",)
    out, report = tmp_path / "out.png", tmp_path / "report.json"
    options = ("-o", out, "--size", 32, "--report", report)
    for option in ((), ("--photorealistic",)):
        assert run("transfer", "chelsea", *paintings, *options, *option).code == 0
        found, told = nst.load_image(out), json.loads(report.read_text())["config"]
        masks = [half[:, :1], 1 - half[:, :1]] if is_masked else None
        mended = nst.photorealistic(painted, content, masks=masks)
        wanted = mended if option else painted
        torch.testing.assert_close(found, wanted, rtol=0, atol=0.51 / 255)
        assert told["photorealistic"] is bool(option)
    assert (mended - painted).abs().mean() > 0.02


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory")])
def test_no_memory_for_the_edges_does_not_cost_the_picture(
    error: Exception,
    run: Run,
    shared_net: object,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    result = tiny_result(image=nst.load_image("china", (21, 32)))
    painted = result.image.clone()
    monkeypatch.setattr(commands, "transfer", lambda *_, **__: result)

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(guided, "photorealistic", fails)
    out = tmp_path / "out.png"
    options = ("-o", out, "--size", 32, "--photorealistic")
    done = run("transfer", "chelsea", "china", *options)
    assert done.code == 0
    assert "too little memory for --photorealistic; the picture is kept as painted" in done.err
    torch.testing.assert_close(nst.load_image(out), painted, rtol=0, atol=0.51 / 255)


@pytest.mark.parametrize(("option", "name", "value"), RUN_OPTIONS + TRANSFER_OPTIONS)
def test_every_option_reaches_the_transfer(
    option: str, name: str, value: Any, run: Run, asked: Asked, tmp_path: Path
) -> None:
    command = ("transfer", "chelsea", "china", "-o", tmp_path / "a.png", "--size", 32)
    expected = PRESETS["paper"].transfer_settings()
    expected |= {"seed": 0, "progress": True}
    assert run(*command).code == 0
    before = asked.settings
    assert before.pop("device") == "auto"  # it may go on on the CPU
    assert isinstance(before.pop("net"), nst.Network)
    assert before == expected
    assert run(*command, *option.split()).code == 0
    expected |= {"optimizer": "adam"} if "adam" in option else {}
    expected |= {name: value} if name != "device" else {}
    assert {key: asked.settings[key] for key in expected} == expected
    assert asked.settings[name] == value


@pytest.mark.parametrize(("option", "name", "value"), NETWORK_OPTIONS)
@pytest.mark.parametrize("command", ["transfer", "reconstruct-content", "reconstruct-style"])
def test_every_network_option_reaches_the_network(
    option: str, name: str, value: Any, command: str, run: Run, asked: Asked, tmp_path: Path
) -> None:
    pictures = ["chelsea", "china"] if command == "transfer" else ["chelsea"]
    options = (*pictures, "-o", tmp_path / "a.png", "--size", 32, "--report", tmp_path / "a.json")
    assert run(command, *options).code == 0
    assert {"weights": "bundled", "pooling": "avg", "normalized": "authors"}.items() <= (
        asked.network.items()
    )
    before = asked.network.get(name)
    assert run(command, *options, *option.split()).code == 0
    assert asked.network[name] == value != before
    assert json.loads((tmp_path / "a.json").read_text())["config"][name] == value


@pytest.mark.parametrize(("option", "name", "value"), RUN_OPTIONS)
@pytest.mark.parametrize("command", ["reconstruct-content", "reconstruct-style"])
def test_every_option_reaches_the_reconstructions(
    option: str, name: str, value: Any, command: str, run: Run, asked: Asked, tmp_path: Path
) -> None:
    options = ("chelsea", "-o", tmp_path / "a.png", "--size", 32, *option.split())
    assert run(command, *options).code == 0
    assert asked.settings[name] == value
    assert asked.positional[0].shape == (1, 3, 21, 32)


def test_a_reconstruction_of_a_style_takes_its_statistic(
    run: Run, asked: Asked, tmp_path: Path
) -> None:
    options = ("texture-citrus", "-o", tmp_path / "a.png", "--size", 32)
    assert run("reconstruct-style", *options, "--style-statistics", "shifted_gram").code == 0
    assert asked.settings["style_statistics"] == "shifted_gram"


def test_a_statistic_of_the_whole_picture_is_refused_in_tiles(run: Run, tmp_path: Path) -> None:
    options = ("-o", tmp_path / "a.png", "--size", 32, "--steps", 1, "--tile", 16)
    done = run("transfer", "chelsea", "china", *options, "--style-statistics", "histogram")
    assert done.code == 2
    assert "--style-statistics histogram looks at the picture as a whole" in done.err
    assert "tiles; leave them out" in done.err


def test_size_scales_both_pictures_each_in_its_own_shape(
    run: Run, asked: Asked, tmp_path: Path
) -> None:
    run("transfer", "chelsea", "starry-night", "-o", tmp_path / "a.png", "--size", 40)
    content, style = asked.positional
    assert torch.equal(content, nst.load_image("chelsea", 40))
    assert torch.equal(style, nst.load_image("starry-night", 40))


def test_init_from_a_file_has_the_photographs_size(run: Run, asked: Asked, tmp_path: Path) -> None:
    own = tmp_path / "own.png"
    noisy(30, 30).save(own)
    for start, name in ((own, own), ("great-wave", "great-wave")):
        options = ("-o", tmp_path / "a.png", "--size", 48, "--init", start)
        assert run("transfer", "chelsea", "china", *options).code == 0
        init = asked.settings["init"]
        assert isinstance(init, Tensor)
        assert torch.equal(init, nst.load_image(name, (32, 48)))


def test_another_preset_is_taken_whole_and_options_override_it(
    run: Run, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    other = replace(PRESETS["paper"], steps=11, init="content", pooling="max", content_weight=5.0)
    monkeypatch.setitem(PRESETS, "other", other)
    options = ("-o", tmp_path / "a.png", "--size", 32, "--preset", "other", "--steps", 4)
    assert run("transfer", "chelsea", "china", *options).code == 0
    assert asked.network["pooling"] == "max"
    expected = other.transfer_settings() | {"steps": 4}
    assert {name: asked.settings[name] for name in expected} == expected


PAPER = """--network vgg19 --weights bundled --pooling avg --normalized authors --padding nearest
    --precision float32 --content-layers conv4_2 --content-weight 0.005 --style-weight 1
    --style-layers conv1_1,conv2_1,conv3_1,conv4_1,conv5_1 --content-reduction mean
    --style-reduction paper --style-statistics gram --tv-weight 0 --tv-power 2 --tv-reduction sum
    --tv-color 1 --init noise --optimizer lbfgs --learning-rate 0.02 --no-exact --steps 300
    --smaller-first none"""


@pytest.mark.parametrize("name", PRESETS)
def test_the_papers_settings_can_be_typed_over_any_preset(
    name: str, run: Run, asked: Asked, tmp_path: Path
) -> None:
    options = ("-o", tmp_path / "a.png", "--size", 32, "--preset", name, *PAPER.split())
    assert run("transfer", "chelsea", "china", *options).code == 0
    assert asked.network == PRESETS["paper"].network_settings()
    expected = PRESETS["paper"].transfer_settings() | {"smaller_first": {}}
    found = {key: asked.settings[key] for key in expected}
    for layers in ("content_layers", "style_layers"):
        found[layers] = tuple(found[layers])
    assert found == expected


def test_the_report_never_holds_what_json_does_not_know(
    run: Run, asked: Asked, tmp_path: Path
) -> None:
    options = ("-o", tmp_path / "a.png", "--size", 32, "--report", tmp_path / "a.json")
    run("transfer", "chelsea", "china", *options, "--init", "great-wave")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    report = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert report["config"]["init"] == "great-wave"
    assert (tmp_path / "a.json").read_text().endswith("}\n")


# The other commands.


def test_samples_lists_every_bundled_picture(run: Run) -> None:
    outcome = run("samples")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert [line.split()[0] for line in lines] == list(nst.samples())
    for line, sample in zip(lines, nst.samples().values(), strict=True):
        for part in (sample.kind, sample.title, sample.author, sample.year, sample.license):
            assert part in line


def test_presets_prints_the_table(run: Run) -> None:
    assert run("presets") == Outcome(0, nst.preset_table() + "\n", "")


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version") == Outcome(0, f"nst {nst.__version__}\n", "")


@pytest.mark.parametrize(
    "command",
    ["", "transfer", "reconstruct-content", "reconstruct-style", "samples", "presets", "doctor"],
)
def test_help_is_help_and_no_mistake(command: str, run: Run) -> None:
    outcome = run(*command.split(), "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"usage: nst {command}".strip())


def test_the_demo_is_a_transfer_that_it_prints(run: Run, asked: Asked, tmp_path: Path) -> None:
    outcome = run("demo", "-o", tmp_path / "demo.png", "--device", "cpu")
    assert outcome.code == 0
    printed = outcome.out.splitlines()[0].split()
    assert printed[:4] == ["nst", "transfer", "chenonceau", "starry-night"]
    assert str(tmp_path / "demo.png") in printed
    assert (tmp_path / "demo.png").is_file()
    first = asked.settings
    assert run(*printed[1:]).code == 0
    assert asked.settings == first


def test_the_demo_paints_the_bundled_pictures_whatever_is_here(
    run: Run, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    noisy(40, 40).save("chenonceau", "PNG")
    assert run("demo", "-o", "demo.png", "--device", "cpu").code == 0
    wide = nst.load_image(nst.samples()["chenonceau"].path, 448)
    assert torch.equal(asked.positional[0], wide)


# Mistakes: exit code 2 and one line, before any work starts.


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every start of long work an error: loading the network, running it, optimizing."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("long work started before the input was checked")

    monkeypatch.setattr(builders, "NETWORKS", {"vgg19": refuse})
    monkeypatch.setattr(network.Network, "forward", refuse)
    monkeypatch.setattr(loop, "LBFGS", refuse)
    monkeypatch.setattr(loop, "Adam", refuse)


def entries(folder: Path) -> dict[Path, bytes | None]:
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("place", ["content", "style", "init", "image", "texture"])
@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_picture_is_one_line_that_names_it(
    name: str, place: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    bad = make_bad_picture(name, tmp_path / "in")
    output = ("-o", tmp_path / "out" / "a.png", "--report", tmp_path / "out" / "a.json", *SMALL)
    commands_for: dict[str, tuple[object, ...]] = {
        "content": ("transfer", bad, "china"),
        "style": ("transfer", "china", bad),
        "init": ("transfer", "china", "china", "--init", bad),
        "image": ("reconstruct-content", bad),
        "texture": ("reconstruct-style", bad),
    }
    outcome = run(*commands_for[place], *output)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.complaint.startswith("nst: ")
    assert (name if len(name) < 100 else str(bad)[:60]) in outcome.complaint
    assert BAD_PICTURES[name][1] in outcome.complaint
    assert not list((tmp_path / "out").iterdir())


# Options, and what the one line must say.
BAD_OPTIONS: list[tuple[str, list[str]]] = [
    ("--size 0", ["--size", "from 1"]),
    ("--size -5", ["--size", "from 1"]),
    ("--size 2.5", ["--size", "whole number"]),
    ("--size large", ["--size", "whole number", "'large'"]),
    ("--size 50000", ["size 50000", "choose a smaller one"]),
    ("--size 1000000000", ["size", "from 1 to 100000000"]),
    ("--size 99999999999999999999", ["--size", "from 1"]),
    ("--steps 0", ["--steps", "from 1"]),
    ("--steps -1", ["--steps", "from 1"]),
    ("--steps 1e3", ["--steps", "whole number"]),
    ("--seed -1", ["--seed", "from 0"]),
    ("--seed x", ["--seed", "whole number"]),
    ("--seed 18446744073709551616", ["--seed", "from 0"]),
    ("--content-weight nan", ["--content-weight", "finite number of at least 0"]),
    ("--content-weight inf", ["--content-weight", "finite number of at least 0"]),
    ("--content-weight -1", ["--content-weight", "finite number of at least 0"]),
    ("--content-weight 1e300", ["--content-weight", "1e-30 to 1e30"]),
    ("--content-weight x", ["--content-weight", "must be a number", "'x'"]),
    ("--style-weight nan", ["--style-weight", "finite number of at least 0"]),
    ("--style-weight -0.5", ["--style-weight", "finite number of at least 0"]),
    ("--content-weight 0 --style-weight 0", ["--content-weight", "--style-weight", "raise one"]),
    ("--learning-rate nan", ["--learning-rate", "finite number"]),
    ("--content-layers conv42", ["--content-layers", "did you mean 'conv4_2'"]),
    ("--style-layers conv1_1,conv6_1", ["--style-layers", "'conv6_1'", "did you mean"]),
    ("--style-layers ,", ["--style-layers", "name at least one"]),
    ("--content-reduction median", ["--content-reduction", "'median'", "mean"]),
    ("--device gpu", ["device 'gpu'", "cuda"]),
    ("--device cpu:x", ["device 'cpu:x'", "use 'auto'"]),
    ("--device cuda:99", ["device 'cuda:99'"]),
    ("--preset papr", ["preset 'papr'", "did you mean 'paper'"]),
    ("--optimizer lbfg", ["--optimizer", "'lbfg'", "lbfgs"]),
    ("--pooling average", ["--pooling", "'average'", "avg"]),
    ("--network vgg18", ["--network", "'vgg18'", "vgg19"]),
    ("--precision float8", ["--precision", "'float8'", "float32"]),
    ("--init nois", ["--init", "noise, content, style", "'nois'"]),
    ("--report missing/a.json", ["folder missing does not exist", "make it"]),
    ("--report folder", ["folder is a folder", "name a file"]),
    ("--report file/a.json", ["file is a file, not a folder"]),
    ("--report pipe", ["pipe is no regular file"]),
    ("--report out.png", ["--output", "--report", "out.png", "name two files"]),
    ("--output missing/a.png", ["folder missing does not exist", "make it"]),
    ("--output folder.png", ["folder.png is a folder", "name a file"]),
    ("--output file/a.png", ["file is a file, not a folder"]),
    ("--output a.gif", ["a.gif", "must end in .png"]),
    ("--output a", ["cannot write a", "must end in .png"]),
    (f"--output {'a' * 300}.png", ["aaa", "cannot be used as a path"]),
    (f"--report {'a' * 300}", ["aaa", "cannot be used as a path"]),
    ("--output ~nobody-of-that-name/a.png", ["~nobody-of-that-name/a.png", "path"]),
    ("--sise 64", ["--sise", "nst transfer --help"]),
    ("third.jpg", ["2 paintings are given", "--style-blend", "--masks"]),
]


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("options", "says"), BAD_OPTIONS, ids=lambda x: str(x)[:50])
def test_a_bad_option_is_one_line_before_any_work(
    options: str, says: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("folder", "folder.png"):
        Path(folder).mkdir()
    Path("file").write_text("text")
    os.mkfifo("pipe")
    before = entries(tmp_path)
    outcome = run("transfer", "chelsea", "china", "-o", "out.png", *options.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.complaint.startswith("nst: ")
    for part in says:
        assert part in outcome.complaint
    assert entries(tmp_path) == before


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("transfr", ["'transfr'", "transfer"]),
        ("transfer", ["CONTENT, STYLE", "nst transfer --help"]),
        ("transfer chelsea china", ["--output"]),
        ("transfer chelsea -o a.png", ["STYLE"]),
        ("transfer chelsae china -o a.png", ["chelsae", "did you mean 'chelsea'"]),
        ("reconstruct-content chelsea", ["--output"]),
        ("reconstruct-content chelsea -o a.png --layers conv4-2", ["--layers", "'conv4_2'"]),
        ("reconstruct-content chelsea -o a.png --layers ,", ["--layers", "name at least one"]),
        ("reconstruct-style chelsea -o a.png --layer-sets conv1_1;x", ["--layer-sets", "'x'"]),
        ("reconstruct-style chelsea -o a.png --layer-sets ;", ["--layer-sets", "at least one"]),
        ("reconstruct-style chelsea -o a.png --steps 0", ["--steps"]),
        ("reconstruct-style chelsea -o a.tga", ["a.tga", "must end in"]),
        ("reconstruct-content chelsea -o a.png --content-weight 1", ["--content-weight"]),
        ("doctor --device gpu", ["device 'gpu'"]),
        ("demo", ["--output"]),
        ("demo -o a.png --device gpu", ["device 'gpu'"]),
        ("presets extra", ["extra"]),
    ],
)
def test_a_bad_command_is_one_line(
    command: str, says: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run(*command.split())
    assert outcome.code == 2
    for part in says:
        assert part in outcome.complaint
    assert not list(tmp_path.iterdir())


BAD_WEIGHTS: list[tuple[str, bytes | None, str]] = [
    ("missing.pth", None, "no weights file"),
    ("empty.safetensors", b"", "cannot be read as safetensors"),
    ("text.pth", b"Hello, world.\n" * 9, "save the state dict"),
    ("page.safetensors", b"<!DOCTYPE html>\n" * 9, "get the file again"),
    ("folder", None, "is a folder"),
]


@pytest.mark.parametrize(("name", "content", "says"), BAD_WEIGHTS)
def test_a_bad_weights_file_is_one_line(
    name: str,
    content: bytes | None,
    says: str,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "LBFGS", None)  # cannot be started
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    before = entries(tmp_path)
    options = ("-o", tmp_path / "a.png", *SMALL, "--weights", path)
    outcome = run("transfer", "chelsea", "china", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert name in outcome.complaint
    assert says in outcome.complaint
    assert entries(tmp_path) == before


def test_a_picture_too_small_for_the_deepest_layer_is_one_line(
    run: Run, shared_net: list[dict[str, Any]], tmp_path: Path
) -> None:
    outcome = run("transfer", "chelsea", "china", "-o", tmp_path / "a.png", "--size", 20)
    assert (outcome.code, outcome.out) == (2, "")
    assert "20x13 px is too small for conv5_1, which needs at least 16x16" in outcome.complaint
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("no_work")
def test_a_name_with_a_line_break_still_gives_one_line(run: Run, tmp_path: Path) -> None:
    outcome = run("transfer", tmp_path / "two\nlines.jpg", "china", "-o", tmp_path / "a.png")
    assert outcome.code == 2
    assert "two lines.jpg" in outcome.complaint


# Without -o nothing can run, so these may come in any order.
WORDS = [
    "transfer",
    "reconstruct-style",
    "reconstruct-content",
    "chelsea",
    "",
    "-",
    "--",
    "~",
    "a b",
]
WORDS += [
    "--size",
    "--seed",
    "--layers",
    "--content-weight",
    "--report",
    "0",
    "-1",
    "nan",
    "\n",
    ";",
]


@given(
    st.lists(st.sampled_from(WORDS) | st.text(st.characters(codec="utf-8"), max_size=6), max_size=7)
)
@settings(deadline=None, max_examples=100)
def test_no_arguments_whatever_bring_up_a_traceback(arguments: list[str]) -> None:
    assert parser.main(arguments) in (0, 2)


@pytest.fixture
def fail_with(
    run: Run, shared_net: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Exception], Outcome]:
    """Run a transfer in which the given error is raised."""

    def transfer(error: Exception) -> Outcome:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(commands, "transfer", fail)
        return run("transfer", "chelsea", "china", "-o", tmp_path / "a.png", *SMALL)

    return transfer


NO_MEMORY = ["not enough memory", "use a smaller size, for instance --size 256"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), NO_MEMORY),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nMore lines."),
            NO_MEMORY,
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), NO_MEMORY),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            NO_MEMORY,
        ),
        (NotImplementedError("no such operator on MPS\nmore"), ["--device cpu"]),
    ],
)
def test_what_a_device_cannot_do_is_one_line(
    error: Exception, says: list[str], fail_with: Callable[[Exception], Outcome]
) -> None:
    outcome = fail_with(error)
    assert outcome.code == 2
    for part in says:
        assert part in outcome.complaint


def test_a_bug_is_not_hidden_as_bad_input(fail_with: Callable[[Exception], Outcome]) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        fail_with(RuntimeError("shapes cannot be multiplied"))


def test_a_failing_write_leaves_the_old_picture(
    run: Run, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "a.png"
    output.write_bytes(b"the old picture")

    def fail(self: Image.Image, file: Any, **_: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    outcome = run("transfer", "chelsea", "china", "-o", output, *SMALL)
    assert outcome.code == 2
    assert "a.png could not be written: the disk is full (No space left" in outcome.complaint
    assert entries(tmp_path) == {output: b"the old picture"}


# Interrupts.


def test_an_interrupt_keeps_the_picture_and_its_report(
    run: Run,
    shared_net: list[dict[str, Any]],
    net: nst.Network,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = 0
    step = LBFGS.step

    def interrupted_step(self: LBFGS, number: int) -> None:
        nonlocal made
        if made == 2:
            raise KeyboardInterrupt
        made += 1
        step(self, number)

    output, report_file = tmp_path / "a.png", tmp_path / "a.json"
    options = ("-o", output, "--size", 48, "--steps", 50, "--report", report_file, "--quiet")
    with monkeypatch.context() as patch:
        patch.setattr(LBFGS, "step", interrupted_step)
        outcome = run("transfer", "chelsea", "china", *options, "--device", "cpu")
    assert (outcome.code, outcome.out) == (130, "")
    assert f"interrupted; the picture so far is in {output}" in outcome.complaint
    report = json.loads(report_file.read_text())
    assert report["interrupted"] is True
    assert len(report["total_loss"]) == 2
    two_steps = nst.transfer(
        *(nst.load_image(name, 48) for name in ("chelsea", "china")),
        net=net,
        steps=2,
        device="cpu",
        progress=False,
    )
    nst.save_image(two_steps.image, tmp_path / "two.png")
    assert output.read_bytes() == (tmp_path / "two.png").read_bytes()


def test_an_early_interrupt_writes_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "load_image", interrupt)
    outcome = run("transfer", "chelsea", "china", "-o", tmp_path / "a.png")
    assert outcome.code == 130
    assert "nothing was written" in outcome.complaint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("when", ["picture", "report"])
def test_ctrl_c_while_the_result_is_written_loses_nothing(
    when: str,
    run: Run,
    shared_net: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ctrl_c: Callable[[], None],
) -> None:
    name = "save_or_rescue" if when == "picture" else "write_whole"
    write = getattr(commands, name)

    def interrupted(*given: Any, **how: Any) -> Any:
        ctrl_c()
        return write(*given, **how)

    monkeypatch.setattr(commands, name, interrupted)
    output, report = tmp_path / "a.png", tmp_path / "a.json"
    outcome = run("transfer", "chelsea", "china", "-o", output, *SMALL, "--report", report)
    assert outcome.code == 0
    assert output.exists()
    assert report.exists()


# Processes of their own: what a shell sees.

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def test_ctrl_c_in_a_terminal_keeps_the_picture(tmp_path: Path) -> None:
    output, report_file, log = tmp_path / "a.png", tmp_path / "a.json", tmp_path / "log"
    command = [sys.executable, "-m", "nst_utils", "transfer", "chelsea", "china"]
    command += ["-o", str(output), "--size", "32", "--steps", "1000000"]
    command += ["--report", str(report_file)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stream,
            env=ENVIRONMENT,
            text=True,
            # A shell that runs the tests in the background has told its children to ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            until = time.monotonic() + 120
            while b"total=" not in log.read_bytes():  # the bar shows losses: steps are being made
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in log.read_text()
    assert log.read_text().endswith(f"nst: interrupted; the picture so far is in {output}\n")
    assert str(output) in out
    assert nst.load_image(output).shape == (1, 3, 21, 32)
    report = json.loads(report_file.read_text())
    assert report["interrupted"] is True
    assert len(report["total_loss"]) >= 1


def test_the_script_and_the_module_are_the_same_command() -> None:
    script = Path(sys.executable).with_name("nst")
    if not script.exists():
        pytest.skip("nst_utils is not installed here, only importable")
    for command in ([str(script)], [sys.executable, "-m", "nst_utils"]):
        done = subprocess.run(
            [*command, "transfer", "missing.jpg", "china", "-o", "a.png"],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "nst: there is no picture missing.jpg; check the path\n"


def gray_file(path: Path, left: float, right: float) -> Path:
    mask = torch.full((1, 3, 8, 8), float(left))
    mask[..., 4:] = right
    return nst.save_image(mask, path)


def test_masks_and_blends_reach_the_transfer(run: Run, asked: Asked, tmp_path: Path) -> None:
    left, right = gray_file(tmp_path / "l.png", 1, 0), gray_file(tmp_path / "r.png", 0, 1)
    command = ("transfer", "chelsea", "china", "starry-night", "-o", tmp_path / "a.png")
    small = ("--size", 32, "--style-size", 40)
    assert run(*command, *small, "--style-blend", "0.7,0.3").code == 0
    assert asked.settings["style_blend"] == [0.7, 0.3]
    _, styles = asked.positional
    assert [max(style.shape) for style in styles] == [40, 40]
    assert run(*command, *small, "--masks", left, right, "--style-masks", right, left).code == 0
    assert [mask.shape for mask in asked.settings["masks"]] == [(1, 1, 8, 8)] * 2
    assert torch.equal(asked.settings["masks"][0], asked.settings["style_masks"][1])


def test_a_masked_transfer_runs_from_one_command(
    run: Run, shared_net: list[dict[str, Any]], tmp_path: Path
) -> None:
    left, right = gray_file(tmp_path / "l.png", 1, 0), gray_file(tmp_path / "r.png", 0, 1)
    options = ("--size", 32, "--steps", 2, "--quiet", "--report", tmp_path / "a.json")
    command = ("transfer", "chelsea", "china", "starry-night", "-o", tmp_path / "a.png")
    assert run(*command, *options, "--masks", left, right).code == 0
    assert nst.load_image(tmp_path / "a.png").shape == (1, 3, 21, 32)
    config = json.loads((tmp_path / "a.json").read_text())["config"]
    assert config["style"] == ["china", "starry-night"]
    assert config["masks"] == [str(left), str(right)]


def test_a_transparent_part_of_a_mask_is_outside(run: Run, asked: Asked, tmp_path: Path) -> None:
    cut = Image.new("RGBA", (8, 8), (255, 255, 255, 255))
    cut.paste((255, 255, 255, 0), (4, 0, 8, 8))
    cut.save(tmp_path / "cut.png")
    small = ("-o", tmp_path / "a.png", "--size", 32)
    masks = ("--masks", tmp_path / "cut.png", "--style-masks", tmp_path / "cut.png")
    assert run("transfer", "chelsea", "china", *small, *masks).code == 0
    for name in ("masks", "style_masks"):
        assert asked.settings[name][0][0, 0, 0].tolist() == [1] * 4 + [0] * 4


def test_a_photographs_transparency_is_kept(
    run: Run, shared_net: list[dict[str, Any]], tmp_path: Path
) -> None:
    cut = Image.new("RGBA", (64, 32), (200, 90, 10, 255))
    cut.paste((0, 0, 0, 0), (32, 0, 64, 32))
    cut.save(tmp_path / "cut.png")
    for kind, mode in (("png", "RGBA"), ("webp", "RGBA"), ("jpg", "RGB")):
        options = ("--size", 48, "--steps", 1, "--quiet", "-o", tmp_path / f"a.{kind}")
        assert run("transfer", tmp_path / "cut.png", "china", *options).code == 0
        with Image.open(tmp_path / f"a.{kind}") as saved:
            assert (saved.mode, saved.size) == (mode, (48, 24))
            if mode == "RGBA":
                alpha = saved.getchannel("A")
                assert [alpha.getpixel((x, 6)) for x in (4, 43)] == [255, 0]


@pytest.mark.parametrize(
    "arguments",
    [
        *("transfer {} china", "transfer chelsea {}", "transfer chelsea china --masks {}"),
        *("transfer chelsea china --init {}", "transfer chelsea china --weights {}"),
        *("transfer chelsea china --masks chelsea --style-masks {}", "reconstruct-content {}"),
    ],
)
def test_an_address_must_be_downloaded_first(arguments: str, run: Run, tmp_path: Path) -> None:
    command = arguments.format("https://example.org/a_b.jpg?size=512").split()
    outcome = run(*command, "-o", tmp_path / "a.png", "--size", 32)
    assert outcome.code == 2
    assert "https://example.org/a_b.jpg is an address on the network" in outcome.complaint
    assert "download it first" in outcome.complaint


BAD_VARIATIONS = {
    "two paintings": ("china starry-night", "2 paintings are given; say with --style-blend"),
    "one share": ("china starry-night --style-blend 1", "has 1 values for 2 paintings"),
    "no number": ("china --style-blend a,b", "must be a number"),
    "no mask": ("china --masks nowhere.png", "there is no picture"),
    "two masks": ("china --masks china china", "--masks has 2 values for 1 painting;"),
    "a late rate": ("china --optimizer adam --learning-rate 0.1,x:2", "must be a whole number"),
    "half a rate": ("china --optimizer adam --learning-rate 0.1,2", "RATE,STEP:RATE"),
    "a step twice": (
        "china --optimizer adam --learning-rate 0.1,5:0.2,05:0.3",
        "names step 5 twice",
    ),
    "weights of layers": ("china --style-layer-weights 1,2", "2 values for 5 style layers"),
    "layers of another": ("china --content-layers fire2", "--content-layers names layers of vgg19"),
    "another network": ("china --network squeezenet1_1", "squeezenet1_1 has other layers"),
    "not bundled": ("china --network vgg16 --weights bundled", "only vgg19 is bundled; for vgg16"),
}


@pytest.mark.parametrize("name", BAD_VARIATIONS)
def test_variations_that_cannot_be_are_one_line(name: str, run: Run, tmp_path: Path) -> None:
    arguments, message = BAD_VARIATIONS[name]
    options = ("-o", tmp_path / "a.png", "--size", "32", "--steps", "2")
    outcome = run("transfer", "chelsea", *arguments.split(), *options)
    assert outcome.code == 2
    assert message in outcome.complaint
    assert not (tmp_path / "a.png").exists()


def test_a_preset_whose_weights_cannot_be_had_says_how_to_get_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", fail)
    command = ("transfer", "chelsea", "china", "-o", tmp_path / "a.png", "--size", "64")
    outcome = run(*command, "--preset", "squeezenet-tv")
    assert outcome.code == 2
    assert "squeezenet1_1-" in outcome.complaint  # the file's address
    assert "give its path as weights" in outcome.complaint


def test_a_name_that_the_screen_cannot_show_is_no_error(
    shared_net: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ü.png"
    shown = io.BytesIO()
    screen = io.TextIOWrapper(shown, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    command = ("transfer", "chelsea", "china", "-o", str(path), "--size", "32", "--steps", "1")
    assert parser.main(command) == 0
    screen.flush()
    assert rb"\xfc.png  (1 steps" in shown.getvalue()
    assert path.exists()
