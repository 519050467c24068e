"""What a training will do, decided before it begins: stages in updates, chunks, options."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import jax

from understudy.algorithms.stages import Stages
from understudy.types import Env, HostEnv, UserError, require


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How a training reports and keeps itself; none of it changes what is learned.

    (With a `HostEnv` `checkpoint_every` does: episodes are restarted at every checkpoint.)
    """

    log_every: int | None = None
    """Updates in one compiled chunk and per line of metrics; None: a hundredth of each stage, at
    most 100."""
    checkpoint_every: int | None = None
    """Updates between checkpoints, a multiple of `log_every`; generators are scored on the
    validation set there. None: ten chunks."""
    checkpoint_seconds: float = 300.0
    """A checkpoint is written as well when this long has passed (not with a `HostEnv`)."""
    validation_windows: int = 256
    """Windows of the validation set to score."""
    resident_bytes: int = 2**30
    """Demonstrations up to this size are kept on the device, larger ones are streamed."""
    evaluate_every: int | None = None
    """Episodes of training of a seed between two evaluations of its policy, in a JAX env: env steps
    over the horizon. Evaluations take place at the end of a chunk, and at the end of each stage
    (of one that does not act, only there). None: never."""
    evaluate_episodes: int = 20
    """Episodes that the policy of each seed plays per evaluation, sampling its actions and again
    taking the most likely ones."""
    trackers: tuple[str, ...] = ()
    """Live curves: ``tensorboard``, ``wandb``."""

    def __post_init__(self) -> None:
        for name in ("log_every", "checkpoint_every", "evaluate_every", "evaluate_episodes"):
            value = getattr(self, name)
            require(value is None or value > 0, f"expected {name} above 0, found {value}")
        require(
            self.log_every is None
            or self.checkpoint_every is None
            or self.checkpoint_every % self.log_every == 0,
            f"expected checkpoint_every to be a multiple of log_every ({self.log_every}), "
            f"found {self.checkpoint_every}",
        )


class Stage(NamedTuple):
    """One algorithm and how long it trains."""

    algorithm: Any
    updates: int
    offset: int
    """Updates of the stages before."""
    log_every: int
    checkpoint_every: int

    @property
    def online(self) -> bool:
        """The stage acts in the env."""
        return "env" in self.algorithm.needs


def stretch(algorithm: Any, steps: int | None) -> Stages:
    """Any algorithm as stages of the given length.

    Raises:
        UserError: when nobody says how long to train.
    """
    if isinstance(algorithm, Stages):
        return algorithm if steps is None else algorithm.scaled(steps)
    steps = getattr(algorithm, "steps", None) if steps is None else steps
    if steps is None:
        raise UserError(
            f"expected a number of steps to train {type(algorithm).__name__}, found none; "
            "give steps="
        )
    require(steps > 0, f"expected steps above 0, found {steps}")
    return Stages(((algorithm, steps),), handover="fresh")


def check(stages: Stages, *, env: Any, demonstrations: Any) -> None:
    """See that everything the algorithms need is there.

    Raises:
        UserError: naming what is missing.
    """
    for algorithm, _ in stages.stages:
        name = type(algorithm).__name__
        leaves = jax.tree.leaves(algorithm)
        require(
            not any(leaf is algorithm for leaf in leaves),
            f"expected {name} to be registered with @types.hyperparameters, found a plain class",
        )
        for what, given in (("env", env), ("demonstrations", demonstrations)):
            require(
                what not in algorithm.needs or given is not None,
                f"{name} learns from {what}, found none; give {what}=",
            )
    require(
        env is None or isinstance(env, HostEnv | Env),
        f"expected an env with spec, reset and step, found {type(env).__name__}",
    )


def lay_out(stages: Stages, options: TrainOptions, env: Any, seeds: int) -> list[Stage]:
    """Turn steps into updates and chunks.

    A step is an update of an algorithm without env, and an env step (of any env of a seed) of an
    algorithm with one.
    """
    planned, offset = [], 0
    for algorithm, steps in stages.stages:
        updates = steps
        if "env" in algorithm.needs:
            updates = math.ceil(steps / (algorithm.rollout * envs_of(algorithm, env, seeds)))
        log_every = min(options.log_every or _divisor(updates), updates)
        every = options.checkpoint_every or 10 * log_every
        require(
            every % log_every == 0 or every >= updates,
            f"expected checkpoint_every to be a multiple of the {log_every} updates of a chunk, "
            f"found {every}; give log_every too",
        )
        planned.append(Stage(algorithm, updates, offset, log_every, every))
        offset += updates
    return planned


def envs_of(algorithm: Any, env: Any, seeds: int) -> int:
    """Envs per seed.

    Raises:
        UserError: when a host env cannot be shared out evenly among the seeds.
    """
    if not isinstance(env, HostEnv):
        return algorithm.envs
    require(
        env.envs % seeds == 0,
        f"expected a host env with a multiple of {seeds} games (seeds), found {env.envs}",
    )
    return env.envs // seeds


def _divisor(updates: int) -> int:
    """About a hundredth, at most 100; a divisor if one is near, so that all chunks are alike."""
    most = max(1, min(100, updates // 100))
    return next((n for n in range(most, most // 2, -1) if updates % n == 0), most)
