"""Planners on games whose best plans are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.algorithms.planning import Planner
from understudy.envs import assign, rollout
from understudy.functional.outcomes import beyond, lasting, together
from understudy.networks.segment_policy import FromPrior, SegmentPolicy, imagine
from understudy.networks.segments import Layout, SegmentSizes
from understudy.types import ActionSpec, Group, Observation, Spec, UserError

LINE = ActionSpec(low=(-5.0,), high=(5.0,))
SPEC = Spec((Group("x", 1, 1, LINE), Group("y", 1, 1, LINE)), horizon=6)
SADDLE = np.linalg.solve([[-2.0, 0.6], [0.6, 2.0]], [-2.0, -1.0])


class Moves:
    """Each agent's latent is its move; with `mixed` they also turn the other's."""

    layout = Layout(SPEC)

    def __init__(self, length=1, mixed=0.0):
        self.sizes, self.mixed = SegmentSizes(1, length, (1, 1), 0), mixed

    def prior_moments(self, past):
        return jnp.zeros(2), jnp.ones(2)

    def decode(self, past, z):
        moves = z + self.mixed * z[::-1]
        steps = jnp.broadcast_to(moves, (self.sizes.length, 2))
        return steps, past[-1:] + jnp.cumsum(steps, 0)


def quadratic(features):
    """-(x - 1)² + (y + ½)² + 0.6 x y for x, the negative for y."""
    x, y = features["x"][..., 0], features["y"][..., 0]
    value = -jnp.square(x - 1) + jnp.square(y + 0.5) + 0.6 * x * y
    return {"x": value, "y": -value}


def near(features):
    """Both want x + y to be 3."""
    apart = -jnp.square(features["x"][..., 0] + features["y"][..., 0] - 3.0)
    return {"x": apart, "y": apart}


def planned(planner, model, reward, seed=0, agents=(("x", 0),)):
    policy = planner.policy(model, reward, agents)
    past, before = jnp.zeros((1, 2)), jnp.zeros((planner.segments, 2))
    choose = jax.jit(lambda key: policy.choose(model, past, before, key))
    noise = choose(jax.random.key(seed))
    return imagine(model, past, noise)[0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_best_responses_meet_in_the_saddle(seed):
    planner = Planner(method="best_response", mode="worst", segments=1, iterations=400)
    found = planned(planner, Moves(), quadratic, seed)
    np.testing.assert_allclose(found[0], SADDLE, atol=1e-3)
    # latents that also turn the other's action do not find it
    entangled = planned(planner, Moves(mixed=1.5), quadratic, seed)
    assert np.abs(np.asarray(entangled[0]) - SADDLE).max() > 0.1


@pytest.mark.parametrize("method", ["adam", "cem", "mppi"])
def test_searching_beats_drawing(method):
    sizes = {"segments": 2, "candidates": 20, "others": 1}
    goal = functools.partial(planned, model=Moves(), reward=near)
    drawn = goal(Planner(method="shooting", **sizes))
    found = goal(Planner(method=method, iterations=60, **sizes))

    def worth(moves):
        return -float(np.square(np.cumsum(np.asarray(moves), 0).sum(-1) - 3.0).sum())

    assert worth(found) > worth(drawn) + 0.01
    assert worth(found) > -0.05


def test_attitudes_count_the_others_differently():
    returns = jnp.asarray([[4.0, 1.0, 3.0, 2.0, 0.0]])
    found = {a: float(together(returns, a, 0.4)[0]) for a in ("best", "mean", "worst", "cvar")}
    assert found == {"best": 4.0, "mean": 2.0, "worst": 0.0, "cvar": 0.5}


def test_against_the_worst_one_plays_safe_and_with_the_best_one_hopes():
    def risky(features):
        x, y = features["x"][..., 0], features["y"][..., 0]
        return {"x": x * y - 0.1 * jnp.square(x), "y": x * y}

    sizes = {"segments": 1, "candidates": 30, "others": 30, "iterations": 40}
    bold = planned(Planner(mode="best", **sizes), Moves(), risky)
    safe = planned(Planner(mode="worst", **sizes), Moves(), risky)
    assert abs(float(safe[0, 0])) < 0.2
    assert abs(float(bold[0, 0])) > 2.0


def test_a_plan_is_never_worse_than_its_first_draws():
    planner = Planner(segments=1, candidates=5, others=3, iterations=5, learning_rate=50.0)
    policy = planner.policy(Moves(), near, [("x", 0)])
    search, past = policy.choose, jnp.zeros((1, 2))
    own = jax.random.normal(jax.random.key(3), (5, 1, 2))
    others = jax.random.normal(jax.random.key(4), (3, 1, 2))
    after, _ = search._searched(Moves(), past, own, others, jax.random.key(5))
    before, found = (
        search.worth(x, search.returns(Moves(), past, x, others)) for x in (own, after)
    )
    assert (np.asarray(found) >= np.asarray(before) - 1e-6).all()


class Line:
    """A game in which moves add up."""

    spec = SPEC

    def observe(self, places):
        return Observation(
            {"x": places[None, :1], "y": places[None, 1:]},
            {"x": jnp.ones(1, bool), "y": jnp.ones(1, bool)},
        )

    def play(self, policy, keys):
        places, memory, met = jnp.zeros(2), policy.memory({"x": 1, "y": 1}), []
        for key in keys:
            action, memory = policy.act(self.observe(places), memory, key)
            move = jnp.concatenate([action["x"][:, 0], action["y"][:, 0]])
            places, met = places + move, [*met, move]
        return jnp.stack(met)


def test_a_segment_is_played_to_its_end_and_then_chosen_anew():
    policy = SegmentPolicy(Moves(length=3), FromPrior(), 2)
    moves = Line().play(policy, jax.random.split(jax.random.key(0), 6))
    same = np.asarray(jnp.isclose(moves[1:], moves[:-1]).all(1))
    assert same.tolist() == [True, False, True, False, True]


def test_games_side_by_side_plan_as_each_would_alone():
    planner = Planner(segments=2, candidates=4, others=3, iterations=3)
    policy = planner.policy(Moves(length=2), near, [("x", 0)])
    places = jnp.asarray([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]])
    seen = jax.vmap(Line().observe)(places)
    memory = rollout.blank(policy, seen, 3)
    memory = {**memory, "at": jnp.asarray([-1, 1, 2], jnp.int32)}
    keys = jax.random.split(jax.random.key(0), 3)
    many, kept = jax.vmap(policy.act)(seen, memory, keys)
    for i in range(3):
        own = jax.tree.map(lambda leaf: leaf[i], (seen, memory, keys))  # noqa: B023
        one, alone = policy.act(*own)
        np.testing.assert_allclose(one["x"], many["x"][i], atol=1e-5)
        np.testing.assert_allclose(alone["noise"], kept["noise"][i], atol=1e-5)


def test_a_planner_plays_beside_anybody():
    planner = Planner(segments=1, candidates=4, others=3, iterations=1)
    policy = planner.policy(Moves(), near, [("x", 0)])
    team = assign(SPEC, {("x", 0): policy, ("y", 0): SegmentPolicy(Moves(), FromPrior(True), 1)})
    moves = Line().play(team, jax.random.split(jax.random.key(0), 2))
    assert (np.asarray(moves[:, 1]) == 0).all()
    assert (np.asarray(moves[:, 0]) != 0).all()


def test_an_event_is_to_come_as_long_as_it_has_not():
    before, now = lasting(jnp.asarray([0.5, 0.5, 1.0, 0.3]))
    np.testing.assert_allclose(before, [1.0, 0.5, 0.25, 0.0])
    np.testing.assert_allclose(now, [0.5, 0.25, 0.25, 0.0])
    assert float(beyond(jnp.asarray(0.0), 0.1)) == 0.5


def test_what_cannot_be_planned_is_said():
    with pytest.raises(UserError, match="expected mode 'worst' with 'best_response'"):
        Planner(method="best_response")
    with pytest.raises(UserError, match="expected agents among"):
        Planner().policy(Moves(), near, [("z", 0)])
    with pytest.raises(UserError, match="expected to execute 1 to 1 steps, found 2"):
        Planner().policy(Moves(), near, [("x", 0)], execute=2)
