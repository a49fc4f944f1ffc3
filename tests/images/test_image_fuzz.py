"""No file harms: damaged ones, bombs, devices give a picture or a sentence, soon and in bounds.

``benchmarks/fuzz_images.py`` does the same with tens of thousands of files.
"""

from __future__ import annotations

import io
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from picture_files import encoded, noisy, png
from picture_mutations import SETTINGS, mutated, photograph, seeds, verdict

from nst_utils.app.recipe_files import read_png
from nst_utils.app.recipes import from_json
from nst_utils.images import conversion, decoding
from nst_utils.images.files import load_image, resize

FILES = [(kind, number) for kind, files in seeds().items() for number in range(len(files))]
MAIN = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")


def refusal(content: bytes, size: int | None = None) -> str:
    """The sentence in which this file is refused, in less than two seconds of work and 100 MB."""
    begun, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"\Athe picture .*\Z") as caught:
        load_image(io.BytesIO(content), size)
    assert time.process_time() - begun < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 100_000  # KiB
    return str(caught.value)


# Damaged files.


@pytest.mark.parametrize(("kind", "number"), FILES)
def test_the_sound_files_are_pictures(kind: str, number: int) -> None:
    if (kind, number) not in ((SETTINGS, 0), ("PPM", 6)):  # of one impossible size; of a short row
        assert verdict(kind, seeds()[kind][number]) == "picture"


@pytest.mark.parametrize("kind", seeds())
def test_a_damaged_file_gives_a_picture_or_a_sentence(kind: str) -> None:
    said = []
    for number in range(100 if kind in MAIN else 40):
        begun = time.process_time()
        said.append(verdict(kind, mutated(kind, number, seed=1), (None, None, 32)[number % 3]))
        assert time.process_time() - begun < 5
    assert {"picture", "sentence"} == set(said), "too little damage, or too much"


@pytest.mark.parametrize("kind", [kind for kind in seeds() if kind != SETTINGS])
@settings(deadline=None, max_examples=10)
@given(data=st.data(), tail=st.binary(max_size=200))
def test_any_bytes_after_a_sound_beginning_give_a_picture_or_a_sentence(
    kind: str, data: st.DataObject, tail: bytes
) -> None:
    sound = data.draw(st.sampled_from(seeds()[kind]))
    verdict(kind, sound[: data.draw(st.integers(0, len(sound)))] + tail)


@settings(deadline=None, max_examples=60)
@given(
    width=st.integers(0, 2**32 - 1) | st.integers(0, 9),
    height=st.integers(0, 2**32 - 1) | st.integers(0, 9),
    bits=st.sampled_from([1, 2, 4, 8, 16, 3, 255]),
    color_type=st.sampled_from([0, 2, 3, 4, 6, 1, 255]),
    rows=st.binary(max_size=300),
)
@example(width=2, height=2, bits=8, color_type=2, rows=bytes(14))
def test_a_png_of_any_header_gives_a_picture_or_a_sentence(
    width: int, height: int, bits: int, color_type: int, rows: bytes
) -> None:
    verdict("PNG", png(width, height, bits, color_type, rows))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)


@settings(deadline=None, max_examples=50)
@given(
    key=st.sampled_from(["content", "preset", "size", "ratio", "factors", "init", "device", "x"]),
    value=JSON,
)
def test_any_settings_give_a_recipe_or_a_sentence(key: str, value: object) -> None:
    complaint = ""
    try:
        recipe = from_json(json.dumps({key: value}))
        assert from_json(recipe.to_json()) == recipe
    except ValueError as error:
        complaint = str(error)
    assert not complaint or complaint.startswith("its settings cannot be used (")
    assert "\n" not in complaint
    assert len(complaint) < 300


# Strips.


