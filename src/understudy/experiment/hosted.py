"""The training loop with a host simulator: rows are collected in numpy, updates are compiled.

A simulator's inside cannot be kept in a checkpoint. So at every checkpoint all episodes are
truncated, bootstrapped by the observation they led to, and begun again with seeds drawn from
(seed, stage, step), in runs that are never interrupted too.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Key

from understudy import tree
from understudy.data.feed import Feed
from understudy.envs import rollout
from understudy.experiment.loops import Carry, over_seeds, update
from understudy.types import Batch, HostEnv, Memory, Observation, Rollout


class Hosted:
    """Advances a carry by chunks of updates on what a `HostEnv` gives.

    The env's games are shared out among the seeds, in order.
    """

    timed = False
    """A checkpoint restarts all episodes, so none is written but where the plan says."""

    def __init__(
        self, stage: Any, number: int, env: HostEnv, feed: Feed | None, keys: Any, seed: int
    ) -> None:
        self.stage, self.number, self.env = stage, number, env
        self.feed, self.keys, self.seed = feed, keys, seed
        self.seeds = keys.shape[0]
        self.memory: Memory = None
        self.observation: Any = None
        self.starts: Any = None

    def advance(self, carry: Carry, step: int, length: int) -> tuple[Carry, Any]:
        """Do `length` updates from `step` on; return the mean of each metric, per seed."""
        windows = None if self.feed is None else self.feed.chunk(step, length)
        rows = []
        for i in range(length):
            window = None if windows is None else tree.index(windows, i)
            rollouts = self._collect(carry.states, step + i)
            carry, metrics = _update(
                self.stage.algorithm,
                carry,
                (rollouts, window),
                (jnp.int32(step + i), jnp.int32(self.stage.offset)),
                self.keys,
            )
            rows.append(metrics)
        return carry, jax.tree.map(lambda *values: jnp.stack(values).mean(0), *rows)

    def close(self) -> None:
        """Stop the thread that feeds; the env belongs to whoever made it."""
        if self.feed is not None:
            self.feed.close()

    def _collect(self, states: Any, step: int) -> Rollout:
        """Play ``rollout`` rows in every game; ``[seeds, time, envs, ...]``."""
        algorithm, length = self.stage.algorithm, self.stage.algorithm.rollout
        if self.observation is None:
            self.observation = self.env.reset(self._episode_seeds(step, 0))
            self.starts = np.ones(self.env.envs, bool)
        restart = (step + 1) % self.stage.checkpoint_every == 0
        keys = _row_keys(self.keys, jnp.int32(step), rows=length)
        # flat once: weights are the same in all rows, and many
        weights, shape = jax.tree.flatten((algorithm, states))
        kept, before, told = [], None, []
        for row in range(length):
            seen, starts = self._share(self.observation), self._share(self.starts)
            if self.memory is None or self.starts.any():
                self.memory = _fresh(weights, seen, self.memory, starts, shape=shape)
            before = self.memory if before is None else before
            action, self.memory, said = _act(
                weights, seen, self.memory, starts, keys[:, row], shape=shape
            )
            told.append(said)
            answer = self.env.step(self._join(action))
            truncated = np.asarray(answer.truncated)
            if restart and row == length - 1:
                truncated = truncated | ~np.asarray(answer.terminated)
            kept.append({
                "observation": self.observation,
                "observation_next": answer.observation,
                "action": answer.action,
                "reward": answer.reward,
                "terminated": np.asarray(answer.terminated),
                "truncated": truncated,
                "starts": self.starts,
                "info": answer.info,
            })  # fmt: skip
            self.observation, self.starts = answer.observation, answer.terminated | truncated
            if self.starts.any() and not (restart and row == length - 1):
                self.observation = self.env.reset(self._episode_seeds(step, row + 1), self.starts)
        if restart:
            self.observation = None
        rows = jax.tree.map(lambda *leaves: self._share(np.stack(leaves), 1), *kept)
        told = jax.tree.map(lambda *leaves: jnp.stack(leaves, 1), *told)
        return Rollout(memory=before, kept=told, **rows)

    def _episode_seeds(self, step: int, row: int) -> np.ndarray:
        """Seeds of the episodes that begin before `row` of update `step`, one per game."""
        entropy = [self.seed, self.number, step, row]
        return np.random.SeedSequence(entropy).generate_state(self.env.envs).astype(np.int64)

    def _share(self, value: Any, time: int = 0) -> Any:
        """``[(time,) games, ...]`` -> ``[seeds, (time,) envs, ...]``."""

        def share(leaf: Any) -> np.ndarray:
            leaf = np.asarray(leaf)
            shape = (*leaf.shape[:time], self.seeds, -1, *leaf.shape[time + 1 :])
            return np.moveaxis(leaf.reshape(shape), time, 0)

        return jax.tree.map(share, value)

    def _join(self, actions: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """``[seeds, envs, ...]`` -> ``[games, ...]``."""
        return {
            name: np.asarray(leaf).reshape(-1, *leaf.shape[2:]) for name, leaf in actions.items()
        }


@functools.partial(jax.jit, static_argnames="rows")
def _row_keys(keys: Key[Array, " seeds"], step: Any, *, rows: int) -> Any:
    """Keys ``[seeds, rows]``, apart from those of the update of the same step."""

    def one(key: Any) -> Any:
        return jax.random.split(jax.random.split(jax.random.fold_in(key, step))[0], rows)

    return jax.vmap(one)(keys)


@functools.partial(jax.jit, static_argnames="shape")
def _fresh(
    weights: list[Array],
    observation: Observation,
    memory: Memory,
    starts: Bool[Array, "seeds envs"],
    *,
    shape: Any,
) -> Memory:
    """Memory with the games that begin at their beginning."""
    algorithm, states = jax.tree.unflatten(shape, weights)

    def one(state: Any, observation: Observation, memory: Memory, starts: Any) -> Memory:
        policy = algorithm.policy(state, "explore")
        blank = rollout.blank(policy, observation, starts.shape[0])
        return blank if memory is None else tree.where(starts, blank, memory)

    return over_seeds(one, states, observation, memory, starts)


@functools.partial(jax.jit, static_argnames="shape")
def _act(
    weights: list[Array], observation: Any, memory: Any, starts: Any, keys: Any, *, shape: Any
) -> Any:
    """Actions of every game, memory, and what is kept for learning."""
    algorithm, states = jax.tree.unflatten(shape, weights)

    def one(state: Any, observation: Any, memory: Any, starts: Any, key: Any) -> Any:
        each = jax.random.split(key, starts.shape[0])
        policy = algorithm.policy(state, "explore")
        action, memory = rollout.act(policy, observation, memory, starts, each)
        return action, memory, rollout.kept(policy, memory)

    return over_seeds(one, states, observation, memory, starts, keys)


@functools.partial(jax.jit, donate_argnames=("carry",))
def _update(
    algorithm: Any, carry: Carry, taken: tuple[Any, Any], at: tuple[Any, Any], keys: Any
) -> Any:
    rollouts, window = taken
    carry = Carry(carry.states, carry.diverged, rollouts)

    def batches(state: Any, rows: Rollout, key: Any) -> tuple[Batch, None]:
        return Batch(rows, window), None

    return update(algorithm, carry, batches, *at, keys)
