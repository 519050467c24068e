"""A game whose best actions and whose values are known, for every policy optimiser."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from understudy.envs import rollout
from understudy.envs.actions import executed
from understudy.types import ActionSpec, Batch, Group, Observation, Spec, Step, hyperparameters

AIM = 0.3
DISCOUNT = 0.5


@hyperparameters
class Probe:
    """Two steps; each agent is paid 1 for the choice it is shown, minus the squared miss of AIM.

    Half of the games are terminated after the second step, the others are cut there. With the best
    actions and γ = ½ a step is worth 1 (last of a terminated game), 1.5 (its first) or 2 (of a game
    that would go on for ever), if whoever learns tells these ends apart. Choice 2 is not legal.
    """

    agents: int = 2
    together: bool = False
    """Everybody is paid what the team earns on average."""

    @property
    def spec(self):
        action = ActionSpec((3,), (-1.0,), (1.0,))
        return Spec((Group("agents", self.agents, 4, action),), state=2, horizon=2)

    def observe(self, shown, ends, time):
        lead = jnp.broadcast_to(jnp.stack([ends, time.astype(jnp.float32)]), (self.agents, 2))
        features = jnp.concatenate([lead, jax.nn.one_hot(shown, 2)], -1)
        legal = jnp.broadcast_to(jnp.array([True, True, False]), (self.agents, 3))
        return Observation(
            {"agents": features},
            {"agents": jnp.ones(self.agents, bool)},
            {"agents": legal},
            lead[0],
        )

    def reset(self, key):
        first, second = jax.random.split(key)
        shown = jax.random.randint(first, (self.agents,), 0, 2)
        ends = jax.random.bernoulli(second).astype(jnp.float32)
        time = jnp.zeros((), jnp.int32)
        return (shown, ends, time), self.observe(shown, ends, time)

    def step(self, state, action, key):
        shown, ends, time = state
        action = executed(self.spec, action)
        right = (action["agents"][:, 0] == shown.astype(jnp.float32)).astype(jnp.float32)
        reward = right - jnp.square(action["agents"][:, 1] - AIM)
        if self.together:
            reward = jnp.broadcast_to(reward.mean(), (self.agents,))
        shown = jax.random.randint(key, (self.agents,), 0, 2)
        over = time >= 1
        # games that are cut look the same in every step, so that their value is one number
        later = jnp.where(ends > 0, time + 1, 0)
        after = (shown, ends, time + 1)
        seen = self.observe(shown, ends, later)
        return after, Step(seen, action, {"agents": reward}, over & (ends > 0), over & (ends == 0))


def play(algorithm: Any, env: Any, *, seed: int = 0) -> Any:
    """A fresh state of `algorithm`, and the rows its policy acts in."""

    @jax.jit
    def run(algorithm: Any, key: Any) -> Any:
        first, second, third = jax.random.split(key, 3)
        state = algorithm.init(env.spec, None, first)
        policy = algorithm.policy(state, "explore")
        actor = rollout.begin(env, policy, second, envs=algorithm.envs)
        return state, rollout.collect(env, policy, actor, third, steps=algorithm.rollout)[1]

    return run(algorithm, jax.random.key(seed))


def learn(algorithm: Any, env: Any, *, updates: int, seed: int = 0) -> Any:
    """The state of `algorithm` after some updates in a JAX env, in one program."""

    @functools.partial(jax.jit, static_argnames="updates")
    def run(algorithm: Any, key: Any, *, updates: int) -> Any:
        first, second, third = jax.random.split(key, 3)
        state = algorithm.init(env.spec, None, first)
        actor = rollout.begin(env, algorithm.policy(state, "explore"), second, envs=algorithm.envs)

        def update(carry: Any, step: Any) -> Any:
            state, actor = carry
            collect_key, update_key = jax.random.split(jax.random.fold_in(third, step))
            policy = algorithm.policy(state, "explore")
            actor, rows = rollout.collect(env, policy, actor, collect_key, steps=algorithm.rollout)
            state, metrics = algorithm.update(state, Batch(rows), step, update_key)
            return (state, actor), (metrics, rows)

        (state, _), (metrics, rows) = jax.lax.scan(update, (state, actor), jnp.arange(updates))
        return state, metrics, jax.tree.map(lambda leaf: leaf[-1], rows)

    return run(algorithm, jax.random.key(seed), updates=updates)
