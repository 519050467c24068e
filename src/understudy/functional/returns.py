"""Returns and advantages of rollouts: where an episode ends, and where it was only cut.

Arrays lead with ``time``. `terminated` says that the game ended: nothing comes after. `ended` says
that the next row belongs to another episode, for whatever reason: a truncated episode is cut there
but worth ``value_next``, the value of the observation it led to.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def errors(
    reward: Float[Array, "time *rest"],
    value_now: Float[Array, "time *rest"],
    value_next: Float[Array, "time *rest"],
    terminated: Bool[Array, "time *rest"],
    *,
    discount: float | Float[Array, ""],
) -> Float[Array, "time *rest"]:
    """Temporal-difference errors, ``r + γ (1 - terminated) V(o') - V(o)``."""
    return reward + discount * jnp.where(terminated, 0.0, value_next) - value_now


def gae(
    reward: Float[Array, "time *rest"],
    value_now: Float[Array, "time *rest"],
    value_next: Float[Array, "time *rest"],
    terminated: Bool[Array, "time *rest"],
    ended: Bool[Array, "time *rest"],
    *,
    discount: float | Float[Array, ""],
    trace: float | Float[Array, ""],
) -> Float[Array, "time *rest"]:
    """Generalised advantages: ``A_t = δ_t + γ λ (1 - ended_t) A_{t+1}``.

    Args:
        reward: of the step from each row.
        value_now: of what was observed before it.
        value_next: of what it led to, before any reset.
        terminated: the step ended the game.
        ended: the step was the last of its episode.
        discount: γ.
        trace: λ; 0 is one-step, 1 is Monte Carlo.

    Returns:
        Advantages; add `value_now` for the targets of a critic.

    Source: Schulman et al., "High-Dimensional Continuous Control Using Generalized Advantage
    Estimation", ICLR 2016, equation 16.
    """
    delta = errors(reward, value_now, value_next, terminated, discount=discount)
    decay = discount * trace * jnp.where(ended, 0.0, 1.0)

    def row(after: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
        delta, decay = x
        advantage = delta + decay * after
        return advantage, advantage

    return jax.lax.scan(row, jnp.zeros_like(delta[0]), (delta, decay), reverse=True)[1]
