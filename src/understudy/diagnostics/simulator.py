"""Simulators: both halves of a log, on arrays.

A log of two sides that react to each other has an agent, which acts on a state, and a world, which
answers with the next one. A simulator plays both, for many rows at once, and says how likely it
holds what was logged. `OfNetwork` is the joint policy of cloning or of adversarial imitation,
`OfWorld` an ensemble of world models beside somebody who acts.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from understudy.functional.written import unwritten, written
from understudy.networks.actions import action_of
from understudy.networks.ensemble import Ensemble
from understudy.networks.next_state import seen
from understudy.networks.policy import ActedRows, Network
from understudy.types import Observation, Spec, require


@runtime_checkable
class Simulator(Protocol):
    """Both halves of a log; pure functions of arrays, rows first."""

    @property
    def spec(self) -> Spec:
        """Two groups of one agent each: who acts, then the world."""
        ...

    def act(self, now: Float[Array, "rows obs"], key: Key[Array, ""]) -> Float[Array, "rows act"]:
        """Draw what the agent does."""
        ...

    def answer(
        self, now: Float[Array, "rows obs"], done: Float[Array, "rows act"], key: Key[Array, ""]
    ) -> Float[Array, "rows obs"]:
        """Draw the next state, as features."""
        ...

    def expect(
        self, now: Float[Array, "rows obs"], done: Float[Array, "rows act"]
    ) -> Float[Array, "rows obs"]:
        """The mean of the next state: probabilities in sections, then means."""
        ...

    def expect_action(self, now: Float[Array, "rows obs"]) -> Float[Array, "rows numbers"]:
        """The mean of what the agent does, written as numbers: probabilities, then means."""
        ...

    def act_log_probs(
        self, now: Float[Array, "rows obs"], done: Float[Array, "rows act"]
    ) -> Float[Array, "rows heads"] | None:
        """Log-density of each section and value of an action, nats; None where it has none."""
        ...

    def answer_log_probs(
        self,
        now: Float[Array, "rows obs"],
        done: Float[Array, "rows act"],
        after: Float[Array, "rows obs"],
    ) -> Float[Array, "rows heads"] | None:
        """Log-density of each section and value of the next state; None where it has none."""
        ...


def halves(spec: Spec) -> tuple[str, str]:
    """Names of the group that acts and of the world.

    Raises:
        UserError: unless one agent acts and one world, which sees it, answers.
    """
    world = spec.world
    others = [group for group in spec.groups if not group.advances]
    require(
        len(others) == 1 and others[0].agents == 1 and world.sees == (others[0].name,),
        f"expected a log of one agent that acts and one world that sees it, found groups "
        f"{list(spec.names)}; read a log of transitions (reader 'transitions')",
    )
    return others[0].name, world.name


class OfNetwork(eqx.Module):
    """The joint policy of both halves that a network is."""

    network: Network

    @property
    def spec(self) -> Spec:
        """Of the log."""
        return self.network.spec

    def _heads(self, now: Array, done: Array | None) -> tuple[Any, Any]:
        agent, world = halves(self.spec)
        rows = now[None, :, None]
        if done is None:
            done = jnp.zeros((now.shape[0], action_of(self.spec[agent]).size))
        none = jnp.zeros((now.shape[0], action_of(self.spec[world]).size))
        legal = {
            agent: jnp.ones((*rows.shape[:-1], action_of(self.spec[agent]).choices), bool),
            world: self.spec.world.stays_legal(rows),
        }
        alive = jnp.ones(rows.shape[:-1], bool)
        observation = Observation(
            {agent: rows, world: rows}, {agent: alive, world: alive},
            legal if self.spec.world.constant else None,
        )  # fmt: skip
        action = {agent: done[None, :, None], world: none[None, :, None]}
        found = self.network.predictions(
            ActedRows(observation, action, jnp.ones(rows.shape[:2], bool), ())
        )
        return found[agent], found[world]

    def act(self, now: Any, key: Any) -> Any:
        """Draw what the agent does."""
        return self._heads(now, None)[0].sample(key)[0, :, 0]

    def answer(self, now: Any, done: Any, key: Any) -> Any:
        """Draw the next state."""
        drawn = self._heads(now, done)[1].sample(key)[0, :, 0]
        return written(action_of(self.spec.world), drawn)

    def expect(self, now: Any, done: Any) -> Any:
        """The mean of the next state."""
        return self._heads(now, done)[1].expected()[0, :, 0]

    def expect_action(self, now: Any) -> Any:
        """The mean of what the agent does."""
        return self._heads(now, None)[0].expected()[0, :, 0]

    def act_log_probs(self, now: Any, done: Any) -> Any:
        """Of each section and value of an action."""
        return self._heads(now, done)[0].log_probs(done[None, :, None])[0, :, 0]

    def answer_log_probs(self, now: Any, done: Any, after: Any) -> Any:
        """Of each section and value of the next state."""
        action = unwritten(action_of(self.spec.world), after)
        return self._heads(now, done)[1].log_probs(action[None, :, None])[0, :, 0]


class OfWorld(eqx.Module):
    """An ensemble of world models that answers somebody who acts."""

    agent: Simulator
    """Who acts; how it answers is not used."""
    ensemble: Ensemble

    @property
    def spec(self) -> Spec:
        """Of the log."""
        return self.ensemble.spec

    def _numbers(self, done: Array) -> Array:
        agent, _ = halves(self.spec)
        return seen(self.spec, {agent: done[:, None]})

    def act(self, now: Any, key: Any) -> Any:
        """Draw what the agent does."""
        return self.agent.act(now, key)

    def expect_action(self, now: Any) -> Any:
        """The mean of what the agent does."""
        return self.agent.expect_action(now)

    def act_log_probs(self, now: Any, done: Any) -> Any:
        """Of each section and value of an action."""
        return self.agent.act_log_probs(now, done)

    def answer(self, now: Any, done: Any, key: Any) -> Any:
        """Draw the next state, each row from a member drawn for it."""
        keys = jax.random.split(key, now.shape[0])
        return jax.vmap(self.ensemble.draw)(now, self._numbers(done), keys)

    def expect(self, now: Any, done: Any) -> Any:
        """The mean of the next state, of all members together."""
        return self.ensemble.mean(now, self._numbers(done))

    def answer_log_probs(self, now: Any, done: Any, after: Any) -> Any:
        """Of each section and value, of all members mixed, each head by itself."""
        action = unwritten(action_of(self.spec.world), after)
        found = self.ensemble.predict(now, self._numbers(done))
        each = jax.vmap(lambda one: one.log_probs(action))(found)
        return jax.nn.logsumexp(each, 0) - jnp.log(each.shape[0])

    def uncertainty(self, now: Any, done: Any) -> Float[Array, " rows"]:
        """Mean spread of what members expect, in usual changes."""
        return self.ensemble.spread(now, self._numbers(done))
