"""``train ALGORITHM --compat NAME``: flags of a published program, read as a training of ours.

What the program published stands unless a flag says otherwise, and what flags change is said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro
from tyro.conf import Positional

from understudy.cli import console


@dataclasses.dataclass(frozen=True)
class Training:
    """What somebody asked for, in our words."""

    algorithm: Any
    env: str
    steps: int
    out: Path
    seeds: int
    seed: int
    remarks: tuple[str, ...]
    """Sentences to say before it begins."""
    demos: Path | None = None
    """Folder of demonstrations."""
    warm_start: str | None = None
    """Run whose policies it begins with."""


@dataclasses.dataclass(frozen=True)
class Shown:
    """What somebody asked to see, in place of a training."""

    value: Mapping[str, Any]
    """Printed as one JSON object."""
    remarks: tuple[str, ...]
    """Sentences to say before."""

    def __call__(self) -> None:
        """Say and print it."""
        for sentence in self.remarks:
            console.say(sentence)
        console.show_json(self.value)


@dataclasses.dataclass(frozen=True)
class RunMultiagent:
    """Train as run_multiagent.py of badger-2019; a flag left out keeps the published value."""

    out: Path
    """Folder of the run, which must be new or empty; with a name, the folder it goes into."""
    type: Literal["DDPG", "GLOBAL", "ATOC"] = "DDPG"
    """An actor for each agent, one for the whole team, or one that all share, which do not
    communicate."""
    num_agents: int | None = None
    """Agents; 4 as published."""
    num_landmarks: int | None = None
    """Landmarks; 4 as published."""
    num_perceived_agents: int | None = None
    """Others that an agent sees, the nearest ones; 3 as published."""
    num_perceived_landmarks: int | None = None
    """Landmarks that an agent sees, the nearest ones; 4 as published."""
    epsilon: float | None = None
    """Share of the noise of exploring, the same from beginning to end: 0 is no noise. -1 is the
    published schedule, which falls from all of it to e⁻²."""
    num_steps: int | None = None
    """Env steps, over which the schedule is stretched; 1,000,000 as published."""
    name: str = ""
    """Name of the run, a folder in OUT."""
    seeds: int = 1
    """Trainings side by side, from `seed` on."""
    seed: int = 0
    """First seed."""
    deserialize: str = ""
    """Refused: weights of that program are not read."""
    benchmark: bool = False
    """Refused: statistics are those of a finished run."""
    render: bool = False
    """Refused: pictures are those of a finished run."""
    sleep: float = 0.0
    """Refused, as render."""

    program: ClassVar[str] = "run_multiagent.py of badger-2019"
    PUBLISHED: ClassVar[dict[str, Any]] = {
        "num_agents": 4,
        "num_landmarks": 4,
        "num_perceived_agents": 3,
        "num_perceived_landmarks": 4,
        "epsilon": -1.0,
        "num_steps": 1_000_000,
    }
    """Of its JSON files, the same in all three."""
    TYPES: ClassVar[dict[str, tuple[str, dict[str, Any]]]] = {
        "DDPG": ("independent", {}),
        "GLOBAL": ("global", {"velocities": False, "horizon": 30}),
        "ATOC": ("shared", {}),
    }
    """Type -> kind of `presets.published_ddpg`, and what it changes in the game."""
    INSTEAD: ClassVar[dict[str, str]] = {
        "deserialize": "use understudy train --resume RUN to go on with a training, or "
        "understudy evaluate RUN",
        "benchmark": "train, then use understudy evaluate RUN --write-goodai FOLDER",
        "render": "train, then use understudy render RUN --out FILE",
        "sleep": "train, then use understudy render RUN --out FILE",
    }
    """Flag -> what does here what it did there."""

    def training(self) -> Training:
        """Published values and the flags given over them.

        Raises:
            UsageError: for a flag that means nothing here, or values that do not go together.
        """
        refuse(self, self.INSTEAD)
        values, changes = over(self.PUBLISHED, self)
        agents, seen = values["num_agents"], values["num_perceived_agents"]
        if seen >= agents:
            raise console.UsageError(
                f"expected --num_perceived_agents below --num-agents, found {seen} and {agents}; "
                "an agent sees others only"
            )
        if self.name != Path(self.name).name or self.name == "..":
            raise console.UsageError(
                f"expected --name without folders, found {self.name!r}; put them into --out"
            )
        landmarks = min(values["num_perceived_landmarks"], values["num_landmarks"])
        if landmarks < values["num_perceived_landmarks"]:
            changes.append(f"perceived landmarks {landmarks}, as there are no more")
        kind, rules = self.TYPES[self.type]
        game = {
            "agents": agents,
            "landmarks": values["num_landmarks"],
            "near_agents": seen,
            "near_landmarks": landmarks,
            **rules,
        }
        return Training(
            algorithm=_published(kind, values["num_steps"], values["epsilon"]),
            env="spread-goodai:" + ",".join(f"{k}={str(v).lower()}" for k, v in game.items()),
            steps=values["num_steps"],
            out=self.out / self.name,
            seeds=self.seeds,
            seed=self.seed,
            remarks=(said(f"{self.type} of {self.program}", changes),),
        )


def _published(kind: str, steps: int, epsilon: float) -> Any:
    """The published learner; `epsilon` is a constant share of its noise, or -1 for its schedule."""
    from understudy.algorithms.presets import published_ddpg

    made = published_ddpg(kind, steps=steps)
    if epsilon == -1.0:
        return made
    if not 0.0 <= epsilon <= 1.0:
        raise console.UsageError(
            f"expected --epsilon from 0 to 1, or -1 for the published schedule, found {epsilon:g}"
        )
    return dataclasses.replace(made, noise=epsilon * made.noise, noise_decay=0)


@dataclasses.dataclass(frozen=True)
class MagailMain:
    """Train as magail_main.py of MAGAIL with a joint policy, from its YAML file."""

    config: Positional[Path]
    """Configuration file of that program, of any of its versions."""
    out: Path | None = None
    """Folder of the run, which must be new or empty."""
    demos: Path | None = None
    """Demonstration folder, or one that holds train/: a log of transitions with the file's
    columns."""
    check: bool = False
    """Train nothing: say what the file asks for and what has no counterpart, and print what the
    columns of its CSV files are, as the schema that data convert reads."""
    judges: Literal["sa", "sas"] = "sas"
    """Whether what the environment answers is judged too (sas), or states and actions alone (sa),
    as published."""
    warm_start: str | None = None
    """Run, exported policy or zoo:NAME whose policies training begins with."""
    steps: int | None = None
    """Env steps; without it the file's training_epochs."""
    seeds: int = 1
    """Trainings side by side, from `seed` on."""
    seed: int | None = None
    """First seed; without it the file's."""
    train_mode: str = ""
    """Refused: the file and --demos say what is trained on what."""
    load_model: str = ""
    """Refused: weights of that program are not read."""
    load_model_path: str = ""
    """Refused, as load_model."""
    save_model_path: str = ""
    """Refused: --out says where weights go."""
    save_model_epoch: str = ""
    """Refused: --checkpoint-every says how often."""
    eval_model_epoch: str = ""
    """Refused: --evaluate-every says how often."""

    program: ClassVar[str] = "magail_main.py of MAGAIL with a joint policy (WebEye)"
    INSTEAD: ClassVar[dict[str, str]] = {
        "train_mode": "give the file, and --demos with the log, that it would choose",
        "load_model": "use understudy train --resume RUN, or --warm-start RUN",
        "load_model_path": "use understudy train --resume RUN, or --warm-start RUN",
        "save_model_path": "use --out RUN",
        "save_model_epoch": "use --checkpoint-every UPDATES",
        "eval_model_epoch": "use --evaluate-every EPISODES",
    }
    """Flag -> what does here what it did there."""

    def training(self) -> Training | Shown:
        """The file's values and the flags given over them.

        Raises:
            UsageError: for a flag that means nothing here, or one that is missing.
            UserError: for a file that cannot be read, or demonstrations of other columns.
        """
        from understudy.data import store
        from understudy.experiment import webeye, webeye_file

        refuse(self, self.INSTEAD)
        found = webeye_file.read(self.config)
        name, changes = webeye.nearest(found)
        remarks = (
            said(f"{self.config}: the {name} configuration of {self.program}", changes),
            webeye.sizes(found),
            *found.remarks,
        )
        if self.check:
            webeye.magail(found, judges=self.judges)
            missing = webeye.differences(found, judges=self.judges)
            return Shown(webeye.schema(found), (*remarks, *missing))
        if self.out is None or self.demos is None:
            raise console.UsageError(
                "expected --demos with a log and --out with a new folder, found "
                f"{'no --out' if self.demos else 'no --demos'}; to see what the file asks for, use "
                "--check"
            )
        demos = _logged(self.demos)
        rows = webeye.check(found, store.load(demos))
        length = found["jointpolicy.trajectory_length"]
        return Training(
            algorithm=webeye.magail(found, rows=rows, judges=self.judges),
            env=f"logged:demos={demos},horizon={length},starts=any",
            steps=webeye.steps(found) if self.steps is None else self.steps,
            out=self.out,
            seeds=self.seeds,
            seed=found["general.seed"] if self.seed is None else self.seed,
            remarks=(*remarks, *webeye.differences(found, rows=rows, judges=self.judges)),
            demos=self.demos,
            warm_start=self.warm_start,
        )


