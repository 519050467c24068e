"""Flags of run_multiagent.py of badger-2019 (GoodAI): DDPG on local observations."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar, Literal

from understudy.cli import console
from understudy.cli.compat_forms import Training, over, refuse, said


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
