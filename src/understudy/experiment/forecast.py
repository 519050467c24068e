"""Score a generator on windows: draw futures in chunks of bounded memory, keep sums per window.

Every window has its own key (folded from its number), and only sums per window leave a chunk, so
no figure depends on how windows were batched.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from understudy.data.sampling import Rows, Windows, gather
from understudy.experiment.tally import Tally, join
from understudy.functional.domain import domain_statistics
from understudy.functional.metrics import displacement_errors, miss_rate
from understudy.functional.scores import diversity, energy_score
from understudy.types import Observation, Window, require

BUDGET = 2**23
"""Floats a chunk may hold in its largest array: 32 MiB."""
PER_AGENT = {"minADE": "min_ade", "minFDE": "min_fde", "ADE": "mean_ade", "FDE": "mean_fde"}
PER_SCENE = {
    "minSADE": "scene_min_ade",
    "minSFDE": "scene_min_fde",
    "SADE": "scene_mean_ade",
    "SFDE": "scene_mean_fde",
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is scored, the same for every generator of a table; hashable, so static in jit."""

    groups: tuple[tuple[str, int, int], ...]
    """Groups scored, pooled: name, column of x, column of y."""
    observed: int
    horizon: int
    horizons: tuple[int, ...]
    """Rows at which errors are reported."""
    rate: float
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    miss: float | None = None
    burn_in: bool = True
    """Domain statistics count the observed rows too."""


def score(
    generator: Any,
    rows: Rows,
    found: Windows,
    chosen: Int[np.ndarray, " windows"],
    setting: Setting,
    *,
    samples: int,
    seed: int,
    chunk: int | None = None,
) -> dict[str, Tally]:
    """Tally every figure of `generator` over the windows `chosen`.

    Args:
        generator: what is scored.
        rows: of the demonstrations the windows lie in.
        found: windows of ``observed + horizon`` rows.
        chosen: indices into `found`.
        setting: what is scored.
        samples: futures drawn per window (K).
        seed: of the samples.
        chunk: windows at a time; by memory if None. No figure depends on it.

    Returns:
        Tallies over windows: errors as ``minADE@rows`` for every horizon, and one of each other.
    """
    size = min(len(chosen), chunk or _chunk(found, setting, samples))
    key = jax.random.key(seed)
    parts = []
    for first in range(0, len(chosen), size):
        some = chosen[first : first + size]
        padded = np.concatenate([some, np.repeat(chosen[:1], size - len(some))])
        window = _floating(gather(rows, found, padded))
        keys = _keys(key, jnp.asarray(padded))
        sums = _chunk_sums(generator, window.observation, keys, setting, samples)
        parts.append(
            {
                name: Tally(*(np.asarray(a, np.float64)[: len(some)] for a in pair))
                for name, pair in sums.items()
            }
        )
    return join(parts)


def truth_statistics(
    rows: Rows,
    found: Windows,
    chosen: Int[np.ndarray, " windows"],
    setting: Setting,
    chunk: int | None = None,
) -> dict[str, Tally]:
    """Domain statistics of what happened, over the same windows and rows."""
    size = min(len(chosen), chunk or _chunk(found, setting, 1))
    parts = []
    for first in range(0, len(chosen), size):
        some = chosen[first : first + size]
        padded = np.concatenate([some, np.repeat(chosen[:1], size - len(some))])
        sums = _truth_sums(_floating(gather(rows, found, padded)).observation, setting)
        parts.append(
            {
                name: Tally(*(np.asarray(a, np.float64)[: len(some)] for a in pair))
                for name, pair in sums.items()
            }
        )
    return join(parts)


def _floating(window: Window) -> Window:
    """Move a gathered window to the device."""
    return jax.tree.map(jnp.asarray, window)


@jax.jit
def _keys(key: Key[Array, ""], indices: Int[Array, " windows"]) -> Key[Array, " windows"]:
    return jax.vmap(jax.random.fold_in, (None, 0))(key, indices)


