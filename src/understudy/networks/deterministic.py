"""Actors that say one action, and critics that say what an action is worth.

`ActorQ` says how they are built, `ActorsAndQs` holds the weights. Actions inside are in units of
half the range of each dimension, -1 to 1, as ``tanh`` puts them out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from understudy import tree
from understudy.networks import sets
from understudy.networks.actions import action_of
from understudy.networks.critic_features import critic_features, critic_inputs, same_number
from understudy.networks.mlp import Activation
from understudy.networks.players import Player, Players, Sharing, drawn
from understudy.types import (
    Actions,
    ActionSpec,
    Group,
    Memory,
    Mode,
    Observation,
    Spec,
    hyperparameters,
    record,
    require,
)


@hyperparameters
class ActorQ:
    """How deterministic actors and their critics are built."""

    hidden: tuple[int, ...] = (64, 64)
    """Units of the hidden layers of actors."""
    critic_hidden: tuple[int, ...] | None = None
    """Units of the hidden layers of critics; as of actors if left out."""
    sharing: Sharing = "shared"
    """One actor and one critic for all agents of a group, one of each for every agent, or one of
    each that reads and answers for all agents of the group at once."""
    critic: Literal["own", "central"] = "own"
    """A critic reads what its agent observed and did; a central one also the state of the game and
    what everybody did."""
    critics: int = 1
    """Critics side by side; the least of what they say counts (2: twin critics)."""
    sets: int = 0
    """Width of attention over the sets of things that an agent sees (`Group.sets`), so that it
    acts on any number of them in any order; 0 reads features as they come."""
    activation: Activation = "relu"
    """Between layers."""
    normalise: bool = False
    """Layer normalisation of inputs and of every layer."""
    gain: float = 0.01
    """Scale of the last layer of actors at the beginning."""

    def __post_init__(self) -> None:
        require(self.critics > 0, f"expected at least one critic, found {self.critics}")
        require(
            not self.sets or (self.sharing != "joint" and self.critic == "own"),
            "expected a network of single agents to read sets of things, found "
            f"sharing={self.sharing!r} and critic={self.critic!r}; leave sets=0",
        )

    @property
    def title(self) -> str:
        """The name people know what learns these by."""
        if self.critic == "central":
            return "MADDPG"
        return f"{self.sharing} {'TD3' if self.critics > 1 else 'DDPG'}"

    def init(self, spec: Spec, key: Key[Array, ""]) -> ActorsAndQs:
        """Fresh weights.

        Raises:
            UserError: for a group without bounded continuous actions.
        """
        actors, critics = {}, {}
        joint = self.sharing == "joint"
        everybody = sum(g.agents * len(action_of(g).low) for g in spec.groups)
        for number, group in enumerate(spec.groups):
            action = bounded(group)
            keys = jax.random.split(jax.random.fold_in(key, number), self.critics + 1)
            together, size = group.agents if joint else 1, len(action.low)
            actors[group.name] = drawn(
                self._player(group, together * group.observation, self.hidden, together * size),
                group.agents, keys[0], sharing=self.sharing, gain=self.gain,
            )  # fmt: skip
            done = together * size + (everybody if self.critic == "central" else 0)
            inputs = critic_inputs(spec, group, self.critic, self.sharing) + done
            hidden = self.hidden if self.critic_hidden is None else self.critic_hidden
            critics[group.name] = tuple(
                drawn(
                    self._player(group, inputs, hidden, 1),
                    group.agents,
                    own,
                    sharing="shared" if joint else self.sharing,
                    gain=1.0,
                )
                for own in keys[1:]
            )
        return ActorsAndQs(actors, critics, None, spec, self.critic, self.sharing)

    def _player(self, group: Group, inputs: int, hidden: tuple[int, ...], outputs: int) -> Player:
        return Player(
            inputs, hidden, outputs,
            activation=self.activation, recurrent=0, normalise=self.normalise,
            encoder=sets.encoder(group, inputs, self.sets, self.activation),
        )  # fmt: skip


@record
class Noise:
    """What is added to actions while exploring; in half ranges."""

    scale: Float[Array, ""]
    """Standard deviation of what is drawn in a step."""
    keeps: Float[Array, ""]
    """Share of the noise of the step before that stays: 0 is white, near 1 drifts."""


class ActorsAndQs(eqx.Module):
    """Weights of deterministic actors and of critics of all groups."""

    actors: dict[str, Any]
    critics: dict[str, tuple[Players, ...]]
    noise: Noise | None
    """Of exploring; none without."""
    spec: Spec = eqx.field(static=True)
    critic: str = eqx.field(static=True)
    sharing: Sharing = eqx.field(static=True)
    attention: Any = None
    """Of agents that communicate: what decides who does."""

    def acting(self) -> ActorsAndQs:
        """The actors alone."""
        return dataclasses.replace(self, critics={})

    @property
    def decentralised(self) -> bool:
        """Each agent acts on what it observes."""
        return self.sharing != "joint"

    @property
    def transfers(self) -> bool:
        """Runs on other numbers of agents."""
        return self.bound_by is None

    @property
    def bound_by(self) -> str | None:
        """What binds it to its number of agents."""
        return {
            "independent": "every agent has an actor of its own",
            "joint": "it acts on what all agents see",
        }.get(self.sharing)

    def memory(self, agents: Mapping[str, int], mode: Mode) -> Memory:
        """Noise so far, while exploring."""
        if mode != "explore":
            return ()
        return {
            g.name: jnp.zeros((agents[g.name], len(action_of(g).low))) for g in self.spec.groups
        }

    def kept(self, memory: Memory) -> Any:
        """What of the memory after a step learning has to know: nothing."""
        return ()

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""], mode: Mode
    ) -> tuple[Actions, Memory]:
        """One joint action; with noise while exploring, which is then clipped to the bounds."""
        return self.explored(self.choose(observation), memory, key, mode)

    def explored(
        self, chosen: Mapping[str, Array], memory: Memory, key: Key[Array, ""], mode: Mode
    ) -> tuple[Actions, Memory]:
        """Actions for the env of those chosen, with noise while exploring."""
        actions, after = {}, {}
        keys = tree.keys_of(key, len(self.spec.groups))
        for group, own in zip(self.spec.groups, keys, strict=True):
            unit = chosen[group.name]
            if mode == "explore":
                assert self.noise is not None
                fresh = jax.random.normal(own, unit.shape)
                after[group.name] = self.noise.keeps * memory[group.name] + self.noise.scale * fresh
                unit = jnp.clip(unit + after[group.name], -1.0, 1.0)
            actions[group.name] = of_unit(action_of(group), unit)
        return actions, after if mode == "explore" else ()

    def choose(
        self, observation: Observation, kept: Any = ()
    ) -> dict[str, Float[Array, "*lead agents act"]]:
        """Actions in units, without noise.

        Args:
            observation: any leading axes.
            kept: of a policy's memory, by `kept`; these networks keep nothing.
        """
        chosen = {}
        for group in self.spec.groups:
            x = observation.features[group.name]
            if self.sharing == "joint":
                same_number(group, x.shape[-2], "joint actors", "sharing='shared'")
                x = jnp.where(observation.alive[group.name][..., None], x, 0.0)
            chosen[group.name] = jnp.tanh(self.actors[group.name].step(x, None)[0])
        return chosen

    def worth(
        self, observation: Observation, own: Mapping[str, Any], others: Mapping[str, Any]
    ) -> dict[str, Float[Array, "critics *lead rows"]]:
        """What every critic says of each agent's action (of a joint action: one row).

        Args:
            observation: any leading axes.
            own: actions in units; the one whose worth is asked for.
            others: what central critics think that the others do meanwhile.
        """
        found = {}
        for group in self.spec.groups:
            features = critic_features(self.spec, group, observation, self.critic, self.sharing)
            if self.sharing == "joint" and self.critic == "own":
                features = features.reshape(*features.shape[:-2], 1, -1)
            x = jnp.concatenate([features, *self._done(group, own, others)], -1)
            said = [critic.step(x, None)[0][..., 0] for critic in self.critics[group.name]]
            found[group.name] = jnp.stack(said)
        return found

    def _done(self, group: Group, own: Mapping[str, Any], others: Mapping[str, Any]) -> list[Array]:
        """The action asked about, and for central critics what everybody does."""
        mine = own[group.name]
        *lead, agents, _ = mine.shape
        if self.sharing == "joint":
            mine = mine.reshape(*lead, 1, -1)
        if self.critic == "own":
            return [mine]
        rows = mine.shape[-2]
        parts = [mine]
        for other in self.spec.groups:
            played = jnp.asarray(others[other.name])[..., None, :, :]
            played = jnp.broadcast_to(played, (*lead, rows, *played.shape[-2:]))
            if other.name == group.name:
                mask = np.eye(agents, dtype=bool) if rows == agents else np.ones((1, agents), bool)
                asked = jnp.broadcast_to(own[group.name][..., None, :, :], played.shape)
                shape = (*(1 for _ in lead), rows, agents, 1)
                played = jnp.where(mask.reshape(shape), asked, played)
            parts.append(played.reshape(*lead, rows, -1))
        return parts


def of_unit(spec: ActionSpec, unit: Float[Array, "*lead act"]) -> Float[Array, "*lead act"]:
    """An action in the env's units.

    Args:
        spec: with finite bounds.
        unit: -1 to 1.
    """
    low, high = (_row(numbers, unit) for numbers in (spec.low, spec.high))
    return jnp.clip(0.5 * (high + low) + 0.5 * (high - low) * unit, low, high)


def to_unit(spec: ActionSpec, action: Float[Array, "*lead act"]) -> Float[Array, "*lead act"]:
    """Undo `of_unit`."""
    low, high = (_row(numbers, action) for numbers in (spec.low, spec.high))
    return (action - 0.5 * (high + low)) / (0.5 * (high - low))


def _row(numbers: tuple[float, ...], like: Array) -> Array:
    return jnp.asarray(numbers, jnp.float32).reshape((1,) * (like.ndim - 1) + (-1,))


def bounded(group: Group) -> ActionSpec:
    """The actions of a group.

    Raises:
        UserError: unless they are continuous with finite bounds.
    """
    action = action_of(group)
    finite = bool(np.isfinite([*action.low, *action.high]).all())
    require(
        not action.sections and bool(action.low) and finite,
        f"expected continuous actions with finite bounds for group {group.name!r}, found "
        f"{action}; use a policy over choices such as MAPPO, or an env with continuous actions",
    )
    return action
