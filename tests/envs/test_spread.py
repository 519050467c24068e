"""Spread: the contract, the numbers of every variant, any team, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy import envs
from understudy.envs import conformance
from understudy.envs.spread import Spread, SpreadState
from understudy.experiment import config
from understudy.types import UserError

VARIANTS = {
    "mpe2": Spread(agents=2),
    "goodai": Spread.goodai(agents=3, near_agents=1, near_landmarks=1, ids=True),
}
KEY = jax.random.key(0)


def state(positions, velocities, landmarks):
    def rows(x):
        return jnp.array(x, jnp.float32).reshape(-1, 2)

    return SpreadState(rows(positions), rows(velocities), rows(landmarks), jnp.int32(0))


def act(env, before, actions):
    return jax.jit(env.step)(before, {"agents": jnp.array(actions, jnp.float32)}, KEY)


@pytest.mark.parametrize("env", VARIANTS.values(), ids=VARIANTS)
def test_it_keeps_the_contract(env):
    conformance.check(env, steps=6)


# Two agents 0.2 apart overlap by 0.1 and push each other with 100 * 0.1 = 10. The first goes right
# at speed 1 and pushes right with 5: it has 0.75 * 1 + 0.1 * (5 - 10) = 0.25, the other 1.
CLOSE = state([(0, 0), (0.2, 0)], [(1, 0), (0, 0)], [(0.1, 0.5), (0.2, -0.5)])


def test_one_step_of_mpe2():
    after, step = act(Spread(agents=2), CLOSE, [[2], [0]])
    np.testing.assert_allclose(after.velocities, [[0.25, 0], [1, 0]], atol=1e-6)
    # positions follow the old velocities
    np.testing.assert_allclose(after.positions, [[0.1, 0], [0.2, 0]], atol=1e-6)
    # both landmarks are 0.5 away: half of -1, and half of one touch each
    np.testing.assert_allclose(step.reward["agents"], [-1.0, -1.0], rtol=1e-6)
    seen = [0.25, 0, 0.1, 0, 0, 0.5, 0.1, -0.5, 0.1, 0, 0, 0]
    np.testing.assert_allclose(step.observation.features["agents"][0], seen, atol=1e-6)
    everything = [0.1, 0, 0.2, 0, 0.25, 0, 1, 0, 0.1, 0.5, 0.2, -0.5]
    np.testing.assert_allclose(step.observation.state, everything, atol=1e-6)
    np.testing.assert_allclose(
        [step.info[name] for name in ("success", "covered", "distance", "touches")],
        [0, 0, 0.5, 1], rtol=1e-6,
    )  # fmt: skip


def test_the_reward_is_mixed_by_the_local_ratio():
    # 2 from the landmark, touching nobody: all of -2, three quarters, nothing
    alone = state([(0, 0)], [(0, 0)], [(0, 2)])
    step = jax.jit(lambda env: env.step(alone, {"agents": jnp.zeros((1, 1))}, KEY)[1])
    for ratio, reward in ((0.0, -2.0), (0.25, -1.5), (1.0, 0.0)):
        paid = step(Spread(agents=1, local_ratio=ratio)).reward["agents"]
        np.testing.assert_allclose(paid, [reward], atol=1e-6)


def test_the_rules_of_2017_and_of_magail():
    before = state([(0, 0), (0.2, 0)], [(1, 0), (0, 0)], [(0.025, 0.5), (0.3, -0.5)])
    # a one-hot 1 is right; velocities move first: 0.1 * 0.25 and 0.2 + 0.1 * 1
    after, step = act(Spread.openai(agents=2), before, [[1], [0]])
    np.testing.assert_allclose(after.positions, [[0.025, 0], [0.3, 0]], atol=1e-6)
    # each agent: cover -1, one touch of the other and one of itself; two agents
    np.testing.assert_allclose(step.reward["agents"], [-6.0, -6.0], rtol=1e-6)
    # 0.275 apart: an overlap of 0.025 with the other, and of 0.3 with itself
    _, step = act(Spread.magail(agents=2), before, [[1], [0]])
    np.testing.assert_allclose(step.reward["agents"], [-2.65, -2.65], rtol=1e-5)
    seen = [0.25, 0, 0, 0.5, 0.275, -0.5, 0.275, 0, 0, 0]
    np.testing.assert_allclose(step.observation.features["agents"][0], seen, atol=1e-6)


def test_the_local_view_of_goodai():
    # by L1 distance the last agent (1.0) is nearer to the first than the second (1.2)
    before = state(
        [(0, 0), (0.6, 0.6), (1, 0)], np.zeros((3, 2)), [(2, 2), (0, 0.5), (-1, 0)]
    )  # fmt: skip
    env = Spread.goodai(agents=3, near_agents=2, near_landmarks=2, ids=True)
    _, step = act(env, before, [[0, 0], [0, 0], [0, -0.5]])
    # the last agent was pushed down by 2.5: velocity -0.25, moved -0.025 at once
    seen = [0, 0, 0, -0.25, -1, 0.025, 0, 0, -0.6, -0.6, 0, -0.5, 1, 0, 2, 1]
    np.testing.assert_allclose(step.observation.features["agents"][0], seen, atol=1e-5)
    few = Spread.goodai(agents=2, near_agents=3, near_landmarks=4, ids=True)
    _, observation = few.reset(KEY)
    row = observation.features["agents"][0]
    np.testing.assert_array_equal(row[6:14], 0.0)  # two of three others are not there
    np.testing.assert_array_equal(row[-3:], [1, 0, 0])


@pytest.mark.parametrize(
    ("env", "size"),
    [
        (Spread(), 18),
        (Spread(agents=3, landmarks=5), 22),
        (Spread.magail(), 16),
        (Spread.goodai(ids=True), 25),
        (Spread.goodai(agents=80, ids=True), 25),
        (Spread.goodai(agents=5, near_landmarks=3, ids=True), 23),
        (Spread.goodai(agents=12, velocities=False, ids=True), 19),
        (Spread.goodai(), 22),
    ],
)
def test_sizes_of_observations(env, size):
    assert env.spec["agents"].observation == size
    _, seen = jax.eval_shape(env.reset, KEY)
    assert seen.features["agents"].shape == (env.agents, size)
    assert seen.state.shape == (env.spec.state,)


def test_the_world_grows_with_the_team():
    # 12 agents at a density of 4 live in [-sqrt(3), sqrt(3)]²
    reset = jax.jit(jax.vmap(lambda key: Spread.goodai(agents=12).reset(key)[0].positions))
    places = reset(jax.random.split(KEY, 200))
    assert 1.7 < float(jnp.max(jnp.abs(places))) <= 3**0.5
    assert float(jnp.max(jnp.abs(Spread().reset(KEY)[0].positions))) <= 1.0


@pytest.mark.parametrize(
    ("action", "asked", "done", "velocity"),
    [
        ("discrete", [7.2], [4.0], [0, 0.5]),
        ("boxes", [1, -3, 2, 0.5, 0], [1, 0, 1, 0.5, 0], [0.5, -0.25]),
        ("plane", [3, -0.5], [1, -0.5], [0.5, -0.25]),
    ],
)
def test_actions_are_stored_as_executed(action, asked, done, velocity):
    env = Spread(agents=1, action=action)
    after, step = act(env, state([(0, 0)], [(0, 0)], [(1, 1)]), [asked])
    np.testing.assert_allclose(step.action["agents"], [done])
    np.testing.assert_allclose(after.velocities, [velocity], rtol=1e-6)


def test_an_episode_ends_at_the_horizon_or_when_all_is_covered():
    covered = state([(0, 0), (1, 0)], np.zeros((2, 2)), [(0, 0.05), (1, 0)])
    _, step = act(Spread(agents=2), covered, [[0], [0]])
    assert bool(step.info["success"])
    assert not bool(step.terminated)
    _, step = act(Spread.magail(agents=2), covered, [[0], [0]])
    assert bool(step.terminated)
    assert not bool(step.truncated)
    _, step = act(Spread(agents=2, horizon=1), covered, [[0], [0]])
    assert bool(step.truncated)


def test_it_can_be_drawn_named_and_written_down():
    env = envs.make("spread-goodai:agents=5,landmarks=2")
    assert env == Spread.goodai(agents=5, landmarks=2)
    assert config.from_json(config.to_json(env)) == env
    scene = env.scene(env.reset(KEY)[0])
    np.testing.assert_array_equal(scene.teams, [0, 0, 0, 0, 0, -1, -1])
    np.testing.assert_allclose(scene.radii, [0.15] * 5 + [0.05] * 2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"agents": 0}, "expected at least one agent and one landmark, found 0 and 0"),
        ({"observes": ("smell",)}, "expected observations among"),
        ({"near_agents": -1}, "expected a number of agents to see that is not negative"),
    ],
)
def test_what_makes_no_game_is_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        Spread(**changes)
