"""Collect the photographs on which the mean activations are measured.

``photographs.txt`` lists them: SHA-256, package and path inside it, separated by tabs. They come
out of two Debian packages and two wheels and are not part of this repository. For example:

    apt-get download gcompris-qt-data=3.1-2 palapeli-data=4:22.12.3-1
    pip download --no-deps scikit-image==0.26.0 scikit-learn==1.9.1
    python data/weights/collect_photographs.py PHOTOS *.deb *.whl
"""

from __future__ import annotations

import argparse
import hashlib
import io
import struct
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("photographs.txt")


@dataclass(frozen=True)
class Photograph:
    """A line of the list; ``path`` is ``file``, or ``bundle.rcc!file`` for a Qt resource bundle."""

    number: int
    sha256: str
    package: str
    path: str

    @property
    def file_name(self) -> str:
        """The name it gets in the output folder; sorting by name gives the order of the list."""
        return f"{self.number:03d}-{self.path.rpartition('/')[2]}"


def read_list(path: Path = LIST) -> list[Photograph]:
    """The photographs of a list, in its order; lines that begin with # are comments."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [Photograph(number, *row) for number, row in enumerate(rows, start=1)]


def read_members(source: Path, wanted: set[str]) -> dict[str, bytes]:
    """Those of the wanted files that are in a folder, a .deb or a .whl: path -> content."""
    if source.is_dir():
        found = [name for name in wanted if (source / name).is_file()]
        return {name: (source / name).read_bytes() for name in found}
    if source.suffix == ".whl":
        with zipfile.ZipFile(source) as wheel:
            return {name: wheel.read(name) for name in wanted & set(wheel.namelist())}
    if source.suffix == ".deb":
        with tarfile.open(fileobj=io.BytesIO(_data_of_deb(source.read_bytes()))) as archive:
            members = {member.name.removeprefix("./"): member for member in archive}
            files = {name: archive.extractfile(members[name]) for name in wanted & set(members)}
            return {name: file.read() for name, file in files.items() if file}
    raise ValueError(f"{source} is no folder, .deb or .whl; give one of these")


def _data_of_deb(deb: bytes) -> bytes:
    """The data.tar of a .deb, which is an ``ar`` archive: 60-byte headers, even offsets."""
    offset = 8
    while offset + 60 <= len(deb):
        name, size = deb[offset : offset + 16], int(deb[offset + 48 : offset + 58])
        if name.startswith(b"data.tar"):
            return deb[offset + 60 : offset + 60 + size]
        offset += 60 + size + size % 2
    raise ValueError("there is no data.tar in the .deb; download it again")


def read_bundle(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of a Qt resource bundle (.rcc): path and content, which is left compressed if so.

    A node is (name, flags, count, first child) for a folder and (name, flags, locale, data) for a
    file; all integers are big-endian.
    """
    magic, version, tree, data, names = struct.unpack_from(">4s4I", bundle)
    if magic != b"qres":
        raise ValueError("this is not a Qt resource bundle; unpack the package again")
    node_size = 14 if version == 1 else 22

    def walk(node: int, folder: str) -> Iterator[tuple[str, bytes]]:
        name_at, flags, first, second = struct.unpack_from(">IHII", bundle, tree + node * node_size)
        (length,) = struct.unpack_from(">H", bundle, names + name_at)
        start = names + name_at + 6
        name = bundle[start : start + 2 * length].decode("utf-16-be") if node else ""
        path = f"{folder}/{name}" if folder else name
        if flags & 2:
            for child in range(second, second + first):
                yield from walk(child, path)
        else:
            (size,) = struct.unpack_from(">I", bundle, data + second)
            yield path, bundle[data + second + 4 : data + second + 4 + size]

    yield from walk(0, "")


def collect(photographs: Sequence[Photograph], sources: Sequence[Path]) -> dict[str, bytes]:
    """The contents of the photographs by SHA-256; the first source that has a file wins."""
    wanted = {photograph.path.partition("!")[0] for photograph in photographs}
    contents: dict[str, bytes] = {}
    for source in sources:
        members = read_members(source, wanted - set(contents))
        contents.update(members)
        for name, content in members.items():
            if name.endswith(".rcc"):
                contents.update({f"{name}!{path}": data for path, data in read_bundle(content)})
    collected = {}
    for photograph in photographs:
        if photograph.path not in contents:
            raise ValueError(f"{photograph.path} is in no source; give {photograph.package} too")
        content = contents[photograph.path]
        if hashlib.sha256(content).hexdigest() != photograph.sha256:
            raise ValueError(f"{photograph.path} differs; give {photograph.package} exactly")
        collected[photograph.sha256] = content
    return collected


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the listed photographs into a folder, unchanged."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path, help="folder for the photographs; made if missing")
    parser.add_argument(
        "sources", type=Path, nargs="+", help=".deb or .whl files, or folders they are unpacked in"
    )
    options = parser.parse_args(arguments)
    photographs = read_list()
    try:
        contents = collect(photographs, options.sources)
        options.output.mkdir(parents=True, exist_ok=True)
        for photograph in photographs:
            (options.output / photograph.file_name).write_bytes(contents[photograph.sha256])
    except (OSError, ValueError, tarfile.TarError, zipfile.BadZipFile, struct.error) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(f"{len(photographs)} photographs in {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
