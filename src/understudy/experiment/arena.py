"""The windows of a protocol, and every contender scored on exactly these."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
from jaxtyping import Int

from understudy.data import sampling
from understudy.data.demonstrations import Demonstrations
from understudy.data.positions import xy
from understudy.data.sampling import Windows
from understudy.experiment import likelihood, protocols
from understudy.experiment.contenders import Contender, deterministic, execution
from understudy.experiment.forecast import Setting, score, truth_statistics
from understudy.experiment.protocols import Protocol
from understudy.experiment.tally import Tally, intervals, mean
from understudy.functional.latent import STD_FLOOR
from understudy.types import Spec, require

REFERENCE_WINDOWS = 20_000
"""Windows a baseline that samples is scored on at most; its row says how many."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is rarely changed about an evaluation."""

    windows: int | None = None
    """Score at most this many windows, drawn once by the seed; None: every window."""
    burn_in: bool = True
    """Domain statistics count the observed rows (the published convention)."""
    particles: int = 16
    """Of the importance-weighted likelihood bound."""
    likelihood_windows: int = 4096
    """Windows whose likelihood is measured at most, drawn once by the seed."""
    baselines: bool = True
    """Print constant velocity, stay put and random walk beside the models."""
    chunk: int | None = None
    """Windows at a time; by memory if None. No figure depends on it."""


