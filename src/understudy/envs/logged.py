"""A log as a game: whoever plays its environment decides what comes next.

One group of the spec *advances* the state (`types.Group.advances`): its action, written as
features, is what everybody observes next, ``s_{t+1} = written(a_environment)``. The others act
before it. In sections of the state that never change it has one legal choice, what is now. Nothing
of the log but states to begin in is in the game, so two policies learned from it, one for each
side, are a simulator, and are trained and scored like any other team.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from understudy.data import store
from understudy.data.demonstrations import Demonstrations
from understudy.data.sessions import beginnings
from understudy.envs.actions import executed
from understudy.functional.written import written
from understudy.types import (
    Actions,
    Group,
    Observation,
    Rewards,
    Spec,
    Step,
    record,
    require,
)

HORIZON = 10
"""Steps of an episode, unless told otherwise."""

Reward = Callable[[Observation, Actions, Observation], Rewards]
"""``(observation, action, next observation) -> {group: [agents]}``."""


@record
class LoggedState:
    """What everybody observes, and since when."""

    features: Float[Array, " obs"]
    time: Int[Array, ""]

    @classmethod
    def drawn(cls, starts: Float[Array, "starts obs"], key: Key[Array, ""]) -> LoggedState:
        """One of `starts`, now."""
        number = jax.random.randint(key, (), 0, starts.shape[0])
        return cls(starts[number], jnp.zeros((), jnp.int32))


class Logged(eqx.Module):
    """A game in which one group decides the next state.

    Args:
        spec: groups, one of which advances the state, and a horizon; episodes are truncated there.
        starts: states to begin in, ``[starts, obs]``; one is drawn at every reset.
        reward: of every step; nothing is paid without.

    Raises:
        UserError: for a spec without such a group or horizon, or starts of another size.
    """

    spec: Spec = eqx.field(static=True)
    starts: Float[Array, "starts obs"]
    reward: Reward | None = None

    def __check_init__(self) -> None:
        world = self.spec.world
        require(
            self.spec.horizon is not None and self.spec.horizon > 0,
            f"expected a horizon of at least 1 step, found {self.spec.horizon}",
        )
        require(
            self.starts.ndim == 2 and self.starts.shape[1] == world.observation,
            f"expected states of {world.observation} features to begin in, found an array of shape "
            f"{self.starts.shape}",
        )

    @classmethod
    def of(
        cls,
        demonstrations: Demonstrations,
        *,
        horizon: int = HORIZON,
        starts: Literal["first", "any"] = "first",
        reward: Reward | None = None,
    ) -> Logged:
        """The game that a log shows.

        Args:
            demonstrations: with a group that advances the state.
            horizon: steps of an episode.
            starts: begin where a session begins, or in any state that somebody acted in.
            reward: of every step.

        Raises:
            UserError: for demonstrations without such a group.
        """
        world = demonstrations.spec.world
        rows = beginnings(demonstrations, starts)
        states = np.asarray(demonstrations.features[world.name][rows, 0])
        spec = Spec(demonstrations.spec.groups, horizon=horizon)
        return cls(spec, jnp.asarray(states), reward)

    @classmethod
    def load(
        cls, demos: str, horizon: int = HORIZON, starts: Literal["first", "any"] = "first"
    ) -> Logged:
        """The game of demonstrations on disk: ``"logged:demos=DIR,horizon=20"``."""
        return cls.of(store.load(Path(demos)), horizon=horizon, starts=starts)

    def reset(self, key: Key[Array, ""]) -> tuple[LoggedState, Observation]:
        """Draw a state."""
        state = LoggedState.drawn(self.starts, key)
        return state, self._observe(state)

    def step(
        self, state: LoggedState, action: Actions, key: Key[Array, ""]
    ) -> tuple[LoggedState, Step]:
        """What the environment decided comes next."""
        world = self.spec.world
        assert world.action is not None
        done: Any = executed(self.spec, action)
        done[world.name] = _kept(world, done[world.name], state.features)
        after = LoggedState(written(world.action, done[world.name])[0], state.time + 1)
        before, now = self._observe(state), self._observe(after)
        if self.reward is None:
            reward = {group.name: jnp.zeros(group.agents) for group in self.spec.groups}
        else:
            reward = self.reward(before, done, now)
        return after, Step(
            observation=now,
            action=done,
            reward=reward,
            terminated=jnp.asarray(False),
            truncated=after.time >= (self.spec.horizon or 0),
        )

    def _observe(self, state: LoggedState) -> Observation:
        features = {
            group.name: jnp.broadcast_to(state.features, (group.agents, group.observation))
            for group in self.spec.groups
        }
        alive = {group.name: jnp.ones(group.agents, bool) for group in self.spec.groups}
        world = self.spec.world
        if not world.constant:
            return Observation(features, alive)
        legal = {
            group.name: jnp.ones((group.agents, group.action.choices), bool)
            for group in self.spec.groups
            if group.action is not None
        }
        return Observation(
            features, alive, {**legal, world.name: world.stays_legal(features[world.name])}
        )


def _kept(world: Group, action: Any, now: Float[Array, " obs"]) -> Any:
    """The action with what never changes as it is now."""
    assert world.action is not None
    ends = np.cumsum(world.action.sections)
    for section in world.constant:
        choices = now[ends[section] - world.action.sections[section] : ends[section]]
        action = action.at[:, section].set(jnp.argmax(choices).astype(action.dtype))
    return action
