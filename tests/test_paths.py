"""Files appear whole or not at all, and bundled files are found wherever the package lies."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from nst_utils import paths
from nst_utils.paths import check_writable, data_file, user_path, write_whole


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
    (OSError(28, "No space left on device"), ValueError, "No space left on device"),
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


def test_a_folder_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    if os.geteuid() == 0:  # root may write everywhere

        def refuse(**_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    else:
        folder.chmod(0o555)
    with pytest.raises(ValueError, match=r"cannot write into .*locked \(Permission denied\)"):
        check_writable(folder / "a.png")


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
    ],
)
def test_a_name_that_no_file_can_have_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"cannot be used as a path .*{reason}") as caught:
        user_path(name)
    assert name[:60] in str(caught.value)
    assert len(str(caught.value)) < 200
