"""What an evaluation found: rows, a readable table, and one JSON-able object.

A row is a mapping: ``model, seed, execution, samples`` say what was measured; every other number
is a figure, its bootstrap interval under ``intervals``; ``per_horizon`` repeats the errors at
each horizon in seconds. The row named ``truth`` holds the domain statistics of what happened.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from understudy.experiment import checkpoint
from understudy.experiment.rivals import improvements
from understudy.types import UserError

FORECAST = (
    ("minADE", "minADE"),
    ("minFDE", "minFDE"),
    ("ADE", "ADE"),
    ("FDE", "FDE"),
    ("minSADE", "minSADE"),
    ("minSFDE", "minSFDE"),
    ("energy_score", "energy"),
    ("diversity", "diversity"),
    ("miss_rate", "miss %"),
)
DOMAIN = (
    ("speed", "speed"),
    ("distance", "distance"),
    ("out_of_bounds", "out, any %"),
    ("out_of_bounds_per_agent", "out, each %"),
    ("step_change", "step change"),
    ("path_difference", "path diff."),
    ("pair_distance", "pair dist."),
)
LIKELIHOOD = (
    ("reconstruction", "recon."),
    ("kl", "KL"),
    ("intents", "intents"),
    ("elbo_given_intents", "ELBO | intents"),
    ("elbo", "ELBO"),
    ("iwae", "IWAE"),
    ("frames", "frames"),
)
RETURNS = (
    ("mean_return", "return"),
    ("interquartile_mean", "return, IQM"),
    ("normalised", "score"),
    ("normalised_iqm", "score, IQM"),
    ("success_rate", "success %"),
    ("length", "steps"),
    ("episodes", "episodes"),
)
PERCENT = ("out_of_bounds", "out_of_bounds_per_agent", "miss_rate", "success_rate")
SECTIONS = (
    ("forecast", FORECAST),
    ("domain", DOMAIN),
    ("likelihood", LIKELIHOOD),
    ("returns", RETURNS),
)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Rows of figures, and everything needed to say what they mean."""

    rows: list[dict[str, Any]]
    setting: dict[str, Any]
    """Protocol, windows, agents, rate, unit, bounds: what two evaluations must share."""
    notes: list[str] = dataclasses.field(default_factory=list)
    """Plain sentences a reader has to know."""
    returns: dict[str, Any] | None = None
    """Returns of policies in marl-eval layout: env, task, algorithm, seed, step."""

    def row(
        self, model: str, seed: int | str | None = None, task: str | None = None
    ) -> dict[str, Any]:
        """The row of one model (its mean over seeds, unless `seed` says which), in its first task.

        Raises:
            UserError: where there is none.
        """
        found = [r for r in self.rows if r["model"] == model and task in (None, r.get("task"))]
        if seed is None:
            found = sorted(found, key=lambda r: r.get("seed") not in ("mean", None))
        else:
            found = [r for r in found if r.get("seed") == seed]
        if not found:
            known = sorted({f"{r['model']} (seed {r.get('seed')})" for r in self.rows})
            raise UserError(f"expected one of the rows {known}, found {model!r}, seed {seed}")
        return found[0]

    def __str__(self) -> str:
        console = Console(file=io.StringIO(), width=220, no_color=True, force_terminal=False)
        for table in tables(self):
            console.print(table)
            console.print()
        for note in self.notes:
            console.print(f"- {note}")
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue().rstrip()

    def json(self) -> dict[str, Any]:
        """One JSON-able mapping; numbers that do not exist are null."""
        found = {
            "format": 1,
            "setting": self.setting,
            "rows": self.rows,
            "notes": self.notes,
            "returns": self.returns,
        }
        better = improvements(self.rows)
        return _plain({**found, "improvements": better} if better else found)

    def save(self, path: str | Path) -> Path:
        """Write ``evaluation.json`` atomically and return its path."""
        path = Path(path)
        checkpoint.write_atomic(path, json.dumps(self.json(), indent=1) + "\n")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Evaluation:
        """Read what `save` wrote.

        Raises:
            UserError: where the file is missing or is no evaluation.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(
                f"expected an evaluation at {path}, found none; run understudy evaluate "
                f"{path.parent} first"
            )
        try:
            content = json.loads(path.read_text())
            return cls(
                content["rows"], content["setting"], content["notes"], content.get("returns")
            )
        except (ValueError, KeyError, TypeError) as broken:
            raise UserError(
                f"expected an evaluation in {path}, found something else; run understudy evaluate "
                f"{path.parent} again"
            ) from broken


def _plain(value: Any) -> Any:
    """JSON has no NaN: unknown numbers become null, tuples lists."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def tables(evaluation: Evaluation) -> list[Table]:
    """One rich table per kind of figure that occurs, and one of the errors per horizon."""
    made = []
    for section, columns in SECTIONS:
        rows = section_rows(evaluation.rows, columns)
        if rows:
            made.append(_table(caption(evaluation.setting, section), rows, present(rows, columns)))
        if section == "forecast" and rows:
            made.append(_per_horizon(evaluation.setting, rows))
    heads, lines = improvement_cells(evaluation.rows)
    if lines:
        table = _blank(IMPROVEMENT)
        for i, head in enumerate(heads):
            table.add_column(head, justify="right" if i else "left", no_wrap=True)
        for line in lines:
            table.add_row(*line)
        made.append(table)
    return made


IMPROVEMENT = "Probability that a seed of the row earns more than a seed of the column"


