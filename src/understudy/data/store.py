"""Demonstrations on disk: a folder of Parquet shards, a table of episodes, a description.

::

    meta.json         format version, spec, rate, unit, licence, statistics, checksums
    episodes.parquet  one row per episode: length, labels, surroundings
    data/00000.parquet ...  one row per episode and step, see `understudy.data.columns`

It opens in polars or duckdb as it is. Reading verifies version, checksums, schema, lengths and
finiteness, and says in one sentence what is wrong.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from understudy.data import columns, episodes, scratch
from understudy.data.demonstrations import Demonstrations
from understudy.data.layout import ROW_GROUPS, shapes
from understudy.data.writer import FORMAT, VERSION, Writer, checksum, row_bytes
from understudy.types import ActionSpec, Entities, Group, Spec, UserError, require

RESIDENT_BYTES = 2**30


def save(demonstrations: Demonstrations, folder: str | os.PathLike[str]) -> None:
    """Write a set to a new folder: all of it or nothing.

    Raises:
        UserError: if the folder exists, a value is not finite, or the disk is full.
    """
    with Writer(folder) as writer:
        writer.append(demonstrations)


def load(folder: str | os.PathLike[str], *, resident_bytes: int = RESIDENT_BYTES) -> Demonstrations:
    """Read and verify a folder; a set larger than `resident_bytes` is mapped from scratch files.

    Raises:
        UserError: if the folder is not a set of demonstrations, of another version, incomplete
            or damaged, or there is no room for scratch files.
    """
    folder = Path(folder)
    meta = _meta(folder)
    spec, fields, rows = spec_from_json(meta["spec"]), tuple(meta["fields"]), meta["rows"]
    known = episodes.from_table(_table(folder, "episodes.parquet", meta), meta["context"])
    require(
        len(known["starts"]) == meta["episodes"] + 1 and known["starts"][-1] == rows,
        f"expected {meta['episodes']} episodes of {rows} rows in {folder}, found others in "
        "episodes.parquet; convert the source again",
    )
    mapped = row_bytes(spec, fields) * rows > resident_bytes
    arrays = {
        name: scratch.empty(shape, dtype, mapped=mapped)
        for name, (shape, dtype) in shapes(spec, fields, rows).items()
    }
    common = {
        "spec": spec,
        "rate": float(meta["rate"]),
        "unit": meta["unit"],
        "licence": meta["licence"],
        "provenance": meta.get("provenance", {}),
        "intent_classes": meta["intent_classes"],
    }
    episode = 0
    for name in meta["files"]:
        if name.startswith("data/"):
            part = slice(episode, episode + meta["files"][name]["episodes"])
            _read_shard(folder, name, meta, arrays, known, common, part)
            episode = part.stop
    require(
        episode == meta["episodes"],
        f"expected {meta['episodes']} episodes in the shards of {folder}, found {episode}",
    )
    return Demonstrations(**common, **known, **_fields(arrays))


def describe(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the verified description of a folder without reading its data.

    Raises:
        UserError: if there is none, or it is damaged or of another version.
    """
    return _meta(Path(folder))


def spec_from_json(values: Mapping[str, Any]) -> Spec:
    """Undo `understudy.data.writer.spec_to_json`."""
    groups = []
    for group in values["groups"]:
        action = group["action"]
        if action is not None:
            action = ActionSpec(
                tuple(action["sections"]),
                tuple(-math.inf if b is None else b for b in action["low"]),
                tuple(math.inf if b is None else b for b in action["high"]),
            )
        groups.append(
            Group(
                group["name"], group["agents"], group["observation"], action,
                tuple(group["sees"]), tuple(group["features"]),
                tuple(Entities(**entities) for entities in group.get("sets", ())),
                group.get("advances", False), tuple(group.get("constant", ())),
            )
        )  # fmt: skip
    return Spec(tuple(groups), values["state"], values["horizon"])


