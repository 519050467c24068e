"""Policies written by hand: what they share, those of the games in which nobody moves, and one
that moves without an aim.

See `understudy.envs.experts` for how they are built.
"""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from understudy.envs.chance import Certain, Random
from understudy.envs.steering import Steering
from understudy.types import Actions, Memory, Observation, Policy, record


class Scripted(Certain):
    """A policy that remembers nothing and has no probabilities."""

    decentralised: bool = eqx.field(static=True, default=False, kw_only=True)
    transfers: bool = eqx.field(static=True, default=True, kw_only=True)

    def memory(self, agents: Mapping[str, int]) -> Memory:
        """None is kept."""
        return ()

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """What the script says."""
        raise NotImplementedError


class Noisy(Scripted):
    """Acts like another policy, but for some actions at random."""

    policy: Policy
    random: Random
    noise: Float[Array, ""]
    """Probability of a random action, per agent and step."""

    def memory(self, agents: Mapping[str, int]) -> Memory:
        """That of the policy."""
        return self.policy.memory(agents)

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """Draw per agent whose action it is."""
        own, other, choice = jax.random.split(key, 3)
        actions, memory = self.policy.act(observation, memory, own)
        drawn, _ = self.random.act(observation, (), other)
        mixed = {}
        for number, (name, action) in enumerate(sorted(actions.items())):
            swap = jax.random.bernoulli(
                jax.random.fold_in(choice, number), self.noise, action.shape[:1]
            )
            mixed[name] = jnp.where(swap[:, None], drawn[name], action)
        return mixed, memory


@record
class Wandering:
    """Where each agent is going, in the order of the spec, and since when the episode goes on."""

    direction: Float[Array, "agents 2"]
    time: Int[Array, ""]


class Wander(Scripted):
    """Pushes each of two agents for some steps in a direction drawn by chance, lets it coast for
    some, and begins again; it explores the plane with motions that last.

    Source: Krupnik, Mordatch and Tamar (arXiv 1901.10251), appendix; how long agents coast, and how
    often they are pushed towards each other, is not published.
    """

    steering: Steering
    names: tuple[str, str] = eqx.field(static=True)
    """Groups in the order of the spec, one agent each."""
    towards: float = eqx.field(static=True, default=0.0)
    """Probability that a push leads straight towards the other agent, not anywhere."""
    push: int = eqx.field(static=True, default=5)
    """Steps."""
    coast: int = eqx.field(static=True, default=5)
    """Steps."""

    def memory(self, agents: Mapping[str, int]) -> Memory:
        """At the beginning nobody goes anywhere."""
        return Wandering(jnp.zeros((sum(agents.values()), 2)), jnp.zeros((), jnp.int32))

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """Draw where a round of steps begins, push in its first part."""
        angle_key, other_key = jax.random.split(key)
        angle = 2 * jnp.pi * jax.random.uniform(angle_key, (2,))
        drawn = jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1)
        if self.towards > 0:
            positions = jnp.asarray(observation.state)[:4].reshape(2, 2)
            way = positions[::-1] - positions
            way = way / jnp.maximum(jnp.linalg.norm(way, axis=1, keepdims=True), 1e-6)
            straight = jax.random.bernoulli(other_key, self.towards, (2,))
            drawn = jnp.where(straight[:, None], way, drawn)
        time = memory.time % (self.push + self.coast)
        direction = jnp.where(time == 0, drawn, memory.direction)
        moves = self.steering.push(jnp.where(time < self.push, direction, 0.0))
        actions = {name: moves[i : i + 1] for i, name in enumerate(self.names)}
        return actions, Wandering(direction, memory.time + 1)


class OddDraw(Scripted):
    """Draws one of the joint actions with an odd number of ones, all alike."""

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """Coins for all but the last agent, who makes the number odd."""
        count = observation.alive["agents"].shape[0]
        coins = jax.random.bernoulli(key, 0.5, (count - 1,)).astype(jnp.float32)
        last = (jnp.sum(coins) + 1.0) % 2.0
        return {"agents": jnp.append(coins, last)[:, None]}, memory


class FreshRoles(Scripted):
    """Draws a new assignment of roles in every step, all alike."""

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """A permutation: the order of as many random numbers."""
        count = observation.alive["agents"].shape[0]
        order = jnp.argsort(jax.random.uniform(key, (count,)))
        return {"agents": order.astype(jnp.float32)[:, None]}, memory


class Balancer(Scripted):
    """Pushes to the side to which the pole is about to fall, and gently back to the middle."""

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """The sign of a sum of place, speed, angle and turning."""
        assert observation.state is not None
        lean = jnp.sum(jnp.asarray(observation.state) * jnp.array([0.05, 0.1, 1.0, 0.3]))
        return {"agents": (lean > 0).astype(jnp.float32)[None, None]}, memory
