"""MaMuJoCo: many robots at once are those of gymnasium-robotics, whatever the threads."""

import json
from typing import Any

import numpy as np
import pytest

from understudy import envs
from understudy.envs import conformance
from understudy.envs.adapters.mujoco import MaMuJoCo
from understudy.envs.adapters.robots import Robots
from understudy.experiment.config import from_json, to_json
from understudy.types import ActionSpec, HostEnv, UserError

GAMES = [  # scenario, agent_conf, agent_obsk, agents, features, joints each, state
    ("HalfCheetah", "6x1", 0, 6, 7, 1, 17),
    ("HalfCheetah", "6x1", 1, 6, 9, 1, 17),
    ("HalfCheetah", "2x3", 1, 2, 12, 3, 17),
    ("Hopper", "3x1", 1, 3, 9, 1, 11),
    ("Walker2d", "2x3", 1, 2, 12, 3, 17),
    ("Swimmer", "2x1", 0, 2, 5, 1, 8),
]


def actions(spec, envs, chance):
    group = spec.groups[0]
    asked = chance.uniform(-1.3, 1.3, (envs, group.agents, group.action.size))
    return {"agents": asked.astype(np.float32)}


def joints_of(games):
    """Positions and velocities in the scalar envs."""
    simulators = games._parts[0].simulators
    data = [simulator.env.single_agent_env.unwrapped.data for simulator in simulators]
    return np.stack([np.concatenate([one.qpos, one.qvel]) for one in data])


@pytest.mark.parametrize("game", GAMES, ids=lambda game: "-".join(map(str, game[:3])))
def test_robots_are_those_of_gymnasium(game):
    scenario, conf, obsk, agents, features, joints, state = game
    ours = MaMuJoCo(scenario, conf, obsk, envs=3, workers=2)
    theirs = MaMuJoCo(scenario, conf, obsk, envs=3, engine="loop")
    group = ours.spec.groups[0]
    assert ours.spec == theirs.spec
    assert (group.name, group.agents, group.observation) == ("agents", agents, features)
    assert group.action is not None
    assert (group.action.size, ours.spec.state, ours.spec.horizon) == (joints, state, 1000)
    seeds, chance, fallen = np.arange(3), np.random.default_rng(0), 0
    seen, expected = ours.reset(seeds), theirs.reset(seeds)
    np.testing.assert_array_equal(seen.features["agents"], expected.features["agents"])
    for t in range(60):
        # the same state, so that what is compared is one step
        assert isinstance(ours.games, Robots)
        ours.games._state[:, 1:] = joints_of(theirs.games)
        asked = actions(ours.spec, 3, chance)
        step: Any = ours.step(asked)
        wanted: Any = theirs.step(asked)
        for one, other in (
            (step.observation.features["agents"], wanted.observation.features["agents"]),
            (step.observation.state, wanted.observation.state),
            (step.reward["agents"], wanted.reward["agents"]),
        ):
            assert one.dtype == np.float32
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(step.action["agents"], wanted.action["agents"])
        np.testing.assert_array_equal(step.terminated, wanted.terminated)
        assert not (step.truncated | wanted.truncated).any()
        fallen += step.terminated.sum()
        if step.terminated.any():
            ours.reset(seeds + t, step.terminated)
            theirs.reset(seeds + t, step.terminated)
    assert (fallen > 0) == (scenario in ("Hopper", "Walker2d"))


def play(workers, envs=7, steps=40):
    """What 7 cheetahs do whose third and fifth begin anew half way."""
    env = MaMuJoCo(envs=envs, workers=workers)
    chance, seen = np.random.default_rng(1), [env.reset(np.arange(envs))]
    for t in range(steps):
        seen.append(env.step(actions(env.spec, envs, chance)).observation)
        if t == steps // 2:
            seen.append(env.reset(np.arange(envs) + 50, np.isin(np.arange(envs), [2, 4])))
    env.close()
    rows: Any = [(o.state, o.features["agents"][:, 0]) for o in seen]
    return np.stack([np.concatenate(row, -1) for row in rows])


def test_the_same_seeds_are_the_same_trajectories_whatever_the_threads():
    one = play(1)
    for workers in (1, 2, 3):
        np.testing.assert_array_equal(play(workers), one)
    assert np.abs(one[-1, 0] - one[-1, 1]).max() > 0.1


def test_a_game_does_not_depend_on_its_neighbours():
    pair, alone = MaMuJoCo(envs=2), MaMuJoCo(envs=1)
    pair.reset(np.array([8, 5]))
    alone.reset(np.array([5]))
    chance = np.random.default_rng(2)
    places: Any = []
    for _ in range(20):
        asked = actions(pair.spec, 2, chance)["agents"]
        steps = pair.step({"agents": asked}), alone.step({"agents": asked[1:]})
        places = [step.observation.state for step in steps]
    np.testing.assert_array_equal(places[0][1], places[1][0])


def test_a_cheetah_is_truncated_after_a_thousand_steps():
    env = envs.make("halfcheetah-6x1:envs=2")
    env.reset(np.arange(2))
    env.games._time[:] = 997, 998
    still = {"agents": np.zeros((2, 6, 1), np.float32)}
    ends = []
    for _ in range(3):
        step = env.step(still)
        ends.append(step.truncated.tolist())
        assert not step.terminated.any()
    assert ends == [[False, False], [False, True], [True, True]]


def test_robots_conform():
    env = envs.make("mamujoco:scenario=Hopper,agent_conf=3x1,envs=2")
    assert isinstance(env, HostEnv)
    conformance.check_host(env, steps=6)


def test_agents_are_numbered_on_demand():
    env = MaMuJoCo(agent_obsk=1, agent_ids=True, envs=2)
    seen = env.reset(np.arange(2)).features["agents"]
    assert seen.shape == (2, 6, 9 + 6)
    np.testing.assert_array_equal(seen[:, :, 9:], np.broadcast_to(np.eye(6), (2, 6, 6)))
    assert (seen[:, 2, 8] == 0).all()  # the hind foot has one neighbour: 8 features and a zero


def test_agents_with_unlike_bodies_are_two_groups():
    env = MaMuJoCo("Humanoid", "9|8", envs=1, engine="loop")
    weak = np.float32(0.4).item()  # a humanoid's actions are within 0.4
    assert [(g.name, g.agents, g.action) for g in env.spec.groups] == [
        ("agent_0", 1, ActionSpec(low=(-weak,) * 9, high=(weak,) * 9)),
        ("agent_1", 1, ActionSpec(low=(-weak,) * 8, high=(weak,) * 8)),
    ]
    conformance.check_host(env, steps=3)


def test_a_robot_is_written_into_a_configuration():
    env = envs.make("halfcheetah-6x1:agent_obsk=1")
    env.reset(np.arange(16))
    again = from_json(json.loads(json.dumps(to_json(env))))
    assert again == env
    assert (again.agent_obsk, again.envs) == (1, 16)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scenario": "Ant", "agent_conf": "4x2"}, "engine=\"rollout\", found 'Ant'; give engine="),
        ({"envs": 0}, "at least one env"),
        ({"agent_obsk": -1}, "agent_obsk of 0 or more"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(UserError, match=sentence):
        MaMuJoCo(**options)


def test_an_unknown_factorisation_is_one_sentence():
    with pytest.raises(UserError, match="'HalfCheetah' and '5x1': UNKNOWN partitioning"):
        _ = MaMuJoCo(agent_conf="5x1").spec
