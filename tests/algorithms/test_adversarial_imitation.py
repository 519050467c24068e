"""Adversarial imitation: where rewards come from, what they are for, and what it can learn."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import Probe, play
from understudy.algorithms import presets
from understudy.algorithms.adversarial import Adversarial
from understudy.algorithms.stages import Stages
from understudy.envs import experts, rollout
from understudy.envs.xor import Xor
from understudy.experiment.collect import collect
from understudy.functional.adversarial import OBJECTIVES
from understudy.networks import cloning
from understudy.networks.discriminators import MLPDiscriminator, TransformerDiscriminator
from understudy.networks.entries import Entries, distance, flat
from understudy.types import (
    ActionSpec,
    Batch,
    Group,
    Observation,
    Spec,
    Step,
    UserError,
    Window,
    hyperparameters,
)

OPTIMISER = presets.IPPO(hidden=(8,), envs=4, rollout=6, minibatches=2, epochs=2)
SMALL: dict[str, Any] = {
    "discriminator": MLPDiscriminator(hidden=(8,)), "passes": 2, "minibatch": 12
}  # fmt: skip


def shown(rows: Any) -> Window:
    """Rows of a rollout as demonstrations, windows of one row."""
    flat = jax.tree.map(
        lambda leaf: leaf.reshape(-1, 1, *leaf.shape[2:]), (rows.observation, rows.action)
    )
    none = jnp.zeros((*flat[0].alive["agents"].shape[:2],), bool)
    return Window(flat[0], none, none, flat[0].alive, flat[1])


@functools.lru_cache
def played() -> Any:
    """A state, rows of its policy and demonstrations by chance, in the probe game."""
    algorithm = Adversarial(OPTIMISER, **SMALL)
    state, rows = play(algorithm, Probe())
    _, others = play(algorithm, Probe(), seed=1)
    return algorithm, state, rows, shown(others)


@jax.jit
def update(algorithm: Any, state: Any, rows: Any, window: Any, step: Any) -> Any:
    return algorithm.update(state, Batch(rows, window), step, jax.random.key(3))


@jax.jit
def rewards(algorithm: Any, state: Any, observation: Any, action: Any) -> Any:
    made = state.inputs(observation, action)
    return algorithm.rewards(state, made, observation.alive)["agents"]


def same(one: Any, other: Any) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_the_reward_of_the_env_plays_no_part():
    algorithm, state, rows, window = played()
    paid = dataclasses.replace(rows, reward={"agents": rows.reward["agents"] * 7.0 + 100.0})
    first, metrics = update(algorithm, state, rows, window, jnp.int32(0))
    second, others = update(algorithm, state, paid, window, jnp.int32(0))
    assert same(first, second)
    assert float(metrics["reward"]) == pytest.approx(float(rows.reward["agents"].mean()), rel=1e-5)
    assert float(others["reward"]) > 90
    assert float(metrics["learned_reward"]) == float(others["learned_reward"])


def test_a_reward_is_of_the_action_of_its_own_step():
    algorithm, state, rows, _ = played()
    before = rewards(algorithm, state, rows.observation, rows.action)
    changed = rows.action["agents"].at[2, 1, 0, 1].add(0.5)
    after = rewards(algorithm, state, rows.observation, {"agents": changed})
    moved = np.argwhere(np.asarray(before != after))
    np.testing.assert_array_equal(moved, [[2, 1, 0]])


def test_standardised_rewards_have_no_sign_to_stay_or_leave_for():
    """The same scores, all 5 higher, teach the policy the same, and something else as they are."""
    _, state, rows, window = played()
    net = state.discriminator.nets["agents"]
    bias = net.layers[-1].bias
    high = eqx.tree_at(lambda s: s.discriminator.nets["agents"].layers[-1].bias, state, bias + 5.0)
    for standardise, alike in ((True, True), (False, False)):
        algorithm = Adversarial(
            OPTIMISER, reward="logit", learning_rate=0.0, standardise=standardise, **SMALL
        )
        one, other = (
            update(algorithm, before, rows, window, jnp.int32(0))[0].optimiser.params
            for before in (state, high)
        )
        pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
        assert all(np.allclose(a, b, atol=1e-4) for a, b in pairs) is alike


def test_who_is_not_alive_has_no_reward_and_teaches_nothing():
    algorithm, state, rows, window = played()
    alive = rows.observation.alive["agents"].at[..., 1].set(False)

    def only_first(observation):
        return dataclasses.replace(observation, alive={"agents": alive})

    gone = dataclasses.replace(
        rows,
        observation=only_first(rows.observation),
        observation_next=only_first(rows.observation_next),
    )
    assert not np.any(rewards(algorithm, state, gone.observation, gone.action)[..., 1])
    else_done = gone.action["agents"].at[..., 1, 1].set(-1.0)
    other = dataclasses.replace(gone, action={"agents": else_done})
    seen = dataclasses.replace(window.observation, alive={"agents": alive.reshape(-1, 1, 2)})
    window = dataclasses.replace(window, observation=seen)
    one, _ = update(algorithm, state, gone, window, jnp.int32(0))
    two, _ = update(algorithm, state, other, window, jnp.int32(0))
    assert same(one.discriminator, two.discriminator)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_any_objective_takes_actions_at_their_bounds(objective):
    algorithm = Adversarial(OPTIMISER, objective=objective, noise=0.1, **SMALL)
    _, state, rows, window = played()
    edge = {"agents": rows.action["agents"].at[..., 1].set(1.0)}
    rows = dataclasses.replace(rows, action=edge)
    state, metrics = update(algorithm, state, rows, window, jnp.int32(0))
    for leaf in jax.tree.leaves((state, metrics)):
        assert np.all(np.isfinite(leaf))
    assert metrics["reward_histogram/agents"].shape == (2, 40)
    np.testing.assert_allclose(metrics["reward_histogram/agents"].sum(-1), 1.0, rtol=1e-5)


def test_it_warms_up_and_remembers_as_long_as_asked():
    algorithm = Adversarial(OPTIMISER, warm_up=2, remembered=3, **SMALL)
    _, _, rows, window = played()
    state, _ = play(algorithm, Probe())
    sizes, learned = [], []
    for step in range(4):
        after, _ = update(algorithm, state, rows, window, jnp.int32(step))
        assert not same(after.discriminator, state.discriminator)
        sizes.append(int(after.replay.size))
        learned.append(not same(after.optimiser, state.optimiser))
        state = after
    assert learned == [False, False, True, True]
    assert sizes == [24, 48, 72, 72]


def test_a_policy_that_also_clones_makes_what_was_shown_more_likely():
    _, _, rows, window = played()
    alone, both = (
        Adversarial(dataclasses.replace(OPTIMISER, cloning_weight=weight), **SMALL)
        for weight in (0.0, 10.0)
    )
    told = []
    for algorithm in (alone, both):
        state = algorithm.init(Probe().spec, None, jax.random.key(0))
        for step in range(3):
            state, metrics = update(algorithm, state, rows, window, jnp.asarray(step))
        told.append(-float(cloning.loss(state.optimiser.params, window)[0]))
    assert told[1] > told[0] + 0.02
    assert "demonstrated_log_prob" in metrics


def test_who_clones_alone_needs_something_to_clone():
    optimiser = dataclasses.replace(OPTIMISER, cloning_weight=1.0)
    state, rows = play(optimiser, Probe())
    with pytest.raises(UserError, match="expected demonstrations to clone with a weight of 1"):
        optimiser.update(state, Batch(rows), jnp.asarray(0), jax.random.key(0))


def test_every_minibatch_needs_something_to_clone():
    _, _, _, window = played()
    optimiser = dataclasses.replace(OPTIMISER, cloning_weight=1.0)
    state, rows = play(optimiser, Probe())
    one = jax.tree.map(lambda leaf: leaf[:1], window)
    with pytest.raises(UserError, match="a demonstrated row for each of 2 minibatches, found 1"):
        optimiser.update(state, Batch(rows, one), jnp.asarray(0), jax.random.key(0))


def test_a_discriminator_cannot_win_on_how_actions_are_written():
    """Demonstrations of the policy itself: after many steps it still cannot tell."""
    algorithm = Adversarial(
        presets.IPPO(hidden=(8,), envs=64, rollout=16), MLPDiscriminator(hidden=(32,)),
        passes=100, minibatch=64, learning_rate=1e-3,
    )  # fmt: skip
    state, rows = play(algorithm, Probe())
    _, others = play(algorithm, Probe(), seed=1)  # fresh weights act almost alike

    def entries(rows):
        alive = rows.observation.alive
        return flat(Entries(state.inputs(rows.observation, rows.action), alive, alive))

    @jax.jit
    def learn(state, key):
        at = jax.random.randint(key, (6_400,), 0, 1_024)
        theirs = jax.tree.map(lambda leaf: leaf[at], entries(others))
        return algorithm.discriminate(state, entries(rows), theirs, jnp.int32(0), key)

    _, metrics = learn(state, jax.random.key(1))
    assert 0.35 < float(metrics["expert_accuracy"]) < 0.65
    assert 0.35 < float(metrics["policy_accuracy"]) < 0.65


def test_one_side_wins_what_the_other_loses():
    spec = Spec(
        (Group("cats", 1, 2, ActionSpec((2,))), Group("mice", 2, 3, ActionSpec((2,)))), horizon=5
    )
    algorithm = presets.MAGAIL(
        "zero_sum", cloning=0, optimiser=OPTIMISER, reward="logit",
        discriminator=MLPDiscriminator(reads="team", outputs="one", hidden=(8,)),
    )  # fmt: skip
    assert algorithm.opposed
    state = jax.jit(lambda key: algorithm.init(spec, None, key))(jax.random.key(0))
    seen = Observation(
        {"cats": jnp.ones((4, 1, 2)), "mice": jnp.ones((4, 2, 3))},
        {"cats": jnp.ones((4, 1), bool), "mice": jnp.ones((4, 2), bool)},
    )
    acted = {"cats": jnp.zeros((4, 1, 1)), "mice": jnp.ones((4, 2, 1))}
    found = jax.jit(lambda s: algorithm.rewards(s, s.inputs(seen, acted), seen.alive))(state)
    np.testing.assert_allclose(found["mice"][:, 0], -found["cats"][:, 0])
    with pytest.raises(UserError, match="groups that play against each other"):
        algorithm.init(Probe().spec, None, jax.random.key(0))


def test_distances_by_hand():
    """Two agents, two numbers each: apart by (3, 4) and (0, 0), root mean squares by hand."""
    spec = Spec((Group("agents", 2, 2, ActionSpec((2,))),))
    alive = {"agents": jnp.ones((1, 2), bool)}
    one = Entries({"agents": jnp.zeros((1, 2, 2))}, alive, alive)
    two = Entries({"agents": jnp.array([[[3.0, 4.0], [0.0, 0.0]]])}, alive, alive)
    np.testing.assert_allclose(distance(spec, one, two, "own"), [[12.5**0.5, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(distance(spec, one, two, "joint"), [[2.5, 2.5]], rtol=1e-6)


@pytest.mark.parametrize("omega", ["hinge", "square"])
def test_a_network_between_two_points_ends_a_margin_beyond_their_distance(omega):
    spec = Spec((Group("agents", 1, 1, ActionSpec((), (-1.0,), (1.0,))),))
    algorithm = Adversarial(
        OPTIMISER, MLPDiscriminator(hidden=(16,)), objective="wail", omega=omega, passes=600,
        minibatch=4, learning_rate=3e-3,
    )  # fmt: skip
    state = jax.jit(lambda key: algorithm.init(spec, None, key))(jax.random.key(0))
    alive = {"agents": jnp.ones((8, 1), bool)}

    def at(place):
        return Entries({"agents": jnp.broadcast_to(jnp.array(place), (8, 1, 2))}, alive, alive)

    ours, theirs = at([0.0, 0.0]), at([0.6, 0.8])  # root mean square 1/√2 apart
    theirs = jax.tree.map(
        lambda leaf: jnp.tile(leaf[:1], (2400, 1) + (1,) * (leaf.ndim - 2)), theirs
    )
    key, step = jax.random.key(1), jnp.int32(0)
    run = jax.jit(lambda s: algorithm.discriminate(s, ours, theirs, step, key))
    _, metrics = run(state)
    state, _ = run(run(run(state)[0])[0])
    gap = jax.jit(
        lambda s: (
            s.discriminator.scores(theirs.inputs, theirs.alive)["agents"][0, 0]
            - s.discriminator.scores(ours.inputs, ours.alive)["agents"][0, 0]
        )
    )(state)
    assert float(gap) == pytest.approx(0.5**0.5 + 2 * 0.05, rel=0.02)
    assert float(metrics["violations"]) > 0


@hyperparameters
class Stay:
    """Choice 1 ends the game, choice 0 goes on; nothing is paid."""

    @property
    def spec(self):
        return Spec((Group("agents", 1, 1, ActionSpec((2,))),), horizon=20)

    def reset(self, key):
        return jnp.zeros((), jnp.int32), self.observe()

    def observe(self):
        return Observation({"agents": jnp.ones((1, 1))}, {"agents": jnp.ones(1, bool)})

    def step(self, state, action, key):
        over = action["agents"][0, 0] > 0.5
        cut = (state + 1 >= 20) & ~over
        return state + 1, Step(self.observe(), action, {"agents": jnp.zeros(1)}, over, cut)


@pytest.mark.slow
@pytest.mark.parametrize(("reward", "stays"), [("softplus", True), ("neg", False)])
def test_rewards_of_one_sign_are_for_staying_or_for_leaving(reward, stays):
    """A discriminator that never learns gives the same score always; the sign decides."""
    algorithm = Adversarial(
        presets.IPPO(hidden=(8,), envs=16, rollout=16, minibatches=1, entropy=0.0),
        MLPDiscriminator(hidden=(8,)), reward=reward, learning_rate=0.0, passes=2, minibatch=128,
    )  # fmt: skip
    env = Stay()
    state, rows = play(algorithm, env)
    window = shown(rows)

    @jax.jit
    def train(state, key):
        actor = rollout.begin(env, algorithm.policy(state, "explore"), key, envs=16)

        def one(carry, step):
            state, actor = carry
            own = jax.random.fold_in(key, step)
            policy = algorithm.policy(state, "explore")
            actor, rows = rollout.collect(env, policy, actor, own, steps=16)
            state, _ = algorithm.update(state, Batch(rows, window), step, own)
            return (state, actor), rows.action["agents"].mean()

        return jax.lax.scan(one, (state, actor), jnp.arange(40))[1]

    leaving = train(state, jax.random.key(5))
    assert float(leaving[0]) == pytest.approx(0.5, abs=0.15)
    assert (float(leaving[-1]) < 0.1) if stays else (float(leaving[-1]) > 0.9)


def test_presets_are_their_parts():
    magail, single = presets.MAGAIL(), presets.MAGAIL("single", cloning=0)
    assert isinstance(magail, Stages)
    assert [type(a).__name__ for a, _ in magail.stages] == ["BC", "Adversarial"]
    assert (magail.handover, magail.stretch) == ("copy_policy", "last")
    assert magail.stages[0][0].network == magail.stages[1][0].optimiser.network
    assert single.discriminator == MLPDiscriminator(reads="team", outputs="one")
    mild, alone = presets.MILD2(cloning=0), presets.MILD2GD(cloning=0)
    assert (mild.objective, mild.discriminator) == ("wail", TransformerDiscriminator())
    assert alone == dataclasses.replace(
        mild, discriminator=TransformerDiscriminator(mask="diagonal")
    )
    assert [a.title for a in (single, mild, alone)] == ["MAGAIL (single)", "MILD²", "MILD²-GD"]
    assert presets.GAIL(cloning=0).optimiser.network.sharing == "joint"


def test_what_does_not_go_together_is_refused():
    with pytest.raises(UserError, match="an objective with labels to smooth"):
        Adversarial(OPTIMISER, objective="wail", smoothing=0.1)
    with pytest.raises(UserError, match="expected bce or lsgan"):
        Adversarial(OPTIMISER, objective="wail", opposed=True)
    with pytest.raises(UserError, match="expected passes above 0"):
        Adversarial(OPTIMISER, passes=0)


@pytest.mark.slow
def test_only_a_discriminator_of_the_team_can_tell_agents_that_differ_by_agreement():
    """The expert of Xor plays (0, 1) or (1, 0), so each agent looks like a coin (2 seeds)."""
    demos = collect(Xor(), experts.xor(Xor()), episodes=500, seed=0)
    played = np.asarray(demos.actions["agents"])[demos.known_actions()["agents"].all(1)]
    spec = Xor().spec
    table = Window(
        Observation(
            {"agents": jnp.ones((len(played), 1, 2, 1))},
            {"agents": jnp.ones((len(played), 1, 2), bool)},
        ),
        jnp.zeros((len(played), 1), bool),
        jnp.zeros((len(played), 1), bool),
        {"agents": jnp.ones((len(played), 1, 2), bool)},
        {"agents": jnp.asarray(played)[:, None]},
    )
    optimiser = presets.IPPO(
        hidden=(8,), sharing="independent", envs=64, rollout=4, minibatches=1, entropy=0.02
    )

    @functools.partial(jax.jit, static_argnames="reads")
    def success(seed, *, reads):
        algorithm = Adversarial(
            optimiser, MLPDiscriminator(reads=reads, hidden=(32,)), reward="logit", passes=2,
            minibatch=256, learning_rate=3e-3,
        )  # fmt: skip
        key, env = jax.random.key(seed), Xor()
        state = algorithm.init(spec, None, key)
        actor = rollout.begin(env, algorithm.policy(state, "explore"), key, envs=64)

        def one(carry, step):
            state, actor = carry
            own = jax.random.fold_in(key, step)
            policy = algorithm.policy(state, "explore")
            actor, rows = rollout.collect(env, policy, actor, own, steps=4)
            at = jax.random.randint(own, (512,), 0, len(played))
            window = jax.tree.map(lambda leaf: leaf[at], table)
            state, _ = algorithm.update(state, Batch(rows, window), step, own)
            return (state, actor), rows.reward["agents"].mean()

        return jax.lax.scan(one, (state, actor), jnp.arange(300))[1][-30:].mean()

    for seed in range(2):
        assert float(success(seed, reads="team")) > 0.95
        assert 0.35 < float(success(seed, reads="own")) < 0.65


def test_weights_of_the_discriminator_decay_and_biases_do_not():
    algorithm, state, rows, window = played()
    half = jax.tree.map(lambda leaf: leaf[:12], window)
    plain = dataclasses.replace(algorithm, passes=1)
    decaying = dataclasses.replace(plain, weight_decay=0.5 / plain.learning_rate)
    after, less = (
        update(a, state, rows, half, jnp.int32(0))[0].discriminator for a in (plain, decaying)
    )
    moved = dict(jax.tree_util.tree_leaves_with_path(after))
    old = dict(jax.tree_util.tree_leaves_with_path(state.discriminator))
    for path, leaf in jax.tree_util.tree_leaves_with_path(less):
        share = 0.5 if jax.tree_util.keystr(path).endswith("weight") else 0.0
        np.testing.assert_allclose(leaf, moved[path] - share * old[path], atol=1e-6)
