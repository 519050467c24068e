"""Deterministic actors that decide when to talk to each other, and with whom.

An actor is two perceptrons: ``h = tanh(think(o))``, a thought, then ``μ = tanh(decide([h, h̃]))``.
Every `period` steps an attention unit decides with probability ``p(h)`` whether its agent initiates
communication with the nearest `bandwidth` others (`partners`); a bidirectional LSTM, the channel,
makes of the thoughts of such a group integrated thoughts h̃, which are 0 for agents in no group.
Without communication this is a shared actor of layers ``think``, ``decide``.

Observations have to hold the numbers of the others seen, `types.Group.numbers`. They say who is
near, and no network reads them.

Critics and targets are those of `deterministic`; gradients of the actors' loss flow through the
channel. The attention unit learns what communication is worth,

    G_i = Σ_{j in group of i} Q(o_j, μ_j) - Q(o_j, μ_j without communication)

scaled to 0 for the least and 1 for the greatest, by the cross-entropy of ``p(h_i)`` with it.

Source: Jiang and Lu, NeurIPS 2018 (arXiv 1805.07733); sizes of badger-2019.
Deviations: gains are those of the groups in a batch of the replay, worked out anew with the weights
of today, and least and greatest are of that batch; badger-2019 remembers gains and thoughts as they
were while acting, and sums over partners without the initiator. There thoughts are cut from the
gradient before the channel, numbers are inputs that are always 0, the channel reads partners by
number, not by preference, and partners picked once are preferred to those picked twice. Decisions
begin anew with each episode.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from understudy.functional.losses import mean_where
from understudy.networks import partners as groups
from understudy.networks.deterministic import ActorsAndQs, bounded
from understudy.networks.lstm import BidirectionalLSTM
from understudy.networks.mlp import Activation
from understudy.networks.mlp import drawn as uniform
from understudy.networks.partners import Partners
from understudy.networks.players import Player, Players, Sharing, drawn
from understudy.types import (
    Actions,
    Group,
    Memory,
    Metrics,
    Mode,
    Observation,
    Spec,
    hyperparameters,
    record,
    require,
)


@hyperparameters
class Communicating:
    """How actors that communicate, and their critics, are built."""

    hidden: tuple[int, ...] = (128,)
    """Units of the layers before the thought."""
    thought: int = 64
    """Units of a thought, of an integrated one, and of the channel in each direction."""
    after: tuple[int, ...] = (32,)
    """Units of the layers between both thoughts and the action."""
    critic_hidden: tuple[int, ...] = (100, 50)
    """Units of the hidden layers of critics."""
    critics: int = 1
    """Critics side by side; the least of what they say counts."""
    activation: Activation = "relu"
    """Between layers."""
    gain: float = 0.01
    """Scale of the last layer of actors at the beginning."""
    communicates: bool = True
    """False: nobody ever does, and observations need not hold numbers."""
    bandwidth: int = 3
    """Most partners of an agent that initiates communication."""
    period: int = 15
    """Env steps for which a decision stands."""
    attention: tuple[int, ...] = (128, 64)
    """Units of the hidden layers of the attention unit."""
    attention_rate: float = 1e-3
    """Adam's step size of the attention unit."""

    sharing: ClassVar[Sharing] = "shared"
    critic: ClassVar[str] = "own"

    def __post_init__(self) -> None:
        for name in ("thought", "critics", "bandwidth", "period"):
            value = getattr(self, name)
            require(value > 0, f"expected {name} above 0, found {value}")

    @property
    def title(self) -> str:
        """The name people know what learns these by."""
        return "ATOC" if self.communicates else "ATOC without communication"

    def init(self, spec: Spec, key: Key[Array, ""]) -> Talkers:
        """Fresh weights.

        Raises:
            UserError: for a group without bounded continuous actions, or whose observations lack
                the numbers of others.
        """
        actors, critics, attention = {}, {}, {}
        for number, group in enumerate(spec.groups):
            if self.communicates:
                _numbered(group)
            size = len(bounded(group).low)
            keys = jax.random.split(jax.random.fold_in(key, number), self.critics + 4)
            inputs, h = group.observation - len(group.numbers), self.thought
            actors[group.name] = Talker(
                self._net(inputs, self.hidden, h, group, keys[0]),
                self._net(2 * h, self.after, size, group, keys[1], gain=self.gain),
                uniform(BidirectionalLSTM(h, h, 2), keys[2]) if self.communicates else None,
            )
            attention[group.name] = self._net(h, self.attention, 1, group, keys[3], gain=0.01)
            critics[group.name] = tuple(
                self._net(inputs + size, self.critic_hidden, 1, group, own) for own in keys[4:]
            )
        return Talkers(
            actors, critics, None, spec, self.critic, self.sharing,
            attention if self.communicates else None,
            self.communicates, self.bandwidth, self.period,
        )  # fmt: skip

    def _net(
        self,
        inputs: int,
        hidden: tuple[int, ...],
        outputs: int,
        group: Group,
        key: Key[Array, ""],
        *,
        gain: float | Float[Array, ""] = 1.0,
    ) -> Players:
        player = Player(
            inputs, hidden, outputs, activation=self.activation, recurrent=0, normalise=False
        )
        return drawn(player, group.agents, key, sharing="shared", gain=gain)


