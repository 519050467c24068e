"""Deterministic policy gradients: what is learned, what targets are, and what exploring adds."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home
from probes import Probe, learn, play
from understudy import cli
from understudy.algorithms import presets
from understudy.algorithms.ddpg import DDPG
from understudy.envs import rollout
from understudy.envs.spread import Spread
from understudy.experiment.train import train
from understudy.networks import transitions
from understudy.networks.deterministic import ActorQ, Noise, of_unit, to_unit
from understudy.types import ActionSpec, Observation, UserError

SMALL = {
    "hidden": (32,), "envs": 8, "rollout": 10, "passes": 20, "batch": 64, "remembered": 4_000,
    "warm_up": 2, "learning_rate": 3e-3, "critic_rate": 3e-3, "discount": 0.5, "follow": 0.05,
    "noise": 0.5,
}  # fmt: skip
KINDS = {
    "shared": presets.DDPG(**SMALL),
    "independent, drifting": presets.DDPG(
        sharing="independent", noise_keeps=0.7, noise_decay=60, **SMALL
    ),
    "joint": presets.DDPG(sharing="joint", **SMALL),
    "maddpg": presets.MADDPG(**SMALL),
    "td3": presets.TD3(**SMALL),
    "three steps": presets.DDPG(n_step=3, **SMALL),
}
TINY = {"hidden": (4,), "envs": 2, "rollout": 3, "remembered": 12, "batch": 4, "passes": 2}


def at(places):
    """What two agents at `places` ``[rows, 2]`` see."""
    x = jnp.asarray(places, jnp.float32)[..., None]
    return Observation({"agents": x}, {"agents": jnp.ones(x.shape[:-1], bool)})


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_agents_learn_to_go_home(name):
    """The best step is towards 0, as far as it goes; being there is worth nothing lost."""
    algorithm = KINDS[name]
    state, metrics, _ = learn(algorithm, Home(), updates=120)
    places = np.array([[-1.5, 0.4], [0.7, -0.3], [0.0, 1.8]])
    chosen = np.asarray(state.learned.params.choose(at(places))["agents"])[..., 0]
    np.testing.assert_allclose(chosen, np.clip(-places, -1, 1), atol=0.2)
    assert metrics["reward"][-20:].mean() > metrics["reward"][:5].mean() + 0.3


@pytest.mark.parametrize("critics", [1, 2])
def test_targets_by_hand(critics):
    """``r + γ min Q'`` where a game goes on for an agent, r where it was terminated or it died."""
    algorithm = DDPG(network=ActorQ(hidden=(4,), critics=critics), discount=0.9, loss="square",
                     envs=2, rollout=3, remembered=6)  # fmt: skip
    state, rows = play(algorithm, Home())
    rows = dataclasses.replace(rows, terminated=jnp.zeros((3, 2), bool).at[0].set(True))
    seen = transitions.of_rollout(Home().spec, rows, state=False, discount=0.9)
    after = dataclasses.replace(
        seen.observation_next, alive={"agents": jnp.ones((6, 2), bool).at[5, 1].set(False)}
    )
    seen = dataclasses.replace(seen, observation_next=after)
    loss, _ = algorithm.critic_loss(
        state.learned.params.critics, state.learned, seen, jax.random.key(0)
    )
    params = state.learned.params
    ahead = params.choose(seen.observation_next)
    after = np.asarray(params.worth(seen.observation_next, ahead, ahead)["agents"]).min(0)
    now = np.asarray(params.worth(seen.observation, seen.action, seen.action)["agents"])
    goes_on = np.repeat([[0.0], [0.0], [1.0], [1.0], [1.0], [1.0]], 2, axis=1)
    goes_on[5, 1] = 0.0
    target = np.asarray(seen.reward["agents"]) + 0.9 * goes_on * after
    assert float(loss) == pytest.approx(np.square(now - target).sum(0).mean(), rel=1e-5)