@pytest.mark.parametrize("kind", [kind for kind in seeds() if kind != SETTINGS])
def test_a_picture_read_in_strips_is_the_same_bit_for_bit(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in seeds()[kind]:
        whole = load_image(io.BytesIO(content))
        monkeypatch.setattr(conversion, "_STRIP", 7 * whole.shape[3])
        assert torch.equal(load_image(io.BytesIO(content)), whole)
        for size in (9, 80, (whole.shape[2], 17), (17, whole.shape[3]), (50, 3)):
            assert torch.equal(load_image(io.BytesIO(content), size), resize(whole, size))
        monkeypatch.undo()


_LOAD = """
import sys
from pathlib import Path
from nst_utils.images.files import load_image
def memory(name):  # not getrusage's, which begins with that of the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
load_image(sys.argv[2])  # loads what reading needs
before = memory("VmRSS")
shape = load_image(sys.argv[1]).shape
print(*shape, memory("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units")
def test_a_large_picture_takes_hardly_more_memory_than_its_tensor(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png(4000, 6000, rows=bytes((1 + 3 * 4000) * 6000)))
    (tmp_path / "small.png").write_bytes(png(4, 6, rows=bytes((1 + 3 * 4) * 6)))
    command = [sys.executable, "-c", _LOAD, str(path), str(tmp_path / "small.png")]
    done = subprocess.run(command, capture_output=True, text=True)
    *shape, taken = done.stdout.split()
    assert shape == ["1", "3", "6000", "4000"], done.stderr
    assert int(taken) < 1.25 * 4 * 3 * 6000 * 4000


# Bombs.


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def text_chunk(name: bytes, length: int) -> bytes:
    return chunk(b"zTXt", name + b"\0\0" + zlib.compress(bytes(length)))


def png_with(*chunks: bytes) -> bytes:
    """A sound PNG with chunks after its header."""
    sound = encoded(noisy(), "PNG")
    return sound[:33] + b"".join(chunks) + sound[33:]


def jpeg_with(segments: bytes, scans: int = 0) -> bytes:
    """A sound progressive JPEG with segments at its beginning and its last scan repeated."""
    sound = encoded(noisy(), "JPEG", progressive=True)
    last = sound[sound.rfind(b"\xff\xda") : -2]
    return sound[:2] + segments + sound[2:-2] + last * scans + sound[-2:]


def exif_segments(numbers: int) -> bytes:
    """EXIF whose resolution is so many fractions, in as many segments as that takes."""
    entries = struct.pack("<HHHII", 1, 0x11A, 5, numbers, 26) + bytes(4)
    exif = b"II*\0" + struct.pack("<I", 8) + entries + bytes([1, 0, 0, 0]) * (2 * numbers)
    parts = [b"Exif\0\0" + exif[i : i + 65_000] for i in range(0, len(exif), 65_000)]
    return b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)


def tiff_with(tag: int, kind: int, count: int, value: int, tail: bytes = b"") -> bytes:
    """A sound TIFF of 4x4 px, 8 bits gray, with one more tag and something behind it."""
    short = {256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 277: 1, 278: 4, 279: 16}
    entries = [struct.pack("<HHIHH", key, 3, 1, number, 0) for key, number in short.items()]
    pixels_at = 8 + 2 + 12 * (len(short) + 2) + 4
    entries.append(struct.pack("<HHII", 273, 4, 1, pixels_at))
    entries.append(struct.pack("<HHII", tag, kind, count, value or pixels_at + 16))
    table = struct.pack("<H", len(entries)) + b"".join(sorted(entries)) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + table + bytes(16) + tail


def exif_directory(count: int) -> bytes:
    """What tag 34665 of ``tiff_with`` points to: a directory with so many fractions."""
    start = 8 + 2 + 12 * 10 + 4 + 16
    directory = struct.pack("<HHHII", 1, 33_434, 5, count, start + 18) + bytes(4)
    return directory + bytes([1, 0, 0, 0]) * (2 * count)


def many_directories(number: int, at: int) -> bytes:
    """A directory at that place that points to so many others, which are empty."""
    entries = [struct.pack("<HHII", 34_665, 4, 1, 10**6 + i) for i in range(number)]
    return struct.pack("<H", number) + b"".join(entries) + bytes(10**6)


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "PNG, size": (lambda: png(2**31 - 1, 2**31 - 1), "scale it down first"),
    "PNG, side": (lambda: png(100_001, 2), "a side of more than the 100,000 pixels"),
    "PNG, text": (
        lambda: png_with(*[text_chunk(b"%d" % i, 2**20) for i in range(99)]),
        "is damaged",
    ),
    "PNG, profile": (
        lambda: png_with(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**8)))),
        "is damaged",
    ),
    "PNG, EXIF": (
        lambda: png_with(chunk(b"eXIf", b"II*\0" + bytes(2**23))),
        "EXIF data are larger",
    ),
    "GIF, screen": (
        lambda: b"GIF89a" + b"\xff\xff\xff\xff" + encoded(photograph(), "GIF")[10:],
        "scale it down first",
    ),
    "BMP, header": (
        lambda: encoded(noisy(), "BMP")[:14] + b"\xff\xff\xff\x7f" + bytes(99),
        "is damaged",
    ),
    "BMP, runs": (
        lambda: seeds()["BMP"][-1].replace(
            struct.pack("<ii", 8, 2), struct.pack("<ii", 9999, 9999)
        ),
        "more than the 10,000,000 pixels that are read in this kind of file",
    ),
    "JPEG, scans": (lambda: jpeg_with(b"", scans=200), "more than 100 scans"),
    "JPEG, EXIF": (lambda: jpeg_with(exif_segments(1_100_000)), "more segments or EXIF data"),
    "JPEG, segments": (lambda: jpeg_with(b"\xff\xe5\0\2" * 10_000), "more segments or EXIF data"),
    "TIFF, tile": (
        lambda: tiff_with(322, 4, 1, 2**16).replace(
            struct.pack("<HHIHH", 278, 3, 1, 4, 0), struct.pack("<HHIHH", 323, 3, 1, 2**15, 0)
        ),
        "more than the 100,000,000 pixels that are read",
    ),
    "TIFF, numbers": (
        lambda: tiff_with(33_434, 4, 1_000_001, 0, bytes(4_000_004)),
        "its tags hold more",
    ),
    "TIFF, EXIF": (
        lambda: tiff_with(34_665, 4, 1, 0, exif_directory(1_000_001)),
        "its tags hold more",
    ),
    "TIFF, tile that is text": (
        lambda: tiff_with(322, 2, 2**16, 0, bytes(2**16)).replace(
            struct.pack("<HHIHH", 278, 3, 1, 4, 0), struct.pack("<HHII", 323, 4, 1, 2**31)
        ),
        "its tiles have no size",
    ),
    "TIFF, directories": (
        lambda: tiff_with(34_665, 4, 1, 150, many_directories(20, 150)),
        "more than 10 directories",
    ),
    "AVIF, EXIF": (lambda: bytes(4) + b"ftypavif" + b"II*\0" * 99, "more EXIF data than any"),
    "PPM, comments": (lambda: b"P2 10 10 255\n" + b"#\n" * 500_000, "more than 1000 comments"),
    "PPM, numbers": (lambda: b"P6 5000 5000 9\n" + bytes(99), "10,000,000 pixels"),
    "WebP, size": (
        lambda: encoded(noisy(), "WEBP", lossless=True)[:20] + b"\x2f\xff\xff\xff\x0f" + bytes(99),
        "",
    ),
    "ICO, length": (lambda: b"\0\0\1\0\xff\xff" + bytes(16 * 65_535), "is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_at_once(name: str) -> None:
    content, complaint = BOMBS[name][0](), BOMBS[name][1]
    assert complaint in refusal(content)


def test_what_is_just_not_a_bomb_is_a_picture() -> None:
    for content in (
        jpeg_with(exif_segments(1000), scans=50),
        tiff_with(33_434, 4, 1000, 0, bytes(4000)),
        tiff_with(34_665, 4, 1, 0, exif_directory(100)),
        png_with(text_chunk(b"a", 2**19)),
        b"P2\n" + b"# a line\n" * 900 + b"2 2 255 1 2 3 4",
    ):
        assert verdict("PNG", content) == "picture"


@pytest.mark.parametrize(
    ("content", "limit"),
    [
        (lambda: encoded(noisy(20, 30), "PNG"), 600),
        (lambda: encoded(noisy(20, 30), "JPEG"), 600),
        (lambda: encoded(noisy(20, 30), "JPEG", progressive=True), 1200),
        (lambda: encoded(noisy(20, 30), "WEBP"), 1200),
        (lambda: encoded(noisy(20, 30), "JPEG2000"), 1200),
        (lambda: b"P6 20 30 9\n" + bytes(1800), 6000),
        (lambda: encoded(noisy(20, 30), "SGI", bpc=2), 6000),
    ],
)
def test_each_kind_has_its_limit_of_pixels(
    content: Callable[[], bytes], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_PIXELS", limit)
    assert load_image(io.BytesIO(content())).shape == (1, 3, 30, 20)
    monkeypatch.setattr(decoding, "MAX_PIXELS", limit - 1)
    assert "pixels that are read" in refusal(content())


def test_an_icon_that_hides_a_large_picture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = encoded(noisy(100, 100), "PNG")
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(hidden), 22)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 9999)
    assert "9,999 pixels" in refusal(struct.pack("<HHH", 0, 1, 1) + entry + hidden)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_of_thousands_of_frames_only_the_first_is_read(kind: str) -> None:
    frames = [noisy(4, 4, seed) for seed in range(1000)]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    begun = time.process_time()
    assert load_image(io.BytesIO(content)).shape == (1, 3, 4, 4)
    assert time.process_time() - begun < 0.5


def test_a_tiff_whose_directories_run_in_a_circle_is_a_picture() -> None:
    content = bytearray(tiff_with(34_665, 4, 1, 8))  # its EXIF are the directory itself
    content[8 + 2 + 12 * 10 : 8 + 2 + 12 * 10 + 4] = struct.pack("<I", 8)  # so is the next one
    assert verdict("TIFF", bytes(content)) == "picture"


@pytest.mark.parametrize(("kind", "limit"), [("PNG", 10), ("WEBP", 1), ("JPEG2000", 1)])
def test_a_file_of_too_many_bytes_is_refused(
    kind: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded(noisy(), kind)
    monkeypatch.setattr(decoding, "MAX_BYTES", len(content) * 10 // limit)
    assert verdict(kind, content) == "picture"
    monkeypatch.setattr(decoding, "MAX_BYTES", (len(content) - 1) * 10 // limit)
    assert "bytes that are read" in refusal(content)


@pytest.mark.parametrize("size", [(10, 9_000_000), (9_000_000, 12), 12_000])
def test_a_size_that_would_take_gigabytes_on_the_way_is_refused(
    size: int | tuple[int, int],
) -> None:
    """The result alone would fit; what lies between rows and columns would not."""
    with pytest.raises(ValueError, match=r"\Asize .* choose a smaller one\Z"):
        load_image(io.BytesIO(encoded(noisy(20, 25), "PNG")), size)


# What is no file.


def test_pipes_sockets_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.png"))
        for path in (tmp_path / "pipe.png", tmp_path / "socket.png", Path("/dev/zero")):
            with pytest.raises(ValueError, match=f"{path} is no regular file; name a picture"):
                load_image(path)
            with pytest.raises(ValueError, match=f"{path} is not a PNG that can be read"):
                read_png(path)


def test_a_file_that_cannot_be_read_from_its_beginning_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(noisy(), "PNG"))
    reader, writer = os.pipe()
    closed = (tmp_path / "a.png").open("rb")
    closed.close()
    with (
        os.fdopen(reader, "rb") as pipe,
        os.fdopen(writer, "wb"),
        (tmp_path / "a.png").open() as text,
    ):
        for source in (pipe, closed, text, None, 5, b"bytes"):
            with pytest.raises(ValueError, match=r"cannot be read from its beginning; give a path"):
                load_image(source)  # type: ignore[arg-type]
