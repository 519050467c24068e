"""Columns of CSV, TSV and Parquet files as numbers and names, through pyarrow."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from jaxtyping import Bool, Float

from understudy.data.readers import files
from understudy.data.readers.tracks import Coded
from understudy.types import UserError, require

DAMAGE = (*files.DAMAGE, pa.ArrowException, KeyError, TypeError, IndexError)
ROWS = 2**28
"""Most rows of one table."""


def _delimiter(path: Path, data: bytes) -> str:
    head = data.split(b"\n", 1)[0]
    if path.name.lower().endswith((".txt", ".txt.gz")):
        return " "
    return "\t" if head.count(b"\t") > head.count(b",") else ","


def names(path: Path) -> list[str]:
    """Names of a table's columns; those of the raw SDD text, which has none.

    Raises:
        UserError: when the table is damaged.
    """
    if path.name.lower().endswith((".txt", ".txt.gz")):
        from understudy.data.readers.table import HEADLESS

        return list(HEADLESS)
    return list(Table(path).names)


class Table:
    """A table on disk of which single columns are decoded when asked for."""

    def __init__(self, path: Path, headless: Sequence[str] = ()) -> None:
        """Open `path`; `headless` names the columns of a text without a header."""
        self.path = path
        self.rows: int | None = None  # known with the first column
        data = files.content(path)
        with files.reading(path, "a table", DAMAGE):
            if data[:4] == b"PAR1":
                opened = pq.ParquetFile(pa.BufferReader(data))
                rows = opened.metadata.num_rows
                self.names: Sequence[str] = opened.schema_arrow.names
                self._load = functools.partial(self._parquet, opened)
            else:
                rows = data.count(b"\n")
                parse = pyarrow.csv.ParseOptions(delimiter=_delimiter(path, data))
                read = pyarrow.csv.ReadOptions(column_names=list(headless) or None)
                stream = pyarrow.csv.open_csv(pa.BufferReader(data), read, parse)
                self.names = stream.schema.names
                self._load = functools.partial(self._csv, data, read, parse)
        require(0 < rows <= ROWS, f"expected 1 to {ROWS} rows in {path}, found {rows}")
        require(
            len(set(self.names)) == len(self.names),
            f"expected columns of different names in {path}, found one twice",
        )

    def _parquet(self, opened: pq.ParquetFile, name: str) -> pa.ChunkedArray:
        return opened.read(columns=[name]).column(name)

    def _csv(
        self,
        data: bytes,
        read: pyarrow.csv.ReadOptions,
        parse: pyarrow.csv.ParseOptions,
        name: str,
    ) -> pa.ChunkedArray:
        convert = pyarrow.csv.ConvertOptions(include_columns=[name], strings_can_be_null=True)
        table = pyarrow.csv.read_csv(pa.BufferReader(data), read, parse, convert)
        return table.column(name)

    @functools.cache  # noqa: B019 - a table lives as long as one file is read
    def column(self, name: str) -> pa.ChunkedArray:
        """One column.

        Raises:
            UserError: when there is none of that name, or it is damaged.
        """
        if name not in self.names:
            raise UserError(
                f"expected a column {name!r} in {self.path}, found {', '.join(self.names[:12])}; "
                "name it with columns={...}"
            )
        with files.reading(self.path, f"a column {name!r}", DAMAGE):
            column = self._load(name)
            column.validate(full=True)
            if pa.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
        self.rows = len(column) if self.rows is None else self.rows
        require(
            len(column) == self.rows,
            f"expected {self.rows} rows in column {name!r} of {self.path}, found {len(column)}; "
            "fetch the file again",
        )
        return column

    def numbers(self, columns: Iterable[str]) -> Float[np.ndarray, " rows"]:
        """The mean of columns as numbers; NaN where empty.

        Raises:
            UserError: when one is not numeric.
        """
        found = []
        for name in columns:
            with files.reading(self.path, f"numbers in column {name!r}", DAMAGE):
                found.append(self.column(name).cast(pa.float64()).to_numpy())
        return np.mean(found, axis=0)

    def absent(self, name: str) -> Bool[np.ndarray, " rows"]:
        """True where a column is empty."""
        return self.column(name).is_null(nan_is_null=True).to_numpy()

    def text(self, columns: Sequence[str]) -> Coded:
        """Columns as names, joined by ``_``; whole numbers without a decimal point, "" if empty.

        Raises:
            UserError: when a column cannot be text.
        """
        if not columns:
            rows = len(self.column(self.names[0]))
            return Coded(np.zeros(rows, np.int64), [""])
        result = self._text(columns[0])
        for name in columns[1:]:
            other = self._text(name)
            both = result.codes * len(other.names) + other.codes
            pairs, codes = np.unique(both, return_inverse=True)
            joined = [
                f"{result.names[p // len(other.names)]}_{other.names[p % len(other.names)]}"
                for p in pairs.tolist()
            ]
            result = Coded(codes, joined)
        return result

    def _text(self, name: str) -> Coded:
        with files.reading(self.path, f"names in column {name!r}", DAMAGE):
            words = self.column(name).cast(pa.string())
            coded = pc.fill_null(words, "").dictionary_encode().combine_chunks()
            if isinstance(coded, pa.ChunkedArray):
                coded = coded.chunk(0)
            names = [str(word).removesuffix(".0") for word in coded.dictionary.to_pylist()]
            return Coded(coded.indices.to_numpy().astype(np.int64), names)
