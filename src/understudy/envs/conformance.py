"""One conformance suite for every env and every policy: what the contracts of `types` promise.

Each check returns nothing, or raises `UserError` with a sentence that says which promise is
broken. `check` is for JAX envs, `check_host` for host envs, `check_padding` for policies.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from understudy.envs import rollout
from understudy.types import Env, HostEnv, Observation, Policy, Spec, Step, require


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
    """Play `steps` random steps and look at everything.

    Raises:
        UserError: for shapes or types that differ from the spec, numbers that are not finite, an
            env that differs when compiled, batched or asked twice, actions outside their bounds,
            or an episode longer than the horizon.
    """
    key = jax.random.key(seed)
    state, observation = env.reset(key)
    _same(env.reset(key), (state, observation), "reset with the same key gives another state")
    _same(jax.jit(lambda k: env.reset(k))(key), (state, observation), "reset differs when compiled")
    check_observation(env.spec, observation)
    alone = (state, observation)
    batched = jax.vmap(env.reset)(jnp.stack([key, jax.random.fold_in(key, 1)]))
    _same(jax.tree.map(lambda leaf: leaf[0], batched), alone, "reset differs when batched")
    compiled, length = jax.jit(lambda *arguments: env.step(*arguments)), 0
    for t in range(steps):
        act_key, step_key = jax.random.split(jax.random.fold_in(key, t))
        action = random_actions(env.spec, rollout.agents_of(observation), act_key)
        after, step = compiled(state, action, step_key)
        if t == 0:
            _same(env.step(state, action, step_key), (after, step), "step differs when compiled")
        _same_structure(after, state)
        check_step(env.spec, step)
        length += 1
        require(
            env.spec.horizon is None or length <= env.spec.horizon,
            f"expected episodes of at most {env.spec.horizon} steps, found one of {length}; "
            "truncate at the horizon",
        )
        state, observation = after, step.observation
        if bool(step.terminated) or bool(step.truncated):
            state, observation = env.reset(jax.random.fold_in(act_key, 1))
            length = 0


def check_host(env: HostEnv, *, seed: int = 0, steps: int = 32) -> None:
    """Play `steps` random steps in every game of a host env and look at everything.

    Raises:
        UserError: as `check`; and for games that do not follow from their seeds.
    """
    seeds = np.arange(seed, seed + env.envs)
    first, again = env.reset(seeds), env.reset(seeds)
    _same(again, first, "reset with the same seeds gives other observations")
    observation = first
    for t in range(steps):
        key = jax.random.fold_in(jax.random.key(seed), t)
        rows = [
            random_actions(env.spec, rollout.agents_of(observation), jax.random.fold_in(key, i))
            for i in range(env.envs)
        ]
        step = env.step(jax.tree.map(lambda *leaves: np.stack(leaves), *rows))
        for i in range(env.envs):
            check_step(env.spec, jax.tree.map(lambda leaf, i=i: jnp.asarray(leaf[i]), step))
        ended = np.asarray(step.terminated) | np.asarray(step.truncated)
        observation = env.reset(seeds + t, ended) if ended.any() else step.observation


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
        if observation.legal is not None and group.action is not None:
            legal = observation.legal[group.name]
            shape = (group.agents, group.action.choices)
            require(legal.shape == shape, f"expected legal {shape}, found {legal.shape}")
    size = 0 if observation.state is None else observation.state.shape[-1]
    require(size == spec.state, f"expected a state of {spec.state} numbers, found {size}")


def check_step(spec: Spec, step: Step) -> None:
    """Compare one unbatched step with the spec."""
    check_observation(spec, step.observation)
    for group in spec.groups:
        if group.action is None:
            continue
        action = np.asarray(step.action[group.name])
        shape = (group.agents, group.action.size)
        require(action.shape == shape, f"expected actions {shape}, found {action.shape}")
        low = np.array([0.0] * len(group.action.sections) + list(group.action.low))
        high = np.array([n - 1.0 for n in group.action.sections] + list(group.action.high))
        require(
            np.all((action >= low - 1e-5) & (action <= high + 1e-5)),
            f"expected actions of group {group.name!r} as the env executed them, inside their "
            "bounds, found others; clip them before you return them",
        )
        reward = np.asarray(step.reward[group.name])
        require(
            reward.shape == (group.agents,) and np.isfinite(reward).all(),
            f"expected one finite reward per agent of {group.name!r}, found shape {reward.shape}",
        )
    for name in ("terminated", "truncated"):
        flag = getattr(step, name)
        require(
            flag.shape == () and flag.dtype == jnp.bool_,
            f"expected {name} to be one bool, found {flag.dtype} of shape {flag.shape}",
        )


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
    _same_structure(found, expected)
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    for a, b in pairs:
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        require(
            np.allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-6),
            f"{complaint}; an env is a pure function of its arguments",
        )


def _same_structure(found: Any, expected: Any) -> None:
    shapes = [
        jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), t)
        for t in (found, expected)
    ]
    require(
        shapes[0] == shapes[1],
        f"expected the same structure, shapes and types every time, found {shapes[0]} and "
        f"{shapes[1]}",
    )
