"""Agents that share out roles anew at every step, each role to one of them.

N agents, N roles, no role better than another: the team earns 1 in a step in which every role is
taken. All see when it is and what everybody took last, or only what they took themselves. An expert
draws a fresh assignment in every step, all N! alike: no observation tells what an agent will take,
yet what they take together is always an assignment. Who sees what everybody took can tell, a step
late, whether it was one.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from understudy.envs.actions import executed
from understudy.envs.scenes import THING, Scene
from understudy.types import (
    Actions,
    ActionSpec,
    Group,
    Observation,
    Spec,
    Step,
    hyperparameters,
    record,
    require,
)

SLOT = 0.2
"""Radius of a role in pictures; roles are 0.5 apart."""


@record
class RolesState:
    """What everybody took last, how long it went on, and whether every step was a success."""

    taken: Int[Array, " agents"]
    """Role of each agent; -1 before the first step."""
    time: Int[Array, ""]
    covered: Bool[Array, ""]
    """Every role was taken in every step so far."""


@hyperparameters
class Roles:
    """The game of roles; see the top of the file. It is a success if every step was one."""

    agents: int = 3
    """How many agents and roles, 2 or more."""
    horizon: int = 10
    """Steps."""
    shows: Literal["everybody", "own"] = "everybody"
    """Whose last role an agent sees."""
    graded: bool = False
    """Pay the share of roles taken beyond the first, not 1 for all of them and 0 for less."""

    def __post_init__(self) -> None:
        require(self.agents >= 2, f"expected at least 2 agents, found {self.agents}")
        require(self.horizon >= 1, f"expected at least one step, found {self.horizon}")

    @property
    def spec(self) -> Spec:
        """One group; features: share of the time gone, and the role each agent took last as a
        one-hot row, the observing agent's own first and the others, if seen, in order after it."""
        count = self.agents
        action = ActionSpec(sections=(count,))
        names = tuple(f"agent+{i} role {j}" for i in range(self._seen) for j in range(count))
        group = Group("agents", count, 1 + len(names), action, features=("time", *names))
        return Spec((group,), state=1 + count * count, horizon=self.horizon)

    @property
    def _seen(self) -> int:
        """Agents whose last role one of them sees."""
        return self.agents if self.shows == "everybody" else 1

    def reset(self, key: Key[Array, ""]) -> tuple[RolesState, Observation]:
        """Begin with no role taken."""
        taken = jnp.full(self.agents, -1, jnp.int32)
        state = RolesState(taken, jnp.zeros((), jnp.int32), jnp.asarray(True))
        return state, self._observe(state)

    def step(
        self, state: RolesState, action: Actions, key: Key[Array, ""]
    ) -> tuple[RolesState, Step]:
        """Pay for the roles taken."""
        played = executed(self.spec, action)
        taken = played["agents"][:, 0].astype(jnp.int32)
        roles = jnp.any(jax.nn.one_hot(taken, self.agents) > 0, 0).sum()
        all_taken = roles == self.agents
        share = (roles - 1).astype(jnp.float32) / (self.agents - 1)
        paid = share if self.graded else all_taken.astype(jnp.float32)
        state = RolesState(taken, state.time + 1, state.covered & all_taken)
        step = Step(
            observation=self._observe(state),
            action=played,
            reward={"agents": jnp.full(self.agents, paid)},
            terminated=jnp.asarray(False),
            truncated=state.time >= self.horizon,
            info={"success": state.covered & (state.time == self.horizon)},
        )
        return state, step

    def scene(self, state: RolesState) -> Scene:
        """Roles in a row, and each agent on the role it took last, one above the other."""
        count = self.agents
        place = 0.5 * (jnp.arange(count, dtype=jnp.float32) - 0.5 * (count - 1))
        slots = jnp.stack([place, jnp.full(count, -0.5)], -1)
        column = place[jnp.maximum(state.taken, 0)]
        row = 0.5 * jnp.arange(count, dtype=jnp.float32)
        return Scene(
            centres=jnp.concatenate([slots, jnp.stack([column, row], -1)]),
            radii=jnp.full(2 * count, SLOT),
            teams=jnp.concatenate([jnp.full(count, THING), jnp.arange(count)]).astype(jnp.int32),
            strength=jnp.concatenate(
                [jnp.full(count, 0.5), (state.taken >= 0).astype(jnp.float32)]
            ),
            lines=jnp.zeros((0, 2, 2)),
            half_size=jnp.asarray(0.5 * count + 0.5),
        )

    def _observe(self, state: RolesState) -> Observation:
        count = self.agents
        time = jnp.minimum(state.time, self.horizon).astype(jnp.float32) / self.horizon
        # a role of -1 is a row of zeros
        rows: Float[Array, "agents roles"] = jax.nn.one_hot(state.taken, count)
        others = (jnp.arange(count)[:, None] + jnp.arange(self._seen)[None]) % count
        seen = rows[others].reshape(count, self._seen * count)
        features = jnp.concatenate([jnp.full((count, 1), time), seen], -1)
        return Observation(
            {"agents": features},
            {"agents": jnp.ones(count, bool)},
            state=jnp.concatenate([time[None], rows.reshape(-1)]),
        )
