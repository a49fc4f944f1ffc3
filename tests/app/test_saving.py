"""The studio's files: uploads good and bad, pictures saved and opened again, films."""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ipywidgets
import pytest
import torch
import traitlets
from picture_files import BAD_PICTURES, encoded, make_bad_picture, noisy
from PIL import Image, PngImagePlugin
from studio_driver import Driver, studios

import nst_utils as nst
from nst_utils.app import recipes, saving
from nst_utils.app.recipe_files import KEYWORD, read_png, write_png
from nst_utils.app.recipes import Recipe

MakeStudio = Callable[..., Driver]
# The others are no files: a browser cannot send them.
_NOT_SENT = ("missing.jpg", "folder.png", "loop.png", "pipe.png")
SENT = [name for name in BAD_PICTURES if name not in _NOT_SENT and len(name) < 256]
SAVED = "chelsea-starry-night"


@pytest.fixture
def make(
    thin_net: nst.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeStudio]:
    folder = tmp_path / "notebook"
    folder.mkdir()
    with studios(thin_net, folder, monkeypatch) as factory:
        yield factory


class OldUpload(ipywidgets.FileUpload):
    """As in ipywidgets 7: the files by name, and nobody but the page may set them."""

    value = traitlets.Dict(read_only=True)


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def with_text(text: str) -> bytes:
    """A PNG with these settings, whatever they are."""
    file, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_itxt(KEYWORD, text)
    noisy().save(file, "PNG", pnginfo=info)
    return file.getvalue()


def with_recipe(recipe: Recipe) -> bytes:
    file = io.BytesIO()
    write_png(nst.noise_image(24, 32), recipe, file)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "bundled"), [("content", "chelsea"), ("style", "starry-night")])
def test_an_uploaded_picture_is_chosen_and_used(kind: str, bundled: str, make: MakeStudio) -> None:
    studio = make(init=kind, steps=1)
    names = list(studio.radio(f"nst-{kind}").options)
    assert bundled in names
    studio.send(f"nst-{kind}-upload", "my own.png", encoded(noisy(48, 40), "PNG"))
    assert "my own.png is here, 48x40 px" in studio.says
    assert studio.radio(f"nst-{kind}").value == "my own.png"
    assert list(studio.radio(f"nst-{kind}").options) == [*names, "my own.png"]
    studio.paint()
    assert getattr(studio.studio.recipe, kind) == "my own.png"
    assert studio.studio.image is not None
    assert studio.studio.image.shape == ((1, 3, 27, 32) if kind == "content" else (1, 3, 21, 32))
    assert "my own.png" in studio["nst-stage"].value


def test_uploads_of_ipywidgets_7_are_taken_too(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ipywidgets, "FileUpload", OldUpload)
    studio = make()

    def send(css: str, name: str, content: bytes) -> None:
        file = {"metadata": {"name": name, "size": len(content)}, "content": content}
        studio[css].set_trait("value", {name: file})
        assert studio[css].value == {}

    send("nst-style-upload", "mine.png", encoded(noisy(), "PNG"))
    assert studio.radio("nst-style").value == "mine.png"
    send("nst-content-upload", "empty.png", b"")
    assert "Not taken: empty.png is empty" in studio.says
    assert studio.radio("nst-content").value == "chelsea"
    send("nst-open", "a.png", with_recipe(Recipe(content="china", style="mine.png", seed=5)))
    assert studio.studio.controls.recipe.seed == 5


@pytest.mark.parametrize("name", SENT)
def test_a_bad_picture_is_a_sentence_and_changes_nothing(
    name: str, make: MakeStudio, tmp_path: Path
) -> None:
    content = make_bad_picture(name, tmp_path).read_bytes()
    studio = make()
    before = studio.studio.controls.recipe
    for css in ("nst-content-upload", "nst-style-upload"):
        studio.send(css, name, content)
        assert studio.says.startswith(f"Not taken: {name} ")
        assert BAD_PICTURES[name][1] in studio.says
    assert studio.studio.controls.recipe == before
    studio.send("nst-open", name, content)
    assert re.match(rf"Not opened: {name} (is not a PNG|holds no settings)", studio.says)
    assert studio.studio.controls.recipe == before


def test_a_photograph_and_a_painting_may_have_the_same_name(make: MakeStudio) -> None:
    """Phones call every picture image.jpg."""
    studio = make(init="content", steps=1)
    for seed, kind in enumerate(("content", "style")):
        picture = encoded(noisy(48, 40 - 8 * seed, seed), "JPEG")
        studio.send(f"nst-{kind}-upload", "image.jpg", picture)
    studio.paint()
    assert studio.studio.image is not None
    assert studio.studio.image.shape == (1, 3, 27, 32), "the painting was taken for both"