def _meta(folder: Path) -> dict[str, Any]:
    path = folder / "meta.json"
    require(
        path.is_file(),
        f"expected a folder of demonstrations with a meta.json, found none in {folder}; write one "
        "with `understudy data convert`",
    )
    try:
        meta = json.loads(_read(path))
    except ValueError as error:
        raise UserError(f"expected JSON in {path}, found damage; {_AGAIN}") from error
    require(
        isinstance(meta, dict) and meta.get("format") == FORMAT,
        f"expected a description of {FORMAT} in {path}, found another; name another folder",
    )
    require(
        meta.get("version") == VERSION,
        f"expected version {VERSION} of the format in {path}, found {meta.get('version')}; "
        "convert the source again with this version of understudy",
    )
    require(
        meta.get("checksum") == checksum(meta),
        f"expected {path} to agree with its checksum, found that it was changed; {_AGAIN}",
    )
    return meta


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"expected to read {path}, found {reason!r}; {_AGAIN}") from error


_AGAIN = "copy the folder again or convert the source again"


def _table(folder: Path, name: str, meta: Mapping[str, Any]) -> pa.Table:
    path, expected = folder / name, meta["files"][name]
    require(path.is_file(), f"expected the file {path}, found none; {_AGAIN}")
    content = _read(path)
    require(
        len(content) == expected["bytes"],
        f"expected {expected['bytes']:,} bytes in {path}, found {len(content):,}; {_AGAIN}",
    )
    require(
        hashlib.sha256(content).hexdigest() == expected["sha256"],
        f"expected {path} to agree with its checksum, found that it was changed; {_AGAIN}",
    )
    try:
        return pq.read_table(pa.BufferReader(content), use_threads=False)
    except pa.ArrowException as error:
        raise UserError(f"expected a Parquet file at {path}, found another; {_AGAIN}") from error


def _read_shard(
    folder: Path,
    name: str,
    meta: Mapping[str, Any],
    arrays: Mapping[Any, np.ndarray],
    known: Mapping[str, Any],
    common: Mapping[str, Any],
    episodes: slice,
) -> None:
    """Decode and check one shard, then copy it to its rows of `arrays`."""
    table, starts = _table(folder, name, meta), known["starts"]
    first, last = int(starts[episodes.start]), int(starts[episodes.stop])
    _check_shard(folder / name, table, columns.schema(common["spec"], tuple(meta["fields"])))
    lengths = np.diff(starts[episodes.start : episodes.stop + 1])
    steps = np.arange(last - first) - np.repeat(starts[episodes] - first, lengths)
    require(
        np.array_equal(
            table["episode"].to_numpy(),
            np.repeat(np.arange(episodes.start, episodes.stop), lengths),
        )
        and np.array_equal(table["step"].to_numpy(), steps),
        f"expected the episodes and steps of episodes.parquet in {folder / name}, found others; "
        f"{_AGAIN}",
    )
    decoded = {
        key: np.empty((last - first, *array.shape[1:]), array.dtype)
        for key, array in arrays.items()
    }
    try:
        columns.fill(decoded, common["spec"], table)
        part = Demonstrations(
            **common,
            **_fields(decoded),
            starts=starts[episodes.start : episodes.stop + 1] - first,
            labels={n: a[episodes] for n, a in known["labels"].items()},
        )
        columns.check_finite(part)
    except UserError as error:
        raise UserError(f"{folder / name}: {error}") from error
    for key, array in arrays.items():
        array[first:last] = decoded[key]


def _check_shard(path: Path, table: pa.Table, schema: pa.Schema) -> None:
    require(
        table.schema.equals(schema),
        f"expected the columns {schema.names[:6]} ... in {path}, found "
        f"{table.schema.names[:6]} ...; {_AGAIN}",
    )


def _fields(arrays: Mapping[Any, np.ndarray]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for (field, group), array in arrays.items():
        if field in ROW_GROUPS:
            fields.setdefault(field, {})[group] = array
        else:
            fields[field] = array
    return fields
