"""Planning for some of several agents, from a log of all of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from understudy import envs
from understudy.algorithms.planning import Planner
from understudy.algorithms.segments import SegmentVAE
from understudy.envs import assign
from understudy.envs.chance import Random
from understudy.experiment.collect import collect
from understudy.experiment.returns import play
from understudy.experiment.train import train
from understudy.networks.segment_bodies import SegmentNetwork

MEET = envs.make("spread:agents=3,action=plane")
SOME = [("agents", 0), ("agents", 2)]


def gather(features):
    """Everybody wants to be at the first landmark."""
    apart = jnp.square(features["agents"][..., 4:6]).sum(-1)
    return {"agents": -jnp.sqrt(apart + 1e-6)}


@functools.cache
def model(folder):
    log = collect(MEET, Random(MEET.spec), episodes=300, seed=0)
    algorithm = SegmentVAE(
        length=3, past=1, own=6, free=0, network=SegmentNetwork(hidden=(64,)), decay=400, batch=128
    )
    run = train(algorithm, demonstrations=log, steps=400, out=folder)
    return run.policy().model


def distances(team):
    """Of agents to the first landmark at the end of the games, means over games."""
    log = collect(MEET, team, episodes=16, envs=16, seed=5)
    last = log.features["agents"][log.starts[1:] - 1]
    return np.linalg.norm(last[..., 4:6], axis=-1).mean(0)


def test_two_of_three_go_where_they_plan_to(tmp_path_factory):
    found = model(tmp_path_factory.getbasetemp() / "team")
    assert found.sizes.own == (6, 6, 6)
    planner = Planner(method="cem", mode="mean", segments=3, candidates=24, others=2, iterations=3)
    both, chance = planner.policy(found, gather, SOME), Random(MEET.spec)
    team = assign(MEET.spec, {**dict.fromkeys(SOME, both), ("agents", 1): chance})
    planned, drifted = distances(team), distances(chance)
    assert (planned[[0, 2]] < 0.6 * drifted[[0, 2]]).all()
    assert planned[1] > 0.8 * drifted[1]


def test_a_whole_team_moves_by_one_plan(tmp_path_factory):
    found = model(tmp_path_factory.getbasetemp() / "team")
    planner = Planner(method="shooting", mode="cooperative", segments=1, candidates=4, others=1)
    everybody = planner.policy(found, gather, found.layout.agents)
    played = play(everybody, MEET, episodes=2, seed=0)
    assert played.returns["agents"].shape == (2, 3)
    memory = everybody.memory({"agents": 3})
    _, observation = MEET.reset(jax.random.key(0))
    action, _ = everybody.act(observation, memory, jax.random.key(1))
    assert np.asarray(action["agents"]).std() > 0