def improvement_cells(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table of `IMPROVEMENT`; no rows unless two models have two seeds."""
    chances = {(c["model"], c["other"]): c for c in improvements(rows)}
    names = list(dict.fromkeys(name for pair in chances for name in pair))
    lines = []
    for one in names:
        cells = []
        for other in names:
            chance = chances.get((one, other))
            if chance is None:
                cells.append("")
                continue
            low, high = chance["interval"]
            cells.append(f"{chance['probability']:.2f} ({low:.2f} to {high:.2f})")
        lines.append([one, *cells])
    return ["", *names], lines


def present(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Those of `columns` that occur; the return of each group follows that of the headline.

    What a game says of itself comes before the number of episodes.
    """
    found = [c for c in columns if any(row.get(c[0]) is not None for row in rows)]
    if columns is not RETURNS:
        return found
    groups = dict.fromkeys(key for row in rows for key in row if key.startswith("return/"))
    found[1:1] = [(key, key.replace("return/", "return of ")) for key in groups]
    said = dict.fromkeys(key for row in rows for key in row if key.startswith("game/"))
    found[-1:-1] = [(key, key.replace("game/", "").replace("_", " ")) for key in said]
    scored = any(key == "normalised_iqm" for key, _ in found)
    return [c for c in found if not (scored and c[0] == "interquartile_mean")]


def section_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]]
) -> list[Mapping[str, Any]]:
    """The rows that hold any of `columns`."""
    return [row for row in rows if any(key in row for key, _ in columns)]


def caption(setting: Mapping[str, Any], section: str) -> str:
    """One line over a table: what it is about, in which unit."""
    unit = setting.get("unit") or "units"
    protocol = setting.get("protocol") or {}
    if section == "forecast":
        return (
            f"Forecast errors in {unit}: {protocol.get('observed')} rows observed, "
            f"{protocol.get('horizon')} predicted at {setting.get('rate', 0):.4g} Hz, "
            f"{setting.get('windows', 0):,} windows, {setting.get('agents', 0):,} agents"
        )
    if section == "domain":
        rows = "with" if setting.get("burn_in") else "without"
        return (
            f"Domain statistics, {rows} the observed rows (ratio to the truth): speed in {unit}/s, "
            f"distances in {unit}, out of bounds in % of rows"
        )
    if section == "likelihood":
        return (
            f"Likelihood in nats per sequence, data units, std floor {setting.get('std_floor')}, "
            "first frame never counted"
        )
    scale = "" if setting.get("expert") is None else (
        f"; score: {setting.get('floor', 'random')} is 0, the expert ({setting['expert']}) 1"
    )  # fmt: skip
    return (
        f"Returns in {setting.get('env')}, {setting.get('headline', 'all agents')}, "
        f"{setting.get('episodes', 0):,} episodes each from the same initial states{scale}"
    )


def _blank(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _table(title: str, rows: Sequence[Mapping[str, Any]], columns: Any) -> Table:
    table = _blank(title)
    lead: list[tuple[str, str]] = [("model", "left")]
    lead += [("task", "left")] * (len({row.get("task") for row in rows}) > 1)
    lead += [("seed", "right")] * any(row.get("seed") is not None for row in rows)
    lead += [("execution", "left")]
    lead += [("mode", "left")] * any(row.get("mode") is not None for row in rows)
    drawn = any("samples" in row for row in rows) and columns[0] not in LIKELIHOOD
    lead += [("K", "right")] * drawn
    for heading, side in (*lead, *((heading, "right") for _, heading in columns)):
        table.add_column(heading, justify="right" if side == "right" else "left", no_wrap=True)
    for row in rows:
        words = [row.get("samples" if heading == "K" else heading) for heading, _ in lead]
        if row.get("failed") is True:
            words[[heading for heading, _ in lead].index("seed")] = f"{row['seed']}, failed"
        table.add_row(
            *("" if word is None else str(word) for word in words),
            *(cell(row, key) for key, _ in columns),
        )
    return table


def cell(row: Mapping[str, Any], key: str) -> str:
    """A figure with half the width of its interval, or with its ratio to the truth."""
    value = row.get(key)
    if value is None:
        return ""
    if key in PERCENT:
        value = 100 * value
    text = number(value)
    ratio = row.get("ratios", {}).get(key)
    if ratio is not None:
        return f"{text} ({ratio:.2f})" if ratio < 100 else f"{text} (>99)"
    ends = row.get("intervals", {}).get(key)
    if ends is not None and key != "frames" and ends[1] > ends[0]:
        scale = 100 if key in PERCENT else 1
        return f"{text} ±{half(scale * (ends[1] - ends[0]) / 2)}"
    return text


def number(value: float | int) -> str:
    """Three decimals below 100, one below 1,000; whole numbers as they are."""
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def half(value: float) -> str:
    """Half the width of an interval, without a leading zero."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2f}".removeprefix("0")


def _per_horizon(setting: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Table:
    """minADE / minFDE of every row at every horizon."""
    unit = setting.get("unit") or "units"
    table = _blank(f"minADE / minFDE in {unit} up to each horizon")
    table.add_column("model", no_wrap=True)
    table.add_column("seed", justify="right")
    table.add_column("K", justify="right")
    seconds = list(rows[0].get("per_horizon", {}))
    for second in seconds:
        table.add_column(f"{second} s", justify="right")
    for row in rows:
        errors = [row["per_horizon"][s] for s in seconds if s in row.get("per_horizon", {})]
        table.add_row(
            row["model"],
            "" if row.get("seed") is None else str(row["seed"]),
            str(row.get("samples", "")),
            *(f"{number(e['minADE'])} / {number(e['minFDE'])}" for e in errors),
        )
    return table
