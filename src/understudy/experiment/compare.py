"""Put evaluated runs side by side: one table, one picture, and a refusal of unlike protocols."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from understudy.experiment import checkpoint, page
from understudy.experiment.evaluate import FILE
from understudy.experiment.findings import findings
from understudy.experiment.pictured import floor_of, panels, pictured, transferred
from understudy.experiment.rivals import profiles
from understudy.experiment.run import Run
from understudy.experiment.table_page import tables
from understudy.experiment.tables import Evaluation
from understudy.types import UserError, require
from understudy.visualise.intervals import draw_intervals
from understudy.visualise.profiles import draw_profiles
from understudy.visualise.transfer import draw_transfer

SHARED = ("protocol", "rate", "unit", "groups", "data", "windows", "agents", "samples", "burn_in",
          "bounds", "env", "env_config", "episodes", "initial_states", "expert", "floor",
          "headline", "modes")  # fmt: skip
"""What two evaluations must share for their figures to be compared."""
PICTURE, PROFILES, PAGE = "comparison.png", "profiles.png", "comparison.html"
TRANSFER = "transfer.png"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The evaluations of several runs as one, runs named by their folders."""

    evaluation: Evaluation
    picture: Path | None = None

    def __str__(self) -> str:
        return str(self.evaluation)

    def json(self) -> dict[str, Any]:
        """One JSON-able mapping."""
        return self.evaluation.json()


def compare(runs: Sequence[Run | str | Path], out: str | Path | None = None) -> Comparison:
    """Compare runs that were evaluated alike.

    Args:
        runs: runs or their folders, each with an ``evaluation.json``.
        out: folder for ``comparison.html`` and ``comparison.png``; nothing is written if None.

    Raises:
        UserError: where a run was not evaluated, or two were not evaluated alike.
    """
    require(len(runs) > 0, "expected at least one run to compare, found none; name some")
    opened = [run if isinstance(run, Run) else Run(run) for run in runs]
    read = [(_name(run), Evaluation.load(run.folder / FILE)) for run in opened]
    require(
        len({name for name, _ in read}) == len(read),
        f"expected runs in folders of different names, found {[name for name, _ in read]}; "
        "rename some",
    )
    for name, evaluation in read[1:]:
        check_alike(read[0][0], read[0][1], name, evaluation)
    whole = merge(read)
    if out is None:
        return Comparison(whole)
    return Comparison(whole, write(whole, Path(out)))


def _name(run: Run) -> str:
    return run.folder.resolve().name


def check_alike(name: str, one: Evaluation, other_name: str, other: Evaluation) -> None:
    """Refuse evaluations under different settings, naming the first difference.

    Raises:
        UserError: where anything in `SHARED` differs.
    """
    for key in SHARED:
        first, second = one.json()["setting"].get(key), other.json()["setting"].get(key)
        if first == second:
            continue
        if isinstance(first, dict) and isinstance(second, dict):
            key = next(k for k in {**first, **second} if first.get(k) != second.get(k))
            first, second = first.get(key), second.get(key)
        raise UserError(
            f"expected runs that were evaluated alike, found {key} {first!r} for {name} and "
            f"{second!r} for {other_name}; evaluate both alike"
        )


def merge(read: Sequence[tuple[str, Evaluation]]) -> Evaluation:
    """Rows of all runs, each named by its folder, then the truth and the baselines once."""
    rows, others = [], []
    notes: list[str] = []
    for name, evaluation in read:
        own = [r for r in evaluation.rows if not r.get("reference") and r["model"] != "truth"]
        alone = len({r["model"] for r in own}) == 1
        rows += [{**r, "model": name if alone else f"{name}: {r['model']}"} for r in own]
        notes += [note for note in evaluation.notes if note not in notes]
        known = {(r["model"], r.get("task")) for r in others}
        others += [
            r
            for r in evaluation.rows
            if (r.get("reference") or r["model"] == "truth")
            and (r["model"], r.get("task")) not in known
        ]
    truth = [r for r in others if r["model"] == "truth"]
    return Evaluation(
        [*truth, *rows, *(r for r in others if r["model"] != "truth")],
        read[0][1].setting,
        notes,
        _returns(read),
    )


def _returns(read: Sequence[tuple[str, Evaluation]]) -> dict[str, Any] | None:
    """Episodes of all runs in the layout of marl-eval, algorithms named by folder."""
    whole: dict[str, Any] = {}
    for name, evaluation in read:
        references = {r["model"] for r in evaluation.rows if r.get("reference")}
        for env, tasks in (evaluation.returns or {}).items():
            for task, found in tasks.items():
                own = [model for model in found if model not in references]
                alone = len(own) == 1
                whole.setdefault(env, {}).setdefault(task, {}).update(
                    {
                        (model if model not in own else name if alone else f"{name}: {model}"): runs
                        for model, runs in found.items()
                    }
                )
    return whole or None


def write(evaluation: Evaluation, folder: Path) -> Path:
    """Write the page and the picture of a comparison; return the picture."""
    folder.mkdir(parents=True, exist_ok=True)
    picture, played = folder / PICTURE, "env" in evaluation.setting
    draw_intervals(pictured(evaluation), panels(evaluation)).savefig(picture)
    caption = "Dots are figures, lines their 95 % intervals; baselines and the truth are grey."
    shown = [page.picture(picture, caption)]
    moved = transferred(evaluation)
    if moved:
        draw_transfer(moved, floor=floor_of(evaluation)).savefig(folder / TRANSFER)
        words = "Scores against the number of agents; bands are 95 % intervals."
        shown.append(page.picture(folder / TRANSFER, words))
    risen = profiles(evaluation.rows)
    if risen:
        draw_profiles(risen).savefig(folder / PROFILES)
        words = "Of each model, the share of seeds (diverged ones too) that score above a value."
        shown.append(page.picture(folder / PROFILES, f"{words} Bands: 95 % bootstrap intervals."))
    items = "".join(
        f'<li class="{f.level}">{page.text(f.text)}</li>' for f in findings(evaluation, [])
    )
    lead = (
        "Policies that played the same episodes, beside a random policy and, where one is known, "
        "an expert."
        if played
        else "Runs evaluated on the same windows, with the same number of samples."
    )
    parts = [
        "<h1>Comparison</h1>",
        page.paragraph(lead, "lead"),
        page.section("In plain words", f'<ul class="findings">{items}</ul>'),
        page.section("Side by side", *shown),
        page.section("Figures", *tables(evaluation)),
    ]
    checkpoint.write_atomic(folder / PAGE, page.document("Comparison · understudy", parts))
    evaluation.save(folder / "comparison.json")
    return picture
