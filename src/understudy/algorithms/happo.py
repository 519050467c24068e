"""Heterogeneous-agent PPO: agents improve one after the other, each knowing what the last did.

With agents in a random order i_1 ... i_N, agent i_m maximises

    mean M min(ρ A, clip(ρ, 1 - c, 1 + c) A) + c_H H

with ``M = Π_{l<m} π_new(a_{i_l}|o) / π_old(a_{i_l}|o)``, the change the agents before it made, over
its own weights, so that the joint improvement bound of the sequential update holds. Advantages
are the team's; the critic is central.

Source: Kuba et al., "Trust Region Policy Optimisation in Multi-Agent Reinforcement Learning", ICLR
2022 (arXiv 2109.11251), algorithm 4; Zhong et al., "Heterogeneous-Agent Reinforcement Learning",
JMLR 2024 (2304.09870).
Deviations: the order is shared by all seeds; an agent that is not alive leaves M as it is;
otherwise those of `understudy.algorithms.ppo`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from understudy import tree
from understudy.functional import moments
from understudy.functional.losses import clipped_surrogate, clipped_value_loss, mean_where
from understudy.functional.written import with_seen
from understudy.networks import descent
from understudy.networks.actor_critic import ActorCritic, ActorsAndCritics
from understudy.networks.experience import Advantage, Experience, cut, look_back
from understudy.networks.policy import NetworkPolicy
from understudy.types import (
    Batch,
    Group,
    Metrics,
    Mode,
    Spec,
    Statistics,
    hyperparameters,
    record,
    require,
)


@record
class State:
    """All that training goes on from."""

    params: ActorsAndCritics
    actors: Any
    """Adam of every agent's actor, ``{group: [agents, ...]}``."""
    critics: Any
    """Adam of the critics."""
    seen: Any
    """Moments of the critics' targets per group, or None."""


@record
class AgentRows:
    """Rows ``[time, envs]`` of one agent."""

    features: Any
    action: Any
    legal: Any
    alive: Any
    starts: Any
    memory: Any
    log_probs: Any
    advantage: Any
    factor: Any
    """M: how the agents before it have changed the probability of what they did."""


