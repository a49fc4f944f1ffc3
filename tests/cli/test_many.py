"""``nst sweep`` and ``nst batch``: options with several values, and a line for each mistake."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from outcome import Outcome
from picture_files import noisy

import nst_utils as nst
from nst_utils.cli.many_options import sweep_settings
from nst_utils.cli.parser import build_parser
from nst_utils.many import loading, painting
from nst_utils.networks import builders

Run = Callable[..., Outcome]
SMALL = ("--size", 32, "--steps", 2, "--device", "cpu", "--quiet")


@pytest.fixture(autouse=True)
def _net(thin_net: nst.Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here goes on around the network."""
    monkeypatch.setattr(builders, "NETWORKS", {"vgg19": lambda **_: thin_net})
    monkeypatch.setattr(loading, "_networks", {})


def parsed(line: str) -> dict[str, Any]:
    args = build_parser().parse_args(["sweep", "-o", "out", *line.split()])
    return sweep_settings(args)


# Lists and ranges.


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--content-weight 1e-4,1e-3,1e-2", [1e-4, 1e-3, 1e-2]),
        ("--content-weight 1e-4..1e-1:4", [1e-4, 1e-3, 1e-2, 1e-1]),
        ("--content-weight 0,1..16:5", [0, 1, 2, 4, 8, 16]),
        ("--seed 0..3", [0, 1, 2, 3]),
        ("--seed 7", [7]),
        ("--steps 100..300:3,500", [100, 200, 300, 500]),
        ("--size 64,128", [64, 128]),
        ("--pooling avg,max", ["avg", "max"]),
        ("--preset paper,gatys-2016", ["paper", "gatys-2016"]),
        ("--content-layers conv4_2;conv4_2,conv5_2", [["conv4_2"], ["conv4_2", "conv5_2"]]),
        ("--style-layer-weights 1,2;3,4", [[1, 2], [3, 4]]),
        ("--learning-rate 0.1;0.1,5:0.01", [0.1, {1: 0.1, 5: 0.01}]),
        ("--smaller-first none;0.5:10", [{}, {0.5: 10}]),
    ],
)
def test_lists_and_ranges(option: str, values: list[Any]) -> None:
    name = option.split()[0][2:].replace("-", "_")
    assert parsed(f"china great-wave {option}")[name] == values


EMPTY = ["5..3", "0..3:9", "0..3:0", ",", "0..x", "-1..2", "1..", "0..99999999999"]


@pytest.mark.parametrize("text", EMPTY)
def test_a_range_with_nothing_in_it_is_a_sentence(text: str, run: Run) -> None:
    outcome = run("sweep", "china", "great-wave", "-o", "out", f"--seed={text}")
    assert outcome.code == 2
    assert "--seed" in outcome.complaint


@pytest.mark.parametrize("text", ["1e-3..1e-1", "a..b:3", "1e-1..1e-3:3", "0..1:3", "1..2:1", ";"])
def test_so_is_one_of_weights(text: str, run: Run) -> None:
    outcome = run("sweep", "china", "great-wave", "-o", "out", f"--content-weight={text}")
    assert outcome.code == 2
    assert "--content-weight" in outcome.complaint


@pytest.mark.parametrize(
    "line",
    [
        "china great-wave chelsea",
        "china --style great-wave chelsea",
        "china great-wave --style chelsea",
        "--style great-wave chelsea --size 99 -- china",
    ],
)
def test_paintings_can_be_named_in_either_way(line: str) -> None:
    given = parsed(line)
    assert (given["content"], given["style"]) == (["china"], ["great-wave", "chelsea"])


def test_settings_vary_in_the_order_in_which_they_were_typed() -> None:
    given = parsed("china great-wave --seed 0,1 --steps 2,3 --content-weight 1,2")
    assert [name for name in given if name in ("seed", "steps", "content_weight")] == [
        *("seed", "steps", "content_weight")
    ]
    given = parsed("china great-wave --content-weight 1,2 --steps 2,3 --seed 0,1")
    assert [name for name in given if name in ("seed", "steps", "content_weight")] == [
        *("content_weight", "steps", "seed")
    ]


