"""Likelihood and obedience on Boids (A1.9, A1.10): every model against constant velocity.

32,768 training and 8,192 test flocks, a validation part cut from the training flocks, CPU preset,
three seeds. Likelihoods are nats per flock over rows 1 to 49 (row 0 is never counted) under one
std floor of 1e-3, for every row of the table. ``published`` is recalled from the paper and
unverified; its std has no floor, and its RNN row counts row 0 too.

    python benchmarks/boids.py --runs RUNS [--steps N] [--models NAME ...] [--plan]

Run again to go on where it stopped; results are written once all models are there. ``elbo``
bounds the log-likelihood of positions and intents together; the intents are a function of the
positions, so it is comparable with the other rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from results import command, summary, table, target, write
from training import futures, hours, plan, train_all
from understudy.algorithms import presets
from understudy.data.boids import boids
from understudy.data.demonstrations import Demonstrations
from understudy.data.labels import NearestNeighbour, label
from understudy.data.sampling import rows, windows
from understudy.experiment.likelihood import bounds

ROWS, STD_FLOOR = 50, 1e-3
PUBLISHED = {
    "rnn-gauss": 2414,
    "vrnn-joint": 2417,
    "vrnn-independent": 2385,
    "vrnn-mixed": 2204,
    "vrae": 2331,
    "intents": 2428,
    "intents-change": 2428,
}
"""Recalled, unverified."""
RULE = NearestNeighbour()
SETTINGS = {"": (1, 1.0), "_mean": (1, 0.0), "_late": (5, 1.0), "_late_mean": (5, 0.0)}
"""Rows a flock is shown before the commanded bit takes over, and the temperature of the positions
drawn. From row 0, which all flocks share, the command alone decides; after five rows half of the
commands contradict what the flock began. At temperature 0 only latents are drawn."""
COMMANDED = 512
"""Flocks that are given each of the two commands."""


def models(steps: int, tiny: bool) -> dict[str, Any]:
    """CPU presets, all alike: 64 hidden units everywhere, a step size that falls along a cosine.

    Models predict displacements; ``intents-change`` predicts their changes.
    """
    sizes = {"width": 8, "rnn": 8, "batch": 8} if tiny else {}
    sizes = {"batch": 16, "learning_rate": 4e-3, **sizes}
    first = steps // 5
    single = {"decay": steps, **sizes}
    hierarchy: dict[str, Any] = {"decay": steps - first, **sizes}
    hierarchy |= {"rule": RULE, "scope": "shared", "steps": (first, steps - first)}
    return {
        "rnn-gauss": presets.RNNGauss(**single),
        "vrnn-joint": presets.VRNN("joint", **single),
        "vrnn-independent": presets.VRNN("independent", **single),
        "vrnn-mixed": presets.VRNN("mixed", **single),
        "vrae": presets.VRAE(**single),
        "intents": presets.IntentVRNN(**hierarchy),
        "intents-change": presets.IntentVRNN(output="change", **hierarchy),
    }


def tracks(demonstrations: Demonstrations) -> np.ndarray:
    """Positions ``[flocks, rows, 16]``."""
    return demonstrations.features["agents"].reshape(len(demonstrations), ROWS, -1).astype(float)


def constant_velocity(train: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """Nats per test flock of ``N(2 x_t - x_{t-1}, s_t^2)``, s fitted to the training flocks.

    The first step, which has no velocity before it, is ``N(x_0, s_1^2)``.

    Returns:
        With one s per row (the stronger baseline) and with one s for rows 2 to 49.
    """

    def errors(x: np.ndarray) -> np.ndarray:
        moved = np.diff(x, axis=1)
        return np.concatenate([moved[:, :1], np.diff(moved, axis=1)], axis=1)

    learned, found = errors(train), errors(test)
    per_row = np.sqrt((learned**2).mean((0, 2)))
    shared = np.sqrt((learned[:, 1:] ** 2).mean())
    each = {"per-row std": per_row, "one std": np.r_[per_row[:1], np.full(ROWS - 2, shared)]}
    result = {}
    for name, std in each.items():
        std = np.maximum(std, STD_FLOOR)[:, None]
        log = -0.5 * (found / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)
        result[name] = float(log.sum((1, 2)).mean())
    return result


def likelihood(generator: Any, test: Demonstrations, particles: int) -> dict[str, float]:
    """Terms of the bound, nats per flock, averaged over all test flocks."""
    found = windows(test, ROWS)
    tallies = bounds(
        generator, rows(test), found, np.arange(len(found)), particles=particles, seed=0
    )
    return {name: tally.value for name, tally in tallies.items()}


def obedience(
    generator: Any, test: Demonstrations, flocks: int, context: int, temperature: float
) -> dict[str, float]:
    """Share of sampled flocks that the rule reads as what was commanded.

    Every flock is commanded both ways, so half of the commands contradict how it began. The rule
    reads the whole flock, the rows shown included.
    """
    generator = generator.tempered(temperature)
    positions = test.features["agents"].reshape(len(test), ROWS, -1, 2)[:flocks]
    shown = positions[:, :context]
    began = RULE(positions, test.rate)[:, 0, 0]
    obeyed, against = [], []
    for bit in (0, 1):
        command = np.full((len(shown), shown.shape[2]), bit)
        future = futures(generator, shown, ROWS - context, intents=command, seed=bit)[:, 0]
        read = RULE(np.concatenate([shown, future], 1), test.rate)[:, 0, 0]
        obeyed.append(read == bit)
        against.append((read == bit)[began != bit])
    return {
        "obeyed": float(np.mean(obeyed)),
        "obeyed_friendly": float(np.mean(obeyed[1])),
        "obeyed_unfriendly": float(np.mean(obeyed[0])),
        "obeyed_against_beginning": float(np.mean(np.concatenate(against))),
    }


def targets(found: list[dict[str, Any]], baseline: float) -> list[dict[str, Any]]:
    """A1.9 is the worst seed of the worst model; A1.10 the mean over seeds."""
    elbos = [row["elbo"] for row in found]
    preset = [row for row in found if row["model"] == "intents"]
    drawn, means = ([row[name] for row in preset] for name in ("obeyed", "obeyed_mean"))
    return [
        target(
            "A1.9",
            "elbo on Boids, nats per flock: lowest of all models and seeds against constant "
            "velocity under the same counting; interval: lowest and highest",
            ">=",
            baseline,
            min(elbos, default=None),
            (min(elbos), max(elbos)) if elbos else None,
        ),
        *(
            target(
                id,
                "share of flocks sampled from row 0 that obey the commanded bit, at temperature "
                f"{temperature}; interval: over seeds",
                ">=",
                0.95,
                float(np.mean(obeyed)) if obeyed else None,
                (min(obeyed), max(obeyed)) if obeyed else None,
            )
            for id, temperature, obeyed in (("A1.10", 1, drawn), ("A1.10b", 0, means))
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="folder of the trained runs")
    parser.add_argument("--steps", type=int, default=4_000, help="updates per model")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--particles", type=int, default=8, help="of the iwae bound")
    parser.add_argument("--models", nargs="+", choices=list(PUBLISHED), default=list(PUBLISHED))
    parser.add_argument("--plan", action="store_true", help="measure the compute hours and stop")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal that writes no results")
    options = parser.parse_args()
    flocks, tested = (256, 64) if options.tiny else (32_768, 8_192)
    whole, test = boids(flocks, seed=0), boids(tested, seed=1)
    kept = flocks - flocks // 32
    train, validation = whole[:kept], whole[kept:]
    chosen = {n: m for n, m in models(options.steps, options.tiny).items() if n in options.models}
    if options.plan:
        print(plan(chosen, train, steps=options.steps, seeds=options.seeds))
        return
    baselines = constant_velocity(tracks(whole), tracks(test))
    found: list[dict[str, Any]] = [
        {"model": f"constant velocity, {name}", "elbo": value} for name, value in baselines.items()
    ]
    labelled = label(test, RULE)
    trained = train_all(
        chosen, options.runs, train, validation, steps=options.steps, seeds=options.seeds
    )
    measured = []
    for name, run in trained:
        for seed in range(run.seeds):
            row = {"model": name, "seed": seed, "steps": run.step, "hours": hours(run)}
            row |= {
                "failed": seed in run.diverged,
                "published_recalled_unverified": PUBLISHED[name],
            }
            generator = run.generator(seed=seed)
            row |= likelihood(generator, labelled, options.particles)
            row |= {"particles": options.particles, "std_floor": STD_FLOOR}
            if name.startswith("intents"):
                for how, setting in SETTINGS.items():
                    obeyed = obedience(generator, test, min(COMMANDED, tested), *setting)
                    row |= {f"{what}{how}": share for what, share in obeyed.items()}
            measured.append(row)
            print(table([row]), flush=True)
    lines = targets(measured, max(baselines.values()))
    print(table(found + measured))
    print(summary(lines))
    if not options.tiny and len(chosen) == len(PUBLISHED):
        write(
            "boids",
            command=command(),
            seeds=list(range(options.seeds)),
            rows=found + measured,
            targets=lines,
        )


if __name__ == "__main__":
    main()
