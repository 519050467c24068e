"""``understudy train``: an algorithm's hyper-parameters as flags, a bar while it learns."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro

from understudy.cli import compat, console

STEPS = 5_000
"""Updates, where neither the command nor the algorithm says how many."""


@dataclasses.dataclass(frozen=True)
class Job:
    """What to learn from, for how long, and where to keep it."""

    out: Path
    """Folder of the run; it must be new or empty."""
    demos: Path | None = None
    """Demonstration folder, or one that holds train/ and validation/."""
    validation: Path | None = None
    """Demonstration folder to score on while training; DEMOS/validation if that is there."""
    env: str | None = None
    """Name of the env, for algorithms that act."""
    warm_start: str | None = None
    """Run, exported policy or zoo:NAME whose policies training begins with."""
    steps: int | None = None
    """Updates (env steps with an env), of all stages together."""
    seeds: int = 1
    """Trainings side by side, from `seed` on."""
    seed: int = 0
    """First seed."""


class Train(console.Verb):
    """Chooses between a new training, one to resume, and the list of algorithms."""

    @classmethod
    def read(cls, argv: Sequence[str], *, prog: str) -> Any:
        """Read ``--resume RUN``, or ``NAME`` and the flags of that algorithm."""
        from understudy.algorithms import ALGORITHMS

        if not argv or argv[0] in ("-h", "--help"):
            return _List(tuple(ALGORITHMS), asked=bool(argv))
        if argv[0].split("=")[0] == "--resume":
            return console.read(Resume, argv, prog=prog)
        name, *rest = argv
        if name not in ALGORITHMS:
            hint = console.nearest(name, ALGORITHMS)
            raise console.UsageError(f"expected an algorithm, found {name!r}{hint}")
        mode, rest = console.take(rest, "--compat")
        if mode is not None:
            asked, options = compat.read(name, mode, rest, prog=f"{prog} {name}")
            return asked if isinstance(asked, compat.Shown) else New.of(asked, options)
        modes = compat.modes(name).items()
        also = "".join(
            f"\n\n--compat {mode} reads the flags of {program}." for mode, program in modes
        )
        return _read_algorithm(ALGORITHMS[name], rest, prog=f"{prog} {name}", also=also)


@dataclasses.dataclass(frozen=True)
class _List:
    names: tuple[str, ...]
    asked: bool

    def __call__(self) -> int:
        console.show(
            "usage: understudy train ALGORITHM --demos DIR --out RUN ...\n"
            "       understudy train --resume RUN\n\n"
            f"algorithms: {', '.join(self.names)}\n\n"
            "understudy train ALGORITHM --help lists its hyper-parameters."
        )
        return 0 if self.asked else 2


@dataclasses.dataclass(frozen=True)
class Resume(console.Verb):
    """Go on with a training that was stopped; it ends as if it never had been."""

    resume: Path
    """Folder of the run."""
    demos: Path | None = None
    """The same demonstrations, where they have moved."""

    def __call__(self) -> int:
        """Resume from the last checkpoint."""
        from understudy.experiment.train import resume

        demos = None if self.demos is None else parts(self.demos)[0]
        with console.progress(self.resume) as progress:
            return finish(resume(self.resume, demonstrations=demos, progress=progress))


@dataclasses.dataclass(frozen=True)
class New:
    """A new training."""

    algorithm: Any
    job: Job
    options: Any
    remarks: tuple[str, ...] = ()
    """Sentences to say first."""

    @classmethod
    def of(cls, asked: compat.Training, options: Any) -> New:
        """The training that flags of a published program ask for."""
        job = Job(
            out=asked.out, env=asked.env, steps=asked.steps, seeds=asked.seeds, seed=asked.seed,
            demos=asked.demos, warm_start=asked.warm_start,
        )  # fmt: skip
        return cls(asked.algorithm, job, options, asked.remarks)

    def __call__(self) -> int:
        """Train every seed, then say where things are."""
        from understudy.envs import make
        from understudy.experiment.train import concerns, train

        job = self.job
        for sentence in (*self.remarks, *concerns(self.algorithm)):
            console.say(sentence)
        demos, validation = (None, None) if job.demos is None else parts(job.demos)
        own = getattr(self.algorithm, "steps", None)
        with console.progress(job.out) as progress:
            run = train(
                self.algorithm,
                env=None if job.env is None else make(job.env),
                demonstrations=demos,
                validation=job.validation or validation,
                warm_start=job.warm_start,
                steps=STEPS if job.steps is None and own is None else job.steps,
                seeds=job.seeds,
                seed=job.seed,
                out=job.out,
                options=self.options,
                progress=progress,
            )
        return finish(run)


def parts(demos: Path) -> tuple[Path, Path | None]:
    """The folders to train and to validate on."""
    if (demos / "meta.json").exists() or not (demos / "train" / "meta.json").exists():
        return demos, None
    held_out = demos / "validation"
    return demos / "train", held_out if (held_out / "meta.json").exists() else None


def finish(run: Any) -> int:
    """Say what came of a training; exit code 3 if a seed diverged."""
    for seed, step in run.diverged.items():
        console.say(f"seed {seed} diverged at step {step} and counts as failed; try a smaller step")
    console.show(repr(run))
    return 3 if run.diverged else 0


def _read_algorithm(place: str, argv: list[str], *, prog: str, also: str = "") -> New:
    """Read the flags of the algorithm at `place`; those that differ go to its preset.

    Args:
        place: ``"module:preset"``.
        argv: the flags.
        prog: the command so far.
        also: said in ``--help``.
    """
    from understudy.algorithms.stages import Stages
    from understudy.experiment.plan import TrainOptions

    module, name = place.split(":")
    preset = getattr(import_module(module), name)
    made = preset()
    template = made.stages[-1][0] if isinstance(made, Stages) else made
    about = (inspect.getdoc(preset) or name).splitlines()[0] + also
    changed: dict[str, Any] = {}
    if hasattr(template, "rule"):
        rule, argv, rules = _choose_rule(argv)
        about += f"\n\n--rule NAME chooses who says what an intent is: {rules}."
        if rule is not _UNSAID:
            changed["rule"] = rule
            template = dataclasses.replace(template, rule=rule)
    arguments = _arguments(preset, template)
    defaults = {"algorithm": template, "preset": arguments(), "options": TrainOptions()}
    fields: list[Any] = [("job", Annotated[Job, tyro.conf.arg(name="")])]
    fields += [
        (name, Annotated[type(value), tyro.conf.arg(name="")], dataclasses.field(default=value))
        for name, value in defaults.items()
    ]
    form = dataclasses.make_dataclass(
        "Form", fields, frozen=True, namespace={"__module__": __name__}
    )
    found: Any = console.read(form, argv, prog=prog, description=about)
    for field in dataclasses.fields(template):
        value = getattr(found.algorithm, field.name)
        if value != getattr(template, field.name):
            changed[field.name] = value
    return New(preset(**vars(found.preset), **changed), found.job, found.options)


_UNSAID = object()


def _choose_rule(argv: list[str]) -> tuple[Any, list[str], str]:
    """Take ``--rule NAME`` out of `argv`: the rule, what is left, and the names there are."""
    from understudy.data.labels import LABELS

    rules = f"{', '.join(LABELS)}, or none to keep the labels of the demonstrations"
    name, left = console.take(argv, "--rule")
    if name is None:
        return _UNSAID, argv, rules
    if name not in LABELS and name != "none":
        hint = console.nearest(name, [*LABELS, "none"])
        raise console.UsageError(f"expected --rule with the name of a rule, found {name!r}{hint}")
    return None if name == "none" else LABELS[name](), left, rules


def _arguments(preset: Any, template: Any) -> Any:
    """A dataclass of the preset's own arguments: those that are no field of the algorithm."""
    taken = {field.name for kind in (template, Job) for field in dataclasses.fields(kind)}
    hints = get_type_hints(preset)
    lines = [line.strip().partition(": ") for line in (inspect.getdoc(preset) or "").splitlines()]
    helps = {name: text for name, _, text in lines}
    fields: list[Any] = [
        (
            name,
            Annotated[hints[name], tyro.conf.arg(help=helps.get(name, ""))],
            dataclasses.field(default=parameter.default),
        )
        for name, parameter in inspect.signature(preset).parameters.items()
        if name not in taken and parameter.kind is not parameter.VAR_KEYWORD
    ]
    return dataclasses.make_dataclass(
        "Arguments", fields, frozen=True, namespace={"__module__": __name__}
    )
