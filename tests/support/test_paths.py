"""Files appear whole or not at all, and bundled files are found wherever the package lies."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from PIL import Image
from places import unprivileged

import nst_utils as nst
from nst_utils.networks.weights import load_weights
from nst_utils.support import paths
from nst_utils.support.paths import (
    check_writable,
    data_file,
    remove_leftovers,
    user_path,
    write_whole,
)


def test_a_bundled_file_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert data_file("catalog.json").is_file()
    assert data_file("catalog.json").is_absolute()


def test_a_wheels_own_data_come_before_those_beside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "nst_utils"
    for folder in (package / "data", tmp_path / "data"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(paths, "_PACKAGE", package)
    (tmp_path / "data" / "a.txt").write_text("checkout")
    assert data_file("a.txt").read_text() == "checkout"
    (package / "data" / "a.txt").write_text("wheel")
    assert data_file("a.txt").read_text() == "wheel"


@pytest.mark.parametrize("name", ["no-such-file.bin", "content"])
def test_a_missing_bundled_file_is_named(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"data/{name} is missing; install nst_utils again"):
        data_file(name)


def test_a_whole_file_appears_with_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    mask = os.umask(0o027)
    try:
        write_whole(path, lambda file: file.write(b"whole"))
        assert os.umask(0o027) == 0o027, "the umask was not put back"
    finally:
        os.umask(mask)
    assert path.read_bytes() == b"whole"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o777, 0o464])
def test_a_replaced_file_keeps_its_permissions(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)

    def write(file: BinaryIO) -> None:
        (temporary,) = set(tmp_path.iterdir()) - {path}
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600, "others can read what is private"
        file.write(b"new")

    write_whole(path, write)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_of_a_link_the_file_that_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to("far/a.txt")
    for _ in range(2):  # at first the link leads to nothing
        write_whole(tmp_path / "link", lambda file: file.write(b"whole"))
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "far" / "a.txt").read_bytes() == b"whole"
    shutil.rmtree(tmp_path / "far")
    with pytest.raises(FileNotFoundError, match=r"the folder \S*far does not exist; make it"):
        check_writable(tmp_path / "link")


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a longer text than the new one")
    write_whole(path, lambda file: file.write(b"new"))
    assert path.read_text() == "new"


def test_nobody_sees_half_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def write(file: BinaryIO) -> None:
        file.write(b"half")
        file.flush()
        assert path.read_bytes() == b"old"

    write_whole(path, write)
    assert path.read_bytes() == b"half"


ERRORS: list[tuple[BaseException, type[BaseException], str | None]] = [
    (
        OSError(errno.ENOSPC, "No space left"),
        ValueError,
        r"be written: the disk is full \(No space left\); make room or choose another path",
    ),
    (OSError(errno.EDQUOT, "Quota"), ValueError, "your share of the disk is used up"),
    (OSError(errno.EIO, "Input/output error"), ValueError, "Input/output error; choose another"),
    (OSError("the encoder failed"), ValueError, "the encoder failed"),
    (ValueError("too wide for this format"), ValueError, "too wide for this format"),
    (KeyboardInterrupt(), KeyboardInterrupt, None),
    (ZeroDivisionError("a bug"), ZeroDivisionError, "a bug"),
]


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize(("error", "expected", "message"), ERRORS)
def test_an_interrupted_write_changes_nothing(
    error: BaseException,
    expected: type[BaseException],
    message: str | None,
    exists: bool,
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.txt"
    if exists:
        path.write_bytes(b"old")

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(expected, match=message) as caught:
        write_whole(path, fail)
    if expected is ValueError:
        assert str(path) in str(caught.value)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([b"old"] if exists else [])


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow larger; the system refuses, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def swallowed(file: BinaryIO) -> None:
    with suppress(OSError):  # as a careless encoder does
        file.write(bytes(2_000_000))
    file.write(b"the end")


def picture(kind: str) -> Callable[[BinaryIO], object]:
    noise = Image.effect_noise((300, 300), 100)
    return lambda file: noise.save(file, kind)


WRITERS: dict[str, Callable[[BinaryIO], object]] = {
    "bytes": lambda file: file.write(bytes(2_000_000)),
    "torch": lambda file: torch.save({"a": torch.zeros(500_000)}, file),
    "swallowed": swallowed,
    "PNG": picture("PNG"),
    "TIFF": picture("TIFF"),
    "GIF": picture("GIF"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_the_system_refuses_is_a_sentence_whoever_writes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with (
        largest_file(50_000),
        pytest.raises(
            ValueError, match=r"a\.bin could not be written: no file may grow that large"
        ),
    ):
        write_whole(path, WRITERS[name])
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]
    write_whole(path, WRITERS[name])
    assert path.stat().st_size > 50_000


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_a_picture_of_which_only_the_end_does_not_fit_is_not_cut(kind: str, tmp_path: Path) -> None:
    """A system may write a part of what it is given, and say so by a number that is overlooked."""
    path = tmp_path / "a.bin"
    write = picture(kind)
    write_whole(path, write)
    whole = path.read_bytes()
    path.write_bytes(b"old")
    for missing in (1, 100, 4096):
        with (
            largest_file(len(whole) - missing),
            pytest.raises(ValueError, match="could not be written: no file may grow that large"),
        ):
            write_whole(path, write)
        assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


# A process that is killed.

SLOW_WRITER = """
import sys, time
from nst_utils.support.paths import write_whole

