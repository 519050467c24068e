"""A generator of a few lines and demonstrations whose figures are known by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.types import Group, Samples, Spec


class Drift(eqx.Module):
    """Goes on at its last speed, with noise of `spread` per row."""

    spread: jax.Array
    groups: tuple[str, ...] = eqx.field(static=True, default=("agents",))

    def sample(self, context, key, *, samples, horizon, given=None, intents=None):
        futures = {}
        for name in self.groups:
            past = context.features[name]
            step = past[-1] - past[-2]
            steps = jnp.arange(1, horizon + 1, dtype=past.dtype)[:, None, None]
            noise = jax.random.normal(key, (samples, horizon, *past.shape[1:])) * self.spread
            mean = past[-1][None] + steps * step[None]
            futures[name] = mean[None] + jnp.cumsum(noise, axis=1)
        return Samples(futures)

    def bound(self, window, key, *, particles=1):
        count = jnp.asarray(window.terminated.shape[0] - 1, jnp.float32)
        value = window.observation.features["agents"].sum()
        return {
            "reconstruction": value,
            "kl": jnp.zeros(()),
            "elbo": value,
            "iwae": value + 1.0,
            "frames": count,
        }


def tracks(episodes=6, rows=30, agents=3, seed=0, *, unit="ft", games=3, gap=False):
    """Agents that walk straight with small turns, one group; with `gap` the last one leaves."""
    rng = np.random.default_rng(seed)
    heading = rng.uniform(0, 6, (episodes, 1, agents)) + np.cumsum(
        rng.normal(0, 0.2, (episodes, rows, agents)), 1
    )
    step = 0.7 * np.stack([np.cos(heading), np.sin(heading)], -1)
    path = 20 + np.cumsum(step, 1) + rng.uniform(-8, 8, (episodes, 1, agents, 2))
    alive = np.ones((episodes, rows, agents), bool)
    if gap:
        alive[::2, rows // 2 :, -1] = False
    path = np.where(alive[..., None], path, 0)
    return Demonstrations(
        spec=Spec((Group("agents", agents, 2, features=("x", "y")),)),
        starts=np.arange(episodes + 1) * rows,
        features={"agents": path.reshape(-1, agents, 2).astype(np.float32)},
        alive={"agents": alive.reshape(-1, agents)},
        rate=5.0,
        unit=unit,
        labels={
            "episode": np.array([f"e{i}" for i in range(episodes)]),
            "source": np.array(["toy"] * episodes),
            "game": np.array([f"g{i % games}" for i in range(episodes)]),
        },
        context={"bounds": np.tile(np.array([[[0.0, 0.0], [40.0, 40.0]]]), (episodes, 1, 1))},
    )
