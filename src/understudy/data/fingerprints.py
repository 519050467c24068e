"""Episodes compared by content: duplicates within a set, leaks between splits."""

from __future__ import annotations

import hashlib

import numpy as np

from understudy.data.demonstrations import Demonstrations, Splits


def fingerprints(demonstrations: Demonstrations) -> np.ndarray:
    """A hash of what the agents did, per episode ``[episodes]``; names and labels do not count."""
    names = sorted(demonstrations.spec.names)
    found = []
    for part in demonstrations.blocks(2**17):
        arrays = [m[n] for n in names for m in (part.features, part.alive)]
        arrays += [part.actions[n] for n in names] if part.actions is not None else []
        for episode in range(part.episodes):
            rows = part.rows(episode)
            digest = hashlib.blake2b(digest_size=16)
            for array in arrays:
                digest.update(np.ascontiguousarray(array[rows]).data)
            found.append(digest.hexdigest())
    return np.asarray(found, dtype="U32")


def repeated(demonstrations: Demonstrations) -> np.ndarray:
    """Numbers of the episodes that equal an earlier one."""
    prints = fingerprints(demonstrations)
    _, first = np.unique(prints, return_index=True)
    return np.setdiff1d(np.arange(len(prints)), first)


def shared_ids(splits: Splits, label: str) -> list[str]:
    """Values of `label` that occur in more than one part."""
    return _shared([part.labels[label] for part in splits if label in part.labels])


def shared_content(splits: Splits) -> list[str]:
    """Names of the episodes whose content is in more than one part under whatever name."""
    prints = [fingerprints(part) for part in splits]
    both = _shared(prints)
    names = [part.labels["episode"][np.isin(found, both)] for part, found in zip(splits, prints)]
    return np.unique(np.concatenate(names)).tolist()


def seen_states(train: Demonstrations, other: Demonstrations) -> float:
    """Share of the states of a log that also occur in the log trained on; 0 for other sets."""
    world = next((group for group in other.spec.groups if group.advances), None)
    if world is None or not other.frames:
        return 0.0
    known, asked = (_rows_of(part.features[world.name]) for part in (train, other))
    return float(np.isin(asked, known).mean())


def _rows_of(features: np.ndarray) -> np.ndarray:
    """Rows as single values to compare by."""
    flat = np.ascontiguousarray(features.reshape(len(features), -1)) + np.float32(0)
    return flat.view(np.dtype((np.void, flat.shape[1] * flat.itemsize)))[:, 0]


def _shared(parts: list[np.ndarray]) -> list[str]:
    values = [np.unique(part) for part in parts]
    if not values:
        return []
    found, counts = np.unique(np.concatenate(values), return_counts=True)
    return found[counts > 1].tolist()