def test_uploads_of_one_name_are_all_there(make: MakeStudio) -> None:
    """Another picture never takes the place of the first; the same one again is no other."""
    studio = make()
    sent = [encoded(noisy(48, 40, seed), "PNG") for seed in (0, 1, 0)]
    names = []
    for content in sent:
        studio.send("nst-content-upload", "image.png", content)
        names.append(studio.radio("nst-content").value)
    assert names == ["image.png", "image-2.png", "image.png"]
    studio.send("nst-style-upload", "image.png", sent[1])
    assert studio.radio("nst-style").value == "image-2.png"


@pytest.mark.parametrize("name", ["chenonceau", "chelsea", "chenonceau.jpg", "x/chenonceau"])
def test_an_upload_never_takes_the_place_of_a_bundled_picture(name: str, make: MakeStudio) -> None:
    studio = make(content="chenonceau", init="content", steps=1)
    options = list(studio.radio("nst-content").options)
    studio.send("nst-content-upload", name, encoded(noisy(48, 40), "PNG"))
    studio.send("nst-style-upload", name, encoded(noisy(48, 40), "PNG"))
    assert list(studio.radio("nst-content").options)[: len(options)] == options
    studio.radio("nst-content").value = "chenonceau"
    studio.paint()
    assert studio.studio.image is not None
    assert studio.studio.image.shape == nst.load_image("chenonceau", 32).shape


def test_a_file_in_the_notebooks_folder_never_takes_the_place_of_a_bundled_picture(
    make: MakeStudio,
) -> None:
    noisy(48, 40).save("chelsea", "PNG")
    assert Recipe(content="chelsea", size=32).picture("chelsea", {}).shape == (1, 3, 21, 32)
    studio = make(init="content", steps=1)
    studio.paint()
    assert studio.studio.image is not None
    assert studio.studio.image.shape == (1, 3, 21, 32)


def test_a_recipe_does_not_open_files(make: MakeStudio) -> None:
    """It comes with a picture, from anybody: names are those of pictures that are here."""
    noisy(48, 40).save("mine.png")
    with pytest.raises(ValueError, match=r"the picture mine.png is not here"):
        Recipe(content="mine.png").picture("mine.png", {})
    studio = make()
    studio.send("nst-open", "a.png", with_recipe(Recipe(content="mine.png")))
    assert "mine.png is not here; upload it first" in studio.says


def test_a_saved_picture_holds_its_settings_and_nothing_is_overwritten(make: MakeStudio) -> None:
    studio = make(seed=3)
    studio.paint()
    for number in (1, 2):
        studio.click("save-picture")
        assert f"Saved as {SAVED}-{number}.png" in studio.text("nst-saved")
    assert files() == [f"{SAVED}-1.png", f"{SAVED}-2.png"]
    assert read_png(files()[0]) == studio.studio.recipe
    first = Path(files()[0]).read_bytes()
    (link,) = re.findall('href="data:image/png;base64,([^"]*)"', studio["nst-saved"].value)
    assert b64decode(link) == first
    studio["nst-seed"].value = 4
    studio.paint()
    assert not studio["nst-saved"].value
    studio.click("save-picture")
    assert Path(f"{SAVED}-1.png").read_bytes() == first
    assert read_png(f"{SAVED}-3.png").seed == 4


def test_a_large_file_goes_to_the_page_as_bytes(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not within the page's text, on which it would halt."""
    studio = make(steps=1)
    studio.paint()
    studio.click("save-picture")
    assert "base64" in studio["nst-saved"].value
    assert not studio["nst-file"].value
    monkeypatch.setattr(saving, "LARGE", 100)
    studio.click("save-picture")
    assert "data-nst-file" in studio["nst-saved"].value
    assert "base64" not in studio["nst-saved"].value
    assert studio["nst-file"].value == Path(f"{SAVED}-2.png").read_bytes()
    studio.paint()
    assert not studio["nst-file"].value


def test_a_saved_picture_fills_another_studio_which_paints_it_again(make: MakeStudio) -> None:
    factors = {"conv1_1": 0.5, "conv5_1": 0.0}
    first = make(preset="content-start", ratio=3e-5, factors=factors, content_layer="conv3_2")
    first["nst-tv"].value = 0.25
    first.paint()
    first.click("save-picture")
    second = make(content="china", style="great-wave", size=64)
    second.send("nst-open", "saved.png", Path(f"{SAVED}-1.png").read_bytes())
    assert "The controls say what saved.png was made with" in second.says
    assert second.studio.controls.recipe == first.studio.recipe
    second.paint()
    assert first.studio.image is not None
    assert second.studio.image is not None
    assert torch.equal(first.studio.image, second.studio.image)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"style": "nobody.jpg"}, "the picture nobody.jpg is not here; upload it first"),
        ({"content_layer": "conv9_9"}, "conv9_9"),
        ({"preset": "squeezenet-tv", "content_layer": "conv4_2"}, "conv4_2"),
        ({"preset": "papper"}, "papper"),
    ],
)
def test_settings_that_cannot_be_used_here_change_no_control(
    settings: dict[str, Any], message: str, make: MakeStudio
) -> None:
    studio = make()
    before = studio.studio.controls.recipe
    valid = asdict(Recipe(content="china", seed=9))
    content = with_text(json.dumps(valid | settings))
    studio.send("nst-open", "other.png", content)
    assert studio.says.startswith("Not opened: ")
    assert message in studio.says
    assert studio.studio.controls.recipe == before


