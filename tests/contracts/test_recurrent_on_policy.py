"""A recurrent policy learning on-policy in a JAX env: memory, starts, resume, returns."""

import jax
import numpy as np

from contracts.envs import Home
from contracts.policies import Reinforce
from understudy.experiment.returns import episode_returns
from understudy.experiment.run import load_policy


def test_a_recurrent_policy_trains_and_resumes(goes_on):
    run = goes_on(Reinforce(), steps=8 * 12, make_env=Home)
    assert [row["step"] for row in run.metrics] == [2, 4, 6, 8]
    policy = load_policy(run.folder, seed=1, mode="mode")
    returns = episode_returns(policy, Home(), episodes=5, seed=3)
    assert returns["agents"].shape == (5, 2)
    other = episode_returns(load_policy(run.folder, seed=0), Home(agents=4), episodes=5, seed=3)
    assert other["agents"].shape == (5, 4)


def test_learning_brings_agents_home(tmp_path):
    from understudy.experiment.train import train

    run = train(
        Reinforce(rate=0.1, envs=16), env=Home(), steps=64 * 150, seeds=1, out=tmp_path / "run"
    )
    trained = episode_returns(run.policy(mode="mode"), Home(), episodes=50, seed=1)["agents"]
    state = Reinforce().init(Home().spec, None, jax.random.key(5))
    fresh = episode_returns(Reinforce().policy(state, "mode"), Home(), episodes=50, seed=1)
    assert np.mean(trained) > np.mean(fresh["agents"]) + 1.0
