"""Actors and critics of all groups, apart from each other: what policy optimisers learn.

`ActorCritic` says how they are built, `ActorsAndCritics` holds the weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from understudy import tree
from understudy.functional.written import with_seen
from understudy.networks import sets
from understudy.networks.actions import ActionDistribution, Std, action_of, positive
from understudy.networks.critic_features import critic_features, critic_inputs, same_number
from understudy.networks.following import Following, following_outputs
from understudy.networks.mlp import Activation
from understudy.networks.players import Player, Players, Sharing, drawn
from understudy.networks.policy import Evaluated, Rows
from understudy.types import (
    Actions,
    Group,
    Memory,
    Mode,
    Observation,
    Spec,
    hyperparameters,
    require,
)


@hyperparameters
class ActorCritic:
    """How actors and critics are built."""

    hidden: tuple[int, ...] = (64, 64)
    """Units of the hidden layers of actors and critics."""
    sharing: Sharing = "shared"
    """One actor and one critic for all agents of a group, one of each for every agent, or one of
    each that reads all agents of the group at once and answers for all of them."""
    critic: Literal["own", "central"] = "central"
    """A critic reads what its agent observes; a central one also the state of the game (what
    everybody observes, where the game has no state) and which agent it is asked about. A joint
    one reads what all agents of its group observe, or everything."""
    activation: Activation = "tanh"
    """Between layers."""
    sets: int = 0
    """Width of attention over the sets of things that an agent sees (`Group.sets`), so that it
    acts on any number of them in any order; 0 reads features as they come."""
    recurrent: int = 0
    """Units of the GRU after the hidden layers; 0 is no memory."""
    normalise: bool = False
    """Layer normalisation of inputs and of every layer."""
    squash: bool = False
    """Continuous actions are ``tanh`` of a Gaussian; otherwise Gaussian, clipped."""
    std: Std = "exp"
    """How the standard deviation of continuous actions is written."""
    std_start: float = -0.5
    """The number it is made of, at the beginning."""
    gain: float = 0.01
    """Scale of the last layer of actors at the beginning."""

    def __post_init__(self) -> None:
        require(
            not self.sets or self.sharing != "joint",
            "expected a network of single agents to read sets of things, found sharing='joint'; "
            "leave sets=0",
        )

    @property
    def title(self) -> str:
        """What PPO with this network is called."""
        if self.sharing == "joint":
            return "joint PPO"
        return "MAPPO" if self.critic == "central" else "IPPO"

    def init(self, spec: Spec, key: Key[Array, ""]) -> ActorsAndCritics:
        """Fresh weights.

        Raises:
            UserError: for a group that cannot act, or squashed actions without bounds.
        """
        actors, critics, stds, follows = {}, {}, {}, {}
        for number, group in enumerate(spec.groups):
            action = action_of(group)
            first, second = jax.random.split(jax.random.fold_in(key, number))
            together = group.agents if self.sharing == "joint" else 1
            seen, outputs = spec.inputs(group.name), action.choices + len(action.low)
            if group.advances:
                follows[group.name] = Following.of(action)
                outputs = following_outputs(action)
            player = self._player(group, together * seen, together * outputs, self.sets)
            actors[group.name] = drawn(
                player, group.agents, first, sharing=self.sharing, gain=self.gain
            )
            inputs = critic_inputs(spec, group, self.critic, self.sharing)
            player = self._player(group, inputs, together, self.sets if self.critic == "own" else 0)
            critics[group.name] = drawn(
                player, group.agents, second, sharing=self.sharing, gain=1.0
            )
            lead = () if self.sharing == "shared" else (group.agents,)
            start = jnp.asarray(self.std_start, jnp.float32)
            stds[group.name] = jnp.broadcast_to(start, (*lead, len(action.low)))
        return ActorsAndCritics(
            actors, critics, stds, follows, spec, self.critic, self.squash, self.std
        )

    def _player(self, group: Group, inputs: int, outputs: int, width: int) -> Player:
        return Player(
            inputs, self.hidden, outputs,
            activation=self.activation, recurrent=self.recurrent, normalise=self.normalise,
            encoder=sets.encoder(group, inputs, width, self.activation),
        )  # fmt: skip


class ActorsAndCritics(eqx.Module):
    """Weights of actors and critics of all groups."""

    actors: dict[str, Players]
    critics: dict[str, Players]
    stds: dict[str, Float[Array, "*agents dimensions"]]
    follows: dict[str, Following]
    """Of a group that decides what comes next: how that differs from what is now."""
    spec: Spec = eqx.field(static=True)
    critic: str = eqx.field(static=True)
    squash: bool = eqx.field(static=True)
    std: Std = eqx.field(static=True)

    def acting(self) -> ActorsAndCritics:
        """The actors alone."""
        return dataclasses.replace(self, critics={})

    @property
    def recurrent(self) -> bool:
        """Rows depend on rows before."""
        return any(actor.recurrent for actor in self.actors.values())

    @property
    def in_turn(self) -> bool:
        """Agents of a group act at once."""
        return False

    @property
    def decentralised(self) -> bool:
        """Each agent acts on what it observes."""
        joint = any(actor.sharing == "joint" for actor in self.actors.values())
        return not joint and not any(group.sees for group in self.spec.groups)

    @property
    def transfers(self) -> bool:
        """Runs on other numbers of agents."""
        return self.bound_by is None

    @property
    def bound_by(self) -> str | None:
        """What binds it to its number of agents."""
        if not self.decentralised:
            return "it acts on what all agents see, or on what others do"
        if not all(actor.shared for actor in self.actors.values()):
            return "every agent has an actor of its own"
        return None

    def memory(self, agents: Mapping[str, int], mode: Mode) -> Memory:
        """Of actors; while exploring also of critics, which then follow the same rows."""
        if not self.recurrent:
            return ()
        kept = {"actors": self.actors} | ({"critics": self.critics} if mode == "explore" else {})
        return {
            part: {name: players.memory(agents[name]) for name, players in networks.items()}
            for part, networks in kept.items()
        }

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""], mode: Mode
    ) -> tuple[Actions, Memory]:
        """One joint action, groups in order."""
        actions: dict[str, Any] = {}
        after: Any = {part: {} for part in memory} if self.recurrent else ()
        keys = tree.keys_of(key, len(self.spec.groups))
        for group, own in zip(self.spec.groups, keys, strict=True):
            x = self._seen(group, observation, actions)
            old = memory["actors"][group.name] if self.recurrent else None
            head, new = self.actors[group.name].step(x, old)
            found = self.distribution(group, head, observation)
            drawn_now = found.mode() if mode == "mode" else found.sample(own)
            actions[group.name] = observation.taken(group.name, drawn_now)
            if self.recurrent:
                after["actors"][group.name] = new
            if self.recurrent and mode == "explore":
                critic = self.critics[group.name]
                x = critic_features(self.spec, group, observation, self.critic, critic.sharing)
                after["critics"][group.name] = critic.step(x, memory["critics"][group.name])[1]
        return actions, after

    def evaluate(self, rows: Rows) -> Evaluated:
        """Log-probabilities, entropies and values of rows ``[time, envs]``."""
        log_probs, entropy = {}, {}
        for group in self.spec.groups:
            found = self.distributions(group, rows)
            log_probs[group.name] = found.log_probs(rows.action[group.name])
            entropy[group.name] = found.entropy()
        return Evaluated(log_probs, entropy, self.values(rows))

    def log_prob(self, rows: Rows) -> tuple[Any, Any]:
        """Log-probability and entropy of each agent's action in rows ``[time, envs]``."""
        log_prob, entropy = {}, {}
        for group in self.spec.groups:
            found = self.distributions(group, rows)
            log_prob[group.name] = found.log_prob(rows.action[group.name])
            entropy[group.name] = found.entropy()
        return log_prob, entropy

    def predictions(self, rows: Rows) -> dict[str, ActionDistribution]:
        """What the actors of all groups would do in rows ``[time, envs]``."""
        return {group.name: self.distributions(group, rows) for group in self.spec.groups}

    def values_next(self, rows: Rows, following: Observation) -> Any:
        """Values of what each row led to, ``{group: [time, envs, agents]}``."""
        found = {}
        for group in self.spec.groups:
            critic = self.critics[group.name]
            x = critic_features(self.spec, group, following, self.critic, critic.sharing)
            memories = self._values(group, rows)[1] if self.recurrent else None
            found[group.name] = critic.step(x, memories)[0][..., 0]
        return found

    def values(self, rows: Rows) -> Any:
        """Values of rows ``[time, envs]``, ``{group: [time, envs, agents]}``."""
        return {group.name: self._values(group, rows)[0] for group in self.spec.groups}

    def of_agent(self, group: Group, actor: tuple[Player, Array], rows: Any) -> ActionDistribution:
        """What one agent's actor (network and deviation) would do in its rows ``[time, envs]``.

        Args:
            group: of the agent.
            actor: its network and the number its deviations are made of.
            rows: its ``features``, ``legal``, ``starts`` and ``memory``.
        """
        require(
            not group.advances,
            f"expected a group that acts in a game, found {group.name!r}, which decides what comes "
            "next; use PPO",
        )
        net, std = actor
        head, _ = net.sequence(rows.features, rows.starts, rows.memory if self.recurrent else None)
        std = positive(std, self.std).reshape(1, 1, -1)
        return ActionDistribution.from_head(
            head, std, action_of(group), legal=rows.legal, squash=self.squash
        )

    def distributions(self, group: Group, rows: Rows) -> ActionDistribution:
        """What the actors of a group would do in rows ``[time, envs]``."""
        x = self._seen(group, rows.observation, rows.action)
        memory = rows.memory["actors"][group.name] if self.recurrent else None
        head, _ = self.actors[group.name].sequence(x, rows.starts, memory)
        return self.distribution(group, head, rows.observation)

    def distribution(
        self, group: Group, head: Float[Array, "*lead numbers"], observation: Observation
    ) -> ActionDistribution:
        """A head's output as a distribution of actions."""
        std = self.stds[group.name]
        std = positive(std.reshape((1,) * (head.ndim - std.ndim) + std.shape), self.std)
        legal = None if observation.legal is None else observation.legal[group.name]
        if group.advances:
            now = observation.features[group.name]
            head, std = self.follows[group.name](action_of(group), head, now, std)
            return ActionDistribution.from_head(head, std, action_of(group), legal=legal)
        return ActionDistribution.from_head(
            head, std, action_of(group), legal=legal, squash=self.squash
        )

    def _seen(
        self, group: Group, observation: Observation, actions: Actions
    ) -> Float[Array, "*lead agents features"]:
        """What actors read; joint ones read 0 of agents that are not alive."""
        x = with_seen(self.spec, group.name, observation.features[group.name], actions)
        if self.actors[group.name].sharing != "joint":
            return x
        same_number(group, x.shape[-2], "joint actors", "sharing='shared'")
        return jnp.where(observation.alive[group.name][..., None], x, 0.0)

    def _values(self, group: Group, rows: Rows) -> tuple[Array, Array | None]:
        critic = self.critics[group.name]
        x = critic_features(self.spec, group, rows.observation, self.critic, critic.sharing)
        memory = rows.memory["critics"][group.name] if self.recurrent else None
        values, memories = critic.sequence(x, rows.starts, memory)
        return values[..., 0], memories
