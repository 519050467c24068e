"""Energy score and diversity: by hand, unbiased, proper, blind to the order of agents."""

import jax
import jax.numpy as jnp
import numpy as np

from understudy.functional import scores

energy_score = jax.jit(scores.energy_score)
agent_energy_score = jax.jit(scores.agent_energy_score)
diversity = jax.jit(scores.diversity)

ONE = jnp.array([True])


def line(*positions: float) -> jax.Array:
    """One agent, one row, samples along x."""
    return jnp.array([[[[x, 0.0]]] for x in positions])


def test_energy_score_by_hand():
    # Samples at 1 and 5, truth at 2: (1 + 3)/2 - 1/(2·2·1)·(4 + 4) = 2 - 2 = 0.
    assert float(energy_score(line(1, 5), line(2)[0], ONE)) == 0
    # Samples at 1, 2, 6, truth 0: 9/3 - 1/(2·3·2)·2·(1 + 5 + 4) = 3 - 20/12.
    np.testing.assert_allclose(energy_score(line(1, 2, 6), line(0)[0], ONE), 3 - 20 / 12, rtol=1e-6)


def test_the_scene_norm_is_the_root_mean_square_over_rows_and_agents():
    # Rows x agents distances 1, 1, 1, 5: sqrt((1 + 1 + 1 + 25)/4) = sqrt(7).
    sample = jnp.array([[[[1.0, 0], [0, 1.0]], [[0, -1.0], [3.0, 4.0]]]])
    truth = jnp.zeros((2, 2, 2))
    np.testing.assert_allclose(energy_score(sample, truth, jnp.ones(2, bool)), 7**0.5, rtol=1e-6)
    # Agent 0: sqrt((1 + 1)/2) = 1; agent 1: sqrt((1 + 25)/2) = sqrt(13).
    np.testing.assert_allclose(
        agent_energy_score(sample, truth, jnp.ones(2, bool)), [1, 13**0.5], rtol=1e-6
    )


def test_identical_samples_leave_the_plain_distance():
    one = energy_score(line(3), line(1)[0], ONE)
    many = energy_score(line(3, 3, 3, 3), line(1)[0], ONE)
    assert float(one) == float(many) == 2


def test_an_agent_that_is_not_alive_changes_nothing():
    samples = jax.random.normal(jax.random.key(0), (5, 4, 3, 2))
    truth = samples.mean(0)
    alive = jnp.array([True, False, True])
    spoiled = samples.at[:, :, 1].set(jnp.nan)
    np.testing.assert_allclose(
        energy_score(spoiled, truth, alive),
        energy_score(samples[:, :, ::2], truth[:, ::2], alive[::2]),
        rtol=1e-6,
    )
    assert float(agent_energy_score(spoiled, truth, alive)[1]) == 0
    assert float(diversity(spoiled, alive)[1]) == 0


def test_the_order_of_agents_changes_nothing():
    samples = jax.random.normal(jax.random.key(1), (5, 4, 3, 2))
    truth, alive = samples.mean(0) + 1, jnp.array([True, False, True])
    order = jnp.array([2, 0, 1])
    np.testing.assert_allclose(
        energy_score(samples, truth, alive),
        energy_score(samples[:, :, order], truth[:, order], alive[order]),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        diversity(samples, alive)[order], diversity(samples[:, :, order], alive[order]), rtol=1e-6
    )


def test_the_true_distribution_scores_best_and_the_joint_score_sees_coordination():
    # Truth: two agents share one standard normal offset. The rival draws the offsets apart:
    # the same margins, no coordination. Too narrow and too wide are worse as well.
    keys = jax.random.split(jax.random.key(2), 3)
    alive = jnp.ones(2, bool)
    truth = jnp.tile(jax.random.normal(keys[0], (20_000, 1, 1, 2)), (1, 1, 2, 1))
    together = jnp.tile(jax.random.normal(keys[1], (20_000, 8, 1, 1, 2)), (1, 1, 1, 2, 1))
    apart = jax.random.normal(keys[2], (20_000, 8, 1, 2, 2))
    joint = jax.jit(lambda s: jax.vmap(energy_score, (0, 0, None))(s, truth, alive).mean())
    own = jax.jit(lambda s: jax.vmap(agent_energy_score, (0, 0, None))(s, truth, alive).mean())
    best = float(joint(together))
    for rival in (apart, together * 0.5, together * 2):
        assert float(joint(rival)) > best + 0.02
    assert abs(float(own(together)) - float(own(apart))) < 0.01


def test_the_estimate_is_unbiased_in_the_number_of_samples():
    key_truth, key_samples = jax.random.split(jax.random.key(3))
    truth = jax.random.normal(key_truth, (40_000, 1, 1, 2))
    samples = jax.random.normal(key_samples, (40_000, 12, 1, 1, 2))
    score = jax.jit(lambda s: jax.vmap(energy_score, (0, 0, None))(s, truth, ONE).mean())
    # E|X - y| - ½ E|X - X'| = ½ E|N(0, 2 I)| = ½ sqrt(2) sqrt(π/2) = sqrt(π)/2 in the plane.
    for count in (2, 12):
        np.testing.assert_allclose(score(samples[:, :count]), np.pi**0.5 / 2, atol=0.01)


def test_diversity_by_hand():
    # Samples at 0, 1, 4: pairs 1, 4, 3 in both orders: 2·8/(3·2) = 8/3.
    np.testing.assert_allclose(diversity(line(0, 1, 4), ONE), [8 / 3], rtol=1e-6)
    np.testing.assert_allclose(diversity(line(2), ONE), [0])
