"""The tables of an evaluation as pieces of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.experiment import page
from understudy.experiment.tables import (
    IMPROVEMENT,
    SECTIONS,
    Evaluation,
    caption,
    cell,
    improvement_cells,
    number,
    present,
    section_rows,
)


def tables(evaluation: Evaluation) -> list[str]:
    """Every table of an evaluation, and how to read them."""
    parts = []
    for kind, columns in SECTIONS:
        rows = section_rows(evaluation.rows, columns)
        if not rows:
            continue
        shown = present(rows, columns)
        counted = kind != "likelihood" and any("samples" in r for r in rows)
        modes = any(r.get("mode") is not None for r in rows)
        heads = [("model", True), ("execution", True), *([("mode", True)] if modes else [])]
        heads += [("K", False)] if counted else []
        lines = []
        for row in rows:
            words = [_called(row), row.get("execution") or ""]
            words += [row.get("mode") or ""] if modes else []
            words += [str(row.get("samples", ""))] if counted else []
            lines.append((_kind(row), [*words, *(cell(row, key) for key, _ in shown)]))
        heads += [(heading, False) for _, heading in shown]
        parts.append(page.table(caption(evaluation.setting, kind), heads, lines))
        if kind == "forecast":
            parts.append(_horizons(evaluation, rows))
    if any("minADE" in row for row in evaluation.rows):
        note = (
            "K is the number of samples a best-of-K figure chooses from; ± is half a 95 % "
            f"bootstrap interval over {evaluation.setting.get('clusters', 0):,} "
            f"{evaluation.setting.get('cluster', 'episode')}s. minADE and minFDE choose the best "
            "sample for each agent; minSADE and minSFDE choose one for the whole scene."
        )
        parts.append(page.paragraph(note, "quiet"))
    heads, lines = improvement_cells(evaluation.rows)
    if lines:
        words = [(head, number == 0) for number, head in enumerate(heads)]
        parts.append(page.table(f"{IMPROVEMENT}.", words, [("", line) for line in lines]))
    return parts + [page.paragraph(n, "quiet") for n in evaluation.notes]


def _called(row: Mapping[str, Any]) -> str:
    """Model and seed of a row."""
    seed = row.get("seed")
    task = f" ({row['task']})" if row.get("task", "agents") != "agents" else ""
    end = "" if seed is None else ", mean" if seed == "mean" else f", seed {seed}"
    lost = " (failed)" if row.get("failed") is True else ""
    return f"{row['model']}{task}{end}{lost}"


def _kind(row: Mapping[str, Any]) -> str:
    if row.get("reference") or row["model"] == "truth":
        return ""
    return "model" if row.get("seed") in (None, "mean") else "seed"


def _horizons(evaluation: Evaluation, rows: Any) -> str:
    seconds = list(rows[0].get("per_horizon", {}))
    if len(seconds) < 2:
        return ""
    lines = []
    for row in rows:
        if row.get("seed") not in (None, "mean") and any(r.get("seed") == "mean" for r in rows):
            continue
        errors = [row["per_horizon"][s] for s in seconds]
        cells = [f"{number(e['minADE'])} / {number(e['minFDE'])}" for e in errors]
        lines.append((_kind(row), [row["model"], *cells]))
    heads = [("model", True), *((f"{s} s", False) for s in seconds)]
    unit = evaluation.setting.get("unit") or "units"
    return page.table(f"minADE / minFDE in {unit} up to each horizon", heads, lines)