def test_rows_of_a_few_steps_end_where_episodes_and_rollouts_do():
    algorithm = presets.DDPG(**{**TINY, "envs": 2, "rollout": 5, "remembered": 10})
    _, rows = play(algorithm, Home())
    time, envs = 5, 2
    generator = np.random.default_rng(0)
    alive = np.ones((time, envs, 2), bool)
    alive[2:, 0, 1] = False
    rows = dataclasses.replace(
        rows,
        reward={"agents": jnp.asarray(generator.normal(size=(time, envs, 2)), jnp.float32)},
        terminated=jnp.zeros((time, envs), bool).at[3, 0].set(True),
        truncated=jnp.zeros((time, envs), bool).at[1, 1].set(True),
        observation_next=dataclasses.replace(
            rows.observation_next,
            features={
                "agents": jnp.asarray(generator.normal(size=(time, envs, 2, 1)), jnp.float32)
            },
            alive={"agents": jnp.asarray(alive)},
        ),
    )
    spec = Home().spec
    found = transitions.of_rollout(spec, rows, state=False, discount=0.9, n_step=3)
    reward, following = np.asarray(rows.reward["agents"]), rows.observation_next.features["agents"]
    ends = np.asarray(rows.terminated | rows.truncated)
    for at in range(time):
        for env in range(envs):
            row, last = at * envs + env, at
            while last < min(at + 2, time - 1) and not ends[last, env]:
                last += 1
            for agent in range(2):
                paid = 0.0
                for step in range(at, last + 1):
                    if step == at or alive[at:step, env, agent].all():
                        paid += 0.9 ** (step - at) * reward[step, env, agent]
                assert found.reward["agents"][row, agent] == pytest.approx(paid, abs=1e-6)
            assert found.discount[row] == pytest.approx(0.9 ** (last - at + 1))
            assert bool(found.terminated[row]) == bool(rows.terminated[last, env])
            np.testing.assert_array_equal(
                found.observation_next.features["agents"][row], following[last, env]
            )


def test_a_central_critic_judges_one_action_while_others_do_what_they_did():
    network = ActorQ(hidden=(8,), critic="central").init(Home().spec, jax.random.key(0))
    network = jax.tree.map(lambda w: w + 0.3 * jnp.ones_like(w), network)
    seen, own, done = at([[0.3, -0.2]]), jnp.zeros((1, 2, 1)), jnp.ones((1, 2, 1))

    def first(own, done):
        return network.worth(seen, {"agents": own}, {"agents": done})["agents"][0, 0, 0]

    mine, theirs = jax.grad(first, argnums=(0, 1))(own, done)
    assert abs(float(mine[0, 0, 0])) > 1e-6
    assert float(mine[0, 1, 0]) == 0.0
    assert float(theirs[0, 0, 0]) == 0.0
    assert abs(float(theirs[0, 1, 0])) > 1e-6


def test_noise_drifts_and_falls_and_ends_with_an_episode():
    algorithm = presets.DDPG(noise=0.1, noise_keeps=0.9, noise_decay=10, **TINY)
    state = algorithm.init(Home().spec, None, jax.random.key(0))
    later = dataclasses.replace(state, updates=jnp.asarray(10))
    scales = [float(algorithm.policy(s, "explore").network.noise.scale) for s in (state, later)]
    assert scales[1] == pytest.approx(scales[0] * np.exp(-2.0))
    policy = algorithm.policy(state, "explore")
    still = dataclasses.replace(policy.network, noise=Noise(jnp.zeros(()), jnp.asarray(0.9)))
    policy = dataclasses.replace(policy, network=still)
    memory = {"agents": jnp.full((2, 1), 0.5)}
    action, after = policy.act(at([0.0, 0.0]), memory, jax.random.key(0))
    np.testing.assert_allclose(after["agents"], 0.45)
    plain = algorithm.policy(state, "mode").act(at([0.0, 0.0]), (), jax.random.key(0))[0]
    np.testing.assert_allclose(action["agents"] - plain["agents"], 0.45, atol=1e-6)
    actor = rollout.begin(Home(horizon=2), policy, jax.random.key(0), envs=1)
    actor = dataclasses.replace(actor, memory={"agents": jnp.ones((1, 2, 1))})
    fresh, _ = rollout.collect(Home(horizon=2), policy, actor, jax.random.key(0), steps=1)
    np.testing.assert_array_equal(fresh.memory["agents"], 0.0)


