"""``diagnose``: what adversarial training did, in pictures, numbers and warnings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tyro.conf import Positional

from understudy.cli import console


@dataclasses.dataclass(frozen=True)
class Diagnose(console.Verb):
    """Draw the rewards, the discriminator and the policy of one run or several side by side."""

    runs: Positional[tuple[Path, ...]]
    """Folders of runs of adversarial imitation, in one env."""
    out: Path
    """Folder for the pictures, as SVG and PNG, and diagnostics.json."""
    step: float | None = None
    """Env step whose rewards are drawn as histograms; the last one if not given."""
    expert: str = "own"
    """Whose return is drawn as a line: the name of an expert, the folder of a run, own for the one
    the env is known to have, or none."""
    episodes: int = 100
    """Games that the expert plays for that line."""
    json: bool = False
    """Print one JSON object instead of sentences."""

    def __call__(self) -> None:
        """Draw, write, and say what is wrong."""
        from understudy.experiment.diagnose import diagnose

        found = diagnose(
            self.runs,
            out=self.out,
            step=self.step,
            expert=None if self.expert == "none" else self.expert,
            episodes=self.episodes,
        )
        if self.json:
            console.show_json(found.json())
        else:
            console.show(str(found))
