"""Half-court offence from NBA tracking (A1.6, A1.11): do sampled plays move like real ones?

Plays that end in a shot made, read from ``--data`` (an ``.npz`` of scenes, see
`understudy.data.readers.scenes`), resampled to 5 Hz, cut from where the attack can be told from ten
rows and turned to attack the left hoop; five offensive players, feet, windows of 50 rows, split by
game. Ten rows are shown, forty drawn, nothing is clipped. Intents on 9 x 10 cells of 5 ft.

    python benchmarks/halfcourt.py --data score_train.npz --runs RUNS [--steps N] [--plan]
                                   [--models NAME ...] [--unfiltered FILE ...]

Run again to go on where it stopped; results are written once all models are there. Out of
bounds counts rows in which any of the five is outside 94 x 50 ft. A set that was filtered to lie
inside has a true rate of 0; ``--unfiltered`` names
recordings of the same league that were not, whose offence is measured alike.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import jax
import numpy as np

import understudy as us
from results import command, summary, table, target, write
from training import futures, hours, plan, train_all
from understudy.algorithms import presets
from understudy.data import sampling
from understudy.data.court import LENGTH, WIDTH, half_court
from understudy.data.demonstrations import Demonstrations
from understudy.data.labels import Grid, Stationary, Window
from understudy.data.readers import read
from understudy.experiment.likelihood import bounds
from understudy.experiment.tally import Tally, intervals

RATE, ROWS, SHOWN, GROUP = 5.0, 50, 10, "offence"
GRID = Grid(9, 10, low=(0.0, 0.0), high=(45.0, 50.0))
COOLER = (0.5, 0.0)
"""Temperatures that are measured beside 1."""
BOTTOM_LEFT = 0
"""Cell of x and y from 0 to 5 ft."""
MODELS = (
    "rnn-gauss", "vrnn-joint", "vrnn-independent", "vrnn-mixed", "vrae", "intents-stationary",
    "intents-window",
)  # fmt: skip


def models(steps: int, tiny: bool) -> dict[str, Any]:
    """CPU presets, all alike: 64 hidden units everywhere, a step size that falls along a cosine."""
    first = steps // 4
    sizes = {"width": 8, "rnn": 8, "batch": 8} if tiny else {}
    sizes = {"batch": 16, "learning_rate": 4e-3, **sizes}
    single = {"decay": steps, "group": GROUP, **sizes}
    hierarchy = {
        "decay": steps - first, "group": GROUP, "steps": (first, steps - first), **sizes
    }  # fmt: skip
    return {
        "rnn-gauss": presets.RNNGauss(**single),
        "vrnn-joint": presets.VRNN("joint", **single),
        "vrnn-independent": presets.VRNN("independent", **single),
        "vrnn-mixed": presets.VRNN("mixed", **single),
        "vrae": presets.VRAE(**single),
        "intents-stationary": presets.IntentVRNN(rule=Stationary(GRID), **hierarchy),
        "intents-window": presets.IntentVRNN(rule=Window(GRID), **hierarchy),
    }


# --- data ---


def offence(raw: Demonstrations) -> Demonstrations:
    """The attacking five at 5 Hz, turned to the left hoop."""
    return half_court(raw.resample(RATE), SHOWN, say=print).regroup({GROUP: (GROUP,)})


def cut(plays: Demonstrations, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions ``[windows, 50, 5, 2]`` and the number of the game of each window."""
    found = sampling.windows(plays, ROWS, stride=stride)
    rows = np.asarray(found.start)[:, None] + np.arange(ROWS)
    games = np.unique(plays.label("game"), return_inverse=True)[1]
    return np.asarray(plays.features[GROUP])[rows], games[np.asarray(found.episode)]


def with_teams(raw: Demonstrations) -> Demonstrations:
    """Call the team of the first five players home."""
    team = dict(raw.agent_labels["team"])
    team["player"] = np.tile(["home"] * 5 + ["visitor"] * 5, (len(raw), 1))
    return raw.replace(agent_labels={**raw.agent_labels, "team": team})


# --- what is measured ---


