import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.data import store
from understudy.data.readers import transitions
from understudy.envs import conformance, make
from understudy.envs.logged import Logged
from understudy.types import Spec, UserError


@pytest.fixture
def log(tmp_path):
    """Two sessions: 0.5 -> 1.5 -> 2.5 clicks on pages 0, 1, 2, and 7 -> 8 clicks on page 0."""
    rows = [
        "1,0,1,0,0,0.5,0.1,1,0,0,1,0,1.5",
        "1,0,0,1,0,1.5,0.2,1,0,0,0,1,2.5",
        "0,1,1,0,0,7,0.3,0,1,1,0,0,8",
    ]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(rows) + "\n")
    values = {
        "state": {"sections": {"kind": 2, "page": 3}, "continuous": ["clicks"]},
        "action": {"continuous": 1},
    }
    return transitions.read(path, rate=None, unit=None, say=lambda _: None, schema=values)


def test_a_log_is_an_env_like_any_other(log):
    conformance.check(Logged.of(log, horizon=5))


def test_the_next_state_is_what_the_environment_decides(log):
    env = Logged.of(log, horizon=2)
    state, before = env.reset(jax.random.key(0))
    np.testing.assert_array_equal(
        before.legal["environment"][0], np.r_[before.features["agent"][0, :2] > 0, [True] * 3]
    )
    action = {"agent": jnp.array([[0.7]]), "environment": jnp.array([[1.0, 2.0, -3.25]])}
    state, step = env.step(state, action, jax.random.key(1))
    kind = before.features["agent"][0, :2]  # of whom the session is, which never changes
    for name in ("agent", "environment"):
        np.testing.assert_array_equal(step.observation.features[name], [[*kind, 0, 0, 1, -3.25]])
    np.testing.assert_array_equal(step.action["environment"], [[kind[1], 2, -3.25]])
    assert not step.truncated
    assert before.features["agent"].shape == (1, 6)
    state, step = env.step(state, action, jax.random.key(1))
    assert bool(step.truncated)
    assert not bool(step.terminated)


def test_it_begins_where_sessions_do_or_wherever_somebody_acted(log):
    drawn = {"first": set(), "any": set()}
    for starts, found in drawn.items():
        keys = jax.random.split(jax.random.key(0), 40)
        seen = jax.vmap(Logged.of(log, starts=starts).reset)(keys)[1]
        found.update(np.asarray(seen.features["agent"])[:, 0, -1].tolist())
    assert drawn == {"first": {0.5, 7.0}, "any": {0.5, 1.5, 7.0}}


def test_a_reward_is_a_function_of_states_and_actions(log):
    def clicks(before, action, after):
        return {name: after.features[name][:, -1] for name in ("agent", "environment")}

    env = Logged.of(log, reward=clicks)
    action = {"agent": jnp.zeros((1, 1)), "environment": jnp.array([[0.0, 0.0, 4.5]])}
    _, step = env.step(env.reset(jax.random.key(0))[0], action, jax.random.key(1))
    np.testing.assert_array_equal(step.reward["agent"], [4.5])


def test_it_is_made_by_name_from_a_folder(log, tmp_path):
    store.save(log, tmp_path / "set")
    env = make(f"logged:demos={tmp_path / 'set'},horizon=4")
    assert env.spec.horizon == 4
    assert env.spec["environment"].advances


def test_demonstrations_without_an_environment_are_refused(log):
    with pytest.raises(UserError, match="decides the next state"):
        Logged(Spec(log.spec.groups[:1], horizon=3), jnp.zeros((1, 6)))
    with pytest.raises(UserError, match="6 features to begin in"):
        Logged(Logged.of(log).spec, jnp.zeros((1, 5)))
