"""PettingZoo's parallel envs as host envs: groups, masks, agents that leave, both kinds of end."""

import functools
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces as gym
from pettingzoo import ParallelEnv

from understudy import envs
from understudy.envs import conformance
from understudy.envs.adapters import foreign
from understudy.envs.adapters.pettingzoo import from_parallel, groups_of
from understudy.types import ActionSpec, HostEnv, UserError

mpe2 = {name: foreign.package(f"mpe2.{name}") for name in ("simple_spread_v3", "simple_tag_v3")}


class Candles(ParallelEnv):
    """Candle i burns down after i + 1 steps; one that is blown out (choice 2) is gone at once.

    The last is put out by the clock (truncated) if `clock`. Choice 1 is legal in even steps.
    """

    def __init__(self, candles=3, clock=False, mask="observation", action=None):
        self.possible_agents = [f"candle_{i}" for i in range(candles)]
        self.metadata, self.clock, self.mask = {"name": "candles"}, clock, mask
        self.action = action or gym.Discrete(3, start=5)

    def action_space(self, agent):
        return self.action

    def observation_space(self, agent) -> Any:
        own = gym.Box(0, 9, (1, 2))
        if self.mask == "observation":
            return gym.Dict({"action_mask": gym.MultiBinary(3), "observation": own})
        return own

    def look(self):
        mask = np.array([1, self.time % 2 == 0, 1], np.int8)
        seen, infos = {}, {}
        for agent in self.agents:
            own = np.array([[self.time, int(agent[-1])]], np.float32)
            at_eye = self.mask == "observation"
            seen[agent] = {"observation": own, "action_mask": mask} if at_eye else own
            infos[agent] = {"action_mask": mask} if self.mask == "info" else {}
        return seen, infos

    def reset(self, seed=None, options=None):
        self.agents, self.time, self.asked = list(self.possible_agents), 0, []
        return self.look()

    def step(self, actions):
        self.time += 1
        self.asked.append(actions)
        seen, infos = self.look()
        reward = {agent: float(actions[agent]) for agent in self.agents}
        down = {a: self.time > int(a[-1]) or actions[a] == 7 for a in self.agents}
        last = self.clock and all(down.values())
        terminated = {a: down[a] and not last for a in self.agents}
        truncated = {a: down[a] and last for a in self.agents}
        self.agents = [agent for agent in self.agents if not down[agent]]
        return seen, reward, terminated, truncated, infos


def act(*choices):
    return {"agents": np.array([choices], np.float32)[..., None]}


def test_agents_with_equal_spaces_are_one_group():
    env = mpe2["simple_spread_v3"].parallel_env()
    assert groups_of(env) == {"agents": ("agent_0", "agent_1", "agent_2")}
    tag = mpe2["simple_tag_v3"].parallel_env()
    assert groups_of(tag) == {
        "adversary": ("adversary_0", "adversary_1", "adversary_2"),
        "agent": ("agent_0",),
    }
    assert groups_of(tag, pad=True) == {"agents": tuple(tag.possible_agents)}


def test_spread_of_mpe2_is_a_host_env():
    make = mpe2["simple_spread_v3"].parallel_env
    env = envs.from_parallel(make, envs=2)
    assert isinstance(env, HostEnv)
    group = env.spec.groups[0]  # 3 x 18, five choices, a state of 54, 25 steps: mpe2's defaults
    assert (group.agents, group.observation, group.action) == (3, 18, ActionSpec((5,)))
    assert (env.spec.state, env.spec.horizon) == (54, 25)
    conformance.check_host(env, steps=30)

    ours, theirs = env.reset(np.array([4, 9])), make()
    seen, _ = theirs.reset(seed=9)
    actions = np.zeros((2, 3, 1), np.float32)
    for t in range(25):
        actions[:, t % 3] = t % 5
        for i, agent in enumerate(theirs.possible_agents):
            np.testing.assert_array_equal(ours.features["agents"][1, i], seen[agent])
        assert ours.state is not None
        np.testing.assert_array_equal(ours.state[1], theirs.state())
        step = env.step({"agents": actions})
        chosen = {a: int(actions[1, i, 0]) for i, a in enumerate(theirs.possible_agents)}
        seen, paid, _, late, _ = theirs.step(chosen)
        np.testing.assert_allclose(step.reward["agents"][1], list(paid.values()), rtol=1e-6)
        assert not step.terminated.any()
        assert step.truncated[1] == late["agent_0"] == (t == 24)
        ours = step.observation
    assert ours.alive["agents"].all()  # their time is up; they are still there


def test_unlike_agents_are_padded_on_demand():
    make = functools.partial(mpe2["simple_tag_v3"].parallel_env, max_cycles=5)
    env = from_parallel(make, envs=1)
    assert [(g.name, g.agents, g.observation) for g in env.spec.groups] == [
        ("adversary", 3, 16),
        ("agent", 1, 14),
    ]
    assert env.spec.horizon == 5
    conformance.check_host(env, steps=6)
    padded = from_parallel(make, envs=1, pad=True, agent_ids=True)
    seen = padded.reset(np.array([3])).features["agents"][0]
    assert seen.shape == (4, 16 + 4)
    alone = env.reset(np.array([3])).features
    np.testing.assert_array_equal(seen[3, :16], [*alone["agent"][0, 0], 0, 0])
    np.testing.assert_array_equal(seen[:, 16:], np.eye(4))


