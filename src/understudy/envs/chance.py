"""Policies that do not look: any legal action at random, the 0 of every score; or none at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Key

from understudy.types import Actions, ActionSpec, Memory, Observation, Rewards, Spec, UserError


class Random(eqx.Module):
    """Acts without looking: every legal choice alike, every bounded dimension uniformly."""

    spec: Spec = eqx.field(static=True)
    decentralised: bool = eqx.field(static=True, default=True)
    transfers: bool = eqx.field(static=True, default=True)

    def memory(self, agents: Mapping[str, int]) -> Memory:
        """None is kept."""
        return ()

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """Draw an action for every agent; a dimension without bounds is standard normal."""
        actions = {}
        for number, group in enumerate(self.spec.groups):
            agents = observation.alive[group.name].shape[-1]
            legal = None if observation.legal is None else observation.legal.get(group.name)
            drawn = _draw(group.action, agents, legal, jax.random.fold_in(key, number))
            actions[group.name] = drawn
        return actions, memory

    def log_prob(
        self,
        observations: Observation,
        actions: Actions,
        starts: Bool[Array, " time"],
        memory: Memory,
    ) -> tuple[Rewards, Rewards]:
        """Log-probability and entropy; a legal mask is not counted, unbounded means N(0, 1)."""
        found, entropies = {}, {}
        for group in self.spec.groups:
            value, entropy = _measure(group.action, actions[group.name])
            found[group.name] = value
            entropies[group.name] = jnp.broadcast_to(entropy, value.shape)
        return found, entropies


class Certain(eqx.Module):
    """What has no probabilities: a script, a replay, doing nothing."""

    def log_prob(
        self,
        observations: Observation,
        actions: Actions,
        starts: Bool[Array, " time"],
        memory: Memory,
    ) -> tuple[Rewards, Rewards]:
        """Raise: there are none.

        Raises:
            UserError: always.
        """
        name = type(self).__name__
        raise UserError(f"expected a policy with probabilities, found {name}, which has none")


class Noop(Certain):
    """Does nothing: the first choice that is legal, and the amount nearest to 0."""

    spec: Spec = eqx.field(static=True)
    decentralised: bool = eqx.field(static=True, default=True)
    transfers: bool = eqx.field(static=True, default=True)

    def memory(self, agents: Mapping[str, int]) -> Memory:
        """None is kept."""
        return ()

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """The same for every agent."""
        actions = {}
        for group in self.spec.groups:
            agents = observation.alive[group.name].shape[-1]
            legal = None if observation.legal is None else observation.legal.get(group.name)
            actions[group.name] = _nothing(group.action, agents, legal)
        return actions, memory


def _nothing(action: ActionSpec | None, agents: int, legal: Any) -> Array:
    if action is None:
        return jnp.zeros((agents, 0))
    columns, first = [], 0
    for choices in action.sections:
        chosen = jnp.zeros(agents)
        if legal is not None:
            chosen = jnp.argmax(legal[:, first : first + choices], -1).astype(jnp.float32)
        columns.append(chosen)
        first += choices
    for low, high in zip(action.low, action.high):
        columns.append(jnp.full(agents, min(max(0.0, low), high)))
    return jnp.stack(columns, -1)


def _bounded(action: ActionSpec) -> list[bool]:
    return [bool(np.isfinite([low, high]).all()) for low, high in zip(action.low, action.high)]


def _measure(action: ActionSpec | None, actions: Array) -> tuple[Array, Array]:
    value = jnp.zeros(actions.shape[:-1])
    if action is None:
        return value, jnp.zeros(())
    flat = sum(np.log(choices) for choices in action.sections)
    total = float(flat)
    first = len(action.sections)
    for number, bounded in enumerate(_bounded(action)):
        if bounded:
            width = float(np.log(action.high[number] - action.low[number]))
            flat, total = flat + width, total + width
        else:
            column = actions[..., first + number]
            value = value - 0.5 * jnp.square(column) - 0.5 * float(np.log(2 * np.pi))
            total += 0.5 * float(np.log(2 * np.pi * np.e))
    return value - float(flat), jnp.asarray(total, jnp.float32)


def _draw(action: ActionSpec | None, agents: int, legal: Any, key: Any) -> Array:
    if action is None:
        return jnp.zeros((agents, 0))
    columns, first = [], 0
    for number, choices in enumerate(action.sections):
        allowed = jnp.zeros((agents, choices))
        if legal is not None:
            allowed = jnp.where(legal[:, first : first + choices], 0.0, -jnp.inf)
        drawn = jax.random.categorical(jax.random.fold_in(key, number), allowed)
        columns.append(drawn.astype(jnp.float32)[:, None])
        first += choices
    for number, bounded in enumerate(_bounded(action)):
        own = jax.random.fold_in(key, len(action.sections) + number)
        low, high = action.low[number], action.high[number]
        if bounded:
            columns.append(jax.random.uniform(own, (agents, 1), minval=low, maxval=high))
        else:
            columns.append(jnp.clip(jax.random.normal(own, (agents, 1)), low, high))
    return jnp.concatenate(columns, axis=1)
