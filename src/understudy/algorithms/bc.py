"""Behaviour cloning: make what was recorded likely, and nothing else.

The policy raises the log-probability of recorded actions,

    L = -mean log π(a_k | what agent k is told)

over the rows in which agent k is alive and its action is known. The network decides what an agent
is told, and with it which teams can be cloned:

- `ActorCritic`: what the agent observes (with ``sharing="joint"``, what all observe); actions are
  independent of each other, ``π(a | o) = Π_k π(a_k | o_k)``.
- `Transformer`: what all agents observe and the actions of those before it,
  ``π(a | o) = Π_k π(a_k | o, a_1 ... a_{k-1})``, which is any joint distribution.

Nothing tells the policy what to do where no expert has been: its errors lead it there, and can
grow with the square of the horizon.

Source: Pomerleau, "Efficient Training of Artificial Neural Networks for Autonomous Navigation",
Neural Computation, 1991; errors: Ross and Bagnell, "Efficient Reductions for Imitation Learning",
AISTATS 2010; weights that decay: Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
ICLR 2019.
Deviations: actions clipped to their bounds are scored as clipped; the action of an agent that acts
after one whose action is not known is not learned from, as nobody knows what it was told.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
from jaxtyping import Array, Int, Key

from understudy.networks import cloning, descent
from understudy.networks.actor_critic import ActorCritic
from understudy.networks.policy import NetworkPolicy
from understudy.types import (
    Batch,
    Metrics,
    Mode,
    Spec,
    Statistics,
    hyperparameters,
    record,
    require,
)


@record
class State:
    """All that training goes on from."""

    params: Any
    """The network, without critics."""
    optimiser: Any


@hyperparameters
class BC:
    """Hyper-parameters of behaviour cloning."""

    network: Any = dataclasses.field(default_factory=ActorCritic)
    """`ActorCritic` or `Transformer`; of the first the actors are learned."""
    window: int = 1
    """Rows in a row; a network with memory starts it at the first of them."""
    batch: int = 512
    """Windows per update."""
    learning_rate: float = 1e-3
    """Adam's step size at the beginning."""
    decay: int = 0
    """Updates over which the step size falls to 0 along a line; 0 keeps it."""
    weight_decay: float = 0.0
    """Share of every weight (of no bias) that an update takes away, times the step size."""
    gradient_clip: float = 10.0
    """Largest global norm of the gradient."""

    title: ClassVar[str] = "BC"
    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})
    presence: ClassVar[str] = "every"
    steps: ClassVar[int] = 5_000
    """Updates, if nobody says how long to train."""
    TINY: ClassVar[dict[str, Any]] = {"batch": 4}
    """Arguments of the smallest useful size, for tests."""

    def __post_init__(self) -> None:
        for name in ("window", "batch"):
            value = getattr(self, name)
            require(value > 0, f"expected {name} above 0, found {value}")
        require(
            self.window > 1 or not getattr(self.network, "recurrent", 0),
            f"expected windows of more than one row for a network with memory, found "
            f"window={self.window}; give a longer window or recurrent=0",
        )

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> State:
        """Fresh weights.

        Raises:
            UserError: for a group that cannot act.
        """
        params = self.network.init(spec, key).acting()
        return State(params, descent.start(params))

    def update(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """One step on one batch of windows."""
        assert batch.demonstrations is not None
        (loss, metrics), gradient = jax.value_and_grad(cloning.loss, has_aux=True)(
            state.params, batch.demonstrations
        )
        rate = descent.linear(self.learning_rate, step, decay=self.decay)
        params, optimiser, norm = descent.descend(
            state.params, gradient, state.optimiser, rate=rate, clip=self.gradient_clip
        )
        params = descent.shrink(params, state.params, rate * self.weight_decay)
        return State(params, optimiser), {**metrics, "loss": loss, "gradient_norm": norm}

    def policy(self, state: State, mode: Mode = "sample") -> NetworkPolicy:
        """What acts; it has no critics to explore with, and samples instead."""
        return NetworkPolicy.of(state.params, "sample" if mode == "explore" else mode)
