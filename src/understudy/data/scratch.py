"""Arrays larger than memory: scratch files mapped into memory that vanish with their last user.

The file is unlinked as soon as it is mapped, so its space is freed when the array is dropped and
also when the process is killed. Space is reserved at once: a full disk is an error here, not a
crash at the first write. The files lie in ``TMPDIR``.
"""

from __future__ import annotations

import errno
import math
import os
import tempfile
from collections.abc import Iterator

import numpy as np

from understudy.types import UserError

SMALL_BYTES = 2**24
"""Results of at most this many bytes stay in memory although their source is mapped."""
CHUNK_BYTES = 2**26
"""Work on mapped arrays goes in pieces of about this size."""


def empty(shape: tuple[int, ...], dtype: np.dtype, *, mapped: bool) -> np.ndarray:
    """Return an uninitialised array: in memory, or in a mapped scratch file if `mapped`.

    Raises:
        UserError: if the scratch folder has no room.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if not mapped or size <= SMALL_BYTES:
        return np.empty(shape, dtype)
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder, prefix="understudy-") as file:
            _reserve(file.fileno(), size)
            return np.memmap(file, dtype=dtype, mode="r+", shape=shape)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise
        raise UserError(
            f"expected {size / 1e6:,.1f} MB of scratch space in {folder}, found the disk full; "
            "free some space or point TMPDIR at a larger disk"
        ) from error


def _reserve(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    zeros = bytes(2**20)
    for begin in range(0, size, len(zeros)):
        os.write(file, zeros[: size - begin])


def is_mapped(array: np.ndarray) -> bool:
    """True if `array` lies in a file rather than in memory."""
    return isinstance(array, np.memmap)


def pieces(rows: int, array: np.ndarray, size: int = CHUNK_BYTES) -> Iterator[slice]:
    """Cut ``range(rows)`` into slices of about `size` bytes of rows like those of `array`."""
    width = max(1, array.dtype.itemsize * math.prod(array.shape[1:]))
    size = max(1, size // width)
    for begin in range(0, rows, size):
        yield slice(begin, min(rows, begin + size))


def take(array: np.ndarray, rows: slice | np.ndarray) -> np.ndarray:
    """Return ``array[rows]``: a view of a slice, else a copy that lies where `array` lies."""
    if isinstance(rows, slice) or not is_mapped(array):
        return array[rows]
    result = empty((len(rows), *array.shape[1:]), array.dtype, mapped=True)
    for piece in pieces(len(rows), array):
        result[piece] = array[rows[piece]]
    return result
