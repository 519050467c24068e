"""Small trained experts for the library's own games, and the command that trains each again.

    policy = understudy.load_policy("zoo:spread")
    understudy collect spread --expert zoo:spread --episodes 200 --out demos/spread

Weights lie beside this file, a few dozen kB each. Each agent acts on what it observes.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from understudy.types import require

FOLDER = Path(__file__).parent
PREFIX = "zoo:"
"""What the name of a trained expert begins with where a folder could stand too."""


class Entry(NamedTuple):
    """One trained expert."""

    env: str
    """What `envs.make` builds its game from."""
    flags: str
    """Of ``understudy train``."""

    @property
    def command(self) -> str:
        """What trains it again."""
        return f"understudy train {self.flags} --env {self.env} --out runs/{self.env}"


ZOO: dict[str, Entry] = {
    "cartpole": Entry("cartpole", "mappo --steps 500000 --network.hidden 32 32"),
    "push": Entry("push", "mappo --steps 2000000 --discount 0.95"),
    "speaker-listener": Entry("speaker-listener", "mappo --steps 2000000 --discount 0.95"),
    "spread": Entry("spread", "mappo --steps 4000000 --discount 0.95"),
    "tag": Entry("tag", "mappo --steps 2000000 --discount 0.95"),
}
"""Name -> game and training."""


def path(name: str) -> Path:
    """Folder of the weights of a trained expert.

    Args:
        name: of `ZOO`, with or without `PREFIX`.

    Raises:
        UserError: for an unknown name.
    """
    name = name.removeprefix(PREFIX)
    require(name in ZOO, f"expected one of the trained experts {sorted(ZOO)}, found {name!r}")
    return FOLDER / name
