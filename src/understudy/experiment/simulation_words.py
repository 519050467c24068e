"""How far a simulator can be trusted, in plain sentences: does it beat what anybody can do?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from understudy.diagnostics.simulation_figures import Figure
from understudy.experiment.findings import Finding
from understudy.experiment.tables import number
from understudy.functional.statistics import Interval

CLOSE, APART = 0.6, 0.8
"""Areas under the curve below which a classifier hardly, and above which it easily, tells."""
BROKEN = 0.1
"""Distance from a rule, in standard deviations, from which it counts as broken."""
NEAR, FAR = 1.5, 3.0
"""Times the distance of the training log from which drift is a warning, and bad."""


def judge(
    name: str,
    figures: Mapping[str, Figure],
    ridge: Mapping[str, Figure],
    training: Mapping[str, Figure],
    logged: Mapping[str, Figure],
) -> list[Finding]:
    """Judge one simulator.

    Args:
        name: of the simulator.
        figures: its own.
        ridge: those of ridge regression.
        training: distances of the training log.
        logged: outcome and distance from rules of the log itself.
    """
    return [
        *_prediction(name, figures, ridge),
        *_likelihood(name, figures, ridge),
        *_classifier(name, figures["auc"].interval),
        *_drift(name, figures, training),
        *_rules(name, figures, logged),
        *_outcome(name, figures, logged),
    ]


def _prediction(
    name: str, figures: Mapping[str, Figure], ridge: Mapping[str, Figure]
) -> list[Finding]:
    """The mean next state beside that of ridge regression."""
    found = []
    for key, what in (("world_rmse", "the next state"), ("agent_rmse", "the action")):
        if key not in figures:
            continue
        apart = figures[key].less(ridge[key])
        mine, theirs = (number(f[key].interval.estimate) for f in (figures, ridge))
        told = f"an error of {mine} against {theirs} standard deviations ({_spans(apart)})"
        if apart.high < 0:
            found.append(Finding("good", f"{name} predicts {what} better than ridge: {told}."))
        elif apart.low > 0:
            found.append(Finding("bad", f"{name} predicts {what} worse than ridge: {told}."))
        else:
            text = f"{name} predicts {what} no better than ridge: {told}."
            found.append(Finding("warning", text))
    return found


def _likelihood(
    name: str, figures: Mapping[str, Figure], ridge: Mapping[str, Figure]
) -> list[Finding]:
    found = []
    for key, what in (("world_log_prob", "next states"), ("agent_log_prob", "actions")):
        if key not in figures:
            text = f"{name} does not say how likely {what} are; only what it draws is judged."
            found.append(Finding("warning", text))
            continue
        mine, theirs = (f[key].interval.estimate for f in (figures, ridge))
        if not math.isfinite(mine):
            text = f"{name} holds some of the logged {what} to be impossible."
            found.append(Finding("bad", text))
            continue
        apart = figures[key].less(ridge[key])
        told = f"{number(mine)} against {number(theirs)} nats per step ({_spans(apart)})"
        if apart.low > 0:
            text = f"{name} finds the logged {what} likelier than ridge does: {told}."
            found.append(Finding("good", text))
        elif apart.high < 0:
            text = f"{name} finds the logged {what} less likely than ridge does: {told}."
            found.append(Finding("bad", text))
        else:
            text = f"{name} finds the logged {what} no likelier than ridge does: {told}."
            found.append(Finding("warning", text))
    return found


def _classifier(name: str, area: Interval) -> list[Finding]:
    told = f"with an AUC of {area.estimate:.2f} ({area.low:.2f} to {area.high:.2f})"
    if area.estimate < CLOSE:
        text = f"A classifier hardly tells the answers of {name} from the log, {told}."
        return [Finding("good", text)]
    if area.estimate < APART:
        text = f"A classifier often tells the answers of {name} from the log, {told}."
        return [Finding("warning", text)]
    return [Finding("bad", f"A classifier tells the answers of {name} from the log, {told}.")]


def _drift(
    name: str, figures: Mapping[str, Figure], training: Mapping[str, Figure]
) -> list[Finding]:
    """Where it is at the last step, beside another part of the log."""
    key = "drift_values" if "drift_values" in figures else "drift_sections"
    if key not in figures:
        return []
    steps, unit = figures[key].names[-1], " standard deviations" if key == "drift_values" else ""
    mine = figures[key].intervals[-1].estimate
    text = (
        f"Left to itself for {steps} step{'s' if steps != '1' else ''}, {name} is "
        f"{number(mine)}{unit} from the log"
    )
    if key not in training:
        return [Finding("warning", f"{text}; the training log is too short to compare with.")]
    other = training[key].intervals[-1].estimate
    level: Literal["good", "warning", "bad"] = (
        "good" if mine < NEAR * other else "warning" if mine < FAR * other else "bad"
    )
    return [Finding(level, f"{text}; the training log is {number(other)} from it.")]


def _rules(name: str, figures: Mapping[str, Figure], logged: Mapping[str, Figure]) -> list[Finding]:
    """What the log keeps and the simulator breaks."""
    if "rules" not in figures:
        return []
    own, log = (f["rules"].drawn[0] for f in (figures, logged))
    broken = [j for j in range(len(own)) if own[j] > max(BROKEN, 2 * log[j])]
    if not broken:
        text = f"{name} keeps all {len(own)} rules that the training log never breaks."
        return [Finding("good", text)]
    worst = max(broken, key=lambda j: own[j])
    text = (
        f"{name} breaks {len(broken)} of {len(own)} rules that the training log never breaks, most "
        f"of all {figures['rules'].names[worst]}: off by {number(float(own[worst]))} standard "
        f"deviations, the log by {number(float(log[worst]))}."
    )
    return [Finding("bad", text)]


def _outcome(
    name: str, figures: Mapping[str, Figure], logged: Mapping[str, Figure]
) -> list[Finding]:
    if "outcome" not in figures:
        return []
    apart = figures["outcome"].less(logged["outcome"])
    mine, real = (number(f["outcome"].interval.estimate) for f in (figures, logged))
    told = f"{mine} on average, {real} in the log ({_spans(apart)})"
    if apart.low > 0 or apart.high < 0:
        more = "high" if apart.low > 0 else "low"
        return [Finding("bad", f"{name} draws outcomes that are too {more}: {told}.")]
    return [Finding("good", f"{name} draws outcomes as they were logged: {told}.")]


def _spans(apart: Interval) -> str:
    return f"difference {apart.low:+.3g} to {apart.high:+.3g}"
