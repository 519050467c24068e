"""Behaviour cloning of a network: how likely what was recorded is, and which of it counts."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from understudy.functional.losses import mean_where
from understudy.networks.policy import ActedRows, Network
from understudy.types import Metrics, Window


def loss(network: Network, window: Window) -> tuple[Float[Array, ""], Metrics]:
    """Minus the mean log-probability of the recorded actions that can be learned from.

    Args:
        network: whose actions should be those.
        window: ``[batch, time]``, with actions.

    Returns:
        The loss, and ``log_prob``, ``entropy`` and, of choices, ``accuracy``.
    """
    rows, counted = acted(network, window), learnable(network, window)
    found, names = network.predictions(rows), network.spec.names
    log_prob = _mean([(found[n].log_prob(rows.action[n]), counted[n]) for n in names])
    metrics = {
        "log_prob": log_prob,
        "entropy": _mean([(found[n].entropy(), counted[n]) for n in names]),
    }
    choices = [
        (rows.action[n][..., i] == found[n].mode()[..., i], counted[n])
        for n in names
        for i in range(len(found[n].spec.sections))
    ]
    if choices:
        metrics["accuracy"] = _mean(choices)
    return -log_prob, metrics


def acted(network: Network, window: Window) -> ActedRows:
    """Windows ``[batch, time]`` as rows ``[time, batch]`` that were acted in, memory at its start.

    Args:
        network: whose memory it is.
        window: with actions.
    """
    assert window.action is not None
    observation, action = _time_first((window.observation, window.action))
    agents = {name: alive.shape[-1] for name, alive in observation.alive.items()}
    time, batch = jax.tree.leaves(observation.alive)[0].shape[:2]
    memory = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (batch, *leaf.shape)), network.memory(agents, "sample")
    )
    starts = jnp.broadcast_to((jnp.arange(time) == 0)[:, None], (time, batch))
    return ActedRows(observation, action, starts, memory)


def learnable(network: Network, window: Window) -> dict[str, Bool[Array, "time batch agents"]]:
    """Actions to learn from: known, of agents alive, and all that they were told is known.

    Args:
        network: agents of one that acts in turn are told the actions of all before them, the
            others those of the groups they see.
        window: ``[batch, time]``.
    """
    alive, known = _time_first((window.observation.alive, window.action_known))
    secret = {name: alive[name] & ~known[name] for name in alive}
    found, before = {}, jnp.zeros((), bool)
    for group in network.spec.groups:
        told = alive[group.name] & known[group.name]
        for seen in group.sees:
            told &= ~secret[seen].any(-1, keepdims=True)
        if network.in_turn:
            hidden = secret[group.name]
            earlier = jnp.cumsum(hidden, -1) - hidden.astype(jnp.int32) > 0
            before = jnp.broadcast_to(before, (*hidden.shape[:-1], 1))
            told &= ~(earlier | before)
            before = before | hidden.any(-1, keepdims=True)
        found[group.name] = told
    return found


def _mean(pairs: list[tuple[Array, Array]]) -> Float[Array, ""]:
    """Mean of values ``[..., agents]`` of several groups where they count."""
    values, counted = (jnp.concatenate(part, -1) for part in zip(*pairs, strict=True))
    return mean_where(values.astype(jnp.float32), counted)


def _time_first(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), tree)
