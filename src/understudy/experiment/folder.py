"""The files of a run: where they lie and how they are written.

``config.json`` is written last of the opening files, so a folder that has it can be resumed.
Metrics are lines of JSON, flushed to disk before the checkpoint that covers them; whatever lies
past the last checkpoint is cut off when a run is resumed. Times are kept apart, in
``timing.json``: every other file is the same for the same seed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from understudy.experiment import checkpoint
from understudy.types import UserError, require

CONFIG, STATISTICS, METRICS, TIMING = (
    "config.json",
    "statistics.json",
    "metrics.jsonl",
    "timing.json",
)
CHECKPOINTS, POLICY, BEST = "checkpoints", "policy", "best.safetensors"
KEEP = 2
_OURS = (STATISTICS, ".lock", ".writing-")


@contextlib.contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A place to write a new folder in, which appears when all is written, or never.

    Raises:
        UserError: if the folder exists.
    """
    require(not folder.exists(), f"{folder} already exists; choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".writing-"))
    try:
        yield work
        work.chmod(0o755)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def create(folder: Path, config: Mapping[str, Any], statistics: Mapping[str, Any] | None) -> None:
    """Write the opening files of a new run.

    Raises:
        UserError: if `folder` holds a run or anything else, or cannot be written.
    """
    require(
        not (folder / CONFIG).exists(),
        f"{folder} already holds a run; resume it, or choose another folder",
    )
    require(not folder.exists() or folder.is_dir(), f"{folder} is a file; choose another folder")
    strange = [
        path.name
        for path in (sorted(folder.iterdir()) if folder.exists() else ())
        if not path.name.startswith(_OURS)
    ]
    require(
        not strange,
        f"expected a new or empty folder at {folder}, found {strange[:3]} in it; choose another",
    )
    if statistics is not None:
        checkpoint.write_atomic(folder / STATISTICS, _dump(statistics))
    checkpoint.write_atomic(folder / CONFIG, _dump(config))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the lock goes when the process does, however it ends.

    Raises:
        UserError: if another process trains in it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise UserError(
            f"could not write in {folder} ({error.strerror}); choose another folder"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another process is training in {folder}; wait for it") from error
        yield


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UserError: missing file, or no JSON.
    """
    require(path.is_file(), f"expected the file {path} of a run, found none; is it a run's folder?")
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}; restore it from a copy") from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object, atomically."""
    checkpoint.write_atomic(path, _dump(value))


def metrics(folder: Path, upto: int | None = None) -> list[dict[str, Any]]:
    """Return the lines of ``metrics.jsonl`` (up to a step); a torn last line is left out.

    Raises:
        UserError: if a line is damaged.
    """
    path = folder / METRICS
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    try:
        rows = [json.loads(line) for line in lines]
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}; restore it from a copy") from error
    return [row for row in rows if upto is None or row["step"] <= upto]


def cut_metrics(folder: Path, upto: int) -> None:
    """Drop the lines after step `upto`."""
    rows = metrics(folder, upto)
    checkpoint.write_atomic(folder / METRICS, "".join(_line(row) for row in rows))


def add_metrics(folder: Path, row: Mapping[str, Any]) -> None:
    """Append one line; `save_checkpoint` sees to it that it is on disk.

    Raises:
        UserError: when the disk is full; the last checkpoint is intact.
    """
    try:
        with (folder / METRICS).open("a") as file:
            file.write(_line(row))
    except OSError as error:
        raise UserError(
            f"could not write {folder / METRICS} ({error.strerror}); free some space and resume"
        ) from error


def numbers(values: Any) -> list[Any]:
    """Values ``[seeds, ...]`` as JSON: nested lists, in which a number not finite is null."""

    def plain(value: Any) -> Any:
        if np.ndim(value):
            return [plain(part) for part in value]
        return float(value) if math.isfinite(value) else None

    return plain(np.asarray(values, np.float64))


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints in order of steps, the best one apart."""
    return sorted((folder / CHECKPOINTS).glob("step_*.safetensors"))


def save_checkpoint(folder: Path, carry: Any, header: Mapping[str, Any], best: bool) -> Path:
    """Write a checkpoint (and the best one first, if it is), then drop all but the last two."""
    place = folder / CHECKPOINTS
    with (folder / METRICS).open("a") as file:
        os.fsync(file.fileno())
    if best:
        checkpoint.save(place / BEST, carry, header)
    path = place / f"step_{header['total']:010d}.safetensors"
    checkpoint.save(path, carry, header)
    for old in checkpoints(folder)[:-KEEP]:
        old.unlink()
    return path


def clean(folder: Path) -> None:
    """Remove what a killed process left half written."""
    for path in folder.rglob(".writing-*"):
        path.unlink()


def _dump(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"