def motion(positions: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics per window of ``[windows, ..., 50, 5, 2]``, samples averaged; feet and rows.

    With the rows shown counted, as published, and without (``_after``).
    """
    found = {}
    for name, first in (("", 0), ("_after", SHOWN)):
        moved = positions[..., max(first - 1, 0) :, :, :]
        length = np.linalg.norm(np.diff(moved, axis=-3), axis=-1)
        outside = np.any((positions < 0) | (positions > (LENGTH, WIDTH)), axis=(-1, -2))
        found |= {
            f"speed{name}": length.mean((-1, -2)),
            f"distance{name}": length.sum(-2).mean(-1),
            f"out_of_bounds{name}": outside[..., first:].mean(-1),
        }
    return {n: v.reshape(len(v), -1).mean(1).astype(np.float64) for n, v in found.items()}


def grounding(generator: Any, shown: np.ndarray, seed: int) -> dict[str, float]:
    """Share of rollouts whose commanded player ends in or next to the bottom-left cell.

    One player is commanded for all rows drawn and the others choose; the players take turns. Then
    all five are commanded.
    """
    agents = shown.shape[2]
    turn = np.arange(len(shown)) % agents
    one = np.full((len(shown), agents), -1)
    one[np.arange(len(shown)), turn] = BOTTOM_LEFT
    everybody = np.full((len(shown), agents), BOTTOM_LEFT)

    def near(command: np.ndarray | None) -> np.ndarray:
        ends = futures(generator, shown, ROWS - SHOWN, intents=command, seed=seed)[:, 0, -1]
        return GRID.apart(GRID.cell(ends), np.asarray(BOTTOM_LEFT)) <= 1

    rows = np.arange(len(shown))
    return {
        "grounded": float(near(one)[rows, turn].mean()),
        "grounded_all_five": float(near(everybody).mean()),
        "there_uncommanded": float(near(None)[rows, turn].mean()),
    }


def held(generator: Any, plays: Demonstrations) -> float:
    """Largest difference, in feet, of two players held to the truth from the truth."""
    found = us.generate(
        generator, context=plays, observed=SHOWN, samples=2, horizon=ROWS - SHOWN,
        given={GROUP: [0, 3]},
    )  # fmt: skip
    drawn = found.samples[GROUP][:, :, :, [0, 3]]
    truth = plays.features[GROUP].reshape(len(plays), ROWS, 5, 2)[:, None, SHOWN:, [0, 3]]
    return float(np.abs(drawn - truth).max())


def future_changes(generator: Any, raw: Demonstrations, games: np.ndarray) -> float:
    """Largest change of any sample, in feet, when the raw rows after the burn-in are replaced.

    Everything runs again from the raw rows: resampling, telling the attack, turning, sampling.
    """
    raw = raw.by(game=games[:20].tolist())
    before = offence(raw)
    rows = dict(zip(before.labels["episode"], before.lengths, strict=True))
    at_rate = raw.resample(RATE)
    features = {name: np.array(array) for name, array in raw.features.items()}
    noise = np.random.default_rng(0)
    for episode, name in enumerate(raw.labels["episode"]):
        begin = int(at_rate.lengths[episode]) - int(rows.get(name, 0))
        last = int(np.ceil((begin + SHOWN - 1) / RATE * raw.rate))  # the last row looked at
        changed = slice(int(raw.starts[episode]) + last + 1, int(raw.starts[episode + 1]))
        for array in features.values():
            size = array[changed].shape
            array[changed] = noise.uniform((0, 0), (LENGTH, WIDTH), size)
    after = offence(raw.replace(features=features))
    kept = [n in rows for n in after.labels["episode"]]
    drawn = [
        us.generate(generator, context=plays, observed=SHOWN, samples=2, horizon=ROWS - SHOWN)
        for plays in (before, after[np.flatnonzero(kept)])
    ]
    return float(np.abs(drawn[0].samples[GROUP] - drawn[1].samples[GROUP]).max())


def likelihood(run: Any, generator: Any, plays: Demonstrations, particles: int) -> dict[str, float]:
    """Terms of the bound in nats per window, std floor 1e-3 ft, row 0 not counted."""
    labelled = run.algorithm.prepare(plays) if hasattr(run.algorithm, "prepare") else plays
    found = sampling.windows(labelled, ROWS, stride=5)
    rows = sampling.rows(labelled)
    chosen = np.arange(len(found))
    tallies = bounds(generator, rows, found, chosen, particles=particles, seed=0)
    return {name: tally.value for name, tally in tallies.items()}


# --- the experiment ---


def score(
    name: str, run: Any, seed: int, test: Demonstrations, stride: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One row of the table, and the statistics per window."""
    generator = run.generator(seed=seed)
    truth, _ = cut(test, stride)
    shown = truth[:, :SHOWN]
    samples = -(-1000 // len(shown))

    def moved(temperature: float, samples: int) -> dict[str, np.ndarray]:
        drawn = futures(
            generator.tempered(temperature), shown, ROWS - SHOWN, samples=samples, seed=1
        )
        past = np.broadcast_to(shown[:, None], (len(shown), samples, *shown.shape[1:]))
        return motion(np.concatenate([past, drawn], axis=2))

    found = moved(1.0, samples)
    row = {"model": name, "seed": seed, "steps": run.step, "hours": hours(run)}
    row |= {"failed": seed in run.diverged, "rollouts": len(shown) * samples}
    row |= {n: float(v.mean()) for n, v in found.items()}
    for cooler in COOLER:
        row |= {f"{n}_at_{cooler:g}": float(v.mean()) for n, v in moved(cooler, 1).items()}
    row |= likelihood(run, generator, test, particles=8)
    if name.startswith("intents"):
        row |= grounding(generator, shown, seed=2)
    return row, found


def ratios(
    found: list[dict[str, np.ndarray]], truth: dict[str, np.ndarray], games: np.ndarray
) -> dict[str, tuple[float, Any]]:
    """Sampled over true, mean over seeds, with intervals that draw games."""
    pooled = {n: np.mean([f[n] for f in found], axis=0) for n in ("speed", "distance")}
    tallies = {n: Tally(pooled[n], truth[n]) for n in pooled}
    ends = intervals(tallies, games, 0)
    return {name: (tally.value, ends[name]) for name, tally in tallies.items()}


def targets(
    rows: list[dict[str, Any]],
    scored: dict[str, dict[str, tuple[float, Any]]],
    truth: dict[str, float],
    checks: dict[str, float],
) -> list[dict[str, Any]]:
    """A1.6 of the better intents model (nearest to the true speed), A1.11."""
    lines = []
    if scored:
        best = min(scored, key=lambda n: abs(scored[n]["speed"][0] - 1))
        mine = [row for row in rows if row["model"] == best]
        for id, name in (("A1.6", "speed"), ("A1.6b", "distance")):
            ratio, ends = scored[best][name]
            what = f"{name} of {best}: distance of sampled over true ({ratio:.3f}) from 1"
            what += f"; interval of the ratio, drawing games: {ends}"
            lines.append(target(id, what, "<=", 0.15, abs(ratio - 1)))
        out = float(np.mean([row["out_of_bounds"] for row in mine]))
        what = f"out-of-bounds rate of {best} against twice the true rate"
        lines.append(target("A1.6c", f"{what} of the same set", "<", 2 * truth["same"], out))
        if "unfiltered" in truth:
            what += " of recordings that were not filtered to lie inside"
            lines.append(target("A1.6d", what, "<", 2 * truth["unfiltered"], out))
        grounded = [float(row["grounded"]) for row in mine]
        what = f"rollouts of {best} that end in or next to the commanded bottom-left cell"
        ends = (min(grounded), max(grounded))
        lines.append(target("A1.11", what, ">=", 0.8, float(np.mean(grounded)), ends))
    names = {
        "held": ("A1.11b", "feet between players held to the truth and the truth, largest"),
        "future": ("A1.11c", "feet by which samples change with raw rows after the burn-in"),
    }
    lines += [target(*names[n], "==", 0.0, value) for n, value in checks.items()]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="scenes, .npz")
    parser.add_argument("--unfiltered", type=Path, nargs="*", default=[])
    parser.add_argument("--runs", type=Path, required=True, help="folder of the trained runs")
    parser.add_argument("--steps", type=int, default=4_000, help="updates per model")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--plan", action="store_true", help="measure the compute hours and stop")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal that writes no results")
    options = parser.parse_args()
    raw = read("scenes", options.data)
    train, validation, test = offence(raw).split(by="game", fractions=(0.8, 0.1, 0.1), seed=0)
    chosen = {n: m for n, m in models(options.steps, options.tiny).items() if n in options.models}
    if options.plan:
        print(plan(chosen, train, steps=options.steps, seeds=options.seeds))
        return
    stride = 50 if options.tiny else 5
    true, games = cut(test, stride)
    truth = motion(true)
    rows: list[dict[str, Any]] = [{"model": "truth", **{n: v.mean() for n, v in truth.items()}}]
    rates = {"same": float(truth["out_of_bounds"].mean())}
    if options.unfiltered:
        other = [offence(with_teams(read("scenes", path))) for path in options.unfiltered]
        found = motion(np.concatenate([cut_any(plays) for plays in other]))
        rows.append({"model": "truth, unfiltered", **{n: v.mean() for n, v in found.items()}})
        rates["unfiltered"] = float(found["out_of_bounds"].mean())
    print(table(rows), flush=True)
    scored, checks = {}, {}
    trained = train_all(
        chosen, options.runs, train, validation, steps=options.steps, seeds=options.seeds
    )
    for name, run in trained:
        each = [score(name, run, seed, test, stride) for seed in range(run.seeds)]
        rows += [row for row, _ in each]
        print(table([row for row, _ in each]), flush=True)
        if name.startswith("intents"):
            scored[name] = ratios([found for _, found in each], truth, games)
            generator = run.generator()
            checks["held"] = held(generator, first_rows(test)[:16])
            checks["future"] = future_changes(generator, raw, np.unique(test.label("game")))
        jax.clear_caches()
    lines = targets(rows, scored, rates, checks)
    print(table(rows))
    print(summary(lines))
    if not options.tiny and len(chosen) == len(MODELS):
        seeds = list(range(options.seeds))
        write("halfcourt", command=command(), seeds=seeds, rows=rows, targets=lines)


def cut_any(plays: Demonstrations) -> np.ndarray:
    """Windows of a set whose games are not known."""
    named = plays.replace(labels={**plays.labels, "game": plays.labels["source"]})
    return cut(named, 5)[0]


def first_rows(plays: Demonstrations) -> Demonstrations:
    """Episodes of at least 50 rows, cut to their first 50."""
    long = plays[np.flatnonzero(plays.lengths >= ROWS)]
    keep = (long.starts[:-1][:, None] + np.arange(ROWS)).ravel()
    starts = np.arange(len(long) + 1) * ROWS
    return long.map_rows(lambda array: np.asarray(array)[keep], starts=starts)


if __name__ == "__main__":
    main()
