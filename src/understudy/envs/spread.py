"""Spread: a team covers landmarks and keeps out of each other's way.

Every agent is paid for the distance from each landmark to the nearest agent and for touching
nobody. Four published games of this name differ in details; `Spread` is all of them by its fields,
and has a constructor for each:

===========  ==========================================  ============  ========  ==========
constructor  reward of every agent                       self counted  moves     steps
===========  ==========================================  ============  ========  ==========
`Spread`     (1 - r) cover + r own touches, r = 0.5      no            old v     25
`openai`     sum over agents of cover + touches          yes           new v     25
`magail`     the same, touches graded by their depth     yes           new v     50 or done
`goodai`     as `openai`, local observations             yes           new v     100
===========  ==========================================  ============  ========  ==========

Sources: `Spread` follows mpe2 1.1.1 (PettingZoo's simple_spread); `openai` Lowe et al., Multi-Agent
Actor-Critic for Mixed Cooperative-Competitive Environments (arXiv 1706.02275); `magail` Song et
al., Multi-Agent Generative Adversarial Imitation Learning (arXiv 1807.09936), the authors' changed
game; `goodai` the cooperative navigation of badger-2019, after Jiang and Lu (arXiv 1805.07733).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from understudy.envs import cells, particles
from understudy.envs.cells import Cells, Everyone
from understudy.envs.scenes import THING, Scene, discs
from understudy.types import (
    Actions,
    Entities,
    Group,
    Observation,
    Spec,
    Step,
    hyperparameters,
    record,
    require,
)

AGENT_RADIUS, LANDMARK_RADIUS = 0.15, 0.05
COVERED = 0.1
"""A landmark is covered by an agent nearer than this."""
WORDS = 2
"""Width of the silent messages that the 2017 observation holds."""


@record
class SpreadState:
    """Where everything is; axes of envs may follow."""

    positions: Float[Array, "agents 2 *envs"]
    velocities: Float[Array, "agents 2 *envs"]
    landmarks: Float[Array, "landmarks 2 *envs"]
    time: Int[Array, "*envs"]


@hyperparameters
class Spread:
    """Cooperative navigation; the defaults are the rules of mpe2."""

    agents: int = 3
    landmarks: int | None = None
    """As many as agents if left out."""
    action: Literal["discrete", "boxes", "plane"] = "discrete"
    """Five choices (nothing, left, right, down, up), an amount in [0, 1] of each, or a direction
    in [-1, 1]²."""
    horizon: int = 25
    """Steps of an episode."""
    reward: Literal["mixed", "summed"] = "mixed"
    """The team's cover mixed with an agent's own touches, or the sum of what all agents earn."""
    local_ratio: float = 0.5
    """Share of an agent's own touches where the reward is mixed."""
    touches: Literal["count", "graded"] = "count"
    """A touch costs 1, or the depth of the overlap."""
    touches_itself: bool = False
    """An agent counts as touching itself: a constant cost."""
    velocity_first: bool = False
    """Positions follow the new velocities, not the old ones."""
    observes: tuple[str, ...] = ("velocity", "position", "landmarks", "others", "messages")
    """Parts of the observation, in order, of `PARTS`."""
    near_agents: int | None = None
    """Sees so many of the others, nearest first by L1 distance; all in their order if left out."""
    near_landmarks: int | None = None
    """Sees so many of the landmarks, nearest first by L1 distance; all if left out."""
    from_others: bool = False
    """Relative positions point from the other to the agent itself, not to the other."""
    right_first: bool = False
    """Choices are nothing, right, left, up, down, as in the programs of 2017 and 2018."""
    density: float | None = None
    """The world grows with the team: its half-size is ``sqrt(agents / density)``, or 1."""
    force: float = 5.0
    """Of a full action."""
    ends_when_covered: bool = False
    """The episode terminates when all landmarks are covered."""

    figures: ClassVar[dict[str, str]] = {"distance": "mean", "covered": "last", "touches": "mean"}
    """Of `info`, what evaluations report: its mean over the steps of an episode, or the last."""
    lanes: ClassVar[bool] = True
    """Arrays may carry an axis of envs after all others; see `rollout.advance`."""
    rate: ClassVar[float] = 1 / particles.DT
    """Steps per second (Hz)."""

    def __post_init__(self) -> None:
        """Raise `UserError` for fields that make no game."""
        landmarks = self.agents if self.landmarks is None else self.landmarks
        require(
            self.agents >= 1 and landmarks >= 1,
            f"expected at least one agent and one landmark, found {self.agents} and {landmarks}",
        )
        unknown = sorted(set(self.observes) - set(PARTS))
        require(not unknown, f"expected observations among {sorted(PARTS)}, found {unknown}")
        for count, name in ((self.near_agents, "agents"), (self.near_landmarks, "landmarks")):
            require(
                count is None or count >= 0,
                f"expected a number of {name} to see that is not negative, found {count}",
            )

    @classmethod
    def openai(cls, agents: int = 3, **changes: Any) -> Spread:
        """The game of 2017: rewards summed over agents, velocities first."""
        rules = {"reward": "summed", "touches_itself": True, "velocity_first": True}
        return cls(**{"agents": agents, **rules, "right_first": True, **changes})

    @classmethod
    def magail(cls, agents: int = 3, **changes: Any) -> Spread:
        """The game of MAGAIL: as `openai`, touches graded, own position unseen, 50 steps."""
        rules = {
            "touches": "graded",
            "horizon": 50,
            "ends_when_covered": True,
            "observes": ("velocity", "landmarks", "others", "messages"),
        }
        return cls.openai(agents, **{**rules, **changes})

    @classmethod
    def goodai(
        cls,
        agents: int = 4,
        *,
        near_agents: int = 3,
        near_landmarks: int = 4,
        velocities: bool = True,
        ids: bool = False,
        **changes: Any,
    ) -> Spread:
        """The game of badger-2019: local observations, a world that grows with the team.

        Args:
            agents: how many.
            near_agents: others seen.
            near_landmarks: landmarks seen.
            velocities: of the others are seen too.
            ids: numbers of the others seen are in the observation, as published; they tell agents
                apart and hinder transfer, so they are left out by default.
            changes: of other fields.
        """
        others = "moving_others" if velocities else "others"
        rules = {
            "action": "plane",
            "horizon": 100,
            "density": 4.0,
            "near_agents": near_agents,
            "near_landmarks": near_landmarks,
            "from_others": True,
            "right_first": False,
            "observes": ("velocity", others, "landmarks", *(("ids",) if ids else ())),
        }
        return cls.openai(agents, **{**rules, **changes})

    @property
    def spec(self) -> Spec:
        """One group, ``"agents"``; the state is all positions, velocities, then landmarks."""
        size, sets = 0, []
        for name in self.observes:
            width = PARTS[name][0](self)
            if name in SETS:
                sets.append(Entities(name, size, width // SETS[name], SETS[name]))
            size += width
        group = Group(
            "agents", self.agents, size, particles.ACTIONS[self.action], features=self._names(),
            sets=tuple(sets),
        )  # fmt: skip
        return Spec((group,), state=4 * self.agents + 2 * self.targets, horizon=self.horizon)

    def _names(self) -> tuple[str, ...]:
        """Of the features; given only where some are numbers of others, which are read by name."""
        if "ids" not in self.observes:
            return ()
        return tuple(f"{name} {i}" for name in self.observes for i in range(PARTS[name][0](self)))

    @property
    def targets(self) -> int:
        """Number of landmarks."""
        return self.agents if self.landmarks is None else self.landmarks

    @property
    def half_size(self) -> Any:
        """Agents and landmarks start in ``[-half_size, half_size]²``."""
        return 1.0 if self.density is None else (self.agents / self.density) ** 0.5

    def reset(self, key: Key[Array, ""]) -> tuple[SpreadState, Observation]:
        """Scatter agents at rest, and landmarks."""
        places = particles.scatter(key, self.agents + self.targets, self.half_size)
        still = jnp.zeros_like(places[: self.agents])
        time = jnp.zeros((), jnp.int32)
        state = SpreadState(places[: self.agents], still, places[self.agents :], time)
        return state, self.observe(state)

    def step(
        self, state: SpreadState, action: Actions, key: Key[Array, ""]
    ) -> tuple[SpreadState, Step]:
        """Push, move, pay; nothing is left to chance."""
        spec = particles.ACTIONS[self.action]
        done = particles.executed(spec, action["agents"])
        push = particles.direction(spec, done, right_first=self.right_first)
        force = self.force * push + self._team(state).contact()
        positions, velocities = particles.move(
            state.positions, state.velocities, force, velocity_first=self.velocity_first
        )
        after = SpreadState(positions, velocities, state.landmarks, state.time + 1)
        team = self._team(after)
        reward, info = self._pay(after, team)
        truncated = after.time >= self.horizon
        covered = info["success"] if self.ends_when_covered else jnp.zeros_like(truncated)
        return after, Step(
            observation=self._observe(after, team),
            action={"agents": done},
            reward={"agents": reward},
            terminated=covered,
            truncated=truncated & ~covered,
            info=info,
        )

    def _team(self, state: SpreadState) -> Everyone | Cells:
        """Who finds neighbours among the agents."""
        return cells.among(state.positions, self._scattered, touch=2 * AGENT_RADIUS)

    @property
    def _scattered(self) -> Any:
        """Half-size of a world that is evenly peopled; None where nothing says so."""
        return None if self.density is None else self.half_size

    def _pay(
        self, state: SpreadState, team: Everyone | Cells
    ) -> tuple[Float[Array, "agents *envs"], dict[str, Array]]:
        """Reward of each agent, and how well the team stands.

        `info` holds ``success`` (all landmarks covered), ``covered`` (their share), ``distance``
        (mean over landmarks, to the nearest agent) and ``touches`` (others an agent overlaps with,
        mean over agents).
        """
        nearest = team.distance(state.landmarks)
        touches, depth = team.overlaps()
        graded = self.touches == "graded"
        itself = (2 * AGENT_RADIUS if graded else 1.0) if self.touches_itself else 0.0
        own = -((depth if graded else touches) + itself)
        cover = -particles.add(nearest, 0)
        if self.reward == "mixed":
            shared = jnp.broadcast_to(cover[None], own.shape)
            reward = (1.0 - self.local_ratio) * shared + self.local_ratio * own
        else:
            shared = self.agents * cover + particles.add(own, 0)
            reward = jnp.broadcast_to(shared[None], own.shape)
        covered = particles.add((nearest < COVERED).astype(own.dtype), 0)
        return reward, {
            "success": covered == self.targets,
            "covered": covered / self.targets,
            "distance": -cover / self.targets,
            "touches": particles.add(touches, 0) / self.agents,
        }

    def observe(self, state: SpreadState) -> Observation:
        """What each agent sees, and the global state."""
        return self._observe(state, self._team(state))

    def _observe(self, state: SpreadState, team: Everyone | Cells) -> Observation:
        numbers = None
        if self.near_agents is not None or "ids" in self.observes:
            numbers = team.nearest(state.positions, _seen(self), itself=True)
        parts = [PARTS[name][1](self, state, numbers) for name in self.observes]
        state_row = particles.joined(state.positions, state.velocities, state.landmarks)
        alive = jnp.ones((self.agents, *state.time.shape), bool)
        return Observation(
            {"agents": jnp.concatenate(parts, 1)}, {"agents": alive}, None, state_row
        )

    def scene(self, state: SpreadState) -> Scene:
        """Agents as one team, landmarks as things."""
        counts = np.array([self.agents, self.targets])
        return discs(
            jnp.concatenate([state.positions, state.landmarks]),
            jnp.asarray(np.repeat([AGENT_RADIUS, LANDMARK_RADIUS], counts), jnp.float32),
            jnp.asarray(np.repeat([0, THING], counts), jnp.int32),
            half_size=jnp.asarray(1.2 * self.half_size, jnp.float32),
        )


# --- parts of the observation ---

Near: TypeAlias = Int[Array, "agents near *envs"] | None
"""Numbers of the others seen, nearest first; None if all are seen in their order."""


def _others(
    env: Spread, state: SpreadState, numbers: Near, *, moving: bool
) -> Float[Array, "agents seen *envs"]:
    """Relative positions of the others seen, each after its velocity if `moving`."""
    here = state.positions
    if env.near_agents is None or numbers is None:
        apart = particles.between(here, here)
        parts = [jnp.broadcast_to(state.velocities[None], apart.shape)] if moving else []
        return particles.flat(
            particles.without_self(jnp.concatenate([*parts, _signed(env, apart)], 2))
        )
    apart = _signed(env, particles.pick(here, numbers) - here[:, None])
    parts = [particles.pick(state.velocities, numbers)] if moving else []
    return particles.flat(_there(numbers, jnp.concatenate([*parts, apart], 2)))


def _landmarks(env: Spread, state: SpreadState, numbers: Near) -> Float[Array, "agents seen *envs"]:
    """Relative positions of the landmarks seen."""
    here, there = state.positions, state.landmarks
    if env.near_landmarks is None:
        return particles.flat(_signed(env, particles.between(here, there)))
    seen = cells.among(there, env._scattered).nearest(here, env.near_landmarks, itself=False)
    apart = _signed(env, particles.pick(there, seen) - here[:, None])
    return particles.flat(_there(seen, apart))


def _ids(
    env: Spread, state: SpreadState, numbers: Int[Array, "agents near *envs"]
) -> Float[Array, "agents near *envs"]:
    """Numbers of the others seen, 0 where there are no more."""
    return jnp.maximum(numbers, 0).astype(state.positions.dtype)


def _signed(env: Spread, apart: Array) -> Array:
    return -apart if env.from_others else apart


def _there(numbers: Int[Array, "agents seen *envs"], values: Array) -> Array:
    """0 for those who are not there."""
    return jnp.where(numbers[:, :, None] < 0, 0.0, values)


def _seen(env: Spread) -> int:
    return env.agents - 1 if env.near_agents is None else env.near_agents


PARTS: dict[str, tuple[Any, Any]] = {
    "velocity": (lambda env: 2, lambda env, state, numbers: state.velocities),
    "position": (lambda env: 2, lambda env, state, numbers: state.positions),
    "landmarks": (
        lambda env: 2 * (env.targets if env.near_landmarks is None else env.near_landmarks),
        _landmarks,
    ),
    "others": (
        lambda env: 2 * _seen(env),
        lambda env, state, numbers: _others(env, state, numbers, moving=False),
    ),
    "moving_others": (
        lambda env: 4 * _seen(env),
        lambda env, state, numbers: _others(env, state, numbers, moving=True),
    ),
    "messages": (
        lambda env: WORDS * (env.agents - 1),
        lambda env, state, numbers: jnp.zeros(
            (env.agents, WORDS * (env.agents - 1), *state.time.shape), state.positions.dtype
        ),
    ),
    "ids": (_seen, _ids),
}
"""Part of an observation -> its size, and its values ``[agents, size, *envs]`` where others near
are `Near`."""
SETS = {"landmarks": 2, "others": 2, "moving_others": 4}
"""Parts that show things of one kind -> columns of each."""
