"""One conformance suite for every env and every policy: what the contracts of `types` promise.

An env promises:

1. *spec*: the same every time it is asked for, and hashable.
2. *purity*: `reset` and `step` follow from their arguments alone; compiled, batched, or with an
   axis of envs last where it says ``lanes``, they answer the same.
3. *scan*: its state is made of arrays, and state and `Step` keep structure, shapes and types.
4. *forms*: features ``[agents, observation]`` and rewards ``[agents]`` in float32, `alive` in bool,
   a state of `Spec.state` numbers, two flags, ``info["success"]`` one bool if it is there.
5. *numbers* are finite, whatever is played, after the end too.
6. *actions* come back as they were executed: within their bounds, legal, unchanged if both.
7. *legal*: a live agent has a choice in every section.
8. *absence*: agents that are not alive observe 0, and nothing depends on what they do.
9. *horizon*: no episode is longer, and the game does not begin again by itself.

A host env promises the same, and that its games follow from their seeds. Each check returns nothing
or raises `UserError` with a sentence that says which promise is broken. `check` is for JAX envs,
`check_host` for host envs, `check_padding` for policies.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from understudy.envs import rollout
from understudy.envs.forms import check_observation, check_step
from understudy.types import Env, HostEnv, Observation, Policy, Spec, Step, UserError, require

LONG = 1000
"""Horizons up to this are played out."""


def random_actions(spec: Spec, agents: dict[str, int], key: Key[Array, ""]) -> dict[str, Any]:
    """Any choice of each section; the rest within bounds, or normal where unbounded."""
    actions = {}
    for group, own in zip(spec.groups, jax.random.split(key, len(spec.groups)), strict=True):
        if group.action is None:
            continue
        choose, move = jax.random.split(own)
        count, columns = agents[group.name], []
        for i, options in enumerate(group.action.sections):
            drawn = jax.random.randint(jax.random.fold_in(choose, i), (count,), 0, options)
            columns.append(drawn.astype(jnp.float32))
        for i, (low, high) in enumerate(zip(group.action.low, group.action.high, strict=True)):
            drawn = jax.random.normal(jax.random.fold_in(move, i), (count,))
            columns.append(jnp.clip(drawn, low, high))
        actions[group.name] = jnp.stack(columns, -1)
    return actions


def check(env: Env, *, seed: int = 0, steps: int = 32) -> None:
    """Play `steps` random steps, then on to the horizon, and look at everything.

    Raises:
        UserError: naming the promise that is broken.
    """
    _check_spec(env)
    key = jax.random.key(seed)
    reset = _batched_reset(env)
    step_once = jax.jit(lambda *arguments: env.step(*arguments))
    state, observation = _check_reset(env, reset, key)
    _check_first_step(env, step_once, state, observation, jax.random.fold_in(key, 1))
    length, first = 0, None
    for t in range(steps):
        act_key, step_key = jax.random.split(jax.random.fold_in(key, t))
        action = random_actions(env.spec, rollout.agents_of(observation), act_key)
        after, step = step_once(state, action, step_key)
        first = step if first is None else first
        _same_structure(after, state, "the state")
        _same_structure(step, first, "a step")
        check_step(env.spec, step, observation, action)
        others = _of_absent(action, observation, env.spec, jax.random.fold_in(act_key, 2))
        if others is not None:
            _check_absent(step, step_once(state, others, step_key)[1])
        length += 1
        require(
            env.spec.horizon is None or length <= env.spec.horizon,
            f"expected episodes of at most {env.spec.horizon} steps, found one of {length}; "
            "truncate at the horizon",
        )
        state, observation = after, step.observation
        if bool(step.terminated) or bool(step.truncated):
            state, observation = reset(jax.random.fold_in(act_key, 1))
            length = 0
    _check_end(env, reset, step_once, key)


def check_host(env: HostEnv, *, seed: int = 0, steps: int = 32) -> None:
    """Play `steps` random steps in every game of a host env, twice, and look at everything.

    Raises:
        UserError: naming the promise that is broken.
    """
    _check_spec(env)
    seeds = np.arange(seed, seed + env.envs)
    _same(env.reset(seeds), env.reset(seeds), "reset with the same seeds gives other observations")
    runs = [_play_host(env, seeds, steps, look=look) for look in (True, False)]
    for one, other in zip(*runs, strict=True):
        _same(one, other, "the same seeds and actions give other steps")


def _play_host(env: HostEnv, seeds: np.ndarray, steps: int, *, look: bool) -> list[Step]:
    observation, played = env.reset(seeds), []
    for t in range(steps):
        key = jax.random.fold_in(jax.random.key(int(seeds[0])), t)
        rows = [
            random_actions(env.spec, rollout.agents_of(observation), jax.random.fold_in(key, i))
            for i in range(env.envs)
        ]
        actions = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
        step = env.step(actions)
        for i in range(env.envs) if look else ():
            one, before, asked = jax.tree.map(
                lambda leaf, i=i: jnp.asarray(leaf[i]), (step, observation, actions)
            )
            check_step(env.spec, one, before, asked)
        played.append(jax.tree.map(np.array, step))
        ended = np.asarray(step.terminated) | np.asarray(step.truncated)
        observation = env.reset(seeds + t, ended) if ended.any() else step.observation
    return played


def _check_spec(env: Any) -> None:
    try:
        alike = env.spec == env.spec and hash(env.spec) == hash(env.spec)
    except TypeError as error:
        raise UserError(f"expected a spec that is hashable, found {error}; use tuples") from error
    require(alike, "expected the same spec every time it is asked for, found another")


def _batched_reset(env: Env) -> Any:
    """`reset` out of a compiled batch of two, so that it is compiled once."""
    pair = jax.jit(jax.vmap(env.reset))

    def reset(key: Key[Array, ""]) -> Any:
        return jax.tree.map(
            lambda leaf: leaf[0], pair(jnp.stack([key, jax.random.fold_in(key, 1)]))
        )

    return reset


def _check_reset(env: Env, reset: Any, key: Key[Array, ""]) -> tuple[Any, Observation]:
    first = env.reset(key)
    for leaf in jax.tree.leaves(first[0]):
        require(
            isinstance(leaf, jax.Array),
            f"expected a state made of JAX arrays, found {type(leaf).__name__}; a state goes "
            "through scan",
        )
    _same(env.reset(key), first, "reset with the same key gives another state")
    _same(reset(key), first, "reset differs when compiled and batched")
    check_observation(env.spec, first[1])
    return first


def _check_first_step(
    env: Env, step_once: Any, state: Any, observation: Observation, key: Key[Array, ""]
) -> None:
    """One step in every way a step can be called, and one with actions out of bounds."""
    agents = rollout.agents_of(observation)
    action = random_actions(env.spec, agents, key)
    found = step_once(state, action, key)
    _same(env.step(state, action, key), found, "step differs when compiled")
    _same(step_once(state, action, key), found, "step with the same arguments gives another result")

    def twice(tree: Any, axis: int) -> Any:
        return jax.tree.map(lambda leaf: jnp.stack([leaf, leaf], axis), tree)

    batched: Any = jax.jit(jax.vmap(env.step))
    pair = batched(twice(state, 0), twice(action, 0), jnp.stack([key, key]))
    _same(jax.tree.map(lambda leaf: leaf[1], pair), found, "step differs when batched")
    if rollout.has_lanes(env):
        side_by_side: Any = jax.jit(env.step)
        pair = side_by_side(twice(state, -1), twice(action, -1), key)
        _same(
            jax.tree.map(lambda leaf: leaf[..., 1], pair), found,
            "step differs with an axis of envs last",
        )  # fmt: skip
    for wild in (-1e3, 1e3):
        far = {name: jnp.full_like(values, wild) for name, values in action.items()}
        check_step(env.spec, step_once(state, far, key)[1], observation)


def _of_absent(action: Any, observation: Observation, spec: Spec, key: Key[Array, ""]) -> Any:
    """`action` with other actions of agents that are not alive; None if all are."""
    if all(bool(alive.all()) for alive in observation.alive.values()):
        return None
    drawn = random_actions(spec, rollout.agents_of(observation), key)
    return {
        name: jnp.where(observation.alive[name][:, None], values, drawn[name])
        for name, values in action.items()
    }


def _check_absent(found: Step, other: Step) -> None:
    one, two = (dataclasses.replace(step, action=None, info={}) for step in (found, other))
    _same(one, two, "what agents that are not alive do changes the game")


def _check_end(env: Env, reset: Any, step_once: Any, key: Key[Array, ""]) -> None:
    """Play one game to its horizon and beyond, whatever ends it before, without any reset."""
    horizon = env.spec.horizon
    if horizon is None or horizon > LONG:
        return
    draw = jax.jit(lambda seen, k: random_actions(env.spec, rollout.agents_of(seen), k))
    state, observation = reset(jax.random.fold_in(key, 2))
    for t in range(horizon + 2):
        own = jax.random.fold_in(key, 3 + t)
        state, step = step_once(state, draw(observation, own), own)
        observation = step.observation
        if t + 1 >= horizon:
            require(
                bool(step.terminated) or bool(step.truncated),
                f"expected a game that is over after its horizon of {horizon} steps and stays "
                f"over, found that it goes on at step {t + 1}; an env truncates at its horizon "
                "and never begins again by itself",
            )
            check_step(env.spec, step)


def check_padding(policy: Policy, observation: Observation, *, seed: int = 0) -> None:
    """See that twice the padding changes no action of an agent that is alive.

    Raises:
        UserError: naming the group whose actions changed.
    """
    key = jax.random.key(seed)

    def act(seen: Observation) -> Any:
        return policy.act(seen, policy.memory(rollout.agents_of(seen)), key)[0]

    few, many = act(observation), act(_pad(observation))
    for name, actions in few.items():
        alive = np.asarray(observation.alive[name])
        wide = np.asarray(many[name])[: len(alive)]
        require(
            np.allclose(np.asarray(actions)[alive], wide[alive], rtol=1e-5, atol=1e-6),
            f"expected padding to change no action of a live agent, found other actions of group "
            f"{name!r} with twice the slots; mask by alive, and draw per agent",
        )


def _pad(observation: Observation) -> Observation:
    def double(leaf: Any) -> Any:
        return jnp.concatenate([leaf, jnp.zeros_like(leaf)])

    return Observation(
        {name: double(x) for name, x in observation.features.items()},
        {name: double(x) for name, x in observation.alive.items()},
        None
        if observation.legal is None
        else {
            name: jnp.concatenate([x, jnp.ones_like(x)]) for name, x in observation.legal.items()
        },
        observation.state,
    )


def _same(found: Any, expected: Any, complaint: str) -> None:
    _same_structure(found, expected, "the result")
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    for a, b in pairs:
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        require(
            np.allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-6, equal_nan=True),
            f"{complaint}; an env is a pure function of its arguments",
        )


def _same_structure(found: Any, expected: Any, what: str) -> None:
    shapes = [
        jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), t)
        for t in (found, expected)
    ]
    require(
        shapes[0] == shapes[1],
        f"expected {what} to keep structure, shapes and types, found {shapes[0]} and {shapes[1]}",
    )
