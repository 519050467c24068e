import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from simulated_logs import NOISE, SWITCH, log
from understudy.diagnostics.simple_simulators import Mean, Persistence, Ridge
from understudy.diagnostics.simulation_log import transitions
from understudy.diagnostics.simulator import Simulator
from understudy.types import UserError

TRAIN = log(300, seed=1)
ROWS = transitions(TRAIN)
NOW, DONE, AFTER = (jnp.asarray(x) for x in (ROWS.now, ROWS.done, ROWS.after))
KINDS = [Persistence, Mean, Ridge]


def drawn(one, count=200):
    keys = jax.random.split(jax.random.key(0), count)
    return np.asarray(jax.jit(jax.vmap(lambda key: one.answer(NOW[:50], DONE[:50], key)))(keys))


@pytest.mark.parametrize("kind", KINDS)
def test_draws_follow_what_is_expected_and_what_is_likely(kind):
    one = kind.of(TRAIN)
    after = drawn(one)
    np.testing.assert_array_equal(after[..., :2].sum(-1), 1)
    np.testing.assert_array_equal(after[..., 2:5].sum(-1), 1)
    np.testing.assert_array_equal(after[..., :2], np.tile(ROWS.now[:50, :2], (200, 1, 1)))
    expected = np.asarray(one.expect(NOW[:50], DONE[:50]))
    error = np.sqrt(after.var(0) / 200)
    assert (np.abs(after.mean(0) - expected) <= 4.5 * error + 1e-5).mean() > 0.99
    likely = np.asarray(one.answer_log_probs(NOW, DONE, AFTER))
    wanted = np.asarray(one.expect(NOW, DONE))
    mood = np.log((wanted[:, 2:5] * ROWS.after[:, 2:5]).sum(1))
    np.testing.assert_allclose(likely[:, 1], mood, rtol=1e-4)
    level = stats.norm.logpdf(ROWS.after[:, 5], wanted[:, 5], np.asarray(one.answering.std)[0])
    np.testing.assert_allclose(likely[:, 2], level, rtol=1e-3, atol=1e-3)
    acts = np.asarray(one.act(NOW, jax.random.key(1)))
    assert set(np.unique(acts[:, 0])) == {0.0, 1.0}
    chances = np.asarray(one.expect_action(NOW))
    np.testing.assert_allclose(chances[:, :2].sum(1), 1, rtol=1e-5)
    assert acts[:, 0].mean() == pytest.approx(chances[:, 1].mean(), abs=0.06)
    own = np.asarray(one.act_log_probs(NOW, DONE))[:, 0]
    picked = chances[np.arange(len(ROWS)), ROWS.done[:, 0].astype(int)]
    np.testing.assert_allclose(own, np.log(picked), rtol=1e-4)
    assert isinstance(one, Simulator)


def test_persistence_keeps_what_is():
    one = Persistence.of(TRAIN)
    expected = np.asarray(one.expect(NOW, DONE))
    np.testing.assert_allclose(expected, ROWS.now, atol=1e-5)
    np.testing.assert_array_equal(drawn(one)[..., :5], np.tile(ROWS.now[:50, :5], (200, 1, 1)))
    change = ROWS.after[:, 5] - ROWS.now[:, 5]
    assert float(one.answering.std[0]) == pytest.approx(np.sqrt(np.square(change).mean()), rel=1e-4)
    assert np.isfinite(np.asarray(one.answer_log_probs(NOW, DONE, AFTER))).all()


def test_the_mean_does_not_look():
    one = Mean.of(TRAIN)
    expected = np.asarray(one.expect(NOW, DONE))
    np.testing.assert_allclose(expected[:, 5:], np.tile(ROWS.after[:, 5:].mean(0), (len(ROWS), 1)),
                               atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(expected[0, 2:5], ROWS.after[:, 2:5].mean(0), atol=2e-3)
    np.testing.assert_array_equal(expected[:, :2], ROWS.now[:, :2])  # constant: who somebody is


def test_ridge_finds_the_law_and_a_large_penalty_keeps_it_from_looking():
    one = Ridge.of(TRAIN)
    weights = np.asarray(one.answering.weights)
    # level and twin are the same, so they share one weight; push is the last column
    assert weights[5, 0] + weights[7, 0] == pytest.approx(0.5, abs=0.04)
    assert weights[-1, 0] == pytest.approx(1.0, abs=0.04)
    assert weights[-1, 1] == pytest.approx(0.5, abs=0.01)
    assert float(one.answering.std[0]) == pytest.approx(NOISE, rel=0.08)
    np.testing.assert_allclose(np.diag(one.switching)[2:5], 1 - SWITCH, atol=0.04)
    assert float(one.acting.weights[5, 0] + one.acting.weights[7, 0]) == pytest.approx(0.5, abs=0.1)
    blind = Ridge.of(TRAIN, penalty=1e12)
    change = (ROWS.after - ROWS.now)[:, 5:].mean(0)
    np.testing.assert_allclose(
        np.asarray(blind.expect(NOW, DONE))[:, 5:] - ROWS.now[:, 5:],
        np.tile(change, (len(ROWS), 1)), atol=1e-4,
    )  # fmt: skip


def test_what_cannot_be_fitted_is_said():
    with pytest.raises(UserError, match="penalty above 0, found 0"):
        Ridge.of(TRAIN, penalty=0.0)
    alone = TRAIN.regroup({"user": ("user",)})
    with pytest.raises(UserError, match="decides the next state, found none"):
        Mean.of(alone)
