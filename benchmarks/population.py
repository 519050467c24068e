"""Population synthesis on a table whose dependence is known (D.5).

    python benchmarks/population.py

Eight sections of 2 to 18 choices, each drawn given the one before and a hidden kind, and three
continuous values that follow from them, one of them a count. `Population` learns from 20,000 rows;
everything is measured against 40,000 others, of which nothing was seen: total variation of every
column (continuous ones in ten bins of equal share) and of every two columns together. Beside it
stand rows of the training split drawn again (what no generator can be much better than), and the
same with every column shuffled by itself (right columns, no dependence). Rows without the terms of
β, and with an α as large, say what these do. Intervals are those of a mean over seeds.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import understudy as us
from results import command, summary, table, target, write
from understudy.algorithms.population import Population
from understudy.data.demonstrations import Demonstrations
from understudy.experiment import checkpoint, folder
from understudy.functional import marginals
from understudy.functional.statistics import mean_interval
from understudy.types import ActionSpec, Group, Spec

SECTIONS = (2, 3, 4, 6, 8, 11, 15, 18)
VALUES, BINS, ROWS, HELD = 3, 10, 20_000, 40_000
STEPS = 5_000
VARIANTS: dict[str, dict[str, Any]] = {
    "β = 1": {},
    "β = 0": {"marginal_weight": 0.0},
    "α = β = 1": {"entropy_weight": 1.0},
}
"""Name -> what differs from the defaults."""


def drawn(rows: int, seed: int) -> np.ndarray:
    """A sample of the table ``[rows, features]``; its laws are the same for every seed."""
    laws, rng = np.random.default_rng(7), np.random.default_rng(seed)
    kind = rng.choice(6, rows, p=[0.3, 0.25, 0.18, 0.12, 0.1, 0.05])
    before, size, chosen = kind, 6, []
    for count in SECTIONS:
        given, own = (laws.dirichlet(np.full(count, c), n) for c, n in ((0.35, size), (3.0, 6)))
        shares = 0.75 * given[before] + 0.25 * own[kind]
        before, size = (shares.cumsum(1) > rng.random(rows)[:, None]).argmax(1), count
        chosen.append(before)
    first = 0.5 * rng.normal(size=rows) + 1.5 * laws.normal(size=18)[chosen[7]]
    second = np.exp(
        0.4 * rng.normal(size=rows) + 0.6 * first + 0.5 * laws.normal(size=8)[chosen[4]]
    )
    third = np.where(chosen[0] == 1, np.minimum(rng.poisson(np.exp(0.3 * first)), 8), 0)
    hots = [np.eye(count)[x] for count, x in zip(SECTIONS, chosen, strict=True)]
    return np.concatenate([*hots, np.stack([first, second, third], 1)], 1).astype(np.float32)


def log(rows: np.ndarray) -> Demonstrations:
    """A table as a log: sessions of one row."""
    count, inf = len(rows), (float("inf"),) * VALUES
    action = ActionSpec(SECTIONS, tuple(-x for x in inf), inf)
    spec = Spec((Group("customer", 1, rows.shape[1], action, advances=True),))
    labels = {"episode": np.arange(count).astype(str), "source": np.full(count, "table")}
    alive = {"customer": np.ones((count, 1), bool)}
    return Demonstrations(
        spec, np.arange(count + 1), {"customer": rows[:, None]}, alive, 1.0, "", labels
    )


class Held:
    """Rows that nothing was learned from."""

    def __init__(self, train: np.ndarray) -> None:
        values = slice(sum(SECTIONS), None)
        self.edges = marginals.quantile_edges(train[:, values], BINS)
        self.sizes = (*SECTIONS, *[BINS] * VALUES)
        self.codes = self.coded(drawn(HELD, seed=1))

    def coded(self, rows: np.ndarray) -> np.ndarray:
        return marginals.coded(rows, SECTIONS, self.edges)

    def score(self, rows: np.ndarray) -> dict[str, float]:
        """Mean total variations of columns and of pairs."""
        codes = self.coded(rows)
        alone = marginals.variations(codes, self.codes, self.sizes)
        pairs = marginals.pair_variations(codes, self.codes, self.sizes)
        return {
            "marginals": float(alone.mean()),
            "sections": float(alone[: len(SECTIONS)].mean()),
            "values": float(alone[len(SECTIONS) :].mean()),
            "pairs": float(pairs.mean()),
            "worst pair": float(pairs.max()),
        }


def resampled(train: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of the training split, drawn again."""
    return train[rng.integers(0, len(train), HELD)]


