"""What a planner expects is drawn over what happens."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from understudy import envs, experts
from understudy.algorithms.planning import Planner
from understudy.algorithms.segments import SegmentVAE
from understudy.envs import rollout
from understudy.envs.box_bumper import BoxBumper
from understudy.envs.policies import expected
from understudy.envs.predator_prey import PredatorPrey, chase
from understudy.visualise.films import record
from understudy.visualise.rollouts import frames

HUNT = PredatorPrey(horizon=8)
PLANNER = Planner(method="shooting", mode="worst", segments=3, candidates=2, others=2)


def hunter():
    algorithm = SegmentVAE(**SegmentVAE.TINY)
    model = algorithm.model(algorithm.init(HUNT.spec, None, jax.random.key(0)))
    return PLANNER.policy(model, chase, [("predator", 0)])


def team():
    prey = experts.wander(HUNT)
    return envs.assign(HUNT.spec, {("predator", 0): hunter(), ("prey", 0): prey})


def test_what_is_expected_begins_with_the_next_step_and_holds_its_end():
    policy = hunter()
    _, observation = HUNT.reset(jax.random.key(1))
    memory, act = (
        policy.memory(rollout.agents_of(observation)),
        jax.jit(lambda o, m, k: policy.act(o, m, k)),
    )
    for played in range(2):  # a segment has two steps
        _, memory = act(observation, memory, jax.random.key(2))
        found = np.concatenate([x[:, 0] for x in policy.expected(memory).values()], -1)
        imagined = np.asarray(memory["imagined"])
        np.testing.assert_array_equal(found[: 6 - played], imagined[played:])
        np.testing.assert_array_equal(found[6 - played :], np.tile(imagined[-1:], (played, 1)))


def test_only_planners_expect_anything():
    both, wanderer = team(), experts.wander(HUNT)
    agents = {"predator": 1, "prey": 1}
    assert expected(wanderer, wanderer.memory(agents)) is None
    seen = expected(both, both.memory(agents))
    assert seen is not None
    assert seen["prey"].shape == (6, 1, 6)


def test_a_film_keeps_the_ways_and_pictures_show_them():
    film = record(HUNT, team(), "hunter", episodes=2, seed=0, steps=None)
    assert film.ahead is not None
    assert film.ahead.shape == (2, 9, 6, 2, 2)
    np.testing.assert_array_equal(film.ahead[:, 0], film.ahead[:, 1])
    assert np.ptp(film.ahead[:, 1:], 1).max() > 0
    with_ways = list(frames([film]))
    without = list(frames([dataclasses.replace(film, ahead=None)]))
    assert any((one != other).any() for one, other in zip(with_ways, without, strict=True))
    wanderers = record(HUNT, experts.wander(HUNT), "wander", episodes=1, seed=0, steps=None)
    assert wanderers.ahead is None


def test_games_say_where_things_are():
    box = BoxBumper()
    state, observation = box.reset(jax.random.key(0))
    rows = {name: x[None] for name, x in observation.features.items()}
    np.testing.assert_array_equal(box.places(rows)[0], state.positions)


class Still(eqx.Module):
    """Expects two arms to stay where they are."""

    decentralised: bool = eqx.field(static=True, default=False)
    transfers: bool = eqx.field(static=True, default=False)

    def memory(self, agents):
        return jnp.zeros((2, 22))

    def act(self, observation, memory, key):
        return {"arms": jnp.zeros((2, 2))}, observation.features["arms"]

    def expected(self, memory):
        return {"arms": jnp.repeat(memory[None], 3, 0)}

    def log_prob(self, observations, actions, starts, memory):
        raise NotImplementedError


def test_ways_lie_over_what_a_host_env_renders():
    env = envs.make("two-arm-platform:envs=1")
    film = record(env, Still(), "still", episodes=1, seed=0, steps=2)
    assert film.ahead is not None
    assert film.pictures is not None
    height, width = film.pictures.shape[2:4]
    # the block's place in the picture is golden, each hand's as its arm
    spots = film.ahead[0, 1, 0] * [width, height]
    colours = [film.pictures[0, 0, round(height - y), round(x)].tolist() for x, y in spots]
    assert colours == [[31, 95, 166], [208, 80, 42], [184, 134, 11]]
