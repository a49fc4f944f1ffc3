"""What decides a picture is in its file, is read back as it was, and makes the same picture."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from picture_files import encoded, noisy
from PIL import Image, PngImagePlugin
from torch import Tensor

import nst_utils as nst
from nst_utils.app import recipes
from nst_utils.app.recipe_files import KEYWORD, read_png, write_png
from nst_utils.app.recipes import Recipe, from_json, of_preset

ODD = Recipe(
    content="Größe 1.jpg",
    style="starry-night",
    preset="content-start",
    size=333,
    ratio=1.2345678901234567e-5,
    factors={"conv1_1": 0.0, "conv4_1": 2.5},
    content_layer="conv3_2",
    init="picture so far",
    tv_weight=0.125,
    steps=17,
    seed=2**31,
    device="cuda",
)


@pytest.fixture
def small(net: nst.Network, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A run of three steps on the session's network."""
    monkeypatch.setattr(recipes, "_network", lambda name, device: net)
    return Recipe(content="chelsea", style="starry-night", size=64, steps=3, device="cpu")


def picture() -> Tensor:
    return nst.noise_image(40, 64, seed=9, std=0.3)


def paint(recipe: Recipe, pictures: dict[str, Tensor], so_far: Tensor | None = None) -> nst.Result:
    return recipe.run(pictures, so_far=so_far)(lambda step: None)


def with_text(text: str, keyword: str = KEYWORD) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(keyword, text)
    return encoded(noisy(), "PNG", pnginfo=info)


@pytest.mark.parametrize("recipe", [Recipe(), ODD])
def test_text_and_back(recipe: Recipe) -> None:
    assert from_json(recipe.to_json()) == recipe
    assert json.loads(recipe.to_json()) == asdict(recipe)


@pytest.mark.parametrize("recipe", [Recipe(), ODD])
def test_a_png_and_back(recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        write_png(picture(), recipe, file)
    assert read_png(path) == read_png(str(path)) == recipe
    with path.open("rb") as file:
        assert read_png(file) == recipe
    assert read_png(io.BytesIO(path.read_bytes())) == recipe
    assert (nst.load_image(path) - picture()).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a PNG that can be read"),
        (b"This is a letter.", "is not a PNG"),
        (encoded(noisy(), "JPEG"), "is not a PNG"),
        (encoded(noisy(), "PNG")[:20], "is not a PNG"),
        (encoded(noisy(), "PNG"), "holds no settings; only pictures saved in the studio do"),
        (with_text("{}", "another keyword"), "holds no settings"),
        (with_text('{"size": 64'), "its settings cannot be used"),
        (with_text('{"steps": 0}'), "steps must be a whole number from 1"),
    ],
)
def test_a_png_without_settings_is_refused_by_name(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "odd one.png"
    path.write_bytes(content)
    upload = io.BytesIO(content)
    upload.name = path.name
    for file in (path, str(path), upload):
        with pytest.raises(ValueError, match=rf"odd one\.png.*{message}") as caught:
            read_png(file)
        assert "\n" not in str(caught.value)


BAD = {
    "": "cannot be used",
    "{": "cannot be used",
    "null": "cannot be used",
    '"text"': "cannot be used",
    "[]": "cannot be used",
    "[" * 100_000: "cannot be used",
    '{"preset": "papper"}': "did you mean 'paper'",
    '{"preset": 5}': "preset must be a text",
    '{"size": 64.5}': "size must be a whole number",
    '{"size": 1000000}': "size must be a whole number from 32 to",
    '{"ratio": -1}': "alpha/beta must be a number from",
    '{"ratio": NaN}': "alpha/beta must be a number from",
    '{"ratio": "5"}': "alpha/beta must be a number",
    '{"ratio": null}': "alpha/beta must be a number",
    '{"factors": {"conv1_1": -0.5}}': "the factor of conv1_1 must be a number from",
    '{"factors": {"conv1_1": "2"}}': "the factor of conv1_1 must be a number",
    '{"factors": {"conv4_2": 1}}': "unknown style layer 'conv4_2'",
    '{"factors": [1, 2]}': "cannot be used",
    '{"factors": null}': "cannot be used",
    '{"content_layer": "conv9_9"}': "unknown .*layer 'conv9_9'",
    '{"content_layer": null}': "layer",
    '{"preset": "squeezenet-tv", "content_layer": "conv4_2"}': "layer 'conv4_2'",
    '{"init": "nosie"}': "did you mean 'noise'",
    '{"tv_weight": -1}': "tv_weight must be a number from",
    '{"steps": true}': "steps must be a whole number",
    '{"seed": -1}': "seed must be a whole number",
    '{"content": 5}': "content",
    '{"style": null}': "style",
    '{"device": 5}': "device",
    '{"preset": "two\\nlines"}': "unknown preset 'two lines'",
    '{"content": "\\ud800"}': "cannot be used",
    '{"size": ' + "9" * 4000 + "}": "size must be a whole number",
    '{"preset": "' + "x" * 50_000 + '"}': "unknown preset",
    "[" + "[]," * 50_000 + "[]]": "longer than 100,000 characters",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:40] or "nothing")
