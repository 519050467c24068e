"""One training going on: stages, chunks, metrics, checkpoints, in the order that survives a kill.

Nothing here depends on the clock but the extra checkpoints, and those change no result. All keys
come from (seed, stage, step), so a checkpoint is the carry and three numbers.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from understudy.algorithms.stages import HANDOVERS, take_policy
from understudy.experiment import (
    checkpoint,
    folder,
    hosted,
    loops,
    material,
    practice,
    programs,
    run,
    validation,
)
from understudy.experiment.plan import Stage, TrainOptions
from understudy.experiment.trackers import Tracker, start
from understudy.experiment.warm_start import WarmStart
from understudy.types import HostEnv, Spec, Statistics

Progress = Callable[[dict[str, Any]], None]


@dataclasses.dataclass(frozen=True)
class Session:
    """Everything a training needs while it goes on."""

    folder: Path
    stages: list[Stage]
    handover: str
    spec: Spec
    statistics: Statistics | None
    env: Any
    training: material.Source | None
    validation: material.Source | None
    seeds: int
    seed: int
    options: TrainOptions
    progress: Progress
    warm_start: WarmStart | None = None

    @property
    def updates(self) -> int:
        """Updates of all stages."""
        return sum(stage.updates for stage in self.stages)

    def keys(self, stage: int, purpose: int) -> jax.Array:
        """One key per seed."""
        return loops.seed_keys(self.seed, self.seeds, stage, purpose)

    def train(self) -> None:
        """Go on from the last checkpoint, or from the beginning, to the end."""
        started = time.monotonic()
        programs.forget_many()
        paths = folder.checkpoints(self.folder)
        header = checkpoint.header(paths[-1]) if paths else None
        folder.clean(self.folder)
        folder.cut_metrics(self.folder, header["total"] if header else 0)
        carry, first, step, best = None, 0, 0, None
        trackers = start(self.options.trackers, self.folder)
        if header is not None:
            if header["finished"]:
                self.progress({"event": "end", "step": header["total"], "steps": self.updates})
                return
            first, step, best = header["stage"], header["step"], header["best"]
            carry = self._restore(paths[-1], first)
        for number in range(first, len(self.stages)):
            part = _Part(self, number, step if number == first else 0, best, trackers)
            carry, best = part.train(carry, resumed=header is not None and number == first)
            if bool(np.all(np.asarray(carry.diverged) != loops.ALIVE)):
                break
        kept = folder.TIMING
        before = 0.0
        if (self.folder / kept).exists():
            before = folder.read_json(self.folder / kept)["seconds"]
        seconds = time.monotonic() - started
        folder.write_json(self.folder / kept, {"seconds": before + seconds})
        self.progress({"event": "end", "step": self.updates, "steps": self.updates})

    def begin(
        self, number: int, before: loops.Carry | None, *, traced: bool = False
    ) -> loops.Carry:
        """The carry a stage begins with; pure, so it can be traced for its shapes."""
        stage = self.stages[number]
        keys = self.keys(number, loops.INIT)
        initialise, begin = loops.initialise, loops.begin
        if traced:
            initialise, begin = loops.states, loops.actors
        states = initialise(stage.algorithm, self.statistics, keys, spec=self.spec)
        diverged = jnp.full(self.seeds, loops.ALIVE, jnp.int32)
        if number == 0 and self.warm_start is not None and not traced:
            states = take_policy(self.warm_start.networks(self.seeds), states)
        if before is not None:
            states = HANDOVERS[self.handover](before.states, states)
            diverged = before.diverged
        if not stage.online or isinstance(self.env, HostEnv):
            return loops.Carry(states, diverged)
        parts = loops.Parts.of(self.env)
        actors = begin(
            stage.algorithm,
            states,
            parts.arrays,
            self.keys(number, loops.BEGIN),
            env_rest=parts.rest,
            envs=stage.algorithm.envs,
        )
        return loops.Carry(states, diverged, actors)

    def _restore(self, path: Path, number: int) -> loops.Carry:
        like = jax.eval_shape(lambda: self.begin(number, None, traced=True))
        return checkpoint.load(path, like)


class _Part:
    """One stage of a session."""

    def __init__(
        self,
        session: Session,
        number: int,
        step: int,
        best: float | None,
        trackers: list[Tracker],
    ) -> None:
        self.session, self.number, self.step = session, number, step
        self.trackers = trackers
        self.stage = session.stages[number]
        # scores of unlike stages do not compare
        self.best = best if step > 0 else None
        self.saved_at = time.monotonic()

    def train(self, carry: Any, resumed: bool) -> tuple[loops.Carry, float | None]:
        """Run the stage to its end (at once if `carry` is that end already)."""
        session, stage = self.session, self.stage
        if self.step == stage.updates:
            return carry, self.best
        if not (resumed and carry is not None):
            carry = session.begin(self.number, carry)
        loop, sheet = self._loop(), self._sheet()
        while self.step < stage.updates:
            before, length = self.step, min(stage.log_every, stage.updates - self.step)
            carry, metrics = loop.advance(carry, before, length)
            self.step += length
            row = self._row(metrics | self._practise(carry, before))
            self._keep(carry, row, sheet, timed=loop.timed)
            if bool(np.all(np.asarray(carry.diverged) != loops.ALIVE)):
                break
        loop.close()
        return carry, self.best

    def _loop(self) -> Any:
        session, stage = self.session, self.stage
        feed = None
        if "demonstrations" in stage.algorithm.needs and session.training is not None:
            cut = material.cut(stage.algorithm, session.training.demonstrations)
            material.check_fit(cut.spec, session.spec)
            feed = material.make_feed(
                stage.algorithm,
                cut,
                seed=session.seed,
                stage=self.number,
                resident_bytes=session.options.resident_bytes,
            )
            session.progress({
                "event": "data", "stage": self.number, "feed": str(feed),
                "windows": len(cut.windows), "skipped": cut.windows.skipped,
            })  # fmt: skip
        keys = session.keys(self.number, loops.UPDATE)
        if stage.online and isinstance(session.env, HostEnv):
            return hosted.Hosted(stage, self.number, session.env, feed, keys, session.seed)
        return loops.Compiled(stage, session.env if stage.online else None, feed, keys)

    def _sheet(self) -> Any:
        session, algorithm = self.session, self.stage.algorithm
        if session.validation is None or "demonstrations" not in algorithm.needs:
            return None
        if not validation.scores(algorithm, session.spec, session.statistics):
            return None
        cut = material.cut(algorithm, session.validation.demonstrations)
        return validation.sheet(cut, session.options.validation_windows, algorithm.batch)

    def _practise(self, carry: loops.Carry, before: int) -> dict[str, Any]:
        """What policies earn now, if an evaluation falls into the updates from `before` on."""
        session, options = self.session, self.session.options
        if not practice.due(self.stage, before, self.step, options, session.env):
            return {}
        keys = session.keys(self.number, loops.PRACTICE)
        earned = practice.play(
            self.stage.algorithm, carry.states, session.env, keys, jnp.int32(self.step),
            episodes=options.evaluate_episodes,
        )  # fmt: skip
        well = np.asarray(carry.diverged) == loops.ALIVE
        return {name: np.where(well, values, np.nan) for name, values in earned.items()}

    def _row(self, metrics: Any) -> dict[str, Any]:
        row: dict[str, Any] = {"stage": self.number, "step": self.stage.offset + self.step}
        return row | {name: folder.numbers(value) for name, value in sorted(metrics.items())}

    def _keep(self, carry: loops.Carry, row: dict[str, Any], sheet: Any, timed: bool) -> None:
        """Log; at a checkpoint score first, so that the line is whole when it is written."""
        session, stage = self.session, self.stage
        over = bool(np.all(np.asarray(carry.diverged) != loops.ALIVE))
        due = self.step % stage.checkpoint_every == 0 or self.step == stage.updates or over
        better = False
        if due and sheet is not None:
            keys = session.keys(self.number, loops.VALIDATE)
            scores = validation.score(
                stage.algorithm, carry.states, sheet, keys, batch=stage.algorithm.batch
            )
            row |= {f"validation/{n}": folder.numbers(v) for n, v in sorted(scores.items())}
            bound = validation.bound(row)
            if bound is not None and (self.best is None or bound > self.best):
                self.best, better = bound, True
        folder.add_metrics(session.folder, row)
        for track in self.trackers:
            track(row)
        late = time.monotonic() - self.saved_at > session.options.checkpoint_seconds
        if due or (late and timed):
            self._save(carry, over, better)
        session.progress({
            "event": "step", "stage": self.number, "stages": len(session.stages),
            "step": row["step"], "steps": session.updates, "metrics": row,
        })  # fmt: skip

    def _save(self, carry: loops.Carry, over: bool, better: bool) -> None:
        session, stage = self.session, self.stage
        last = self.number == len(session.stages) - 1 and self.step == stage.updates
        diverged = np.asarray(carry.diverged)
        header = {
            "stage": self.number,
            "step": self.step,
            "total": stage.offset + self.step,
            "finished": last or over,
            "diverged": {
                str(seed): int(update)
                for seed, update in enumerate(diverged)
                if update != loops.ALIVE
            },
            "best": self.best,
        }
        if last or over or self.step % stage.checkpoint_every == 0:
            exported = run.export_header(stage.algorithm, session.spec, session.statistics)
            run.export(
                session.folder, stage.algorithm, carry.states, exported | {"step": header["total"]}
            )
        path = folder.save_checkpoint(session.folder, carry, header, better)
        self.saved_at = time.monotonic()
        session.progress({"event": "checkpoint", "path": str(path), "step": header["total"]})
