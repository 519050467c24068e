"""Figures of simulators beside those of baselines, as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from understudy.diagnostics.simulation import FIGURES
from understudy.diagnostics.simulation_figures import Figure
from understudy.experiment.findings import Finding

VERSION = 1


@dataclasses.dataclass(frozen=True)
class SimulationReport:
    """Figures of simulators, and what follows from them."""

    setting: Mapping[str, Any]
    figures: Mapping[str, Mapping[str, Figure]]
    """Of each simulator, baselines first."""
    training: Mapping[str, Figure]
    """How far the training log is from the held-out one."""
    logged: Mapping[str, Figure]
    """Outcome, and distance from rules, of the held-out log itself."""
    findings: tuple[Finding, ...]
    """Worst first, of all that are no baselines."""

    def to_json(self) -> dict[str, Any]:
        """Values that JSON knows; what is not finite is null."""
        return {
            "name": "simulation",
            "version": VERSION,
            "setting": dict(self.setting),
            "figures": FIGURES,
            "simulators": {
                name: {key: _json(figure) for key, figure in own.items()}
                for name, own in self.figures.items()
            },
            "training log": {key: _json(figure) for key, figure in self.training.items()},
            "held-out log": {key: _json(figure) for key, figure in self.logged.items()},
            "findings": [finding._asdict() for finding in self.findings],
        }


def _json(figure: Figure) -> dict[str, Any]:
    """Estimate and interval; lists where there are many columns."""
    held = [
        {k: v if math.isfinite(v) else None for k, v in interval._asdict().items()}
        for interval in figure.intervals
    ]
    if len(figure.names) == 1:
        return {"name": figure.names[0], **held[0]}
    table = {key: [one[key] for one in held] for key in ("estimate", "low", "high")}
    return {"names": list(figure.names), **table}
