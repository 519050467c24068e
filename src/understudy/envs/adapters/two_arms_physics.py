"""Many workbenches at once: physics in MuJoCo's threads, what the arms see as array operations.

A physics state is ``[time, positions (11), velocities (10)]``. Every control step begins from it
alone, without the solver's last solution, so a game follows from its seed and actions whatever the
threads and however many games there are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from understudy.envs.adapters.foreign import package
from understudy.envs.adapters.two_arms_model import (
    CONTROL,
    FALLEN,
    HALF_HEIGHT,
    PHYSICS,
    Workbench,
    mjcf,
)
from understudy.types import UserError, require

SIZE = 22
"""Numbers of a physics state."""
PLACE = slice(5, 8)
"""Columns of a physics state that hold where the object is, metres."""
TRIES = 1000
"""Starts drawn before a bench is called too crowded."""


class Physics:
    """A workbench and the threads that move copies of it.

    Args:
        bench: sizes, masses and torques.
        threads: of MuJoCo.
    """

    def __init__(self, bench: Workbench, *, threads: int = 1) -> None:
        mujoco = package("mujoco")
        self.bench, self._mujoco = bench, mujoco
        self._model = mujoco.MjModel.from_xml_string(mjcf(bench))
        self._datas = [mujoco.MjData(self._model) for _ in range(threads)]
        # a pool of no threads runs where it is called
        self._pool = package("mujoco.rollout").Rollout(nthread=threads if threads > 1 else 0)
        size = mujoco.mj_stateSize(self._model, int(mujoco.mjtState.mjSTATE_FULLPHYSICS))
        assert size == SIZE

    def begin(self, seed: int) -> Float[np.ndarray, "numbers=22"]:
        """A state at rest in which nothing touches but the object and the platform.

        Raises:
            UserError: when there is no room for that.
        """
        chance, bench = np.random.default_rng(seed), self.bench
        data, model = self._datas[0], self._model
        for _ in range(TRIES):
            joints = chance.uniform(-bench.bend, bench.bend, 4)
            place = chance.uniform(-1.0, 1.0, 2) * bench.spread
            half_turn = chance.uniform(-np.pi, np.pi) / 2
            turn = [np.cos(half_turn), 0.0, 0.0, np.sin(half_turn)]
            data.qpos[:] = [*joints, *place, HALF_HEIGHT, *turn]
            self._mujoco.mj_kinematics(model, data)
            self._mujoco.mj_collision(model, data)
            if not (data.contact.geom[:, 0] > 0).any():  # geom 0 is the platform
                return np.concatenate([[0.0], data.qpos, np.zeros(model.nv)])
        raise UserError(
            f"expected room for two arms and the object, found none in {TRIES} tries; give shorter "
            "links or a smaller bar"
        )

    def roll(
        self,
        states: Float[np.ndarray, "benches numbers=22"],
        torques: Float[np.ndarray, "benches steps motors=4"],
    ) -> Float[np.ndarray, "benches steps numbers=22"]:
        """Move every bench for some control steps.

        Args:
            states: physics states to begin from.
            torques: within -1 and 1: left shoulder and elbow, right shoulder and elbow.

        Returns:
            The physics state after each control step.

        Raises:
            UserError: when the physics break down.
        """
        benches, steps = torques.shape[:2]
        frames = np.empty((benches, steps * PHYSICS, SIZE))
        with self._silent():
            self._pool.rollout(
                [self._model] * benches,
                self._datas,
                np.ascontiguousarray(states),
                np.repeat(torques, PHYSICS, 1).astype(np.float64),
                skip_checks=True,
                nstep=steps * PHYSICS,
                state=frames,
                sensordata=np.empty((benches, steps * PHYSICS, 0)),
                chunk_size=max(1, benches // (4 * len(self._datas))),
            )
        # where MuJoCo has to warn it stops, and repeats the last state
        late = states[:, 0] + steps * CONTROL - frames[:, -1, 0]
        require(
            np.isfinite(frames[:, -1]).all() and (late < CONTROL / PHYSICS / 2).all(),
            "expected physics that stay finite, found a bench that broke down; give weaker torques "
            "or heavier bodies",
        )
        return frames[:, PHYSICS - 1 :: PHYSICS]

    @contextlib.contextmanager
    def _silent(self) -> Iterator[None]:
        """Without the warnings that MuJoCo prints, and writes to a file where it was started."""
        before = self._mujoco.get_mju_user_warning()
        self._mujoco.set_mju_user_warning(_ignore)
        try:
            yield
        finally:
            self._mujoco.set_mju_user_warning(before)

    def close(self) -> None:
        """End the threads."""
        if self._pool.rollout_ is not None:
            self._pool.close()


def _ignore(text: str) -> None:
    """Say nothing."""


def fallen(states: Float[np.ndarray, "*lead numbers=22"]) -> Bool[np.ndarray, "*lead"]:
    """Where the object is off the platform."""
    return states[..., PLACE.stop - 1] < FALLEN


def hands(
    bench: Workbench, states: Float[np.ndarray, "*lead numbers=22"]
) -> Float[np.ndarray, "*lead arms=2 2"]:
    """Where both hands are, metres, world frame."""
    return np.stack(
        [_own(bench, states, arm)[..., 12:14] * sign for arm, sign in ((0, 1.0), (1, -1.0))], -2
    )


def views(
    bench: Workbench, states: Float[np.ndarray, "*lead numbers=22"]
) -> Float[np.ndarray, "*lead arms=2 obs=22"]:
    """What each arm sees, in its own frame: its shoulder at (-half_width, 0), the other ahead.

    For the right arm the world is turned half round, which keeps the sense of angles and torques;
    so arms in mirrored places see the same numbers and one network acts for both.
    """
    own = [_own(bench, states, arm) for arm in (0, 1)]
    w, x, y, z = np.moveaxis(states[..., 8:12], -1, 0)
    # a plus looks the same after a quarter turn, so four times its angle says all and never jumps
    turn = 4 * np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    turned = np.stack([np.cos(turn), np.sin(turn)], -1)
    seen = []
    for arm, sign in ((0, 1.0), (1, -1.0)):
        seen.append(np.concatenate([
            own[arm],
            -own[1 - arm][..., 12:14],
            sign * states[..., 5:7],
            turned,
            sign * states[..., 16:18],
        ], -1))  # fmt: skip
    return np.stack(seen, -2).astype(np.float32)


def _own(bench: Workbench, states: np.ndarray, arm: int) -> Float[np.ndarray, "*lead 14"]:
    """Both links (middle, angle, velocity, rate of turn each) and the hand, in the own frame."""
    first = 1 + 2 * arm
    angle = np.cumsum(states[..., first : first + 2], -1)
    rate = np.cumsum(states[..., 11 + first : 13 + first], -1)
    ahead = np.stack([np.cos(angle), np.sin(angle)], -1)  # [..., links, 2]
    aside = np.stack([-ahead[..., 1], ahead[..., 0]], -1) * rate[..., None]
    upper, lower = bench.upper, bench.lower
    shoulder = np.array([-bench.half_width, 0.0])
    joint = shoulder + upper * ahead[..., 0, :]
    joint_speed = upper * aside[..., 0, :]
    places = (shoulder + upper / 2 * ahead[..., 0, :], joint + lower / 2 * ahead[..., 1, :])
    speeds = (upper / 2 * aside[..., 0, :], joint_speed + lower / 2 * aside[..., 1, :])
    links = [
        np.concatenate([place, angle[..., i, None], speed, rate[..., i, None]], -1)
        for i, (place, speed) in enumerate(zip(places, speeds, strict=True))
    ]
    return np.concatenate([*links, joint + lower * ahead[..., 1, :]], -1)
