"""Open Bandit logs: a user learned from one policy, tested under another; a platform learned (D.4).

    python benchmarks/open_bandit.py --data obd

The folder holds ``POLICY/CAMPAIGN/CAMPAIGN.csv`` of the policies ``random`` and ``bts``, as the
package obp 0.4.1 ships them (10,000 impressions each). Both halves of a log are cloned together;
hidden layers, decay of weights and number of updates of each half are chosen by cross-validation
over days of what it is trained on, before any other row is looked at. Choices of the user half:
days of ``random``; it is tested on all of ``bts``. Of the platform half: the first five days of
``bts``; it is tested on the last two.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import understudy as us
from results import command, summary, table, target, write
from understudy.data import sampling
from understudy.data.demonstrations import Demonstrations
from understudy.functional.statistics import Interval
from understudy.networks.actor_critic import ActorCritic
from understudy.types import Batch, Observation

CAMPAIGNS = ("men", "women", "all")
SEEDS = 3
HIDDEN = ((), (16,))
"""None is a regression."""
WEIGHT_DECAY = (0.5, 2.0, 10.0, 30.0)
UPDATES = (200, 400, 600, 800)
"""When training may stop; the step size falls to 0 at the last."""
RATE, BATCH, FOLDS = 2e-2, 512, 5
CLIP = 0.02
"""Of gradients. Clicks are rare: the first gradients are a hundred times those that follow, and
Adam, which remembers them for a thousand updates, then stops short of the rate of clicks (without:
0.0066 of 0.0046 on days of random left out)."""
EARLY = 5
"""Days that a platform is learned from."""
POSITIONS = (1, 2, 3)
BINS = 5
"""Of equally many impressions, of the calibration error."""
RESAMPLES = 500
SPREAD = 0.01
"""Least deviation of log-odds whose slope is asked for."""
LEAST = 1e-6
"""Probability that is looked at."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """What cross-validation chose."""

    hidden: tuple[int, ...]
    weight_decay: float
    updates: int
    held_out: float
    """Log-loss of the days left out, nats per impression."""

    @property
    def algorithm(self) -> us.BC:
        """Half of the windows of a log are last rows, in which nobody acts: twice the batch."""
        made = cloning(self.hidden)
        return dataclasses.replace(made, weight_decay=self.weight_decay, batch=2 * BATCH)


def cloning(hidden: tuple[int, ...]) -> us.BC:
    return us.BC(
        network=ActorCritic(hidden=hidden, critic="own"), batch=BATCH, learning_rate=RATE,
        decay=UPDATES[-1], gradient_clip=CLIP,
    )  # fmt: skip


def impressions(d: Demonstrations) -> tuple[Observation, dict[str, Any], Any]:
    """Acted rows as rows of time, each the start of an episode."""
    assert d.actions is not None
    at = d.starts[:-1]
    seen = Observation(
        {n: jnp.asarray(d.features[n][at]) for n in d.spec.names},
        {n: jnp.asarray(d.alive[n][at]) for n in d.spec.names},
    )
    done = {n: jnp.asarray(d.actions[n][at]) for n in d.spec.names}
    return seen, done, jnp.ones(len(at), bool)


def folds_of(d: Demonstrations) -> np.ndarray:
    """Fold of each impression: all of a day are in one."""
    return np.unique(d.label("day"), return_inverse=True)[1] % FOLDS


def choose(d: Demonstrations, half: str) -> tuple[Choice, list[dict[str, Any]]]:
    """The best of all combinations on days left out, and the log-loss of each."""
    fold, tried = folds_of(d), []
    for hidden in HIDDEN:
        log_prob = cross_validated(cloning(hidden), d, half)
        own = log_prob[:, fold, :, np.arange(d.episodes)].mean(0)
        for (i, decay), (j, updates) in itertools.product(
            enumerate(WEIGHT_DECAY), enumerate(UPDATES)
        ):
            tried.append(Choice(hidden, decay, updates, -float(own[i, j])))
    rows = [
        {"half": half, **dataclasses.asdict(one), "hidden": str(list(one.hidden))} for one in tried
    ]
    return min(tried, key=lambda one: one.held_out), rows


def cross_validated(algorithm: us.BC, d: Demonstrations, half: str) -> np.ndarray:
    """Log-probability of every impression by weights learned without a fold.

    Returns:
        ``[decays, folds, updates, episodes]``.
    """
    inside = [np.flatnonzero(folds_of(d) != fold) for fold in range(FOLDS)]
    padded = jnp.asarray([np.resize(rows, d.episodes) for rows in inside])
    counts = jnp.asarray([len(rows) for rows in inside])
    windows = sampling.windows(d, 1, agents="every").lean()
    # arguments, not constants: XLA compiles for minutes with a log inside its program
    data = jax.tree.map(jnp.asarray, (sampling.rows(d), windows, impressions(d)))
    stages = jnp.arange(UPDATES[-1]).reshape(len(UPDATES), -1)
    key = jax.random.key(1_000)

    def one(decay: Any, episodes: Any, count: Any, data: Any) -> Any:
        rows, windows, asked = data
        made = dataclasses.replace(algorithm, weight_decay=decay)

        def update(state: Any, step: Any) -> Any:
            chosen = episodes[sampling.sample(key, step, batch=BATCH, total=count)]
            batch = Batch(demonstrations=sampling.gather(rows, windows, 2 * chosen))
            return made.update(state, batch, step, key)[0], None

        def stage(state: Any, steps: Any) -> Any:
            state, _ = jax.lax.scan(update, state, steps)
            return state, made.policy(state).log_prob(*asked, ())[0][half][:, 0]

        return jax.lax.scan(stage, made.init(d.spec, None, key), stages)[1]

    every = jax.vmap(jax.vmap(one, (None, 0, 0, None)), (0, None, None, None))
    return np.asarray(jax.jit(every)(jnp.asarray(WEIGHT_DECAY), padded, counts, data))


def learned(choice: Choice, train: Demonstrations, asked: Any, half: str) -> np.ndarray:
    """Log-probability of actions of `impressions` that are asked about, ``[seeds, episodes]``."""
    with tempfile.TemporaryDirectory() as folder:
        run = us.train(
            choice.algorithm, demonstrations=train, steps=choice.updates, seeds=SEEDS,
            out=Path(folder) / "run",
        )  # fmt: skip
        assert not run.diverged, f"seeds {sorted(run.diverged)} diverged"
        found = [run.policy(seed).log_prob(*asked, ())[0][half][:, 0] for seed in range(SEEDS)]
    return np.asarray(found, np.float64)


def interval(statistic: Callable[[np.ndarray], float], count: int) -> Interval:
    """A statistic of weights of impressions, and where it lies when they are drawn again."""
    rng = np.random.default_rng(0)
    drawn = [
        statistic(np.bincount(rng.integers(count, size=count), minlength=count).astype(float))
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(statistic(np.ones(count))), float(low), float(high))


def mean_of(values: np.ndarray) -> Interval:
    return interval(lambda weights: float(weights @ values / weights.sum()), len(values))


def surprise(p: np.ndarray, click: np.ndarray) -> np.ndarray:
    """Log-loss of each impression, nats."""
    return -np.where(click == 1, np.log(p), np.log1p(-p))


def calibration_error(p: np.ndarray, click: np.ndarray) -> Callable[[np.ndarray], float]:
    """Mean distance of rates from probabilities in bins of equally many, mean over seeds."""
    ranks = p.argsort(1, kind="stable").argsort(1)
    bins = ranks * BINS // p.shape[1]

    def statistic(weights: np.ndarray) -> float:
        found = []
        for seed in range(len(p)):
            gap = np.bincount(bins[seed], weights * (click - p[seed]), BINS)
            found.append(np.abs(gap).sum() / weights.sum())
        return float(np.mean(found))

    return statistic


def slope(p: np.ndarray, click: np.ndarray) -> Callable[[np.ndarray], float]:
    """Of the logistic regression of clicks on log-odds, all seeds together; 1 if calibrated.

    Not a number where all are told nearly the same.
    """
    odds = np.log(p / (1 - p))
    middle, spread = odds.mean(), odds.std()
    if spread < SPREAD:
        return lambda weights: float("nan")
    x, y = ((odds - middle) / spread).ravel(), np.tile(click, len(p))

    def statistic(weights: np.ndarray) -> float:
        w = np.tile(weights, len(p))
        rate = (w @ y) / w.sum()
        beta = np.array([np.log(rate / (1 - rate)), 0.0])
        for _ in range(12):  # Newton
            q = 1 / (1 + np.exp(-(beta[0] + beta[1] * x)))
            error, curve = w * (y - q), w * q * (1 - q)
            hessian = np.array([[curve.sum(), curve @ x], [curve @ x, curve @ (x * x)]])
            beta = beta + np.linalg.solve(hessian, [error.sum(), error @ x])
        return float(beta[1] / spread)

    return statistic


def user(
    campaign: str, random: Demonstrations, bts: Demonstrations
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The user half of `random` under `bts`."""
    choice, tried = choose(random, "user")
    seen, done, starts = impressions(bts)
    clicking = {**done, "user": jnp.ones_like(done["user"])}
    log_prob = learned(choice, random, (seen, clicking, starts), "user")
    click, position = clicks(bts), positions(bts)
    rate, fold = float(clicks(random).mean()), folds_of(random)
    others = [clicks(random)[fold != k].mean() for k in range(FOLDS)]
    simple = float(surprise(np.asarray(others)[fold], clicks(random)).mean())
    p = np.clip(np.exp(log_prob), LEAST, 1 - LEAST)
    mine, constant = surprise(p, click).mean(0), surprise(np.full(len(click), rate), click)
    rows = [
        {"campaign": campaign, "table": "cross-validation", **row, "constant": simple}
        for row in tried
    ]
    holds = []
    for place in ("all", *POSITIONS):
        at = np.ones(len(click), bool) if place == "all" else position == place
        y, q = click[at], p[:, at]
        expected = q.mean(0)
        ratio = interval(lambda w, y=y, e=expected: float(w @ y / (w @ e)), len(y))
        figures = {
            "log_loss": mean_of(mine[at]), "constant": mean_of(constant[at]),
            "difference": mean_of(mine[at] - constant[at]), "observed_to_expected": ratio,
            "calibration_error": interval(calibration_error(q, y), len(y)),
            "slope": interval(slope(q, y), len(y)),
        }  # fmt: skip
        holds += [] if place == "all" else [ratio.low <= 1 <= ratio.high]
        rows.append({
            "campaign": campaign, "table": "user", "position": place, "clicks": int(y.sum()),
            "impressions": len(y), "predicted_rate": float(expected.mean()),
            "observed_rate": float(y.mean()), "constant_rate": rate, **flat(figures),
        })  # fmt: skip
    gap = mean_of(mine - constant)
    return rows, [
        target(
            f"D.4 user log-loss, {campaign}", "user learned from random, on bts: log-loss above "
            f"the constant rate of random, nats per impression, mean of {SEEDS} seeds", "<=", 0.0,
            gap.estimate, gap[1:],
        ),
        target(
            f"D.4 user calibration, {campaign}", "positions of three at which clicks observed are "
            "as many as predicted, within a 95 % interval", ">=", 3, sum(holds),
        ),
    ]  # fmt: skip


