"""SMAX: the same battles as JaxMARL plays, with dead agents, legal masks and limits of our own."""

import dataclasses
import json
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy import envs
from understudy.envs import conformance
from understudy.envs.adapters import foreign
from understudy.envs.adapters.smax import STOP, Smax, heuristic
from understudy.experiment.config import from_json, to_json
from understudy.types import Env, UserError

SHAPES = {  # observation, state, choices, agents: environments' facts, printed by JaxMARL 0.2.0
    "3m": (75, 72, 8, 3),
    "3s5z": (205, 192, 13, 8),
    "6h_vs_8z": (179, 168, 13, 6),
    "smacv2_5_units": (127, 120, 10, 5),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_those_of_the_map(name):
    spec = Smax(map=name).spec
    group = spec.groups[0]
    assert group.action is not None
    assert (group.observation, spec.state, group.action.choices, group.agents) == SHAPES[name]
    assert spec.horizon == 100


@pytest.fixture(scope="module")
def env():
    return envs.make("smax:map=3m")


@pytest.fixture(scope="module")
def battle(env):
    """``battle(key, shoot)``: a whole battle of JaxMARL's own, and of ours, side by side."""
    module = foreign.package("jaxmarl.environments.smax")
    theirs = module.HeuristicEnemySMAX(scenario=module.map_name_to_scenario("3m"))
    names = theirs.agents
    expert = heuristic(env)

    def play(key):
        with foreign.lenient():
            seen, state = theirs.reset(key)
        ours, observation = env.reset(key)
        begin = jnp.stack([seen[name] for name in names]), observation

        def row(carry, key):
            state, ours, observation, memory = carry
            action, memory = expert.act(observation, memory, key)
            chosen = action["agents"][:, 0].astype(jnp.int32)
            with foreign.lenient():
                seen, state, paid, done, _ = theirs.step_env(
                    key, state, {name: chosen[i] for i, name in enumerate(names)}
                )
                legal = theirs.get_avail_actions(state)
            ours, step = env.step(ours, action, key)
            answer = {
                "seen": jnp.stack([seen[name] for name in names]),
                "state": seen["world_state"],
                "legal": jnp.stack([legal[name] for name in names]) > 0,
                "paid": jnp.stack([paid[name] for name in names]),
                "over": done["__all__"],
            }
            return (state, ours, step.observation, memory), (answer, step, env.scene(ours), action)

        start = (state, ours, observation, expert.memory({"agents": 3}))
        return begin, jax.lax.scan(row, start, jax.random.split(key, 60))[1]

    return jax.jit(jax.vmap(play))(jax.random.split(jax.random.key(3), 16))


def test_battles_are_those_of_jaxmarl(battle):
    (seen, observation), (answer, step, _, action) = battle
    np.testing.assert_array_equal(observation.features["agents"], seen)
    over = np.asarray(answer["over"])
    first = np.where(over.any(1), over.argmax(1), over.shape[1])
    lasting = np.arange(over.shape[1])[None] <= first[:, None]
    assert lasting.sum() > 200
    for ours, theirs in (
        (step.observation.features["agents"], answer["seen"]),
        (step.observation.state, answer["state"]),
        (step.observation.legal["agents"], answer["legal"]),
        (step.reward["agents"], answer["paid"]),
        (step.terminated | step.truncated, answer["over"]),
        (step.action["agents"], action["agents"]),  # what the script does is always legal
    ):
        np.testing.assert_array_equal(np.asarray(ours)[lasting], np.asarray(theirs)[lasting])


def test_the_script_wins_about_two_battles_in_five(battle):
    # JaxMARL 0.2.0, 64 battles on 3m: 0.42 won, return 1.34; 16 battles: +- 0.25
    _, (_, step, _, _) = battle
    success = np.asarray(step.info["success"])
    ended = np.asarray(step.terminated).argmax(1)
    won = success[np.arange(16), ended]
    assert 0.17 <= won.mean() <= 0.67
    returns = np.where(
        np.arange(60)[None] <= ended[:, None], np.asarray(step.reward["agents"])[..., 0], 0
    ).sum(1)
    # all three enemies dead and a victory make 1 + 1; nobody who lost took as much
    np.testing.assert_allclose(returns[won], 2.0, rtol=1e-5)
    assert (returns[~won] < 1.0 + 1e-5).all()


def test_the_dead_only_stop(battle):
    _, (_, step, scene, action) = battle
    dead = ~np.asarray(step.observation.alive["agents"])
    assert dead.any()
    legal = np.asarray(step.observation.legal["agents"])[dead]
    np.testing.assert_array_equal(legal, np.eye(8, dtype=bool)[[STOP] * len(legal)])
    later = np.asarray(action["agents"])[:, 1:, :, 0][dead[:, :-1]]
    assert (later == STOP).all()
    assert (np.asarray(scene.strength)[..., :3][dead] == 0).all()
    assert np.abs(np.asarray(scene.centres)).max() <= float(scene.half_size.max()) == 16.0


def test_smax_conforms(env):
    assert isinstance(env, Env)
    conformance.check(env, steps=3)


def test_the_limit_truncates_and_death_terminates(env):
    state, _ = env.reset(jax.random.key(0))
    still = {"agents": jnp.full((3, 1), float(STOP))}
    units = {**state.units, "step": jnp.int32(98)}
    ends = []
    for health in (units["unit_health"], units["unit_health"].at[3:].set(0.0)):
        later = dataclasses.replace(state, units={**units, "unit_health": health})
        for t in range(2):
            later, step = env.step(later, still, jax.random.key(t))
            ends.append((bool(step.terminated), bool(step.truncated), bool(step.info["success"])))
    assert ends[:2] == [(False, False, False), (False, True, False)]
    assert ends[2:] == [(True, False, True)] * 2


def test_an_illegal_shot_is_a_stop(env):
    state, observation = env.reset(jax.random.key(0))
    assert not np.asarray(observation.legal["agents"])[:, 5:].any()  # nobody is in range yet
    asked = {"agents": jnp.array([[5.0], [0.0], [99.0]])}
    _, step = env.step(state, asked, jax.random.key(1))
    np.testing.assert_array_equal(step.action["agents"], [[4.0], [0.0], [4.0]])


def test_a_battle_is_written_into_a_configuration(env):
    assert from_json(json.loads(json.dumps(to_json(env)))) == env


def test_mistakes_are_one_sentence(env):
    expert, (_, observation) = heuristic(env), env.reset(jax.random.key(0))
    with pytest.raises(UserError, match=r"expected a map of \['10m_vs_11m'.*found 'MMM2'"):
        envs.make("smax:map=MMM2")
    with pytest.raises(UserError, match="horizon of at least 1"):
        Smax(horizon=0)
    with pytest.raises(UserError, match="with probabilities, found Heuristic, which has none"):
        expert.log_prob(observation, {}, jnp.ones(1, bool), ())


def test_a_missing_package_names_its_extra(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(foreign, "import_module", missing)
    monkeypatch.delitem(sys.modules, "jaxmarl", raising=False)
    with pytest.raises(UserError, match=r'run pip install "understudy\[smax\]"'):
        foreign.package("jaxmarl")


def test_what_a_package_prints_while_imported_is_not_seen(monkeypatch, capsys):
    before = sys.stdout, sys.stderr

    def noisy(name):
        sys.stdout.write("found nothing")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # as JaxMARL does
        print("still nothing")  # noqa: T201
        return name

    monkeypatch.setattr(foreign, "import_module", noisy)
    monkeypatch.delitem(sys.modules, "jaxmarl", raising=False)
    assert foreign.package("jaxmarl") == "jaxmarl"
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("", "")
