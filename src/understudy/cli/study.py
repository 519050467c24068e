"""``study prepare`` and ``study count``: blind comparisons of two models' plays by people."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tyro.conf import Positional

from understudy.cli import console


@dataclasses.dataclass(frozen=True)
class Prepare(console.Verb):
    """Write paired animations, a sheet to answer on, and a key, of two folders of plays."""

    plays: Positional[tuple[Path, Path]]
    """Two folders that understudy generate wrote, from the same demonstrations."""
    out: Path
    """Folder to write; it must not exist yet."""
    pairs: int = 25
    """Scenes to compare."""
    ending: str = ".gif"
    """Of the animations: .gif or .mp4."""
    speed: float = 1.0
    """1 plays in real time."""
    seed: int = 0
    """Of the scenes and of the sides."""

    def __call__(self) -> None:
        """Write the study, all or nothing."""
        from understudy.experiment.generate import Plays
        from understudy.experiment.preferences import KEY, SHEET, prepare
        from understudy.types import require

        first, second = self.plays
        require(
            first.resolve() != second.resolve(),
            f"expected the plays of two models, found {first} twice; name another folder",
        )
        names = (
            (first.name, second.name) if first.name != second.name else (str(first), str(second))
        )
        given = {name: Plays.load(path) for name, path in zip(names, self.plays, strict=True)}
        folder = prepare(
            given, self.out, pairs=self.pairs, seed=self.seed, ending=self.ending, speed=self.speed
        )
        console.show(f"{folder}: give raters everything but {KEY}; each fills in a {SHEET}")
        console.show(f"count them with: understudy study count {folder} --answers SHEET ...")


@dataclasses.dataclass(frozen=True)
class Count(console.Verb):
    """Count answered sheets: comparisons won, tied and lost, gain, and a t-test."""

    study: Positional[Path]
    """Folder that study prepare wrote."""
    answers: tuple[Path, ...] = ()
    """Sheets, one of each rater; the one in the folder if not given."""
    json: bool = False
    """One JSON object on stdout."""

    def __call__(self) -> None:
        """Say what was preferred."""
        from understudy.experiment.preferences import count

        found = count(self.study, self.answers)
        if not self.json:
            console.show(str(found))
            return
        console.show_json({
            "models": list(found.models), "comparisons": len(found.votes),
            "raters": found.votes.shape[1], "won": found.wins, "tied": found.ties,
            "lost": found.losses, "gain": found.gain, "p": found.p,
        })  # fmt: skip
