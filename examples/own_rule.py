"""An intent rule of your own: which of four quarters of the sky an agent is heading for.

A rule is a pure function of tracks [batch, time, agents, 2], their rate, and who is alive; it
answers an int for every row and agent. Thresholds are in units per second, so that the rule means
the same at every rate.
"""

import numpy as np

import understudy as us
from understudy.data.labels import register

STILL = 0.2  # units per second


def quarter(track, rate, alive):
    """0 standing, 1 to 4 the quarter the agent's next half second points to."""
    rows = np.arange(track.shape[1])
    ahead = np.minimum(rows + max(1, round(0.5 * rate)), rows[-1])
    seconds = np.maximum(ahead - rows, 1) / rate
    move = (track[:, ahead] - track) / seconds[:, None, None]
    angle = np.arctan2(move[..., 1], move[..., 0])
    sector = 1 + ((angle + np.pi) // (np.pi / 2)).astype(int) % 4
    return np.where(np.linalg.norm(move, axis=-1) < STILL, 0, sector).astype(np.int32)


def main(episodes=64):
    rule = register("quarter", quarter, classes=5)
    flocks = us.data.label(us.data.boids(episodes=episodes, seed=0), rule)
    intents = flocks.intents["agents"]
    shares = np.bincount(intents.ravel(), minlength=5) / intents.size
    for name, share in zip(
        ["still", "south-west", "south-east", "north-east", "north-west"], shares
    ):
        print(f"{name:<12}{share:6.1%}")


if __name__ == "__main__":
    main()
