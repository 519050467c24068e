"""What leaving a log costs: rewards that shrink where an action is unlike all that was logged.

A simulator knows nothing about actions that nobody took. Inside it such actions may pay anything,
and a policy that is trained there finds them. With r the reward, w the worst reward to expect and
x ≥ 0 how far an action is outside,

    r' = w + (r - w) / cost(x)  where r > w,    r' = w - (w - r) · (1 + rate · x)  elsewhere,

with ``cost(x) = 1 + rate · x`` of the action's norm beyond a usual one (`NormPenalty`, after the
action norm constraint of Shi et al., "Virtual-Taobao", AAAI 2019, arXiv 1805.10000), or
``cost(x) = exp(rate · x)`` of its distance from logged actions (`SupportPenalty`), which no reward
that grows like a polynomial outgrows. Ours: quantiles of the log decide what is usual, the worst
reward may be other than 0, and what is below it grows, so that leaving never pays.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from understudy.data.demonstrations import Demonstrations
from understudy.envs.support import Support, acting
from understudy.envs.wrappers import Wrapper
from understudy.types import Actions, Env, Observation, Spec, Step, require

USUAL = 0.9
"""Share of the logged actions that cost nothing."""


class _Penalty(eqx.Module, Wrapper):
    """An env that pays less where actions are unlike a log."""

    env: Env
    support: Support
    limit: Float[Array, ""]
    """Up to which actions cost nothing."""
    group: str = eqx.field(static=True)
    rate: float = eqx.field(static=True)
    worst: float = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        env: Env,
        demonstrations: Demonstrations,
        *,
        rate: float = 20.0,
        usual: float = USUAL,
        worst: float = 0.0,
    ) -> Any:
        """Let logged actions decide what is usual.

        Args:
            env: whose rewards shrink.
            demonstrations: the log that the env was learned from.
            rate: per limit: twice as far as usual actions go, an action pays 1 / (1 + rate), or
                exp(-rate), of what it did.
            usual: share of the logged actions that cost nothing.
            worst: reward that all others shrink to; the least one where rewards are negative.

        Raises:
            UserError: for a share or a rate out of range, or a log of another group or action.
        """
        require(rate > 0, f"expected a rate above 0, found {rate}; leave the penalty out")
        require(0 < usual <= 1, f"expected a share of usual actions within 0 and 1, found {usual}")
        support, name = Support.of(demonstrations), acting(demonstrations)
        require(
            env.spec[name].action == support.action,
            f"expected a log of the actions of this env, {env.spec[name].action}, found "
            f"{support.action}",
        )
        return cls(env, support, cls._limit(support, usual), name, rate, worst)

    @staticmethod
    def _limit(support: Support, usual: float) -> Float[Array, ""]:
        raise NotImplementedError

    def outside(self, action: Float[Array, "*lead act"]) -> Float[Array, "*lead"]:
        """How far beyond the limit an action is, in limits; 0 within."""
        raise NotImplementedError

    def _cost(self, outside: Float[Array, "*lead"]) -> Float[Array, "*lead"]:
        raise NotImplementedError

    @property
    def spec(self) -> Spec:
        """That of the inner env."""
        return self.env.spec

    def reset(self, key: Key[Array, ""]) -> tuple[Any, Observation]:
        """Reset the inner env."""
        return self.env.reset(key)

    def step(self, state: Any, action: Actions, key: Key[Array, ""]) -> tuple[Any, Step]:
        """Step, and pay less outside; ``info`` keeps what was earned before and how far it was."""
        state, step = self.env.step(state, action, key)
        reward = step.reward[self.group]
        outside = self.outside(step.action[self.group])
        above, below = jnp.maximum(reward - self.worst, 0.0), jnp.maximum(self.worst - reward, 0.0)
        paid = self.worst + above / self._cost(outside) - below * (1.0 + self.rate * outside)
        info = {"earned": reward, **step.info, "outside": outside}
        return state, dataclasses.replace(step, reward={**step.reward, self.group: paid}, info=info)


class NormPenalty(_Penalty):
    """Divides rewards by one plus the norm beyond what is usual; see above and `NormPenalty.of`."""

    @staticmethod
    def _limit(support: Support, usual: float) -> Float[Array, ""]:
        return support.norm_at(usual)

    def outside(self, action: Float[Array, "*lead act"]) -> Float[Array, "*lead"]:
        """Norm beyond the limit, in limits."""
        return _beyond(self.support.norm(action), self.limit)

    def _cost(self, outside: Float[Array, "*lead"]) -> Float[Array, "*lead"]:
        return 1.0 + self.rate * outside


class SupportPenalty(_Penalty):
    """Divides rewards by what grows exponentially with the distance from logged actions."""

    @staticmethod
    def _limit(support: Support, usual: float) -> Float[Array, ""]:
        return support.distance_at(usual)

    def outside(self, action: Float[Array, "*lead act"]) -> Float[Array, "*lead"]:
        """Distance beyond the limit, in limits."""
        return _beyond(self.support.distance(action), self.limit)

    def _cost(self, outside: Float[Array, "*lead"]) -> Float[Array, "*lead"]:
        return jnp.exp(jnp.minimum(self.rate * outside, 80.0))  # e^80 is still a float32


def _beyond(value: Float[Array, "*lead"], limit: Float[Array, ""]) -> Float[Array, "*lead"]:
    """In limits; a log whose usual action is exactly one has a limit of 0."""
    return jnp.maximum(value - limit, 0.0) / jnp.maximum(limit, 1e-6)
