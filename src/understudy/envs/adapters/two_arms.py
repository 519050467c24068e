"""Two arms and a plus-shaped block on a platform (extra ``mujoco``).

Each arm has two joints and moves in the plane. Together they push the block over an edge, or one
pushes and the other keeps it on: the same game, the same numbers seen, paid differently, so what
was learned or logged in one serves in the other.

Source: the two-robot domain of Krupnik, Mordatch and Tamar, "Multi-Agent Reinforcement Learning
with Multi-Step Generative Models" (CoRL 2019), built anew: its simulator, sizes, masses and time
steps are not published, so returns compare in form, not in value. Deviations: MuJoCo instead of
Unity, sizes such that two arms succeed where one often cannot, episodes of 600 steps (2,000 there),
the object's angle seen as a cosine and a sine.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from understudy.envs.adapters.two_arms_model import Workbench
from understudy.envs.adapters.two_arms_physics import Physics, fallen, views
from understudy.envs.adapters.two_arms_reward import BLOCK, COST, HAND, PRIZE
from understudy.envs.adapters.two_arms_view import pictures, shown
from understudy.envs.host import Batched
from understudy.types import (
    ActionSpec,
    Features,
    Fixed,
    Group,
    HostEnv,
    Observation,
    Spec,
    Step,
    hyperparameters,
    require,
)

LINK = ("x", "y", "angle", "velocity x", "velocity y", "turn rate")
FEATURES = (
    *(f"upper {name}" for name in LINK),
    *(f"lower {name}" for name in LINK),
    *("hand x", "hand y", "other hand x", "other hand y"),
    *("object x", "object y", "object cosine", "object sine"),
    *("object velocity x", "object velocity y"),
)
"""What an arm sees, metres, rad and seconds, in its own frame; links by their middles, their angles
not wrapped. Cosine and sine are of four times the object's angle: a plus looks the same after a
quarter turn."""
REWARDS = ("cooperative", "competitive")


@hyperparameters
class TwoArmPlatform:
    """Many platforms with two arms each.

    One group of two agents, the left arm first. Each sees the world from its own shoulder: for the
    right arm it is turned half round, so one shared network acts for both. An action is the torque
    of shoulder and elbow, as a share of the strongest. The state is that of the physics in the
    world frame: angles of the four joints, position and quaternion of the block, then velocities in
    the same order (the block's rotation in its own frame).
    """

    rewards: Literal["cooperative", "competitive"] = "cooperative"
    """``"cooperative"``: both arms are paid -0.005 a step and 1 when the block falls.
    ``"competitive"``: the left arm pushes and is paid that, the right one keeps and is paid the
    negative; who plays which then depends on the agent, so share no weights."""
    horizon: int = 600
    """Control steps of 20 ms after which an episode is truncated; 2,000 in the source."""
    envs: int = 16
    """How many games side by side; a multiple of the seeds in training."""
    engine: Literal["rollout", "loop", "processes"] = "rollout"
    """``"rollout"`` steps all games at once in MuJoCo's own threads; ``"loop"`` game by game;
    ``"processes"`` in worker processes, which survive a crash of MuJoCo. All play the same."""
    workers: int | None = None
    """Threads or processes; as many as cores if None."""
    timeout: Fixed = 60.0
    """Seconds a worker process may take to answer."""
    bench: Workbench = Workbench()
    """Sizes, masses and torques."""

    def __post_init__(self) -> None:
        engines = ("rollout", "loop", "processes")
        require(
            self.rewards in REWARDS, f"expected rewards= one of {REWARDS}, found {self.rewards!r}"
        )
        require(self.engine in engines, f"expected engine= one of {engines}, found {self.engine!r}")
        require(self.envs > 0, f"expected at least one env, found {self.envs}")
        require(self.horizon > 0, f"expected a horizon of at least 1 step, found {self.horizon}")

    @property
    def spec(self) -> Spec:
        """Two arms."""
        return spec(self.horizon)

    @functools.cached_property
    def games(self) -> HostEnv:
        """What plays, built when first asked for."""
        if self.engine == "rollout":
            threads = min(self.envs, self.workers or os.cpu_count() or 1)
            return Platforms(
                self.bench, self.rewards, self.horizon, envs=self.envs, threads=threads
            )
        make = functools.partial(One, self.bench, self.rewards, self.horizon)
        return Batched(
            make, envs=self.envs, by=self.engine, workers=self.workers, timeout=self.timeout
        )

    @functools.cached_property
    def _seen(self) -> dict[str, Any]:
        """The observation that came last, for pictures."""
        return {}

    def reset(self, seeds: np.ndarray, where: np.ndarray | None = None) -> Observation:
        """Begin anew where `where` holds (everywhere if None); return every observation."""
        self._seen["last"] = self.games.reset(seeds, where)
        return self._seen["last"]

    def step(self, actions: Mapping[str, np.ndarray]) -> Step:
        """Move every arm for one control step."""
        step = self.games.step(actions)
        self._seen["last"] = step.observation
        return step

    def render(self) -> UInt8[np.ndarray, "envs height width 3"]:
        """Every platform from above, without a display or graphics card.

        Raises:
            UserError: before the first `reset`.
        """
        require(self._seen, "expected games that have begun, found none; call reset first")
        return pictures(self.bench, self._seen["last"].state)

    def places(self, features: Features) -> Float[Array, "time things=3 2"]:
        """Where left hand, right hand and block are in a picture, of what the arms observe: shares
        of its width and height, from the lower left corner."""
        seen = features["arms"]
        spots = [seen[..., 0, HAND], -seen[..., 1, HAND], seen[..., 0, BLOCK]]
        reach = jnp.array([[shown(self.bench)]])
        return (jnp.stack(spots, -2) / reach + 1.0) / 2.0

    def close(self) -> None:
        """End what plays; a later call begins it again."""
        self._seen.clear()
        games = self.__dict__.pop("games", None)
        if games is not None:
            games.close()


def spec(horizon: int) -> Spec:
    """Two agents, the left arm first."""
    action = ActionSpec(low=(-1.0, -1.0), high=(1.0, 1.0))
    arms = Group("arms", 2, len(FEATURES), action, features=FEATURES)
    return Spec((arms,), state=21, horizon=horizon)


class Platforms:
    """A `HostEnv` of `envs` platforms, moved all at once.

    Args:
        bench: sizes, masses and torques.
        rewards: one of `REWARDS`.
        horizon: control steps after which an episode is truncated.
        envs: how many platforms.
        threads: of MuJoCo.
    """

    states: np.ndarray
    """Physics states, ``[envs, 22]``: what a planner that knows the truth rolls on with
    `physics`."""

    def __init__(
        self, bench: Workbench, rewards: str, horizon: int, *, envs: int, threads: int = 1
    ) -> None:
        self.physics, self.spec = Physics(bench, threads=threads), spec(horizon)
        self._sign = np.array([1.0, 1.0 if rewards == "cooperative" else -1.0], np.float32)
        self._horizon, self._envs = horizon, envs
        self.states = np.stack([self.physics.begin(0)] * envs)
        self._time = np.zeros(envs, np.int64)

    @property
    def envs(self) -> int:
        """How many games go on side by side."""
        return self._envs

    def reset(self, seeds: np.ndarray, where: np.ndarray | None = None) -> Observation:
        """Begin anew where `where` holds (everywhere if None); return every observation."""
        for i in range(self._envs) if where is None else np.flatnonzero(where):
            self.states[i], self._time[i] = self.physics.begin(int(seeds[i])), 0
        return self._observe()

    def step(self, actions: Mapping[str, np.ndarray]) -> Step:
        """Move every arm for one control step."""
        done = np.clip(np.asarray(actions["arms"], np.float32), -1.0, 1.0)
        before = fallen(self.states)
        self.states = self.physics.roll(self.states, done.reshape(self._envs, 1, 4))[:, 0]
        self._time += 1
        over = fallen(self.states)
        paid = np.where(over & ~before, COST + PRIZE, COST).astype(np.float32)
        late = (self._time >= self._horizon) & ~over
        return Step(
            self._observe(), {"arms": done}, {"arms": paid[:, None] * self._sign}, over, late,
            {"success": over},
        )  # fmt: skip

    def close(self) -> None:
        """End the threads."""
        self.physics.close()

    def _observe(self) -> Observation:
        return Observation(
            {"arms": views(self.physics.bench, self.states)},
            {"arms": np.ones((self._envs, 2), bool)},
            state=self.states[:, 1:].astype(np.float32),
        )


class One:
    """One platform as a `Simulator`; see `Platforms`."""

    def __init__(self, bench: Workbench, rewards: str, horizon: int) -> None:
        self.games = Platforms(bench, rewards, horizon, envs=1)
        self.spec = self.games.spec

    def reset(self, seed: int) -> Observation:
        """Begin the game that `seed` decides."""
        return _first(self.games.reset(np.array([seed])))

    def step(self, actions: Mapping[str, np.ndarray]) -> Step:
        """Move both arms for one control step."""
        return _first(self.games.step({name: moves[None] for name, moves in actions.items()}))

    def close(self) -> None:
        """Let go of MuJoCo."""
        self.games.close()


def _first(batch: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], batch)
