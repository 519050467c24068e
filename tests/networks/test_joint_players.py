"""One actor and one critic that read all agents of a group and answer for all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home, Whisper
from probes import learn
from understudy.algorithms import presets
from understudy.envs.xor import Xor
from understudy.networks.actor_critic import ActorCritic
from understudy.networks.policy import ActedRows
from understudy.types import ActionSpec, Group, Observation, Spec, UserError

SPEC = Spec((Group("agents", 3, 2, ActionSpec((4,), (-1.0,), (1.0,))),))
GROUP = SPEC.groups[0]


act = jax.jit(lambda team, seen, memory: team.act(seen, memory, jax.random.key(0), "mode"))


def scene(number=1, second_alive=True):
    features = jax.random.normal(jax.random.key(number), (3, 2))
    return Observation({"agents": features}, {"agents": jnp.array([True, second_alive, True])})


def changed(seen):
    """The second agent sees something else."""
    return Observation({"agents": seen.features["agents"].at[1].add(1.0)}, seen.alive)


def aims(team, seen):
    """Continuous part of what agents would do."""
    return act(team, seen, team.memory({"agents": 3}, "mode"))[0]["agents"][:, 1]


@pytest.fixture(scope="module", params=[0, 8], ids=["plain", "memory"])
def team(request):
    config = ActorCritic(hidden=(8,), sharing="joint", recurrent=request.param, gain=1.0)
    return jax.jit(lambda key: config.init(SPEC, key))(jax.random.key(0))


def test_what_an_agent_does_depends_on_what_others_see(team):
    plain, other = aims(team, scene()), aims(team, changed(scene()))
    assert (np.abs(plain - other) > 1e-6).all()
    assert len(np.unique(np.asarray(plain))) == 3, "agents have heads of their own"
    assert not team.decentralised
    assert not team.transfers


def test_the_dead_are_not_read(team):
    seen = scene(second_alive=False)
    np.testing.assert_array_equal(aims(team, seen), aims(team, changed(seen)))
    assert (np.abs(aims(team, seen) - aims(team, scene())) > 1e-6).all()


def test_rows_are_read_as_they_were_acted_in(team):
    """Row after row as in a game, or all rows at once; the game starts again in row 2."""
    rows = jax.tree.map(lambda *x: jnp.stack(x), *map(scene, range(4)))
    starts = jnp.array([True, False, True, False])
    begin = memory = team.memory({"agents": 3}, "mode")
    one_by_one = []
    for t in range(4):
        memory = begin if starts[t] else memory
        seen = jax.tree.map(lambda leaf, t=t: leaf[t], rows)
        action, memory = act(team, seen, memory)
        one_by_one.append(action["agents"])
    before = jax.tree.map(lambda leaf: leaf[None], begin)
    batch = jax.tree.map(lambda leaf: leaf[:, None], rows)
    acted = ActedRows(batch, {}, starts[:, None], before)
    together = jax.jit(lambda team, acted: team.distributions(GROUP, acted).mode())(team, acted)
    np.testing.assert_allclose(together[:, 0], one_by_one, atol=1e-5)


def test_gradients_flow_to_every_weight(team):
    rows = jax.tree.map(lambda leaf: leaf[None, None], scene())
    before = jax.tree.map(lambda leaf: leaf[None], team.memory({"agents": 3}, "explore"))
    action = {"agents": jnp.full((1, 1, 3, 2), 0.5).at[..., 0].set(2.0)}
    acted = ActedRows(rows, action, jnp.ones((1, 1), bool), before)

    def total(team):
        found = team.evaluate(acted)
        return found.log_probs["agents"].sum() + jnp.square(found.value["agents"]).sum()

    gradient = jax.jit(jax.grad(total))(team)
    for part in (gradient.actors, gradient.critics, gradient.stds):
        for path, leaf in jax.tree_util.tree_flatten_with_path(part)[0]:
            if "hidden_weight" not in jax.tree_util.keystr(path):  # memory is 0 in a first row
                assert float(jnp.abs(leaf).max()) > 0, jax.tree_util.keystr(path)


@pytest.mark.parametrize("critic", ["own", "central"])
def test_the_critic_gives_each_agent_a_value_and_reads_what_it_should(critic):
    """With a state of 5 a central critic reads 3 agents' 2 features and it."""
    spec = Spec(SPEC.groups, state=5)
    config = ActorCritic(hidden=(8,), sharing="joint", critic=critic)
    team = jax.jit(lambda key: config.init(spec, key))(jax.random.key(0))
    assert team.critics["agents"].net.layers[0].weight.shape[1] == (6 if critic == "own" else 11)
    seen = Observation(scene().features, scene().alive, state=jnp.ones(5))
    other = Observation(seen.features, seen.alive, state=jnp.zeros(5))
    rows = ActedRows(seen, {}, jnp.ones(1, bool), ())
    one, two = (team.values_next(rows, o)["agents"] for o in (seen, other))
    assert one.shape == (3,)
    assert len(np.unique(np.asarray(one))) == 3
    assert bool((one != two).all()) == (critic == "central")


def test_a_group_reads_the_actions_it_sees(key):
    """One listener of one feature, and the one number it is told."""
    spec = Whisper().spec
    config = ActorCritic(hidden=(8,), sharing="joint")
    team = jax.jit(lambda key: config.init(spec, key))(key)
    assert team.actors["listener"].net.layers[0].weight.shape == (8, 2)
    one = {"speaker": jnp.ones((1, 1)), "listener": jnp.ones((1, 1))}
    alive = {"speaker": jnp.ones(1, bool), "listener": jnp.ones(1, bool)}
    assert act(team, Observation(one, alive), ())[0]["listener"].shape == (1, 1)


def test_ppo_runs_with_memory():
    algorithm = presets.MAPPO(
        sharing="joint", hidden=(8,), recurrent=8, envs=4, rollout=4, minibatches=2, epochs=1
    )
    assert algorithm.title == "joint PPO"
    _, metrics, _ = learn(algorithm, Home(), updates=2)
    assert np.isfinite(metrics["loss"]).all()


@pytest.mark.slow
def test_a_joint_actor_learns_that_agents_have_to_differ():
    algorithm = presets.MAPPO(
        sharing="joint", hidden=(16,), envs=64, rollout=4, minibatches=1, entropy=0.0,
        learning_rate=1e-2,
    )  # fmt: skip
    _, metrics, _ = learn(algorithm, Xor(), updates=60)
    assert float(metrics["success"][0]) < 0.7
    assert float(metrics["success"][-1]) > 0.95


def test_another_number_of_agents_is_refused(team):
    seen = Observation({"agents": jnp.zeros((4, 2))}, {"agents": jnp.ones(4, bool)})
    with pytest.raises(UserError, match="expected 3 agents for joint actors, found 4"):
        team.act(seen, team.memory({"agents": 4}, "mode"), jax.random.key(0), "mode")


def test_agents_that_improve_in_turn_have_actors_of_their_own():
    with pytest.raises(UserError, match="actors of their own"):
        presets.HAPPO(sharing="joint")
