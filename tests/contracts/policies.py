"""A recurrent Gaussian policy and its learner, shared by the contracts with an env."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from understudy import tree
from understudy.functional.written import with_seen
from understudy.types import Spec, hyperparameters, record


class Recall(eqx.Module):
    """Mean action = what it sees and its own last action, through weights of its group."""

    weights: dict[str, jax.Array]
    scale: jax.Array
    spec: Spec = eqx.field(static=True)
    decentralised: bool = eqx.field(static=True, default=True)
    transfers: bool = eqx.field(static=True, default=True)

    def memory(self, agents):
        return {n: jnp.zeros((agents[n], w.shape[-1])) for n, w in self.weights.items()}

    def mean(self, group, observation, memory, actions):
        seen = with_seen(self.spec, group.name, observation.features[group.name], actions)
        return jnp.concatenate([seen, memory[group.name]], -1) @ self.weights[group.name]

    def act(self, observation, memory, key):
        actions = {}
        for group in self.spec.groups:
            mean = self.mean(group, observation, memory, actions)
            keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(mean.shape[0]))
            noise = jax.vmap(lambda k, n=mean.shape[1]: jax.random.normal(k, (n,)))(keys)
            actions[group.name] = mean + self.scale * noise
        return actions, actions

    def log_prob(self, observations, actions, starts, memory):
        def row(memory, x):
            observation, action, start = x
            memory = tree.where(start, jax.tree.map(jnp.zeros_like, memory), memory)
            means = {g.name: self.mean(g, observation, memory, action) for g in self.spec.groups}
            return action, {n: -((action[n] - m) ** 2).sum(-1) for n, m in means.items()}

        _, logs = jax.lax.scan(row, memory, (observations, actions, starts))
        return logs, jax.tree.map(jnp.zeros_like, logs)


@record
class Learned:
    params: Any


@hyperparameters
class Reinforce:
    """On-policy: raises the probability of what was paid better than average."""

    rate: float = 0.05
    envs: int = 3
    rollout: int = 4
    needs: ClassVar[frozenset[str]] = frozenset({"env"})

    def init(self, spec, statistics, key):
        shapes = {g.name: (spec.inputs(g.name) + g.action.size, g.action.size) for g in spec.groups}
        keys = jax.random.split(key, len(shapes))
        weights = {n: 0.1 * jax.random.normal(k, s) for k, (n, s) in zip(keys, shapes.items())}
        return Learned(Recall(weights, jnp.asarray(0.3), spec))

    def policy(self, state, mode="sample"):
        scale = jnp.asarray(0.0) if mode == "mode" else state.params.scale
        return eqx.tree_at(lambda p: p.scale, state.params, scale)

    def update(self, state, batch, step, key):
        rows = batch.rollout

        def loss(params):
            spread = jax.vmap(params.log_prob, in_axes=(1, 1, 1, 0), out_axes=1)
            logs, _ = spread(rows.observation, rows.action, rows.starts, rows.memory)
            gain = jax.tree.map(lambda r: r - r.mean(), rows.reward)
            return -sum(jnp.mean(logs[n] * gain[n]) for n in logs)

        value, slope = jax.value_and_grad(loss)(state.params)
        params = jax.tree.map(lambda p, g: p - self.rate * g, state.params, slope)
        reward = sum(jnp.mean(r) for r in rows.reward.values())
        return Learned(params), {"loss": value, "reward": reward}