@pytest.mark.parametrize("clock", [False, True])
def test_agents_leave_and_the_last_one_ends_the_game(clock):
    env = from_parallel(functools.partial(Candles, clock=clock), envs=1, horizon=9)
    seen = env.reset(np.arange(1))
    np.testing.assert_array_equal(seen.alive["agents"], [[True, True, True]])
    steps = [env.step(act(0, 0, 0)) for _ in range(3)]
    alive = [step.observation.alive["agents"][0].tolist() for step in steps]
    ends = [(bool(step.terminated[0]), bool(step.truncated[0])) for step in steps]
    # candle 0 is gone after the first step, 1 after the second; 2 sees the end
    assert alive == [[False, True, True], [False, False, True], [False, False, True]]
    assert ends == [(False, False), (False, False), (not clock, clock)]
    seen, paid = steps[-1].observation.features["agents"][0], steps[-1].reward["agents"]
    np.testing.assert_array_equal(seen, [[0, 0], [0, 0], [3, 2]])
    np.testing.assert_array_equal(paid, [[0, 0, 5]])  # choices count from 5


def test_an_agent_that_is_gone_is_not_asked():
    env = from_parallel(Candles, envs=1)
    simulator: Any = env._parts[0].simulators[0]  # type: ignore[union-attr]
    env.reset(np.arange(1))
    env.step(act(0, 2, 0))  # candle 1 blows itself out, candle 0 burns down
    env.step(act(1, 1, 2))
    assert simulator.env.asked == [
        {"candle_0": 5, "candle_1": 7, "candle_2": 5},
        {"candle_2": 7},
    ]


@pytest.mark.parametrize("mask", ["observation", "info"])
def test_masks_are_legal_choices_and_illegal_ones_are_replaced(mask):
    env = from_parallel(functools.partial(Candles, mask=mask), envs=1, horizon=9)
    assert env.spec.groups[0].observation == 2
    seen = env.reset(np.arange(1))
    assert seen.legal is not None
    np.testing.assert_array_equal(seen.legal["agents"][0, 0], [True, True, True])
    step = env.step(act(1, 1, 1))
    np.testing.assert_array_equal(step.action["agents"][0, :, 0], [1, 1, 1])
    assert step.observation.legal is not None
    np.testing.assert_array_equal(step.observation.legal["agents"][0, 1], [True, False, True])
    step = env.step(act(1, 1, 1))  # an odd step: 1 is not legal, 0 is the first that is
    np.testing.assert_array_equal(step.action["agents"][0, 1:, 0], [0, 0])
    conformance.check_host(env, steps=5)


def test_a_horizon_truncates():
    env = from_parallel(Candles, envs=1, horizon=1)
    env.reset(np.arange(1))
    step = env.step(act(0, 0, 0))
    assert (bool(step.terminated[0]), bool(step.truncated[0])) == (False, True)


@pytest.mark.parametrize(
    ("space", "spec", "row", "action"),
    [
        (gym.MultiDiscrete([3, 2]), ActionSpec((3, 2)), [2, 1], np.array([2, 1])),
        (gym.MultiBinary(2), ActionSpec((2, 2)), [0, 1], np.array([0, 1], np.int8)),
        (
            gym.Box(-1, 2, (1, 2)),
            ActionSpec(low=(-1.0, -1.0), high=(2.0, 2.0)),
            [0.5, 2.0],
            np.array([[0.5, 2.0]], np.float32),
        ),
    ],
    ids=["multi-discrete", "multi-binary", "box"],
)
def test_spaces_of_actions(space, spec, row, action):
    class Still(Candles):
        def step(self, actions):
            self.asked.append(actions)
            seen, infos = self.look()
            ended = dict.fromkeys(self.agents, False)
            return seen, dict.fromkeys(self.agents, 0.0), ended, ended, infos

    env = from_parallel(functools.partial(Still, mask="", action=space), envs=1, horizon=9)
    assert env.spec.groups[0].action == spec
    env.reset(np.arange(1))
    env.step({"agents": np.array([[row] * 3], np.float32)})
    simulator: Any = env._parts[0].simulators[0]  # type: ignore[union-attr]
    played = simulator.env.asked[0]["candle_1"]
    assert space.contains(played)
    np.testing.assert_array_equal(played, action)


class Untold(Candles):
    def observation_space(self, agent) -> Any:
        return gym.Sequence(gym.Discrete(2))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (Untold, "expected observations of a fixed size, found the space Sequence"),
        (functools.partial(Candles, action=gym.Text(3)), "expected actions in a Discrete"),
        (mpe2["simple_spread_v3"].env, "give its parallel_env, not its env"),
    ],
    ids=["observation", "action", "turns"],
)
def test_what_is_not_supported_is_one_sentence(make, sentence):
    with pytest.raises(UserError, match=sentence):
        from_parallel(make, envs=1)
