"""The report of a run: one HTML file with everything in it, to be read by somebody else.

What it was trained on, what it does beside the baselines, how it learned, what its plays look like,
how far they can be trusted, and in plain words what is wrong with it.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from understudy.data import store
from understudy.data.demonstrations import Demonstrations
from understudy.data.grid import Grid
from understudy.experiment import checkpoint, contenders, games, page, samples
from understudy.experiment.diagnose import evaluated, pictures
from understudy.experiment.findings import findings, models
from understudy.experiment.game_page import headlines, learned_in, rollouts, settings
from understudy.experiment.generate import Plays
from understudy.experiment.history import History
from understudy.experiment.pictured import floor_of, transferred
from understudy.experiment.run import Run
from understudy.experiment.table_page import tables
from understudy.experiment.tables import Evaluation, number
from understudy.experiment.trouble import trouble
from understudy.visualise.animate import animate
from understudy.visualise.curves import draw_curves
from understudy.visualise.plays import draw_plays
from understudy.visualise.transfer import draw_transfer

FILE, GIF = "report.html", "plays.gif"


@dataclasses.dataclass(frozen=True)
class _Story:
    """Everything a report is written from."""

    run: Run
    evaluation: Evaluation | None
    plays: Plays | None
    lack: str | None
    env: Any
    """To play in, where the run does not hold it."""


def report(
    run: Run | str | Path,
    *,
    evaluation: Evaluation | None = None,
    demonstrations: Demonstrations | str | Path | None = None,
    plays: Plays | None = None,
    env: Any = None,
    path: str | Path | None = None,
) -> Path:
    """Write ``report.html`` in the folder of a run.

    Args:
        run: a run or its folder.
        evaluation: its figures; read from ``evaluation.json`` if None, left out if there is none.
        demonstrations: held-out episodes to draw plays from; the validation set of the run, where
            it is on disk, if None.
        plays: plays to show instead of fresh ones.
        env: where the policy of a run plays for the pictures; None: the env it was trained in.
        path: another file to write.

    Returns:
        The file written.
    """
    run = run if isinstance(run, Run) else Run(run)
    if evaluation is None and (run.folder / "evaluation.json").exists():
        evaluation = Evaluation.load(run.folder / "evaluation.json")
    lack = None if games.plays(run) else samples.lack(run)
    if games.plays(run):
        plays = None
    elif plays is None and lack is None:
        plays = samples.draw(run, evaluation, samples.held_out(run, demonstrations))
    elif plays is not None:
        plays = samples.labelled(run, plays)
    story = _Story(run, evaluation, plays, lack, env)
    parts = [
        _head(story),
        _judgement(story),
        rollouts(run, evaluation, env) if games.plays(story.run) else _plays(story),
        _figures(story),
        _curves(story),
        _discriminator(story),
        _trust(story),
        _data(story),
        _config(story),
    ]
    target = Path(path) if path is not None else run.folder / FILE
    checkpoint.write_atomic(target, page.document(f"{title(run)} · understudy", parts))
    return target


def title(run: Run) -> str:
    """What a run is called: its algorithm, and its folder."""
    return f"{contenders.title(run)} · {run.folder.resolve().name}"


def _head(story: _Story) -> str:
    run, kept = story.run, story.run.config["demonstrations"]
    learned = []
    if kept is not None:
        learned.append(
            f"from {kept['episodes']:,} episodes ({kept['frames']:,} rows at {kept['rate']:.4g} Hz)"
        )
    game = learned_in(run)
    learned += [] if game is None else [f"in {game},"]
    state = "" if run.finished else f" It stopped at update {run.step:,} of {run.updates:,}."
    lead = (
        f"Learned {' and '.join(learned)} in {run.updates:,} updates, {run.seeds} "
        f"seed{'s' if run.seeds > 1 else ''}.{state}"
    )
    heading = f"<h1>{page.text(contenders.title(run))}</h1>"
    return (
        f"<header>{heading}{page.paragraph(lead, 'lead')}{page.facts(_headlines(story))}</header>"
    )


def _headlines(story: _Story) -> list[tuple[str, str]]:
    """Up to four figures that say most."""
    if story.evaluation is None or not models(story.evaluation):
        return []
    row = models(story.evaluation)[0]
    unit = story.evaluation.setting.get("unit") or "units"
    found = []
    if row.get("minADE") is not None:
        found.append((number(row["minADE"]), f"minADE of {row['samples']} samples, {unit}"))
        rivals = [r for r in story.evaluation.rows if r["model"] == "constant velocity"]
        if rivals and rivals[0]["minADE"]:
            share = row["minADE"] / rivals[0]["minADE"]
            found.append((f"{share:.0%}", "of the error of constant velocity"))
    if row.get("ratios", {}).get("speed") is not None:
        found.append((f"{row['ratios']['speed']:.2f}×", "the recorded speed"))
    if row.get("ratios", {}).get("out_of_bounds") is not None:
        found.append((f"{row['ratios']['out_of_bounds']:.2f}×", "the recorded time out of bounds"))
    elif row.get("elbo") is not None:
        found.append((f"{row['elbo']:,.0f}", "ELBO, nats per sequence"))
    return [*found, *headlines(row, floor_of(story.evaluation))][:4]


def _judgement(story: _Story) -> str:
    items = "".join(
        f'<li class="{f.level}">{page.text(f.text)}</li>'
        for f in findings(
            story.evaluation,
            story.run.metrics,
            story.lack,
            trouble(story.run.metrics, story.run.spec),
        )
    )
    return page.section("In plain words", f'<ul class="findings">{items}</ul>' if items else "")


def _figures(story: _Story) -> str:
    if story.evaluation is None:
        return ""
    if not games.plays(story.run):
        return page.section("Beside the baselines", *tables(story.evaluation))
    moved, floor = transferred(story.evaluation), floor_of(story.evaluation)
    shown = []
    if moved:
        trained = sum(group.agents for group in story.run.spec.groups)
        picture = draw_transfer(moved, trained=trained, floor=floor)
        words = "Scores against the number of agents; bands are 95 % intervals."
        shown.append(page.picture(picture, words))
    return page.section(f"Between {floor} and expert", *shown, *tables(story.evaluation))


def _plays(story: _Story) -> str:
    plays, run = story.plays, story.run
    if plays is None:
        why = "no held-out demonstrations were given" if story.lack is None else story.lack
        return page.section("Plays", page.paragraph(f"None are shown: {why}."))
    grid = _grid(run)
    bounds = None if story.evaluation is None else story.evaluation.setting.get("bounds")
    with tempfile.TemporaryDirectory() as folder:
        moving = animate(plays, Path(folder) / GIF, grid=grid, bounds=bounds)
        shown = page.picture(
            moving, "What happened beside two samples, in real time; trails turn from grey to "
            "colour where the observed part ends.",
        )  # fmt: skip
    boxes = "" if plays.intents is None or grid is None else (
        " Boxes are the cells that intents pointed at longest."
    )  # fmt: skip
    still = page.picture(
        draw_plays(plays, grid=grid, bounds=bounds),
        "Held-out scenes beside samples. Grey and shaded: observed; then paths darken with time."
        + boxes,
    )
    return page.section("Plays", shown, still)


def _grid(run: Run) -> Grid | None:
    grid = getattr(getattr(run.algorithm, "rule", None), "grid", None)
    return grid if isinstance(grid, Grid) and grid.low is not None else None


def _curves(story: _Story) -> str:
    metrics = story.run.metrics
    if not metrics:
        return ""
    words = "A thin line per seed, a strong one for their mean"
    if len(story.run.config["stages"]) > 1:
        words += "; dotted rules part the stages"
    return page.section("How it learned", page.picture(draw_curves(metrics), f"{words}."))


def _discriminator(story: _Story) -> str:
    """What `understudy diagnose` draws of one run; of evaluations on the way too."""
    if not story.run.metrics:
        return ""
    history = History(story.run)
    made = pictures([history], evaluated(story.evaluation))
    shown = [page.picture(picture.figure, picture.caption) for picture in made]
    return page.section("The discriminator" if history.adversarial else "On the way", *shown)


def _trust(story: _Story) -> str:
    if story.plays is None:
        return ""
    pictures = [page.picture(*pair) for pair in samples.diagnose(story.plays)]
    return page.section("How far to trust it", *pictures)


def _data(story: _Story) -> str:
    parts = []
    for name, words in (("demonstrations", "Trained on"), ("validation", "Validated on")):
        kept = story.run.config[name]
        if kept is not None:
            parts += [page.paragraph(f"{words}:"), page.definitions(_set(story.run, kept))]
    if story.run.config["env"] is not None:
        parts += [page.paragraph("Played in:"), page.definitions(settings(story.run))]
    return page.section("What it learned from", *parts)


def _set(run: Run, kept: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What is known about a set of demonstrations, from the run and from its folder."""
    minutes = kept["frames"] / kept["rate"] / 60
    rows = [
        ("episodes", f"{kept['episodes']:,}"),
        (
            "rows",
            f"{kept['frames']:,} at {kept['rate']:.4g} Hz, {minutes:,.1f} minutes",
        ),
        ("unit", kept["unit"] or "none"),
        ("checksum", kept["checksum"][:16]),
    ]
    folder = None if kept["path"] is None else Path(kept["path"])
    window = getattr(run.algorithm, "window", 0)
    if folder is None or not (folder / "episodes.parquet").is_file():
        where = "given in memory" if folder is None else f"{folder.name} (no longer there)"
        return [("set", where), *rows]
    table = pq.read_table(folder / "episodes.parquet")
    lengths = table["length"].to_numpy()
    sources = np.unique(table["label/source"].to_numpy(zero_copy_only=False).astype(str))
    named = ", ".join(Path(s).name or s for s in sources[:4])
    more = f" and {len(sources) - 4:,} more" if len(sources) > 4 else ""
    short = int((lengths < window).sum())
    return [
        ("set", folder.name),
        ("source", f"{named}{more}"),
        ("licence", store.describe(folder)["licence"] or "not stated"),
        *rows,
        ("windows", f"{int(np.maximum(lengths - window + 1, 0).sum()):,} of {window} rows"),
        ("skipped", f"{short:,} episodes shorter than a window"),
    ]


def _config(story: _Story) -> str:
    run = story.run
    rows = [
        ("understudy", run.config["understudy"]),
        ("seeds", f"{run.seeds}, from {run.config['seed']}"),
    ]
    if run.diverged:
        rows.append(
            ("failed seeds", ", ".join(f"{s} at update {u:,}" for s, u in run.diverged.items()))
        )
    whole = json.dumps(run.config, indent=2)
    footer = "<footer>Written by understudy. Everything on this page is in this one file.</footer>"
    return (
        page.section("Settings", page.definitions(rows), page.details("config.json", whole))
        + footer
    )
