"""What policy optimisers ask of a network, and the policy they make of it.

`actor_critic` and `transformer` have one each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
from jaxtyping import Array, Key

from understudy.networks import sets
from understudy.networks.actions import ActionDistribution
from understudy.types import Actions, Memory, Mode, Observation, Spec, record, require


@record
class Evaluated:
    """What a network makes of rows ``[time, envs]``, per group."""

    log_probs: Any
    """``{group: [time, envs, agents, parts]}``; parts are sections, then dimensions."""
    entropy: Any
    """``{group: [time, envs, agents]}``."""
    value: Any
    """``{group: [time, envs, agents]}``, as the network puts it out."""


@runtime_checkable
class Rows(Protocol):
    """Rows that were acted in: a `types.Rollout`, or a part of one."""

    @property
    def observation(self) -> Observation:
        """What was seen."""
        ...

    @property
    def action(self) -> Actions:
        """What was done."""
        ...

    @property
    def starts(self) -> Any:
        """Where episodes begin."""
        ...

    @property
    def memory(self) -> Memory:
        """Before the first row."""
        ...


@runtime_checkable
class Network(Protocol):
    """Weights that a policy optimiser can use; see `ActorsAndCritics` for what each does."""

    @property
    def recurrent(self) -> bool:
        """Rows depend on rows before."""
        ...

    @property
    def in_turn(self) -> bool:
        """Agents act one after the other, each knowing the actions before its own."""
        ...

    @property
    def decentralised(self) -> bool:
        """Each agent acts on what it observes."""
        ...

    @property
    def transfers(self) -> bool:
        """Runs on other numbers of agents."""
        ...

    @property
    def bound_by(self) -> str | None:
        """What binds it to its number of agents; None if nothing does."""
        ...

    @property
    def spec(self) -> Spec:
        """Groups."""
        ...

    def acting(self) -> Any:
        """The same network without what only learning needs."""
        ...

    def memory(self, agents: Mapping[str, int], mode: Mode) -> Memory:
        """Before the first row."""
        ...

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""], mode: Mode
    ) -> tuple[Actions, Memory]:
        """One joint action."""
        ...

    def evaluate(self, rows: Rows) -> Evaluated:
        """Log-probabilities, entropies and values."""
        ...

    def log_prob(self, rows: Rows) -> tuple[Any, Any]:
        """Log-probability and entropy per agent, without values."""
        ...

    def predictions(self, rows: Rows) -> dict[str, ActionDistribution]:
        """What agents would do in rows, told the true actions they act after."""
        ...

    def values_next(self, rows: Rows, following: Observation) -> Any:
        """Values of what the rows led to."""
        ...


class NetworkPolicy(eqx.Module):
    """A policy made of a network."""

    network: Any
    mode: Mode = eqx.field(static=True)
    decentralised: bool = eqx.field(static=True)
    transfers: bool = eqx.field(static=True)

    @classmethod
    def of(cls, network: Any, mode: Mode) -> NetworkPolicy:
        """Let `network` act; without its critics unless it explores."""
        if mode != "explore":
            network = network.acting()
        return cls(network, mode, network.decentralised, network.transfers)

    def fitted(self, spec: Spec) -> NetworkPolicy:
        """The same policy for a game that shows other numbers of the same things.

        Raises:
            UserError: where agents see or do something else.
        """
        reads = sets.fitted(self.network, spec)
        for mine in self.network.spec.groups:
            theirs = spec[mine.name]
            same = mine.observation == theirs.observation or sets.read(self.network, mine.name)
            require(
                same and mine.action == theirs.action,
                f"expected a game in which agents of group {mine.name!r} see {mine.observation} "
                f"features and choose {mine.action}, found {theirs.observation} and "
                f"{theirs.action}; play in an env like the one the policy was trained in",
            )
        return dataclasses.replace(self, network=reads)

    def memory(self, agents: Mapping[str, int]) -> Memory:
        """Before the first row."""
        return self.network.memory(agents, self.mode)

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """One joint action."""
        return self.network.act(observation, memory, key, self.mode)

    def kept(self, memory: Memory) -> Any:
        """What of the memory after a step whoever learns from the step has to know."""
        kept = getattr(self.network, "kept", None)
        return () if kept is None else kept(memory)

    def log_prob(
        self, observations: Observation, actions: Actions, starts: Array, memory: Memory
    ) -> tuple[Any, Any]:
        """Log-probability and entropy per agent over time."""
        seen, done, begun = jax.tree.map(lambda x: x[:, None], (observations, actions, starts))
        rows = ActedRows(seen, done, begun, jax.tree.map(lambda x: x[None], memory))
        return jax.tree.map(lambda leaf: leaf[:, 0], self.network.log_prob(rows))


@record
class ActedRows:
    """Rows ``[time, envs]`` and the memory before them."""

    observation: Observation
    action: Actions
    starts: Any
    memory: Memory
