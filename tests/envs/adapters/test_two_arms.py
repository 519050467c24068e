"""Two arms on a platform: what they see, are paid and how it ends, whatever plays it."""

import json
import os
import signal
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

import understudy as us
from understudy import envs
from understudy.envs import conformance
from understudy.envs.adapters import foreign
from understudy.envs.adapters.two_arms import FEATURES, Platforms, TwoArmPlatform
from understudy.envs.adapters.two_arms_model import Workbench
from understudy.envs.adapters.two_arms_physics import Physics, fallen, hands, views
from understudy.envs.adapters.two_arms_view import chain, outline
from understudy.experiment.config import from_json, to_json
from understudy.types import ActionSpec, HostEnv, UserError

BENCH = Workbench(half_width=0.8, half_depth=0.3, upper=0.4, lower=0.4, bar=0.2, mass=0.4)
ASIDE = (-0.6, -1.5, -0.6, -1.5)


def physics_state(joints=(0.0,) * 4, place=(0.0, 0.0, 0.065), turn=0.0, speeds=(0.0,) * 10):
    quaternion = (np.cos(turn / 2), 0.0, 0.0, np.sin(turn / 2))
    return np.array([0.0, *joints, *place, *quaternion, *speeds])


def torques(envs, chance):
    return {"arms": chance.uniform(-1.3, 1.3, (envs, 2, 2)).astype(np.float32)}


def still(envs):
    return {"arms": np.zeros((envs, 2, 2), np.float32)}


def platforms(env) -> Platforms:
    games = env.games
    assert isinstance(games, Platforms)
    return games


def test_the_game_is_two_alike_agents():
    env = envs.make("two-arm-platform:envs=2")
    (group,) = env.spec.groups
    assert (group.name, group.agents, group.observation) == ("arms", 2, 22)
    assert group.action == ActionSpec(low=(-1.0, -1.0), high=(1.0, 1.0))
    assert group.features == FEATURES
    assert (env.spec.state, env.spec.horizon) == (21, 600)


def test_what_an_arm_sees():
    # left: shoulder a quarter turn left at 2 rad/s, elbow a quarter turn right at -2 rad/s, so the
    # lower link lies along x at (-0.8..-0.4, 0.4) and does not turn; right: stretched at the left
    state = physics_state(
        (np.pi / 2, -np.pi / 2, 0.0, 0.0), (0.1, -0.05, 0.065), 0.5,
        (2.0, -2.0, 0.0, 0.0, 0.3, -0.2, 0.0, 0.0, 0.0, 1.0),
    )  # fmt: skip
    left, right = views(BENCH, state)
    upper = [-0.8, 0.2, np.pi / 2, -0.4, 0.0, 2.0]
    lower = [-0.6, 0.4, 0.0, -0.8, 0.0, 0.0]
    turned = [np.cos(2.0), np.sin(2.0)]
    wanted = [*upper, *lower, -0.4, 0.4, 0.0, 0.0, 0.1, -0.05, *turned, 0.3, -0.2]
    np.testing.assert_allclose(left, wanted, atol=1e-6)
    upper, lower = [-0.6, 0, 0, 0, 0, 0], [-0.2, 0, 0, 0, 0, 0]
    wanted = [*upper, *lower, 0, 0, 0.4, -0.4, -0.1, 0.05, *turned, -0.3, 0.2]
    np.testing.assert_allclose(right, wanted, atol=1e-6)
    np.testing.assert_allclose(hands(BENCH, state), [[-0.4, 0.4], [0.0, 0.0]], atol=1e-12)


def test_links_are_where_mujoco_has_them():
    physics, chance = Physics(BENCH), np.random.default_rng(0)
    state = physics_state(chance.uniform(-1, 1, 4), speeds=(*chance.uniform(-1, 1, 4), *[0.0] * 6))
    mujoco, model, data = physics._mujoco, physics._model, physics._datas[0]
    data.qpos[:], data.qvel[:] = state[1:12], state[12:]
    mujoco.mj_forward(model, data)
    seen = views(BENCH, state)
    for arm, sign in ((0, 1), (1, -1)):
        for link in (0, 1):
            geom = 1 + 3 * arm + link  # platform; two links and a hand of each arm
            np.testing.assert_allclose(
                sign * data.geom_xpos[geom, :2], seen[arm, 6 * link : 6 * link + 2], atol=1e-6
            )
            speed = np.zeros(6)
            kind = mujoco.mjtObj.mjOBJ_GEOM
            mujoco.mj_objectVelocity(model, data, kind, geom, speed, 0)
            np.testing.assert_allclose(
                [*sign * speed[3:5], speed[2]], seen[arm, 6 * link + 3 : 6 * link + 6], atol=1e-6
            )
        tip = data.geom_xpos[3 + 3 * arm, :2]
        np.testing.assert_allclose(sign * tip, seen[arm, 12:14], atol=1e-6)
        np.testing.assert_allclose(chain(BENCH, state[1:], arm)[2], tip, atol=1e-6)


