"""Two groups in acting order: the second sees what the first did in the same step."""

import jax
import jax.numpy as jnp
import numpy as np

from contracts.envs import Whisper
from contracts.policies import Recall, Reinforce
from understudy.experiment.returns import episode_returns


def test_two_ordered_groups_train_and_resume(goes_on):
    run = goes_on(Reinforce(), steps=8 * 12, make_env=Whisper)
    returns = episode_returns(run.policy(), Whisper(), episodes=4, seed=0)
    assert returns["listener"].shape == (4, 1)


def test_the_listener_hears_the_speaker():
    spec = Whisper().spec
    assert [spec.inputs(name) for name in spec.names] == [1, 2]
    # speaker repeats its number, listener repeats the speaker; columns: features, seen, memory
    weights = {"speaker": jnp.array([[1.0], [0.0]]), "listener": jnp.array([[0.0], [1.0], [0.0]])}
    policy = Recall(weights, jnp.asarray(0.0), spec)
    returns = episode_returns(policy, Whisper(), episodes=8, seed=0)
    np.testing.assert_allclose(returns["listener"], 0.0, atol=1e-6)
    deaf = Recall({**weights, "listener": jnp.zeros((3, 1))}, jnp.asarray(0.0), spec)
    assert np.all(episode_returns(deaf, Whisper(), episodes=8, seed=0)["listener"] < -0.05)


def test_teacher_forced_probabilities_agree_with_acting():
    spec = Whisper().spec
    policy = Reinforce().init(spec, None, jax.random.key(0)).params
    _, observation = Whisper().reset(jax.random.key(1))
    memory = policy.memory({"speaker": 1, "listener": 1})
    action, _ = policy.act(observation, memory, jax.random.key(2))
    rows = jax.tree.map(lambda leaf: leaf[None], (observation, action))
    logs, _ = policy.log_prob(*rows, jnp.array([True]), memory)
    group = spec["listener"]
    mean = policy.mean(group, observation, memory, action)
    np.testing.assert_allclose(
        logs["listener"][0], -jnp.sum((action["listener"] - mean) ** 2, -1), rtol=1e-6
    )
