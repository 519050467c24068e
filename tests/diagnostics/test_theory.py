"""Theory by enumeration and by sampling, and what it does not say."""

import jax
import numpy as np
import pytest

from understudy.diagnostics.theory import (
    advantage_variance,
    decompose,
    exact_variance_gap,
    full_conditionals,
    redraw,
    variance_gap,
    variance_ratio,
)
from understudy.types import UserError

CHOICES = (2, 3, 4)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def simplex(rng, *shape):
    return rng.dirichlet(np.ones(shape[-1]), shape[:-1])


def in_turn(rng):
    """Each agent's choices given those before: an autoregressive policy."""
    return [simplex(rng, *CHOICES[: turn + 1]) for turn in range(3)]


def joint(turns):
    chance = np.ones(())
    for own in turns:
        chance = chance[..., None] * own
    return chance


@pytest.mark.parametrize("kind", ["product", "autoregressive"])
def test_advantages_add_up_in_a_game_of_three(rng, kind):
    for _ in range(20):
        payoff = rng.normal(size=CHOICES)
        policy = in_turn(rng) if kind == "autoregressive" else [simplex(rng, n) for n in CHOICES]
        found = decompose(payoff, policy)
        assert found.error < 1e-6
        assert found.parts.shape == (3, *CHOICES)
        # the first agent's part does not look at the others, and is 0 on average
        assert np.ptp(found.parts[0], axis=(1, 2)).max() < 1e-12
        whole = joint([np.broadcast_to(p, CHOICES[: i + 1]) for i, p in enumerate(policy)])
        assert abs((whole * found.joint).sum()) < 1e-9


def test_a_decomposition_by_hand():
    """Xor pays 1 for unlike choices, uniform policies: nobody knows anything until the second."""
    coin = np.array([0.5, 0.5])
    found = decompose(np.array([[0.0, 1.0], [1.0, 0.0]]), [coin, coin])
    np.testing.assert_allclose(found.parts[0], 0)
    np.testing.assert_allclose(found.parts[1], [[-0.5, 0.5], [0.5, -0.5]])
    np.testing.assert_allclose(found.joint, found.parts[1])


def test_marginals_of_agents_in_turn_do_not_add_up(rng):
    """Parts of the product of marginals sum to the advantage under that product, not under π."""
    turns, payoff = in_turn(rng), rng.normal(size=CHOICES)
    marginals = [joint(turns).sum(tuple(j for j in range(3) if j != i)) for i in range(3)]
    wrong = sum(decompose(payoff, marginals).parts)
    assert np.abs(wrong - decompose(payoff, turns).joint).max() > 0.05


def test_probabilities_are_checked(rng):
    with pytest.raises(UserError, match="policy of 3 agents"):
        decompose(np.zeros(CHOICES), [simplex(rng, 2)])
    with pytest.raises(UserError, match=r"agent 1 with shape \(2, 3\)"):
        decompose(np.zeros(CHOICES), [simplex(rng, 2), simplex(rng, 4), simplex(rng, 4)])
    with pytest.raises(UserError, match="sum"):
        decompose(np.zeros((2, 2)), [np.ones(2), np.ones(2)])


def test_a_gap_by_hand():
    """Xor again: what both agents play decides, what one plays says nothing. Var = ¼ against 0."""
    pay = np.array([[0.0, 1.0], [1.0, 0.0]])
    found = exact_variance_gap(np.stack([pay, pay], -1)[None], np.full((1, 2, 2), 0.25))
    np.testing.assert_allclose(found.joint, [0.25, 0.25])
    np.testing.assert_allclose(found.own, [0.0, 0.0], atol=1e-12)
    assert found.gap == pytest.approx(0.5)
    assert found.holds
    # agents that always differ: each knows from its own choice what it is paid
    sure = np.array([[0.0, 0.5], [0.5, 0.0]])
    assert exact_variance_gap(np.stack([pay, pay], -1)[None], sure[None]).gap == pytest.approx(0)


