"""Outside files: finding them, unpacking them within a limit, and one place for what can be wrong.

Every reader opens its sources through this page, so that a damaged, hostile or misnamed file ends
in one sentence and never asks for more memory than the file can honestly fill.
"""

from __future__ import annotations

import glob
import gzip
import io
import lzma
import struct
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from understudy.types import UserError, require

Source: TypeAlias = str | Path
"""A file, a folder or a glob pattern."""

LIMIT = 4 * 2**30
"""Bytes one source may unpack to."""

DAMAGE = (
    ValueError, EOFError, OSError, OverflowError, MemoryError, RecursionError, RuntimeError,
    SyntaxError, struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError,
    tokenize.TokenError,
)  # fmt: skip
"""What the standard library and numpy raise on damaged bytes."""


@contextmanager
def reading(
    name: Source, what: str, damage: tuple[type[Exception], ...] = DAMAGE
) -> Iterator[None]:
    """Turn what a decoder raises on damaged bytes into one sentence about file `name`.

    Raises:
        UserError: in place of any exception in `damage`.
    """
    try:
        yield
    except UserError:
        raise
    except damage as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(
            f"expected {what} in {name}, found bytes that cannot be read as such ({reason}); "
            "fetch the file again or name the right reader"
        ) from error


def expand(sources: Source | Sequence[Source], suffixes: Iterable[str]) -> list[Path]:
    """List the files that `sources` name, in order, each once.

    Args:
        sources: A file, a folder (searched recursively for `suffixes`), a glob pattern, or a list.
        suffixes: Endings of the format's files, ``(".txt", ".txt.gz")``; used for folders only.

    Raises:
        UserError: when a source does not exist or holds nothing to read.
    """
    suffixes = tuple(suffixes)
    found: list[Path] = []
    for source in [sources] if isinstance(sources, str | Path) else sources:
        path = Path(source)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file())
            matches = [p for p in inside if p.name.lower().endswith(suffixes)]
            require(
                bool(matches),
                f"expected files ending in {', '.join(suffixes)} in folder {path}, found "
                f"{len(inside)} other files; name the files or another reader",
            )
        elif path.is_file():
            matches = [path]
        else:
            matches = [Path(m) for m in sorted(glob.glob(str(source), recursive=True))]
            matches = [m for m in matches if m.is_file()]
            require(bool(matches), f"expected a file, folder or pattern, found nothing at {source}")
        found += matches
    require(bool(found), "expected at least one source, found an empty list")
    return list(dict.fromkeys(found))


def names(paths: Sequence[Path]) -> list[str]:
    """Short names of files: relative to the folder they share, ``eth/test/biwi_eth.txt``."""
    folders = [path.resolve().parent.parts for path in paths]
    shared = 0
    while all(len(f) > shared for f in folders) and len({f[shared] for f in folders}) == 1:
        shared += 1
    return ["/".join((*f[shared:], p.name)) for f, p in zip(folders, paths, strict=True)]


def stem(name: str) -> str:
    """A file name without folders it keeps and without any of the endings readers know."""
    for ending in (".gz", ".7z", ".txt", ".json", ".npz", ".npy", ".csv", ".tsv", ".parquet"):
        name = name.removesuffix(ending)
    return name


def content(path: Path) -> bytes:
    """All bytes of a file, gunzipped if it starts like a gzip file.

    Raises:
        UserError: when the file is missing, empty, damaged or unpacks to more than `LIMIT`.
    """
    with reading(path, "a readable file"):
        data = path.read_bytes()
    require(bool(data), f"expected data in {path}, found an empty file; fetch it again")
    if data[:2] != b"\x1f\x8b":
        return data
    with reading(path, "gzip data"), gzip.open(io.BytesIO(data)) as stream:
        return unpacked(stream, path)


def unpacked(stream: Any, name: Source) -> bytes:
    """Read a decompressing stream to its end, but never more than `LIMIT`."""
    data = stream.read(LIMIT + 1)
    require(len(data) <= LIMIT, f"{name} unpacks to more than {LIMIT >> 30} GiB; cut it up")
    require(bool(data), f"expected data in {name}, found an empty archive; fetch it again")
    return data


def documents(path: Path, name: str, suffix: str) -> Iterator[tuple[str, bytes]]:
    """The (name, bytes) of a file, or of every member ending in `suffix` if it is a tar archive."""
    if not path.name.lower().endswith((".tar", ".tar.gz", ".tgz")):
        yield name, content(path)
        return
    inside = 0
    with (
        reading(path, "a tar archive"),
        tarfile.open(fileobj=io.BytesIO(content(path)), mode="r:") as archive,
    ):
        for member in archive:
            if member.isfile() and member.name.lower().endswith(suffix):
                stream = archive.extractfile(member)
                assert stream is not None, "a regular member has content"
                inside += 1
                yield member.name, unpacked(stream, f"{name}:{member.name}")
    require(bool(inside), f"expected files ending in {suffix} in {path}, found none")


def array(data: bytes, name: str) -> np.ndarray:
    """Decode one .npy file; never unpickles, never allocates more than `data` fills.

    Raises:
        UserError: when the header is damaged, promises another size, or asks for Python objects.
    """
    stream = io.BytesIO(data)
    with reading(name, "a .npy array"):
        version = np.lib.format.read_magic(stream)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        require(
            header, f"expected .npy version 1.0 or 2.0 in {name}, found {version}; save it again"
        )
        assert header is not None
        shape, fortran, dtype = header(stream)
    require(
        not dtype.hasobject,
        f"expected numbers or strings in {name}, found pickled Python objects, which are never "
        "loaded; save plain arrays",
    )
    require(dtype.names is None and dtype.kind in "biufSU", f"unsupported dtype {dtype} in {name}")
    size = dtype.itemsize
    for n in shape:
        size *= n  # Python integers: cannot overflow
    rest = data[stream.tell() :]
    require(
        all(n >= 0 for n in shape) and size == len(rest),
        f"expected {size} bytes for shape {shape} in {name}, found {len(rest)}; fetch it again",
    )
    if size == 0:
        return np.zeros(shape, dtype)
    with reading(name, "a .npy array"):
        return np.frombuffer(rest, dtype).reshape(shape, order="F" if fortran else "C")


def arrays(path: Path) -> dict[str, np.ndarray]:
    """Decode every array of an .npz archive, within `LIMIT` and without unpickling.

    Raises:
        UserError: when the archive or one of its arrays is damaged, or holds Python objects.
    """
    found = {}
    with (
        reading(path, "an .npz archive of arrays"),
        zipfile.ZipFile(io.BytesIO(content(path))) as archive,
    ):
        total = sum(info.file_size for info in archive.infolist())
        require(total <= LIMIT, f"{path} unpacks to more than {LIMIT >> 30} GiB; cut it up")
        for info in archive.infolist():
            with archive.open(info) as stream:
                key = info.filename.removesuffix(".npy")
                found[key] = array(stream.read(info.file_size + 1), f"{path}:{key}")
    require(bool(found), f"expected arrays in {path}, found an empty archive; fetch it again")
    return found
