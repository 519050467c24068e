"""Checkpoints and exported weights: any pytree of arrays as one safetensors file.

Leaves are named by tree path; typed random keys are stored as key data. The file's metadata holds
a JSON header of the caller's and a checksum of header, names, shapes, types and bytes. Files appear
whole or not at all: written beside the target, flushed to disk, renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise

from understudy.types import UserError, require

T = TypeVar("T")
VERSION = 1


def save(path: Path, tree: Any, header: Mapping[str, Any]) -> None:
    """Write the leaves of `tree` and a JSON `header` to `path`, atomically.

    Raises:
        UserError: when the disk is full or the folder cannot be written; `path` is left as it was.
    """
    arrays: dict[str, np.ndarray] = {}
    keys: dict[str, str] = {}
    for place, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(place)
        if is_key(leaf):
            keys[name] = str(jax.random.key_impl(leaf))
            leaf = jax.random.key_data(leaf)
        arrays[name] = np.ascontiguousarray(np.asarray(leaf)).reshape(np.shape(leaf))
    about = {
        "version": VERSION,
        "header": dict(header),
        "keys": keys,
        "checksum": _checksum(arrays, header),
    }
    # one entry: safetensors writes several in random order, and equal runs have equal files
    write_atomic(path, serialise(arrays, {"understudy": json.dumps(about, sort_keys=True)}))


def load(path: Path, like: T, part: str = "") -> T:
    """Read a tree of the structure, shapes and types of `like` (arrays or shape structs).

    Args:
        path: a file written by `save`.
        like: the structure.
        part: read only the subtree whose tree path begins with this.

    Raises:
        UserError: missing, damaged or altered file, or one written for another structure.
    """
    arrays, about = _read(path)
    require(
        about["checksum"] == _checksum(arrays, about["header"]),
        f"{path} does not match its checksum: it was damaged or edited; use an earlier checkpoint",
    )
    keys = {name.removeprefix(part): impl for name, impl in about["keys"].items()}
    arrays = {n.removeprefix(part): a for n, a in arrays.items() if n.startswith(part)}
    places, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [jax.tree_util.keystr(place) for place, _ in places]
    lacking, extra = sorted(set(names) - set(arrays)), sorted(set(arrays) - set(names))
    require(
        not lacking and not extra,
        f"{path} was written for another structure: it lacks {lacking[:3]} and has {extra[:3]} too "
        "many; use the configuration it was written with",
    )
    leaves = []
    for name, (_, expected) in zip(names, places, strict=True):
        leaf: Any = jnp.asarray(arrays[name])
        if name in keys:
            leaf = jax.random.wrap_key_data(leaf, impl=keys[name])
        shape, dtype = np.shape(expected), jnp.result_type(expected)
        require(
            leaf.shape == shape and leaf.dtype == dtype,
            f"{path}: expected {name} of shape {shape} and type {dtype}, "
            f"found {leaf.shape} {leaf.dtype}; use the configuration it was written with",
        )
        leaves.append(leaf)
    return jax.tree.unflatten(structure, leaves)


def header(path: Path) -> dict[str, Any]:
    """The JSON header of a file written by `save`.

    Raises:
        UserError: missing or damaged file, or one of another format.
    """
    with _opened(path) as file:
        return _about(path, file)["header"]


def is_key(leaf: Any) -> bool:
    """True for an array of typed random keys."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    Raises:
        UserError: when the disk is full or the folder cannot be written; `path` is left as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise UserError(
            f"could not write {path} ({error.strerror}); free some space or choose another folder, "
            "what was written before is intact"
        ) from error


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _checksum(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    require(path.is_file(), f"expected a checkpoint at {path}, found no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is damaged ({error}); delete it and use an earlier checkpoint"
        ) from error


def _about(path: Path, file: Any) -> dict[str, Any]:
    about = json.loads((file.metadata() or {}).get("understudy", "{}"))
    require(
        about.get("version") == VERSION,
        f"expected a checkpoint of understudy, version {VERSION}, at {path}, found version "
        f"{about.get('version')}; use the version of understudy that wrote it",
    )
    return about


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with _opened(path) as file:
        about = _about(path, file)
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