def write(file):
    file.write(b"half")
    file.flush()
    print("half", flush=True)
    time.sleep(60)

write_whole(sys.argv[1], write)
"""


def test_a_killed_process_leaves_the_old_file_and_what_can_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "a[1]*.txt"
    path.write_bytes(b"old")
    others = [tmp_path / other for other in (".nst-a", ".nst-a[1]*.txt-mine.part", "a1.txt")]
    for other in others:
        other.write_bytes(b"mine")
    kept = {*others, path}
    command = [sys.executable, "-c", SLOW_WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        (leftover,) = set(tmp_path.iterdir()) - kept
        assert leftover.name.startswith(".nst-a[1]*.txt-")
        remove_leftovers(path)
        assert leftover.exists(), "its process still writes it"
        writer.kill()
    assert path.read_bytes() == b"old"
    assert leftover.read_bytes() == b"half"
    remove_leftovers(tmp_path / "a.txt")
    assert leftover.exists(), "it belongs to another file"
    remove_leftovers(path)
    assert set(tmp_path.iterdir()) == kept
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["a.txt", "ä" * 120 + ".txt"])
def test_what_a_killed_process_left_goes_with_the_next_write(name: str, tmp_path: Path) -> None:
    temporaries: list[Path] = []
    for _ in range(2):
        write_whole(tmp_path / name, lambda file: temporaries.extend(tmp_path.glob("*.part")))
        assert list(tmp_path.iterdir()) == [tmp_path / name]
        temporaries[0].write_bytes(b"half")
    assert len(temporaries) == 2
    assert temporaries[0] != temporaries[1]


def test_several_may_write_the_same_file(tmp_path: Path) -> None:
    path, faults = tmp_path / "a.bin", []

    def write(number: int) -> None:
        try:
            for _ in range(30):
                write_whole(path, lambda file: file.write(bytes([number]) * 5000))
        except ValueError as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert len(path.read_bytes()) == 5000
    assert len(set(path.read_bytes())) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_vanishes_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.txt"
    path.parent.mkdir()
    with pytest.raises(ValueError, match=r"a\.txt could not be written: No such file"):
        write_whole(path, lambda file: shutil.rmtree(path.parent))
    with pytest.raises(FileNotFoundError, match="folder does not exist; make it"):
        write_whole(path, lambda file: file.write(b"whole"))
    path.parent.mkdir()
    write_whole(path, lambda file: file.write(b"whole"))
    assert path.read_bytes() == b"whole"


def test_a_file_that_becomes_a_folder_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(ValueError, match=r"a\.txt could not be written: Is a directory"):
        write_whole(path, lambda file: path.mkdir())
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_write_protected_is_left_alone() -> None:
    with unprivileged() as folder:
        path = folder / "a.txt"
        path.write_text("mine")
        path.chmod(0o444)
        for action in (check_writable, lambda path: write_whole(path, lambda file: None)):
            with pytest.raises(ValueError, match=r"a\.txt is write-protected; change its perm"):
                action(path)
        assert path.read_text() == "mine"
        path.unlink()
        folder.chmod(0o555)
        for action in (check_writable, lambda path: write_whole(path, lambda file: None)):
            with pytest.raises(ValueError, match=r"cannot write into \S+: Permission denied"):
                action(path)
        folder.chmod(0o700)
        write_whole(path, lambda file: file.write(b"whole"))
        (folder / "closed").mkdir(0o000)
        with pytest.raises(ValueError, match=r"cannot be used as a path \(Permission denied\)"):
            check_writable(folder / "closed" / "a.txt")


def test_a_power_cut_finds_the_old_file_or_the_whole_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content is on the disk before the name is, and the name before the call returns."""
    path, done = tmp_path / "a.txt", []
    sync, replace = os.fsync, Path.replace

    def fsync(number: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        sync(number)

    def rename(self: Path, target: Path) -> Path:
        done.append("name")
        assert self.read_bytes() == b"whole"
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    write_whole(path, lambda file: file.write(b"whole"))
    assert done == ["file", "name", "folder"]


def test_the_longest_name_that_the_system_takes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 251 + ".txt")
    write_whole(path, lambda file: file.write(b"whole"))
    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("missing/a.png", FileNotFoundError, "missing does not exist; make it"),
        ("folder", ValueError, "folder is a folder; name a file in it"),
        ("file/a.png", ValueError, "file is a file, not a folder; choose another"),
        ("file/b/a.png", FileNotFoundError, "b does not exist; make it"),
        ("pipe", ValueError, "pipe is no regular file; choose another"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused(
    place: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.rglob("*"))
    for action in (check_writable, lambda path: write_whole(path, lambda file: file.write(b""))):
        with pytest.raises(error, match=message):
            action(tmp_path / place)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "pipe").is_fifo()


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.png").write_bytes(b"old")
    check_writable(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["a.png", "~/a.png", "missing/a.png", "."])