def test_every_option_of_a_transfer_is_one_of_a_sweep() -> None:
    """But for those that are about one picture's files."""
    known = [vars(build_parser().parse_args([name, "a", "b", "-o", "c"])) for name in COMMANDS]
    of_one_picture = {"checkpoint", "report", "save_every", "open", "run", "command"}
    of_one_picture |= {"bits", "sheet", "dpi"}  # in print
    of_one_picture |= {"deterministic"}  # switches of this process, not of workers
    for others in known[1:]:
        assert {*known[0]} - of_one_picture <= {*others} | {"content"}


COMMANDS = ["transfer", "sweep", "batch"]


# A sweep.


def test_a_sweep_is_a_folder_a_sheet_and_a_table(run: Run, tmp_path: Path) -> None:
    words = ("chelsea", "--content-weight", "1e-3,1e-1", "--style", "china", "great-wave")
    outcome = run("sweep", *words, "-o", tmp_path / "out", *SMALL[:-1])
    assert outcome.code == 0, outcome.err
    assert f"{tmp_path / 'out'}  (4 of 4 pictures, table.csv;" in outcome.out
    assert "pictures: 100 %" in outcome.err
    names = sorted(each.name for each in (tmp_path / "out").iterdir())
    assert names[0] == "01_style=china_content-weight=0.001.png"
    assert names[4:] == ["sheet.png", "table.csv"]
    again = run("sweep", *words, "-o", tmp_path / "out", *SMALL[:-1], "--resume")
    assert again.code == 0
    assert "4 of 4 pictures, 4 of them there before" in again.out