def test_a_bench_turned_half_round_is_the_same_game():
    physics, chance = Physics(BENCH), np.random.default_rng(1)
    left, right = chance.uniform(-0.5, 0.5, (2, 2))
    state = physics_state((*left, *right), (0.05, -0.08, 0.065), 0.3)
    turned = physics_state((*right, *left), (-0.05, 0.08, 0.065), 0.3 + np.pi)
    moves = chance.uniform(-1, 1, (1, 40, 4))
    one = physics.roll(state[None], moves)[0]
    other = physics.roll(turned[None], moves[..., [2, 3, 0, 1]])[0]
    assert np.abs(one[-1, 5:7] - state[5:7]).max() > 0.01  # the block was hit
    np.testing.assert_allclose(
        views(BENCH, one)[:, 0, :14], views(BENCH, other)[:, 1, :14], atol=2e-3
    )
    np.testing.assert_allclose(one[:, 5:7], -other[:, 5:7], atol=2e-3)
    same = np.abs(views(BENCH, state)[::-1] - views(BENCH, turned)).max()
    assert same < 1e-6


@pytest.mark.parametrize(("rewards", "sign"), [("cooperative", 1), ("competitive", -1)])
def test_a_fall_pays_one_and_ends_the_game(rewards, sign):
    env = TwoArmPlatform(rewards, envs=2, workers=1)
    env.reset(np.arange(2))
    games = platforms(env)
    # game 0: the block's middle is beyond the edge, so it tips over; game 1: it lies in the middle
    aside = (0.0, env.bench.half_depth + 0.1, 0.065)
    games.states[:] = physics_state(ASIDE, aside)
    games.states[1] = physics_state(ASIDE)
    paid, steps = np.zeros((2, 2)), 0
    while True:
        step: Any = env.step(still(2))
        steps += 1
        assert step.reward["arms"].dtype == np.float32
        paid += step.reward["arms"]
        assert not step.truncated.any()
        assert not step.terminated[1]
        if step.terminated[0]:
            break
    assert 5 < steps < 60
    assert step.info["success"].tolist() == [True, False]
    assert step.observation.state[0, 6] < -0.02
    returns = np.array([1 - 0.005 * steps, -0.005 * steps])
    np.testing.assert_allclose(paid, np.stack([returns, sign * returns], 1), atol=1e-6)
    step = env.step(still(2))  # the prize is paid once
    np.testing.assert_allclose(step.reward["arms"][0], [-0.005, -0.005 * sign], atol=1e-9)


def test_time_is_up_after_the_horizon():
    env = TwoArmPlatform(horizon=3, envs=2, workers=1)
    env.reset(np.arange(2))
    env.step(still(2))
    env.reset(np.arange(2), np.array([False, True]))
    ends = [env.step(still(2)).truncated.tolist() for _ in range(3)]
    assert ends == [[False, False], [True, False], [True, True]]


def test_starts_touch_nothing_and_follow_from_the_seed():
    physics = Physics(BENCH)
    starts = np.stack([physics.begin(seed) for seed in range(40)])
    np.testing.assert_array_equal(starts[7], Physics(BENCH).begin(7))
    assert (np.abs(starts[:, 1:5]) <= BENCH.bend).all()
    assert (np.abs(starts[:, 5:7]) <= BENCH.spread).all()
    assert np.std(starts[:, 1:7], 0).min() > 0.03
    rest = physics.roll(starts, np.zeros((40, 25, 4)))
    np.testing.assert_allclose(rest[:, -1, 1:7], starts[:, 1:7], atol=1e-2)  # it settles
    assert not fallen(rest).any()


def test_arms_touch_each_other():
    # stretched beyond the middle, the left hand from above, the right one from below
    physics = Physics(Workbench(upper=0.45, lower=0.45, half_width=0.8))
    state = physics_state((0.3, 0.0, 0.3, 0.0), (0.0, 0.0, -1.0))
    down = np.tile([-1.0, -1.0, 0.0, 0.0], (1, 60, 1))
    both = hands(physics.bench, physics.roll(state[None], down + np.roll(down, 2, -1))[0])
    state[3] = -0.5  # the right arm out of the way
    alone = hands(physics.bench, physics.roll(state[None], down)[0])
    assert alone[:, 0, 1].min() < -0.3
    assert (both[:, 0, 1] > both[:, 1, 1]).all()


def play(envs, workers, engine: Any = "rollout", steps=50):
    """What happens in games of which the second begins anew half way."""
    env = TwoArmPlatform(envs=envs, workers=workers, engine=engine)
    chance, rows = np.random.default_rng(1), []
    seen: list[Any] = [env.reset(np.arange(envs))]
    for t in range(steps):
        moves = {"arms": torques(5, chance)["arms"][:envs]}
        step: Any = env.step(moves)
        seen.append(step.observation)
        if t == steps // 2:
            seen.append(env.reset(np.arange(envs) + 50, np.arange(envs) == 1))
    env.close()
    for observation in seen:
        arms = observation.features["arms"].reshape(envs, -1)
        rows.append(np.concatenate([observation.state, arms], -1))
    return np.stack(rows)