def test_settings_that_no_run_could_use_are_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=BAD[text]) as caught:
        from_json(text)
    assert str(caught.value).startswith("its settings cannot be used (")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_what_a_later_version_adds_is_passed_over() -> None:
    text = json.dumps(asdict(ODD) | {"style_blend": [1, 2], "note": None})
    assert from_json(text) == ODD


def test_what_an_earlier_version_lacks_is_the_default() -> None:
    assert from_json('{"size": 64}') == Recipe(size=64)


@pytest.mark.parametrize("name", nst.PRESETS)
def test_a_recipe_of_a_preset_has_its_weights_and_its_settings(name: str) -> None:
    theirs, recipe = nst.preset(name), of_preset(name, size=96)
    assert (recipe.preset, recipe.size, recipe.steps) == (name, 96, theirs.steps)
    assert (recipe.init, recipe.tv_weight) == (theirs.init, theirs.tv_weight)
    assert (recipe.content_layer,) == theirs.content_layers
    now = recipe.weighting
    assert now.content_weight == pytest.approx(theirs.content_weight)
    assert now.style_weight == theirs.style_weight
    weights = theirs.style_layer_weights or [0.2] * 5
    assert list(now.style_layers) == list(theirs.style_layers)
    assert list(now.style_layers.values()) == pytest.approx(list(weights))
    assert from_json(recipe.to_json()) == recipe


def test_factors_multiply_the_weights_of_the_preset() -> None:
    recipe = of_preset("content-start", ratio=3.0, factors={"conv2_1": 2.0, "conv5_1": 0.0})
    layers = ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
    expected = dict(zip(layers, [1.0, 1.5, 0.2, 0.2, 0.0], strict=True))
    assert recipe.style_weights == expected
    terms = {f"style/{layer}": 1e6 * weight for layer, weight in expected.items()}
    assert recipe.term_weights == {"content/conv4_2": 3e6} | terms
    assert replace(recipe, tv_weight=2.0).term_weights["total_variation"] == 2.0


@pytest.mark.parametrize("name", ["paper", "content-start"])
def test_its_run_is_that_of_the_preset(name: str, small: Recipe) -> None:
    recipe = of_preset(name, **asdict(small) | {"preset": name, "factors": {"conv1_1": 3.0}})
    recipe = replace(recipe, ratio=0.02, tv_weight=1e-3, content_layer="conv3_2", seed=4)
    result = paint(recipe, {})
    theirs = nst.preset(name)
    weights = list(theirs.style_layer_weights or [0.2] * 5)
    expected = theirs.transfer(
        nst.load_image("chelsea", 64),
        nst.load_image("starry-night", 64),
        net=recipe.network(),
        content_weight=0.02 * theirs.style_weight,
        style_layer_weights=(3 * weights[0], *weights[1:]),
        content_layers=("conv3_2",),
        init="noise",
        tv_weight=1e-3,
        steps=3,
        seed=4,
        device="cpu",
        progress=False,
    )
    assert torch.equal(result.image, expected.image)
    named = recipe.term_weights
    by_hand = sum(weight * result.history[term] for term, weight in named.items())
    torch.testing.assert_close(result.history["total_loss"], by_hand)


def test_uploaded_pictures_are_used_in_its_size_even_under_a_bundled_name(small: Recipe) -> None:
    pictures = {"chelsea": nst.resize(picture(), 128), "mine.jpg": nst.load_image("china", 96)}
    recipe = replace(small, style="mine.jpg", init="content", steps=1)
    assert recipe.picture("chelsea", pictures).shape == (1, 3, 40, 64)
    result = paint(recipe, pictures)
    expected = nst.transfer(
        nst.resize(pictures["chelsea"], 64),
        nst.resize(pictures["mine.jpg"], 64),
        net=recipe.network(),
        content_weight=recipe.ratio,
        init="content",
        steps=1,
        progress=False,
    )
    assert torch.equal(result.image, expected.image)


def test_it_goes_on_from_the_picture_so_far_in_any_size(small: Recipe) -> None:
    recipe = replace(small, init="picture so far", steps=1)
    before = nst.noise_image(86, 128, seed=1, std=0.2)
    content, style = (recipe.picture(name, {}) for name in (recipe.content, recipe.style))
    given: dict[str, Any] = {"content_weight": recipe.ratio, "steps": 1, "progress": False}
    expected = nst.transfer(content, style, net=recipe.network(), init=before, **given)
    assert torch.equal(paint(recipe, {}, before).image, expected.image)
    with pytest.raises(ValueError, match="there is no picture yet to go on from"):
        paint(recipe, {})


def test_a_network_is_built_once() -> None:
    first = Recipe(size=64, device="cpu").network()
    assert Recipe(content="china", steps=7, device="cpu").network() is first


def test_a_saved_picture_is_a_common_png() -> None:
    file = io.BytesIO()
    write_png(picture(), ODD, file)
    with Image.open(file) as saved:
        assert (saved.format, saved.size) == ("PNG", (64, 40))
        assert saved.info["Software"] == "nst_utils"
