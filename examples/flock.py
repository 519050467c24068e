"""The whole way on a flock: generate, train, evaluate, sample, draw.

`python examples/flock.py` takes some minutes on a CPU; fewer steps give a worse flock sooner.
"""

import sys
from pathlib import Path

import understudy as us


def main(out="runs/flock", episodes=4_096, steps=2_000, windows=512):
    flocks = us.data.boids(episodes=episodes, seed=0).split(by="episode")

    run = us.train(
        us.VRNN(sharing="joint"),
        demonstrations=flocks.train,
        validation=flocks.validation,
        steps=steps,
        seeds=2,
        out=out,
    )
    print(run)

    test = flocks.test[: min(windows, len(flocks.test))]
    print(us.evaluate(run, demonstrations=test, protocol="boids", samples=5))

    plays = us.generate(run, context=test[:4], observed=10, samples=5, horizon=40)
    us.animate(plays, Path(out) / "flock.gif")


if __name__ == "__main__":
    main(*sys.argv[1:2])
