"""Policies are measured by what they earn, beside a random one."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy import stats

from understudy.experiment.evaluate import evaluate
from understudy.experiment.policies import Random
from understudy.types import ActionSpec, Group, Observation, Spec, Step, UserError


@dataclasses.dataclass(frozen=True)
class Guess:
    """Three rows; an agent earns 1 for choosing choice 1 of 3, 0.5 more for a positive throw."""

    agents: int = 2

    @property
    def spec(self):
        action = ActionSpec(sections=(3,), low=(-1.0,), high=(1.0,))
        return Spec((Group("agents", self.agents, 1, action),), horizon=3)

    def _observe(self):
        return Observation(
            {"agents": jnp.zeros((self.agents, 1))}, {"agents": jnp.ones(self.agents, bool)}
        )

    def reset(self, key):
        return jnp.zeros((), jnp.int32), self._observe()

    def step(self, state, action, key):
        chosen, throw = action["agents"].T
        reward = (chosen == 1).astype(jnp.float32) + 0.5 * (throw > 0).astype(jnp.float32)
        return state + 1, Step(
            self._observe(), action, {"agents": reward}, state >= 2, jnp.asarray(False)
        )


@pytest.fixture(scope="module", autouse=True)
def compiled_quickly():
    """Speed of the compiler matters here, not speed of the program."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


class Knows(eqx.Module):
    transfers: bool = eqx.field(static=True, default=True)
    decentralised: bool = eqx.field(static=True, default=True)

    def memory(self, agents):
        return ()

    def act(self, observation, memory, key):
        agents = observation.alive["agents"].shape[0]
        return {"agents": jnp.tile(jnp.array([1.0, 0.5]), (agents, 1))}, memory

    def log_prob(self, observations, actions, starts, memory):
        zero = {"agents": jnp.zeros(actions["agents"].shape[:-1])}
        return zero, zero


def test_one_who_knows_earns_all_and_chance_its_share():
    """Three rows of 1.5; by chance 1/3 + 0.25 per row."""
    found = evaluate(Knows(), env=Guess(), episodes=400)
    assert found.row("knows")["mean_return"] == 4.5
    assert found.row("random")["mean_return"] == pytest.approx(3 * (1 / 3 + 0.25), rel=0.06)
    assert found.row("knows")["execution"] == "decentralised"
    low, high = found.row("random")["intervals"]["mean_return"]
    assert low < found.row("random")["mean_return"] < high
    assert "Returns in Guess" in str(found)


def test_returns_are_kept_in_the_layout_of_marl_eval():
    found = evaluate(Knows(), env=Guess(), episodes=3)
    seed = found.json()["returns"]["Guess"]["agents"]["knows"]["seed_0"]
    assert seed["absolute_metrics"]["mean_episode_return"] == [4.5, 4.5, 4.5]
    assert seed["step_0"]["step_count"] == 0


def test_numbers_of_agents_are_tried_where_a_policy_transfers():
    found = evaluate(Knows(), env=Guess(), episodes=2, agents=[1, 4])
    tasks = [(r["model"], r["task"]) for r in found.rows]
    assert tasks == [(m, f"{n} agents") for n in (1, 4) for m in ("knows", "random")]
    with pytest.raises(UserError, match="leave agents out"):
        evaluate(Knows(transfers=False), env=Guess(), episodes=2, agents=[4])


def test_an_env_that_cannot_be_resized_is_refused():
    class Fixed(Guess):
        pass

    fixed = Fixed()
    object.__setattr__(fixed, "agents", 2)

    class Plain:
        spec = fixed.spec
        reset = fixed.reset
        step = fixed.step

    with pytest.raises(UserError, match="number of agents to change"):
        evaluate(Knows(), env=Plain(), episodes=2, agents=[3])


def test_demonstrations_and_env_together_are_refused(tmp_path):
    with pytest.raises(UserError, match="both"):
        evaluate(Knows(), env=Guess(), demonstrations=tmp_path)


def test_a_random_policy_obeys_legal_masks_and_bounds():
    spec = Spec((Group("agents", 3, 1, ActionSpec((2, 4), (-2.0, -jnp.inf), (0.0, jnp.inf))),))
    legal = jnp.array([[True, False, False, True, True, False]] * 3)
    seen = Observation(
        {"agents": jnp.zeros((3, 1))}, {"agents": jnp.ones(3, bool)}, {"agents": legal}
    )
    keys = jax.random.split(jax.random.key(0), 200)
    actions = jax.vmap(lambda k: Random(spec).act(seen, (), k)[0]["agents"])(keys)
    assert set(np.unique(actions[..., 0])) == {0.0}
    assert set(np.unique(actions[..., 1])) == {1.0, 2.0}
    assert actions[..., 2].min() < -1.8
    assert actions[..., 2].max() <= 0.0


def test_log_probabilities_of_a_random_policy():
    spec = Spec((Group("agents", 1, 1, ActionSpec((2,), (-2.0, -jnp.inf), (0.0, jnp.inf))),))
    actions = jnp.array([[[1.0, -1.0, 0.3]]])
    value, entropy = Random(spec).log_prob(
        Observation({"agents": jnp.zeros((1, 1, 1))}, {"agents": jnp.ones((1, 1), bool)}),
        {"agents": actions}, jnp.zeros(1, bool), (),
    )  # fmt: skip
    expected = -2 * np.log(2) + float(stats.norm.logpdf(0.3))
    assert value["agents"][0, 0] == pytest.approx(expected, rel=1e-5)
    assert entropy["agents"][0, 0] == pytest.approx(
        2 * np.log(2) + 0.5 * np.log(2 * np.pi * np.e), rel=1e-5
    )
