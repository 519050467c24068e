"""The one file inside a ``.7z`` archive, in memory and within a limit."""

from __future__ import annotations

import io
from pathlib import Path

import py7zr
import py7zr.exceptions
import py7zr.io

from understudy.data.readers import files
from understudy.types import require

DAMAGE = (
    *files.DAMAGE, py7zr.exceptions.ArchiveError, py7zr.exceptions.PasswordRequired,
    py7zr.exceptions.AbsolutePathError, AssertionError, AttributeError, IndexError, KeyError,
    TypeError,
)  # fmt: skip
"""py7zr meets damaged headers with exceptions of the interpreter, too."""


def single(path: Path, suffix: str) -> bytes:
    """Bytes of the first member of `path` that ends in `suffix`.

    Raises:
        UserError: when the archive is damaged, holds none, or unpacks to more than the limit.
    """
    data = files.content(path)
    with (
        files.reading(path, "a 7z archive", DAMAGE),
        py7zr.SevenZipFile(io.BytesIO(data)) as opened,
    ):
        members = [m for m in opened.list() if m.filename.lower().endswith(suffix)]
        require(bool(members), f"expected a file ending in {suffix} in {path}, found none")
        member = members[0]
        require(
            member.uncompressed <= files.LIMIT,
            f"{path} unpacks to more than {files.LIMIT >> 30} GiB; cut it up",
        )
        factory = py7zr.io.BytesIOFactory(member.uncompressed)
        opened.extract(targets=[member.filename], factory=factory)
        return factory.get(member.filename).read()
