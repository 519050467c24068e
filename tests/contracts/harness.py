"""What the tests of contracts share: a small set, a kill, and what a run left behind."""

import contextlib
import resource
import signal
from pathlib import Path

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.experiment import folder
from understudy.experiment.train import TrainOptions
from understudy.types import Group, Spec

OPTIONS = TrainOptions(log_every=2, checkpoint_every=4)


@contextlib.contextmanager
def disk_for_files_of(size):
    """A disk on which no file can grow beyond `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


class Stopped(Exception):
    """Stands for a kill."""


def stop_at(step):
    """A progress callback that stops the training right after the checkpoint of `step`."""

    def progress(event):
        if event["event"] == "checkpoint" and event["step"] >= step:
            raise Stopped

    return progress


def walks(episodes=6, length=12, agents=3, seed=0):
    """Random walks of one group of agents, 5 Hz, no actions."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.3, 0.1, (episodes * length, agents, 2)).astype(np.float32)
    paths = steps.reshape(episodes, length, agents, 2).cumsum(1).reshape(steps.shape)
    return Demonstrations(
        spec=Spec((Group("agents", agents, 2, features=("x", "y")),)),
        starts=np.arange(episodes + 1) * length,
        features={"agents": paths},
        alive={"agents": np.ones(paths.shape[:2], bool)},
        rate=5.0,
        unit="m",
        labels={
            "episode": np.array([f"e{i}" for i in range(episodes)]),
            "source": np.array(["walks"] * episodes),
        },
    )


def contents(run_folder: Path) -> dict[str, bytes]:
    """Every file of a run that has to be the same in the same run."""
    return {
        str(path.relative_to(run_folder)): path.read_bytes()
        for path in sorted(run_folder.rglob("*"))
        if path.is_file() and path.name not in (folder.TIMING, ".lock")
    }
