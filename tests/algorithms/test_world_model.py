import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.algorithms.world_model import WorldModel, bootstrap
from understudy.data.readers import transitions
from understudy.envs import conformance
from understudy.envs.learned import Learned
from understudy.experiment.train import train
from understudy.networks.next_state import NextState
from understudy.types import Observation, Spec

SCHEMA = {
    "state": {"sections": {"kind": 2, "mood": 2}, "continuous": ["level"]},
    "action": {"continuous": 1},
    "session": True,
}


def next_mood(mood, action):
    """Chance of a good mood: 0.9 after one with an action above 0, 0.2 else."""
    return np.where((mood == 1) & (action > 0), 0.9, 0.2)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """600 sessions of 4 steps; the level goes half of the way to 2 a, with noise of 0.1."""
    rng, rows = np.random.default_rng(0), []
    for session in range(600):
        kind, mood, level = int(rng.integers(2)), int(rng.integers(2)), rng.normal()
        for _ in range(4):
            action = rng.normal()
            after = int(rng.random() < next_mood(mood, action))
            then = 0.5 * level + action + 0.1 * rng.normal()
            state = [*np.eye(2)[kind], *np.eye(2)[mood], level]
            rows.append([*state, action, *np.eye(2)[kind], *np.eye(2)[after], then])
            rows[-1] = [f"s{session}", *(f"{x:.9g}" for x in rows[-1])]
            mood, level = after, then
    path = tmp_path_factory.mktemp("log") / "log.csv"
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    return transitions.read(path, rate=None, unit=None, say=lambda _: None, schema=SCHEMA)


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [1, 2])
def test_it_learns_what_follows(log, ahead, tmp_path):
    algorithm = WorldModel(
        network=NextState(hidden=(32, 32), components=2), members=4, ahead=ahead, penalty=0.3,
        learning_rate=1e-2, decay=3_000,
    )  # fmt: skip
    run = train(algorithm, demonstrations=log, steps=3_000, out=tmp_path / "run")
    world = run.world()
    mood, level, action = (
        x.ravel() for x in np.meshgrid([0, 1], [-1.0, 1.0], [-1.5, -0.7, 0.7, 1.5], indexing="ij")
    )
    now = np.concatenate([np.eye(2)[0 * mood], np.eye(2)[mood], level[:, None]], 1)
    told = (jnp.asarray(x, jnp.float32) for x in (now, action[:, None]))
    found = np.asarray(world.mean(*told))
    np.testing.assert_array_equal(found[:, :2], now[:, :2])  # kinds never change
    np.testing.assert_allclose(found[:, 3], next_mood(mood, action), atol=0.12)
    np.testing.assert_allclose(found[:, 4], 0.5 * level + action, atol=0.1)


def test_a_world_that_was_learned_is_an_env_like_any_other(log):
    algorithm = WorldModel(**WorldModel.TINY)
    world = algorithm.world(algorithm.init(log.spec, None, jax.random.key(0)))
    seen = jnp.asarray(log.features["agent"][log.starts[:8]])[:, None]
    starts = Observation({"agent": seen}, {"agent": jnp.ones(seen.shape[:-1], bool)})

    def level(before, action, after):
        return {"agent": after.features["agent"][:, -1]}

    env = Learned(world, level, Spec(log.spec.groups[:1], horizon=6), starts)
    conformance.check(env, steps=8)
    step = env.step(env.reset(jax.random.key(0))[0], {"agent": jnp.ones((1, 1))}, jax.random.key(1))
    assert float(step[1].info["uncertainty"]) > 0


def test_a_row_counts_the_same_whenever_it_is_drawn_and_otherwise_for_another_member():
    rows = jnp.asarray(np.random.default_rng(0).normal(size=(4_000, 3)), jnp.float32)
    first, second = bootstrap(rows, jnp.asarray(0)), bootstrap(rows, jnp.asarray(1))
    np.testing.assert_array_equal(bootstrap(rows[::-1], jnp.asarray(0)), first[::-1])
    np.testing.assert_allclose([first.mean(), first.std()], 1.0, atol=0.06)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05
