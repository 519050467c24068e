"""How the arrays of demonstrations are laid out, and the checks that they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from understudy.data import scratch
from understudy.types import Spec, UserError, require

ROW_GROUPS = ("features", "alive", "actions", "action_known", "rewards", "legal", "intents")
"""Fields ``{group: [frames, ...]}``."""
ROWS = ("state", "terminated", "truncated")
"""Fields ``[frames, ...]``."""
TYPES = {
    "features": np.float32,
    "alive": np.bool_,
    "actions": np.float32,
    "action_known": np.bool_,
    "rewards": np.float32,
    "legal": np.bool_,
    "intents": np.int32,
    "state": np.float32,
    "terminated": np.bool_,
    "truncated": np.bool_,
}


def shapes(
    spec: Spec, fields: tuple[str, ...], rows: int
) -> dict[Any, tuple[tuple[int, ...], Any]]:
    """Shape and type of every array of a set: ``{(field, group or None): (shape, dtype)}``."""
    found: dict[Any, tuple[tuple[int, ...], Any]] = {}
    for field in fields:
        dtype = np.dtype(TYPES[field])
        if field in ROWS:
            found[field, None] = ((rows, spec.state) if field == "state" else (rows,), dtype)
            continue
        for group in spec.groups:
            width = {
                "features": (group.observation,),
                "actions": (group.action.size if group.action else 0,),
                "legal": (group.action.choices if group.action else 0,),
            }.get(field, ())
            found[field, group.name] = ((rows, group.agents, *width), dtype)
    return found


def check_rows(d: Any) -> None:
    """Check episodes, rate, shapes, types and that features are 0 where not alive.

    Args:
        d: the demonstrations.

    Raises:
        UserError: if one of them is wrong.
    """
    require(
        d.starts.ndim == 1 and len(d.starts) > 0 and d.starts[0] == 0 and np.all(d.lengths > 0),
        "expected starts that begin with 0 and grow with every episode, "
        "found others; drop empty episodes",
    )
    require(
        np.isfinite(d.rate) and d.rate > 0,
        f"expected a rate in Hz above 0, found {d.rate}; give it",
    )
    fields = tuple(name for name in (*ROW_GROUPS, *ROWS) if getattr(d, name) is not None)
    for name in fields:
        if name in ROW_GROUPS:
            found = list(getattr(d, name))
            require(
                set(found) == set(d.spec.names),
                f"expected {name} of the groups {list(d.spec.names)}, found {found}",
            )
    for (name, group), expected in shapes(d.spec, fields, d.frames).items():
        array = getattr(d, name) if group is None else getattr(d, name)[group]
        found = (tuple(array.shape), np.dtype(array.dtype))
        require(
            found == expected,
            f"expected {name}{f'[{group!r}]' if group else ''} of shape {expected[0]} and type "
            f"{expected[1]}, found {found[0]} and {found[1]}",
        )
    require(
        (d.intents is None) == (d.intent_classes == 0),
        f"expected intents and a number of classes together, found {d.intent_classes} classes "
        f"{'without' if d.intents is None else 'with'} intents",
    )
    for group in d.spec.groups:
        features, alive = d.features[group.name], d.alive[group.name]
        if not scratch.is_mapped(features) and not alive.all():
            require(
                not features[~alive].any(),
                f"expected 0 where an agent of group {group.name!r} is not alive, found other "
                "values; set features to 0 there",
            )


def check_labels(d: Any) -> None:
    """Check that labels and surroundings have one entry per episode, and that ids are unique.

    Args:
        d: the demonstrations.

    Raises:
        UserError: if one of them is wrong.
    """
    for name in ("episode", "source"):
        require(name in d.labels, f"expected a label {name!r} per episode, found {list(d.labels)}")
    for name, array in (*d.labels.items(), *d.context.items()):
        require(
            array.shape[:1] == (d.episodes,),
            f"expected {d.episodes} values of {name!r}, found shape {array.shape}",
        )
    ids, counts = np.unique(d.labels["episode"], return_counts=True)
    require(
        counts.max(initial=1) == 1,
        f"expected every episode id once, found {ids[counts > 1][:3].tolist()} repeated; rename",
    )
    for name, mapping in d.agent_labels.items():
        for group, array in mapping.items():
            shape = (d.episodes, d.spec[group].agents)
            require(
                array.shape == shape,
                f"expected agent label {name!r} of {group!r} of shape {shape}, found {array.shape}",
            )


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` as they come back from JSON.

    Raises:
        UserError: if they hold what JSON does not know.
    """
    if not values:
        return {}
    try:
        return json.loads(json.dumps(dict(values), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"expected numbers, strings and lists of them as provenance, found another value "
            f"({error}); leave it out"
        ) from error
