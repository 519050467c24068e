"""The table of episodes on disk: one row per episode with its length, labels and surroundings.

Columns: ``episode`` (int32, as in the shards), ``length``, ``label/NAME``, ``agent/NAME/GROUP`` (a
list of one string per slot) and ``context/NAME`` (flattened).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.data.demonstrations import Demonstrations


def to_table(d: Demonstrations, first_episode: int) -> pa.Table:
    """Lay the labels and surroundings of `d` out in columns."""
    columns: dict[str, Any] = {
        "episode": np.arange(first_episode, first_episode + d.episodes, dtype=np.int32),
        "length": d.lengths.astype(np.int32),
    }
    for name, values in d.labels.items():
        columns[f"label/{name}"] = pa.array(values, pa.string())
    for name, groups in d.agent_labels.items():
        for group, values in groups.items():
            columns[f"agent/{name}/{group}"] = _lists(values, pa.string())
    for name, values in d.context.items():
        if math.prod(values.shape[1:]):
            columns[f"context/{name}"] = _lists(values, pa.from_numpy_dtype(values.dtype))
    return pa.table(columns)


def from_table(table: pa.Table, context: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fields ``starts, labels, agent_labels, context`` of `Demonstrations`.

    Args:
        table: of `to_table`.
        context: shape and type of each surrounding, ``{name: {"shape": [...], "type": ...}}``.
    """
    fields: dict[str, Any] = {"labels": {}, "agent_labels": {}, "context": {}}
    lengths = table["length"].to_numpy().astype(np.int64)
    fields["starts"] = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    for column in table.column_names:
        kind, _, name = column.partition("/")
        if kind == "label":
            fields["labels"][name] = _text(table[column].combine_chunks())
        elif kind == "agent":
            name, _, group = name.partition("/")
            chunk = table[column].combine_chunks()
            texts = _text(chunk.flatten()).reshape(len(table), chunk.type.list_size)
            fields["agent_labels"].setdefault(name, {})[group] = texts
    for name, form in context.items():
        shape = (len(table), *form["shape"])
        if math.prod(form["shape"]):
            flat = table[f"context/{name}"].combine_chunks().flatten()
            values = flat.to_numpy(zero_copy_only=False).reshape(shape)
        else:
            values = np.zeros(shape)
        fields["context"][name] = values.astype(form["type"])
    return fields


def _lists(values: np.ndarray, inner: pa.DataType) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), inner)
    return pa.FixedSizeListArray.from_arrays(flat, math.prod(values.shape[1:]))


def _text(array: pa.Array) -> np.ndarray:
    """Decode strings; each different one is decoded once."""
    coded = array.dictionary_encode()
    words = np.asarray(coded.dictionary.to_pylist(), dtype=str)
    if len(words) == 0:
        return np.zeros(len(array), "U1")
    return words[coded.indices.to_numpy(zero_copy_only=False)]
