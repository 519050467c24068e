"""Writing a demonstration set: shard by shard into a temporary folder, then one rename.

Whatever goes wrong - a full disk, a value that is not finite, a killed process - the target
folder does not exist, or it is complete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from understudy.data import columns, episodes
from understudy.data.demonstrations import Demonstrations
from understudy.data.layout import ROW_GROUPS, ROWS, plain, shapes
from understudy.data.regroup import concatenate, shared
from understudy.data.statistics import Accumulator, to_json
from understudy.types import Spec, UserError, require

FORMAT = "understudy demonstrations"
VERSION = 1
SHARD_BYTES = 2**26
"""Rows of about this size in memory make one shard."""


class Writer:
    """Appends episodes to a new folder with bounded memory; a context manager.

    Leaving the ``with`` block makes the folder appear; leaving it by an error removes every
    trace. Groups, rate, unit and recorded fields are those of the first episodes appended; later
    ones may have fewer agent slots.

    Raises:
        UserError: if the folder exists, the disk is full, or episodes do not fit together.
    """

    def __init__(self, folder: str | os.PathLike[str], *, shard_bytes: int = SHARD_BYTES) -> None:
        self.folder = Path(os.path.abspath(folder))
        occupied = self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir()))
        require(not occupied, f"expected a new folder, found that {folder} exists; name another")
        self._shard_bytes = shard_bytes
        self._pending: list[Demonstrations] = []
        self._pending_bytes = 0
        self._first: Demonstrations | None = None
        self._fields: tuple[str, ...] = ()
        self._tables: list[pa.Table] = []
        self._files: dict[str, dict[str, Any]] = {}
        self._episodes = self._rows = 0
        self._licences: dict[str, None] = {}
        self._horizons: list[int | None] = []
        self.provenance: dict[str, Any] = {}
        """What all episodes share; entries may be added before the end."""
        with _explained(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._work = Path(
                tempfile.mkdtemp(dir=self.folder.parent, prefix=f".{self.folder.name}-partial-")
            )
            (self._work / "data").mkdir()

    def append(self, demonstrations: Demonstrations) -> None:
        """Add episodes; they are written once a shard is full."""
        if self._first is None:
            self._start(demonstrations)
            self.provenance = dict(demonstrations.provenance)
        self.provenance = shared([self.provenance, demonstrations.provenance])
        self._licences[demonstrations.licence] = None
        self._horizons.append(demonstrations.spec.horizon)
        size = row_bytes(demonstrations.spec, self._fields)
        for block in demonstrations.blocks(max(1, self._shard_bytes // size)):
            columns.check_finite(block)
            self._check_fields(block)
            self._pending.append(block)
            self._pending_bytes += size * block.frames
            if self._pending_bytes >= self._shard_bytes:
                self._flush()

    def commit(self) -> None:
        """Write what is left, sync, and rename the temporary folder to its name."""
        self._flush()
        require(self._episodes > 0, "expected at least one episode to write, found none; add some")
        table = pa.concat_tables(self._tables)
        self._write("episodes.parquet", _parquet(table))
        with _explained(self.folder):
            meta = self._meta(table)
            _write_synced(self._work / "meta.json", json.dumps(meta, indent=1).encode())
            for folder in (self._work / "data", self._work):
                _sync(folder)
            self._work.chmod(0o755)
            os.rename(self._work, self.folder)
            _sync(self.folder.parent)

    def abort(self) -> None:
        """Remove every trace."""
        shutil.rmtree(self._work, ignore_errors=True)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self.abort()

    def _start(self, first: Demonstrations) -> None:
        self._first = first[:0]
        self._fields = tuple(n for n in (*ROW_GROUPS, *ROWS) if getattr(first, n) is not None)
        self._sums = Accumulator(first.spec)

    def _check_fields(self, block: Demonstrations) -> None:
        mine = {n for n in (*ROW_GROUPS, *ROWS) if getattr(block, n) is not None}
        extra = sorted(mine - set(self._fields))
        require(
            not extra,
            f"expected the recorded fields of the first episodes, {list(self._fields)}, found "
            f"{extra} too in episode {str(block.labels['episode'][0])!r}; record the same in all",
        )

    def _flush(self) -> None:
        if not self._pending:
            return
        assert self._first is not None
        joined = concatenate([self._first, *self._pending])
        self._pending, self._pending_bytes = [], 0
        require(
            [g.agents for g in joined.spec.groups] == [g.agents for g in self._first.spec.groups],
            f"expected at most {[g.agents for g in self._first.spec.groups]} agents per group, "
            f"found {[g.agents for g in joined.spec.groups]}; append the widest episodes first",
        )
        self._sums.add(joined)
        name = f"data/{len(self._files):05d}.parquet"
        self._write(name, _parquet(columns.to_table(joined, self._fields, self._episodes)))
        self._files[name] |= {"episodes": joined.episodes, "rows": joined.frames}
        self._tables.append(episodes.to_table(joined, self._episodes))
        self._episodes += joined.episodes
        self._rows += joined.frames

    def _write(self, name: str, content: memoryview) -> None:
        with _explained(self.folder):
            _write_synced(self._work / name, content)
        self._files[name] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }

    def _meta(self, table: pa.Table) -> dict[str, Any]:
        first = self._first
        assert first is not None
        labels = [name.removeprefix("label/") for name in table.column_names if "label/" in name]
        ids = table["label/episode"].to_numpy(zero_copy_only=False)
        names, counts = np.unique(ids.astype(str), return_counts=True)
        require(
            counts.max(initial=1) == 1,
            f"expected every episode id once, found {names[counts > 1][:3].tolist()} repeated",
        )
        finite = [h for h in self._horizons if h is not None]
        horizon = max(finite) if len(finite) == len(self._horizons) else None
        lengths = table["length"].to_numpy()
        meta = {
            "format": FORMAT,
            "version": VERSION,
            "spec": spec_to_json(dataclasses.replace(first.spec, horizon=horizon)),
            "rate": first.rate,
            "unit": first.unit,
            "licence": "; ".join(name for name in self._licences if name),
            "provenance": plain(self.provenance),
            "episodes": self._episodes,
            "rows": self._rows,
            "shortest": int(lengths.min()),
            "longest": int(lengths.max()),
            "fields": list(self._fields),
            "intent_classes": first.intent_classes,
            "labels": {n: len(table[f"label/{n}"].unique()) for n in labels},
            "context": {
                name: {"shape": list(a.shape[1:]), "type": a.dtype.str}
                for name, a in first.context.items()
            },
            "statistics": to_json(self._sums.result(first.rate)),
            "files": self._files,
        }
        return {**meta, "checksum": checksum(meta)}


def checksum(meta: dict[str, Any]) -> str:
    """SHA-256 of a description without its checksum; it covers the checksums of all files."""
    rest = {name: value for name, value in meta.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """Return a spec as plain values; an absent bound is None."""
    found = dataclasses.asdict(spec)
    for group in found["groups"]:
        if group["action"] is not None:
            for side in ("low", "high"):
                bounds = group["action"][side]
                group["action"][side] = [b if math.isfinite(b) else None for b in bounds]
    return json.loads(json.dumps(found))


def row_bytes(spec: Spec, fields: tuple[str, ...]) -> int:
    """Memory one row takes."""
    return sum(
        math.prod(shape) * dtype.itemsize for shape, dtype in shapes(spec, fields, 1).values()
    )


def _parquet(table: pa.Table) -> memoryview:
    sink = io.BytesIO()
    text = [n for n in table.column_names if n.startswith(("label/", "agent/"))]
    options: dict[str, Any] = {"use_dictionary": text or False, "write_statistics": ["episode"]}
    pq.write_table(table, sink, compression="zstd", compression_level=1, **options)
    return sink.getbuffer()


def _write_synced(path: Path, content: bytes | memoryview) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn an error of the file system into a sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"expected to write the demonstrations to {folder}, found "
            f"{(error.strerror or str(error)).lower()!r}; nothing was left behind, free some "
            "space or choose another folder"
        ) from error
