"""What one observation and one step have to look like, beside the spec they belong to."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from understudy.types import Group, Observation, Spec, Step, require


def check_observation(spec: Spec, observation: Observation) -> None:
    """Compare one unbatched observation with the spec."""
    for group in spec.groups:
        features, alive = observation.features[group.name], observation.alive[group.name]
        require(
            features.shape == (group.agents, group.observation)
            and alive.shape == features.shape[:1],
            f"expected features {(group.agents, group.observation)} and as many alive agents of "
            f"group {group.name!r}, found {features.shape} and {alive.shape}",
        )
        require(
            features.dtype == jnp.float32 and alive.dtype == jnp.bool_,
            f"expected float32 features and bool alive of {group.name!r}, found {features.dtype} "
            f"and {alive.dtype}",
        )
        require(
            bool(jnp.all(jnp.isfinite(features))),
            f"expected finite features of group {group.name!r}, found others",
        )
        absent = ~np.asarray(alive)
        require(
            not np.asarray(features)[absent].any(),
            f"expected features 0 of agents of {group.name!r} that are not alive, found others",
        )
        if observation.legal is not None and group.action is not None:
            _check_legal(group, np.asarray(observation.legal[group.name]), np.asarray(alive))
    size = 0 if observation.state is None else observation.state.shape[-1]
    require(size == spec.state, f"expected a state of {spec.state} numbers, found {size}")
    if observation.state is not None:
        require(
            observation.state.dtype == jnp.float32 and bool(jnp.isfinite(observation.state).all()),
            "expected a state of finite float32 numbers, found others",
        )


def _check_legal(group: Group, legal: np.ndarray, alive: np.ndarray) -> None:
    assert group.action is not None
    shape = (group.agents, group.action.choices)
    require(
        legal.shape == shape and legal.dtype == np.bool_,
        f"expected legal {shape} in bool, found {legal.shape} in {legal.dtype}",
    )
    ends = np.cumsum(group.action.sections)
    for section in np.split(legal, ends[:-1], axis=1) if len(ends) else ():
        require(
            section[alive].any(1).all(),
            f"expected a legal choice in every section for live agents of {group.name!r}, found "
            "none for some",
        )


def check_step(
    spec: Spec,
    step: Step,
    before: Observation | None = None,
    asked: dict[str, Any] | None = None,
) -> None:
    """Compare one unbatched step with the spec, and with what was seen and asked for before it."""
    check_observation(spec, step.observation)
    for group in spec.groups:
        if group.action is not None:
            _check_actions(group, np.asarray(step.action[group.name]), before, asked)
        reward = np.asarray(step.reward[group.name])
        require(
            reward.shape == (group.agents,)
            and reward.dtype == np.float32
            and np.isfinite(reward).all(),
            f"expected one finite float32 reward per agent of {group.name!r}, found "
            f"{reward.dtype} of shape {reward.shape}",
        )
    flags = {"terminated": step.terminated, "truncated": step.truncated}
    if isinstance(step.info, dict) and "success" in step.info:
        flags["success"] = step.info["success"]
    for name, flag in flags.items():
        require(
            flag.shape == () and flag.dtype == jnp.bool_,
            f"expected {name} to be one bool, found {flag.dtype} of shape {flag.shape}",
        )


def _check_actions(group: Group, action: np.ndarray, before: Any, asked: Any) -> None:
    spec = group.action
    assert spec is not None
    shape = (group.agents, spec.size)
    require(
        action.shape == shape and action.dtype == np.float32,
        f"expected float32 actions {shape}, found {action.dtype} of shape {action.shape}",
    )
    low = np.array([0.0] * len(spec.sections) + list(spec.low))
    high = np.array([n - 1.0 for n in spec.sections] + list(spec.high))
    require(
        np.all((action >= low - 1e-5) & (action <= high + 1e-5)),
        f"expected actions of group {group.name!r} as the env executed them, inside their "
        "bounds, found others; clip them before you return them",
    )
    if before is None or asked is None:
        return
    fine = np.asarray(before.alive[group.name]).copy()
    if before.legal is not None:
        legal = np.asarray(before.legal[group.name])
        done, wanted = (_chosen(spec.sections, legal, a) for a in (action, asked[group.name]))
        require(
            done[fine].all(),
            f"expected actions of group {group.name!r} as the env executed them, legal, found "
            "others; return what was played instead",
        )
        fine &= wanted
    require(
        np.allclose(action[fine], np.asarray(asked[group.name])[fine], atol=1e-5),
        f"expected legal actions of group {group.name!r} within bounds to be executed as they "
        "are, found others",
    )


def _chosen(sections: tuple[int, ...], legal: np.ndarray, action: Any) -> np.ndarray:
    """Whether the choices of each agent are legal."""
    first = np.cumsum([0, *sections])[:-1]
    columns = np.asarray(action)[:, : len(sections)].round().astype(int) + first
    return np.asarray(np.take_along_axis(legal, columns, 1).all(1))