def test_games_depend_on_neither_neighbours_nor_threads_nor_processes():
    one = play(5, 1)
    for workers in (2, 3):
        np.testing.assert_array_equal(play(5, workers), one)
    np.testing.assert_array_equal(play(2, 1), one[:, :2])
    np.testing.assert_array_equal(play(3, 1, "loop"), one[:, :3])
    np.testing.assert_array_equal(play(3, 2, "processes"), one[:, :3])
    assert np.abs(one[-1, 0] - one[-1, 2]).max() > 0.1


@pytest.mark.parametrize("engine", ["rollout", "loop"])
def test_platforms_conform(engine):
    env = TwoArmPlatform("competitive", horizon=4, envs=2, engine=engine)
    assert isinstance(env, HostEnv)
    conformance.check_host(env, steps=6)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        (signal.SIGKILL, "ended by the signal SIGKILL from outside"),
        (signal.SIGSTOP, r"answer within 1\.5 s, found it still busy"),
    ],
)
def test_a_worker_that_dies_or_hangs_is_one_sentence_and_no_orphan(what, sentence):
    env = TwoArmPlatform(envs=2, workers=2, engine="processes", timeout=60.0)
    env.reset(np.arange(2))
    parts: Any = vars(env.games)["_parts"]
    processes = [part.process for part in parts]
    for part in parts:
        part.timeout = 1.5  # starting takes longer than a step
    env.step(still(2))
    os.kill(processes[0].pid, what)
    with pytest.raises(UserError, match=sentence):
        env.step(still(2))
    assert not any(process.is_alive() for process in processes)


def test_pictures_show_the_block_where_it_is():
    env = TwoArmPlatform(envs=2, workers=1, bench=BENCH)
    with pytest.raises(UserError, match="call reset first"):
        env.render()
    env.reset(np.arange(2))
    one = env.render()
    assert one.dtype == np.uint8
    assert one.shape[0] == 2
    assert one.shape[2:] == (360, 3)
    middle = one.shape[1] // 2
    platforms(env).states[0] = physics_state(ASIDE, (0.2, 0.0, 0.065))
    env.step(still(2))
    again = env.render()
    assert again[0, middle, 180 + 39].tolist() == [184, 134, 11]  # 0.2 m, 196 pixels a metre
    assert again[0, middle, 180 - 39].tolist() == [220, 210, 194]
    corners = outline(BENCH, physics_state(turn=np.pi / 2)[1:])
    assert corners.shape == (12, 2)
    np.testing.assert_allclose(np.abs(corners).max(0), [0.2, 0.2])
    np.testing.assert_allclose(corners[0], [0.03, 0.2], atol=1e-12)


def test_a_game_is_drawn_into_a_file(tmp_path):
    env = TwoArmPlatform(envs=1, workers=1)
    path = us.watch(env, us.experts.random(env), tmp_path / "arms.gif", episodes=1, steps=4)
    with Image.open(path) as film:
        assert getattr(film, "n_frames", 1) == 5


def test_a_platform_is_written_into_a_configuration():
    env = envs.make("two-arm-platform:rewards=competitive", bench=Workbench(mass=0.5))
    env.reset(np.arange(16))
    again = from_json(json.loads(json.dumps(to_json(env))))
    assert again == env
    assert (again.rewards, again.bench.mass) == ("competitive", 0.5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"envs": 0}, "at least one env"),
        ({"horizon": 0}, "at least 1 step"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(UserError, match=sentence):
        TwoArmPlatform(**options)


def test_unknown_words_are_one_sentence():
    with pytest.raises(UserError, match=r"expected rewards= .*, found 'mixed'"):
        unchecked(TwoArmPlatform(), rewards="mixed")
    with pytest.raises(UserError, match=r"expected engine= one of .*, found 'gpu'"):
        unchecked(TwoArmPlatform(), engine="gpu")


def unchecked(env, **fields):
    """Another game, without the tests' own look at types."""
    for name, value in fields.items():
        object.__setattr__(env, name, value)
    env.__post_init__()


def test_without_mujoco_it_says_what_to_install(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.delitem(sys.modules, "mujoco", raising=False)
    monkeypatch.setattr(foreign, "import_module", absent)
    sentence = r'the package mujoco, which is not installed; run pip install "understudy\[mujoco\]"'
    with pytest.raises(UserError, match=sentence):
        TwoArmPlatform().reset(np.arange(16))


def test_benches_that_cannot_be_are_one_sentence():
    with pytest.raises(UserError, match="expected mass above 0, found 0"):
        Workbench(mass=0.0)
    with pytest.raises(UserError, match="a spread inside of the platform"):
        Workbench(spread=(0.9, 0.0))
    with pytest.raises(UserError, match="expected 0 <= bend <= swing"):
        Workbench(bend=1.5, swing=1.0)
    with pytest.raises(UserError, match="expected room for two arms"):
        Physics(Workbench(bar=0.75, bend=0.0, spread=(0.0, 0.0))).begin(0)
    wild = Physics(Workbench(shoulder=1e12))
    with pytest.raises(UserError, match="physics that stay finite"):
        wild.roll(wild.begin(0)[None], np.ones((1, 50, 4)))
