"""A synthetic platform and its users, whose policies are known: recovery is measured exactly.

The platform makes an offer, at some discount and with some pressure; the user answers with the
whole next state (`types.Group.advances`): the hour, the page, whether something was bought, the
mood, what was paid, fatigue and interest. Six segments of users react to offers, hours and
discounts in their own ways. A step earns what was paid in it. ::

    truth = env.truth()
    log = us.collect(env, truth, episodes=5000)             # 50,000 transitions
    truth.user(now, done).probabilities                     # what a learner should have found
    us.collect(env, env.truth(shift=1.0), episodes=5000)    # the same users, another platform

``truth(exploit=True)`` has users with one weakness that no log shows, for tests of whoever looks
for such; see `understudy.envs.planted`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Key

from understudy.envs.logged import HORIZON, Logged, LoggedState
from understudy.envs.planted import SCHEMA, SPEND, STATE, Truth, start
from understudy.types import Actions, Observation, Spec, Step, hyperparameters, require


@hyperparameters
class Market:
    """The planted market; see the top of the file."""

    horizon: int = HORIZON
    """Steps of a session."""

    def __post_init__(self) -> None:
        require(self.horizon >= 1, f"expected at least one step, found {self.horizon}")

    @property
    def spec(self) -> Spec:
        """The platform, then the user, who sees what it did and decides what comes next."""
        return dataclasses.replace(SCHEMA.spec, horizon=self.horizon)

    def truth(self, *, shift: float = 0.0, exploit: bool = False) -> Truth:
        """The policy of both sides, with its probabilities in closed form.

        It acts for a side only where nobody decided for it, so `envs.assign` puts it beside a
        policy that was learned for the other.

        Args:
            shift: of the platform away from the one that writes the log, in deviations of its
                discount; its offers move too, its pressure does not.
            exploit: plant one in the user.

        Raises:
            UserError: for a shift that is not a number.
        """
        require(math.isfinite(shift), f"expected a finite shift, found {shift}")
        return Truth(jnp.asarray(shift, jnp.float32), exploit)

    def reset(self, key: Key[Array, ""]) -> tuple[LoggedState, Observation]:
        """Draw a user and an hour."""
        return self._game(start(key)[None]).reset(key)

    def step(
        self, state: LoggedState, action: Actions, key: Key[Array, ""]
    ) -> tuple[LoggedState, Step]:
        """What the user decided comes next."""
        return self._game(jnp.zeros((1, STATE.size))).step(state, action, key)

    def _game(self, starts: Any) -> Logged:
        return Logged(self.spec, starts, _paid)


def _paid(before: Observation, action: Actions, after: Observation) -> Any:
    """What was paid, to both."""
    return {name: features[:, SPEND] for name, features in after.features.items()}
