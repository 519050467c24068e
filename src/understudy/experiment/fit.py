"""Whether demonstrations fit an env and can be imitated, found out before anything is built."""

from __future__ import annotations

from typing import Any

import numpy as np

from understudy.algorithms.stages import Stages
from understudy.data.actions import encode_actions
from understudy.data.demonstrations import Demonstrations
from understudy.envs.adapters.player import names_of
from understudy.types import ActionSpec, Group, Spec, UserError, require

BLOCK = 2**16
"""Rows looked at in one go, about."""


def check(stages: Stages, demonstrations: Demonstrations, env: Any) -> None:
    """See that the stages can learn from `demonstrations`, in `env` if any of them acts.

    An algorithm that reads demonstrations and makes a policy imitates: it needs recorded actions,
    and agent i of the demonstrations has to be agent i of the env.

    Raises:
        UserError: saying what the env or the algorithm expects, what was found, and what to do.
    """
    algorithms = [algorithm for algorithm, _ in stages.stages]
    acts = any("env" in algorithm.needs for algorithm in algorithms)
    imitates = any("demonstrations" in a.needs and hasattr(a, "policy") for a in algorithms)
    if acts:
        check_spec(demonstrations.spec, env.spec)
    if acts and imitates:
        check_agents(demonstrations, env.spec)
    if imitates:
        check_actions(demonstrations)


def check_spec(found: Spec, expected: Spec) -> None:
    """See that agents of the demonstrations observe and do what those of the env do.

    Args:
        found: of the demonstrations.
        expected: of the env.

    Raises:
        UserError: naming the group that differs.
    """
    require(
        found.names == expected.names,
        f"expected demonstrations of the groups {list(expected.names)} in this order, as in the "
        f"env, found {list(found.names)}; rename or reorder them with demonstrations.regroup",
    )
    for ours, theirs in zip(expected.groups, found.groups, strict=True):
        require(
            theirs.observation == ours.observation,
            f"expected demonstrations of group {ours.name!r} with {ours.observation} features, as "
            f"in the env, found {theirs.observation}; record what this env shows, or give the env "
            "they were recorded in",
        )
        _check_action(ours, theirs)


def _check_action(ours: Group, theirs: Group) -> None:
    """See that actions of a group are made of the same parts, within the same bounds."""
    if ours.action is None or theirs.action is None:
        require(
            ours.action == theirs.action,
            f"expected demonstrations of group {ours.name!r} with {_kind(ours.action)}, as in the "
            f"env, found {_kind(theirs.action)}; record the actions too",
        )
        return
    require(
        theirs.action.sections == ours.action.sections,
        f"expected actions of group {ours.name!r} with sections of {list(ours.action.sections)} "
        f"choices, as in the env, found {list(theirs.action.sections)}; encode them as the env "
        "does, or give the env they were recorded in",
    )
    for part in ("low", "high"):
        bounds, other = getattr(ours.action, part), getattr(theirs.action, part)
        require(
            other == bounds,
            f"expected actions of group {ours.name!r} with the {part} bounds {list(bounds)}, as "
            f"in the env, found {list(other)}; scale them to the env's bounds, or give the env "
            "they were recorded in",
        )


def _kind(action: ActionSpec | None) -> str:
    return "no actions" if action is None else f"actions ({action})"


def check_agents(demonstrations: Demonstrations, expected: Spec) -> None:
    """See that there are as many agents as in the env, in its order wherever ids say so.

    An env of ours calls agent i of a group ``group_i``; agents of any other names have to come in
    the same order in every episode that has the same ones.

    Args:
        demonstrations: whose groups are those of the env.
        expected: of the env.

    Raises:
        UserError: naming the group, and the first episode in another order.
    """
    names = names_of(expected)
    for group in expected.groups:
        found = demonstrations.spec[group.name].agents
        require(
            found == group.agents,
            f"expected demonstrations of {group.agents} agents in group {group.name!r}, as in the "
            f"env, found {found}; give an env with {found} agents, or demonstrations of "
            f"{group.agents}",
        )
        ids = demonstrations.agent_labels.get("id", {}).get(group.name)
        if ids is None or not len(ids):
            continue
        order = np.asarray(names[group.name])
        if not np.array_equal(np.sort(ids[0]), np.sort(order)):
            order = ids[0]
        moved = (np.sort(ids, 1) == np.sort(order)[None]).all(1) & (ids != order[None]).any(1)
        if moved.any():
            first = int(np.argmax(moved))
            raise UserError(
                f"expected the agents of group {group.name!r} in the order {order.tolist()}, found "
                f"{ids[first].tolist()} in episode "
                f"{str(demonstrations.labels['episode'][first])!r}; put them in that order with "
                "demonstrations.reorder"
            )


def check_actions(demonstrations: Demonstrations) -> None:
    """See that there are actions to imitate, and that every one of them is possible.

    Raises:
        UserError: without episodes, living agents or known actions, and for an action that is no
            choice, not legal, or out of bounds, with its episode, row and agent.
    """
    d = demonstrations
    require(
        d.episodes > 0, "expected demonstrations of at least one episode, found none; record some"
    )
    require(
        any(alive.any() for alive in d.alive.values()),
        f"expected agents that are alive, found none in any of {d.frames:,} rows; mark where they "
        "are",
    )
    if d.actions is None:
        raise UserError(
            "expected demonstrations with recorded actions to imitate, found none; record the "
            "actions too, or learn a generator of tracks"
        )
    for group in d.spec.groups:
        require(
            group.action is not None,
            f"expected recorded actions of every group to imitate, found none of {group.name!r}; "
            "drop the group with demonstrations.regroup",
        )
    known: dict[str, Any] = dict.fromkeys(d.spec.names, False)
    for block in d.blocks(BLOCK):
        for name, recorded in _checked(block).items():
            known[name] |= recorded
    nothing = [name for name, some in known.items() if not some]
    require(
        not nothing,
        f"expected at least one known action of every group, found none of {nothing}; mark where "
        "actions were recorded, or drop the group with demonstrations.regroup",
    )


def _checked(block: Demonstrations) -> dict[str, bool]:
    """Which groups have a known action in some episodes; all of those are looked at."""
    assert block.actions is not None
    recorded = block.known_actions()
    found = {}
    for group in block.spec.groups:
        assert group.action is not None
        known = recorded[group.name] & block.alive[group.name]
        encode_actions(
            group.action, block.actions[group.name], starts=block.starts,
            episodes=block.labels["episode"], known=known,
            legal=None if block.legal is None else block.legal[group.name],
        )  # fmt: skip
        found[group.name] = bool(known.any())
    return found
