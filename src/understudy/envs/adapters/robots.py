"""Many robots at once: physics in MuJoCo's threads, observations and rewards as array operations.

One control step of all robots is one call of ``mujoco.rollout``. It begins every step from the
physics state alone (time, positions, velocities), without the solver's last solution, so a game
follows from its seed and actions whatever the threads; gymnasium's env, which warm-starts the
solver, agrees to the solver's tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from understudy.envs.adapters.foreign import package
from understudy.envs.adapters.pettingzoo import Parallel
from understudy.types import Observation, Step

ROBOTS = {"HalfCheetah": True, "Hopper": False, "Swimmer": False, "Walker2d": False}
"""Robots whose observation and reward are functions of positions and velocities alone -> whether
they begin with normal (else uniform) noise on velocities."""


class Robots:
    """A `HostEnv` of `envs` robots.

    Args:
        simulator: one game of gymnasium-robotics, which says what agents see and are paid.
        scenario: one of `ROBOTS`.
        envs: how many robots.
        threads: of MuJoCo.
    """

    def __init__(self, simulator: Parallel, scenario: str, *, envs: int, threads: int) -> None:
        mujoco = package("mujoco")
        self._mujoco, self._simulator, self._envs = mujoco, simulator, envs
        self._robot = robot = simulator.env.single_agent_env.unwrapped
        self._normal, self.spec = ROBOTS[scenario], simulator.spec
        model, threads = robot.model, min(threads, envs)
        self._pool = package("mujoco.rollout").Rollout(nthread=threads if threads > 1 else 0)
        self._models = [model] * envs
        self._datas = [mujoco.MjData(model) for _ in range(threads)]
        self._chunk = max(1, envs // (4 * threads))
        size = mujoco.mj_stateSize(model, int(mujoco.mjtState.mjSTATE_FULLPHYSICS))
        frames = robot.frame_skip
        self._control = np.zeros((envs, frames, model.nu))
        self._frames = np.zeros((envs, frames, size))
        self._sensors = np.zeros((envs, frames, model.nsensordata))
        self._state = np.zeros((envs, size))
        self._time = np.zeros(envs, np.int64)
        self._joints = slice(1, 1 + model.nq + model.nv)
        (group,) = self.spec.groups
        assert group.action is not None
        self._low = np.array(group.action.low, np.float32)
        self._high = np.array(group.action.high, np.float32)
        partitions = simulator.env.agent_action_partitions
        self._actuators = np.array([[node.act_ids for node in part] for part in partitions]).ravel()
        self._seen, self._whole = _columns(simulator)

    @property
    def envs(self) -> int:
        """How many games go on side by side."""
        return self._envs

    def reset(self, seeds: np.ndarray, where: np.ndarray | None = None) -> Observation:
        """Begin anew where `where` holds (everywhere if None); return every observation.

        The same seed begins as it does in gymnasium.
        """
        robot, scale = self._robot, self._robot._reset_noise_scale
        positions = len(robot.init_qpos)
        for i in range(self._envs) if where is None else np.flatnonzero(where):
            chance, joints = np.random.default_rng(int(seeds[i])), self._state[i, self._joints]
            joints[:positions] = robot.init_qpos + chance.uniform(-scale, scale, positions)
            speeds = len(robot.init_qvel)
            if self._normal:
                noise = scale * chance.standard_normal(speeds)
            else:
                noise = chance.uniform(-scale, scale, speeds)
            joints[positions:] = robot.init_qvel + noise
            self._state[i, 0], self._time[i] = 0.0, 0
        return self._observe()

    def step(self, actions: Mapping[str, np.ndarray]) -> Step:
        """Move every robot for one control step."""
        robot, before = self._robot, self._state[:, 1].copy()
        done = np.clip(np.asarray(actions["agents"], np.float32), self._low, self._high)
        force = done.reshape(self._envs, -1).astype(np.float64)
        self._control[:, :, self._actuators] = force[:, None]
        self._pool.rollout(
            self._models,
            self._datas,
            self._state,
            self._control,
            skip_checks=True,
            nstep=self._control.shape[1],
            state=self._frames,
            sensordata=self._sensors,
            chunk_size=self._chunk,
        )
        self._state[:] = self._frames[:, -1]
        self._time += 1
        healthy = self._healthy()
        reward = robot._forward_reward_weight * (self._state[:, 1] - before) / robot.dt
        reward -= robot._ctrl_cost_weight * np.square(force).sum(-1)
        reward += getattr(robot, "_healthy_reward", 0.0) * healthy
        fallen = ~healthy & getattr(robot, "_terminate_when_unhealthy", False)
        agents = done.shape[1]
        paid = np.repeat(reward.astype(np.float32)[:, None], agents, 1)
        late = (self._time >= (self.spec.horizon or np.inf)) & ~fallen
        return Step(self._observe(), {"agents": done}, {"agents": paid}, fallen, late)

    def close(self) -> None:
        """End the threads."""
        if self._pool.rollout_ is not None:
            self._pool.close()
            self._simulator.close()

    def _healthy(self) -> Bool[np.ndarray, " envs"]:
        """Where no number left the range in which the robot counts as upright."""
        joints, upright = self._state[:, self._joints], np.ones(self._envs, bool)
        ranges = (
            (joints[:, 1:2], "_healthy_z_range"),
            (joints[:, 2:3], "_healthy_angle_range"),
            (joints[:, 2:], "_healthy_state_range"),
        )
        for values, name in ranges:
            low, high = getattr(self._robot, name, (-np.inf, np.inf))
            upright &= ((low < values) & (values < high)).all(-1)
        return upright

    def _observe(self) -> Observation:
        table = _table(self._state[:, self._joints], self._robot.model.nq)
        (group,) = self.spec.groups
        shape = (self._envs, group.agents, group.observation)
        return Observation(
            {"agents": table[:, self._seen].reshape(shape)},
            {"agents": np.ones(shape[:2], bool)},
            state=table[:, self._whole],
        )


def _table(joints: Float[np.ndarray, "envs joints"], positions: int) -> Float[np.ndarray, "envs _"]:
    """Everything an agent may see, in columns: joints, clipped velocities, 0 and 1."""
    table = np.empty((len(joints), 2 * joints.shape[1] - positions + 2), np.float32)
    table[:, : joints.shape[1]] = joints
    table[:, joints.shape[1] : -2] = np.clip(joints[:, positions:], -10, 10)
    table[:, -2:] = 0.0, 1.0
    return table


def _columns(simulator: Parallel) -> tuple[Int[np.ndarray, " _"], Int[np.ndarray, " state"]]:
    """Columns of `_table` that the agents see, one after the other, and that make the state.

    Found by asking the env what it shows of joints that all differ, once within and once outside
    of the bounds that some robots clip velocities to.
    """
    data = simulator.env.single_agent_env.unwrapped.data
    positions, count = len(data.qpos), len(data.qpos) + len(data.qvel)
    shown, tables = [], []
    for scale in (0.1, 100.0):
        joints = scale * (1 + np.arange(count))
        data.qpos[:], data.qvel[:] = joints[:positions], joints[positions:]
        seen = simulator._observe(simulator.env._get_obs(), {}, set(simulator.env.possible_agents))
        assert seen.state is not None
        shown.append(np.concatenate([seen.features["agents"].ravel(), np.ravel(seen.state)]))
        tables.append(_table(joints[None], positions)[0])
    alike = (np.stack(shown)[:, :, None] == np.stack(tables)[:, None]).all(0)
    assert alike.any(-1).all(), "an agent sees what is neither a joint nor a velocity"
    columns = alike.argmax(-1)
    size = simulator.spec.state
    return columns[:-size], columns[-size:]
