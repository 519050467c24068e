"""Flags of magail_main.py of MAGAIL with a joint policy (WebEye), and its YAML file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import Positional

from understudy.cli import console
from understudy.cli.compat_forms import Shown, Training, refuse, said


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
        from understudy.experiment import webeye, webeye_file, webeye_words

        refuse(self, self.INSTEAD)
        found = webeye_file.read(self.config)
        name, changes = webeye_words.nearest(found)
        remarks = (
            said(f"{self.config}: the {name} configuration of {self.program}", changes),
            webeye.sizes(found),
            *found.remarks,
        )
        if self.check:
            webeye.magail(found, judges=self.judges)
            missing = webeye_words.differences(found, judges=self.judges)
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
            remarks=(*remarks, *webeye_words.differences(found, rows=rows, judges=self.judges)),
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
