"""Recurrent generators of positions: RNN-gauss, VRNN (joint, independent, mixed), VRAE.

Each step predicts a diagonal Gaussian over what every agent does next, given a GRU's memory h and,
with a latent, ``z``. Of a sequence x of T rows, frame 0 given, training maximises

    ELBO = Σ_t [ log p(x_{t+1} | z_≤t, x_≤t) - KL(q(z_t | x_≤t+1, z_<t) || p(z_t | x_≤t, z_<t)) ]

with one latent per step (VRNN); with one per sequence (VRAE) the KL is ``KL(q(z | x) || N(0, I))``,
and without one (RNN-gauss) there is none.

==============  ==================  ==================  ====================  ==============
latent          prior               encoder             decoder               GRU reads
==============  ==================  ==================  ====================  ==============
``none``        -                   -                   h (has read y_t)      y_t
``step``        y_t, h              u_{t+1}, y_t, h     y_t, z, h             u_{t+1}, z
``sequence``    N(0, I)             h_T                 z, h (has read y_t)   y_t
==============  ==================  ==================  ====================  ==============

y_t is the scene (all agents), u_{t+1} the target of the network: all agents' if `sharing` is
``"joint"``, one agent's if ``"independent"`` or ``"mixed"``; the mixed model has one GRU, which
reads (y_t, z of all agents).

Source: Zhan, Zheng, Yue, Sha, Lucey, "Generating Multi-Agent Trajectories using Programmatic Weak
Supervision", ICLR 2019 (arXiv 1803.07612), and the programs published with it; Chung et al. 2015;
Fabius and van Amersfoort 2015 (VRAE).
Deviations, each an argument: networks also see velocities and predict displacements
(``velocity=False, output="position"`` restores the published inputs and targets); one std floor;
Adam keeps its moments throughout; the gradient is clipped on the mean over the batch and not on
the sum; frame 0 is never counted; the entropy of the mutual-information term is that of a
Gaussian (the published program took the logarithm of std for that of the variance).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from understudy.networks import descent
from understudy.networks.frames import Frames, Output, time_first
from understudy.networks.generator import BurnIn, PlayGenerator
from understudy.networks.mlp import drawn
from understudy.networks.team import Sharing, Team, Terms
from understudy.networks.vrnn import Sizes
from understudy.types import (
    Batch,
    Metrics,
    Spec,
    Statistics,
    UserError,
    Window,
    hyperparameters,
    record,
    require,
)


@record
class State:
    """All that training goes on from."""

    params: Team
    optimiser: Any
    frames: Frames
    """Scales of the training split; constant."""


@hyperparameters
class RecurrentGenerator:
    """Hyper-parameters of a recurrent generator; the loss is nats per sequence, batch mean."""

    latent: Literal["none", "step", "sequence"] = "step"
    """No latent, one per step (VRNN), or one per sequence (VRAE)."""
    sharing: Sharing = "joint"
    """One network for all agents, one each, or one GRU with heads of each agent."""
    output: Output = "displacement"
    """What is predicted: the next position, the displacement, or the change of displacement.

    Changes reach the highest likelihood, but their errors add up to a drift of velocities.
    """
    velocity: bool = True
    """Networks see the last displacement of every agent beside its position."""
    latent_size: int = 16
    """Latent dimensions, per agent unless joint."""
    width: int = 64
    """Units of each of the two hidden layers of prior, encoder and decoder."""
    rnn: int = 64
    """Units of each GRU layer."""
    layers: int = 2
    """GRU layers."""
    learning_rate: float = 2e-3
    """Adam's step size at the beginning."""
    decay: int = 0
    """Updates over which the step size falls to a hundredth along a cosine; 0 keeps it."""
    clip: float = 100.0
    """Largest global norm of the gradient (of the batch mean)."""
    kl_weight: float = 1.0
    """Weight of the KL in the loss; bounds always count it once."""
    information: bool = False
    """VRAE with a mutual-information term between latent and sequence."""
    burn_in: BurnIn = "posterior"
    """Latents of rows that are given come from the encoder or from the prior."""
    window: int = 50
    """Rows per training window."""
    batch: int = 64
    """Windows per update."""
    group: str = ""
    """Group to model; the first of the spec if empty."""

    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})
    TINY: ClassVar[dict[str, Any]] = {
        "width": 4, "rnn": 4, "latent_size": 2, "window": 6, "batch": 2
    }  # fmt: skip
    """Arguments of the smallest useful size, for tests."""

    def __post_init__(self) -> None:
        require(
            self.window >= 2, f"expected windows of at least 2 rows, found {self.window}; ask for 2"
        )
        require(
            not self.information or self.latent == "sequence",
            f"the mutual-information term needs latent='sequence', found {self.latent!r}",
        )

    @property
    def title(self) -> str:
        """The name people know this wiring by: RNN-gauss, VRNN (joint) ..., VRAE."""
        if self.latent == "none":
            return "RNN-gauss"
        return "VRAE" if self.latent == "sequence" else f"VRNN ({self.sharing})"

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> State:
        """Fresh weights for the agents of `spec`.

        Raises:
            UserError: without statistics, which scale inputs and outputs.
        """
        if statistics is None:
            raise UserError("expected statistics of the training split, found none; give data")
        group = spec[self.group] if self.group else spec.groups[0]
        frames = Frames.of(statistics, group.name, velocity=self.velocity, output=self.output)
        sizes = Sizes(
            seen=frames.features * group.agents,
            target=group.observation,
            kind=self.latent,
            latent=self.latent_size,
            width=self.width,
            rnn=self.rnn,
            layers=self.layers,
            discriminator=self.information,
        )
        team = Team(sizes, sharing=self.sharing, agents=group.agents, features=group.observation)
        team = drawn(team, key)
        return State(team, descent.start(team), frames)

    def loss(
        self, team: Team, frames: Frames, window: Window, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], Terms]:
        """``mean over the batch of KL - reconstruction``, nats per sequence in data units."""
        positions, alive = time_first(window, frames.group)
        terms = team.teach(frames, positions, alive, None, key)
        loss = self.kl_weight * terms.kl - terms.reconstruction - terms.information
        return loss.mean(), terms

    def update(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """One step of Adam on one batch of windows."""
        assert batch.demonstrations is not None
        (loss, terms), gradient = jax.value_and_grad(self.loss, has_aux=True)(
            state.params, state.frames, batch.demonstrations, key
        )
        rate = descent.cosine(self.learning_rate, step, decay=self.decay)
        params, optimiser, norm = descent.descend(
            state.params, gradient, state.optimiser, rate=rate, clip=self.clip
        )
        metrics = {
            "loss": loss,
            "elbo": (terms.reconstruction - terms.kl).mean(),
            "reconstruction": terms.reconstruction.mean(),
            "kl": terms.kl.mean(),
            "gradient_norm": norm,
        }
        return State(params, optimiser, state.frames), metrics

    def generator(self, state: State) -> PlayGenerator:
        """What samples futures and bounds likelihoods."""
        return PlayGenerator(state.params, state.frames, None, jnp.asarray(True), self.burn_in)