def test_a_picture_that_fails_is_a_line_and_the_exit_code(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    words = ("sweep", "chelsea", "china", bad, "-o", tmp_path / "out", *SMALL)
    outcome = run(*words)
    assert outcome.code == 1
    assert outcome.complaint.startswith("nst: 02_style=bad.png: ")
    assert str(bad) in outcome.complaint
    assert run(*words, "--resume").code == 1


def test_opening_shows_the_sheet(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Path] = []
    monkeypatch.setattr("nst_utils.cli.many.open_picture", shown.append)
    run("sweep", "chelsea", "china", "-o", tmp_path / "out", *SMALL, "--open")
    assert shown == [tmp_path / "out" / "sheet.png"]


def test_ctrl_c_is_a_line_and_resume_goes_on(
    run: Run, tmp_path: Path, ctrl_c: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watch(painting._Watch):
        def __call__(self, step: nst.Step) -> None:
            if self._jobs[0].name.startswith("02"):
                ctrl_c()

    words = ("sweep", "chelsea", "china", "--seed", "0..2", "-o", tmp_path / "out", *SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(painting, "_Watch", Watch)
        outcome = run(*words)
    assert outcome.code == 130
    assert outcome.complaint == (
        f"nst: interrupted; 1 of 3 pictures are in {tmp_path / 'out'}; the same command with "
        "--resume goes on"
    )
    assert run(*words, "--resume").code == 0


MISTAKES = {
    "china -o o": "there is no painting; name it after the photograph, or with --style",
    "china great-wave -o missing/o": "the folder missing does not exist; make it first",
    "china great-wave -o file": "--output file is a file; name a folder",
    "china great-wave nowhere.jpg -o o": "there is no picture nowhere.jpg; check the path",
    "china great-wave -o o --seed 1,1": "are the same picture; name each value once",
    "china great-wave -o o --optimizer lbfgs,sgd": "argument --optimizer: unknown value 'sgd'",
    "china great-wave -o o --content-layers conv4_2;fire2": "--content-layers names layers of vgg",
    "china great-wave -o o --workers 2 --cluster local": "--workers and --cluster are both given",
    "china great-wave -o o --checkpoint x": "unknown option '--checkpoint'",
    "china great-wave chelsea -o o --zipped --seed 0..2": "need as many values each (style: 2, see",
    "china great-wave -o o --optimizer adam,lbfgs --learning-rate 0.1": "--optimizer adam",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line(
    line: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("no folder")
    outcome = run("sweep", *line.split())
    assert outcome.code == 2
    assert MISTAKES[line] in outcome.complaint
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_sweep_does_not_write_over_what_it_reads(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    noisy(40, 60).save("01.png")
    before = Path("01.png").read_bytes()
    outcome = run("sweep", "01.png", "china", "-o", ".", *SMALL)
    assert outcome.code == 2
    assert "--output would overwrite the input" in outcome.complaint
    assert Path("01.png").read_bytes() == before


# A folder.


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photographs of one name, one more, a bad one, and what is no photograph."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    noisy(40, 60).save(folder / "a.jpg")
    noisy(40, 60, seed=1).save(folder / "a.png")
    noisy(60, 40, seed=2).save(folder / "B.JPG")
    (folder / "bad.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("no photograph")
    noisy(40, 60).save(folder / ".hidden.jpg")
    return folder


def test_a_folder_is_painted_and_bad_files_are_told_at_the_end(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    words = ("batch", photos, "china", "great-wave", "-o", tmp_path / "out", *SMALL[:-1])
    outcome = run(*words)
    assert outcome.code == 1
    last = outcome.err.splitlines()[-1]
    assert last.startswith("nst: bad_china.png and 1 more: ")
    assert str(photos / "bad.jpg") in last
    assert "6 of 8 pictures" in outcome.out
    stems = ["B", "a-jpg", "a-png"]
    expected = [f"{stem}_{style}.png" for stem in stems for style in ("china", "great-wave")]
    pictures = sorted((tmp_path / "out").glob("*.png"))
    assert [each.name for each in pictures] == expected
    assert nst.load_image(pictures[0]).shape == (1, 3, 21, 32)
    with (tmp_path / "out" / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["photograph"] for row in rows][::2] == ["B.JPG", "a.jpg", "a.png", "bad.jpg"]
    assert [row["state"] for row in rows] == ["finished"] * 6 + ["failed"] * 2

    noisy(40, 60, seed=3).save(photos / "bad.jpg")  # mended
    noisy(40, 60, seed=4).save(photos / "c.jpg")  # new
    before = [each.stat().st_mtime_ns for each in pictures]
    again = run(*words, "--resume")
    assert again.code == 0
    assert "10 of 10 pictures, 6 of them there before" in again.out
    assert [each.stat().st_mtime_ns for each in pictures] == before


def test_each_picture_gets_the_edges_of_its_photograph(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    assert parsed("china great-wave --photorealistic")["photorealistic"] is True
    (photos / "bad.jpg").unlink()
    words = ("batch", photos, "china", "--init", "style", *SMALL)
    assert run(*words, "-o", tmp_path / "painted").code == 0
    assert run(*words, "-o", tmp_path / "mended", "--photorealistic").code == 0
    for photograph in ("B.JPG", "a.jpg", "a.png"):
        name = f"{photograph.replace('.JPG', '').replace('.', '-')}_china.png"
        painted, mended = (nst.load_image(tmp_path / each / name) for each in ("painted", "mended"))
        wanted = nst.photorealistic(painted, nst.load_image(photos / photograph, 32))
        torch.testing.assert_close(mended, wanted, rtol=0, atol=2 / 255)  # painted is of 8 bits
        assert not torch.allclose(mended, painted, rtol=0, atol=8 / 255)


def test_paintings_in_one_picture(run: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "bad.jpg").unlink()
    words = ("batch", photos, "china", "great-wave", "--style-blend", "0.5,0.5")
    assert run(*words, "-o", tmp_path / "out", *SMALL).code == 0
    names = sorted(each.name for each in (tmp_path / "out").glob("*.png"))
    assert names[0] == "B_china-great-wave.png"
    assert len(names) == 3


FOLDERS = {
    "empty": "the folder empty holds no photograph (a file ending in .jpg,",
    "missing": "there is no folder missing; check the path",
    "file": "file is a file; name a folder of photographs",
    "photos": "--output is the folder of the photographs",
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_that_cannot_be_painted_is_one_line(
    folder: str, run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("file").write_text("no folder")
    outcome = run("batch", folder, "china", "-o", "photos" if folder == "photos" else "out")
    assert outcome.code == 2
    assert FOLDERS[folder] in outcome.complaint
    assert not Path("out").exists()


def test_a_painting_named_twice_is_one_line(run: Run, photos: Path, tmp_path: Path) -> None:
    outcome = run("batch", photos, "china", "china", "-o", tmp_path / "out")
    assert outcome.code == 2
    assert "a painting is named twice" in outcome.complaint
