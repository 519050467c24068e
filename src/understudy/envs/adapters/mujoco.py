"""MaMuJoCo: robots whose joints are agents (extra ``mujoco``).

The games are those of gymnasium-robotics (``mamujoco_v1``): several agents move one robot, are paid
the same, and see their own joints and those at most `agent_obsk` joints away. Observations of
unequal size (the ends of a cheetah have one neighbour, the middle two) are filled up with zeros at
the end, so that all agents stay one group.

Source: Peng et al., FACMAC (2021), Multi-Agent MuJoCo, as maintained in gymnasium-robotics.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from understudy.envs.adapters.foreign import package, quiet
from understudy.envs.adapters.pettingzoo import Parallel
from understudy.envs.adapters.robots import ROBOTS, Robots
from understudy.envs.host import Batched
from understudy.types import HostEnv, Observation, Spec, Step, UserError, hyperparameters, require

HORIZON = 1000
"""Control steps after which gymnasium truncates an episode of every robot."""


@hyperparameters
class MaMuJoCo:
    """Many copies of one robot, moved by several agents.

    The default is HalfCheetah 6x1: six agents with one joint each, 7 features (own angle and
    velocity, and the root's height, pitch and three velocities), a state of 17, actions in
    [-1, 1], and the forward velocity minus 0.1 times the squared actions as everybody's reward.
    """

    scenario: str = "HalfCheetah"
    """Such as ``HalfCheetah``, ``Hopper``, ``Walker2d``, ``Swimmer``, ``Ant``, ``Humanoid``."""
    agent_conf: str = "6x1"
    """How joints are shared out among agents, in MaMuJoCo's words: ``2x3``, ``4x2``, ``9|8``."""
    agent_obsk: int = 0
    """How many joints away an agent sees; 1 gives HalfCheetah 6x1 up to 9 features."""
    agent_ids: bool = False
    """Append to each observation who the agent is, as one-hot."""
    envs: int = 16
    """How many games side by side; a multiple of the seeds in training."""
    engine: Literal["rollout", "loop", "processes"] = "rollout"
    """``"rollout"`` steps all games at once in MuJoCo's own threads (HalfCheetah, Hopper, Swimmer,
    Walker2d); the others run gymnasium-robotics' env game by game, or in worker processes."""
    workers: int | None = None
    """Threads or processes; as many as cores if None."""

    def __post_init__(self) -> None:
        engines = ("rollout", "loop", "processes")
        require(self.engine in engines, f"expected engine= one of {engines}, found {self.engine!r}")
        require(self.envs > 0, f"expected at least one env, found {self.envs}")
        require(self.agent_obsk >= 0, f"expected agent_obsk of 0 or more, found {self.agent_obsk}")
        require(
            self.engine != "rollout" or self.scenario in ROBOTS,
            f'expected one of {sorted(ROBOTS)} for engine="rollout", found {self.scenario!r}; give '
            'engine="processes" or engine="loop"',
        )

    @property
    def spec(self) -> Spec:
        """One group of all agents, unless some have more joints than others."""
        return self.games.spec

    @functools.cached_property
    def games(self) -> HostEnv:
        """What plays, built when first asked for."""
        make = functools.partial(
            scalar, self.scenario, self.agent_conf, self.agent_obsk, self.agent_ids
        )
        if self.engine == "rollout":
            threads = self.workers or os.cpu_count() or 1
            return Robots(make(), self.scenario, envs=self.envs, threads=threads)
        return Batched(make, envs=self.envs, by=self.engine, workers=self.workers)

    def reset(self, seeds: np.ndarray, where: np.ndarray | None = None) -> Observation:
        """Begin anew where `where` holds (everywhere if None); return every observation."""
        return self.games.reset(seeds, where)

    def step(self, actions: Mapping[str, np.ndarray]) -> Step:
        """Move every robot for one control step."""
        return self.games.step(actions)

    def close(self) -> None:
        """End what plays; a later call begins it again."""
        games = self.__dict__.pop("games", None)
        if games is not None:
            games.close()


def half_cheetah(**options: Any) -> MaMuJoCo:
    """HalfCheetah 6x1, the cheetah of which every joint is an agent."""
    return MaMuJoCo(scenario="HalfCheetah", agent_conf="6x1", **options)


def scalar(scenario: str, agent_conf: str, agent_obsk: int, agent_ids: bool) -> Parallel:
    """One game of gymnasium-robotics as a `Simulator`.

    Raises:
        UserError: for a scenario or a factorisation that is not known.
    """
    make = functools.partial(_parallel_env, scenario, agent_conf, agent_obsk)
    return Parallel(make, horizon=HORIZON, pad=True, agent_ids=agent_ids)


def _parallel_env(scenario: str, agent_conf: str, agent_obsk: int) -> Any:
    """Gymnasium-robotics' env, without the warning MuJoCo prints and logs about its model."""
    module = package("gymnasium_robotics.envs.multiagent_mujoco.mujoco_multi")
    mujoco = package("mujoco")
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(_ignore)
    try:
        with quiet():
            return module.MultiAgentMujocoEnv(scenario, agent_conf, agent_obsk=agent_obsk)
    except Exception as error:  # it raises bare ones for names it does not know
        raise UserError(
            f"expected a scenario and agent_conf of MaMuJoCo, found {scenario!r} and "
            f"{agent_conf!r}: {error or type(error).__name__}"
        ) from error
    finally:
        mujoco.set_mju_user_warning(before)


def _ignore(text: str) -> None:
    """Say nothing."""
