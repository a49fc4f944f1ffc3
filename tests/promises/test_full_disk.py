"""On a disk that is full, a real one: a sentence, the old file, nothing half written, a retry.

Where nothing may be mounted, these tests run once more in a name space of their own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from outcome import Outcome
from places import SmallDisk, mount

import nst_utils as nst
from nst_utils.cli import commands
from nst_utils.images.embedded import settings_of_whole
from nst_utils.images.names import OUTPUT_FORMATS
from nst_utils.images.rescue import save_or_rescue
from nst_utils.many import loading
from nst_utils.networks import builders
from nst_utils.support.paths import write_whole

Run = Callable[..., Outcome]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    small = SmallDisk(folder, "1m")
    yield small
    small.unmount()


def test_all_this_holds_where_only_a_name_space_may_mount(tmp_path: Path) -> None:
    if not mount("-t", "tmpfs", "tmpfs", str(tmp_path)).returncode:
        subprocess.run(["umount", str(tmp_path)], check=True)
        pytest.skip("here, the other tests mount without one")
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"]).returncode:
        pytest.skip("no file system can be mounted here, not even in a name space")
    command = [*alone, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout, "the others ran"


def film(path: Path) -> None:
    frames = nst.Film()
    frames.images = list(torch.rand(3, 1, 3, 160, 160))
    frames.save(path)


WRITERS: dict[str, Callable[[Path], object]] = {
    "checkpoint.pt": lambda path: write_whole(
        path, lambda file: torch.save({"a": torch.rand(50_000)}, file)
    ),
    "report.json": lambda path: write_whole(path, lambda file: file.write(b"1.0, " * 40_000)),
    "film.gif": film,
} | {
    f"picture{suffix}": lambda path: nst.save_image(torch.rand(3, 300, 300), path)
    for suffix in OUTPUT_FORMATS
}


@pytest.mark.parametrize("room", [0, 50_000])
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_a_sentence_and_room_helps(name: str, room: int, disk: SmallDisk) -> None:
    path = disk.folder / name
    path.write_bytes(b"old")
    filler = disk.fill(leave=room)
    with pytest.raises(ValueError, match="the disk is full") as caught:
        WRITERS[name](path)
    assert str(disk.folder) in str(caught.value)
    assert str(caught.value).endswith("; make room or choose another path")
    assert path.read_bytes() == b"old"
    assert sorted(disk.folder.iterdir()) == sorted([path, filler])
    filler.unlink()
    disk.remount("size=2m")
    WRITERS[name](path)
    assert list(disk.folder.iterdir()) == [path]
    assert path.stat().st_size > 50_000
    if name.startswith("picture"):
        assert nst.load_image(path).shape == (1, 3, 300, 300)


def test_on_a_read_only_disk_nothing_is_begun(disk: SmallDisk, run: Run) -> None:
    disk.remount("ro")
    with pytest.raises(ValueError, match=r"cannot write into \S+disk: Read-only file system"):
        nst.save_image(torch.rand(3, 9, 9), disk.folder / "a.png")
    outcome = run("transfer", "chelsea", "china", "-o", disk.folder / "a.png", "--steps", 1)
    assert outcome.code == 2
    assert "Read-only file system; choose another path" in outcome.complaint


# The command line.


@pytest.fixture
def transfer(
    run: Run, shared_net: object, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Run a small transfer; ``before_the_end()`` happens when the picture is finished."""

    def command(*arguments: object, before_the_end: Callable[[], object]) -> Outcome:
        def and_then(*inputs: Any, **settings: Any) -> nst.Result:
            result = paint(*inputs, **settings)
            before_the_end()
            return result

        paint = commands.transfer
        with monkeypatch.context() as patch:
            patch.setattr(commands, "transfer", and_then)
            small = ("--size", 32, "--steps", 2, "--quiet")
            return run("transfer", "chelsea", "china", *small, *arguments)

    return command


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def rescued(outcome: Outcome, elsewhere: Path) -> None:
    """One line says where the picture is, and it is there."""
    (picture,) = elsewhere.rglob("*.png")
    assert outcome.code == 2
    assert outcome.complaint.endswith(f"; the finished picture is in {picture} instead")
    assert picture.name == "a.b.png"
    assert nst.load_image(picture).shape == (1, 3, 21, 32)


