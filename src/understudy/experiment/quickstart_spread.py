"""The quick start with spread: imitate a team four ways, and see which comes close and why.

Three agents share out three landmarks. A trained expert is recorded; behaviour cloning, of agents
that act on their own and of agents that act in turn, and from there MAGAIL (a discriminator per
agent, PPO) and MILD² (a discriminator and a policy over the team) learn from the same
demonstrations, several seeds each, and none is told what the game pays.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from understudy import envs
from understudy.algorithms import presets
from understudy.data import store
from understudy.experiment import checkpoint, diagnose, folder, page
from understudy.experiment.collect import collect
from understudy.experiment.compare import compare
from understudy.experiment.evaluate import evaluate
from understudy.experiment.findings import findings
from understudy.experiment.history import History
from understudy.experiment.pictured import panels, pictured
from understudy.experiment.quickstart import Outcome, Tell
from understudy.experiment.run import Run, load_policy
from understudy.experiment.session import Progress
from understudy.experiment.table_page import tables
from understudy.experiment.tables import Evaluation
from understudy.experiment.train import train
from understudy.experiment.trouble import trouble
from understudy.visualise.intervals import draw_intervals
from understudy.visualise.rollouts import watch

ENV, EXPERT = "spread", "zoo:spread"
DISCOUNT = 0.95
CLONED = 128
"""Rows of an update of behaviour cloning. In the same time, scores of three seeds on their own: a
quarter of the updates on 512 rows 0.61, these 0.72, and with twice the step size and a third of the
decay of weights 0.90; in turn 0.53 and, with twice the step size and half of the decay, 0.87."""
SHOWN = 2
"""Episodes that are animated."""


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of everything: by default, a few minutes on two cores."""

    demonstrations: int = 200
    """Episodes of the expert."""
    seeds: int = 3
    """Trainings of each kind, side by side."""
    cloning: int = 8_000
    """Updates of behaviour cloning of agents on their own."""
    cloning_team: int = 2_000
    """Updates of behaviour cloning of agents that act in turn."""
    magail: int = 64_000
    """Env steps of MAGAIL."""
    mild2: int = 9_600
    """Env steps of MILD², whose transformers take longer."""
    episodes: int = 60
    """Of every policy, to score it."""


def play(out: Path, size: Size, say: Tell, progress: Progress | None) -> Outcome:
    """Record, imitate four ways, compare, draw and report."""
    env = envs.make(ENV)
    say(f"recording {size.demonstrations} episodes of a trained expert")
    demos = collect(env, load_policy(EXPERT), episodes=size.demonstrations, seed=0)
    store.save(demos, out / "demos")

    runs = {}
    for name, (algorithm, steps, start) in algorithms(size).items():
        say(f"imitating it with {name}, {size.seeds} seeds")
        runs[name] = train(
            algorithm, env=env if "env" in algorithm.needs else None, demonstrations=out / "demos",
            warm_start=runs.get(start), steps=steps, seeds=size.seeds,
            out=out / _folder_name(name), progress=progress,
        )  # fmt: skip

    say("measuring all of them between a random policy and the expert")
    for run in runs.values():
        evaluate(run, env=env, expert=EXPERT, episodes=size.episodes)
    whole = compare(list(runs.values())).evaluation

    say("drawing")
    summary = summarise(runs, whole)
    folder.write_json(out / "summary.json", summary)
    files = draw(env, runs, whole, out)
    return Outcome(list(runs.values()), summary, files, table(whole), told(whole), next_steps(out))


def _folder_name(name: str) -> str:
    """Of a run, without blanks and signs: ``bc-in-turn``."""
    return name.lower().replace("²", "2").replace(",", "").replace(" ", "-")


