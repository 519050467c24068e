"""The columns of a demonstration set on disk, and the way from arrays to them and back.

One row per episode and step: ``episode`` and ``step`` (int32), then for slot 0 of a group named
``player`` the observation ``player/0`` (a list of fixed size), its presence ``player/0/alive``
and, where recorded, ``player/0/action``, ``action_known``, ``reward``, ``legal`` and ``intent``;
``state``, ``terminated`` and ``truncated`` once per row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from understudy.data.demonstrations import Demonstrations
from understudy.data.layout import ROW_GROUPS, ROWS, TYPES, shapes
from understudy.types import Spec, UserError, require

_SUFFIX = {
    "features": "",
    "alive": "/alive",
    "actions": "/action",
    "action_known": "/action_known",
    "rewards": "/reward",
    "legal": "/legal",
    "intents": "/intent",
}


class Column(NamedTuple):
    """One column: the slot of a group in a field, or a whole field."""

    name: str
    field: str
    group: str | None
    slot: int
    width: int | None
    """Values per row; None for a single one."""

    @property
    def type(self) -> pa.DataType:
        """Its type in Arrow."""
        inner = pa.from_numpy_dtype(TYPES[self.field])
        return inner if self.width is None else pa.list_(inner, self.width)


def columns(spec: Spec, fields: tuple[str, ...]) -> list[Column]:
    """List the columns in order; a field without values per row has none."""
    found = []
    for (field, group), (shape, _) in shapes(spec, fields, 0).items():
        if group is None:
            found.append(Column(field, field, None, 0, shape[-1] if len(shape) > 1 else None))
            continue
        width = shape[2] if len(shape) > 2 else None
        found += [
            Column(f"{group}/{slot}{_SUFFIX[field]}", field, group, slot, width)
            for slot in range(spec[group].agents)
        ]
    return [column for column in found if column.width != 0]


def schema(spec: Spec, fields: tuple[str, ...]) -> pa.Schema:
    """The Arrow schema of the shards of a set."""
    return pa.schema(
        [
            ("episode", pa.int32()),
            ("step", pa.int32()),
            *((column.name, column.type) for column in columns(spec, fields)),
        ]
    )


def to_table(d: Demonstrations, fields: tuple[str, ...], first_episode: int) -> pa.Table:
    """Lay `d` out in columns; its first episode gets the number `first_episode`."""
    lengths = d.lengths
    arrays = [
        pa.array(
            np.repeat(np.arange(d.episodes, dtype=np.int32) + np.int32(first_episode), lengths)
        ),
        pa.array((np.arange(d.frames) - np.repeat(d.starts[:-1], lengths)).astype(np.int32)),
    ]
    for column in columns(d.spec, fields):
        values = value(d, column.field)
        values = values if column.group is None else values[column.group][:, column.slot]
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        arrays.append(
            flat if column.width is None else pa.FixedSizeListArray.from_arrays(flat, column.width)
        )
    return pa.Table.from_arrays(arrays, schema=schema(d.spec, fields))


def value(d: Demonstrations, field: str) -> Any:
    """A field of `d`; what is None is filled in by the rule that stands for None."""
    if field == "action_known":
        return d.known_actions()
    found = getattr(d, field)
    return np.zeros(d.frames, bool) if found is None else found


def fill(arrays: Mapping[Any, np.ndarray], spec: Spec, table: pa.Table) -> None:
    """Copy a table of columns into the arrays of `layout.shapes`.

    Raises:
        UserError: if a value is missing.
    """
    fields = tuple(dict.fromkeys(field for field, _ in arrays))
    for column in columns(spec, fields):
        chunks = table[column.name].combine_chunks()
        require(
            chunks.null_count == 0,
            f"expected no missing values in column {column.name!r}, found {chunks.null_count}",
        )
        flat = chunks if column.width is None else chunks.flatten()
        require(flat.null_count == 0, f"expected no missing values in column {column.name!r}")
        values = flat.to_numpy(zero_copy_only=False)
        target = arrays[column.field, column.group]
        target = target if column.group is None else target[:, column.slot]
        target[...] = values.reshape(target.shape)


def check_finite(d: Demonstrations) -> None:
    """Refuse values that are not finite.

    Raises:
        UserError: naming the first episode and row that holds one.
    """
    for field in (*ROW_GROUPS, *ROWS):
        found = getattr(d, field)
        if found is None or TYPES[field] is not np.float32:
            continue
        for group, array in [(None, found)] if field in ROWS else found.items():
            if np.isfinite(array).all():
                continue
            row = int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(1))[0])
            episode = int(np.searchsorted(d.starts, row, side="right")) - 1
            where = f" of group {group!r}" if group else ""
            raise UserError(
                f"expected finite {field}{where}, found one that is not in row "
                f"{row - int(d.starts[episode])} of episode {str(d.labels['episode'][episode])!r}; "
                "mark agents that are missing as not alive"
            )
