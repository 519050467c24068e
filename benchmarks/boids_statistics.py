"""Boids against the published statistics: 8,192 sequences, clean and with the legacy first step.

Prints the statistics, how often the nearest-neighbour rule finds the true behaviour, the
likelihood of the baselines in closed form, and how long 40,960 sequences take; writes
`results/boids.json`.
"""

import os
import time

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np

from results import command, summary, table, target, write
from understudy.algorithms.baselines import ConstantVelocity, RandomWalk
from understudy.data.boids import boids
from understudy.data.demonstrations import Demonstrations
from understudy.data.labels import NearestNeighbour
from understudy.data.statistics import statistics
from understudy.functional import domain
from understudy.types import Observation, Window

SEQUENCES, TRAIN, TEST = 8_192, 32_768, 8_192
TOLERANCES = (
    ("A1.8a", "friendly", "pair_distance_last", 0.523, 0.02),
    ("A1.8b", "unfriendly", "pair_distance_last", 2.162, 0.03),
    ("A1.8c", "friendly", "step", 0.0843, 0.001),
    ("A1.8d", "unfriendly", "step", 0.0751, 0.001),
)


def positions(d: Demonstrations) -> np.ndarray:
    return d.features["agents"].reshape(d.episodes, -1, 8, 2)


@jax.jit
@jax.vmap
def figures(play: jax.Array) -> dict[str, jax.Array]:
    alive = jnp.ones(play.shape[1], bool)
    pairs, polarisation = domain.pair_distance(play, alive), domain.polarisation(play, alive)
    return {
        "step": domain.speed(play, alive),
        "path": domain.distance(play, alive),
        "largest_step": domain.steps(play).max(),
        "pair_distance_first": pairs[0],
        "pair_distance_last": pairs[-1],
        "pair_distance": pairs.mean(),
        "radius": domain.radius(play, alive).mean(),
        "polarisation_first": polarisation[0],
        "polarisation_last": polarisation[-1],
    }


def measure(name: str, d: Demonstrations) -> list[dict]:
    found = {k: np.asarray(v, np.float64) for k, v in figures(jnp.asarray(positions(d))).items()}
    largest = found.pop("largest_step").max()
    rows = []
    for behaviour in ("friendly", "unfriendly"):
        chosen = d.labels["behaviour"] == behaviour
        means = {k: float(v[chosen].mean()) for k, v in found.items()}
        rows.append({"set": name, "behaviour": behaviour, **means, "largest_step": float(largest)})
    return rows


def nats(train: Demonstrations, test: Demonstrations) -> list[dict]:
    """Exact likelihoods of the baselines, nats per sequence; row 0 is never counted."""
    x = jnp.asarray(positions(test))
    alive, no = jnp.ones(x.shape[:3], bool), jnp.zeros(x.shape[:2], bool)
    windows = Window(Observation({"agents": x}, {"agents": alive}), no, no, {"agents": alive})
    moments, key, rows = statistics(train), jax.random.key(0), []
    for build in (RandomWalk, ConstantVelocity):
        bound = jax.jit(jax.vmap(build(train.spec, moments).bound, (0, None)))(windows, key)
        value = float(np.asarray(bound["elbo"], np.float64).mean())
        rows.append({"baseline": build.__name__, "nats": value, "steps": int(bound["frames"][0])})
    turns = [np.diff(positions(d).astype(np.float64), 2, axis=1) for d in (train, test)]
    firsts = [positions(d)[:, 1].astype(np.float64) - positions(d)[:, 0] for d in (train, test)]
    own = gaussian(turns[0], turns[1], (0, 2, 3)) + gaussian(firsts[0], firsts[1], (0, 1, 2))
    rows.append({"baseline": "ConstantVelocity, std of each row", "nats": own, "steps": 49})
    return rows


def gaussian(train: np.ndarray, test: np.ndarray, axes: tuple[int, ...]) -> float:
    variance = np.square(train).mean(axes, keepdims=True)
    terms = -0.5 * (np.square(test) / variance + np.log(2 * np.pi * variance))
    return float(terms.sum(tuple(range(1, test.ndim))).mean())


def main() -> None:
    clean = boids(SEQUENCES, seed=0)
    rows = measure("clean", clean)
    rows += measure("legacy first step", boids(SEQUENCES, seed=0, legacy_first_step=True))
    friendly = clean.labels["behaviour"] == "friendly"
    found = NearestNeighbour()(positions(clean), clean.rate)[:, 0, 0] == 1
    recovered = float((found == friendly).mean())
    seconds = []
    for seed in range(5):
        begin = time.perf_counter()
        boids(TRAIN + TEST, seed=seed)
        seconds.append(time.perf_counter() - begin)
    anchors = nats(boids(TRAIN, seed=0), boids(TEST, seed=1))
    lines = [target("A1.8", "behaviour found by the rule", ">=", 0.999, recovered)]
    for id, behaviour, name, published, tolerance in TOLERANCES:
        row = next(r for r in rows if r["set"] == "clean" and r["behaviour"] == behaviour)
        what = f"{behaviour} {name} {row[name]:.4f}: distance from the published {published}"
        lines.append(target(id, what, "<=", tolerance, abs(row[name] - published)))
    interval = (min(seconds), max(seconds))
    what = "seconds for 40,960 sequences, median of 5"
    lines.append(target("A1.8e", what, "<=", 60.0, float(np.median(seconds)), interval))
    print(table(rows), table(anchors), summary(lines), sep="\n\n")
    write("boids", command=command(), seeds=[0], rows=rows + anchors, targets=lines)


if __name__ == "__main__":
    main()
