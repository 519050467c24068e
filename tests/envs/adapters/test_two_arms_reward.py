"""The smooth reward of two arms: it ranks episodes as the game does, and says where to go."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr

from understudy.envs.adapters.two_arms import FEATURES, TwoArmPlatform
from understudy.envs.adapters.two_arms_model import Workbench
from understudy.envs.adapters.two_arms_reward import topple
from understudy.types import UserError

LIGHT = Workbench(mass=0.3)
STEPS = 200


def way(places, hands=((0.0, 0.0), (0.0, 0.0))):
    """What both see while the block goes along `places` of the left arm's frame."""
    seen = np.zeros((len(places), 2, len(FEATURES)), np.float32)
    for arm, sign in ((0, 1.0), (1, -1.0)):
        seen[:, arm, 12:14] = hands[arm]
        seen[:, arm, 16:18] = sign * np.asarray(places)
    return {"arms": jnp.asarray(seen)}


def test_random_episodes_are_ranked_as_the_game_does():
    env = TwoArmPlatform(horizon=STEPS, envs=128, workers=1, bench=LIGHT)
    chance, seen = np.random.default_rng(0), [env.reset(np.arange(128)).features["arms"]]
    paid, over = np.zeros(128), np.zeros(128, bool)
    held = np.repeat(chance.uniform(-1, 1, (STEPS // 10, 128, 2, 2)).astype(np.float32), 10, 0)
    for moves in held:
        step = env.step({"arms": moves})
        paid += np.where(over, 0.0, step.reward["arms"][:, 0])
        now = np.where(over[:, None, None], seen[-1], step.observation.features["arms"])
        over |= np.asarray(step.terminated)
        seen.append(now)
    env.close()
    assert 0.1 < over.mean() < 0.9
    rows = jnp.asarray(np.stack(seen[1:], 1))
    soft = jax.jit(lambda x: topple({"arms": x})["arms"][..., 0].sum(-1))(rows)
    assert np.median(np.abs(np.asarray(soft) - paid)) < 0.05
    # to the cent, as most of the rest end alike
    ranked = spearmanr(np.round(np.asarray(soft), 2), paid)
    assert float(ranked.statistic) > 0.9  # pyright: ignore[reportAttributeAccessIssue]


def test_a_fall_pays_once_and_earlier_is_better():
    stays = topple(way([(0.0, 0.0)] * 20))["arms"].sum(0)
    np.testing.assert_allclose(stays, -0.1, atol=1e-4)
    soon, late = (
        topple(way([(0.0, 0.0)] * n + [(0.0, 0.4)] * (20 - n)))["arms"].sum(0) for n in (5, 10)
    )
    np.testing.assert_allclose(soon, 1 - 0.005 * 6, atol=1e-3)
    np.testing.assert_allclose(late, 1 - 0.005 * 11, atol=1e-3)


def test_who_keeps_is_paid_the_negative_and_both_are_drawn_where_they_want_to_be():
    fall = way([(0.0, 0.25), (0.0, 0.33), (0.0, 0.4)])
    paid = topple(fall)["arms"]
    np.testing.assert_allclose(topple(fall, rewards="competitive")["arms"][:, 0], paid[:, 0])
    np.testing.assert_allclose(topple(fall, rewards="competitive")["arms"][:, 1], -paid[:, 1])
    inside, outside = way([(0.0, 0.0)]), way([(0.0, 0.2)])
    nearer = [topple(w, edge=1.0, rewards="competitive")["arms"][0] for w in (inside, outside)]
    assert nearer[1][0] - nearer[0][0] > 0.19  # 0.2 m less from the edge
    assert nearer[0][1] - nearer[1][1] > 0.19
    # a pusher's hand at the block, a keeper's 0.15 m towards the edge that is near (its own frame)
    at = way([(0.0, 0.2)], ((0.0, 0.2), (0.0, -0.35)))
    drawn = topple(at, hand=1.0, rewards="competitive")["arms"] - topple(
        at, rewards="competitive")["arms"]  # fmt: skip
    np.testing.assert_allclose(drawn, 0.0, atol=2e-3)


def test_its_slope_leads_to_the_edge():
    places = jnp.array([(0.0, 0.1)] * 5)

    def total(shift):
        seen = way(np.asarray(places))["arms"].at[..., 16:18].add(shift)
        return topple({"arms": seen}, edge=0.1)["arms"][:, 0].sum()

    slope = jax.grad(total)(jnp.zeros(2))
    assert slope[1] > 0
    assert np.isfinite(slope).all()


def test_costs_are_not_negative():
    with pytest.raises(UserError, match="costs of 0 or more, found -1 and 0"):
        topple(way([(0.0, 0.0)]), edge=-1, hand=0)
