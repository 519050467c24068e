"""Ours for others: games as parallel envs of PettingZoo, policies as functions of dictionaries."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home, HomeSimulator, Whisper
from understudy import envs
from understudy.envs.actions import executed
from understudy.envs.adapters import foreign
from understudy.envs.adapters.pettingzoo import from_parallel, groups_of
from understudy.envs.host import Batched
from understudy.types import ActionSpec, Group, Observation, Spec, Step, UserError, hyperparameters

theirs = foreign.package("pettingzoo.test")


@hyperparameters
class Candles:
    """Candle i burns for i + 1 steps; the second choice of the first section dims all."""

    sections: tuple[int, ...] = (3,)

    @property
    def spec(self):
        group = Group("candles", 3, 2, ActionSpec(sections=self.sections))
        return Spec((group,), state=1, horizon=4)

    def observe(self, time, light):
        alive = jnp.arange(3, dtype=jnp.int32) >= time
        seen = jnp.stack([jnp.full(3, light), alive.astype(jnp.float32)], -1)
        legal = jnp.ones((3, sum(self.sections)), bool).at[:, 1].set(time % 2 == 0)
        return Observation({"candles": seen}, {"candles": alive}, {"candles": legal}, light[None])

    def reset(self, key):
        light = jax.random.uniform(key)
        return (jnp.int32(0), light), self.observe(jnp.int32(0), light)

    def step(self, state, action, key):
        time, light = state
        done = executed(self.spec, action)
        light = light - jnp.sum(done["candles"][:, 0] == 1).astype(jnp.float32)
        light = light + 0.01 * jax.random.uniform(key)
        time = time + 1
        reward = {"candles": light * jnp.ones(3)}
        step = Step(
            self.observe(time, light), done, reward, time >= 3, jnp.asarray(False),
            {"success": light > 0},
        )  # fmt: skip
        return (time, light), step


@pytest.mark.filterwarnings("ignore::UserWarning:pettingzoo")
@pytest.mark.parametrize(
    "env",
    [Candles(), Candles(sections=(3, 2)), Home(), envs.make("spread")],
    ids=["choices", "two choices each", "continuous", "spread"],
)
def test_exported_games_pass_the_tests_of_pettingzoo(env, capsys):
    theirs.parallel_api_test(envs.to_pettingzoo(env), num_cycles=26)
    theirs.parallel_seed_test(lambda: envs.to_pettingzoo(env), num_cycles=3)
    assert "Passed Parallel API test" in capsys.readouterr().out


def test_agents_leave_and_masks_are_beside_observations():
    game = envs.to_pettingzoo(Candles())
    assert game.possible_agents == ["candles_0", "candles_1", "candles_2"]
    seen, told = game.reset(seed=3)
    assert told == {agent: {} for agent in game.agents}
    assert game.observation_space("candles_0").contains(seen["candles_0"])
    np.testing.assert_array_equal(seen["candles_1"]["action_mask"], [1, 1, 1])
    light = float(game.state()[0])
    seen, paid, ended, late, told = game.step({"candles_0": 1, "candles_1": 1, "candles_2": 2})
    assert paid["candles_2"] == pytest.approx(light - 2, abs=0.01)  # two dimmed it
    assert game.agents == ["candles_1", "candles_2"]
    assert ended == {"candles_0": True, "candles_1": False, "candles_2": False}
    assert not any(late.values())
    assert told["candles_1"] == {"success": False}
    np.testing.assert_array_equal(seen["candles_1"]["action_mask"], [1, 0, 1])
    game.step({"candles_1": 0, "candles_2": 0})
    *_, ended, late, _ = game.step({"candles_2": 0})
    assert (game.agents, ended, late) == ([], {"candles_2": True}, {"candles_2": False})


def test_an_export_and_back_is_the_same_game():
    """Through PettingZoo and back, the same actions lead to the same rewards."""
    game, back = envs.to_pettingzoo(Candles()), from_parallel(exported_candles, envs=1)
    group = back.spec.groups[0]
    assert (group.name, group.agents, group.observation) == ("agents", 3, 2)
    assert group.action == ActionSpec(sections=(3,))
    game.reset(seed=11)
    seen = back.reset(np.array([11]))
    for chosen in (1, 2, 0):
        _, paid, *_ = game.step(dict.fromkeys(game.agents, chosen))
        mask = seen.legal["agents"] if seen.legal else np.ones((1, 3, 3), bool)
        assert mask[0, 2, chosen]
        step = back.step({"agents": np.full((1, 3, 1), chosen, np.float32)})
        assert step.reward["agents"][0, 2] == pytest.approx(paid["candles_2"], rel=1e-6)
        seen = step.observation


def exported_candles():
    return envs.to_pettingzoo(Candles())


class Scripted(eqx.Module):
    decentralised: bool = eqx.field(static=True, default=True, kw_only=True)
    transfers: bool = eqx.field(static=True, default=True, kw_only=True)

    def memory(self, agents) -> Any:
        return ()

    def log_prob(self, observations, actions, starts, memory):
        raise UserError("a script has no probabilities")


class Counting(Scripted):
    """Each agent chooses by its features and how many rows it has seen, or the best legal one."""

    weight: jax.Array

    def memory(self, agents):
        return {name: jnp.zeros(count, jnp.int32) for name, count in agents.items()}

    def act(self, observation, memory, key):
        actions = {}
        for name, seen in observation.features.items():
            total = jnp.floor(jnp.abs(seen).sum(-1) * self.weight).astype(jnp.int32)
            chosen = (total + memory[name]) % 5
            if observation.legal is not None:
                chosen = jnp.argmax(
                    jnp.where(observation.legal[name], jnp.array([[1, 3, 2]]), 0), -1
                )
            actions[name] = chosen.astype(jnp.float32)[:, None]
        return actions, {name: count + 1 for name, count in memory.items()}


def test_a_player_acts_as_the_policy_does_in_training():
    make = foreign.package("mpe2.simple_tag_v3").parallel_env
    hosted, loop, policy = (
        from_parallel(make, envs=1),
        make(max_cycles=25),
        Counting(jnp.float32(9)),
    )
    act = envs.player(policy, hosted.spec, agents=groups_of(loop))
    chosen = set()
    for seed in (1, 2):
        seen, _ = loop.reset(seed=seed)
        act.reset()
        mine = hosted.reset(np.array([seed]))
        memory = policy.memory({"adversary": 3, "agent": 1})
        for _ in range(6):
            one = jax.tree.map(lambda leaf: leaf[0], mine)
            wanted, memory = policy.act(one, memory, jax.random.key(0))
            played = act(seen)
            assert list(played) == loop.agents
            flat = np.concatenate([wanted["adversary"], wanted["agent"]])[:, 0]
            np.testing.assert_array_equal(list(played.values()), flat)
            chosen |= set(played.values())
            mine = hosted.step(
                jax.tree.map(lambda leaf: np.asarray(leaf)[None], wanted)
            ).observation
            seen, *_ = loop.step(played)
    assert len(chosen) > 2


def test_a_player_answers_those_who_live_with_what_is_legal():
    game, policy = envs.to_pettingzoo(Candles()), Counting(jnp.float32(1))
    act = envs.player(policy, Candles().spec)
    seen, _ = game.reset(seed=0)
    assert act(seen, state=game.state()) == {"candles_0": 1, "candles_1": 1, "candles_2": 1}
    seen, *_ = game.step(act(seen))
    seen = {agent: seen[agent] for agent in game.agents}
    assert act(seen) == {"candles_1": 2, "candles_2": 2}  # choice 1 is not legal now


class Pushing(Scripted):
    def act(self, observation, memory, key):
        return {"agents": 3 + jax.random.normal(key, (2, 1))}, ()


def test_a_player_draws_anew_in_every_game_and_stays_within_bounds():
    act = envs.player(Pushing(), Home().spec, agent_ids=False, seed=1)
    seen = {"agents_0": np.zeros(1), "agents_1": np.zeros(1)}
    first = act(seen)
    assert first["agents_0"].dtype == np.float32
    assert all(-1 <= action[0] <= 1 for action in first.values())
    act.reset(1)
    np.testing.assert_array_equal(act(seen)["agents_1"], first["agents_1"])


def test_mistakes_are_one_sentence():
    with pytest.raises(UserError, match="expected agents that act at once, found"):
        envs.to_pettingzoo(Whisper())
    with pytest.raises(UserError, match="expected a JAX env of understudy, found Batched"):
        envs.to_pettingzoo(Batched(HomeSimulator, envs=1))
    with pytest.raises(UserError, match=r"with \{'agents': 2\} names, found \{'agents': 1\}"):
        envs.player(Pushing(), Home().spec, agents={"agents": ["a"]})
    act = envs.player(Pushing(), Home().spec)
    with pytest.raises(UserError, match=r"found \['stranger'\] too"):
        act({"stranger": np.zeros(1)})
    with pytest.raises(UserError, match="at most 1 features of the agent 'agents_0', found 2"):
        act({"agents_0": np.zeros(2)})
