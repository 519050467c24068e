"""Numbers of a CSV without a header, by a schema: what is wrong is said with its row and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from jaxtyping import Float, Shaped

from understudy.data.readers import files
from understudy.data.schema import Schema
from understudy.types import UserError, require

ODD = 1e-6
"""How far from 0 or 1 an entry of a one-hot section may be."""


def numbers(
    path: Path, schema: Schema
) -> tuple[Float[np.ndarray, "rows columns"], Shaped[np.ndarray, " rows"]]:
    """Numbers of a file, float64, and the session of each row, "" where it does not say.

    Raises:
        UserError: naming the row and column that is not a number, or not part of a one-hot section.
    """
    data, names = files.content(path), schema.columns
    head = next(csv.reader(io.StringIO(data[: 1 << 20].split(b"\n", 1)[0].decode("latin-1"))), [])
    require(
        len(head) == len(names),
        f"expected the {len(names)} columns of the schema in {path}, found {len(head)}; change one "
        "of them",
    )
    typed = pyarrow.csv.ConvertOptions(
        column_types={name: pa.string() if name == "session" else pa.float64() for name in names},
        strings_can_be_null=False, null_values=[],
    )  # fmt: skip
    reading = pyarrow.csv.ReadOptions(column_names=list(names))
    try:
        found = pyarrow.csv.read_csv(pa.BufferReader(data), reading, convert_options=typed)
    except pa.ArrowException as error:
        _complain(path, data, names)
        raise UserError(f"expected a CSV of numbers in {path}, found {error}") from error
    sessions = np.zeros(found.num_rows, str)
    if schema.session:
        sessions = np.asarray(found.column("session").to_pylist(), str)
        names = names[1:]
        empty = np.flatnonzero(np.char.strip(sessions) == "")
        require(
            not len(empty),
            f"expected a session in every row of {path}, found none in row "
            f"{empty[0] + 1 if len(empty) else 0}, column 1 (session)",
        )
    table = np.stack([found.column(name).to_numpy() for name in names], 1)
    with np.errstate(over="ignore"):
        bad = np.argwhere(~np.isfinite(table.astype(np.float32)))
    if len(bad):
        row, column = bad[0].tolist()
        raise UserError(
            _at(path, row, column, schema, table[row, column], "a finite number of 32 bits")
        )
    _check_sections(path, table, schema)
    return table, sessions


def _complain(path: Path, data: bytes, names: Sequence[str]) -> None:
    """Find the row and column that is not a number.

    Raises:
        UserError: naming it.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        column = data[: error.start].rsplit(b"\n", 1)[-1].count(b",")
        raise UserError(
            f"expected text in UTF-8 in {path}, found another encoding in row {row}, column "
            f"{column + 1} ({names[min(column, len(names) - 1)]}); save the file again as UTF-8"
        ) from None
    for row, cells in enumerate(csv.reader(io.StringIO(text))):
        require(
            not cells or len(cells) == len(names),
            f"expected {len(names)} columns in row {row + 1} of {path}, found {len(cells)}",
        )
        for column, cell in enumerate(cells):
            if names[column] == "session":
                continue
            try:
                float(cell)
            except ValueError:
                raise UserError(
                    f"expected a number in row {row + 1}, column {column + 1} ({names[column]}) of "
                    f"{path}, found {cell!r}; a log of transitions has no header and no text"
                ) from None


def _check_sections(path: Path, table: np.ndarray, schema: Schema) -> None:
    """Look whether every section is one-hot.

    Raises:
        UserError: naming the first row and column that is not.
    """
    begin, faults = 0, []
    for columns in (schema.state, schema.action, schema.state):
        first = begin
        for count in columns.sections:
            part = table[:, first : first + count]
            odd = (np.abs(part) > ODD) & (np.abs(part - 1) > ODD)
            wrong = odd.any(1) | (np.abs(part.sum(1) - 1) > ODD)
            if wrong.any():
                row = int(np.argmax(wrong))
                at = int(np.argmax(odd[row])) if odd[row].any() else 0
                faults.append((row, first + at, first, count))
            first += count
        begin += columns.size
    if not faults:
        return
    row, column, first, count = min(faults)
    last = first + count + schema.session
    span = f"columns {first + 1 + schema.session} to {last}"
    wanted = f"one 1 and else 0 in the one-hot section of {span}"
    value = table[row, column]
    if abs(value) <= ODD or abs(value - 1) <= ODD:
        value = f"a sum of {table[row, first : first + count].sum():g}"
    raise UserError(_at(path, row, column, schema, value, wanted))


def _at(path: Path, row: int, column: int, schema: Schema, value: Any, wanted: str) -> str:
    shown = column + schema.session
    value = value if isinstance(value, str) else f"{value:g}"
    return (
        f"expected {wanted}, found {value} in row {row + 1}, column {shown + 1} "
        f"({schema.columns[shown]}) of {path}"
    )