def shuffled(train: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every section and every value from another row."""
    ends = np.cumsum((0, *SECTIONS, *[1] * VALUES))
    parts = [train[rng.integers(0, len(train), HELD), a:b] for a, b in itertools.pairwise(ends)]
    return np.concatenate(parts, 1)


def populations(run: us.Run) -> list[Any]:
    """What every seed of a run draws from."""

    def state(_: int) -> Any:
        return run.algorithm.init(run.spec, run.statistics, jax.random.key(0))

    like = jax.eval_shape(jax.vmap(state), np.arange(run.seeds))
    states = checkpoint.load(folder.checkpoints(run.folder)[-1], like, ".states")
    parts = [jax.tree.map(lambda x, i=i: x[i], states) for i in range(run.seeds)]
    return [run.algorithm.population(part) for part in parts]


def row(name: str, scores: list[dict[str, float]], **more: Any) -> dict[str, Any]:
    """Means over seeds, and intervals of the two that targets are about."""
    found: dict[str, Any] = {"rows": name, "seeds": len(scores)}
    for key in scores[0]:
        interval = mean_interval(np.asarray([s[key] for s in scores]))
        found[key] = interval.estimate
        if key in ("marginals", "pairs"):
            found[f"{key} interval"] = [interval.low, interval.high]
    return {**found, **more}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    train = drawn(ROWS, seed=0)
    held, demonstrations = Held(train), log(train)
    rows, found = [], {}
    for name, make in (("training rows again", resampled), ("independent columns", shuffled)):
        scores = [held.score(make(train, np.random.default_rng(s))) for s in range(given.seeds)]
        found[name] = scores
        rows.append(row(name, scores))
    for name, changes in VARIANTS.items():
        with tempfile.TemporaryDirectory() as scratch:
            began = time.process_time()
            run = us.train(
                Population(decay=given.steps, **changes), demonstrations=demonstrations,
                steps=given.steps, seeds=given.seeds, out=Path(scratch) / "run",
            )  # fmt: skip
            seconds = (time.process_time() - began) / given.seeds
            made = [
                np.asarray(population.sample(jax.random.key(seed), HELD))
                for seed, population in enumerate(populations(run))
            ]
        found[name] = [held.score(x) for x in made]
        rows.append(row(name, found[name], cpu_seconds_per_seed=seconds))
        print(table(rows), flush=True)
    lines = targets(found)
    print(summary(lines))
    write("population", command=command(), seeds=list(range(given.seeds)), rows=rows, targets=lines)


def targets(found: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """What was promised."""

    def over(name: str, key: str) -> np.ndarray:
        return np.asarray([scores[key] for scores in found[name]])

    def line(id: str, what: str, comparator: str, wanted: float, values: np.ndarray) -> Any:
        interval = mean_interval(values)
        return target(
            id, what, comparator, wanted, interval.estimate, (interval.low, interval.high)
        )

    gained = over("β = 0", "marginals") - over("β = 1", "marginals")
    alone = float(over("independent columns", "pairs").mean())
    return [
        line(
            "D.5", "mean total variation of columns from held-out rows", "<", 0.02,
            over("β = 1", "marginals"),
        ),
        line("D.5 without β", "how much larger it is without the terms of β", ">", 0.0, gained),
        line(
            "D.5 pairs", "mean total variation of pairs, against that of independent columns", "<",
            alone, over("β = 1", "pairs"),
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
