"""Demonstrations on their way into training: read, checked, labelled, cut into windows, fed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from understudy.data import sampling, store
from understudy.data.demonstrations import Demonstrations
from understudy.data.feed import Feed, feed
from understudy.data.sampling import Windows, windows
from understudy.experiment import config, loops
from understudy.types import Spec, UserError, require


class Source(NamedTuple):
    """Demonstrations and how to recognise them."""

    demonstrations: Demonstrations
    path: str | None
    """Folder they were read from; None if they were given in memory."""
    checksum: str


class Material(NamedTuple):
    """What one stage trains on."""

    demonstrations: Demonstrations
    """Labelled by the algorithm."""
    windows: Windows
    spec: Spec
    """With the capacities of the windows."""


def read(given: Demonstrations | str | Path, resident_bytes: int) -> Source:
    """Read a set from its folder, or take one that is in memory.

    Raises:
        UserError: for a missing or damaged folder.
    """
    if isinstance(given, Demonstrations):
        return Source(given, None, fingerprint(given))
    path = Path(given)
    demonstrations = store.load(path, resident_bytes=resident_bytes)
    checksum = hashlib.sha256((path / "meta.json").read_bytes()).hexdigest()
    return Source(demonstrations, str(path.resolve()), checksum)


def fingerprint(demonstrations: Demonstrations) -> str:
    """A checksum of everything training reads, the same on every machine."""
    digest = hashlib.sha256()
    head = [config.to_json(demonstrations.spec), demonstrations.rate, demonstrations.unit]
    digest.update(json.dumps(head, sort_keys=True).encode())
    digest.update(demonstrations.starts.astype("<i8").tobytes())
    for path, leaf in jax.tree_util.tree_leaves_with_path(sampling.rows(demonstrations)):
        digest.update(f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}".encode())
        for first in range(0, len(leaf), _PIECE):
            digest.update(np.ascontiguousarray(leaf[first : first + _PIECE]).tobytes())
    return digest.hexdigest()


def describe(source: Source) -> dict[str, Any]:
    """What ``config.json`` keeps of a set."""
    demonstrations = source.demonstrations
    return {
        "path": source.path,
        "checksum": source.checksum,
        "episodes": demonstrations.episodes,
        "frames": demonstrations.frames,
        "rate": demonstrations.rate,
        "unit": demonstrations.unit,
        "env": demonstrations.provenance.get("env"),
    }


def reopen(
    kept: dict[str, Any] | None,
    given: Demonstrations | str | Path | None,
    what: str,
    resident_bytes: int,
) -> Source | None:
    """Find the set a run was trained on again.

    Raises:
        UserError: when it has to be given, or is not the one the run began with.
    """
    if kept is None:
        require(given is None, f"the run was begun without {what}; resume it without")
        return None
    again = kept["path"] if given is None else given
    if again is None:
        raise UserError(
            f"the run was begun with {what} in memory, expected the same {what} to resume; give it"
        )
    source = read(again, resident_bytes)
    require(
        source.checksum == kept["checksum"],
        f"expected the {what} the run was begun with ({kept['episodes']} episodes, "
        f"{kept['frames']} rows), found others ({source.demonstrations.episodes} episodes, "
        f"{source.demonstrations.frames} rows); give the same set",
    )
    return source


def cut(algorithm: Any, demonstrations: Demonstrations) -> Material:
    """Label the set as the algorithm wants it and cut it into windows.

    Raises:
        UserError: when no episode is as long as a window.
    """
    if hasattr(algorithm, "prepare"):
        demonstrations = algorithm.prepare(demonstrations)
    found = windows(
        demonstrations, algorithm.window, agents=getattr(algorithm, "presence", "throughout")
    )
    capacities = found.capacities(demonstrations.spec)
    groups = tuple(
        dataclasses.replace(group, agents=capacities[group.name])
        for group in demonstrations.spec.groups
    )
    return Material(demonstrations, found, dataclasses.replace(demonstrations.spec, groups=groups))


def check_fit(windows: Spec, trained: Spec) -> None:
    """See that windows hold the agents that the networks are made for.

    Raises:
        UserError: naming the group that differs.
    """
    for group in trained.groups:
        found = windows[group.name]
        require(
            (found.agents, found.observation) == (group.agents, group.observation),
            f"expected windows with {group.agents} agents x {group.observation} features in group "
            f"{group.name!r}, found {found.agents} x {found.observation}; give all stages and the "
            "env the same agents",
        )


def make_feed(
    algorithm: Any, material: Material, *, seed: int, stage: int, resident_bytes: int
) -> Feed:
    """Feed windows in an order that the first seed and the stage decide; all seeds share it."""
    key = loops.seed_keys(seed, 1, stage, loops.DATA)[0]
    return feed(
        material.demonstrations,
        material.windows,
        batch=algorithm.batch,
        key=key,
        resident_bytes=resident_bytes,
    )


_PIECE = 2**18
