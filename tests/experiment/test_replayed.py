import numpy as np
import pytest

import understudy as us
from understudy.types import UserError


def trained(tmp_path, remembered):
    algorithm = us.DDPG(
        hidden=(4,), envs=3, rollout=4, passes=1, batch=8, remembered=remembered
    )  # fmt: skip
    env = us.envs.PredatorPrey(horizon=5)
    return us.train(algorithm, env=env, steps=96, out=tmp_path / "run"), env


def test_what_is_remembered_are_the_episodes_that_were_played(tmp_path):
    run, env = trained(tmp_path, 1_000)
    found = us.replayed(run, rate=env.rate)
    assert found.frames == 96 + found.episodes
    # 32 steps of each of 3 games: six episodes of five and two more steps
    assert found.lengths.tolist() == [*[6] * 6, 3] * 3
    assert found.truncated.sum() == found.episodes
    # the next place is where the speed leads, in every step of every episode
    place, speed = found.features["prey"][:, 0, :2], found.features["prey"][:, 0, 2:4]
    inner = np.ones(found.frames - 1, bool)
    inner[found.starts[1:-1] - 1] = False
    free = np.abs(place[1:]).max(1) < 0.9
    moved = (place[1:] - place[:-1])[inner & free]
    np.testing.assert_allclose(moved, 0.1 * speed[1:][inner & free], atol=1e-5)
    assert np.abs(found.actions["predator"]).max() <= 1.0
    again = us.SegmentVAE(**us.SegmentVAE.TINY)
    us.train(again, demonstrations=found, steps=2, out=tmp_path / "model")


def test_a_full_ring_begins_with_the_oldest_step(tmp_path):
    run, _ = trained(tmp_path, 40)
    found = us.replayed(run)
    assert found.frames == 40 + found.episodes
    assert set(found.lengths) <= {2, 3, 4, 5, 6}


def test_a_run_without_replay_is_refused(tmp_path):
    env = us.envs.PredatorPrey(horizon=5)
    log = us.collect(env, us.experts.wander(env), episodes=4, seed=0)
    us.train(us.BC(batch=4), demonstrations=log, steps=1, out=tmp_path / "bc")
    with pytest.raises(UserError, match="expected a run of an algorithm that keeps a replay"):
        us.replayed(tmp_path / "bc")
