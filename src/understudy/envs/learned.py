"""A learned world as an env: what was learned from logs becomes something to act in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from understudy import tree
from understudy.envs.actions import executed
from understudy.types import Actions, Observation, Rewards, Spec, Step, World, record, require


@record
class LearnedState:
    """What the world has seen, and for how long."""

    past: Observation
    """Rows the world looks back on, time first."""
    time: Int[Array, ""]


class Learned(eqx.Module):
    """An env that plays on inside a world model.

    Args:
        world: predicts the next observation from past rows and an action.
        reward: ``(observation, action, next observation) -> {group: [agents]}``.
        spec: groups and horizon; an episode is truncated at the horizon.
        starts: pasts to begin from, ``[starts, time, ...]``; one is drawn at every reset.

    The world's uncertainty is in ``Step.info["uncertainty"]``.
    """

    world: World
    reward: Callable[[Observation, Actions, Observation], Rewards]
    spec: Spec = eqx.field(static=True)
    starts: Observation

    def __check_init__(self) -> None:
        """Raise `UserError` for a spec without a horizon."""
        require(
            self.spec.horizon is not None,
            "expected a spec with a horizon for a learned env, found none; a world never ends",
        )

    def reset(self, key: Key[Array, ""]) -> tuple[LearnedState, Observation]:
        """Draw a past."""
        total = jax.tree.leaves(self.starts)[0].shape[0]
        past = tree.index(self.starts, jax.random.randint(key, (), 0, total))
        return LearnedState(past, jnp.zeros((), jnp.int32)), tree.index(past, -1)

    def step(
        self, state: LearnedState, action: Actions, key: Key[Array, ""]
    ) -> tuple[LearnedState, Step]:
        """Ask the world what happens."""
        done: Any = executed(self.spec, action)
        past, observation, uncertainty = self.world.step(state.past, done, key)
        time = state.time + 1
        before = tree.index(state.past, -1)
        step = Step(
            observation=observation,
            action=done,
            reward=self.reward(before, done, observation),
            terminated=jnp.asarray(False),
            truncated=time >= (self.spec.horizon or 0),
            info={"uncertainty": uncertainty},
        )
        return LearnedState(past, time), step
