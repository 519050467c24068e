"""What of an evaluation is drawn: a line per model, the figures worth a panel, scores by size."""

from __future__ import annotations

from typing import Any

from understudy.experiment.scores import RANDOM
from understudy.experiment.tables import Evaluation


def floor_of(evaluation: Evaluation) -> str:
    """Who scores 0."""
    return evaluation.setting.get("floor", RANDOM)


def panels(evaluation: Evaluation) -> list[tuple[str, str]]:
    """The figures worth a picture, those that occur."""
    unit = evaluation.setting.get("unit") or "units"
    wanted = [
        ("minADE", f"minADE, {unit}"),
        ("ADE", f"mean ADE, {unit}"),
        ("minSADE", f"minSADE, {unit}"),
        ("energy_score", f"energy score, {unit}"),
        ("speed", f"speed, {unit}/s"),
        ("out_of_bounds", "rows with somebody out"),
        ("elbo", "ELBO, nats"),
        ("score", f"score (IQM), 0 {floor_of(evaluation)}, 1 expert"),
        ("mean_return", "return"),
        ("success_rate", "success"),
    ]
    rows = pictured(evaluation)
    return [pair for pair in wanted if sum(r.get(pair[0]) is not None for r in rows) > 1]


def pictured(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One line per model and baseline: the mean over seeds where there are several."""
    means = {r["model"] for r in evaluation.rows if r.get("seed") == "mean"}
    kept = [r for r in evaluation.rows if r["model"] not in means or r.get("seed") == "mean"]
    several = len({r.get("task") for r in kept}) > 1
    return [
        {
            **r,
            **_score(r),
            "label": f"{r['model']}, {r['task']}" if several else r["model"],
            "reference": r.get("reference") or r["model"] == "truth",
        }
        for r in kept
    ]


def transferred(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Scores by number of agents, to draw; none unless there are several numbers."""
    rows = [
        {**row, "label": row["model"], "agents": int(row["task"].split()[0])}
        for row in pictured(evaluation)
        if row.get("score") is not None and str(row.get("task")).endswith(" agents")
    ]
    return rows if len({row["agents"] for row in rows}) > 1 else []


def _score(row: dict[str, Any]) -> dict[str, Any]:
    """The score of a policy as it is drawn: the interquartile mean where there are seeds."""
    name = "normalised_iqm" if row.get("normalised_iqm") is not None else "normalised"
    if row.get(name) is None:
        return {}
    return {"score": row[name], "intervals": {**row["intervals"], "score": row["intervals"][name]}}
