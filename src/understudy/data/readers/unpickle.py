"""Pickles from outside, read without running anything they name.

A pickle is a program: it may call any function it can import. Here the only things it can reach
are stand-ins for numpy's array, dtype and scalar constructors, which collect bytes and are turned
into arrays afterwards, and builtin containers. Everything else is refused by name.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from understudy.data.readers import files
from understudy.types import UserError, require


class _Dtype:
    """Stands for ``numpy.dtype``: keeps the type string and byte order of plain types."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = str(name)[:16]
        self.order: Literal["<", ">", "|", "="] = "="

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = state[1]

    def build(self) -> np.dtype:
        """The dtype, if it is a plain one."""
        dtype = np.dtype(self.name).newbyteorder(self.order)
        require(
            dtype.kind in "biufSU", f"expected plain numbers or text, found dtype {self.name!r}"
        )
        return dtype


class _Array:
    """Stands for ``numpy.ndarray``: collects shape, dtype and bytes."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def build(self) -> np.ndarray:
        """The array, if its bytes fill its shape."""
        good = isinstance(self.state, tuple) and len(self.state) == 5
        require(good, "expected the state of an array, found something else")
        _, shape, dtype, fortran, data = self.state
        good = (
            isinstance(shape, tuple)
            and all(type(n) is int and n >= 0 for n in shape)
            and isinstance(dtype, _Dtype)
            and isinstance(data, bytes)
        )
        require(good, "expected an array of plain numbers or text, found Python objects")
        array = np.frombuffer(data, dtype.build())
        return array.reshape(shape, order="F" if fortran is True else "C")


class _Buffer:
    """Stands for numpy's ``_frombuffer``, by which protocol 5 writes arrays."""

    def __init__(self, data: Any = None, dtype: Any = None, shape: Any = None, *rest: Any) -> None:
        self.array = _Array()
        if isinstance(data, bytes | bytearray):
            data = bytes(data)
        self.array.state = (1, shape, dtype, bool(rest) and rest[0] == "F", data)

    def build(self) -> np.ndarray:
        """The array, if its bytes fill its shape."""
        return self.array.build()


class _Scalar:
    """Stands for a numpy scalar: a dtype and its bytes."""

    def __init__(self, dtype: Any = None, data: Any = None, *_: Any) -> None:
        self.dtype, self.data = dtype, data

    def build(self) -> np.ndarray:
        """A zero-dimensional array."""
        good = isinstance(self.dtype, _Dtype) and isinstance(self.data, bytes)
        require(good, "expected a number, found something else")
        return np.frombuffer(self.data, self.dtype.build()).reshape(())


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Stands for ``_codecs.encode``, by which old protocols write bytes."""
    require(isinstance(text, str) and encoding == "latin1", "expected bytes written as latin1")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): dict,
    **{
        (f"numpy.{core}.multiarray", name): stand_in
        for core in ("core", "_core")
        for name, stand_in in (("_reconstruct", _Array), ("scalar", _Scalar))
    },
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Buffer for core in ("core", "_core")},
}
_DAMAGE = (
    *files.DAMAGE, pickle.UnpicklingError, AttributeError, IndexError, KeyError, TypeError,
)  # fmt: skip


class _Unpickler(pickle._Unpickler):  # the Python one: the C one sizes its memo by the file's word
    allowed = _ALLOWED
    expected, instead = "arrays and plain containers", "save the arrays as .npz"

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise UserError(
                f"expected {self.expected}, found a pickle that wants {module}.{name}, "
                f"which is never run; {self.instead}"
            )
        return self.allowed[module, name]


class _Numbers(_Unpickler):
    allowed: ClassVar[dict[tuple[str, str], Any]] = {
        place: stand_in
        for place, stand_in in _ALLOWED.items()
        if stand_in in (_Dtype, _Scalar, _encode)
    }
    instead = "use a file that the program itself wrote"


def load(data: bytes, name: str) -> Any:
    """Read a pickle of builtin containers and numpy arrays.

    Raises:
        UserError: when the pickle is damaged or names anything else.
    """
    with files.reading(name, "a pickle of arrays", _DAMAGE):
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()


class _Lines(io.BytesIO):
    """Refuses half a line, which would be taken for a shorter name or number."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n"):
            raise EOFError("the file ends within a line")
        return line


class Torn(Exception):
    """The last of several pickles ends before it is whole."""


def records(data: bytes, name: str) -> Iterator[Any]:
    """Read pickles that were appended to one file: lists, tuples and numbers, each by itself.

    Numbers of numpy come as objects that `numbers` reads.

    Raises:
        UserError: for a pickle that is damaged or names anything else.
        Torn: after the whole ones, when the file ends within one.
    """
    stream = _Lines(data)
    while (first := stream.tell()) < len(data):
        try:
            with files.reading(name, f"a pickle of numbers at byte {first}", _DAMAGE):
                reader = _Numbers(stream, encoding="latin1")
                reader.expected = f"lists of numbers in {name}"
                record = reader.load()
        except UserError as error:
            if error.__cause__ is not None and stream.tell() >= len(data):
                raise Torn(f"at byte {first} of {len(data)}") from error
            raise
        yield record


def numbers(values: Any, name: str) -> np.ndarray:
    """A row of a record.

    Raises:
        UserError: for anything that is no number.
    """
    found = np.empty(len(values))
    with files.reading(name, "numbers", _DAMAGE):
        for i, value in enumerate(values):
            built = value.build() if isinstance(value, _Scalar) else value
            array = isinstance(built, np.ndarray) and built.dtype.kind in "iuf"
            require(
                array or type(built) in (int, float),
                f"expected numbers in {name}, found a {type(value).__name__.lstrip('_').lower()}",
            )
            found[i] = float(built)
    return found


def arrays(path: Path) -> Mapping[str, np.ndarray]:
    """Read a pickled dict of arrays (lists and numbers become arrays).

    Raises:
        UserError: when it is anything else.
    """
    content = load(files.content(path), str(path))
    require(
        isinstance(content, dict) and all(isinstance(key, str) for key in content),
        f"expected a dict of named arrays in {path}, found a {type(content).__name__}",
    )
    found = {}
    with files.reading(path, "a pickle of arrays", _DAMAGE):
        for key, value in content.items():
            if isinstance(value, _Array | _Buffer | _Scalar):
                found[key] = value.build()
            elif _plain(value) or (isinstance(value, list | tuple) and all(map(_plain, value))):
                found[key] = np.array(value)
    return found


def _plain(value: Any) -> bool:
    return type(value) in (int, float, str)
