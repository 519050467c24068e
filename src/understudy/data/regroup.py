"""Demonstrations put together differently: groups merged, agents reordered, sets joined."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.data.layout import ROW_GROUPS, ROWS
from understudy.types import Group, Spec, UserError, require


def regroup(
    demonstrations: Demonstrations,
    groups: Mapping[str, tuple[str, ...]],
    features: tuple[str, ...] | None = None,
) -> Demonstrations:
    """Merge, rename or drop groups: ``{"agents": ("home", "visitor"), "ball": ("ball",)}``.

    Agents of merged groups keep their order, group after group; groups not named are dropped.

    Args:
        demonstrations: the set to change.
        groups: new name -> names of the groups that make it up, in the new order.
        features: names of the features to keep, in order; all if None.

    Raises:
        UserError: if merged groups differ in features or actions, or a name is unknown.
    """
    d = demonstrations
    columns = {g.name: _columns(g, features) for g in d.spec.groups}
    merged = []
    for name, parts in groups.items():
        members = [d.spec[part] for part in parts]
        require(members, f"expected at least one group to make up {name!r}, found none")
        sizes = {(len(columns[g.name]), g.action) for g in members}
        require(
            len(sizes) == 1,
            f"expected groups of equal observation and action to merge into {name!r}, found "
            f"{[(g.name, len(columns[g.name])) for g in members]} features; name common features",
        )
        first = members[0]
        merged.append(
            Group(
                name,
                sum(g.agents for g in members),
                len(columns[first.name]),
                first.action,
                features=tuple(features or first.features),
            )
        )

    def join(mapping: Mapping[str, Any] | None, cut: bool = False) -> dict[str, Any] | None:
        if mapping is None:
            return None
        arrays = {n: a[..., columns[n]] if cut else a for n, a in mapping.items()}
        return {
            name: arrays[parts[0]] if len(parts) == 1
            else np.concatenate([arrays[p] for p in parts], axis=1)
            for name, parts in groups.items()
        }  # fmt: skip

    fields: dict[str, Any] = {n: join(getattr(d, n)) for n in ROW_GROUPS if n != "features"}
    return d.replace(
        spec=dataclasses.replace(d.spec, groups=tuple(merged)),
        features=join(d.features, cut=features is not None),
        agent_labels={
            name: join({g.name: _label(d, name, g) for g in d.spec.groups})
            for name in d.agent_labels
        },
        **fields,
    )


def reorder(demonstrations: Demonstrations, group: str, order: Sequence[str]) -> Demonstrations:
    """Put the agents of a group in the order of their ids, the same in every episode.

    Args:
        demonstrations: a set with the agent label ``id``.
        group: the group to reorder.
        order: the ids, first slot first: the order of the env.

    Raises:
        UserError: if an episode lacks one of the ids or has another one.
    """
    d = demonstrations
    require(
        group in d.agent_labels.get("id", {}),
        f"expected the agent label 'id' of group {group!r}, found {list(d.agent_labels)}; "
        "give each agent an id",
    )
    ids = d.agent_labels["id"][group]
    unused = [""] * (ids.shape[1] - len(order))
    wrong = np.arange(d.episodes)
    if len(order) <= ids.shape[1]:
        wrong = np.flatnonzero((np.sort(ids, axis=1) != np.sort([*order, *unused])).any(1))
    if len(wrong):
        raise UserError(
            f"expected the agents {list(order)} in group {group!r}, found "
            f"{[i for i in ids[wrong[0]].tolist() if i]} in episode "
            f"{str(d.labels['episode'][wrong[0]])!r}; give the ids of that group"
        )
    slots = np.argmax(ids[:, None, :] == np.asarray(order, str)[:, None], axis=2)
    slots = slots.reshape(d.episodes, len(order))
    of_row = np.repeat(slots, d.lengths, axis=0)

    def move(array: np.ndarray, index: np.ndarray) -> np.ndarray:
        return np.take_along_axis(array, index.reshape(index.shape + (1,) * (array.ndim - 2)), 1)

    changes: dict[str, Any] = {}
    for name in ROW_GROUPS:
        mapping = getattr(d, name)
        if mapping is not None:
            changes[name] = {**mapping, group: move(mapping[group], of_row)}
    return d.replace(
        spec=_with_agents(d.spec, {group: len(order)}),
        agent_labels={
            n: {**m, **({group: move(m[group], slots)} if group in m else {})}
            for n, m in d.agent_labels.items()
        },
        **changes,
    )


def concatenate(parts: Sequence[Demonstrations]) -> Demonstrations:
    """Join sets of the same groups, rate and unit; slots are padded to the largest capacity.

    Raises:
        UserError: if groups, rate, unit, recorded fields or surroundings differ, or an episode
            id occurs twice.
    """
    require(len(parts) > 0, "expected at least one set to join, found none")
    first = parts[0]
    if len(parts) == 1:
        return first
    capacities = {g.name: max(p.spec[g.name].agents for p in parts) for g in first.spec.groups}
    horizons = [p.spec.horizon for p in parts]
    spec = dataclasses.replace(
        _with_agents(first.spec, capacities),
        horizon=None if None in horizons else max(h for h in horizons if h is not None),
    )
    for other in parts[1:]:
        _check_alike(first, other, spec)
    offsets = np.cumsum([0, *(p.frames for p in parts)])
    return first.replace(
        spec=spec,
        starts=np.concatenate(
            [np.zeros(1, np.int64), *(p.starts[1:] + o for p, o in zip(parts, offsets))]
        ),
        context={n: np.concatenate([p.context[n] for p in parts]) for n in first.context},
        licence="; ".join(dict.fromkeys(p.licence for p in parts if p.licence)),
        provenance=shared([p.provenance for p in parts]),
        **_joined_rows(parts, capacities),
        **_joined_labels(parts, capacities),
    )


def shared(provenances: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the entries that all of them have alike."""
    first, *rest = provenances
    absent = object()
    return {n: v for n, v in first.items() if all(p.get(n, absent) == v for p in rest)}


