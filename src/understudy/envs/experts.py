"""Scripted experts: policies written by hand, for collecting demonstrations and as the 1 of scores.

``EXPERTS[name](env)`` builds one; `own` the one a game is known to have. They read the global state
where a game has one, so they play on behind any wrapper that leaves it alone. Each takes ``noise``,
the probability with which an agent acts at random in a step instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Key

from understudy.envs import chance
from understudy.envs.cartpole import CartPole
from understudy.envs.roles import Roles
from understudy.envs.spread import Spread
from understudy.envs.steering import Steering
from understudy.envs.wrappers import bare
from understudy.envs.xor import Xor
from understudy.types import Actions, Env, Memory, Observation, Policy, Rewards, UserError, require


class Scripted(eqx.Module):
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

    def log_prob(
        self,
        observations: Observation,
        actions: Actions,
        starts: Bool[Array, " time"],
        memory: Memory,
    ) -> tuple[Rewards, Rewards]:
        """Raise: a script has no probabilities."""
        raise UserError("expected a policy with probabilities, found a scripted expert")


class Noisy(Scripted):
    """Acts like another policy, but for some actions at random."""

    policy: Policy
    random: chance.Random
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


class Hungarian(Scripted):
    """Sends each agent to the landmark of the assignment with the least total distance."""

    steering: Steering

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """Assign, then steer; an agent too many stays where it is."""
        count = observation.alive["agents"].shape[0]
        positions, velocities, landmarks = places(observation, count)
        apart = jnp.linalg.norm(positions[:, None] - landmarks[None], axis=-1)
        # numbers that are not finite would keep the search going for ever
        agents, chosen = optax.assignment.hungarian_algorithm(jnp.nan_to_num(apart))
        goals = positions.at[agents].set(landmarks[chosen])
        return {"agents": self.steering.to(goals, positions, velocities)}, memory


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
        """A permutation."""
        count = observation.alive["agents"].shape[0]
        return {"agents": jax.random.permutation(key, count).astype(jnp.float32)[:, None]}, memory


class Balancer(Scripted):
    """Pushes to the side to which the pole is about to fall, and gently back to the middle."""

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """The sign of a sum of place, speed, angle and turning."""
        assert observation.state is not None
        lean = jnp.sum(jnp.asarray(observation.state) * jnp.array([0.05, 0.1, 1.0, 0.3]))
        return {"agents": (lean > 0).astype(jnp.float32)[None, None]}, memory


def places(
    observation: Observation, agents: int
) -> tuple[Float[Array, "agents 2"], Float[Array, "agents 2"], Float[Array, "landmarks 2"]]:
    """Positions and velocities of `agents` agents, and landmarks, out of a global state."""
    state = jnp.asarray(observation.state)
    positions, velocities, landmarks = jnp.split(state, (2 * agents, 4 * agents))
    return positions.reshape(-1, 2), velocities.reshape(-1, 2), landmarks.reshape(-1, 2)


def hungarian(env: Env, *, noise: float = 0.0) -> Policy:
    """Cover the landmarks of any `Spread`, each agent the one that is best for all.

    Raises:
        UserError: for another game.
    """
    game = _expect(env, Spread, "hungarian")
    steering = Steering(
        game.spec.groups[0].action, float(game.force), game.velocity_first, game.right_first
    )
    return _shaken(Hungarian(steering), env, noise)


def xor(env: Env, *, noise: float = 0.0) -> Policy:
    """Win `Xor`, each way to win as often: any agents but all together look like coins.

    Raises:
        UserError: for another game.
    """
    _expect(env, Xor, "xor")
    return _shaken(OddDraw(), env, noise)


def roles(env: Env, *, noise: float = 0.0) -> Policy:
    """Share out the roles of `Roles` anew in every step, each way as often.

    Raises:
        UserError: for another game.
    """
    _expect(env, Roles, "roles")
    return _shaken(FreshRoles(), env, noise)


def cartpole(env: Env, *, noise: float = 0.0) -> Policy:
    """Balance the pole of `CartPole` by a linear rule.

    Raises:
        UserError: for another game.
    """
    _expect(env, CartPole, "cartpole")
    return _shaken(Balancer(decentralised=True, transfers=False), env, noise)


def random(env: Env) -> Policy:
    """Act without looking, every legal choice alike: the 0 of every score."""
    return chance.Random(env.spec)


def noop(env: Env) -> Policy:
    """Do nothing: the first legal choice, and no amount of anything."""
    return chance.Noop(env.spec)


EXPERTS: dict[str, Callable[..., Policy]] = {
    "cartpole": cartpole,
    "hungarian": hungarian,
    "noop": noop,
    "random": random,
    "roles": roles,
    "xor": xor,
}
"""Name -> function that builds it for an env."""

OWN: dict[type, str] = {CartPole: "cartpole", Roles: "roles", Spread: "hungarian", Xor: "xor"}
"""Game -> name of its expert."""


def own(env: Any) -> Policy | None:
    """Build the expert that the game inside `env` is known to have; None if it has none."""
    name = OWN.get(type(bare(env)))
    return None if name is None else EXPERTS[name](env)


def _expect(env: Any, game: type, name: str) -> Any:
    inner = bare(env)
    require(
        isinstance(inner, game),
        f"expected the game {game.__name__} for the expert {name!r}, found "
        f"{type(inner).__name__}; choose another of {sorted(EXPERTS)}",
    )
    return inner


def _shaken(policy: Scripted, env: Env, noise: float) -> Policy:
    require(0.0 <= noise <= 1.0, f"expected a noise between 0 and 1, found {noise}")
    if noise == 0.0:
        return policy
    return Noisy(
        policy, chance.Random(env.spec), jnp.asarray(noise, jnp.float32),
        decentralised=policy.decentralised, transfers=policy.transfers,
    )  # fmt: skip
