"""Both halves of a log, imitated together: the half that answers learns, or cannot."""

import jax
import numpy as np
import pytest

import understudy as us
from understudy.data.readers import transitions
from understudy.envs.logged import Logged
from understudy.networks.discriminators import MLPDiscriminator

SCHEMA = {
    "state": {"sections": {"mood": 2}, "continuous": []},
    "action": {"continuous": 1},
    "session": True,
}
MOODS = np.array([0.9, 0.2])
"""Chance of the second mood after the first one, and after itself."""


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Actions are noise; only what comes next has a rule."""
    rng, rows = np.random.default_rng(0), []
    for session in range(200):
        mood = int(rng.integers(2))
        for _ in range(10):
            after = int(rng.random() < MOODS[mood])
            row = [*np.eye(2)[mood], rng.normal(), *np.eye(2)[after]]
            rows.append([f"s{session}", *(f"{x:.9g}" for x in row)])
            mood = after
    path = tmp_path_factory.mktemp("log") / "log.csv"
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    return transitions.read(path, rate=None, unit=None, say=lambda _: None, schema=SCHEMA)


def imitated(log, judges, out):
    optimiser = us.MAPPO(
        hidden=(16,), envs=32, rollout=10, epochs=2, minibatches=1, learning_rate=5e-3,
        entropy=0.01, discount=0.9, decay=300,
    )  # fmt: skip
    algorithm = us.MAGAIL(
        cloning=0, optimiser=optimiser, reward="logit", standardise=True, passes=4, minibatch=128,
        learning_rate=3e-3, discriminator=MLPDiscriminator(hidden=(16,), judges=judges),
    )  # fmt: skip
    env = Logged.of(log, starts="any")
    return us.train(algorithm, env=env, demonstrations=log, steps=96_000, out=out), env


def variation(run, env):
    """Mean total variation of what comes next, over both moods."""
    played = us.collect(env, run.policy(), episodes=256, seed=1)
    known = played.known_actions()["environment"][:, 0]
    now = played.features["environment"][known, 0, 1]
    after = played.actions["environment"][known, 0, 0]
    return np.mean([abs(after[now == mood].mean() - MOODS[mood]) for mood in (0, 1)])


@pytest.mark.slow
def test_the_half_that_answers_is_learned_only_if_somebody_looks_at_answers(log, tmp_path):
    run, env = imitated(log, "sas", tmp_path / "sas")
    assert variation(run, env) < 0.1
    blind, env = imitated(log, "sa", tmp_path / "sa")
    assert variation(blind, env) > 0.3


def test_what_was_answered_is_what_everybody_observes_next(log, tmp_path):
    env = Logged.of(log)
    policy = us.BC(hidden=(4,)).policy(us.BC(hidden=(4,)).init(log.spec, None, jax.random.key(0)))
    played = us.collect(env, policy, episodes=8, seed=0)
    known = played.known_actions()["environment"][:, 0]
    answered = np.eye(2)[played.actions["environment"][known, 0, 0].astype(int)]
    for name in log.spec.names:
        following = played.features[name][1:, 0][known[:-1]]
        np.testing.assert_array_equal(following, answered)
