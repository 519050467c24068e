"""What critics read: what their agent observes, or what everybody does."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from understudy.networks.players import Sharing
from understudy.types import Group, Observation, Spec, require


def critic_inputs(spec: Spec, group: Group, critic: str, sharing: Sharing) -> int:
    """Number of features a critic reads; see `critic_features`."""
    own = group.observation * (group.agents if sharing == "joint" else 1)
    if critic == "own":
        return own
    everything = sum(g.observation * g.agents for g in spec.groups)
    if sharing == "joint":
        return own + spec.state if spec.state else everything
    return own + (spec.state or everything) + (group.agents if sharing == "shared" else 0)


def critic_features(
    spec: Spec, group: Group, observation: Observation, critic: str, sharing: Sharing
) -> Float[Array, "*lead rows features"]:
    """What critics read, a row for each agent: own features; central ones also the state, and which
    agent it is. A joint critic reads its rows side by side.

    Raises:
        UserError: when a central or joint critic meets another number of agents than it was made
            for.
    """
    if sharing == "joint":
        return _joint_features(spec, group, observation, critic)
    own = observation.features[group.name]
    if critic == "own":
        return own
    *lead, agents, _ = own.shape
    same_number(group, agents, "a central critic", "critic='own'")
    state = observation.state
    if state is None:
        parts = [observation.features[name].reshape(*lead, -1) for name in spec.names]
        state = jnp.concatenate(parts, -1)
    pieces = [own, jnp.broadcast_to(state[..., None, :], (*lead, agents, state.shape[-1]))]
    if sharing == "shared":
        number = jnp.eye(agents, dtype=own.dtype)
        pieces.append(jnp.broadcast_to(number, (*lead, agents, agents)))
    return jnp.concatenate(pieces, -1)


def _joint_features(
    spec: Spec, group: Group, observation: Observation, critic: str
) -> Float[Array, "*lead rows features"]:
    """Rows of all agents, 0 for the dead; of everything one row."""

    def rows(name: str) -> Array:
        same_number(spec[name], observation.features[name].shape[-2], "a joint critic",
                    "sharing='shared' and critic='own'")  # fmt: skip
        return jnp.where(observation.alive[name][..., None], observation.features[name], 0.0)

    if critic == "own":
        return rows(group.name)
    names = spec.names if observation.state is None else (group.name,)
    parts = [rows(name).reshape(*observation.features[name].shape[:-2], -1) for name in names]
    if observation.state is not None:
        parts.append(jnp.asarray(observation.state))
    return jnp.concatenate(parts, -1)[..., None, :]


def same_number(group: Group, agents: int, what: str, instead: str) -> None:
    """Refuse another number of agents than a group was built for."""
    require(
        agents == group.agents,
        f"expected {group.agents} agents for {what}, found {agents}; train with {instead} for "
        "other numbers",
    )