def _logged(demos: Path) -> Path:
    """The folder to train on, as a game can be told.

    Raises:
        UsageError: for a file of the program, or a name that cannot be told.
    """
    from understudy.cli.train import parts

    if demos.is_file():
        raise console.UsageError(
            f"expected --demos with a demonstration folder, found the file {demos}; write what "
            "--check prints to a file SCHEMA, and use understudy data convert "
            f"{demos} --reader transitions --options schema=SCHEMA --out DIR"
        )
    folder = parts(demos)[0].absolute()
    if "," in str(folder):
        raise console.UsageError(f"expected --demos without a comma in its path, found {folder}")
    return folder


MODES: dict[tuple[str, str], Any] = {
    ("ddpg", "goodai"): RunMultiagent,
    ("magail", "webeye"): MagailMain,
}
"""Algorithm and name of the mode -> the flags it reads."""


def modes(algorithm: str) -> dict[str, str]:
    """Modes of an algorithm, and the programs whose flags they read."""
    return {mode: form.program for (name, mode), form in MODES.items() if name == algorithm}


def read(
    algorithm: str, mode: str, argv: Sequence[str], *, prog: str
) -> tuple[Training | Shown, Any]:
    """Read the flags of a published program: the training, and how it reports and keeps itself.

    Raises:
        UsageError: for an algorithm without that mode, and whatever its flags are refused for.
    """
    from understudy.experiment.plan import TrainOptions

    if (algorithm, mode) not in MODES:
        known = " or ".join(f"train {name} --compat {own}" for name, own in MODES)
        raise console.UsageError(f"expected {known}, found train {algorithm} --compat {mode}")
    form = MODES[algorithm, mode]
    fields: list[Any] = [
        ("flags", Annotated[form, tyro.conf.arg(name="")]),
        (
            "options",
            Annotated[TrainOptions, tyro.conf.arg(name="")],
            dataclasses.field(default=TrainOptions()),
        ),
    ]
    both = dataclasses.make_dataclass(
        "Form", fields, frozen=True, namespace={"__module__": __name__}
    )
    prog = f"{prog} --compat {mode}"
    found: Any = console.read(both, argv, prog=prog, description=form.__doc__)
    return found.flags.training(), found.options


def over(published: Mapping[str, Any], flags: Any) -> tuple[dict[str, Any], list[str]]:
    """Published values under the flags that were given (not None), and what those change."""
    values, changes = dict(published), []
    for name, before in published.items():
        given = getattr(flags, name)
        if given is not None and given != before:
            values[name] = given
            changes.append(
                f"{name.replace('_', ' ')} {_shown(given)} (published: {_shown(before)})"
            )
    return values, changes


def _shown(value: float | int) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def refuse(flags: Any, instead: Mapping[str, str]) -> None:
    """Refuse flags that say more than their defaults.

    Raises:
        UsageError: naming the first, and what to do instead.
    """
    for field in dataclasses.fields(flags):
        if field.name in instead and getattr(flags, field.name) != field.default:
            raise console.UsageError(
                f"expected no --{field.name}, which means nothing in a training here; "
                f"{instead[field.name]}"
            )


def said(preset: str, changes: Sequence[str]) -> str:
    """One sentence about what flags changed in a preset."""
    return f"{preset}, " + (f"but {'; '.join(changes)}" if changes else "as published")
