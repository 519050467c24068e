"""Unroll a team: through the rows given, then on by sampling."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from understudy.networks.frames import Frames
from understudy.networks.intents import IntentPolicy
from understudy.networks.team import Scene, Team


class Plan(eqx.Module):
    """What is known beforehand of every row; rows beyond the context are zeros unless held."""

    positions: Float[Array, "rows agents obs"]
    held: Bool[Array, "rows agents"]
    """Agents at these rows are where `positions` says."""
    alive: Bool[Array, "rows agents"]
    intents: Int[Array, "time agents"] | None = None
    """Row t is the intent under which row t + 1 is drawn."""
    commanded: Bool[Array, "time agents"] | None = None
    """Intents that are fixed to `intents`."""


def rollout(
    team: Team,
    frames: Frames,
    policy: IntentPolicy | None,
    plan: Plan,
    key: Key[Array, ""],
    *,
    samples: int,
    context: int,
    temperature: Float[Array, ""],
    posterior: bool,
    hold: int = 1,
) -> tuple[Float[Array, "time samples agents obs"], Int[Array, "time samples agents"] | None]:
    """Draw `samples` continuations at once.

    Args:
        team: networks of the group.
        frames: its scales.
        policy: draws intents, of the context's rows too (its labels would tell of the future).
        plan: what is known.
        key: of all draws.
        samples: number of continuations.
        context: rows of the plan in which every agent present is known, at least 1.
        temperature: scale of the noise of drawn positions.
        posterior: draw latents of known rows from the encoder, else from the prior.
        hold: an intent is drawn every `hold` rows and kept in between.

    Returns:
        Positions of rows 1, 2, ... and the intents under which each was drawn.
    """

    def many(x: Array) -> Array:
        return jnp.broadcast_to(x, (samples, *x.shape))

    sequence_key, loop_key = jax.random.split(key)
    sequence = None
    if team.sizes.kind == "sequence":
        past, present = plan.positions[:context], plan.alive[:context]
        sequence = team.plan(
            frames,
            jnp.broadcast_to(past[:, None], (context, samples, *past.shape[1:])),
            jnp.broadcast_to(present[:, None], (context, samples, present.shape[1])),
            team.noise(sequence_key, 1, samples),
            posterior=posterior,
        )

    def body(carry: tuple, x: tuple) -> tuple:
        now, move, hidden, mind = carry
        row, after, t = x
        intent_key, step_key = jax.random.split(jax.random.fold_in(loop_key, t))
        alive = many(row.alive)
        intents = extra = None
        if policy is not None:
            seen = frames.seen(now, move, alive)
            intents, mind = _intend(policy, seen, mind, row, t, hold, intent_key)
            extra = jax.nn.one_hot(intents, policy.classes)
        scene = Scene(now, move, many(after.positions), many(after.held), alive)
        then, hidden = team.step(
            frames, scene, hidden, extra, sequence, step_key,
            temperature=temperature, posterior=posterior,
        )  # fmt: skip
        move = jnp.where(many(row.alive & after.alive)[..., None], then - now, 0.0)
        return (then, move, hidden, mind), (then, intents)

    rows = plan.positions.shape[0]
    first = many(plan.positions[0])
    mind = None
    if policy is not None:
        mind = (policy.gru.start(samples), jnp.zeros((samples, policy.heads), jnp.int32))
    carry = (first, jnp.zeros_like(first), team.start(samples), mind)
    now, after = (
        Plan(plan.positions[part], plan.held[part], plan.alive[part])
        for part in (slice(None, -1), slice(1, None))
    )
    here = Plan(now.positions, now.held, now.alive, plan.intents, plan.commanded)
    return jax.lax.scan(body, carry, (here, after, jnp.arange(rows - 1)))[1]


def _intend(
    policy: IntentPolicy,
    seen: Float[Array, "samples seen"],
    mind: tuple,
    row: Plan,
    t: Int[Array, ""],
    hold: int,
    key: Key[Array, ""],
) -> tuple[Int[Array, "samples agents"], tuple]:
    """Draw, keep or obey the intents of one row."""
    hidden, kept = mind
    drawn = jax.random.categorical(key, policy.logits(hidden, seen)).T
    intents = jnp.where(t % hold == 0, drawn.astype(jnp.int32), kept)
    agents = row.alive.shape[0]
    if row.intents is not None and row.commanded is not None:
        fixed, free = row.intents, ~row.commanded
        if intents.shape[1] == 1:
            fixed, free = fixed[:1], free[:1]
        intents = jnp.where(free[None], intents, fixed[None])
    hidden = policy.advance(hidden, intents)
    return jnp.broadcast_to(intents, (len(intents), agents)), (hidden, intents)
