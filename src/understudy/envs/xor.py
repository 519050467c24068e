"""One step in which the agents have to differ: the smallest game of joint behaviour.

Every agent chooses 0 or 1 and sees nothing. The team earns 1 if the number of ones is odd, so two
agents have to differ. An expert draws one of the joint actions that win, all alike: each agent by
itself, and any of them but one, looks like a coin, so only who sees all agents at once can tell an
expert from chance.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from understudy.envs.actions import executed
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

COIN = ActionSpec(sections=(2,))


@record
class XorState:
    """Whether it is over."""

    time: Int[Array, ""]


@hyperparameters
class Xor:
    """A game of one step; see the top of the file."""

    agents: int = 2
    """How many, 2 or more."""

    def __post_init__(self) -> None:
        require(self.agents >= 2, f"expected at least 2 agents, found {self.agents}")

    @property
    def spec(self) -> Spec:
        """One group, a constant to see, two choices, one step."""
        group = Group("agents", self.agents, 1, COIN, features=("constant",))
        return Spec((group,), horizon=1)

    def reset(self, key: Key[Array, ""]) -> tuple[XorState, Observation]:
        """Begin; every beginning is the same."""
        return XorState(jnp.zeros((), jnp.int32)), self._observe()

    def step(self, state: XorState, action: Actions, key: Key[Array, ""]) -> tuple[XorState, Step]:
        """Pay what the joint action is worth; after the end, nothing."""
        played = executed(self.spec, action)
        won = (jnp.sum(played["agents"]) % 2 == 1) & (state.time == 0)
        reward = jnp.full(self.agents, won.astype(jnp.float32))
        step = Step(
            observation=self._observe(),
            action=played,
            reward={"agents": reward},
            terminated=jnp.asarray(True),
            truncated=jnp.asarray(False),
            info={"success": won},
        )
        return XorState(state.time + 1), step

    def _observe(self) -> Observation:
        return Observation(
            {"agents": jnp.ones((self.agents, 1))}, {"agents": jnp.ones(self.agents, bool)}
        )
