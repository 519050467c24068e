"""The quick start with boids: a generator of plays, from data to report.

Half of the flocks keep together, half keep apart. A hierarchical VRNN is told one bit per
flock (by a rule that looks at the distance to the nearest neighbour) and learns to fly both ways;
then it is commanded to do the one or the other from the same beginning.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from understudy.algorithms.presets import IntentVRNN
from understudy.data import store
from understudy.data.boids import boids
from understudy.data.demonstrations import Demonstrations
from understudy.data.labels import NearestNeighbour
from understudy.experiment import folder
from understudy.experiment.arena import Options
from understudy.experiment.evaluate import evaluate
from understudy.experiment.generate import Plays, generate
from understudy.experiment.plan import TrainOptions
from understudy.experiment.quickstart import Outcome, Tell
from understudy.experiment.report import report
from understudy.experiment.run import Run
from understudy.experiment.session import Progress
from understudy.experiment.tables import Evaluation
from understudy.experiment.train import train
from understudy.visualise.animate import animate

APART, TOGETHER = 0, 1
"""Classes of the rule."""
RULE = NearestNeighbour()
OBSERVED, HORIZON = 10, 40
SHOWN, TEMPERATURE = 1, 0.0
"""Of commanded flocks. From the first row, which all flocks share, the command alone decides; at
temperature 1 the noise of a training this short adds up, and flocks drift together."""


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of everything: by default, a few minutes on two cores."""

    episodes: int = 5_120
    """Flocks, split 80 : 10 : 10."""
    steps: int = 1_000
    """Updates."""
    width: int = 64
    """Units of every layer."""
    batch: int = 16
    """Flocks per update."""
    windows: int = 256
    """Test flocks that are scored."""
    commanded: int = 32
    """Test flocks that are given each command."""
    samples: int = 5
    """Futures per flock."""


def play(out: Path, size: Size, say: Tell, progress: Progress | None) -> Outcome:
    """Generate, train, evaluate, command, draw and report."""
    say(f"generating {size.episodes:,} flocks of eight, half of them unfriendly")
    flocks = boids(size.episodes, seed=0).split(by="episode")
    for name, part in flocks._asdict().items():
        store.save(part, out / "demos" / name)

    say("learning when flocks keep together, and how they fly")
    run = learn(out, size, progress)

    say("measuring it beside constant velocity on flocks it has never seen")
    evaluation = evaluate(
        run,
        demonstrations=flocks.test,
        protocol="boids",
        samples=size.samples,
        options=Options(windows=size.windows, likelihood_windows=size.windows, particles=4),
    )

    say("commanding the same flocks to keep together and to keep apart")
    commanded, obeyed = command(run, flocks.test[: size.commanded])
    summary = summarise(run, evaluation, commanded, obeyed)

    say("drawing")
    folder.write_json(out / "summary.json", summary)
    files = draw(run, evaluation, commanded, flocks.test[: size.commanded], out, size)
    return Outcome([run], summary, files, table(summary), told(summary), next_steps(files))


