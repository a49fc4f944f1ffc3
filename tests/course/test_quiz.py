"""The numbers that the quiz states, computed, and the places in the notebooks that it names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

import nst_utils as nst

ROOT = Path(__file__).resolve().parents[2]
QUIZ = (ROOT / "course" / "quiz.md").read_text(encoding="utf-8")
PARTS = [part.partition("</details>")[0] for part in QUIZ.split("\n## ")[1:]]
LAYERS = ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def part(number: int) -> str:
    """One question with its answer, in one line."""
    return " ".join(PARTS[number - 1].split())


def responses(rows: list[list[float]]) -> Tensor:
    """(1, N, 1, M) of a row for each filter."""
    return torch.tensor(rows)[None, :, None]


def texts(notebook: str) -> tuple[str, str]:
    """The text of a notebook's cells, and what its code printed or described."""
    (path,) = (ROOT / "notebooks").glob(f"{notebook}_*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    lines = [*(o.get("text", "") for o in outputs), *(o.get("data", {}) for o in outputs)]
    said = [line.get("text/plain", "") if isinstance(line, dict) else line for line in lines]
    return "\n".join("".join(c["source"]) for c in cells), "\n".join(map("".join, said))


def test_there_are_ten_questions_each_with_a_folded_answer_and_a_place() -> None:
    assert [text.partition(".")[0] for text in PARTS] == [str(n) for n in range(1, 11)]
    for text in PARTS:
        assert text.count("<details><summary>Answer</summary>") == 1
        assert text.count("*Where:*") == 1
    assert QUIZ.count("<details>") == QUIZ.count("</details>") == 10


@pytest.mark.parametrize("number", range(1, 11))
def test_the_places_named_are_headings_of_the_notebooks(number: int) -> None:
    where = part(number).partition("*Where:*")[2]
    named = re.findall(r"(?:(\d\d), )?\"([^\"]+)\"", where)
    assert named
    notebook = ""
    for book, heading in named:
        notebook = book or notebook
        assert heading in HEADING.findall(texts(notebook)[0])
        assert int(notebook) <= 5
    for book, exercise in re.findall(r"(\d\d), [^;]*exercise (\d)", where):
        assert f"\n{exercise}. " in texts(book)[0].partition("## Exercises")[2]


def test_1_so_many_pixels() -> None:
    assert nst.load_image("chenonceau", size=512).shape == (1, 3, 384, 512)
    assert 3 * 384 * 512 == 589_824
    assert "589,824 numbers" in part(1)


def test_2_the_gram_matrix() -> None:
    (stated,) = re.findall(r"\\begin\{pmatrix\}(.+)\\end\{pmatrix\}", part(2))
    rows = [[float(value) for value in row.split("&")] for row in stated.split(r"\\")]
    filters = re.findall(r"F_\d = \(([\d, ]+)\)", part(2))
    F = responses([[float(value) for value in each.split(",")] for each in filters])
    assert nst.gram_matrix(F)[0].tolist() == rows
    assert nst.gram_matrix(torch.rand(1, 3, 10, 10)).shape == (1, 3, 3)


def test_3_both_ways_to_shuffle(real_net: nst.Network) -> None:
    painting = nst.load_image("starry-night", size=512)
    places = torch.randperm(painting[0, 0].numel(), generator=torch.Generator().manual_seed(0))
    pixels = painting.flatten(2)[..., places].view_as(painting)
    F, H = (real_net(picture, ["conv2_1"])["conv2_1"] for picture in (painting, pixels))
    places = torch.randperm(F[0, 0].numel(), generator=torch.Generator().manual_seed(0))
    G, A = nst.gram_matrix(F), nst.gram_matrix(H)
    assert torch.allclose(nst.gram_matrix(F.flatten(2)[..., places].view_as(F)), G, rtol=1e-3)
    assert f"by {((G - A).norm() / G.norm()).item():.0%} of its norm" in part(3)


def test_4_two_pixels(real_net: nst.Network) -> None:
    photo = nst.load_image("eilean-donan", size=448)
    for layer in ("conv2_2", "conv4_2"):
        P, F = (
            real_net(photo[..., 8 - shift : photo.shape[3] - shift], [layer])[layer]
            for shift in (0, 2)
        )
        wrong = (nst.content_loss(F, P) / nst.content_loss(0 * P, P)).item()
        (stated,) = re.findall(rf"`{layer}` (?:is wrong )?by ([\d.]+)%", part(4))
        assert 100 * wrong == pytest.approx(float(stated), abs=0.2)  # there in bfloat16


def test_5_the_gradient_by_hand() -> None:
    F = responses([[1.0, 2.0, 0.0]])
    A = torch.tensor([[[2.0]]])
    by_hand = torch.tensor([1 / 3, 2 / 3, 0])
    assert torch.allclose(nst.style_loss_gradient(F, A).flatten(), by_hand)
    x = F.clone().requires_grad_()
    (autograd,) = torch.autograd.grad(nst.style_loss(x.relu(), A).sum(), x)
    assert torch.allclose(autograd.flatten(), by_hand)
    assert r"(\tfrac13, \tfrac23, 0)" in part(5)


def test_6_from_sum_to_mean(real_net: nst.Network) -> None:
    photo = nst.load_image("china", size=512)
    P = real_net(photo, ["conv4_2"])["conv4_2"]
    _, N, height, width = P.shape
    assert (N, height * width) == (512, 2752)
    F = real_net(nst.noise_image(*photo.shape[2:]), ["conv4_2"])["conv4_2"]
    alpha = 1e-6 * N * height * width
    assert f"{alpha:.3f}" in part(6)
    assert f"{N * height * width:,}" in part(6)
    by_sum = 1e-6 * nst.content_loss(F, P, reduction="sum")
    assert torch.allclose(by_sum, alpha * nst.content_loss(F, P), rtol=1e-4)


def test_7_half_the_responses() -> None:
    F, P = torch.rand(2, 1, 5, 4, 3)
    halves = nst.content_loss(F / 2, P / 2) / nst.content_loss(F, P)
    assert torch.allclose(halves, torch.tensor(1 / 4))
    halves = nst.style_loss(F / 2, P / 2) / nst.style_loss(F, P)
    assert torch.allclose(halves, torch.tensor(1 / 16))
    assert "to 1/4;" in part(7)
    assert "to 1/16." in part(7)


def test_8_how_far_apart_and_no_pull_at_the_photograph() -> None:
    (table,) = re.findall(r"columns A, B, C 0.+", texts("05")[1])
    rows = [
        [float(value) for value in row.split(", ")]
        for row in re.findall(r"C \d: ([\d., ]+\d)", table)
    ]
    apart = [row[column] for row in rows for column in range(2, 6) if row[column]]
    assert len(apart) == 12
    assert f"by {min(apart):.0f} to {max(apart):.0f} gray levels" in part(8)
    P = torch.rand(1, 3, 4, 5)
    assert not nst.content_loss_gradient(P, P).any()


def test_9_so_many_numbers(real_net: nst.Network) -> None:
    filters = [F.shape[1] for F in real_net(torch.rand(1, 3, 32, 32), LAYERS).values()]
    assert f"{sum(N * (N + 1) // 2 for N in filters):,} numbers" in part(9)
    for size in (512, 128):
        assert f"{nst.load_image('starry-night', size=size).numel():,}" in part(9)
    F = real_net(nst.load_image("starry-night", size=128), ["conv5_1"])["conv5_1"]
    assert f"{F.shape[3]} · {F.shape[2]} = {F[0, 0].numel()} positions" in part(9)
    N = F.shape[1]  # fewer responses, N M, than entries, N (N + 1) / 2
    assert N * 256 < N * (N + 1) // 2 <= N * 257


def test_10_between_paintings() -> None:
    (row,) = re.findall(r"Starry Night: ([\d., ]+);", texts("03")[1])
    assert re.findall(r"\d\.\d\d(?=[ ,]| and)", part(10))[:4] == [
        value for value in row.split(", ") if float(value)
    ]
    halves = re.findall(
        r"Wave +between its halves (\d\.\d\d), to the nearest (\d\.\d\d)", texts("03")[1]
    )
    assert re.findall(r"\((\d\.\d\d)\)", part(10)) == list(halves[0])