def _check_alike(first: Demonstrations, other: Demonstrations, spec: Spec) -> None:
    agents = {group.name: group.agents for group in spec.groups}
    mine = dataclasses.replace(_with_agents(other.spec, agents), horizon=spec.horizon)
    for what, a, b in (
        ("groups", spec, mine),
        ("rate in Hz", first.rate, other.rate),
        ("unit", first.unit, other.unit),
        ("intent classes", first.intent_classes, other.intent_classes),
        ("recorded fields", sorted(_recorded(first)), sorted(_recorded(other))),
        ("surroundings", sorted(first.context), sorted(other.context)),
    ):
        require(a == b, f"expected sets of the same {what} to join, found {a} and {b}")


def _joined_rows(parts: Sequence[Demonstrations], agents: Mapping[str, int]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in ROW_GROUPS:
        if name in _recorded(parts[0]):
            fields[name] = {
                g: np.concatenate([_widen(getattr(p, name)[g], n) for p in parts])
                for g, n in agents.items()
            }
    if any(p.action_known is not None for p in parts):
        known = [p.known_actions() for p in parts]
        fields["action_known"] = {
            g: np.concatenate([_widen(k[g], n) for k in known]) for g, n in agents.items()
        }
    for name in ROWS:
        arrays = [getattr(p, name) for p in parts]
        if any(array is not None for array in arrays):
            fields[name] = np.concatenate(
                [np.zeros(p.frames, bool) if a is None else a for p, a in zip(parts, arrays)]
            )
    return fields


def _joined_labels(parts: Sequence[Demonstrations], agents: Mapping[str, int]) -> dict[str, Any]:
    names = dict.fromkeys(name for p in parts for name in p.labels)
    agent_names = dict.fromkeys(name for p in parts for name in p.agent_labels)
    return {
        "labels": {
            n: np.concatenate([p.labels.get(n, np.full(p.episodes, "")) for p in parts])
            for n in names
        },
        "agent_labels": {
            n: {
                g: np.concatenate([_widen(_label(p, n, p.spec[g]), size) for p in parts])
                for g, size in agents.items()
            }
            for n in agent_names
        },
    }


def _recorded(d: Demonstrations) -> set[str]:
    free = {"action_known", "terminated", "truncated"}
    return {n for n in (*ROW_GROUPS, *ROWS) if n not in free and getattr(d, n) is not None}


def _with_agents(spec: Spec, agents: Mapping[str, int]) -> Spec:
    groups = [dataclasses.replace(g, agents=agents.get(g.name, g.agents)) for g in spec.groups]
    return dataclasses.replace(spec, groups=tuple(groups))


def _widen(array: np.ndarray, agents: int) -> np.ndarray:
    missing = agents - array.shape[1]
    if missing == 0:
        return array
    empty = np.zeros((len(array), missing, *array.shape[2:]), array.dtype)
    return np.concatenate([array, empty], axis=1)


def _label(d: Demonstrations, name: str, group: Group) -> np.ndarray:
    found = d.agent_labels.get(name, {}).get(group.name)
    return np.full((d.episodes, group.agents), "") if found is None else found


def _columns(group: Group, features: tuple[str, ...] | None) -> list[int]:
    if features is None:
        return list(range(group.observation))
    missing = [name for name in features if name not in group.features]
    require(
        not missing,
        f"expected features {list(features)} in group {group.name!r}, found "
        f"{list(group.features)}; name features every kept group has",
    )
    return [group.features.index(name) for name in features]