@hyperparameters
class HAPPO:
    """Hyper-parameters of the sequential update."""

    network: ActorCritic = dataclasses.field(
        default_factory=lambda: ActorCritic(sharing="independent")
    )
    """Actors of their own for all agents."""
    envs: int = 64
    """Games side by side."""
    rollout: int = 100
    """Env steps of each game per update."""
    epochs: int = 4
    """Passes over the rows of an update, for each actor and for the critic."""
    minibatches: int = 4
    """Steps down the gradient per pass."""
    learning_rate: float = 2e-3
    """Adam's step size at the beginning, of actors and critics."""
    decay: int = 0
    """Updates over which the step size falls to 0 along a line; 0 keeps it."""
    discount: float = 0.99
    """γ."""
    trace: float = 0.95
    """λ of the advantages."""
    clip: float = 0.2
    """Most that a probability ratio is rewarded for leaving 1, and a value for moving."""
    entropy: float = 0.01
    """Weight of the entropy bonus."""
    value_scaling: bool = True
    """Scale critics by the running mean and deviation of their targets (ValueNorm)."""
    value_keep: float = 0.95
    """Share of these moments' past that stays at each update."""
    huber: float = 10.0
    """Error beyond which the critics' loss is linear, in deviations of the targets if scaled."""
    gradient_clip: float = 10.0
    """Largest norm of the gradient, of each actor and of the critics."""
    advantage: Advantage = "individual"
    """Own advantages, or the team's mean for everybody; alike where rewards are shared."""

    needs: ClassVar[frozenset[str]] = frozenset({"env"})
    steps: ClassVar[int] = 1_000_000
    """Env steps, if nobody says how long to train."""
    TINY: ClassVar[dict[str, Any]] = {
        "envs": 4, "rollout": 6, "minibatches": 2, "epochs": 2
    }  # fmt: skip
    """Arguments of the smallest useful size, for tests."""

    def __post_init__(self) -> None:
        require(
            self.network.sharing == "independent",
            "expected actors of their own for the agents of HAPPO, found shared ones; give the "
            "network sharing='independent'",
        )
        items = self.envs if self.network.recurrent else self.envs * self.rollout
        require(
            items % self.minibatches == 0,
            f"expected minibatches that share {items} rows (or envs, with memory) evenly, found "
            f"{self.minibatches}; change minibatches, envs or rollout",
        )

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> State:
        """Fresh weights."""
        params = self.network.init(spec, key)
        actors = {name: jax.vmap(descent.start)(_actor(params, name)) for name in spec.names}
        seen = {name: moments.start() for name in spec.names} if self.value_scaling else None
        return State(params, actors, descent.start(params.critics), seen)

    def update(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """All agents in turn, then the critics, on one rollout."""
        rollout = batch.rollout
        assert rollout is not None
        experience, seen, said = look_back(
            state.params, state.seen, rollout, state.params.spec, discount=self.discount,
            trace=self.trace, keep=self.value_keep, advantage=self.advantage,
        )  # fmt: skip
        rate = descent.linear(self.learning_rate, step, decay=self.decay)
        params, actors, metrics = self._actors(state, experience, step, rate)
        params, critics, learned = self._critics(params, state.critics, experience, step, rate)
        return State(params, actors, critics, seen), metrics | learned | said

    def policy(self, state: State, mode: Mode = "sample") -> NetworkPolicy:
        """What acts."""
        return NetworkPolicy.of(state.params, mode)

    def actor_loss(
        self, actor: Any, params: ActorsAndCritics, group: Group, rows: AgentRows
    ) -> tuple[Float[Array, ""], Metrics]:
        """Loss of one agent's actor over one minibatch."""
        found = params.of_agent(group, actor, rows)
        change = found.log_prob(rows.action) - rows.log_probs.sum(-1)
        surrogate = clipped_surrogate(jnp.exp(change), rows.advantage, clip=self.clip)
        policy = -mean_where(rows.factor * surrogate, rows.alive)
        entropy = mean_where(found.entropy(), rows.alive)
        metrics = {
            "policy_loss": policy,
            "entropy": entropy,
            "kl": mean_where(jnp.expm1(change) - change, rows.alive),
        }
        return policy - self.entropy * entropy, metrics

    def _actors(
        self, state: State, experience: Experience, step: Any, rate: Any
    ) -> tuple[ActorsAndCritics, Any, Metrics]:
        """Improve the agents of all groups, in a random order."""
        spec = state.params.spec
        places = [(number, i) for number, g in enumerate(spec.groups) for i in range(g.agents)]
        order = jax.random.permutation(jax.random.fold_in(jax.random.key(1), step), len(places))
        groups, agents = jnp.asarray(places, jnp.int32)[order].T

        def turn(carry: Any, place: Any) -> tuple[Any, Any]:
            number, agent = place
            branches = [
                lambda carry, agent, group=group: self._agent(
                    state.params, group, agent, carry, experience, step, rate
                )
                for group in spec.groups
            ]
            return jax.lax.switch(number, branches, carry, agent)

        learned = {name: _actor(state.params, name) for name in spec.names}
        start = (learned, state.actors, jnp.ones(experience.starts.shape))
        (learned, actors, factor), metrics = jax.lax.scan(turn, start, (groups, agents))
        params = dataclasses.replace(
            state.params,
            actors={
                name: dataclasses.replace(state.params.actors[name], net=net)
                for name, (net, _) in learned.items()
            },
            stds={name: std for name, (_, std) in learned.items()},
        )
        metrics = jax.tree.map(jnp.mean, metrics)
        return params, actors, metrics | {"factor": factor.mean()}

    def _agent(
        self,
        params: ActorsAndCritics,
        group: Group,
        agent: Any,
        carry: Any,
        experience: Experience,
        step: Any,
        rate: Any,
    ) -> tuple[Any, Metrics]:
        """Improve one agent, and say what that did to the probability of its actions."""
        learned, optimisers, factor = carry
        rows = rows_of(
            experience, params.spec, group.name, agent, factor, recurrent=params.recurrent
        )

        def minibatch(carry: Any, few: AgentRows) -> tuple[Any, Metrics]:
            actor, optimiser = carry
            gradient, metrics = jax.grad(self.actor_loss, has_aux=True)(actor, params, group, few)
            actor, optimiser, norm = descent.descend(
                actor, gradient, optimiser, rate=rate, clip=self.gradient_clip, epsilon=1e-5
            )
            return (actor, optimiser), metrics | {"gradient_norm": norm}

        def epoch(carry: Any, number: Any) -> tuple[Any, Any]:
            cuts = cut(rows, step, number, count=self.minibatches, recurrent=params.recurrent)
            return jax.lax.scan(minibatch, carry, cuts)

        start = tree.index((learned[group.name], optimisers[group.name]), agent)
        end, metrics = jax.lax.scan(epoch, start, jnp.arange(self.epochs))
        ratio = params.of_agent(group, end[0], rows).log_prob(rows.action) - rows.log_probs.sum(-1)
        factor = factor * jnp.where(rows.alive, jnp.exp(ratio), 1.0)

        def put(whole: Any, part: Any) -> Any:
            return jax.tree.map(lambda leaf, new: leaf.at[agent].set(new), whole, part)

        learned = learned | {group.name: put(learned[group.name], end[0])}
        optimisers = optimisers | {group.name: put(optimisers[group.name], end[1])}
        return (learned, optimisers, factor), jax.tree.map(jnp.mean, metrics)

    def _critics(
        self, params: ActorsAndCritics, optimiser: Any, experience: Experience, step: Any, rate: Any
    ) -> tuple[ActorsAndCritics, Any, Metrics]:
        def loss(critics: Any, rows: Experience) -> Float[Array, ""]:
            found = dataclasses.replace(params, critics=critics).values(rows)
            total = jnp.zeros(())
            for name, value in found.items():
                errors = clipped_value_loss(
                    value, rows.value[name], rows.target[name], clip=self.clip, width=self.huber
                )
                total = total + mean_where(errors, rows.observation.alive[name])
            return total

        def minibatch(carry: Any, rows: Experience) -> tuple[Any, Any]:
            critics, optimiser = carry
            value, gradient = jax.value_and_grad(loss)(critics, rows)
            critics, optimiser, _ = descent.descend(
                critics, gradient, optimiser, rate=rate, clip=self.gradient_clip, epsilon=1e-5
            )
            return (critics, optimiser), value

        def epoch(carry: Any, number: Any) -> tuple[Any, Any]:
            recurrent = params.recurrent
            cuts = cut(experience, step, number, count=self.minibatches, recurrent=recurrent)
            return jax.lax.scan(minibatch, carry, cuts)

        start = (params.critics, optimiser)
        (critics, optimiser), values = jax.lax.scan(epoch, start, jnp.arange(self.epochs))
        params = dataclasses.replace(params, critics=critics)
        return params, optimiser, {"value_loss": values.mean()}


def rows_of(
    experience: Experience,
    spec: Spec,
    name: str,
    agent: Any,
    factor: Float[Array, "time envs"],
    *,
    recurrent: bool,
) -> AgentRows:
    """The rows of one agent, its features with the actions it sees."""
    observation = experience.observation
    features = with_seen(spec, name, observation.features[name], experience.action)
    memory = experience.memory["actors"][name][:, agent] if recurrent else ()
    return AgentRows(
        features=features[:, :, agent],
        action=experience.action[name][:, :, agent],
        legal=None if observation.legal is None else observation.legal[name][:, :, agent],
        alive=observation.alive[name][:, :, agent],
        starts=experience.starts,
        memory=memory,
        log_probs=experience.log_probs[name][:, :, agent],
        advantage=experience.advantage[name][:, :, agent],
        factor=factor,
    )


def _actor(params: ActorsAndCritics, name: str) -> tuple[Any, Any]:
    return params.actors[name].net, params.stds[name]
