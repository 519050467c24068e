"""The multi-agent transformer: values from an encoder, actions decoded agent after agent.

The encoder attends over what all agents observe and gives each a representation ô_k and a value.
The decoder gives ``π(a_k | ô, a_1 ... a_{k-1})``: it attends over the actions of the agents before.
While learning all agents are decoded at once, each given the true actions before it.
With ``decoder="independent"`` (MAT-Dec) each agent acts on its own observation and only the critic
attends.

Source: Wen et al., "Multi-Agent Reinforcement Learning is a Sequence Modeling Problem", NeurIPS
2022 (arXiv 2205.14953).
Deviations: agents that are not alive are not attended to; tokens may carry a learned identity;
groups have linear maps of their own into the common width; keys and values are kept while acting.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from understudy import tree
from understudy.functional.written import with_seen, written, written_size
from understudy.networks import tokens
from understudy.networks.actions import ActionDistribution, Std, action_of, positive
from understudy.networks.attention import Attention
from understudy.networks.blocks import DecoderBlock, Embedding, EncoderBlock, Head
from understudy.networks.mlp import ACTIVATIONS, Activation, LayerNorm, Linear, orthogonal
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
class Transformer:
    """How a multi-agent transformer is built."""

    width: int = 64
    """Features of a token."""
    blocks: int = 1
    """Blocks of the encoder, and of the decoder."""
    heads: int = 1
    """Heads of every attention."""
    decoder: Literal["autoregressive", "independent"] = "autoregressive"
    """Agents act in turn knowing the actions before (MAT), or each on its own (MAT-Dec)."""
    identity: bool = True
    """Tokens carry a learned vector of which agent they are."""
    normalise: bool = True
    """Layer normalisation of observations, as published. It hides how large they are, and of few
    features most of what they say; False reads them as they are."""
    activation: Activation = "gelu"
    """Between layers; published: gelu."""
    squash: bool = False
    """Continuous actions are ``tanh`` of a Gaussian; otherwise Gaussian, clipped."""
    std: Std = "sigmoid"
    """How the standard deviation of continuous actions is written."""
    std_start: float = 1.0
    """The number it is made of, at the beginning."""

    def __post_init__(self) -> None:
        require(
            self.width % self.heads == 0,
            f"expected heads that share a width of {self.width} evenly, found {self.heads}",
        )

    @property
    def title(self) -> str:
        """What PPO with this network is called."""
        return "MAT" if self.decoder == "autoregressive" else "MAT-Dec"

    def init(self, spec: Spec, key: Key[Array, ""]) -> TransformerTeam:
        """Fresh weights.

        Raises:
            UserError: for a group that cannot act.
        """
        actions = {group.name: action_of(group) for group in spec.groups}
        alone = self.decoder == "independent"
        seen = {g.name: spec.inputs(g.name) if alone else g.observation for g in spec.groups}
        outputs = {n: written_size(action) for n, action in actions.items()}
        width, total = self.width, sum(group.agents for group in spec.groups)
        embedding = functools.partial(
            Embedding, normalise=self.normalise, activation=self.activation
        )
        like = (width, self.heads, Attention, self.activation)
        team = TransformerTeam(
            observe={g.name: embedding(g.observation, width) for g in spec.groups},
            encoder=tuple(EncoderBlock(*like) for _ in range(self.blocks)),
            value=Head(width, 1, self.activation),
            act_in={} if alone else {n: Linear(size, width) for n, size in outputs.items()},
            decoder=() if alone else tuple(DecoderBlock(*like) for _ in range(self.blocks)),
            alone={n: embedding(size, width) for n, size in seen.items()} if alone else {},
            act_out={n: Head(width, size, self.activation) for n, size in outputs.items()},
            norms=(LayerNorm(width), LayerNorm(width)),
            start=jnp.zeros(width),
            identity=jnp.zeros((total if self.identity else 0, width)),
            stds={n: jnp.full(len(a.low), self.std_start) for n, a in actions.items()},
            spec=spec,
            activation=self.activation,
            squash=self.squash,
            std=self.std,
        )
        return _drawn(team, key)


class TransformerTeam(eqx.Module):
    """Weights of a multi-agent transformer."""

    observe: dict[str, Embedding]
    encoder: tuple[EncoderBlock, ...]
    value: Head
    act_in: dict[str, Linear]
    decoder: tuple[DecoderBlock, ...]
    alone: dict[str, Embedding]
    act_out: dict[str, Head]
    norms: tuple[LayerNorm, LayerNorm]
    start: Float[Array, " width"]
    identity: Float[Array, "tokens_or_none width"]
    stds: dict[str, Float[Array, " dimensions"]]
    spec: Spec = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)
    squash: bool = eqx.field(static=True)
    std: Std = eqx.field(static=True)
    recurrent: bool = eqx.field(static=True, default=False)

    def acting(self) -> TransformerTeam:
        """Itself: acting needs the encoder."""
        return self

    @property
    def in_turn(self) -> bool:
        """Agents act one after the other, each knowing the actions before its own."""
        return bool(self.decoder)

    @property
    def decentralised(self) -> bool:
        """Each agent acts on what it observes."""
        return not self.decoder and not any(group.sees for group in self.spec.groups)

    @property
    def transfers(self) -> bool:
        """Runs on other numbers of agents."""
        return self.bound_by is None

    @property
    def bound_by(self) -> str | None:
        """What binds it to its number of agents."""
        if self.decentralised or self.identity.shape[0] == 0:
            return None
        return "every agent has an identity that was learned"

    def memory(self, agents: Mapping[str, int], mode: Mode) -> Memory:
        """None is kept."""
        return ()

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""], mode: Mode
    ) -> tuple[Actions, Memory]:
        """One joint action, agent after agent."""
        return self.decode(observation, key, mode)[0], memory

    def decode(
        self, observation: Observation, key: Key[Array, ""], mode: Mode
    ) -> tuple[Actions, dict[str, Float[Array, "agents parts"]]]:
        """One joint action, agent after agent, and how likely each part of it was."""
        actions: dict[str, Any] = {}
        log_probs: dict[str, Any] = {}
        keys = tree.keys_of(key, len(self.spec.groups))
        if not self.decoder:
            for group, own in zip(self.spec.groups, keys, strict=True):
                found = self._alone(group, observation, actions)
                action = found.mode() if mode == "mode" else found.sample(own)
                actions[group.name] = observation.taken(group.name, action)
                log_probs[group.name] = found.log_probs(actions[group.name])
            return actions, log_probs
        seen, alive = self._encode(observation)
        shape = (2, *seen.shape)
        kept = tuple((jnp.zeros(shape), jnp.zeros(shape)) for _ in self.decoder)
        carry, first = (kept, self.start), 0
        for group, own in zip(self.spec.groups, keys, strict=True):
            agents = observation.alive[group.name].shape[0]
            turn = self._turn(group, observation, seen, alive, first, own, mode)
            carry, (actions[group.name], log_probs[group.name]) = jax.lax.scan(
                turn, carry, jnp.arange(agents)
            )
            first += agents
        return actions, log_probs

    def evaluate(self, rows: Rows) -> Evaluated:
        """Log-probabilities, entropies and values of rows ``[time, envs]``."""
        seen, alive = self._encode(rows.observation)
        log_probs, entropy = {}, {}
        for name, found in self._taught(seen, alive, rows).items():
            log_probs[name] = found.log_probs(rows.action[name])
            entropy[name] = found.entropy()
        return Evaluated(log_probs, entropy, self._values(seen, rows.observation))

    def log_prob(self, rows: Rows) -> tuple[Any, Any]:
        """Log-probability and entropy of each agent's action in rows ``[time, envs]``."""
        found = self.predictions(rows)
        logs = {name: each.log_prob(rows.action[name]) for name, each in found.items()}
        return logs, {name: each.entropy() for name, each in found.items()}

    def predictions(self, rows: Rows) -> dict[str, ActionDistribution]:
        """What each agent would do in rows ``[time, envs]``, told the true actions before."""
        seen, alive = self._encode(rows.observation)
        return self._taught(seen, alive, rows)

    def values_next(self, rows: Rows, following: Observation) -> Any:
        """Values of what each row led to, ``{group: [time, envs, agents]}``."""
        seen, _ = self._encode(following)
        return self._values(seen, following)

    def _encode(self, observation: Observation) -> tuple[Array, Array]:
        """Representations ``[*lead, tokens, width]`` and who is alive."""
        made = {name: net(observation.features[name]) for name, net in self.observe.items()}
        alive = tokens.join(self.spec, observation.alive)
        x = tokens.identified(self.identity, tokens.join(self.spec, made))
        x, mask = self.norms[0](x), tokens.among_alive(alive)
        for block in self.encoder:
            x = block(x, mask)
        return x, alive

    def _values(self, seen: Array, observation: Observation) -> dict[str, Array]:
        counts = {name: alive.shape[-1] for name, alive in observation.alive.items()}
        return tokens.part(self.spec, self.value(seen)[..., 0], counts, axis=-1)

    def _taught(
        self, seen: Array, alive: Bool[Array, "*lead tokens"], rows: Rows
    ) -> dict[str, ActionDistribution]:
        """Distributions of all agents, each given the true actions before it."""
        if not self.decoder:
            groups = self.spec.groups
            return {g.name: self._alone(g, rows.observation, rows.action) for g in groups}
        made = {
            group.name: self._read(group, rows.action[group.name]) for group in self.spec.groups
        }
        x = tokens.join(self.spec, made)
        start = jnp.broadcast_to(self.start, (*x.shape[:-2], 1, x.shape[-1]))
        x = self.norms[1](self._activated(jnp.concatenate([start, x[..., :-1, :]], -2)))
        mask = self._before(alive)
        for block in self.decoder:
            x, _ = block(x, seen, mask, None, None)
        counts = {name: a.shape[-1] for name, a in rows.observation.alive.items()}
        parts = tokens.part(self.spec, x, counts)
        return {
            group.name: self._distribution(
                group, self.act_out[group.name](parts[group.name]), rows.observation.legal
            )
            for group in self.spec.groups
        }

    def _before(self, alive: Array) -> Array:
        """Token k stands for the action of agent k - 1, the first for nobody's."""
        first = jnp.ones_like(alive[..., :1])
        return tokens.among_alive(jnp.concatenate([first, alive[..., :-1]], -1), causal=True)

    def _turn(
        self, group: Group, observation: Observation, seen: Array, alive: Array,
        first: int, key: Any, mode: Mode,
    ) -> Any:  # fmt: skip
        """One agent's turn, for a scan over the agents of a group."""
        mask = self._before(alive)
        legal = None if observation.legal is None else observation.legal[group.name]
        decided = (observation.decided or {}).get(group.name)

        def turn(carry: Any, agent: Array) -> tuple[Any, tuple[Array, Array]]:
            kept, last = carry
            at = first + agent
            x = self.norms[1](self._activated(last))[None]
            after = []
            for block, old in zip(self.decoder, kept, strict=True):
                x, new = block(x, seen[at][None], mask[at][None], old, at)
                after.append(new)
            head = self.act_out[group.name](x[0])
            found = self._distribution(
                group, head, None if legal is None else {group.name: legal[agent]}
            )
            own = jax.random.fold_in(key, agent)
            action = found.mode() if mode == "mode" else found.sample(own)
            action = action if decided is None else decided[agent]
            return (tuple(after), self._read(group, action)), (action, found.log_probs(action))

        return turn

    def _activated(self, x: Array) -> Array:
        return ACTIVATIONS[self.activation](x)

    def _read(self, group: Group, action: Array) -> Array:
        return self.act_in[group.name](written(action_of(group), action))

    def _alone(self, group: Group, observation: Observation, actions: Any) -> ActionDistribution:
        x = with_seen(self.spec, group.name, observation.features[group.name], actions)
        x = self.norms[1](self.alone[group.name](x))
        return self._distribution(group, self.act_out[group.name](x), observation.legal)

    def _distribution(self, group: Group, head: Array, legal: Any) -> ActionDistribution:
        std = positive(self.stds[group.name], self.std).reshape((1,) * (head.ndim - 1) + (-1,))
        mask = None if legal is None else legal[group.name]
        return ActionDistribution.from_head(
            head, std, action_of(group), legal=mask, squash=self.squash
        )


def _drawn(team: TransformerTeam, key: Key[Array, ""]) -> TransformerTeam:
    """Orthogonal weights: √2 before activations, 0.01 elsewhere; identities and start normal."""
    weights, first, second = jax.random.split(key, 3)

    def gain(path: str) -> float:
        return math.sqrt(2.0) if ".wide." in path or ".act_in" in path else 0.01

    return dataclasses.replace(
        orthogonal(team, weights, gain=gain),
        start=jax.random.normal(first, team.start.shape),
        identity=jax.random.normal(second, team.identity.shape),
    )
