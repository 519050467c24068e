"""Training: from an algorithm and what it learns from to a run, killed and resumed at will."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import understudy
from understudy.algorithms.stages import Stages
from understudy.data.demonstrations import Demonstrations
from understudy.data.statistics import statistics as measure
from understudy.data.statistics import to_json
from understudy.experiment import config, fit, folder, material, plan, practice, room, trackers
from understudy.experiment.plan import TrainOptions
from understudy.experiment.run import VERSION, Run
from understudy.experiment.session import Progress, Session
from understudy.experiment.warm_start import WarmStart
from understudy.types import Spec, require

__all__ = ["TrainOptions", "resume", "train"]


def train(
    algorithm: Any,
    *,
    env: Any = None,
    demonstrations: Demonstrations | str | Path | None = None,
    validation: Demonstrations | str | Path | None = None,
    warm_start: Run | str | Path | None = None,
    steps: int | None = None,
    seeds: int = 1,
    seed: int = 0,
    out: str | Path,
    options: TrainOptions | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train an algorithm (or `Stages` of them) and keep everything in one folder.

    Args:
        algorithm: hyper-parameters; what depends on the data is filled in from `demonstrations`.
        env: a JAX env or a `HostEnv`, if the algorithm acts.
        demonstrations: the training split, or its folder (which can be found again on `resume`).
        validation: windows of these score generators at checkpoints and choose the best one.
        warm_start: a run, an exported policy or ``"zoo:NAME"`` whose policies (seed i from seed i,
            or all from the only one) the first stage begins with; critics begin afresh.
        steps: updates, or env steps for an algorithm with an env; default: the algorithm's own.
            With `Stages`, all of them together: each stretched alike, or the last alone, as the
            stages say.
        seeds: trainings side by side; seed i is ``key(seed + i)``. All see the same windows.
        seed: of the first.
        out: folder of the run; new or empty.
        options: reporting, checkpoints, memory.
        progress: called with one dictionary per chunk and checkpoint.

    Returns:
        The run; ``run.diverged`` names the seeds that failed.

    Raises:
        UserError: what is missing or does not fit; a folder that holds a run; a full disk.
    """
    options = TrainOptions() if options is None else options
    out = Path(out)
    require(seeds > 0 and seed >= 0, f"expected seeds above 0 and seed 0 or above, found {seeds}")
    stages = plan.stretch(algorithm, steps)
    plan.check(stages, env=env, demonstrations=demonstrations)
    practice.check(stages, env, options)
    trackers.check(options.trackers)
    if progress is None:
        for concern in concerns(stages):
            warnings.warn(concern, stacklevel=2)
    with folder.locked(out):
        training = _read(demonstrations, options)
        checking = _read(validation, options)
        if training is not None:
            fit.check(stages, training.demonstrations, env)
            stages = stages.map(lambda a: _resolve(a, training.demonstrations))
        planned = plan.lay_out(stages, options, env, seeds)
        spec = _spec(stages, env, training)
        statistics = None if training is None else measure(training.demonstrations)
        room.check(stages, spec, statistics, seeds)
        session = Session(
            folder=out, stages=planned, handover=stages.handover, spec=spec,
            statistics=statistics, env=env, training=training, validation=checking, seeds=seeds,
            seed=seed, options=options, progress=progress or _silent,
            warm_start=None if warm_start is None else WarmStart.of(warm_start),
        )  # fmt: skip
        if session.warm_start is not None:
            session.warm_start.check(seeds, lambda: session.begin(0, None, traced=True).states)
        kept = None if statistics is None else to_json(statistics)
        folder.create(out, _describe(session, stages, isinstance(algorithm, Stages)), kept)
        session.train()
    return Run(out)


