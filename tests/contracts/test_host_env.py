"""A host simulator: restarted at every checkpoint, so that a resumed run is the same."""

import numpy as np

from contracts.envs import HomeSimulator
from contracts.policies import Reinforce
from understudy.envs.host import Batched
from understudy.experiment.returns import episode_returns


def make():
    return Batched(HomeSimulator, envs=4)


def test_a_host_env_trains_resumes_and_evaluates(goes_on):
    # 2 seeds share 4 games: 2 games x 4 rows = 8 steps per update
    run = goes_on(Reinforce(), steps=8 * 8, make_env=make)
    assert [row["step"] for row in run.metrics] == [2, 4, 6, 8]
    one = episode_returns(run.policy(mode="mode"), make(), episodes=6, seed=3)["agents"]
    assert one.shape == (6, 2)
    few = episode_returns(run.policy(mode="mode"), make(), episodes=3, seed=3)["agents"]
    np.testing.assert_allclose(few, one[:3], rtol=1e-6)