def algorithms(size: Size) -> dict[str, tuple[Any, int, str]]:
    """Name -> what learns, for how many updates or env steps, and what it begins with."""
    own = presets.MAPPO(
        hidden=(128, 128), discount=DISCOUNT, learning_rate=1e-3, entropy=0.005, cloning_weight=0.1
    )
    team = presets.MAT(
        identity=False, normalise=False, activation="tanh", discount=DISCOUNT,
        learning_rate=5e-4, entropy=0.005, cloning_weight=0.1, envs=16, epochs=2, minibatches=2,
    )  # fmt: skip
    judge = {"cloning": 0, "passes": 8, "minibatch": 512, "learning_rate": 1e-3, "noise": 0.3}

    def clone(network: Any, updates: int, weight_decay: float) -> tuple[Any, int, str]:
        cloning = presets.BC(
            network=network, batch=CLONED, learning_rate=2e-3, decay=updates,
            weight_decay=weight_decay,
        )  # fmt: skip
        return cloning, updates, ""

    return {
        "BC": clone(own.network, size.cloning, 0.1),
        "BC, in turn": clone(team.network, size.cloning_team, 0.5),
        "MAGAIL": (presets.MAGAIL(optimiser=own, **judge), size.magail, "BC"),
        "MILD²": (presets.MILD2(optimiser=team, **judge), size.mild2, "BC, in turn"),
    }


def summarise(runs: dict[str, Run], whole: Evaluation) -> dict[str, Any]:
    """The figures worth keeping, as ``summary.json`` holds them."""
    return {
        "problem": ENV,
        "runs": {name: run.folder.name for name, run in runs.items()},
        "diverged": {name: sorted(run.diverged) for name, run in runs.items()},
        "rows": [
            {name: row.get(name) for name in ("label", "execution", "score", "mean_return")}
            for row in pictured(whole)
        ],
    }


def table(whole: Evaluation) -> list[tuple[str, ...]]:
    """Rows to show, the heading first."""
    rows: list[tuple[str, ...]] = [("", "execution", "score", "95 %", "return")]
    for row in pictured(whole):
        interval = row.get("intervals", {}).get("score")
        rows.append((
            row["label"], row.get("execution") or "",
            "" if row.get("score") is None else f"{row['score']:.2f}",
            "" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}",
            f"{row['mean_return']:.1f}",
        ))  # fmt: skip
    return rows


def told(whole: Evaluation) -> str:
    """How to read the table."""
    seeds = len({r["seed"] for r in whole.rows if isinstance(r.get("seed"), int)})
    return (
        f"Scores: 0 is a random policy, 1 the expert; interquartile means of {seeds} seeds. "
        "Nobody was told what the game pays."
    )


def draw(env: Any, runs: dict[str, Run], whole: Evaluation, out: Path) -> dict[str, Path]:
    """Write report and animation; name them and the rest in the order to look at."""
    players = {EXPERT: load_policy(EXPERT, mode="mode")}
    for name, run in runs.items():
        well = [seed for seed in range(run.seeds) if seed not in run.diverged]
        if well:
            players[name] = run.policy(well[0])
    moving = watch(env, players, out / "rollouts.gif", episodes=SHOWN)
    learned = [History(run, name) for name, run in runs.items()]
    told_on = diagnose.pictures(learned, diagnose.evaluated(whole))
    said = findings(whole, [], more=[f for h in learned for f in trouble(h.metrics, h.run.spec)])
    items = "".join(f'<li class="{f.level}">{page.text(f.text)}</li>' for f in said)
    parts = [
        "<h1>A team and its understudies</h1>",
        page.paragraph(
            "Four ways to imitate a team that shares out landmarks, from the same demonstrations.",
            "lead",
        ),
        page.section("In plain words", f'<ul class="findings">{items}</ul>'),
        page.section(
            "Side by side",
            page.picture(
                draw_intervals(pictured(whole), panels(whole)),
                "Dots are figures, lines their 95 % intervals.",
            ),
            *tables(whole),
        ),
        page.section(
            "How they play",
            page.picture(moving, "The same initial states, whoever plays; first seeds."),
        ),
        page.section(
            "What the discriminators did",
            *(page.picture(made.figure, made.caption) for made in told_on),
        ),
    ]
    report = out / "report.html"
    checkpoint.write_atomic(report, page.document("A team and its understudies", parts))
    return {
        "report": report,
        "animation": moving,
        "summary": out / "summary.json",
        "demonstrations": out / "demos",
        **{name: run.folder for name, run in runs.items()},
    }


def next_steps(out: Path) -> list[str]:
    """Commands worth trying next."""
    demos = out / "demos"
    return [
        f"understudy train magail --prior central --env {ENV} --demos {demos} --cloning 0 "
        f"--warm-start {out / 'bc'} --out runs/central",
        "understudy evaluate runs/central",
        f"understudy diagnose {out / 'magail'} runs/central --out figures",
    ]
