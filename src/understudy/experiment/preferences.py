"""Blind preference studies: which of two models' plays do people take for real?

`prepare` writes one animation for each scene, both models side by side, left and right drawn by
chance, a sheet to answer on, and a key that raters do not see. `count` reads answered sheets. A
vote for the first model is worth 1, against it -1, a tie 0; a comparison is won if its votes are
worth more than 0 together, and

    gain = mean of all votes

is tested against 0 by the means of the comparisons, a one-sample t-test.

Source: the study of Zhan, Zheng, Yue, Sha, Lucey, "Generating Multi-Agent Trajectories using
Programmatic Weak Supervision" (arXiv 1803.07612), whose raters were professional analysts.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from understudy.experiment.folder import whole
from understudy.experiment.generate import Plays
from understudy.types import UserError, require
from understudy.visualise.animate import WRITERS, frames
from understudy.visualise.tracks import Bounds, Track, ground, tracks

SHEET, KEY = "answers.csv", "key.json"
SIDES = ("left", "right")
CHOICES = (*SIDES, "tie")
HOW = """Each animation shows one scene twice: the same beginning, and two ways it may have gone on.
Say which side looks more like real play. Write left, right or tie behind its number in
answers.csv, for every pair, and hand in that file alone.
"""


@dataclasses.dataclass(frozen=True)
class Preference:
    """What raters preferred, seen from the first model."""

    models: tuple[str, str]
    votes: np.ndarray
    """1, 0 or -1, ``[comparisons, raters]``."""

    @property
    def each(self) -> np.ndarray:
        """Mean vote of each comparison."""
        return self.votes.mean(1)

    @property
    def wins(self) -> int:
        """Comparisons that the first model won."""
        return int((self.each > 0).sum())

    @property
    def ties(self) -> int:
        """Comparisons that nobody won."""
        return int((self.each == 0).sum())

    @property
    def losses(self) -> int:
        """Comparisons that the second model won."""
        return int((self.each < 0).sum())

    @property
    def gain(self) -> float:
        """Mean vote, between -1 and 1."""
        return float(self.votes.mean())

    @property
    def p(self) -> float:
        """How likely means of comparisons as far from 0 are by chance; 1 where none differs."""
        if np.all(self.each == self.each[0]):
            return 1.0 if self.each[0] == 0 else 0.0
        found: Any = stats.ttest_1samp(self.each, 0.0)
        return float(found.pvalue)

    def __str__(self) -> str:
        first, second = self.models
        raters = self.votes.shape[1]
        return (
            f"{first} against {second}, {len(self.votes)} comparisons, {raters} rater"
            f"{'s' if raters > 1 else ''}: won {self.wins}, tied {self.ties}, lost {self.losses}; "
            f"gain {self.gain:+.2f}, p = {self.p:.3g}"
        )


def prepare(
    plays: Mapping[str, Plays],
    out: str | Path,
    *,
    pairs: int = 25,
    seed: int = 0,
    ending: str = ".gif",
    bounds: Bounds | None = None,
    speed: float | int = 1.0,
) -> Path:
    """Write a study of two models to a new folder, whole or not at all.

    Args:
        plays: by the name of each of two models, what it made of the same scenes.
        out: folder to write.
        pairs: scenes to compare, drawn by `seed`; all if there are fewer.
        seed: of the scenes and of the sides.
        ending: of the animations, ``.gif`` or ``.mp4``.
        bounds: of the field, where the demonstrations do not say.
        speed: 1 plays in real time.

    Raises:
        UserError: for other than two models, or for models of different scenes.
    """
    out = Path(out)
    require(len(plays) == 2, f"expected plays of two models, found {len(plays)}; give two")
    require(
        WRITERS.get(ending) is not None, f"expected an ending of .gif or .mp4, found {ending!r}"
    )
    require(pairs >= 1, f"expected at least one pair, found {pairs}")
    names = tuple(plays)
    first, second = plays.values()
    same = _scenes(first) == _scenes(second) and first.observed == second.observed
    require(
        same,
        f"expected plays of the same scenes with as many rows observed, found others from "
        f"{names[0]!r} and {names[1]!r}; generate both from the same demonstrations",
    )
    chance = np.random.default_rng(seed)
    total = len(first.truth)
    scenes = np.sort(chance.choice(total, min(pairs, total), replace=False))
    swapped = chance.random(len(scenes)) < 0.5
    write = WRITERS[ending]
    assert write is not None
    with whole(out) as work:
        for number, (scene, swap) in enumerate(zip(scenes, swapped, strict=True), 1):
            panels = [_sides((second, first) if swap else (first, second), int(scene))]
            rate, on = first.truth.rate, ground(first, panels, bounds)
            write(work / f"pair_{number:02d}{ending}", frames(panels, on, rate), rate * speed, 1.0)
        rows = [f"{number},\n" for number in range(1, len(scenes) + 1)]
        (work / SHEET).write_text("pair,choice\n" + "".join(rows))
        (work / "how.txt").write_text(HOW)
        left = [names[1] if swap else names[0] for swap in swapped]
        kept = {"models": names, "left": left, "scenes": scenes.tolist()}
        (work / KEY).write_text(json.dumps(kept, indent=1))
    return out


def count(study: str | Path, answers: Sequence[str | Path] = ()) -> Preference:
    """Count the votes of answered sheets.

    Args:
        study: folder that `prepare` wrote.
        answers: sheets, one of each rater; the one in the folder if there are none.

    Raises:
        UserError: for a folder that is no study, or a sheet that is not answered in full.
    """
    key = Path(study) / KEY
    require(key.is_file(), f"expected a study with {KEY}, found none in {study}; prepare one first")
    kept = json.loads(key.read_text())
    first, left = kept["models"][0], kept["left"]
    sheets = [_read(Path(path), len(left)) for path in (answers or [Path(study) / SHEET])]
    worth = {"left": 1, "right": -1, "tie": 0}
    votes = [
        [worth[choice] * (1 if name == first else -1) for choice, name in zip(s, left, strict=True)]
        for s in sheets
    ]
    return Preference(tuple(kept["models"]), np.asarray(votes).T)


def _sides(pair: tuple[Plays, Plays], scene: int) -> list[Track]:
    """The first sample of each, and nothing that says whose it is."""
    return [
        dataclasses.replace(tracks(plays, scene, 1)[1], title=side, intents=None)
        for plays, side in zip(pair, SIDES, strict=True)
    ]


def _scenes(plays: Plays) -> list[str]:
    return [str(name) for name in plays.truth.labels["episode"]]


def _read(path: Path, pairs: int) -> list[str]:
    """Choices in the order of pairs."""
    if not path.is_file():
        raise UserError(f"expected a sheet of answers, found no file {path}")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {
        (row.get("pair") or "").strip(): (row.get("choice") or "").strip().lower() for row in rows
    }
    wanted = [str(number) for number in range(1, pairs + 1)]
    wrong = [number for number in wanted if found.get(number) not in CHOICES]
    require(
        not wrong and set(found) == set(wanted),
        f"expected left, right or tie for each of {pairs} pairs in {path}, found other answers "
        f"for {', '.join(wrong[:3]) or 'pairs that there are not'}; fill in the sheet",
    )
    return [found[number] for number in wanted]
