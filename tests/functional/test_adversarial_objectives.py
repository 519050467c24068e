"""Objectives of discriminators and rewards, against values worked out by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.functional.adversarial import OBJECTIVES, OMEGAS, REWARD_RANGES, REWARDS
from understudy.functional.penalties import gradient_penalty, steepness

EPSILON = 0.05


def test_losses_by_hand():
    expert, policy = jnp.array([0.0, 2.0]), jnp.ones(2)
    log2, softplus1 = math.log(2.0), math.log1p(math.e)
    losses = {name: OBJECTIVES[name].losses(expert, policy, 0.0) for name in OBJECTIVES}
    np.testing.assert_allclose(losses["bce"][0], [log2, math.log1p(math.exp(-2.0))], rtol=1e-6)
    np.testing.assert_allclose(losses["bce"][1], [softplus1] * 2, rtol=1e-6)
    np.testing.assert_allclose(losses["wail"][0], [0.0, -2.0])
    np.testing.assert_allclose(losses["wgan-gp"][1], [1.0, 1.0])
    np.testing.assert_allclose(losses["lsgan"][0], [0.5, 0.5])  # labels 1 and -1
    np.testing.assert_allclose(losses["lsgan"][1], [2.0, 2.0])


def test_smooth_labels_are_where_the_loss_is_least():
    def best(name, side):
        scores = jnp.linspace(-4.0, 4.0, 8001)
        return float(scores[OBJECTIVES[name].losses(scores, scores, 0.1)[side].argmin()])

    assert best("bce", 0) == pytest.approx(math.log(0.9 / 0.1), abs=1e-3)
    assert best("bce", 1) == pytest.approx(-math.log(0.9 / 0.1), abs=1e-3)
    assert best("lsgan", 0) == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize("omega", ["hinge", "square"])
@pytest.mark.parametrize("distance", [0.3, 0.7, 2.0])
def test_two_point_masses_end_a_margin_beyond_their_distance(omega, distance):
    # maximise gap + Ω(gap): d + 2ε by hand
    def loss(gap):
        return -(gap + OMEGAS[omega](gap, jnp.asarray(distance), EPSILON))

    gap = jnp.asarray(0.0)
    for _ in range(400):
        gap = gap - 0.05 * jax.grad(loss)(gap)
    assert float(gap) == pytest.approx(distance + 2 * EPSILON, rel=0.02)


def test_the_hinge_leaves_alone_what_is_inside():
    slope = {name: jax.grad(OMEGAS[name]) for name in OMEGAS}
    inside, far = (jnp.asarray(0.2), jnp.asarray(0.7)), (jnp.asarray(0.9), jnp.asarray(0.7))
    assert float(slope["hinge"](*inside, EPSILON)) == 0.0
    assert float(slope["square"](*inside, EPSILON)) == pytest.approx(0.5 / (2 * EPSILON))
    for name in OMEGAS:
        assert float(slope[name](*far, EPSILON)) < 0.0
    # derivative of -ε exp(x/ε) is -exp(x/ε)
    assert float(slope["entropic"](*far, EPSILON)) == pytest.approx(-math.exp(0.2 / 0.05), rel=1e-4)


@pytest.mark.parametrize("name", list(REWARDS))
def test_rewards_rise_with_the_expert_score(name):
    scores = jnp.linspace(-8.0, 8.0, 101)
    assert bool(jnp.all(jnp.diff(REWARDS[name](scores)) > 0))
    low, high = REWARD_RANGES[name]
    middle = float(REWARDS[name](jnp.zeros(())))
    assert low < middle < high


def test_rewards_by_hand():
    zero = {name: float(make(jnp.zeros(()))) for name, make in REWARDS.items()}
    assert zero == pytest.approx(
        {"softplus": math.log(2), "logit": 0.0, "neg": -math.log(2), "prob": 0.0}
    )
    ends = jnp.array([-30.0, 30.0])
    np.testing.assert_allclose(REWARDS["softplus"](ends), [0.0, 30.0], atol=1e-6)
    np.testing.assert_allclose(REWARDS["neg"](ends), [-30.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(REWARDS["prob"](ends), [-1.0, 1.0], atol=1e-6)


def test_steepness_is_the_norm_over_all_inputs():
    weights = {"a": jnp.array([[3.0, 0.0], [0.0, 1.0]]), "b": jnp.array([[4.0], [2.0]])}

    def function(x):
        return jnp.tanh(weights["a"] @ x["a"] + weights["b"] @ x["b"])

    at = {"a": jnp.array([0.1, -0.2]), "b": jnp.array([0.05])}
    found = steepness(function, at)

    def slope(output, part, i, change=1e-3):
        moved = [
            {**at, part: at[part].at[i].add(sign * change)} for sign in (1.0, -1.0)
        ]  # fmt: skip
        return float(function(moved[0])[output] - function(moved[1])[output]) / (2 * change)

    places = [("a", 0), ("a", 1), ("b", 0)]
    by_hand = [math.sqrt(sum(slope(k, *p) ** 2 for p in places)) for k in range(2)]
    np.testing.assert_allclose(found, by_hand, rtol=1e-3)
    np.testing.assert_allclose(gradient_penalty(jnp.array([1.0, 3.0])), [0.0, 4.0])


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_every_objective_tells_two_gaussians_apart(name):
    objective, key = OBJECTIVES[name], jax.random.key(0)
    expert = jax.random.normal(key, (256,)) + 1.0
    policy = jax.random.normal(jax.random.fold_in(key, 1), (256,)) - 1.0

    def loss(line):
        ours, theirs = (line[0] * x + line[1] for x in (expert, policy))
        losses = objective.losses(ours, theirs, 0.0)
        value = losses[0].mean() + losses[1].mean()
        if objective.regulariser == "transport":
            value = value - OMEGAS["hinge"](ours - theirs, jnp.abs(expert - policy), 0.05).mean()
        if objective.regulariser == "gradient":
            value = value + 10.0 * gradient_penalty(jnp.abs(line[0]))
        return value

    line = jnp.zeros(2) + 0.01
    for _ in range(200):
        line = line - 0.05 * jax.grad(loss)(line)
    ours, theirs = line[0] * expert + line[1], line[0] * policy + line[1]
    for make in REWARDS.values():
        assert float(make(ours).mean()) > float(make(theirs).mean())