def _chunk(found: Windows, setting: Setting, samples: int) -> int:
    agents = sum(found.slots[name].shape[1] for name, _, _ in setting.groups)
    each = samples * (setting.observed + setting.horizon) * agents * (agents + 2)
    return int(np.clip(BUDGET // each, 1, 4096))


Pair = tuple[Float[Array, ""], Float[Array, ""]]


@eqx.filter_jit
def _chunk_sums(
    generator: Any,
    observation: Observation,
    keys: Key[Array, " windows"],
    setting: Setting,
    samples: int,
) -> dict[str, tuple[Float[Array, " windows"], Float[Array, " windows"]]]:
    def one(observation: Observation, key: Key[Array, ""]) -> dict[str, Pair]:
        context = jax.tree.map(lambda x: x[: setting.observed], observation)
        drawn = generator.sample(context, key, samples=samples, horizon=setting.horizon)
        missing = [name for name, _, _ in setting.groups if name not in drawn.features]
        require(
            not missing,
            f"expected futures of the groups {[g[0] for g in setting.groups]}, found "
            f"{sorted(drawn.features)}; choose a protocol that scores what the model generates",
        )
        futures = pool(drawn.features, setting)
        truth, alive = pool(observation.features, setting), counted(observation, setting)
        past = truth[: setting.observed]
        whole = jnp.concatenate([jnp.broadcast_to(past, (samples, *past.shape)), futures], axis=1)
        return _errors(futures, truth[setting.observed :], alive, setting) | _domain(
            whole, alive, setting
        )

    return jax.vmap(one)(observation, keys)


@eqx.filter_jit
def _truth_sums(
    observation: Observation, setting: Setting
) -> dict[str, tuple[Float[Array, " windows"], Float[Array, " windows"]]]:
    def one(observation: Observation) -> dict[str, Pair]:
        truth = pool(observation.features, setting)
        return _domain(truth[None], counted(observation, setting), setting)

    return jax.vmap(one)(observation)


def pool(features: Any, setting: Setting) -> Float[Array, "*lead time agents 2"]:
    """Positions of all groups scored, one after the other on the agents axis."""
    return jnp.concatenate(
        [jnp.stack([features[n][..., x], features[n][..., y]], -1) for n, x, y in setting.groups],
        axis=-2,
    )


def counted(observation: Observation, setting: Setting) -> Array:
    """Agents that are scored: those present in every row of the window."""
    return jnp.concatenate([observation.alive[n].all(-2) for n, _, _ in setting.groups], axis=-1)


def _errors(futures: Array, truth: Array, alive: Array, setting: Setting) -> dict[str, Pair]:
    """Errors of one window: sums over its agents, and the scene's."""
    errors = displacement_errors(futures, truth, alive, horizons=setting.horizons)
    agents = alive.sum().astype(truth.dtype)
    scene = (agents > 0).astype(truth.dtype)
    found: dict[str, Pair] = {}
    for i, rows in enumerate(setting.horizons):
        for name, field in PER_AGENT.items():
            found[f"{name}@{rows}"] = (getattr(errors, field)[i].sum(), agents)
        for name, field in PER_SCENE.items():
            found[f"{name}@{rows}"] = (getattr(errors, field)[i] * scene, scene)
    found["energy_score"] = (energy_score(futures, truth, alive) * scene, scene)
    found["diversity"] = (diversity(futures, alive).sum(), agents)
    if setting.miss is not None:
        missed = miss_rate(futures, truth, alive, threshold=setting.miss)
        found["miss_rate"] = (missed.sum(), agents)
    return found


def _domain(whole: Array, alive: Array, setting: Setting) -> dict[str, Pair]:
    """Domain statistics of one window, averaged over its samples; speeds per second."""
    first = 0 if setting.burn_in else setting.observed - 1
    low, high = (None, None) if setting.bounds is None else map(jnp.asarray, setting.bounds)
    each = jax.vmap(lambda p: domain_statistics(p, alive, low, high))(whole[:, first:])
    mean = {name: values.mean() for name, values in each.items()}
    agents = alive.sum().astype(whole.dtype)
    scene, pair = (agents > 0).astype(whole.dtype), (agents > 1).astype(whole.dtype)
    weights = {"out_of_bounds": scene, "path_difference": pair, "pair_distance": pair}
    scales = {"speed": setting.rate, "step_change": setting.rate}
    return {
        name: (value * scales.get(name, 1.0) * weights.get(name, agents), weights.get(name, agents))
        for name, value in mean.items()
    }
