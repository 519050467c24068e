"""The report of simulators: how far each can be trusted on sessions it was not learned from.

``simulation_report({"cloning": ...}, train, held_out, out="reports/shop")`` measures every
simulator, three baselines first, and writes ``simulation.json`` and ``simulation.html``. What is
measured is said in `understudy.diagnostics.simulation`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.data.demonstrations import Demonstrations
from understudy.diagnostics.simple_simulators import Mean, Persistence, Ridge
from understudy.diagnostics.simulation import FIGURES, logged_figures, measure, training
from understudy.diagnostics.simulation_figures import Figure
from understudy.diagnostics.simulation_study import ROWS, SAMPLES, Study, study
from understudy.diagnostics.simulator import Simulator
from understudy.experiment import page
from understudy.experiment.checkpoint import write_atomic
from understudy.experiment.simulation_results import SimulationReport
from understudy.experiment.simulation_words import judge
from understudy.experiment.tables import number
from understudy.functional.resampling import CONFIDENCE
from understudy.types import require
from understudy.visualise.simulations import draw_dots, draw_lines

BASELINES = {"Persistence": Persistence, "Mean": Mean, "Ridge": Ridge}
HEADLINES = (
    ("world_log_prob", "log p(s') ↑", 1),
    ("agent_log_prob", "log p(a) ↑", 1),
    ("world_rmse", "error s' ↓", -1),
    ("agent_rmse", "error a ↓", -1),
    ("world_accuracy", "sections right ↑", 1),
    ("energy", "energy ↓", -1),
    ("total_variation", "variation ↓", -1),
    ("wasserstein", "Wasserstein ↓", -1),
    ("dependence", "correlation ↓", -1),
    ("association", "association ↓", -1),
    ("auc", "AUC ↓", -1),
    ("auc_both", "AUC, both ↓", -1),
    ("drift_values", "drift ↓", -1),
    ("rules", "rules ↓", -1),
    ("outcome_by_group_error", "outcome by group ↓", -1),
    ("outcome_by_time_error", "outcome by time ↓", -1),
)
"""Figures of the first table: name, heading, and 1 where more is better."""


def simulation_report(
    simulators: Mapping[str, Simulator],
    train: Demonstrations,
    held_out: Demonstrations,
    *,
    outcome: str | None = None,
    group: str | None = None,
    time: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
) -> SimulationReport:
    """Measure simulators beside persistence, the mean and ridge regression.

    Args:
        simulators: by name.
        train: what they were learned from; the baselines are fitted to it.
        held_out: other sessions of the same log.
        outcome: feature of the next state whose rate is compared: ``"clicks"``, ``"page=2"``.
        group: section of the state by which the rate is told apart.
        time: section of the state, or ``"step"``, by which it is told apart.
        seed: of everything that is drawn.
        out: folder to write ``simulation.json`` and ``simulation.html`` in; None writes nothing.

    Raises:
        UserError: for logs without an agent and a world, names that are not theirs, or a simulator
            that returns what no simulator returns.
    """
    taken = sorted(set(simulators) & set(BASELINES))
    require(
        not taken,
        f"expected other names than those of the baselines {list(BASELINES)}, found {taken}; they "
        "are part of every report",
    )
    held = study(train, held_out, outcome=outcome, group=group, time=time, seed=seed)
    everybody = {name: kind.of(train) for name, kind in BASELINES.items()} | dict(simulators)
    figures = {name: measure(name, one, held) for name, one in everybody.items()}
    trained, logged = training(held), logged_figures(held)
    found = []
    for name in simulators:
        found += judge(name, figures[name], figures["Ridge"], trained, logged)
    order = {"bad": 0, "warning": 1, "good": 2}
    report = SimulationReport(
        _setting(held, train, held_out, outcome),
        figures,
        trained,
        logged,
        tuple(sorted(found, key=lambda f: order[f.level])),
    )
    if out is not None:
        folder = Path(out)
        values = json.dumps(report.to_json(), indent=1, allow_nan=False)
        write_atomic(folder / "simulation.json", values + "\n")
        write_atomic(folder / "simulation.html", document(report))
    return report


def _setting(
    held: Study, train: Demonstrations, held_out: Demonstrations, outcome: str | None
) -> dict[str, Any]:
    columns = held.log.columns
    return {
        "agent": columns.agent.name,
        "world": columns.spec.world.name,
        "train sessions": train.episodes,
        "held-out sessions": held_out.episodes,
        "held-out rows": len(held.log),
        "rows at most": ROWS,
        "samples per row": SAMPLES,
        "confidence": CONFIDENCE,
        "bootstrap draws": len(held.sessions.weights) - 1,
        "steps of drift": len(held.begin.states),
        "rules": held.rules.words(columns),
        "outcome": outcome,
        "group": held.group,
        "time": held.time,
        "seed": held.seed,
    }


def document(report: SimulationReport) -> str:
    """The whole page."""
    parts = [
        _head(report),
        page.section("In plain words", _words(report)),
        page.section("Beside the baselines", _table(report), page.paragraph(_note(report),
                     "quiet")),
        page.section("Left to itself", *_drift(report)),
        page.section("One column at a time", *_columns(report)),
        page.section("Outcomes", *_outcomes(report)),
        page.section("Rules of the log", _rules(report)),
        page.section("Settings", page.definitions(_settings(report))),
        "<footer>Written by understudy. Everything on this page is in this one file.</footer>",
    ]  # fmt: skip
    return page.document("Simulators · understudy", parts)


def _head(report: SimulationReport) -> str:
    s = report.setting
    lead = (
        f"{s['agent']} acts, {s['world']} answers: {s['held-out rows']:,} transitions of "
        f"{s['held-out sessions']:,} sessions that no simulator was learned from."
    )
    facts = []
    for name, own in report.figures.items():
        if name not in BASELINES:
            facts.append((f"{own['auc'].interval.estimate:.2f}", f"AUC of {name} (0.5 is ideal)"))
    return (
        f"<header><h1>Simulators</h1>{page.paragraph(lead, 'lead')}{page.facts(facts[:4])}</header>"
    )


def _words(report: SimulationReport) -> str:
    items = "".join(f'<li class="{f.level}">{page.text(f.text)}</li>' for f in report.findings)
    return f'<ul class="findings">{items}</ul>' if items else ""


def _table(report: SimulationReport) -> str:
    keys = [h for h in HEADLINES if any(h[0] in own for own in report.figures.values())]
    best = {}
    for key, _, sign in keys:
        known = {n: own[key].interval.estimate for n, own in report.figures.items() if key in own}
        best[key] = max(known, key=lambda n: (sign * known[n], n))
    lines = []
    for name, own in report.figures.items():
        cells = [name]
        for key, _, _ in keys:
            cells.append(_cell(own.get(key), best[key] == name))
        lines.append(("" if name in BASELINES else "model", cells))
    rest = [_cell(report.training.get(key), False) for key, _, _ in keys]
    lines.append(("seed", ["training log", *rest]))
    heads = [("simulator", True), *((heading, False) for _, heading, _ in keys)]
    caption = "Held-out sessions; * is best; in brackets 95 % intervals, sessions drawn again."
    return page.table(caption, heads, lines)


def _cell(figure: Figure | None, best: bool) -> str:
    if figure is None:
        return "–"
    estimate, low, high = figure.interval
    if not math.isfinite(estimate):
        return "impossible"
    return f"{number(estimate)}{'*' if best else ''} ({number(low)} to {number(high)})"


def _note(report: SimulationReport) -> str:
    words = "; ".join(f"{h.rstrip(' ↑↓')}: {FIGURES[k]}" for k, h, _ in HEADLINES
                      if any(k in own for own in report.figures.values()))  # fmt: skip
    return (
        f"{words}. Continuous values are in standard deviations of the training log. The last row "
        "is no simulator: it says how far another part of the log is from the held-out one."
    )


def _drift(report: SimulationReport) -> list[str]:
    pictures = []
    for key, y in (
        ("drift_values", "Wasserstein distance from the log"),
        ("drift_sections", "total variation from the log"),
    ):
        pictures += _lines(report, key, "step", y, "Both halves simulated from where held-out "
                           "sessions begin, beside the sessions that were so long.")  # fmt: skip
    return pictures


def _lines(report: SimulationReport, key: str, x: str, y: str, caption: str) -> list[str]:
    curves = {name: own[key].intervals for name, own in report.figures.items() if key in own}
    if not curves:
        return []
    names = next(own[key].names for own in report.figures.values() if key in own)
    reference = None
    if key in report.training:
        estimates = [i.estimate for i in report.training[key].intervals]
        reference = ("training log", estimates)
    return [page.picture(draw_lines(curves, names, x=x, y=y, reference=reference), caption)]


def _columns(report: SimulationReport) -> list[str]:
    pictures = []
    for key, y, caption in (
        ("wassersteins", "Wasserstein distance",
         "Continuous values of answers to logged states and actions."),
        ("total_variations", "total variation",
         "Sections of answers to logged states and actions."),
        ("agent_wassersteins", "Wasserstein distance", "Actions drawn on logged states."),
    ):  # fmt: skip
        columns = {n: own[key].intervals for n, own in report.figures.items() if key in own}
        if columns:
            names = next(own[key].names for own in report.figures.values() if key in own)
            reference = ("training log", [i.estimate for i in report.training[key].intervals])
            picture = draw_dots(columns, names, y=y, reference=reference)
            pictures.append(page.picture(picture, caption))
    return pictures + _lines(
        report, "ranks", "drawn values below the logged one", "share",
        f"Calibration: a flat line at {1 / (SAMPLES + 1):.2f} where logged values are as spread as "
        "drawn ones; high at both ends where drawn ones are too narrow.",
    )  # fmt: skip


def _outcomes(report: SimulationReport) -> list[str]:
    pictures = []
    for part in ("group", "time"):
        key = f"outcome_by_{part}"
        if key in report.logged:
            own = {n: f[key].intervals for n, f in report.figures.items()}
            logged, what = report.logged[key], report.setting["outcome"]
            reference = ("held-out log", [i.estimate for i in logged.intervals])
            picture = draw_dots(own, logged.names, y=what, reference=reference)
            by = report.setting[part]
            pictures.append(page.picture(picture, f"{what} by {by}."))
    return pictures


def _rules(report: SimulationReport) -> str:
    if "rules" not in report.logged:
        return ""
    everybody = {**report.figures, "held-out log": report.logged}
    lines = []
    for j, rule in enumerate(report.logged["rules"].names):
        cells = [number(float(own["rules"].drawn[0, j])) for own in everybody.values()]
        lines.append(("", [rule, *cells]))
    heads = [("rule", True), *((name, False) for name in everybody)]
    caption = (
        "How far next states are from what the training log never breaks, in standard deviations."
    )
    return page.table(caption, heads, lines)


def _settings(report: SimulationReport) -> list[tuple[str, Any]]:
    return [(k, v) for k, v in report.setting.items() if k != "rules" and v is not None]
