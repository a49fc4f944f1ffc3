"""The whole parameter space: a picture or a sentence, never a traceback.

A sentence is a ``ValueError`` or ``FileNotFoundError`` of one line that says which argument is
meant. Everything drawn here is drawn the same way in every run of the tests.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import math
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from thin import thin_vgg19
from torch import Tensor

import nst_utils as nst
from nst_utils.cli import parser
from nst_utils.experiments.defaults import PRESERVE_COLORS
from nst_utils.networks import builders
from nst_utils.networks.network import Network
from nst_utils.objective.formulas import (
    CONTENT_REDUCTIONS,
    OF_VARIATION,
    STYLE_REDUCTIONS,
    STYLE_STATISTICS,
    TV_REDUCTIONS,
)
from nst_utils.objective.rows import Row
from nst_utils.objective.statistics import STATISTICS
from nst_utils.objective.table import Objective
from nst_utils.optimize.loop import minimize
from nst_utils.optimize.results import Result

QUIET: dict[str, Any] = {"device": "cpu", "progress": False}
TINY: dict[str, Any] = {"content_layers": ["conv1_1"], "style_layers": ["conv1_1"], "steps": 1}


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator)


def check_picture(result: Result, rows: int, height: int, width: int) -> None:
    assert result.image.shape == (rows, 3, height, width)
    assert result.image.isfinite().all()
    assert result.image.min() >= 0
    assert result.image.max() <= 1
    assert not result.image.requires_grad


def outcome(call: Callable[[], object]) -> object:
    """What is returned, or the sentence; any other error, and one of several lines, fails."""
    try:
        return call()
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
        assert message.strip(), "an empty message"
        assert "\n" not in message
        assert len(message) < 400
        assert "ambiguous" not in message, "NumPy's or torch's message, not ours"
        return message


# Values that are allowed.

powers = st.floats(-30, 30).map(lambda power: 10.0**power)
weights = st.just(0.0) | powers
sides = st.integers(1, 20)
shapes = (
    st.tuples(sides, sides)
    | st.tuples(st.integers(1, 2), st.integers(100, 200))
    | st.tuples(st.integers(100, 200), st.integers(1, 2))
)
rates = powers | st.dictionaries(st.integers(2, 4), powers, max_size=2).flatmap(
    lambda later: powers.map(lambda first: {1: first, **later})
)
options = st.fixed_dictionaries(
    {"steps": st.integers(1, 3)},
    optional={
        "content_reduction": st.sampled_from(CONTENT_REDUCTIONS),
        "style_reduction": st.sampled_from(STYLE_REDUCTIONS),
        "style_statistics": st.sampled_from(STYLE_STATISTICS),
        "tv_power": st.sampled_from((1, 2)),
        "tv_reduction": st.sampled_from(TV_REDUCTIONS),
        "tv_color": weights,
        "preserve_color": st.sampled_from((None, *PRESERVE_COLORS)),
        "optimizer": st.sampled_from(("lbfgs", "adam")),
        "learning_rate": rates,
        "tolerance": st.none() | weights,
        "exact": st.booleans(),
        "callback": st.sampled_from((None, nst.Film())),
    },
)


def each(values: st.SearchStrategy[Any], rows: int) -> st.SearchStrategy[Any]:
    """One value, or a list of them: of one, or of one for each row."""
    lists = st.lists(values, min_size=rows, max_size=rows) | values.map(lambda value: [value])
    return values | lists


def _drop_what_cannot_act(options: dict[str, Any]) -> None:
    """A learning rate without Adam, exact with it, a reading of total variation without a weight,
    another reading of equation 4 than the paper's without Gram matrices: they are refused."""
    if options.get("style_statistics", "gram") != "gram":
        options.pop("style_reduction", None)
    if options.get("optimizer") == "adam":
        options.pop("exact", None)
    else:
        options.pop("learning_rate", None)
    weights = options["tv_weight"]
    if not any(weights if isinstance(weights, list) else [weights]):
        for name in OF_VARIATION:
            options.pop(name, None)