def learn(out: Path, size: Size, progress: Progress | None) -> Run:
    """Train on the flocks in ``out/demos``: intents and flights together, to compile once."""
    algorithm = IntentVRNN(
        rule=RULE,
        scope="shared",
        stages=False,
        decay=size.steps,
        learning_rate=4e-3,
        batch=size.batch,
        width=size.width,
        rnn=size.width,
        intent_rnn=max(1, size.width // 2),
    )
    return train(
        algorithm,
        demonstrations=out / "demos" / "train",
        validation=out / "demos" / "validation",
        steps=size.steps,
        out=out / "run",
        options=TrainOptions(log_every=20, checkpoint_every=100),
        progress=progress,
    )


def draw(
    run: Run,
    evaluation: Evaluation,
    commanded: Plays,
    flocks: Demonstrations,
    out: Path,
    size: Size,
) -> dict[str, Path]:
    """Write report, animation and picture; name them and the rest in the order to look at."""
    plays = generate(
        run, context=flocks, observed=OBSERVED, samples=2 * size.samples, horizon=HORIZON
    )
    return {
        "report": report(run, evaluation=evaluation, plays=plays, path=out / "report.html"),
        "animation": animate(commanded, out / "plays.gif", scenes=2, samples=2),
        "picture": animate(commanded, out / "plays.png", scenes=3, samples=2),
        "summary": out / "summary.json",
        "demonstrations": out / "demos",
        "run": out / "run",
    }


def command(run: Run, flocks: Demonstrations) -> tuple[Plays, dict[str, float]]:
    """Give every flock both commands, one sample each at `TEMPERATURE`.

    Returns:
        Plays whose first sample was told to keep together and whose second to keep apart, and the
        share of flocks that did as told, by the rule.
    """
    told = {
        name: generate(
            run,
            context=flocks,
            observed=SHOWN,
            samples=1,
            horizon=OBSERVED + HORIZON - SHOWN,
            intents={"agents": bit},
            temperature=TEMPERATURE,
        )
        for name, bit in (("together", TOGETHER), ("apart", APART))
    }
    first, second = told.values()
    plays = Plays(
        first.truth,
        {"agents": np.concatenate([first.samples["agents"], second.samples["agents"]], axis=1)},
        None
        if first.intents is None or second.intents is None
        else {
            "agents": np.concatenate([first.intents["agents"], second.intents["agents"]], axis=1)
        },
        SHOWN,
    )
    labels = np.asarray(RULE(plays.samples["agents"], flocks.rate))[..., -1, 0]
    obeyed = {
        name: float(np.mean(labels[:, i] == bit))
        for i, (name, bit) in enumerate((("together", TOGETHER), ("apart", APART)))
    }
    return plays, obeyed


def summarise(
    run: Run, evaluation: Evaluation, plays: Plays, obeyed: dict[str, float]
) -> dict[str, Any]:
    """The figures worth keeping, as ``summary.json`` holds them."""
    figures = ("samples", "minADE", "minFDE", "ADE", "FDE", "elbo")
    last = plays.samples["agents"][:, :, -1]  # scenes, samples, agents, 2
    between = np.linalg.norm(last[..., :, None, :] - last[..., None, :, :], axis=-1)
    distance = between.sum((-1, -2)) / (between.shape[-1] * (between.shape[-1] - 1))
    return {
        "problem": "boids",
        "algorithm": run.name,
        "updates": run.updates,
        "diverged": sorted(run.diverged),
        "rows": [
            {"model": row["model"], **{name: row[name] for name in figures if name in row}}
            for row in evaluation.json()["rows"]
            if "minADE" in row
        ],
        "obeyed": obeyed,
        "temperature": TEMPERATURE,
        "pair_distance": {
            "together": float(distance[:, 0].mean()),
            "apart": float(distance[:, 1].mean()),
        },
    }


def table(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows to show, the heading first."""
    rows: list[tuple[str, ...]] = [("", "minADE", "minFDE", "best of", "nats per flock")]
    for row in summary["rows"]:
        elbo = "" if row.get("elbo") is None else f"{row['elbo']:,.0f}"
        errors = f"{row['minADE']:.2f}", f"{row['minFDE']:.2f}"
        rows.append((row["model"], *errors, str(row["samples"]), elbo))
    return rows


def told(summary: dict[str, Any]) -> str:
    """What came of the commands."""
    obeyed, apart = summary["obeyed"], summary["pair_distance"]
    return (
        f"At temperature {summary['temperature']:g}, told to keep together, "
        f"{obeyed['together']:.0%} of the flocks did; told to keep apart, {obeyed['apart']:.0%}.\n"
        f"They ended {apart['together']:.2f} and {apart['apart']:.2f} from one another on average."
    )


def next_steps(files: dict[str, Path]) -> list[str]:
    """Commands worth trying next."""
    demos = files["demonstrations"]
    return [
        f"understudy train vrnn --demos {demos} --steps 2000 --out runs/vrnn",
        f"understudy evaluate runs/vrnn --demos {demos}/test --protocol boids",
    ]