class Arena:
    """Demonstrations cut by a protocol, ready to score contenders on."""

    def __init__(
        self, demonstrations: Demonstrations, rules: Protocol, seed: int, options: Options
    ) -> None:
        self.demonstrations, self.rules, self.seed = demonstrations, rules, seed
        self.options = options
        self.windows = protocols.cut(demonstrations, rules)
        self.chosen = protocols.thin(np.arange(len(self.windows)), options.windows, seed)
        spec = demonstrations.spec
        miss = protocols.MISS.get(demonstrations.unit) if rules.miss is None else rules.miss
        self.setting = Setting(
            groups=tuple((n, *xy(spec[n])) for n in protocols.scored_groups(spec, rules)),
            observed=rules.observed,
            horizon=rules.horizon,
            horizons=protocols.horizons(rules, demonstrations.rate),
            rate=demonstrations.rate,
            bounds=protocols.bounds_of(demonstrations, rules),
            miss=miss,
            burn_in=options.burn_in,
        )
        self.clusters, self.cluster = clusters(demonstrations, self.windows)
        self.raw = sampling.rows(demonstrations)
        self.truth = truth_statistics(
            self.raw, self.windows, self.chosen, self.setting, options.chunk
        )

    @property
    def scored(self) -> Spec:
        """The groups scored, alone."""
        names = [name for name, _, _ in self.setting.groups]
        groups = (g for g in self.demonstrations.spec.groups if g.name in names)
        return Spec(tuple(dataclasses.replace(group, sees=()) for group in groups))

    def truth_row(self) -> dict[str, Any]:
        """Domain statistics of what happened."""
        return {
            "model": "truth",
            "seed": None,
            "execution": None,
            "windows": len(self.chosen),
            **{name: tally.value for name, tally in self.truth.items()},
            "intervals": self._intervals(self.truth, self.chosen),
        }

    def rows(self, model: Contender, samples: int) -> list[dict[str, Any]]:
        """Score every seed of `model`: a row each, and one of their mean if there are several."""
        source = self.raw
        if model.prepare is not None:
            source = sampling.rows(model.prepare(self.demonstrations))
        parts, rows = [], []
        for number, generator in model.made.items():
            if hasattr(generator, "ready"):
                lack = generator.ready()
                require(lack is None, f"{model.name}, seed {number}: {lack}")
            part = self._score(generator, model, source, samples)
            parts.append(part)
            seed = number if model.run is not None else None
            rows.append(self._row(model, seed, generator, part))
        if len(parts) > 1:
            rows.append(self._mean(model, rows, parts))
        return rows

    def _score(
        self, generator: Any, model: Contender, source: sampling.Rows, samples: int
    ) -> _Scored:
        sure = deterministic(generator)
        chosen = self.chosen
        if model.reference and not sure:
            chosen = protocols.thin(chosen, REFERENCE_WINDOWS, self.seed)
        count = 1 if sure else samples
        figures = score(
            generator, source, self.windows, chosen, self.setting,
            samples=count, seed=self.seed, chunk=self.options.chunk,
        )  # fmt: skip
        if not hasattr(generator, "bound"):
            return _Scored(count, chosen, figures, None, None)
        few = protocols.thin(chosen, self.options.likelihood_windows, self.seed)
        bounds = likelihood.bounds(
            generator, source, self.windows, few,
            particles=self.options.particles, seed=self.seed,
        )  # fmt: skip
        return _Scored(count, chosen, figures, few, bounds)

    def _row(self, model: Contender, seed: Any, generator: Any, part: _Scored) -> dict[str, Any]:
        row: dict[str, Any] = {
            "model": model.name,
            "seed": seed,
            "execution": execution(generator),
            "reference": model.reference,
            "samples": part.samples,
            "windows": len(part.chosen),
        }
        ends = self._intervals(part.figures, part.chosen)
        row |= self._named({n: t.value for n, t in part.figures.items()}, ends)
        if part.bounds is not None and part.few is not None:
            more = self._intervals(part.bounds, part.few)
            row |= {n: t.value for n, t in part.bounds.items()}
            row["intervals"] |= {n: more[n] for n in more if n != "frames"}
            row["likelihood_windows"] = len(part.few)
            row["particles"] = self.options.particles
            row["std_floor"] = STD_FLOOR
        return row

    def _named(self, values: dict[str, float], ends: dict[str, Any]) -> dict[str, Any]:
        """Errors at the last horizon under their own names, the others under ``per_horizon``."""
        last = f"@{self.rules.horizon}"
        row: dict[str, Any] = {"per_horizon": {}, "intervals": {}, "ratios": {}}
        for rows in self.setting.horizons:
            row["per_horizon"][f"{rows / self.setting.rate:.2f}"] = {
                name.split("@")[0]: value
                for name, value in values.items()
                if name.endswith(f"@{rows}")
            } | {"rows": rows}
        for name, value in values.items():
            if "@" in name and not name.endswith(last):
                continue
            short = name.split("@")[0]
            row[short] = value
            row["intervals"][short] = ends[name]
            if name in self.truth and self.truth[name].value > 0:
                row["ratios"][name] = value / self.truth[name].value
        return row

    def _mean(
        self, model: Contender, rows: list[dict[str, Any]], parts: list[_Scored]
    ) -> dict[str, Any]:
        """The mean over seeds; its intervals draw scenes, its spread is that of the seeds."""
        whole = _Scored(
            parts[0].samples,
            parts[0].chosen,
            mean([part.figures for part in parts]),
            parts[0].few,
            None if parts[0].bounds is None else mean([p.bounds for p in parts if p.bounds]),
        )
        row = self._row(model, "mean", next(iter(model.made.values())), whole)
        row["spread"] = {
            name: [min(r[name] for r in rows), max(r[name] for r in rows)]
            for name in row["intervals"]
            if all(name in r for r in rows)
        }
        row["seeds"] = len(rows)
        row["failed"] = sorted(model.failed)
        return row

    def _intervals(self, tallies: dict[str, Tally], chosen: np.ndarray) -> dict[str, Any]:
        _, number = np.unique(self.clusters[chosen], return_inverse=True)
        return intervals(tallies, number, self.seed)

    def notes(self) -> list[str]:
        """What a reader has to know about the windows."""
        notes = []
        total, scored = len(self.windows.start), len(self.chosen)
        if scored < total:
            notes.append(
                f"{scored:,} of {total:,} windows are scored, drawn without replacement by seed "
                f"{self.seed}; the same for every row."
            )
        if scored > REFERENCE_WINDOWS and self.options.baselines:
            notes.append(
                f"The random walk is scored on {REFERENCE_WINDOWS:,} of these windows, drawn by "
                f"seed {self.seed}."
            )
        few = self.options.likelihood_windows
        if scored > few:
            notes.append(f"Likelihoods are those of {few:,} windows, drawn by seed {self.seed}.")
        if self.windows.skipped:
            count = len(self.windows.skipped)
            names = ", ".join(self.windows.skipped[:3]) + (" and others" if count > 3 else "")
            notes.append(
                f"Skipped {count:,} episodes with fewer than {self.rules.length} rows: {names}."
            )
        if len(np.unique(self.clusters[self.chosen])) < 2:
            notes.append(f"One {self.cluster} only: there are no intervals.")
        return notes

    def setting_json(self, samples: int) -> dict[str, Any]:
        """Everything two evaluations must share to be compared."""
        demonstrations = self.demonstrations
        return {
            "protocol": self.rules.json(),
            "rate": demonstrations.rate,
            "unit": demonstrations.unit,
            "groups": [name for name, _, _ in self.setting.groups],
            "data": fingerprint(demonstrations),
            "episodes": len(demonstrations),
            "windows": len(self.chosen),
            "windows_found": len(self.windows.start),
            "agents": self._agents(),
            "skipped": len(self.windows.skipped),
            "cluster": self.cluster,
            "clusters": len(np.unique(self.clusters[self.chosen])),
            "samples": samples,
            "bounds": self.setting.bounds,
            "miss": self.setting.miss,
            "burn_in": self.setting.burn_in,
            "std_floor": STD_FLOOR,
            "seed": self.seed,
        }

    def _agents(self) -> int:
        """Agent-windows scored."""
        return int(self.truth["speed"].weights.sum())


@dataclasses.dataclass(frozen=True)
class _Scored:
    """Figures of one generator, in parts."""

    samples: int
    chosen: Int[np.ndarray, " windows"]
    figures: dict[str, Tally]
    few: Int[np.ndarray, " fewer"] | None
    bounds: dict[str, Tally] | None


def clusters(
    demonstrations: Demonstrations, found: Windows
) -> tuple[Int[np.ndarray, " windows"], str]:
    """What windows are drawn by in a bootstrap: their game where several are known, or episode."""
    episodes = np.asarray(found.episode)
    games = demonstrations.labels.get("game")
    if games is None or (games == "").any() or len(np.unique(games)) < 2:
        return episodes, "episode"
    return np.unique(games, return_inverse=True)[1][episodes], "game"


def fingerprint(demonstrations: Demonstrations) -> str:
    """Twelve digits that differ where the episodes do: ids, lengths and first rows."""
    digest = hashlib.sha256("\n".join(demonstrations.labels["episode"]).encode())
    digest.update(np.asarray(demonstrations.starts, np.int64).tobytes())
    for name in demonstrations.spec.names:
        digest.update(np.asarray(demonstrations.features[name][:64], np.float32).tobytes())
    return digest.hexdigest()[:12]