@st.composite
def allowed(draw: st.DrawFn) -> tuple[Tensor, Any, dict[str, Any], int]:
    """Content, style, options, and the number of rows asked for."""
    shape, other = draw(shapes), draw(shapes)
    rows = draw(st.sampled_from((1, 2, 3, 5)))
    deepest = min(min(shape), min(other)).bit_length()
    layers = [f"conv{block}_1" for block in range(1, min(deepest, 5) + 1)]
    given_: dict[str, Any] = draw(options) | {
        "content_weight": draw(each(powers, rows)),
        "style_weight": draw(each(weights, rows)),
        "tv_weight": draw(each(weights, rows)),
        "seed": draw(st.lists(st.integers(0, 2**64 - 1), min_size=rows, max_size=rows)),
        "init": draw(each(st.sampled_from(("noise", "content", "style")), rows)),
        "content_layers": draw(st.lists(st.sampled_from(layers), min_size=1, max_size=1)),
        "style_layers": draw(st.lists(st.sampled_from(layers), min_size=1, unique=True)),
    }
    _drop_what_cannot_act(given_)
    paintings = [picture(*other, seed=seed) for seed in (1, 2)]
    way = draw(st.sampled_from(("plain", "blend", "masks")))
    if way == "blend":
        given_["style_blend"] = draw(st.sampled_from(([1, 0], [0.3, 0.7], [1e-30, 1e30])))
    if way == "masks":
        left = torch.zeros(5, 4)
        left[:, :2] = 1
        given_["masks"] = [left, 1 - left]
        if not STATISTICS[given_.get("style_statistics", "gram")].adds_up:
            del given_["style_statistics"]
    return picture(*shape), paintings[0] if way == "plain" else paintings, given_, rows


@settings(max_examples=60, deadline=None, derandomize=True)
@given(allowed())
def test_everything_that_is_allowed_gives_a_picture(
    case: tuple[Tensor, Any, dict[str, Any], int],
) -> None:
    content, style, drawn, rows = case
    result = outcome(lambda: nst.transfer(content, style, net=shared(), **drawn, **QUIET))
    if isinstance(result, str):  # beyond what floats can hold, at the start already
        assert "not finite" in result, (result, drawn)
        return
    assert isinstance(result, Result)
    check_picture(result, rows, *content.shape[2:])
    json.dumps(result.settings, allow_nan=False)


_net: list[Network] = []


def shared() -> Network:
    """A thin network for what hypothesis calls, which takes no fixtures."""
    if not _net:
        _net.append(thin_vgg19())
    return _net[0]


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("reduction", STYLE_REDUCTIONS)
def test_weights_over_sixty_orders_of_magnitude_give_pictures(
    optimizer: str, reduction: str, net: Network
) -> None:
    """All in one run, whose rows do not feel one another."""
    weights = [10.0**power for power in range(-30, 31, 10)]
    pairs = [(alpha, beta) for alpha in weights for beta in (1e-30, 1.0, 1e30)]
    start = picture(12, 9, seed=5)
    result = nst.transfer(
        picture(12, 9),
        picture(9, 12, seed=1),
        net=net,
        content_weight=[alpha for alpha, _ in pairs],
        style_weight=[beta for _, beta in pairs],
        style_reduction=reduction,
        optimizer=optimizer,
        init=start,
        **TINY | {"steps": 3},
        **QUIET,
    )
    check_picture(result, len(pairs), 12, 9)
    assert result.history["total_loss"].isfinite().all()
    assert (result.history["total_loss"][-1] < result.start["total_loss"]).all()


@pytest.mark.parametrize("shape", [(16, 1600), (1600, 16)])
def test_a_picture_a_hundred_times_as_long_as_wide_is_painted(
    shape: tuple[int, int], thin_net: Network, tmp_path: Path
) -> None:
    """With the paper's layers, the deepest of which need 16 px; through a file."""
    nst.save_image(picture(*shape), tmp_path / "long.png")
    content = nst.load_image(tmp_path / "long.png", size=1600)
    assert content.shape[2:] == shape
    result = nst.transfer(content, picture(30, 20), net=thin_net, steps=1, **QUIET)
    check_picture(result, 1, *shape)


@pytest.mark.parametrize("preserve", [None, *PRESERVE_COLORS])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1)])
def test_a_picture_of_one_pixel_is_painted_too(
    shape: tuple[int, int], preserve: str | None, net: Network
) -> None:
    for content, style in ((picture(*shape), picture(9, 8)), (picture(9, 8), picture(*shape))):
        result = nst.transfer(content, style, net=net, preserve_color=preserve, **TINY, **QUIET)
        check_picture(result, 1, *content.shape[2:])


