"""Your own arrays as demonstrations: build, check, split, save, read back.

Two walkers cross a square; one leaves early. Replace `walk` by whatever reads your logs.
"""

import sys
from pathlib import Path

import numpy as np

import understudy as us

RATE = 2.5


def walk(generator, rows):
    """Positions [rows, 2 walkers, xy] in metres: straight lines with a little noise."""
    start, velocity = generator.uniform(0, 10, (2, 2)), generator.normal(0, 1, (2, 2))
    line = start + np.arange(rows)[:, None, None] * velocity / RATE
    return line + generator.normal(0, 0.02, line.shape)


def main(out="demos/walkers", episodes=60):
    generator = np.random.default_rng(0)
    lengths = generator.integers(12, 40, episodes)
    positions = np.concatenate([walk(generator, n) for n in lengths]).astype(np.float32)
    starts = np.concatenate([[0], np.cumsum(lengths)])

    alive = np.ones(positions.shape[:2], bool)
    for end in starts[1:]:
        alive[end - 4 : end, 1] = False  # the second walker leaves four rows before the end
    positions[~alive] = 0  # padding is alive = False, and 0

    demonstrations = us.Demonstrations(
        spec=us.Spec((us.Group("walker", agents=2, observation=2, features=("x", "y")),)),
        starts=starts,
        features={"walker": positions},
        alive={"walker": alive},
        rate=RATE,
        unit="m",
        labels={
            "episode": np.array([f"walk-{i}" for i in range(episodes)]),
            "source": np.array(["square"] * episodes),
            "day": np.array([f"day-{i % 10}" for i in range(episodes)]),
        },
    )
    parts = demonstrations.split(by="day")
    for finding in us.data.check(demonstrations, parts):
        print(f"{finding.level}: {finding.message}")

    for name, part in parts._asdict().items():
        us.data.save(part, Path(out) / name)
    print(us.data.load(Path(out) / "train"))
    print(f"statistics of the training part: {us.data.statistics(parts.train).mean}")


if __name__ == "__main__":
    main(*sys.argv[1:])
