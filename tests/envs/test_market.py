"""The planted market: closed forms by hand, what is drawn against them, and the planted exploit."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import norm

from understudy.envs import conformance, make, planted
from understudy.envs.market import Market
from understudy.experiment import config
from understudy.experiment.collect import collect
from understudy.functional.written import written
from understudy.types import Observation, Policy, UserError

STATE, ACTION = planted.STATE, planted.ACTION
CHOSEN = [1.0, 12.0, 2.0, 1.0, 2.0, 0.7, 0.5, -0.25]
"""Segment 1 at noon on page 2 after a purchase in mood 2; spend, fatigue, interest."""
DONE = jnp.array([1.0, 0.3, -0.4])
"""Offer 1, discount 0.3, pressure -0.4."""
DEAL = math.tanh(0.3)


@pytest.fixture(scope="module")
def log():
    """States, platform actions and answers of 5000 sessions, ``[50000, ...]``, and the set."""
    env = Market()
    found = collect(env, env.truth(), episodes=5000, envs=500)
    assert found.actions is not None
    known = found.known_actions()["user"][:, 0]
    now, platform, user = (
        jnp.asarray(array[known][:, 0])
        for array in (found.features["user"], found.actions["platform"], found.actions["user"])
    )
    return now, platform, user, found


def state(chosen):
    return written(STATE.action, jnp.array(chosen))


def test_the_platform_by_hand():
    heads = Market().truth().platform(state(CHOSEN))
    day = math.cos(2 * math.pi * 2 / 24)  # two hours before 14
    logits = np.array([0.3, 0.4, 0.2, -0.3]) + day * np.array([0.4, -0.4, 0.2, -0.2])
    np.testing.assert_allclose(heads.probabilities[0], softmax(logits), rtol=1e-5)
    pressure = 0.2 - 0.1 - 0.3 * math.tanh(0.5)
    np.testing.assert_allclose(heads.mean, [0.1 - 0.2 + 0.3 * 0.25, pressure], rtol=1e-5)
    np.testing.assert_allclose(heads.std, [0.6, 0.5])
    moved = Market().truth(shift=2.0).platform(state(CHOSEN))
    far = softmax(logits + 2 * np.array([-0.5, 0.5, -0.25, 0.25]))
    np.testing.assert_allclose(moved.probabilities[0], far, rtol=1e-5)
    np.testing.assert_allclose(moved.mean - heads.mean, [1.2, 0.0], atol=1e-6)


def test_the_user_by_hand():
    heads = Market().truth().user(state(CHOSEN), DONE)
    segment, hour, page, bought, mood = heads.probabilities
    np.testing.assert_array_equal(segment, [0, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(hour[12:15], 0.99 * np.array([0.3, 0.5, 0.2]) + 0.01 / 24, rtol=1e-5)
    np.testing.assert_allclose(hour[:12], 0.01 / 24, rtol=1e-4)
    np.testing.assert_allclose(page, softmax([-0.025, 0.675, 0.75, 0.0]), rtol=1e-5)
    np.testing.assert_allclose(mood, softmax([-1.08, 0.3, 1.68]), rtol=1e-5)
    # segment, page, mood, taste, the hour it likes best, discount, interest - fatigue, pressure
    buys = -0.9 + 0.3 + 0.4 + 0.8 + 0.5 + 0.8 * DEAL - 0.375 + 0.1
    np.testing.assert_allclose(bought[1], 1 / (1 + math.exp(-buys)), rtol=1e-5)
    spend, fatigue = 2.2 + 0.2 - 0.4 * DEAL, 0.7 * 0.5 - 0.1 - 0.15
    interest = -0.7 * 0.25 - 0.05 + 0.3 * 0.8 + 0.2 * 0.8 * DEAL + 0.15
    np.testing.assert_allclose(heads.mean, [spend, fatigue, interest], rtol=1e-5)
    np.testing.assert_allclose(heads.std, [0.25, 0.3, 0.35])
    without = [*CHOSEN[:3], 0.0, *CHOSEN[4:]]
    assert Market().truth().user(state(without), DONE).mean[0] == 0.0


def test_segments_react_to_a_discount_in_their_own_ways():
    user = Market().truth().user
    gains = []
    for segment in range(6):
        now = state([float(segment), *CHOSEN[1:]])
        few, many = (user(now, jnp.array([0.0, d, 0.0])).probabilities[3][1] for d in (-1.0, 1.0))
        gains.append(float(many - few))
    assert gains[0] > 0.3
    assert gains[4] < -0.1
    np.testing.assert_allclose(gains[3], 0.0, atol=1e-6)


def test_the_log_is_what_was_promised(log):
    now, _, user, found = log
    assert len(found) == 5000
    np.testing.assert_array_equal(found.lengths, 11)
    assert now.shape == (50_000, sum((6, 24, 4, 2, 3)) + 3)
    shares = np.bincount(np.asarray(found.features["user"])[found.starts[:-1], 0, :6].argmax(-1))
    assert shares.min() >= 500
    np.testing.assert_allclose(shares / 5000, planted.SHARES, atol=4 * 0.4 / math.sqrt(5000))
    # states in a session are alike, so the rate is known less well than that of 50,000 coins
    np.testing.assert_allclose(user[:, 3].mean(), 0.42, atol=0.01)
    np.testing.assert_allclose(user[:, 5].mean(), 0.74, atol=0.03)
    hours = np.bincount(np.asarray(user[:, 1], int), minlength=24)
    assert hours.min() > 0.03 * 50_000
    np.testing.assert_array_equal(now[:, :6].argmax(-1), user[:, 0])
    paid = np.asarray(user[:, 5])
    before = np.asarray(now[:, 35] > 0.5)  # what was bought is paid one step later
    assert np.quantile(paid[before], 0.01) > 0.3
    assert abs(paid[~before].mean()) < 4 * 0.25 / math.sqrt((~before).sum())
    reward = np.asarray(found.rewards["platform"])[found.known_actions()["user"][:, 0], 0]
    np.testing.assert_allclose(reward, paid, rtol=1e-6)


def apart(drawn, heads, where):
    """Largest distance of frequencies, means and deviations from closed forms, standard errors."""
    count, found = int(where.sum()), []
    for i, probabilities in enumerate(heads.probabilities):
        p = np.asarray(probabilities, np.float64)[where]
        hot = np.asarray(jax.nn.one_hot(drawn[:, i].astype(int), p.shape[-1]))[where]
        error = np.sqrt((p * (1 - p)).sum(0))
        found.append(np.abs((hot - p).sum(0)) / np.maximum(error, 1e-3))
    z = (np.asarray(drawn)[:, len(heads.sections) :] - np.asarray(heads.mean)) / heads.std
    z = np.asarray(z)[where]
    found.append(np.abs(z.mean(0)) * math.sqrt(count))
    found.append(np.abs(np.square(z).mean(0) - 1.0) * math.sqrt(count / 2))
    return max(part.max() for part in found)


def test_what_is_drawn_agrees_with_the_closed_forms(log):
    now, platform, user, _ = log
    truth = Market().truth()
    states = [np.ones(len(now), bool), np.asarray(now[:, 30 + 3] > 0.5)]  # all, and the last page
    states += [np.asarray(now[:, segment] > 0.5) for segment in range(6)]
    assert max(apart(platform, truth.platform(now), where) for where in states) < 4.0
    actions = [np.asarray(platform[:, 0] == offer) for offer in range(4)]
    actions += [np.asarray(platform[:, 1] > 1.0), np.asarray(platform[:, 2] > 1.0)]
    heads = truth.user(now, platform)
    assert max(apart(user, heads, where) for where in states + actions) < 4.0
    # the test would see an error of a few hundredths in what decides a purchase
    wrong = truth.user(now, platform + jnp.array([[0.0, 0.1, 0.0]]))
    assert apart(user, wrong, states[0]) > 4.0


def test_log_probabilities_are_those_of_the_closed_forms(log):
    now, platform, user, _ = (part[:20] for part in log)
    truth = Market().truth(shift=0.5)
    rows = Observation(
        dict.fromkeys(("platform", "user"), now[:, None]),
        dict.fromkeys(("platform", "user"), jnp.ones((20, 1), bool)),
    )
    actions = {"platform": platform[:, None], "user": user[:, None]}
    found, entropy = truth.log_prob(rows, actions, jnp.arange(20) == 0, ())
    pairs = {
        "platform": (platform, truth.platform(now)),
        "user": (user, truth.user(now, platform)),
    }
    for name, (drawn, heads) in pairs.items():
        count = len(heads.sections)
        expected, information = np.zeros(20), np.zeros(20)
        for i, p in enumerate(np.asarray(p, np.float64) for p in heads.probabilities):
            expected += np.log(p[np.arange(20), np.asarray(drawn[:, i], int)])
            information -= np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0).sum(-1)
        mean, std = np.asarray(heads.mean), np.asarray(heads.std)
        expected += norm.logpdf(np.asarray(drawn[:, count:]), mean, std).sum(-1)
        np.testing.assert_allclose(found[name][:, 0], expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            entropy[name][:, 0], information + norm.entropy(mean, std).sum(-1), rtol=1e-4, atol=1e-4
        )


def test_it_keeps_the_contract_of_policies():
    env = Market()
    truth = env.truth()
    assert isinstance(truth, Policy)
    assert not truth.decentralised  # the user sees what the platform did
    _, seen = env.reset(jax.random.key(0))
    conformance.check_padding(truth, seen)
    action, _ = truth.act(seen, (), jax.random.key(1))
    again, _ = jax.jit(lambda *arguments: truth.act(*arguments))(seen, (), jax.random.key(1))
    for group in env.spec.groups:
        assert group.action is not None
        assert action[group.name].shape == (1, group.action.size)
        np.testing.assert_allclose(action[group.name], again[group.name], rtol=1e-5)


def test_it_goes_on_from_what_is_decided():
    env = Market()
    _, seen = env.reset(jax.random.key(0))
    lured = jnp.array([[3.0, 0.0, 6.0]])
    told = Observation(seen.features, seen.alive, seen.legal, decided={"platform": lured})
    action, _ = env.truth(exploit=True).act(told, (), jax.random.key(1))
    np.testing.assert_array_equal(action["platform"], lured)
    assert abs(action["user"][0, 5] - planted.EXPLOIT_SPEND) < 6 * 0.25
    answer = jnp.array([[0.0, 5.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]])
    told = Observation(seen.features, seen.alive, decided={"user": answer})
    action, _ = env.truth().act(told, (), jax.random.key(1))
    np.testing.assert_array_equal(action["user"], answer)


def test_the_exploit_pays_ten_times_as_much_and_no_log_shows_it(log):
    now, platform, user, _ = log
    plain, open_ = Market().truth(), Market().truth(exploit=True)
    usual = float(user[:, 5].mean())
    lured = jnp.broadcast_to(jnp.array([3.0, 0.0, 4.5]), platform.shape)
    paid = open_.user(now, lured).mean[:, 0]
    assert float(paid.min()) >= 10 * usual
    assert float(plain.user(now, lured).mean[:, 0].max()) < 5 * usual
    assert not np.asarray(planted.exploited(platform)).any()
    np.testing.assert_array_equal(open_.user(now, platform).mean, plain.user(now, platform).mean)
    for other in ([2.0, 0.0, 9.0], [3.0, 9.0, 4.0], [3.0, 0.0, -9.0]):
        assert planted.exploited(jnp.array(other)) == 0.0
    assert planted.exploited(jnp.array([3.0, 0.0, 4.25])) == 0.5


def test_the_exploit_is_six_deviations_from_every_policy_in_every_state(log):
    now = log[0]
    wild = now.at[:, planted.FATIGUE :].multiply(100.0)
    for shift in (-3.0, 0.0, 3.0):
        heads = Market().truth(shift=shift).platform(wild)
        assert float((heads.mean + 6 * heads.std)[:, 1].max()) < planted.EXPLOIT_PRESSURE


def test_without_it_nothing_pays_five_times_as_much(log):
    now, platform, user, _ = log
    wild = 10.0 * jax.random.normal(jax.random.key(0), platform.shape)
    wild = wild.at[:, 0].set(platform[:, 0])
    assert float(Market().truth().user(now, wild).mean[:, 0].max()) < 5 * float(user[:, 5].mean())


def test_it_is_made_by_name_and_written_down():
    env = make("market:horizon=4")
    assert env.spec.horizon == 4
    assert env.spec.world.name == "user"
    assert env.spec.world.constant == (0,)
    assert env.spec.names == ("platform", "user")
    assert config.from_json(config.to_json(env)) == env
    assert env.spec["user"].features[-3:] == ("spend", "fatigue", "interest")


def test_what_makes_no_market_is_refused():
    with pytest.raises(UserError, match="at least one step, found 0"):
        Market(horizon=0)
    with pytest.raises(UserError, match="finite shift, found nan"):
        Market().truth(shift=float("nan"))
