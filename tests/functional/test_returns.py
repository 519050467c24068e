"""Advantages against a sum written out for every pair of rows."""

import jax.numpy as jnp
import numpy as np

from understudy.functional.returns import gae


def by_hand(reward, value, value_next, terminated, ended, discount, trace):
    """``A_t = Σ_l (γλ)^l δ_{t+l}`` up to the end of t's episode, in float64."""
    delta = reward + discount * np.where(terminated, 0.0, value_next) - value
    total = np.zeros_like(delta)
    for t in range(len(delta)):
        for u in range(t, len(delta)):
            total[t] += (discount * trace) ** (u - t) * delta[u]
            if ended[u]:
                break
    return total


def test_generalised_advantages_with_ends_and_cuts():
    rng = np.random.default_rng(0)
    reward, value, value_next = rng.normal(size=(3, 60))
    terminated = rng.random(60) < 0.1
    truncated = (rng.random(60) < 0.1) & ~terminated
    assert terminated.any()
    assert truncated.any()
    expected = by_hand(reward, value, value_next, terminated, terminated | truncated, 0.97, 0.9)
    earned, now, then = (jnp.asarray(x, jnp.float32) for x in (reward, value, value_next))
    ends = jnp.asarray(terminated), jnp.asarray(terminated | truncated)
    found = gae(earned, now, then, ends[0], ends[1], discount=0.97, trace=0.9)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_cut_episode_is_worth_what_it_led_to_and_a_finished_one_is_not():
    """Reward 1, γ = 0.5, values 2: the row that is cut has no error, the last one lacks 1."""
    flags = jnp.array([[True, False], [True, True]])
    found = [
        gae(
            jnp.ones(1), jnp.full(1, 2.0), jnp.full(1, 2.0), flags[i, 1:], flags[i, :1],
            discount=0.5, trace=0.9,
        )
        for i in (0, 1)
    ]  # fmt: skip
    np.testing.assert_allclose(found, [[0.0], [-1.0]])
