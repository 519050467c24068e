"""What a reader has to know about a run, in plain sentences: is it better than doing nothing?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from understudy.experiment.tables import Evaluation, number

CONSTANT_VELOCITY = "constant velocity"
OUT_OF_BOUNDS, PACE, RISE = 2.0, 0.15, 0.02


class Finding(NamedTuple):
    """One sentence and how much it matters."""

    level: Literal["good", "warning", "bad"]
    text: str


def findings(
    evaluation: Evaluation | None,
    metrics: Sequence[Mapping[str, Any]],
    lack: str | None = None,
    more: Sequence[Finding] = (),
) -> list[Finding]:
    """Judge an evaluation and the training behind it, worst first.

    Args:
        evaluation: of the run; None where it was not evaluated.
        metrics: lines of ``metrics.jsonl``.
        lack: why sampling is meaningless, as the generator's ``ready`` says.
        more: what else was found.
    """
    found = [] if lack is None else [Finding("bad", f"Samples mean nothing: {lack}.")]
    if evaluation is None:
        found.append(
            Finding("warning", "This run was not evaluated: run understudy evaluate, then report.")
        )
    else:
        for row in models(evaluation):
            found += (judge_policy if "env" in row else judge)(row, evaluation)
        found += [Finding("warning", note) for note in evaluation.notes if "failed" in note]
    found += [*validation(metrics), *more]
    order = {"bad": 0, "warning": 1, "good": 2}
    return sorted(found, key=lambda f: order[f.level])


def models(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One row per model that is no baseline: the mean over seeds where there are several."""
    names = dict.fromkeys(
        r["model"] for r in evaluation.rows if not r.get("reference") and r["model"] != "truth"
    )
    return [evaluation.row(name) for name in names]


def judge(row: Mapping[str, Any], evaluation: Evaluation) -> list[Finding]:
    """Compare one model with constant velocity and with the truth."""
    name, found = row["model"], []
    unit = evaluation.setting.get("unit") or "units"
    rivals = [r for r in evaluation.rows if r["model"] == CONSTANT_VELOCITY]
    for key, words in (("minADE", f"best of {row.get('samples')} samples"), ("ADE", "average")):
        if not rivals or key not in row:
            continue
        mine, other = row[key], rivals[0][key]
        worse = mine >= other
        level: Literal["good", "bad", "warning"] = (
            ("bad" if key == "minADE" else "warning") if worse else "good"
        )
        found.append(
            Finding(
                level,
                f"{name} is {'worse' if worse else 'better'} than constant velocity by its "
                f"{words}: {number(mine)} against {number(other)} {unit} ({key}).",
            )
        )
    if rivals and row.get("elbo") is not None and rivals[0].get("elbo") is not None:
        mine, other = row["elbo"], rivals[0]["elbo"]
        if mine < other:
            text = (
                f"{name} is less likely than constant velocity with noise: an ELBO of "
                f"{number(mine)} against {number(other)} nats per sequence."
            )
            found.append(Finding("warning", text))
    ratios = row.get("ratios", {})
    out = ratios.get("out_of_bounds")
    if out is not None:
        level = "good" if out < OUT_OF_BOUNDS else "warning"
        found.append(
            Finding(level, f"{name} leaves the field {out:.2g} times as often as was recorded.")
        )
    elif row.get("out_of_bounds", 0) > 0.01:
        share = row["out_of_bounds"]
        text = (
            f"{name} has somebody out of bounds in {share:.0%} of rows; what was recorded, never."
        )
        found.append(Finding("warning", text))
    pace = ratios.get("speed")
    if pace is not None and abs(pace - 1) > PACE:
        word = "faster" if pace > 1 else "slower"
        found.append(
            Finding("warning", f"{name} moves {abs(pace - 1):.0%} {word} than what was recorded.")
        )
    elif pace is not None:
        found.append(Finding("good", f"{name} moves at the recorded pace (within {PACE:.0%})."))
    return found


def judge_policy(row: Mapping[str, Any], evaluation: Evaluation) -> list[Finding]:
    """Compare what a policy earns with a random policy and with the expert, in its first task."""
    name, found = row["model"], []
    others = {
        r["model"]: r
        for r in evaluation.rows
        if r.get("reference") and r.get("task") == row.get("task")
    }
    key = "normalised_iqm" if row.get("normalised_iqm") is not None else "normalised"
    score, chance = row.get(key), others.get("random", {})
    if score is not None:
        low, high = row["intervals"][key]
        if low <= 0:
            found.append(
                Finding("bad", f"{name} is not clearly better than a random policy: {score:.2f}.")
            )
        else:
            end = "better than the expert" if low > 1 else f"{score:.0%} of the way to the expert"
            text = f"{name} scores {score:.2f} ({low:.2f} to {high:.2f}): {end}."
            found.append(Finding("good", text))
    elif row.get("mean_return") is not None and "mean_return" in chance:
        low = row["intervals"]["mean_return"][0]
        worse = low <= chance["mean_return"]
        text = (
            f"{name} {'does not clearly earn' if worse else 'earns'} more than a random policy: "
            f"{number(row['mean_return'])} against {number(chance['mean_return'])}."
        )
        found.append(Finding("bad" if worse else "good", text))
    if row.get("success_rate") is not None:
        shares = {
            who: other["success_rate"]
            for who, other in others.items()
            if other.get("success_rate") is not None
        }
        share, least = row["success_rate"], shares.get("random", 0.0)
        beside = ", ".join(f"{who} {other:.0%}" for who, other in shares.items())
        text = f"{name} solves {share:.0%} of episodes ({beside})."
        halfway = (least + max(shares.values(), default=least)) / 2
        found.append(Finding("good" if share > least and share >= halfway else "warning", text))
    if row.get("seed") not in (None, "mean"):
        text = f"One seed of {name} was trained; what another would earn is unknown."
        found.append(Finding("warning", text))
    return found


def validation(metrics: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Warn where the validation bound has fallen from its best: the run trained too long."""
    lines = [r for r in metrics if "validation/elbo" in r]
    last_stage = [r for r in lines if r.get("stage") == lines[-1].get("stage")]
    scores = [(r["step"], _mean(r["validation/elbo"])) for r in last_stage]
    scores = [(step, value) for step, value in scores if math.isfinite(value)]
    if len(scores) < 3:
        return []
    values = [value for _, value in scores]
    best = max(range(len(scores)), key=values.__getitem__)
    span = max(values) - min(values)
    if values[best] - values[-1] > RISE * max(span, abs(values[best])) and best < len(scores) - 1:
        return [
            Finding(
                "warning",
                f"The validation bound was best at update {scores[best][0]:,} ({values[best]:,.0f} "
                f"nats) and has fallen to {values[-1]:,.0f}: the model overfits, and the weights "
                "kept as best are worth a look.",
            )
        ]
    return [Finding("good", "The validation bound has not fallen from its best.")]


def _mean(values: Any) -> float:
    held = values if isinstance(values, list | tuple) else [values]
    known = [float(v) for v in held if v is not None]
    return sum(known) / len(known) if known else math.nan
