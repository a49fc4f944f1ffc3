"""Contact sheets: pictures where their labels say."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from nst_utils.plots.contact_sheet import contact_sheet, contact_strip
from nst_utils.plots.figures import Drawing

COLORS = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 0.0)]


def plain(color: tuple[float, float, float], height: int = 150, width: int = 200) -> torch.Tensor:
    return torch.tensor(color)[:, None, None].expand(3, height, width)[None]


def pixels(figure: Drawing) -> Image.Image:
    figure.file_type = "png"
    return Image.open(io.BytesIO(figure.encode())).convert("RGB")


def test_a_row_for_each_label_and_a_column_for_each() -> None:
    red, green, blue, yellow = map(plain, COLORS)
    figure = contact_sheet([[red, green], [blue, yellow]], ["a", "b"], ["c", "d"], title="t")
    picture = pixels(figure)
    assert picture.size == (34 + 2 * 208, 60 + 2 * 158)
    found = [
        picture.getpixel((34 + 100 + 208 * x, 60 + 75 + 158 * y)) for y in (0, 1) for x in (0, 1)
    ]
    assert found == [tuple(int(255 * part) for part in color) for color in COLORS]
    assert figure.alt == "A table of pictures. t. rows: a; b; columns: c; d"


def test_pictures_are_shown_pixel_by_pixel() -> None:
    noise = torch.rand(1, 3, 140, 160, generator=torch.Generator().manual_seed(0))
    picture = pixels(contact_sheet([[noise]], ["a"], ["b"]))
    shown = picture.crop((34, 30, 34 + 160, 30 + 140))
    expected = noise[0].mul(255).round().byte().permute(1, 2, 0).numpy()
    found = torch.frombuffer(bytearray(shown.tobytes()), dtype=torch.uint8).reshape(140, 160, 3)
    assert (found.int() - torch.from_numpy(expected).int()).abs().max() <= 1


def test_one_that_is_not_there_leaves_its_place_empty() -> None:
    figure = contact_sheet([[plain(COLORS[0]), None]], ["a"], ["c", "d"])
    assert pixels(figure).getpixel((34 + 208 + 10, 30 + 10)) == (255, 255, 255)


@pytest.mark.parametrize("number", [1, 3, 4, 5, 9])
def test_of_one_setting_four_are_in_a_row_at_most(number: int) -> None:
    pictures = [plain(COLORS[0])] * number
    figure = contact_strip(pictures, [str(n) for n in range(number)], name="seed")
    across = {axis.get_position().x0 for axis in figure.axes}
    assert len(across) == {1: 1, 3: 3, 4: 4, 5: 3, 9: 3}[number]
    assert figure.alt.startswith("Pictures of which seed varies: 0")


def test_a_strip_names_what_varies_where_there_is_room() -> None:
    def titles(name: str, labels: list[str]) -> list[str]:
        strip = contact_strip([plain(COLORS[0])] * 2, labels, name=name)
        return [axis.get_title() for axis in strip.axes]

    assert titles("seed", ["0", "1"]) == ["seed = 0", "seed = 1"]
    assert titles("content_weight", ["0.1", "9" * 15]) == ["0.1", "9" * 15]
    assert titles("style, seed", ["a, 0", "b, 1"]) == ["a, 0", "b, 1"]
    assert titles("seed", ["x" * 99, "1"])[0].endswith("…")


def test_a_strip_says_what_is_not_there() -> None:
    assert "b (not there)" in contact_strip([plain(COLORS[0]), None], ["a", "b"]).alt


def test_many_columns_fit_and_long_labels_are_cut() -> None:
    picture = pixels(contact_sheet([[plain(COLORS[0], 90, 900)] * 9], ["a"], ["x" * 99] * 9))
    assert picture.width <= 4200


def test_mistakes_are_sentences() -> None:
    with pytest.raises(ValueError, match="there is no picture to show"):
        contact_sheet([[None]], ["a"], ["b"])
    with pytest.raises(ValueError, match="2 labels of rows and 1 of columns"):
        contact_sheet([[None]], ["a", "b"], ["c"])
    with pytest.raises(ValueError, match="there is no picture to show"):
        contact_strip([None], ["a"])
