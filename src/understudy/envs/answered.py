"""A learned answer as an env: one group acts, whatever was learned from a log decides what follows.

``s_{t+1} = answer(s_t, a_t)``, with ``s`` as in `envs.logged`: one-hot sections, then continuous
values. Only the agent is in the spec, so that one may be trained against the other half of a log,
with any reward. Whether such a policy should be believed is for `diagnostics.exploits` to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from understudy.data.demonstrations import Demonstrations
from understudy.envs.actions import executed
from understudy.envs.logged import HORIZON, Logged, LoggedState
from understudy.types import Actions, Group, Observation, Spec, Step, World, require

Answer = Callable[[Float[Array, " obs"], Float[Array, " act"], Key[Array, ""]], Any]
"""``(now [obs], done [act], key) -> after [obs]``; a pytree, so that its weights are arrays."""
Paid = Callable[[Float[Array, " obs"], Float[Array, " act"], Float[Array, " obs"]], Any]
"""``(now, done, after) -> reward``, one number."""
Uncertainty = Callable[[Float[Array, " obs"], Float[Array, " act"]], Any]
"""``(now, done) -> uncertainty``, one number."""


class Answered(eqx.Module):
    """An env in which one agent acts and something learned answers.

    Args:
        spec: one group of one agent, and a horizon; episodes are truncated there.
        starts: states to begin in, ``[starts, obs]``; one is drawn at every reset.
        answer: what follows.
        reward: of every step.
        uncertainty: how little is known about what follows; in ``Step.info["uncertainty"]``.
        caution: what a unit of it costs.

    Raises:
        UserError: for a spec of other groups, without a horizon, starts of another size, or
            caution without uncertainty.
    """

    spec: Spec = eqx.field(static=True)
    starts: Float[Array, "starts obs"]
    answer: Answer
    reward: Paid
    uncertainty: Uncertainty | None = None
    caution: float = eqx.field(static=True, default=0.0)

    def __check_init__(self) -> None:
        group = _alone(self.spec)
        require(
            self.spec.horizon is not None and self.spec.horizon > 0,
            f"expected a horizon of at least 1 step, found {self.spec.horizon}",
        )
        require(
            self.starts.ndim == 2 and self.starts.shape[1] == group.observation,
            f"expected states of {group.observation} features to begin in, found an array of shape "
            f"{self.starts.shape}",
        )
        require(
            self.caution == 0.0 or self.uncertainty is not None,
            f"expected an uncertainty to be cautious about, found none; give one, or leave caution "
            f"{self.caution} out",
        )

    @classmethod
    def of(
        cls,
        simulator: Any,
        demonstrations: Demonstrations,
        *,
        reward: Paid,
        horizon: int = HORIZON,
        starts: Literal["first", "any"] = "first",
        caution: float = 0.0,
    ) -> Answered:
        """The agent's side of a log, answered by what was learned from it.

        Args:
            simulator: a world, such as `WorldModel.world` makes, or anything whose
                ``answer(now [rows, obs], done [rows, act], key)`` draws next states; what either
                says of its ``uncertainty`` is kept.
            demonstrations: the log, for states to begin in.
            reward: of every step.
            horizon: steps of an episode.
            starts: begin where a session begins, or in any state that somebody acted in.
            caution: what a unit of uncertainty costs.

        Raises:
            UserError: for a log or simulator of another form.
        """
        game = Logged.of(demonstrations, horizon=horizon, starts=starts)
        groups = tuple(group for group in game.spec.groups if not group.advances)
        spec = Spec(groups, horizon=horizon)
        name = _alone(spec).name
        if callable(getattr(simulator, "answer", None)):
            rows = _OfRows(simulator)
            knows = callable(getattr(simulator, "uncertainty", None))
            unsure = rows.uncertainty if knows else None
            return cls(spec, game.starts, rows, reward, unsure, caution)
        require(
            isinstance(simulator, World),
            f"expected a world, or something with answer(now, done, key), found "
            f"{type(simulator).__name__}; load one with load_world",
        )
        answer = _OfWorld(simulator, name)
        return cls(spec, game.starts, answer, reward, answer.uncertainty, caution)

    def reset(self, key: Key[Array, ""]) -> tuple[LoggedState, Observation]:
        """Draw a state."""
        state = LoggedState.drawn(self.starts, key)
        return state, self._observe(state)

    def step(
        self, state: LoggedState, action: Actions, key: Key[Array, ""]
    ) -> tuple[LoggedState, Step]:
        """Act, and see what is answered."""
        name = self.spec.groups[0].name
        played: Any = executed(self.spec, action)
        now, done = state.features, played[name][0]
        after = LoggedState(jnp.asarray(self.answer(now, done, key)), state.time + 1)
        reward, info = jnp.asarray(self.reward(now, done, after.features)), {}
        if self.uncertainty is not None:
            unsure = jnp.asarray(self.uncertainty(now, done))
            info = {"uncertainty": unsure, "earned": reward[None]}
            reward = reward - self.caution * unsure
        return after, Step(
            observation=self._observe(after),
            action=played,
            reward={name: reward[None]},
            terminated=jnp.asarray(False),
            truncated=after.time >= (self.spec.horizon or 0),
            info=info,
        )

    def _observe(self, state: LoggedState) -> Observation:
        name = self.spec.groups[0].name
        return Observation({name: state.features[None]}, {name: jnp.ones(1, bool)})


class _OfRows(eqx.Module):
    """Asks a simulator of many rows about one."""

    simulator: Any

    def __call__(
        self, now: Float[Array, " obs"], done: Float[Array, " act"], key: Key[Array, ""]
    ) -> Float[Array, " obs"]:
        return self.simulator.answer(now[None], done[None], key)[0]

    def uncertainty(
        self, now: Float[Array, " obs"], done: Float[Array, " act"]
    ) -> Float[Array, ""]:
        """What the simulator says of itself."""
        return self.simulator.uncertainty(now[None], done[None])[0]


class _OfWorld(eqx.Module):
    """Asks a world that looks back on one row."""

    world: World
    group: str = eqx.field(static=True)

    def __call__(
        self, now: Float[Array, " obs"], done: Float[Array, " act"], key: Key[Array, ""]
    ) -> Float[Array, " obs"]:
        return self._step(now, done, key)[0]

    def uncertainty(
        self, now: Float[Array, " obs"], done: Float[Array, " act"]
    ) -> Float[Array, ""]:
        """What the world says of itself; the draw of what follows is not looked at."""
        return self._step(now, done, jax.random.key(0))[1]

    def _step(self, now: Any, done: Any, key: Any) -> tuple[Any, Any]:
        past = Observation({self.group: now[None, None]}, {self.group: jnp.ones((1, 1), bool)})
        _, after, unsure = self.world.step(past, {self.group: done[None]}, key)
        return after.features[self.group][0], unsure


def _alone(spec: Spec) -> Group:
    """The only group, of one agent that acts.

    Raises:
        UserError: for a spec of others.
    """
    groups = spec.groups
    fits = len(groups) == 1 and groups[0].agents == 1 and groups[0].action is not None
    require(
        fits and not groups[0].advances and not groups[0].sees,
        f"expected one group of one agent that acts on the world, found "
        f"{[(g.name, g.agents) for g in groups]}",
    )
    return groups[0]
