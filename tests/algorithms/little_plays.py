"""Small plays whose truth is known, and how to train on them in a second."""

import jax
import jax.numpy as jnp
import numpy as np

from understudy.data import sampling
from understudy.data.demonstrations import Demonstrations
from understudy.data.statistics import statistics
from understudy.types import Batch, Group, Spec

ROWS = 6
PAST, AHEAD = 3, 4
"""Rows of `together` before and after agents turn."""


def straight(episodes=8, agents=2, rows=ROWS, seed=0, noise=0.002):
    """Agents at constant velocity, except for noise of that std in every step.

    The intent of an agent is the sign of its velocity in x.
    """
    rng = np.random.default_rng(seed)
    start = rng.uniform(-1, 1, (episodes, 1, agents, 2))
    velocity = rng.normal(0, 0.1, (episodes, 1, agents, 2))
    bumps = rng.normal(0, noise, (episodes, rows, agents, 2)).cumsum(1)
    tracks = start + velocity * np.arange(rows)[None, :, None, None] + bumps
    intents = (velocity[..., 0] > 0).astype(np.int32)
    return demonstrations(tracks, np.broadcast_to(intents, (episodes, rows, agents)), 2)


def together(episodes=512, agents=3, seed=0):
    """All go right, and then turn up or down, by one coin for all of them."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(-1, 1, (episodes, 1, agents, 2))
    coin = rng.choice([-1.0, 1.0], (episodes, 1, 1))
    steps = np.zeros((episodes, PAST + AHEAD, agents, 2))
    steps[:, 1:, :, 0] = 0.1
    steps[:, PAST:, :, 1] = 0.1 * coin
    noise = rng.normal(0, 0.003, steps.shape)
    return demonstrations(start + (steps + noise).cumsum(1))


def demonstrations(tracks, intents=None, classes=0):
    episodes, rows, agents, _ = tracks.shape
    names = np.array([f"play-{i}" for i in range(episodes)])
    return Demonstrations(
        spec=Spec((Group("agents", agents, 2, features=("x", "y")),)),
        starts=np.arange(episodes + 1) * rows,
        features={"agents": tracks.reshape(-1, agents, 2).astype(np.float32)},
        alive={"agents": np.ones((episodes * rows, agents), bool)},
        rate=10.0,
        unit="",
        labels={"episode": names, "source": names},
        intents=None
        if intents is None
        else {"agents": intents.reshape(-1, agents).astype(np.int32)},
        intent_classes=classes,
    )


def windows(plays, rows=ROWS):
    """All windows of the plays, batched."""
    found = sampling.windows(plays, rows)
    return sampling.gather(sampling.rows(plays), found, jnp.arange(len(found)))


def one(window, i=0):
    return jax.tree.map(lambda leaf: leaf[i], window)


def start(algorithm, plays, key):
    moments = statistics(plays)
    return jax.jit(lambda key: algorithm.init(plays.spec, moments, key))(key)


def fit(algorithm, plays, key, steps, batch=None):
    """Train on all windows at once, or on some drawn at every step."""
    window = jax.tree.map(jnp.asarray, windows(plays, algorithm.window))

    @jax.jit
    def run(state):
        def body(state, step):
            own, some = jax.random.fold_in(key, step), window
            if batch is not None:
                total = jax.tree.leaves(window)[0].shape[0]
                drawn = jax.random.randint(own, (batch,), 0, total)
                some = jax.tree.map(lambda x: x[drawn], window)
            return algorithm.update(state, Batch(None, some), step, own)

        return jax.lax.scan(body, state, jnp.arange(steps))

    return run(start(algorithm, plays, key))


def bound(generator, window, key, **options):
    return jax.jit(lambda g, w, k: g.bound(w, k, **options))(generator, window, key)