class Talker(eqx.Module):
    """The actor of all agents of a group."""

    think: Players
    decide: Players
    channel: BidirectionalLSTM | None
    """None if nobody ever communicates."""

    def thoughts(self, x: Float[Array, "*lead agents in"]) -> Float[Array, "*lead agents thought"]:
        """What agents make of what they see."""
        return jnp.tanh(self.think.step(x, None)[0])

    def integrated(
        self,
        thoughts: Float[Array, "*lead agents thought"],
        partners: Partners,
        alive: Bool[Array, "*lead agents"],
    ) -> Float[Array, "*lead agents thought"]:
        """What thoughts become by communication."""
        assert self.channel is not None
        talk = groups.integrate
        for _ in range(thoughts.ndim - 2):
            talk = jax.vmap(talk, (None, 0, 0, 0))
        return talk(self.channel, thoughts, partners, alive)


@record
class Talk:
    """What agents that communicate carry from step to step."""

    time: Int[Array, "..."]
    """Steps of the episode so far."""
    partners: Any
    """``{group: Partners}``."""
    noise: Any
    """Of exploring."""


class Talkers(ActorsAndQs):
    """Weights of actors that communicate, their attention units, and critics of all groups."""

    communicates: bool = eqx.field(static=True, default=True)
    bandwidth: int = eqx.field(static=True, default=3)
    period: int = eqx.field(static=True, default=15)

    @property
    def decentralised(self) -> bool:
        """Each agent acts on what it observes: nobody communicates."""
        return not self.communicates

    def memory(self, agents: Mapping[str, int], mode: Mode) -> Memory:
        """Nobody communicates yet; noise so far, while exploring."""
        noise = super().memory(agents, mode)
        if not self.communicates:
            return noise
        nobody = {
            g.name: jnp.full((agents[g.name], self.bandwidth), -1, jnp.int32)
            for g in self.spec.groups
        }
        return Talk(jnp.zeros((), jnp.int32), nobody, noise)

    def kept(self, memory: Memory) -> Any:
        """Partners of a step, from the memory after it."""
        return memory.partners if self.communicates else ()

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""], mode: Mode
    ) -> tuple[Actions, Memory]:
        """One joint action, after talking."""
        if not self.communicates:
            return super().act(observation, memory, key, mode)
        begin, explore = jax.random.split(key)
        now = self._partners(observation, begin, mode)
        due = memory.time % self.period == 0
        partners = {name: jnp.where(due, now[name], memory.partners[name]) for name in now}
        chosen = self.choose(observation, partners)
        actions, noise = self.explored(chosen, memory.noise, explore, mode)
        return actions, Talk(memory.time + 1, partners, noise)

    def choose(
        self, observation: Observation, kept: Any = ()
    ) -> dict[str, Float[Array, "*lead agents act"]]:
        """Actions in units, without noise.

        Args:
            observation: any leading axes.
            kept: partners, ``{group: [*lead, agents, bandwidth]}``; nobody talks without.
        """
        chosen = {}
        for group in self.spec.groups:
            actor, thoughts = self.actors[group.name], self.thoughts(observation, group)
            integrated = jnp.zeros_like(thoughts)
            if self.communicates and kept:
                alive = jnp.asarray(observation.alive[group.name])
                integrated = actor.integrated(thoughts, kept[group.name], alive)
            both = jnp.concatenate([thoughts, integrated], -1)
            chosen[group.name] = jnp.tanh(actor.decide.step(both, None)[0])
        return chosen

    def worth(
        self, observation: Observation, own: Mapping[str, Any], others: Mapping[str, Any]
    ) -> dict[str, Float[Array, "critics *lead rows"]]:
        """What every critic says of each agent's action, of what networks may read."""
        features = {g.name: _readable(g, observation.features[g.name]) for g in self.spec.groups}
        seen = dataclasses.replace(observation, features=features)
        return super().worth(seen, own, others)

    def thoughts(
        self, observation: Observation, group: Group
    ) -> Float[Array, "*lead agents thought"]:
        """What agents make of what they see."""
        seen = _readable(group, observation.features[group.name])
        return self.actors[group.name].thoughts(seen)

    def attention_loss(
        self, attention: Any, judge: ActorsAndQs, rows: Any
    ) -> tuple[Float[Array, ""], Metrics]:
        """How far the attention units are from what communication was worth.

        Args:
            attention: weights of the units.
            judge: its critics say what actions are worth.
            rows: `transitions.Transition`, ``[batch, ...]``.
        """
        gains = self.gains(judge, rows)
        loss, share, worth = jnp.zeros(()), jnp.zeros(()), jnp.zeros(())
        for group in self.spec.groups:
            thoughts = jax.lax.stop_gradient(self.thoughts(rows.observation, group))
            logits = attention[group.name].step(thoughts, None)[0][..., 0]
            talked = (rows.kept[group.name] >= 0).any(-1) & rows.observation.alive[group.name]
            wish, known = scaled(gains[group.name], talked)
            loss = loss + mean_where(jax.nn.softplus(logits) - wish * logits, known)
            share = share + mean_where(
                talked.astype(jnp.float32), rows.observation.alive[group.name]
            )
            worth = worth + mean_where(gains[group.name], talked)
        count = len(self.spec.groups)
        said = {"initiators": share / count, "communication_gain": worth / count}
        return loss, {"attention_loss": loss, **said}

    def gains(self, judge: ActorsAndQs, rows: Any) -> dict[str, Float[Array, "batch agents"]]:
        """What each group gained by communicating, at its initiator."""
        talking = self.choose(rows.observation, rows.kept)
        silent = self.choose(rows.observation)
        said, unsaid = (judge.worth(rows.observation, a, a) for a in (talking, silent))
        return {
            name: jax.lax.stop_gradient(
                groups.total(said[name][0] - unsaid[name][0], rows.kept[name])
            )
            for name in said
        }

    def _partners(self, observation: Observation, key: Key[Array, ""], mode: Mode) -> Any:
        """Whom each agent would pick now."""
        assert self.attention is not None
        found = {}
        for number, group in enumerate(self.spec.groups):
            logits = self.attention[group.name].step(self.thoughts(observation, group), None)[0]
            probability = jax.nn.sigmoid(logits[..., 0])
            if mode == "mode":
                initiates = probability > 0.5
            else:
                initiates = jax.random.bernoulli(jax.random.fold_in(key, number), probability)
            columns = np.array(group.numbers)
            near = jnp.round(observation.features[group.name][..., columns]).astype(jnp.int32)
            found[group.name] = groups.pick(
                initiates, near, observation.alive[group.name], bandwidth=self.bandwidth
            )
        return found


def scaled(
    gains: Float[Array, "batch agents"], counted: Bool[Array, "batch agents"]
) -> tuple[Float[Array, "batch agents"], Bool[Array, "batch agents"]]:
    """Gains that count from 0, the least, to 1, the greatest; and which of them say anything.

    None does where all that count are equal.
    """
    low = jnp.where(counted, gains, jnp.inf).min()
    high = jnp.where(counted, gains, -jnp.inf).max()
    known = counted & (high > low)
    width = jnp.where(high > low, high - low, 1.0)
    return jnp.where(known, (gains - low) / width, 0.0), known


def _readable(group: Group, x: Float[Array, "*lead obs"]) -> Float[Array, "*lead in"]:
    """Without the numbers of others."""
    if not group.numbers:
        return x
    return x[..., np.setdiff1d(np.arange(x.shape[-1]), group.numbers)]


def _numbered(group: Group) -> None:
    require(
        group.numbers,
        f"expected group {group.name!r} to observe the numbers of the agents it sees, found no "
        "such feature; play --env spread-goodai:ids=true, name such features 'ids 0', 'ids 1' and "
        "so on in the spec of your env, or set communicates=False",
    )
