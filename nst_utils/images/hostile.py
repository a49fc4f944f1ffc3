"""Small files that would cost minutes or gigabytes, refused before they are decoded.

Pillow and the libraries below it bound most of what a file can ask for. Here is what they leave
open: each costs far more to decode, or to read the tags of, than the file is long.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

# libtiff's limit for JPEG inside TIFF; encoders write about ten. Each goes over the whole picture.
MAX_SCANS = 100
MAX_SEGMENTS = 10_000  # of a JPEG; Pillow keeps an object for each
MAX_EXIF = 2**23  # bytes; a segment of a JPEG holds 2**16
MAX_VALUES = 1_000_000  # numbers in the tags of a TIFF; Pillow makes an object of each
MAX_DIRECTORIES = 10  # of tags; a photograph has up to four
MAX_COMMENTS = 1000  # in a PPM written as text; Pillow copies what follows each
_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd8\xff])")  # one that a length follows, or the end
_TIFF = re.compile(rb"II[*+]\0|MM\0[*+]")
_NUMBERS = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}  # bytes of each type
_DIRECTORIES = (34665, 34853, 40965)  # of EXIF, GPS, interoperability


def check(file: BinaryIO) -> int:
    """Raise ``ValueError``, whose text is the reason, for a file that must not be decoded.

    Returns how many scans a JPEG has, 0 for other files.
    """
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    if head.startswith(b"\xff\xd8"):
        return _check_jpeg(file.read())
    if head.startswith((b"P1", b"P2", b"P3")):
        blocks = iter(lambda: file.read(2**20), b"")
        if sum(block.count(b"#") for block in blocks) > MAX_COMMENTS:
            raise ValueError(f"it has more than {MAX_COMMENTS} comments")
    elif _TIFF.match(head):
        _check_tags(file, 0)
    elif head[4:8] == b"ftyp":  # AVIF, whose EXIF is read when it is opened
        content = file.read()
        for number, found in enumerate(_TIFF.finditer(content)):
            if number >= MAX_DIRECTORIES:
                raise ValueError("it has more EXIF data than any camera writes")
            _check_tags(io.BytesIO(content), found.start())
    return 0


def _check_jpeg(content: bytes) -> int:
    """Count what comes before the end of the first picture."""
    scans = segments = exif = 0
    at = 2
    while (found := _MARKER.search(content, at)) and found[1] != b"\xd9":
        begin = found.end()
        length = int.from_bytes(content[begin : begin + 2])
        scans += found[1] == b"\xda"
        segments += 1
        if found[1] == b"\xe1" and content.startswith(b"Exif", begin + 2):
            exif += length
        at = begin + length
        if scans > MAX_SCANS:
            raise ValueError(f"it has more than {MAX_SCANS} scans")
        if segments > MAX_SEGMENTS or exif > MAX_EXIF:
            raise ValueError("it has more segments or EXIF data than any camera writes")
    return scans


def _check_tags(file: BinaryIO, start: int) -> None:
    """Add up the numbers in the tags of a TIFF, or of EXIF, which is one, from ``start`` on."""
    length = file.seek(0, io.SEEK_END) - start
    total, seen, waiting = 0, set[int](), [-1]
    while waiting:
        directory = waiting.pop()
        if directory in seen:
            continue
        seen.add(directory)
        if len(seen) > MAX_DIRECTORIES:
            raise ValueError(f"its tags are in more than {MAX_DIRECTORIES} directories")
        for tag, kind, count, value in _entries(file, start, directory):
            if tag in _DIRECTORIES:
                waiting.append(value)
            elif kind in _NUMBERS and count * _NUMBERS[kind] <= length:  # else Pillow skips it
                total += count
    if total > MAX_VALUES:
        raise ValueError(f"its tags hold more than {MAX_VALUES:,} numbers")


def _entries(file: BinaryIO, start: int, directory: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and value of each entry; of the first directory where it is -1."""
    file.seek(start)
    head = file.read(16).ljust(16, b"\0")
    order, big = "<" if head[:2] == b"II" else ">", 43 in head[2:4]
    whole, counter, entry = ("Q", "Q", "HHQQ") if big else ("L", "H", "HHLL")
    if directory < 0:
        (directory,) = struct.unpack_from(order + whole, head, 8 if big else 4)
    if start + directory >= 2**63:
        return
    file.seek(start + directory)
    counted = file.read(struct.calcsize(order + counter))
    if len(counted) == struct.calcsize(order + counter):
        number = min(struct.unpack(order + counter, counted)[0], 2**16)
        size = struct.calcsize(order + entry)
        table = file.read(number * size)
        yield from struct.iter_unpack(order + entry, table[: len(table) // size * size])
