"""Experts: what they earn, by measurement, beside the same games played at random or not at all."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy import envs
from understudy.data import quality
from understudy.envs import experts
from understudy.envs.particles import ACTIONS
from understudy.envs.policies import assign
from understudy.envs.spread import Spread, SpreadState
from understudy.envs.steering import Steering
from understudy.envs.wrappers import AgentId, TimeLimit
from understudy.experiment.collect import collect
from understudy.experiment.returns import play
from understudy.types import Policy, UserError


def earned(env, policy, episodes=128):
    """Mean return of each group, and the share of games won."""
    found = collect(env, policy, episodes=episodes, envs=episodes)
    assert found.rewards is not None
    sums = {n: float(r.sum(0).mean()) / episodes for n, r in found.rewards.items()}
    return sums, found.provenance.get("success_rate")


@pytest.mark.parametrize(
    ("env", "low", "high"),
    [
        (Spread(action="plane"), -6.5, -5.3),  # -5.9; a port in numpy earned -5.9 to -6.2
        (Spread(), -8.2, -6.9),  # -7.5: choices push one axis at a time
        (Spread.openai(action="plane"), -112.0, -92.0),  # -102, 75 of it for touching oneself
    ],
    ids=["plane", "discrete", "openai"],
)
def test_hungarian_covers_the_landmarks(env, low, high):
    found, won = earned(env, experts.hungarian(env), 256)
    assert low < found["agents"] < high
    assert won is not None
    assert won > 0.97


def test_doing_nothing_and_anything_earn_what_they_do_in_mpe2():
    """-24.0 and -25.9 to -26.7 in mpe2, N = 3, 25 steps."""
    env = Spread()
    assert earned(env, experts.noop(env), 512)[0]["agents"] == pytest.approx(-24.3, abs=0.8)
    assert earned(env, experts.random(env), 512)[0]["agents"] == pytest.approx(-26.4, abs=0.8)


@pytest.mark.parametrize("env", [Spread(agents=4, landmarks=2), Spread.goodai(agents=6)])
def test_hungarian_plays_any_spread(env):
    env = AgentId(TimeLimit(env, steps=25))
    policy = experts.hungarian(env)
    found = collect(env, policy, episodes=16)
    assert found.state is not None
    assert found.provenance["success_rate"] > 0.8
    assert not quality.check(found)
    assert found.rate == pytest.approx(10.0)  # a step is 0.1 s
    assert policy.transfers
    assert not policy.decentralised


@pytest.mark.parametrize(
    ("name", "group", "low", "random"),
    [
        # measured over 512 games: -7.2 and -37.6; -7.3 and -27.4
        ("speaker-listener", "listener", -8.5, -30.0),
        ("push", "agent", -8.5, -23.0),
    ],
)
def test_the_others_earn_more_than_chance(name, group, low, random):
    env = envs.make(name)
    policy = experts.own(env)
    assert policy is not None
    assert policy.decentralised
    assert earned(env, policy)[0][group] > low
    assert earned(env, experts.random(env))[0][group] < random


def test_hunters_catch_and_prey_escapes():
    """512 games: hunters +65 and prey -1.1 against chance; by chance they earn +5 and -18."""
    env = envs.make("tag")
    expert, chance = experts.tag(env), experts.random(env)

    def pair(adversary: Policy, good: Policy) -> Policy:
        players = {("adversary", i): adversary for i in range(3)}
        return assign(env.spec, {**players, ("good", 0): good})

    assert earned(env, pair(expert, chance))[0]["adversary"] > 45.0
    assert earned(env, pair(chance, expert))[0]["good"] > -4.0


def test_a_listener_follows_the_word_not_the_goal():
    env = envs.make("speaker-listener")
    _, seen = env.reset(jax.random.key(0))
    policy = experts.speaker_listener(env)
    meant = np.asarray(seen.state)[-6:-3]
    said, _ = policy.act(seen, (), jax.random.key(0))
    assert int(said["speaker"][0, 0]) == int(np.argmax(meant))
    first = said["listener"]
    other = np.roll(meant, 1)
    changed = dataclasses.replace(seen, state=jnp.asarray(seen.state).at[-6:-3].set(other))
    again, _ = policy.act(changed, (), jax.random.key(0))
    np.testing.assert_array_equal(again["listener"], first)


def test_noise_is_the_share_of_random_actions():
    env = envs.make("roles")
    found, _ = earned(env, experts.roles(env, noise=1.0), 256)
    assert found["agents"] / 10 == pytest.approx(6 / 27, abs=0.05)  # of 27, 6 are assignments
    # as drawn: 0.512; else one agent at random (0.384) is right 1/3 of the time, more 2/9 or so
    found, _ = earned(env, experts.roles(env, noise=0.2), 256)
    assert found["agents"] / 10 == pytest.approx(0.512 + 0.384 / 3 + 0.104 / 3.5, abs=0.05)
    with pytest.raises(UserError, match="a noise between 0 and 1, found 2"):
        experts.roles(env, noise=2.0)


def test_every_game_has_its_expert_and_refuses_others():
    for name in ("cartpole", "push", "roles", "speaker-listener", "spread-goodai", "tag", "xor"):
        assert experts.own(envs.make(name)) is not None
    assert experts.own(object()) is None
    for name in set(experts.EXPERTS) - {
        "hungarian",
        "local-rule",
        "nearest",
        "random",
        "noop",
        "smax",
    }:
        with pytest.raises(UserError, match=f"for the expert {name!r}, found Spread; choose"):
            experts.EXPERTS[name](Spread())
    env = envs.make("xor")
    rows = jax.tree.map(lambda leaf: leaf[None], env.reset(jax.random.key(0))[1])
    for policy, name in ((experts.xor(env), "OddDraw"), (experts.noop(env), "Noop")):
        with pytest.raises(UserError, match=f"found {name}, which has none"):
            policy.log_prob(rows, {"agents": jnp.zeros((1, 2, 1))}, jnp.ones(1, bool), ())


@pytest.mark.parametrize("action", ["discrete", "boxes", "plane"])
def test_a_disc_stops_at_its_goal(action):
    """From 2 m away at full speed sideways: there within 25 steps, and there it stays."""
    env = Spread(agents=1, action=action)
    steering = Steering(ACTIONS[action], 5.0)
    position, velocity = jnp.array([[-1.0, 0.5]]), jnp.array([[0.0, -2.0]])
    goal = jnp.array([[0.9, -0.3]])
    state, _ = env.reset(jax.random.key(0))
    state = type(state)(position, velocity, state.landmarks, state.time)
    step, away = jax.jit(env.step), []
    for _ in range(40):
        move = steering.to(goal, state.positions, state.velocities)
        state, _ = step(state, {"agents": move}, jax.random.key(0))
        away.append(float(jnp.linalg.norm(state.positions - goal)))
    assert max(away[25:]) < (0.08 if action == "discrete" else 0.01)


def test_choices_that_are_read_the_other_way_round_lead_the_same_way():
    moves = Spread().spec.groups[0].action
    right = jnp.array([[1.0, 0.2]])
    assert moves is not None
    assert float(Steering(moves, 5.0).push(right)[0, 0]) == 2.0  # nothing, left, right, down, up
    assert float(Steering(moves, 5.0, right_first=True).push(right)[0, 0]) == 1.0
    assert float(Steering(moves, 5.0).push(0 * right)[0, 0]) == 0.0


def test_who_looks_at_peers_covers_more_and_who_sees_all_covers_most():
    env = envs.make("spread-goodai:agents=6")
    covers = []
    for name in ("nearest", "local-rule", "hungarian"):
        played = play(experts.EXPERTS[name](env), env, episodes=64, seed=0)
        covers.append(float(played.figures["covered"].mean()))
    assert covers[0] + 0.1 < covers[1] < covers[2] - 0.1


def test_the_local_rule_yields_to_who_is_nearer():
    # both are nearest to the landmark at 0; agent 0 is nearer to it, so agent 1 takes the other
    env = envs.Spread.goodai(2)
    state = SpreadState(
        jnp.array([[0.1, 0.0], [-0.4, 0.0]]), jnp.zeros((2, 2)),
        jnp.array([[0.0, 0.0], [-1.0, 0.0]]), jnp.int32(0),
    )  # fmt: skip
    for name, way in (("nearest", [-1, 1]), ("local-rule", [-1, -1])):
        action, _ = experts.EXPERTS[name](env).act(env.observe(state), (), jax.random.key(0))
        np.testing.assert_array_equal(np.sign(action["agents"][:, 0]), way)
