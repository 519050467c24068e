"""One side of a log as an env, what leaving the log costs, and where the log's actions lie."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.algorithms.world_model import WorldModel
from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import transitions
from understudy.envs import conformance
from understudy.envs.answered import Answered
from understudy.envs.penalties import NormPenalty, SupportPenalty
from understudy.envs.support import Support, logged_actions
from understudy.types import ActionSpec, Group, Spec, UserError


@pytest.fixture
def log(tmp_path):
    """Three sessions; actions 3 and 4 from 0 (norm 5), 0.3 and 0.4, and so on."""
    rows = [
        "1,0,0.5,3,4,1,0,1.5",
        "1,0,1.5,0.3,0.4,1,0,2.5",
        "0,1,7,0,0,0,1,8",
        "1,0,-2,-0.3,0.4,1,0,-1",
    ]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(rows) + "\n")
    values = {"state": {"sections": {"kind": 2}, "continuous": ["clicks"]},
              "action": {"continuous": 2}}  # fmt: skip
    return transitions.read(path, rate=None, unit=None, say=lambda _: None, schema=values)


class Adds(eqx.Module):
    """Clicks grow by what was done, and by chance."""

    noise: jax.Array

    def __call__(self, now, done, key):
        return now.at[2].add(done.sum() + self.noise * jax.random.normal(key))


class Rows(eqx.Module):
    """The same for many rows."""

    one: Adds

    def answer(self, now, done, key):
        return jax.vmap(self.one)(now, done, jax.random.split(key, len(now)))


def clicked(now, done, after):
    return after[2] - now[2]


def restless(now, done):
    return jnp.abs(done).sum()


def env_of(log, **options) -> Any:
    spec = Spec(log.spec.groups[:1], horizon=3)
    starts = jnp.asarray(log.features["agent"][log.starts[:-1], 0])
    return Answered(spec, starts, Adds(jnp.asarray(0.1)), clicked, **options)


def test_it_keeps_what_an_env_promises(log):
    for env in (env_of(log), env_of(log, uncertainty=restless, caution=0.5)):
        conformance.check(env)
        for penalty in (NormPenalty, SupportPenalty):
            conformance.check(penalty.of(env, log))
    conformance.check(Answered.of(Rows(Adds(jnp.asarray(0.1))), log, reward=clicked))


def test_what_is_answered_follows_and_is_paid(log):
    env = env_of(log, uncertainty=restless, caution=0.5)
    state, before = env.reset(jax.random.key(0))
    assert before.features["agent"].shape == (1, 3)
    for t in range(3):
        now = state.features
        state, step = env.step(state, {"agent": jnp.array([[2.0, -0.5]])}, jax.random.key(t))
        drawn = 1.5 + 0.1 * float(jax.random.normal(jax.random.key(t)))
        np.testing.assert_allclose(
            step.observation.features["agent"][0], [*now[:2], now[2] + drawn], rtol=1e-5
        )
        assert float(step.info["uncertainty"]) == 2.5
        assert float(step.info["earned"][0]) == pytest.approx(drawn, rel=1e-4)
        assert float(step.reward["agent"][0]) == pytest.approx(drawn - 0.5 * 2.5, rel=1e-4)
        assert bool(step.truncated) == (t == 2)
        assert not bool(step.terminated)


def test_a_world_that_was_learned_answers(log):
    algorithm = WorldModel(**WorldModel.TINY)
    fresh = algorithm.init(log.spec, None, jax.random.key(0))
    # members that differ, as after training
    world = jax.tree.map(
        lambda leaf: leaf + 0.3 * jax.random.normal(jax.random.key(leaf.ndim), leaf.shape),
        algorithm.world(fresh),
    )
    env: Any = Answered.of(world, log, reward=clicked, horizon=4, starts="any", caution=1.0)
    assert env.spec.names == ("agent",)
    assert env.starts.shape == (4, 3)
    conformance.check(env)
    state, _ = env.reset(jax.random.key(1))
    state, step = env.step(state, {"agent": jnp.ones((1, 2))}, jax.random.key(2))
    assert float(step.info["uncertainty"]) > 0
    paid = step.info["earned"][0] - step.info["uncertainty"]
    assert float(step.reward["agent"][0]) == pytest.approx(float(paid), rel=1e-4)


def test_distances_are_those_of_mahalanobis_and_choices_count_by_their_share():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 2)) @ np.array([[2.0, 0.0], [1.0, 0.5]])
    offers = np.repeat([0, 1], [320, 80])
    found = Support.of(_of_actions(np.concatenate([offers[:, None], values], 1), (3,)))
    centre = values - values.mean(0)
    wanted = np.einsum("ri,ij,rj->r", centre, np.linalg.inv(np.cov(values.T, ddof=0)), centre)
    wanted = np.sqrt(wanted + np.where(offers == 1, 2 * np.log(320.5 / 80.5), 0.0))
    told = np.concatenate([offers[:, None], values], 1).astype(np.float32)
    np.testing.assert_allclose(found.distance(told), wanted, rtol=1e-3)
    np.testing.assert_allclose(found.norm(told), np.linalg.norm(values, axis=1), rtol=1e-5)
    never = found.distance(jnp.array([2.0, *values.mean(0)]))  # nobody made offer 2
    assert float(never) == pytest.approx(np.sqrt(2 * np.log(320.5 / 0.5)), rel=1e-3)
    assert float(found.norm_at(0.9)) == pytest.approx(
        np.quantile(np.linalg.norm(values, axis=1), 0.9), rel=1e-4
    )
    assert found.distance_rank(float(wanted.max()) + 1) == 1.0
    assert found.distance_rank(0.0) == 0.0
    assert 0.45 < found.norm_rank(float(found.norm_at(0.5))) < 0.55


def test_a_value_that_never_moved_is_left_at_once():
    still = Support.of(_of_actions(np.tile([[0.0, 3.0]], (50, 1)), ()))
    assert float(still.distance(jnp.array([0.0, 3.0]))) == 0.0
    assert float(still.distance(jnp.array([0.0, 3.1]))) > 10.0


def test_rewards_shrink_outside_and_losses_grow(log):
    norm: Any = NormPenalty.of(env_of(log), log, rate=2.0, usual=1.0)  # up to a norm of 5
    far: Any = SupportPenalty.of(env_of(log), log, rate=2.0, usual=1.0)
    state, _ = norm.reset(jax.random.key(0))

    def paid(env, action):
        step = env.step(state, {"agent": jnp.asarray([action])}, jax.random.key(1))[1]
        return [float(x[0]) for x in (step.reward["agent"], step.info["earned"])]

    for env in (norm, far):
        reward, earned = paid(env, (3.0, 4.0))  # as far as the log goes
        assert reward == pytest.approx(earned, rel=1e-4)
    reward, earned = paid(norm, (6.0, 8.0))  # once more as far
    assert reward == pytest.approx(earned / 3.0, rel=1e-4)
    reward, earned = paid(norm, (-6.0, -8.0))
    assert earned < 0
    assert reward == pytest.approx(earned * 3.0, rel=1e-4)
    outside = float(far.support.distance(jnp.array([6.0, 8.0]))) / float(far.limit) - 1
    reward, earned = paid(far, (6.0, 8.0))
    assert reward == pytest.approx(earned * np.exp(-2.0 * outside), rel=1e-3)
    assert all(np.isfinite(paid(far, (1e6, 1e6))))
    worse: Any = NormPenalty.of(env_of(log), log, rate=2.0, usual=1.0, worst=-1.0)
    reward, earned = paid(worse, (6.0, 8.0))
    assert reward == pytest.approx(-1 + (earned + 1) / 3.0, rel=1e-4)


def test_actions_are_those_that_are_known(log):
    np.testing.assert_allclose(
        sorted(logged_actions(log).tolist()), [[-0.3, 0.4], [0, 0], [0.3, 0.4], [3, 4]], rtol=1e-6
    )


def test_mistakes_are_one_sentence(log):
    env = env_of(log)
    both = Spec(log.spec.groups, horizon=3)
    with pytest.raises(UserError, match="expected one group of one agent"):
        Answered(both, env.starts, env.answer, clicked)
    with pytest.raises(UserError, match="a horizon of at least 1 step, found None"):
        Answered(Spec(both.groups[:1]), env.starts, env.answer, clicked)
    with pytest.raises(UserError, match="3 features to begin in"):
        Answered(env.spec, jnp.zeros((1, 2)), env.answer, clicked)
    with pytest.raises(UserError, match="an uncertainty to be cautious about"):
        env_of(log, caution=1.0)
    with pytest.raises(UserError, match="expected a world, or something with answer"):
        Answered.of(object(), log, reward=clicked)
    with pytest.raises(UserError, match="a rate above 0, found 0"):
        NormPenalty.of(env, log, rate=0.0)
    with pytest.raises(UserError, match="share of usual actions within 0 and 1, found 2"):
        SupportPenalty.of(env, log, usual=2.0)
    other = _of_actions(np.zeros((3, 2)), (2,))
    with pytest.raises(UserError, match="a log of the actions of this env"):
        NormPenalty.of(env, other)
    nobody = {name: np.zeros((log.frames, 1), bool) for name in log.spec.names}
    with pytest.raises(UserError, match="expected known actions of group 'agent', found none"):
        Support.of(log.replace(action_known=nobody))


def _of_actions(actions, sections) -> Demonstrations:
    """One session in which these actions were taken."""
    rows, size = len(actions) + 1, actions.shape[1] - len(sections)
    spec = ActionSpec(sections, (-np.inf,) * size, (np.inf,) * size)
    done = np.zeros((rows, 1, actions.shape[1]), np.float32)
    done[:-1, 0] = actions
    return Demonstrations(
        spec=Spec((Group("agent", 1, 3, spec),)),
        starts=np.array([0, rows]),
        features={"agent": np.zeros((rows, 1, 3), np.float32)},
        alive={"agent": np.ones((rows, 1), bool)},
        actions={"agent": done},
        rate=1.0,
        unit="",
        labels={"episode": np.array(["a"]), "source": np.array(["a"])},
    )