def test_a_usable_name_is_only_expanded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path(name) == Path(name.replace("~", str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a" * 300, "File name too long"),
        ("~nobody-of-that-name/a.png", "home directory"),
        ("a\0b", "null"),
        ("a\ud800b", "surrogates not allowed"),
    ],
)
def test_a_name_that_no_file_can_have_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"cannot be used as a path .*{reason}") as caught:
        user_path(name)
    assert name[:60].replace("\ud800", r"\ud800") in str(caught.value)
    assert len(str(caught.value)) < 200
    str(caught.value).encode()  # or it could not be shown


def save(path: Any) -> None:
    nst.save_image(torch.rand(3, 9, 9), path)


TAKE_PATHS = [user_path, check_writable, load_weights, nst.vgg19, nst.Film((1,)).save, save]


class OddPath(os.PathLike[bytes]):
    def __fspath__(self) -> bytes:
        return b"a.png"


@pytest.mark.parametrize(
    "odd", [None, 3, 2.5, True, b"a.png", ["a.png"], OddPath(), object(), torch.zeros(2)]
)
@pytest.mark.parametrize("takes", [*TAKE_PATHS, remove_leftovers])
def test_what_is_no_path_is_a_sentence(odd: Any, takes: Callable[..., object]) -> None:
    with pytest.raises(
        ValueError, match=r"\A(a path|weights) must be a text or a pathlib\.Path, got"
    ):
        takes(odd)


@pytest.mark.parametrize("takes", [*TAKE_PATHS, nst.load_image])
def test_an_empty_path_is_a_sentence(takes: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="must name a file, but it is empty"):
        takes("")


def test_paths_of_other_kinds_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"old")
    (entry,) = os.scandir(tmp_path)
    assert user_path(entry) == tmp_path / "a.txt"
    write_whole(entry, lambda file: file.write(b"new"))
    assert (tmp_path / "a.txt").read_bytes() == b"new"


@pytest.mark.parametrize(
    "address",
    [
        *("https://example.org/a.jpg", "HTTP://example.org/a.jpg", "s3://bucket/a.jpg"),
        *("file:///home/me/a.jpg", Path("https://example.org/a.jpg")),
    ],
)
def test_an_address_is_no_path(address: str | Path) -> None:
    with pytest.raises(ValueError, match=r"\A\w+://\S+ is an address .*; download it first"):
        user_path(address)


@pytest.mark.parametrize("name", ["C:/a.jpg", "a:b.jpg", "what: a/b.jpg", "./http:/a.jpg"])
def test_other_names_with_a_colon_are_paths(name: str) -> None:
    assert user_path(name) == Path(name)
