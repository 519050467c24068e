"""Policies are measured by what they earn, between a random one and an expert."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy import stats

import understudy as us
from contracts.envs import Home
from understudy.envs.chance import Random
from understudy.experiment.evaluate import evaluate
from understudy.experiment.returns import play
from understudy.types import ActionSpec, Group, Observation, Spec, Step, UserError


@dataclasses.dataclass(frozen=True)
class Guess:
    """Three rows; an agent earns 1 for choosing choice 1 of 3, 0.5 more for a positive throw.

    A row in which everybody chooses choice 1 is a success.
    """

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
            self._observe(), action, {"agents": reward}, state >= 2, jnp.asarray(False),
            {"success": jnp.all(chosen == 1)},
        )  # fmt: skip


class Knows(eqx.Module):
    throw: float = eqx.field(static=True, default=0.5)
    transfers: bool = eqx.field(static=True, default=True)
    decentralised: bool = eqx.field(static=True, default=True)

    def memory(self, agents):
        return ()

    def act(self, observation, memory, key):
        agents = observation.alive["agents"].shape[0]
        return {"agents": jnp.tile(jnp.array([1.0, self.throw]), (agents, 1))}, memory

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


def test_a_score_lies_between_random_and_expert():
    """Three rows of 1 where the expert gets 1.5: (3 - R) / (4.5 - R) with R the random return."""
    found = evaluate(Knows(throw=-0.5), env=Guess(), expert=Knows(), episodes=200)
    chance = found.row("random")["mean_return"]
    score = found.row("knows")
    assert score["normalised"] == pytest.approx((3 - chance) / (4.5 - chance))
    assert score["intervals"]["normalised"][0] < score["normalised"]
    assert (found.row("expert")["normalised"], found.row("random")["normalised"]) == (1, 0)
    assert found.setting["expert"] == "knows"
    assert any("who scores 1, is knows" in note for note in found.notes)
    assert "the expert (knows) 1" in " ".join(str(found).split())


def test_success_and_length_are_counted():
    """Two agents choose alike in a row by chance once in nine; in one of three rows, 0.298."""
    found = evaluate(Knows(), env=Guess(), episodes=400)
    assert found.row("knows")["success_rate"] == 1
    assert found.row("random")["success_rate"] == pytest.approx(1 - (8 / 9) ** 3, abs=0.06)
    assert found.row("knows")["length"] == 3


def test_marl_eval_gets_all_three_metrics():
    found = evaluate(Knows(throw=-0.5), env=Guess(), expert=Knows(), episodes=2)
    metrics = found.json()["returns"]["Guess"]["agents"]["knows"]["seed_0"]["absolute_metrics"]
    assert set(metrics) == {"mean_episode_return", "win_rate", "normalised_score"}
    assert metrics["win_rate"] == [1, 1]
    assert np.mean(metrics["normalised_score"]) == pytest.approx(found.row("knows")["normalised"])


def test_an_expert_no_better_than_chance_gives_no_score():
    class Worst(Knows):
        def act(self, observation, memory, key):
            return {"agents": jnp.zeros((2, 2))}, memory

    found = evaluate(Knows(), env=Guess(), expert=Worst(), episodes=5)
    assert "normalised" not in found.row("knows")
    assert any("no more than the policy that scores 0" in note for note in found.notes)


def test_an_unknown_expert_is_refused():
    with pytest.raises(UserError, match="'nobody'"):
        evaluate(Knows(), env=Guess(), expert="nobody", episodes=2)
    assert any("No expert is known" in note for note in evaluate(Knows(), env=Guess()).notes)


def test_absent_agents_count_in_no_mean():
    alone, padded = Home(agents=2), Home(agents=2, capacity=5)
    for env in (alone, padded):
        played = play(Random(env.spec), env, episodes=3, seed=0)
        np.testing.assert_allclose(
            played.team(), played.returns["agents"][:, :2].mean(1), rtol=1e-6
        )


def test_groups_that_earn_differently_have_a_column_each():
    """What the chaser earns the runner loses; the headline is the return of the first group."""

    class Chase(Guess):
        @property
        def spec(self):
            (group,) = super().spec.groups
            both = [dataclasses.replace(group, name=name) for name in ("chaser", "runner")]
            return Spec(tuple(both), horizon=3)

        def _observe(self):
            seen = super()._observe()
            names = ("chaser", "runner")
            return Observation(
                dict.fromkeys(names, seen.features["agents"]),
                dict.fromkeys(names, seen.alive["agents"]),
            )

        def step(self, state, action, key):
            state, step = super().step(state, {"agents": action["chaser"]}, key)
            paid = step.reward["agents"]
            return state, dataclasses.replace(
                step, action=action, reward={"chaser": paid, "runner": -paid}
            )

    found = evaluate(Random(Chase().spec), env=Chase(), episodes=4)
    row = found.rows[0]
    assert row["mean_return"] == row["return/chaser"] == -row["return/runner"]
    assert found.setting["headline"] == "chaser"
    assert "return of runner" in str(found)
    assert any("'chaser'" in note for note in found.notes)


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


def test_doing_nothing_may_be_the_floor_and_the_game_says_more():
    env = us.envs.make("spread-goodai")
    found = us.evaluate(us.experts.noop(env), env=env, episodes=4, floor="noop", agents=(4, 6))
    rows = {(row["model"], row["task"]): row for row in found.rows if row["task"] != "all"}
    for task in ("4 agents", "6 agents"):
        assert rows["noop", task]["normalised"] == pytest.approx(0.0, abs=1e-6)
        assert rows["expert", task]["normalised"] == pytest.approx(1.0, abs=1e-6)
        assert rows["expert", task]["game/distance"] < rows["noop", task]["game/distance"]
        assert rows["expert", task]["game/covered"] > 0.9
        assert rows["expert", task]["game/touches"] >= 0.0
        assert 1 <= rows["expert", task]["game/solved_at"] <= 100
    assert found.setting["floor"] == "noop"
    for word in ("noop is 0", "solved at", "touches"):
        assert word in str(found)


def test_figures_of_a_game_are_those_of_its_steps():
    env = us.envs.make("spread-goodai")
    played = play(us.experts.hungarian(env), env, episodes=2, seed=3)
    policy, key = us.experts.hungarian(env), jax.random.fold_in(jax.random.key(3), 1)
    reset_key, act_key, step_key = jax.random.split(key, 3)

    @jax.jit
    def step(state, observation, t):
        action, _ = policy.act(observation, (), jax.random.fold_in(act_key, t))
        return env.step(state, action, jax.random.fold_in(step_key, t))

    state, observation = env.reset(reset_key)
    said = []
    for t in range(100):
        state, after = step(state, observation, jnp.int32(t))
        observation = after.observation
        said.append({name: float(value) for name, value in after.info.items()})
    figures = {name: float(values[1]) for name, values in played.figures.items()}
    assert figures["distance"] == pytest.approx(np.mean([s["distance"] for s in said]), rel=1e-4)
    assert figures["touches"] == pytest.approx(np.mean([s["touches"] for s in said]), abs=1e-4)
    assert figures["covered"] == pytest.approx(said[-1]["covered"])
    solved = [t for t, s in enumerate(said) if s["success"]]
    assert (
        figures["solved_at"] == pytest.approx(solved[0] + 1)
        if solved
        else np.isnan(figures["solved_at"])
    )


def test_a_policy_that_cannot_transfer_is_refused_with_the_reason():
    env = us.envs.make("spread-goodai")
    for sharing, why in (
        ("independent", "every agent has an actor of its own"),
        ("joint", "it acts on what all agents see"),
    ):
        algorithm = us.DDPG(sharing=sharing, hidden=(4,), remembered=400)
        state = algorithm.init(env.spec, None, jax.random.key(0))
        with pytest.raises(UserError, match=f"does not \\({why}\\); leave agents out"):
            us.evaluate(algorithm.policy(state, "mode"), env=env, episodes=1, agents=(6,))