def test_a_disk_that_is_full_before_the_run_ends_it_at_once(disk: SmallDisk, run: Run) -> None:
    filler = disk.fill()
    for place in (("-o", disk.folder / "a.png"), ("-o", "a.png", "--report", disk.folder / "a")):
        outcome = run("transfer", "chelsea", "china", "--steps", 1, *place)
        assert outcome.code == 2
        assert "disk: the disk is full (No space left on device); make room" in outcome.complaint
    assert list(disk.folder.iterdir()) == [filler]


def test_a_picture_that_finds_the_disk_full_is_saved_elsewhere(
    disk: SmallDisk, transfer: Run, elsewhere: Path
) -> None:
    path = disk.folder / "a.b.jpg"
    path.write_bytes(b"old")
    outcome = transfer("-o", path, before_the_end=disk.fill)
    rescued(outcome, elsewhere)
    assert "the disk is full" in outcome.complaint
    assert path.read_bytes() == b"old"


def test_a_picture_whose_folder_is_gone_is_saved_elsewhere(
    tmp_path: Path, transfer: Run, elsewhere: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "a.b.png"
    outcome = transfer("-o", path, before_the_end=folder.rmdir)
    rescued(outcome, elsewhere)
    assert "folder does not exist" in outcome.complaint
    assert not folder.exists()


def test_a_report_that_cannot_be_written_does_not_hide_the_picture(
    disk: SmallDisk, transfer: Run
) -> None:
    picture = disk.folder / "a.png"
    outcome = transfer(
        *("-o", picture, "--report", disk.folder / "a.json"),
        before_the_end=lambda: disk.fill(leave=4096),
    )
    assert outcome.code == 2
    assert "the disk is full" in outcome.complaint
    assert outcome.complaint.endswith(f"; the picture is in {picture}")
    assert nst.load_image(picture).shape == (1, 3, 21, 32)
    assert sorted(file.name for file in disk.folder.iterdir()) == ["a.png", "filler"]


def test_where_no_place_takes_the_picture_it_is_said(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(disk.folder)
    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
    filler = disk.fill()
    with pytest.raises(ValueError, match=r"disk is full .*; nor could the finished picture be wri"):
        save_or_rescue(torch.rand(1, 3, 9, 9), "a.png")
    assert list(disk.folder.iterdir()) == [filler]
    filler.unlink()
    assert save_or_rescue(torch.rand(1, 3, 9, 9), "a.png") == Path("a.png")


def test_of_many_pictures_those_that_have_room_are_whole_and_the_rest_come_later(
    disk: SmallDisk,
    run: Run,
    thin_net: nst.Network,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(builders, "NETWORKS", {"vgg19": lambda **_: thin_net})
    monkeypatch.setattr(loading, "_networks", {})
    monkeypatch.chdir(tmp_path)  # where what finds no room is rescued to
    out = disk.folder / "out"
    words = ("sweep", "chelsea", "china", "--seed", "0..4", "-o", out, "--size", 128)
    words += ("--steps", 1, "--quiet", "--device", "cpu")
    filler = disk.fill(leave=100_000)
    outcome = run(*words)
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "the disk is full" in outcome.err
    there = {path: path.stat().st_mtime_ns for path in out.glob("0*.png")}
    assert 0 < len(there) < 5
    for path in there:
        assert settings_of_whole(path) is not None
    assert len([*tmp_path.glob("nst-rescued-*/*.png")]) <= 5 - len(there)
    filler.unlink()
    assert run(*words, "--resume").code == 0
    assert len([*out.glob("0*.png")]) == 5
    assert {path: path.stat().st_mtime_ns for path in there} == there, "nothing is done twice"
    assert not [*out.glob(".*")]