def resume(
    out: str | Path,
    *,
    env: Any = None,
    demonstrations: Demonstrations | str | Path | None = None,
    validation: Demonstrations | str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Go on with a training that was stopped or killed, to the same end, bit for bit on a CPU.

    Args:
        out: folder of the run.
        env: needed again unless it is an env of understudy.
        demonstrations: needed again if they were given in memory; checked to be the same.
        validation: likewise.
        progress: as in `train`.

    Raises:
        UserError: no run, other data than it was begun with, or a damaged checkpoint.
    """
    out = Path(out)
    run = Run(out)
    options = config.from_json(run.config["options"], TrainOptions)
    whole = config.from_json(run.config["algorithm"])
    stages = plan.stretch(whole, run.config["steps"])
    with folder.locked(out):
        training = material.reopen(
            run.config["demonstrations"], demonstrations, "demonstrations", options.resident_bytes
        )
        checking = material.reopen(
            run.config["validation"], validation, "validation", options.resident_bytes
        )
        env = _reopen_env(run.config["env"], env)
        plan.check(stages, env=env, demonstrations=training)
        Session(
            folder=out, stages=plan.lay_out(stages, options, env, run.seeds),
            handover=stages.handover, spec=run.spec, statistics=run.statistics, env=env,
            training=training, validation=checking, seeds=run.seeds, seed=run.config["seed"],
            options=options, progress=progress or _silent,
            warm_start=None if run.config.get("warm_start") is None
            else WarmStart(run.config["warm_start"]),
        ).train()  # fmt: skip
    return Run(out)


def _silent(event: dict[str, Any]) -> None:
    """Show nothing."""


def concerns(algorithm: Any) -> list[str]:
    """What somebody who trains an algorithm, or stages of some, should hear first."""
    parts = [a for a, _ in algorithm.stages] if isinstance(algorithm, Stages) else [algorithm]
    found = [getattr(part, "concern", None) for part in parts]
    return [concern for concern in found if concern]


def _read(given: Any, options: TrainOptions) -> material.Source | None:
    return None if given is None else material.read(given, options.resident_bytes)


def _resolve(algorithm: Any, demonstrations: Demonstrations) -> Any:
    return algorithm.resolve(demonstrations) if hasattr(algorithm, "resolve") else algorithm


def _spec(stages: Stages, env: Any, training: material.Source | None) -> Spec:
    """The env's spec, or that of the windows where no stage acts."""
    if not any("env" in algorithm.needs for algorithm, _ in stages.stages):
        assert training is not None
        return material.cut(stages.stages[0][0], training.demonstrations).spec
    return env.spec


def _describe(session: Session, stages: Stages, several: bool) -> dict[str, Any]:
    """What ``config.json`` says: everything `resume` needs but the arrays."""
    sets = {"demonstrations": session.training, "validation": session.validation}
    return {
        "version": VERSION,
        "understudy": understudy.__version__,
        "name": type(stages.stages[-1][0]).__name__,
        "algorithm": config.to_json(stages if several else stages.stages[0][0]),
        "stages": [{"updates": s.updates, "log_every": s.log_every} for s in session.stages],
        "steps": stages.steps,
        "spec": config.to_json(session.spec),
        "seeds": session.seeds,
        "seed": session.seed,
        "env": _describe_env(session.env),
        "warm_start": None if session.warm_start is None else session.warm_start.place,
        **{name: None if s is None else material.describe(s) for name, s in sets.items()},
        "options": config.to_json(session.options),
    }


def _describe_env(env: Any) -> dict[str, Any] | None:
    if env is None:
        return None
    name = type(env).__name__
    ours = type(env).__module__.split(".")[0] == "understudy" and hasattr(
        type(env), "__hyperparameters__"
    )
    return {"name": name, "config": config.to_json(env) if ours else None}


def _reopen_env(kept: dict[str, Any] | None, given: Any) -> Any:
    if kept is None or given is not None:
        return given
    require(
        kept["config"] is not None,
        f"the run was begun with the env {kept['name']}, expected it to resume; give env=",
    )
    return config.from_json(kept["config"])