@pytest.mark.parametrize("name", list(nst.PRESETS))
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_preset_gives_a_picture_or_says_that_its_weights_are_missing(
    name: str, precision: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise URLError("there is no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    monkeypatch.setattr("torch.hub.urlopen", no_network)
    preset = nst.preset(name)
    made = outcome(
        lambda: preset.transfer(
            picture(16, 20), picture(18, 16), steps=1, precision=precision, **QUIET
        )
    )
    if preset.weights == "bundled":
        assert isinstance(made, Result), made
        check_picture(made, 1, 16, 20)
    else:
        assert isinstance(made, str)
        assert "no network" in made


# Values of every wrong type.


class Strange:
    """Nothing that any argument could be."""


ODD: list[Any] = [
    *(None, True, 0, -1, 5, 1.5, 1e31, math.nan, math.inf, 1 + 2j, 10**400),
    *("", "x", "512", "\udcff", b"x", ..., Strange(), math, Path("x")),
    *([], {}, (), [None], [[]], [5], ["x"], [[5]], ["conv1_1"], {1: 2}, {"a"}, range(3)),
    *(np.float32(0.5), np.int64(3), np.ones((1, 3, 8, 8)), np.array("x")),
    *(torch.tensor(0.5), torch.ones(3), torch.ones(4, 4), torch.ones(1, 3, 0, 8)),
    *(torch.ones(1, 3, 8, 8), torch.ones(1, 3, 8, 8).to_sparse(), torch.ones(2, 3, 8, 8)),
    *(torch.ones(1, 3, 8, 8, device="meta"), torch.ones(1, 3, 8, 8, dtype=torch.complex64)),
    *(torch.ones(1, 3, 8, 8, dtype=torch.bool), torch.full((1, 3, 8, 8), 0.5).half()),
]
# What a sentence may call an argument instead of by its name.
ALSO_CALLED = {
    "content_reduction": "content reduction",
    "style_reduction": "style reduction",
    "content_layers": "layer",
    "style_layers": "layer",
    "layers": "layer",
    "layer_sets": "layer",
    "style_layer_weights": "the weight of conv1_1",
    "style_blend": "shares",
    "masks": "mask",
    "style_masks": "mask",
    "checkpoint": "path",
    "source": "picture|path",
    "name": "preset",
    "weights": "state dict|path",
}


def objective() -> Objective:
    layers = {"conv1_1": 1.0}
    return Objective(shared(), [Row(picture(8, 8), picture(8, 8, 1), layers, layers, 1.0, 1.0)])


def stop(_: object) -> None:
    """One step is enough, whatever was asked for."""
    raise KeyboardInterrupt


ONE_STEP: dict[str, Any] = {"callback": stop, "steps": 1, "progress": False}
RUN = ("steps", "optimizer", "learning_rate", "tolerance", "callback")
# Each function, arguments that it takes, and which of them are tried.
FUNCTIONS: dict[str, tuple[Callable[..., object], Callable[[], dict[str, Any]], list[str]]] = {
    "transfer": (
        nst.transfer,
        lambda: (
            {"content": picture(8, 8), "style": picture(8, 8, 1), "net": shared()} | TINY | ONE_STEP
        ),
        [name for name in inspect.signature(nst.transfer).parameters if name != "progress"],
    ),
    "reconstruct_content": (
        nst.reconstruct_content,
        lambda: {"image": picture(8, 8), "layers": ["conv1_1"], "net": shared()} | ONE_STEP,
        ["image", "layers", "net", "content_reduction", "init", "seed", "device", "exact", *RUN],
    ),
    "reconstruct_style": (
        nst.reconstruct_style,
        lambda: {"image": picture(8, 8), "layer_sets": [["conv1_1"]], "net": shared()} | ONE_STEP,
        [
            *("image", "layer_sets", "net", "style_statistics", "size", "init", "seed", "device"),
            *("exact", *RUN),
        ],
    ),
    "transform_features": (
        nst.transform_features,
        lambda: (
            {"content": picture(8, 8), "style": picture(8, 8, 1), "layers": ["conv1_1"]}
            | {"net": shared(), "init": "noise"}
            | ONE_STEP
        ),
        [
            *("content", "style", "layers", "method", "strength", "net", "init", "seed", "device"),
            *("steps", "callback"),
        ],
    ),
    "minimize": (
        minimize,
        lambda: {"objective": objective(), "start": picture(8, 8, 2)} | ONE_STEP,
        ["objective", "start", "exact", *RUN],
    ),
    "photorealistic": (
        nst.photorealistic,
        lambda: {"result": picture(8, 8), "photograph": picture(8, 8, 1)},
        ["result", "photograph", "radius", "epsilon", "masks"],
    ),
    "load_image": (nst.load_image, lambda: {"source": "chelsea"}, ["source", "size"]),
    "noise_image": (
        nst.noise_image,
        lambda: {"height": 4, "width": 4},
        ["height", "width", "seed", "std"],
    ),
    "vgg19": (
        nst.vgg19,
        lambda: {"weights": "missing.pth"},
        ["weights", "pooling", "padding", "precision", "preprocessing"],
    ),
    "Film": (nst.Film, dict, ["frames", "picture"]),
    "preset": (nst.preset, dict, ["name"]),
}


@pytest.mark.parametrize(
    ("function", "argument"),
    [(name, argument) for name, (_, _, tried) in FUNCTIONS.items() for argument in tried],
)
def test_a_value_of_a_wrong_type_is_a_sentence(
    function: str, argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or, where it happens to be right, a picture."""
    monkeypatch.chdir(tmp_path)  # for paths among the values
    call, arguments, _ = FUNCTIONS[function]
    sentences = []
    for value in ODD:
        if value is None and call is nst.vgg19:  # which is allowed, but the file is missing
            continue
        made = outcome(lambda value=value: call(**arguments() | {argument: value}))  # type: ignore[misc]
        if isinstance(made, str):
            called = f"{argument}|{ALSO_CALLED.get(argument, argument)}"
            assert re.search(called, made), (value, made)
            sentences.append(made)
        elif isinstance(made, Result):
            check_picture(made, len(made.image), *made.image.shape[2:])
    assert sentences


# The command line.

numbers = st.floats(allow_nan=True, allow_infinity=True).map(repr) | st.sampled_from(
    (
        "0",
        "1",
        "1e-30",
        "1e30",
        "1e31",
        "-1",
        "",
        "x",
        "1,2",
        "0.5,0.5",
        "1,3:0.1",
        "½",
        "1_0",
        " 1",
    )
)
names = st.sampled_from(
    (
        "conv1_1",
        "conv1_1,conv1_2",
        "fire2",
        "conv9_9",
        "",
        ",",
        "mean",
        "sum",
        "adam",
        "noise",
        "max",
    )
)
values = numbers | names | st.text(st.characters(codec="utf-8"), max_size=5)
OPTIONS = (
    *("content-weight", "style-weight", "tv-weight", "tv-power", "style-blend", "learning-rate"),
    *("content-layers", "style-layers", "style-layer-weights", "content-reduction"),
    *("style-reduction", "optimizer", "init", "seed", "device", "preset", "pooling", "network"),
    *("weights", "precision", "preserve-color", "style-size", "size", "steps", "masks"),
)
USUAL = "transfer chelsea starry-night --quiet --content-layers conv1_1 --style-layers conv1_1"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(OPTIONS), values, min_size=1, max_size=3))
def test_options_of_any_value_end_with_a_picture_or_one_line(given_: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(builders, "NETWORKS", {"vgg19": lambda **_: shared()})
        patch.chdir(folder)
        output = Path(folder, "out.png")
        arguments = [*USUAL.split(), "-o", str(output), "--device", "cpu"]
        arguments += ["--size", "20", "--steps", "1"]
        # With "=", so that a value may begin with "-".
        arguments += [f"--{name}={value}" for name, value in given_.items()]
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            code = parser.main(arguments)
        if code == 0:
            assert output.exists()
            assert errors.getvalue() == ""
        else:
            assert code == 2
            assert not list(Path(folder).iterdir())
            assert errors.getvalue().startswith("nst: ")
            assert errors.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    "extreme",
    [
        ["--content-weight", "1e30", "--style-weight", "1e-30", "--content-reduction", "sum"],
        ["--style-weight", "1e30", "--style-reduction", "values", "--optimizer", "adam"],
        ["--tv-weight", "1e30"],
        ["--optimizer", "adam", "--learning-rate", "1e30"],
    ],
)
@pytest.mark.parametrize("quick", ["0", "1"])
def test_a_report_of_extreme_weights_is_json(
    extreme: list[str],
    quick: str,
    run: Callable[..., Any],
    shared_net: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No ``Infinity`` or ``NaN``, which JSON does not have; in quick mode, the steps made."""
    monkeypatch.setenv("NST_QUICK", quick)
    files = ["-o", tmp_path / "out.png", "--report", tmp_path / "report.json"]
    made = run(*USUAL.split(), *files, "--size", 24, "--steps", 7, *extreme)
    assert made.code in (0, 1), made.err  # 1: the loss rose, and the best picture was kept

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    report = json.loads((tmp_path / "report.json").read_text(), parse_constant=no_constant)
    steps = 6 if quick == "1" else 7
    assert report["config"]["steps"] == len(report["total_loss"]) == steps
    assert sum(level["steps"] for level in report["levels"]) == steps
