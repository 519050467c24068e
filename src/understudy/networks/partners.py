"""Who communicates with whom, and what comes of it.

An agent that initiates communication picks partners among those it sees; it and they are a group.
Agents pick in order, and groups communicate in the same order, so that an agent in several of them
carries to a later one what an earlier one said.

Source: Jiang and Lu, NeurIPS 2018 (arXiv 1805.07733).
"""

from __future__ import annotations

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from understudy.networks.lstm import BidirectionalLSTM

Partners: TypeAlias = Int[Array, "*lead agents bandwidth"]
"""Numbers of those whom each agent picked, -1 where there are no more: of nobody, no group."""


def pick(
    initiates: Bool[Array, " agents"],
    near: Int[Array, "agents seen"],
    alive: Bool[Array, " agents"],
    *,
    bandwidth: int,
) -> Int[Array, "agents bandwidth"]:
    """Partners of each initiator: first those whom nobody picked, then those picked, last other
    initiators; among equals the nearest.

    Args:
        initiates: who wants to communicate.
        near: numbers of those whom each agent sees, nearest first. Its own, those of nobody,
            those of the dead and repeated ones do not count.
        alive: who is there.
        bandwidth: most partners of a group.
    """
    agents, seen = near.shape
    everybody = jnp.arange(agents, dtype=jnp.int32)
    before = np.tril(np.ones((seen, seen), bool), -1)[None]
    repeated = ((near[:, :, None] == near[:, None, :]) & before).any(-1)
    there = (near >= 0) & (near < agents) & (near != everybody[:, None]) & ~repeated
    near = jnp.where(there & alive[jnp.clip(near, 0, agents - 1)], near, -1)

    def one(picked: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        wants, others = row
        at = jnp.maximum(others, 0)
        rank = jnp.where(initiates[at], 2, picked[at].astype(jnp.int32))
        order = jnp.argsort(jnp.where(others < 0, 3, rank), stable=True)[:bandwidth]
        chosen = jnp.where(wants, others[order], -1)
        return picked | (chosen[:, None] == everybody[None]).any(0), chosen

    wants = initiates & alive
    partners = jax.lax.scan(one, jnp.zeros(agents, bool), (wants, near))[1]
    missing = jnp.full((agents, max(0, bandwidth - seen)), -1, jnp.int32)
    return jnp.concatenate([partners.astype(jnp.int32), missing], 1)


def integrate(
    channel: BidirectionalLSTM,
    thoughts: Float[Array, "agents thought"],
    partners: Int[Array, "agents bandwidth"],
    alive: Bool[Array, " agents"],
) -> Float[Array, "agents thought"]:
    """What each agent's thought becomes in its groups; 0 for an agent in none.

    The channel reads the thoughts of a group, the initiator's first and then the partners' as they
    were picked, and puts out their integrated thoughts, which later groups read.
    """
    everybody = jnp.arange(len(thoughts), dtype=jnp.int32)

    def speak(carry: tuple[Array, Array], row: tuple[Array, Array]) -> tuple[tuple, None]:
        words, spoke = carry
        members = jnp.concatenate([row[0][None], row[1]])
        at = jnp.maximum(members, 0)
        present = (members >= 0) & alive[at]
        present = present & present[0] & present[1:].any()
        said = channel(words[at], present)
        whose = (members[:, None] == everybody[None]) & present[:, None]
        # a sum over members, of whom at most one is each agent: cheaper than a scatter
        heard = jnp.where(whose[:, :, None], said[:, None], 0.0).sum(0)
        inside = whose.any(0)
        return (jnp.where(inside[:, None], heard, words), spoke | inside), None

    start = thoughts, jnp.zeros(len(thoughts), bool)
    # what happened within a group is worked out again for gradients: quicker than to remember it
    (words, spoke), _ = jax.lax.scan(jax.checkpoint(speak), start, (everybody, partners))
    return jnp.where(spoke[:, None], words, 0.0)


def total(values: Float[Array, "*lead agents"], partners: Partners) -> Float[Array, "*lead agents"]:
    """Sum of values over each initiator's group, itself included."""
    *lead, agents, bandwidth = partners.shape
    at = jnp.maximum(partners, 0).reshape(*lead, agents * bandwidth)
    others = jnp.take_along_axis(values, at, -1).reshape(partners.shape)
    return values + jnp.where(partners >= 0, others, 0.0).sum(-1)