def test_a_picture_keeps_its_own_settings_when_the_next_run_makes_none(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is saved is the picture that is there, with what it was made with."""
    studio = make(seed=1)
    studio.paint()
    before, recipe = studio.studio.image, studio.studio.recipe

    def fail(self: Recipe) -> nst.Network:
        raise ValueError("no weights")

    monkeypatch.setattr(Recipe, "network", fail)
    studio["nst-seed"].value = 2
    studio.click("start")
    studio.ends("This did not work: no weights")
    studio.click("save-picture")
    assert studio.studio.image is before
    assert read_png(f"{SAVED}-1.png") == recipe


def test_a_saved_film_has_its_frames(
    make: MakeStudio, real_net: nst.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "_network", lambda name, device: real_net)  # no two frames alike
    studio = make(steps=4)
    studio.paint()
    studio.click("save-film")
    assert f"Saved as {SAVED}-1.gif" in studio.text("nst-saved")
    assert "4 pictures" in studio.text("nst-saved")
    with Image.open(f"{SAVED}-1.gif") as film:
        assert film.n_frames == 4  # type: ignore[attr-defined]
        assert film.size == (32, 21)
    assert 'download="chelsea-starry-night-1.gif"' in studio["nst-saved"].value


def test_where_the_folder_takes_no_file_there_is_still_a_download(
    make: MakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**options: object) -> None:
        raise OSError(30, "Read-only file system")

    studio = make()
    studio.paint()
    monkeypatch.setattr("nst_utils.support.paths.tempfile.TemporaryFile", refuse)
    for name in ("picture", "film"):
        studio.click(f"save-{name}")
        assert "The notebook's folder takes no file" in studio.text("nst-saved")
        assert "Read-only file system" in studio.text("nst-saved")
        (link,) = re.findall('href="data:image/...;base64,([^"]*)"', studio["nst-saved"].value)
        with Image.open(io.BytesIO(b64decode(link))) as picture:
            assert picture.size == (32, 21)
    assert files() == []


NAMES = [
    "x" * 150 + ".png",
    "../../<b>&a.png",
    "C:\\me\\a.png",
    "größe 1.png",
    "..png",
    "",
    " ",
    "a/",
]
NAMES += ["a/", "..", "\ud800.png", "great-wave", "chelsea", "chelsea.jpg"]


def test_any_name_of_an_upload_makes_a_file_name(make: MakeStudio, tmp_path: Path) -> None:
    """In one studio, where the names before are taken."""
    studio = make(steps=1)
    radios = [studio.radio(f"nst-{kind}") for kind in ("content", "style")]
    ours = {name for radio in radios for name in radio.options}
    for seed, name in enumerate(NAMES):
        for number, kind in enumerate(("content", "style")):
            picture = encoded(noisy(seed=2 * seed + number), "PNG")
            studio.send(f"nst-{kind}-upload", name, picture)
        chosen = [str(radio.value) for radio in radios]
        assert chosen[0] != chosen[1], f"{name!r}: the painting is another picture"
        assert not {*chosen} & ours, f"{name!r}: the bundled pictures keep their names"
        assert not re.search(r"[/\\]", "".join(chosen)), repr(name)
        assert all(each.strip() for each in chosen), repr(name)
        before = files()
        studio.paint()
        studio.click("save-picture")
        (saved,) = {*files()} - {*before}
        assert read_png(saved).content == studio.studio.recipe.content == chosen[0], repr(name)
        assert not re.search("[<>&/ ]", saved), repr(name)
    assert [path.name for path in tmp_path.iterdir()] == ["notebook"]
