"""Agents that communicate: who with whom, what it changes, what it must not, and for how long."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.envs import rollout
from understudy.envs.spread import Spread
from understudy.networks import partners as groups
from understudy.networks.communication import Communicating, scaled
from understudy.networks.deterministic import ActorQ, ActorsAndQs
from understudy.networks.lstm import BidirectionalLSTM
from understudy.networks.mlp import drawn
from understudy.networks.policy import NetworkPolicy
from understudy.networks.transitions import Transition
from understudy.types import Observation, UserError

SMALL = Communicating(
    hidden=(8,), thought=6, after=(5,), critic_hidden=(7,), attention=(4,), gain=1.0
)
NEAR = jnp.array(
    [[1, 2, 3, 4], [2, 0, 4, 3], [1, 3, 0, 4], [4, 2, 1, 0], [3, 5, 0, 1], [4, 3, 2, 1]]
)


def picked(initiators, near=NEAR, bandwidth=2, alive=None):
    agents = len(near)
    wants = jnp.isin(jnp.arange(agents), jnp.array(initiators, int))
    alive = jnp.ones(agents, bool) if alive is None else alive
    return np.asarray(groups.pick(wants, near, alive, bandwidth=bandwidth)).tolist()


def weights(network=SMALL, agents=4, **env):
    game = Spread.goodai(agents, **{"ids": True, **env})
    return game, network.init(game.spec, jax.random.key(0))


def seen_in(game, seed=1):
    return game.reset(jax.random.key(seed))[1]


def willing(talkers, yes):
    """With attention units that always want, or never."""
    unit = talkers.attention["agents"].net
    sure = eqx.tree_at(
        lambda u: (u.head.weight, u.head.bias),
        unit,
        (jnp.zeros_like(unit.head.weight), jnp.full_like(unit.head.bias, 50.0 if yes else -50.0)),
    )
    return eqx.tree_at(lambda t: t.attention["agents"].net, talkers, sure)


@pytest.mark.parametrize(
    ("initiators", "want"),
    [
        ([], {}),
        ([0], {0: [1, 2]}),
        # 1 initiates, so 0 prefers 2 and 3; then 1 prefers 4, whom nobody picked, to 2 and 3
        ([0, 1], {0: [2, 3], 1: [4, 2]}),
        # 3 takes those nobody picked first, 4 and 1 being new; 2 is left
        ([2, 3], {2: [1, 0], 3: [4, 1]}),
        # everybody initiates: the nearest
        (range(6), {i: NEAR[i, :2].tolist() for i in range(6)}),
    ],
)
def test_initiators_pick_whom_nobody_picked_then_the_picked_then_initiators(initiators, want):
    nobody = [-1, -1]
    assert picked(initiators) == [want.get(i, nobody) for i in range(6)]


def test_nobody_picks_itself_the_dead_or_anybody_twice():
    near = jnp.array([[0, 1, 1, 2], [1, -1, 9, 2], [0, 0, 0, 0]])
    assert picked([0, 1, 2], near, 3) == [[1, 2, -1], [2, -1, -1], [0, -1, -1]]
    alive = jnp.array([True, False, True])
    assert picked([0, 1, 2], near, 3, alive) == [[2, -1, -1], [-1] * 3, [0, -1, -1]]
    assert picked([0], NEAR[:3, :1], 3) == [[1, -1, -1], [-1] * 3, [-1] * 3]


def test_only_members_of_groups_hear_and_a_bridge_carries_on(key):
    channel = drawn(BidirectionalLSTM(3, 3, 2), key)
    thoughts, alive = jax.random.normal(key, (6, 3)), jnp.ones(6, bool)
    two = jnp.full((6, 2), -1).at[0].set(jnp.array([2, -1])).at[3].set(jnp.array([4, 2]))
    got = np.asarray(groups.integrate(channel, thoughts, two, alive))
    assert (got[[1, 5]] == 0).all()
    first = channel(thoughts[jnp.array([0, 2])], jnp.ones(2, bool))
    np.testing.assert_allclose(got[0], first[0], rtol=1e-5, atol=1e-6)
    second = channel(jnp.stack([thoughts[3], thoughts[4], first[1]]), jnp.ones(3, bool))
    np.testing.assert_allclose(got[[3, 4, 2]], second, rtol=1e-5, atol=1e-6)
    silent = groups.integrate(channel, thoughts, two, alive.at[jnp.array([0, 4, 2])].set(False))
    np.testing.assert_array_equal(silent, 0.0)


def test_gains_are_summed_over_a_group():
    values = jnp.array([[1.0, 10.0, 100.0], [2.0, 20.0, 200.0]])
    partners = jnp.array([[[2, -1], [0, 2], [-1, -1]]] * 2)
    np.testing.assert_allclose(groups.total(values, partners)[0], [101.0, 111.0, 100.0])


def test_gains_are_scaled_from_the_least_to_the_greatest():
    gains, counted = jnp.array([[3.0, -1.0, 9.0]]), jnp.array([[True, True, False]])
    share, known = scaled(gains, counted)
    np.testing.assert_allclose(share, [[1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(known, counted)
    for none in (jnp.zeros((1, 3), bool), jnp.array([[True, False, False]])):
        assert not scaled(gains, none)[1].any()


@pytest.mark.parametrize("mode", ["sample", "mode", "explore"])
def test_without_communication_and_without_initiators_actions_are_the_same(mode):
    game, talkers = weights()
    never = willing(talkers, False)
    if mode == "explore":
        silent = never.choose(seen_in(game))["agents"]
        spoke = never.choose(seen_in(game), {"agents": jnp.full((4, 3), -1)})["agents"]
        np.testing.assert_array_equal(spoke, silent)
        return
    off = dataclasses.replace(talkers, communicates=False)
    acts = []
    for network in (never, off):
        policy = NetworkPolicy.of(network, mode)
        memory = policy.memory({"agents": 4})
        acts.append(policy.act(seen_in(game), memory, jax.random.key(2))[0]["agents"])
    np.testing.assert_array_equal(*acts)
    always = NetworkPolicy.of(willing(talkers, True), mode)
    talked = always.act(seen_in(game), always.memory({"agents": 4}), jax.random.key(2))[0]
    assert not np.allclose(talked["agents"], acts[0])


def test_without_communication_it_is_a_shared_actor_that_sees_no_numbers():
    """The same weights in the plain network, which reads the same game without its ``ids``."""
    game, talkers = weights(dataclasses.replace(SMALL, activation="tanh"))
    blind = dataclasses.replace(game, observes=game.observes[:-1])
    plain = ActorQ(hidden=(8, 6, 5), critic_hidden=(7,), activation="tanh").init(
        blind.spec, jax.random.key(3)
    )
    think, decide = (getattr(talkers.actors["agents"], n).net for n in ("think", "decide"))
    first = eqx.tree_at(lambda m: m.weight, decide.layers[0], decide.layers[0].weight[:, :6])
    net = plain.actors["agents"].net
    net = eqx.tree_at(
        lambda n: (n.layers, n.head), net, ((*think.layers, think.head, first), decide.head)
    )
    plain = eqx.tree_at(lambda p: p.actors["agents"].net, plain, net)
    plain = dataclasses.replace(plain, critics=talkers.critics)
    chosen = talkers.choose(seen_in(game))
    np.testing.assert_allclose(
        chosen["agents"], plain.choose(seen_in(blind))["agents"], rtol=1e-6, atol=1e-7
    )
    np.testing.assert_allclose(
        talkers.worth(seen_in(game), chosen, chosen)["agents"],
        plain.worth(seen_in(blind), chosen, chosen)["agents"],
    )


def test_nothing_but_grouping_reads_the_numbers():
    game, talkers = weights()
    seen = seen_in(game)
    other = seen.features["agents"].at[:, -3:].set(0.0)
    blind = dataclasses.replace(seen, features={"agents": other})
    partners = {"agents": jnp.array([[1, 2, 3]] + [[-1] * 3] * 3)}
    one, two = talkers.choose(seen, partners), talkers.choose(blind, partners)
    np.testing.assert_array_equal(one["agents"], two["agents"])
    np.testing.assert_array_equal(
        talkers.worth(seen, one, one)["agents"], talkers.worth(blind, one, one)["agents"]
    )


def test_gradients_reach_both_halves_and_the_channel():
    game, talkers = weights()
    partners = {"agents": jnp.array([[1, 2, -1]] + [[-1] * 3] * 3)}

    def loss(actors):
        chosen = dataclasses.replace(talkers, actors=actors).choose(seen_in(game), partners)
        return -talkers.worth(seen_in(game), chosen, chosen)["agents"].sum()

    slope = jax.grad(loss)(talkers.actors)["agents"]
    for part in (slope.think, slope.decide, slope.channel):
        assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(part))


def test_a_decision_stands_for_a_period_and_ends_with_the_episode():
    game, talkers = weights(dataclasses.replace(SMALL, period=4), horizon=10)
    policy = NetworkPolicy.of(talkers, "sample")
    actor = rollout.begin(game, policy, jax.random.key(1), envs=8)
    rows = rollout.collect(game, policy, actor, jax.random.key(2), steps=20)[1]
    kept = np.asarray(rows.kept["agents"])  # time envs agents bandwidth
    changed = (kept[1:] != kept[:-1]).any((1, 2, 3))
    assert (np.flatnonzero(changed) + 1).tolist() == [4, 8, 10, 14, 18]
    assert len(np.unique(kept[0].reshape(8, -1), axis=0)) > 1


@pytest.mark.parametrize("agents", [2, 12, 80])
def test_it_runs_with_other_numbers_of_agents(agents):
    _, talkers = weights()
    game = Spread.goodai(agents, ids=True, landmarks=max(4, agents))
    policy = NetworkPolicy.of(willing(talkers, True), "mode")
    memory = policy.memory({"agents": agents})
    act = jax.jit(lambda policy, *rest: policy.act(*rest))
    action, memory = act(policy, seen_in(game), memory, jax.random.key(0))
    assert action["agents"].shape == (agents, 2)
    partners = np.asarray(memory.partners["agents"])
    assert partners.shape == (agents, 3)
    assert (partners != np.arange(agents)[:, None]).all()
    assert ((partners >= 0).sum(1) == min(3, agents - 1)).all()
    assert (policy.transfers, policy.decentralised) == (True, False)


class Judge(ActorsAndQs):
    """An action is worth its sum in agents of the first kind, and minus that in the second."""

    def worth(self, observation, own, others):
        kind = observation.features["agents"][..., 0]
        return {"agents": (kind * own["agents"].sum(-1))[None]}


def test_attention_learns_who_gains_and_who_loses():
    """Probabilities rise for agents whose groups gain, and fall for those whose groups lose."""
    _, talkers = weights()
    judge = Judge({}, {}, None, talkers.spec, "own", "shared")
    kind = jnp.where(jnp.arange(64) % 2 == 0, 1.0, -1.0)
    x = jnp.zeros((64, 4, 25)).at[..., 0].set(kind[:, None])
    seen = Observation({"agents": x}, {"agents": jnp.ones((64, 4), bool)})
    kept = {"agents": jnp.full((64, 4, 3), -1).at[:, 0].set(jnp.array([1, 2, 3]))}
    rows = Transition(seen, seen, None, None, None, None, kept)
    rows_gain = talkers.gains(judge, rows)["agents"][:2, 0]
    better, worse = int(jnp.argmax(rows_gain)), int(jnp.argmin(rows_gain))

    def probabilities(attention):
        thoughts = talkers.thoughts(seen, talkers.spec.groups[0])
        return jax.nn.sigmoid(attention["agents"].step(thoughts, None)[0][:2, 0, 0])

    @jax.jit
    def step(attention):
        slope, said = jax.grad(talkers.attention_loss, has_aux=True)(attention, judge, rows)
        return jax.tree.map(lambda w, g: w - 0.5 * g, attention, slope), said

    attention = talkers.attention
    before = probabilities(attention)
    for _ in range(200):
        attention, said = step(attention)
    after = probabilities(attention)
    assert float(rows_gain[better]) > 0 > float(rows_gain[worse])
    assert float(after[better]) > 0.9 > 0.6 > float(before[better])
    assert float(after[worse]) < 0.1 < 0.4 < float(before[worse])
    assert float(said["initiators"]) == pytest.approx(0.25)


def test_an_env_says_where_numbers_are():
    group = Spread.goodai(5, ids=True).spec.groups[0]
    assert (len(group.features), group.numbers) == (25, (22, 23, 24))
    assert Spread.goodai(5).spec.groups[0].numbers == ()


def test_an_env_without_numbers_is_refused():
    with pytest.raises(UserError, match=r"observe the numbers of the agents it sees.*ids=true"):
        weights(ids=False)
    game, talkers = weights(dataclasses.replace(SMALL, communicates=False), ids=False)
    assert talkers.decentralised
    assert talkers.choose(seen_in(game))["agents"].shape == (4, 2)
