"""Trains a toy in its own process, slowly enough to be killed: ``training.py OUT [resume]``."""

import sys
import time
from typing import Any

from contracts.harness import walks
from contracts.toys import LearnDrift
from understudy.experiment.train import TrainOptions, resume, train

STEPS = 60


def slowly(event):
    sys.stdout.write(f"{event['event']} {event.get('step')}\n")
    sys.stdout.flush()
    time.sleep(0.02)


if __name__ == "__main__":
    sets: Any = {"demonstrations": walks(), "validation": walks(seed=1)}
    if "resume" in sys.argv:
        resume(sys.argv[1], progress=slowly, **sets)
    else:
        train(
            LearnDrift(), steps=STEPS, seeds=2, out=sys.argv[1], progress=slowly,
            options=TrainOptions(log_every=2, checkpoint_every=6, checkpoint_seconds=0.1), **sets,
        )  # fmt: skip