def test_without_noise_somebody_is_told(tmp_path, capsys):
    assert DDPG(noise=0.1).concern is None
    silent = presets.DDPG(noise=0.0, **TINY)
    with pytest.warns(UserWarning, match="noise=0 explores nothing"):
        train(silent, env=Home(), steps=12, out=tmp_path / "run")
    words = [
        "train",
        "ddpg",
        "--env",
        "spread-goodai",
        "--noise",
        "0",
        "--steps",
        "1",
        "--envs",
        "1",
        "--rollout",
        "1",
    ]
    assert cli.main([*words, "--passes", "1", "--out", str(tmp_path / "more")]) == 0
    assert "noise=0 explores nothing" in capsys.readouterr().err


def test_nothing_is_learned_before_there_is_something_to_remember():
    algorithm = presets.DDPG(warm_up=2, **TINY)
    state, _, _ = learn(algorithm, Home(), updates=2)
    start, _ = play(algorithm, Home())
    for one, other in zip(*map(jax.tree.leaves, (state.learned, start.learned)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert int(state.replay.size) == 12
    after, _, _ = learn(algorithm, Home(), updates=3)
    first, last = (jax.tree.leaves(s.learned.params.actors)[0] for s in (start, after))
    assert not np.array_equal(first, last)


def test_units_are_half_ranges():
    spec = ActionSpec(low=(-1.0, 0.0), high=(3.0, 0.5))
    env = jnp.array([[3.0, 0.0], [1.0, 0.25]])
    np.testing.assert_allclose(to_unit(spec, env), [[1.0, -1.0], [0.0, 0.0]])
    np.testing.assert_allclose(of_unit(spec, to_unit(spec, env)), env)


def test_what_it_cannot_do_is_refused():
    with pytest.raises(UserError, match="expected continuous actions with finite bounds"):
        DDPG().init(Probe().spec, None, jax.random.key(0))
    with pytest.raises(UserError, match="expected room for the 400 transitions of an update"):
        DDPG(remembered=100)
    joint = presets.DDPG(sharing="joint", **TINY)
    state = joint.init(Home().spec, None, jax.random.key(0))
    assert not joint.policy(state).transfers
    three = Observation({"agents": jnp.ones((3, 1))}, {"agents": jnp.ones(3, bool)})
    with pytest.raises(UserError, match="expected 2 agents for joint actors, found 3"):
        joint.policy(state).act(three, (), jax.random.key(0))


@pytest.mark.parametrize(
    ("kind", "env", "actors", "critics"),
    [
        ("independent", {}, 4 * 14_786, 4 * 15_009),
        ("global", {"velocities": False}, 104_296, 106_113),
        ("shared", {}, 25 * 128 + 128 * 64 + 64 * 32 + 32 * 2 + 226, 27 * 100 + 5_000 + 201),
    ],
)
def test_published_networks_have_as_many_weights(kind, env, actors, critics):
    algorithm = presets.published_ddpg(kind)
    state = jax.eval_shape(
        lambda key: algorithm.init(Spread.goodai(4, ids=True, **env).spec, None, key),
        jax.random.key(0),
    )
    count = [sum(leaf.size for leaf in jax.tree.leaves(part)) for part in
             (state.learned.params.actors, state.learned.params.critics)]  # fmt: skip
    assert count == [actors, critics]