def test_the_gap_is_never_negative_and_is_the_expected_variance_given_the_own_action(rng):
    for _ in range(300):
        rewards = rng.normal(size=(2, *CHOICES, 3))
        policy = np.stack([joint(in_turn(rng)) for _ in range(2)])
        states = simplex(rng, 2)
        found = exact_variance_gap(rewards, policy, states)
        assert found.gap >= -1e-12
        chance = policy * states[:, None, None, None]
        inside = 0.0
        for k in range(3):
            others = tuple(i for i in (1, 2, 3) if i != k + 1)
            weight = chance.sum(others, keepdims=True)
            mean = (chance * rewards[..., k]).sum(others, keepdims=True) / weight
            inside += (chance * (rewards[..., k] - mean) ** 2).sum()
        assert found.gap == pytest.approx(inside)


def test_rewards_that_are_no_expectations_of_each_other_differ_either_way(rng):
    """An own reward that belongs to another discriminator is not bound by anything."""
    below = 0
    for _ in range(300):
        policy = joint(in_turn(rng))[None]
        ours = exact_variance_gap(rng.normal(size=(1, *CHOICES, 3)), policy)
        theirs = exact_variance_gap(rng.normal(size=(1, *CHOICES, 3)), policy)
        below += ours.joint.sum() < theirs.joint.sum()
    assert 0.3 < below / 300 < 0.7


def generator(key):
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))


class Game:
    """Rows of a game of three agents, in turn or not, with everything in tables."""

    def __init__(self, rng, rows, turns):
        self.turns, self.rows = turns, rows
        self.chance = joint([np.broadcast_to(p, CHOICES[: i + 1]) for i, p in enumerate(turns)])
        self.rewards = rng.normal(size=(*CHOICES, 3))

    def draw(self, key):
        flat = generator(key).choice(self.chance.size, self.rows, p=self.chance.ravel())
        return np.stack(np.unravel_index(flat, CHOICES), 1)[..., None].astype(float)

    def reward(self, actions):
        return self.rewards[tuple(actions[..., 0].astype(int).T)]

    def log_prob(self, actions):
        """-inf for choices that an agent does not have."""
        index = actions[..., 0].astype(int)
        there = (index < np.array(CHOICES)).all(1)
        logs = np.log(self.chance[tuple(np.where(there[:, None], index, 0).T)])
        return np.where(there, logs, -np.inf)

    def exact(self):
        return exact_variance_gap(self.rewards[None], self.chance[None])


@pytest.mark.parametrize("kind", ["independent", "in turn"])
def test_sampling_finds_what_enumeration_does(rng, kind):
    """4,000 rows, 64 draws: within 4 standard errors of the exact gap; r̄ to within its noise."""
    turns = in_turn(rng) if kind == "in turn" else [simplex(rng, n) for n in CHOICES]
    game = Game(rng, 4_000, turns)
    actions = game.draw(jax.random.key(0))
    conditional = full_conditionals(game.log_prob, 4) if kind == "in turn" else None
    redrawn, weights = redraw(
        game.reward, game.draw, actions, jax.random.key(1), conditional=conditional
    )
    found, exact = variance_gap(game.reward(actions), redrawn, weights), game.exact()
    assert 0 < found.error < 0.1 * exact.gap
    assert abs(found.gap - exact.gap) < 4 * found.error
    np.testing.assert_allclose(found.joint, exact.joint, rtol=0.1)
    np.testing.assert_allclose(found.own, exact.own, rtol=0.15, atol=0.02)
    assert found.holds


