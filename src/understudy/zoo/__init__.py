"""Small trained experts for the library's own games, and the command that trains each again.

    policy = understudy.zoo.load("spread")
    understudy collect spread --expert zoo:spread --episodes 200 --out demos/spread

Weights lie beside this file, a few dozen kB each. They act by what an agent observes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from understudy.types import Mode, require

FOLDER = Path(__file__).parent


class Entry(NamedTuple):
    """One trained expert."""

    env: str
    """What `envs.make` builds its game from."""
    flags: str
    """Of ``understudy train``."""

    def commands(self, name: str) -> tuple[str, str]:
        """What trains it again, and what takes the weights from the run."""
        run = f"runs/zoo-{name}"
        return (
            f"understudy train {self.flags} --env {self.env} --out {run}",
            f"understudy export {run} --out weights/{name}",
        )


ZOO: dict[str, Entry] = {
    "cartpole": Entry("cartpole", "mappo --steps 500000 --network.hidden 32 32"),
    "push": Entry("push", "mappo --steps 2000000 --discount 0.95"),
    "speaker-listener": Entry("speaker-listener", "mappo --steps 2000000 --discount 0.95"),
    "spread": Entry("spread", "mappo --steps 4000000 --discount 0.95"),
    "tag": Entry("tag", "mappo --steps 2000000 --discount 0.95"),
}
"""Name -> game and training."""


def load(name: str, *, mode: Mode = "mode") -> Any:
    """Load a trained expert.

    Args:
        name: of `ZOO`.
        mode: its most likely actions, or ``"sample"``.

    Raises:
        UserError: for an unknown name.
    """
    from understudy.experiment.run import load_policy

    require(name in ZOO, f"expected one of the trained experts {sorted(ZOO)}, found {name!r}")
    return load_policy(FOLDER / name, mode=mode)