def platform(
    campaign: str, bts: Demonstrations
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The platform half of early days of `bts` on later ones."""
    days = np.unique(bts.label("day")).tolist()
    bts = bts.regroup({"platform": ("platform",)})
    early, late = bts.by(day=days[:EARLY]), bts.by(day=days[EARLY:])
    choice, tried = choose(early, "platform")
    mine = learned(choice, early, impressions(late), "platform").mean(0)
    items = bts.spec["platform"].action.choices  # pyright: ignore[reportOptionalMemberAccess]
    counted, true = counts(early, late, items), np.log(late.context["propensity"])
    rows = [{"campaign": campaign, "table": "cross-validation", **row} for row in tried]
    gaps = []
    for place in ("all", *POSITIONS):
        at = np.ones(late.episodes, bool) if place == "all" else positions(late) == place
        above = mean_of(mine[at] + np.log(items))
        gaps += [] if place == "all" else [above]
        figures = {
            "log_prob": mean_of(mine[at]), "above_uniform": above,
            "shares_of_items": mean_of(counted[at]), "true_propensity": mean_of(true[at]),
        }  # fmt: skip
        rows.append({
            "campaign": campaign, "table": "platform", "position": place,
            "impressions": int(at.sum()), "uniform": -float(np.log(items)), **flat(figures),
        })  # fmt: skip
    worst = min(gaps, key=lambda gap: gap.estimate)
    return rows, [
        target(
            f"D.4 platform, {campaign}", f"platform learned from {EARLY} days of bts, on others: "
            "log-probability of the item shown above uniform, nats, at the worst position", ">",
            0.0, worst.estimate, worst[1:],
        )
    ]  # fmt: skip


def counts(early: Demonstrations, late: Demonstrations, items: int) -> np.ndarray:
    """Log of the share of each item at a position in early days, each seen once more."""
    seen = np.ones((len(POSITIONS), items))
    np.add.at(seen, (positions(early) - 1, shown(early)), 1)
    return np.log(seen / seen.sum(1, keepdims=True))[positions(late) - 1, shown(late)]


def shown(d: Demonstrations) -> np.ndarray:
    assert d.actions is not None
    return d.actions["platform"][d.starts[:-1], 0, 0].astype(int)


def clicks(d: Demonstrations) -> np.ndarray:
    assert d.actions is not None
    return d.actions["user"][d.starts[:-1], 0, 0].astype(float)


def positions(d: Demonstrations) -> np.ndarray:
    columns = [d.spec["platform"].features.index(f"position={k}") for k in POSITIONS]
    return d.features["platform"][d.starts[:-1], 0][:, columns].argmax(1) + 1


def flat(figures: dict[str, Interval]) -> dict[str, Any]:
    """Estimates by name, and their intervals beside."""
    found = {name: figure.estimate for name, figure in figures.items()}
    return {**found, "intervals": {name: list(figure[1:]) for name, figure in figures.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of random/ and bts/")
    folder = parser.parse_args().data
    rows, targets = [], []
    for campaign in CAMPAIGNS:
        logs = [folder / policy / campaign for policy in ("random", "bts")]
        d = us.data.read("open_bandit", logs)
        random, bts = d.by(policy="random"), d.by(policy="bts")
        for found, lines in (user(campaign, random, bts), platform(campaign, bts)):
            rows += found
            targets += lines
            tried = [row for row in found if row["table"] == "cross-validation"]
            print(table([min(tried, key=lambda row: row["held_out"])]))
            print(table([
                {name: value for name, value in row.items() if name != "intervals"}
                for row in found if row["table"] != "cross-validation"
            ]), f"{time.process_time():.0f} s of CPU", flush=True)  # fmt: skip
    print(summary(targets))
    write("open_bandit", command=command(), seeds=range(SEEDS), rows=rows, targets=targets)


if __name__ == "__main__":
    main()