def test_without_weights_agents_in_turn_are_measured_wrongly(rng):
    """Two agents that agree in 98 % of rows: given its own choice, the other's is nearly known."""
    turns = [np.array([0.5, 0.5]), np.array([[0.98, 0.02], [0.02, 0.98]])]

    def draw(key):
        chance = generator(key)
        first, same = chance.integers(0, 2, 2_000), chance.random(2_000) < 0.98
        return np.stack([first, np.where(same, first, 1 - first)], 1)[..., None].astype(float)

    def reward(actions):
        return np.repeat(actions[:, 0] == actions[:, 1], 2, 1).astype(float)

    def log_prob(actions):
        a, b = actions[..., 0].astype(int).T
        return np.log(turns[0][a] * turns[1][a, b])

    actions, key = draw(jax.random.key(0)), jax.random.key(1)
    exact = 2 * 0.98 * 0.02  # r̄ is .98 whatever is played, so all the variance is the gap
    paid, logs = redraw(reward, draw, actions, key, conditional=full_conditionals(log_prob, 2))
    assert variance_gap(reward(actions), paid, logs).gap == pytest.approx(exact, abs=0.02)
    mean = redraw(reward, draw, actions, key)[0].mean()
    assert abs(mean - 0.5) < 0.05  # without weights r̄ would be ½
    assert logs is not None
    weights = np.exp(logs) / np.exp(logs).sum(0)
    assert abs((weights * paid).sum(0).mean() - 0.98) < 0.01


def test_noise_in_the_draws_is_taken_off(rng):
    """r is its expectation plus noise that teammates decide; 3 draws are enough without bias."""
    own = rng.normal(size=(20_000, 1))
    rewards = own + rng.normal(size=own.shape)
    redrawn = own + rng.normal(size=(3, *own.shape))
    found = variance_gap(rewards, redrawn)
    assert found.own[0] == pytest.approx(1.0, abs=0.05)
    assert found.gap == pytest.approx(1.0, abs=5 * found.error)


def test_rows_of_one_episode_count_as_one(rng):
    own = np.repeat(rng.normal(size=(200, 1)), 25, 0)
    rewards = own + np.repeat(rng.normal(size=(200, 1)), 25, 0)
    redrawn = own + rng.normal(size=(8, *own.shape))
    alone = variance_gap(rewards, redrawn).error
    together = variance_gap(rewards, redrawn, episodes=np.repeat(np.arange(200), 25)).error
    assert together == pytest.approx(5 * alone, rel=0.2)
    with pytest.raises(UserError, match="found 5000 rows and 1 draws"):
        variance_gap(rewards, redrawn[:1])


def test_variance_of_advantages_raw_and_scale_free(rng):
    """A of deviation 1 and 2, returns of deviation 4 and 3: 5, and 5 / 25."""
    advantages = rng.normal(size=(50_000, 2)) * [1.0, 2.0]
    returns = 7 + rng.normal(size=(50_000, 2)) * [4.0, 3.0]
    found = advantage_variance(advantages, returns)
    assert found.raw == pytest.approx(5, abs=4 * found.raw_error)
    assert found.scale_free == pytest.approx(0.2, abs=4 * found.scale_free_error)
    assert 0 < found.raw_error < 0.1
    scaled = advantage_variance(10 * advantages, 10 * returns)
    assert scaled.raw == pytest.approx(100 * found.raw)
    assert scaled.scale_free == pytest.approx(found.scale_free)
    alive = np.ones(advantages.shape, bool)
    alive[:, 1] = False
    assert advantage_variance(advantages, returns, alive).raw == pytest.approx(1, abs=0.05)
    with pytest.raises(UserError, match="returns that vary"):
        advantage_variance(advantages, np.ones_like(returns))


def test_variance_is_not_signal(rng):
    """Noise added to a reward raises its variance and leaves what it says of the own action."""
    game = Game(rng, 2, [simplex(rng, n) for n in CHOICES])
    before = game.exact()
    game.rewards = game.rewards + 3 * rng.normal(size=game.rewards.shape)
    assert game.exact().gap > before.gap


def test_ratio_of_two_models():
    ratio = variance_ratio(np.array([2.0, 4.0]), np.array([1.0, 1.0]))
    assert ratio.estimate == 3.0
    assert (ratio.low, ratio.high) == (2.0, 4.0)
    with pytest.raises(UserError, match="leave failed seeds out"):
        variance_ratio(np.array([1.0]), np.array([0.0]))
