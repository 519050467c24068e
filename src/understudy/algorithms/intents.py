"""Generator of plays: a policy over intents, and a VRNN of each agent under its intent.

Intents g are labels that a rule gives (`understudy.data.labels`): where an agent is heading, how
the flock behaves. Two parts, trained one after the other or together:

    "intents":  log p(g) = Σ_t Σ_k log softmax(net_k(y_t, h_t))[g^k_t],  h_{t+1} = GRU(g_t, h_t)
    "plays":    ELBO(x | g) = Σ_t Σ_k log p(u_{t+1} | y_t, g_t, z_t, h_t)
                            - KL(q(z_t | u_{t+1}, y_t, g_t, h_t) || p(z_t | y_t, g_t, h_t))

where y_t is the scene and u, g, z, h are those of agent k. Part "plays" is trained under the
labels, which look into the future, so ELBO(x | g) is no bound on ``log p(x)``;
``elbo = ELBO(x | g) + log p(g)`` bounds ``log p(x, g)`` and is what to compare. To sample, g is
drawn at every row from the policy, which sees the past alone.

Source: Zhan, Zheng, Yue, Sha, Lucey, "Generating Multi-Agent Trajectories using Programmatic Weak
Supervision", ICLR 2019 (arXiv 1803.07612), and the programs published with it.
Deviations, each an argument: prior and encoder see the scene y_t too (``aware=False``: they see
intent and memory alone, as the published basketball model), velocities and displacements
(``velocity=False, output="position"``), intents kept for `hold` rows (published: 1), latents of
given rows from the encoder (``burn_in="prior"``). Intents of given rows are drawn, never labelled.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from understudy.data import labels
from understudy.data.demonstrations import Demonstrations
from understudy.networks import descent
from understudy.networks.frames import Frames, Output, time_first
from understudy.networks.generator import BurnIn, PlayGenerator, intent_log_prob, labelled
from understudy.networks.intents import IntentPolicy
from understudy.networks.mlp import drawn
from understudy.networks.team import Team
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
class Params:
    """Weights of both parts."""

    plays: Team
    intents: IntentPolicy
    trained: Bool[Array, ""]
    """False until the policy over intents has been updated."""


@record
class State:
    """All that training goes on from."""

    params: Params
    optimiser: Any
    """Of the part that is trained."""
    frames: Frames
    """Scales of the training split; constant."""


@hyperparameters
class IntentVRNN:
    """Hyper-parameters; the loss is nats per sequence, batch mean, of the parts trained."""

    rule: Any = dataclasses.field(default_factory=labels.Stationary)
    """Labelling rule of `understudy.data.labels`; None keeps the labels of the demonstrations."""
    classes: int = 0
    """Classes of intents; 0 until `resolve` has looked."""
    scope: Literal["agent", "shared"] = "agent"
    """An intent per agent, or one for all."""
    part: Literal["intents", "plays", "all"] = "all"
    """What to train; the weights of the other part stay as they are."""
    aware: bool = True
    """Prior and encoder see the scene."""
    hold: int = 1
    """Rows for which a drawn intent is kept."""
    output: Output = "displacement"
    """What is predicted: the next position, the displacement, or the change of displacement.

    Changes reach the highest likelihood, but their errors add up to a drift of velocities.
    """
    velocity: bool = True
    """Networks see the last displacement of every agent beside its position."""
    latent_size: int = 16
    """Latent dimensions per agent."""
    width: int = 64
    """Units of each hidden layer of prior, encoder, decoder and of the policy over intents."""
    rnn: int = 64
    """Units of each GRU layer of an agent."""
    intent_rnn: int = 64
    """Units of each GRU layer of the policy over intents."""
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
        "width": 4, "rnn": 4, "intent_rnn": 4, "latent_size": 2, "window": 6, "batch": 2
    }  # fmt: skip
    """Arguments of the smallest useful size, for tests."""

    def __post_init__(self) -> None:
        require(
            self.window >= 2, f"expected windows of at least 2 rows, found {self.window}; ask for 2"
        )
        require(self.hold >= 1, f"expected intents held for at least 1 row, found {self.hold}")

    def resolve(self, demonstrations: Demonstrations) -> IntentVRNN:
        """Fill in what depends on data: grid bounds, thresholds, the number of classes."""
        if self.rule is None:
            return dataclasses.replace(self, classes=demonstrations.intent_classes)
        rule = self.rule.resolve(demonstrations, self.group or demonstrations.spec.names[0])
        return dataclasses.replace(self, rule=rule, classes=rule.classes)

    def prepare(self, demonstrations: Demonstrations) -> Demonstrations:
        """Label every row by the rule."""
        if self.rule is None:
            return demonstrations
        return labels.label(demonstrations, self.rule, self.group or demonstrations.spec.names[0])

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> State:
        """Fresh weights for the agents of `spec`.

        Raises:
            UserError: without statistics, or when the number of classes is not known.
        """
        if statistics is None:
            raise UserError("expected statistics of the training split, found none; give data")
        require(
            self.classes >= 1,
            "expected the number of intent classes, found 0; call resolve(demonstrations) on "
            "labelled demonstrations first, or give classes",
        )
        group = spec[self.group] if self.group else spec.groups[0]
        frames = Frames.of(statistics, group.name, velocity=self.velocity, output=self.output)
        seen = frames.features * group.agents
        sizes = Sizes(
            seen=seen,
            target=group.observation,
            extra=self.classes,
            latent=self.latent_size,
            width=self.width,
            rnn=self.rnn,
            layers=self.layers,
            aware=self.aware,
        )
        plays_key, intents_key = jax.random.split(key)
        plays = Team(
            sizes,
            sharing="independent",
            agents=group.agents,
            features=group.observation,
        )
        policy = IntentPolicy(
            seen,
            self.classes,
            heads=group.agents if self.scope == "agent" else 1,
            width=self.width,
            rnn=self.intent_rnn,
            layers=self.layers,
        )
        params = Params(drawn(plays, plays_key), drawn(policy, intents_key), jnp.asarray(False))
        return State(params, descent.start(self.trainable(params)), frames)

    def trainable(self, params: Params) -> dict[str, Any]:
        """The parts of the weights that are trained."""
        parts = {"plays": params.plays, "intents": params.intents}
        return {name: part for name, part in parts.items() if self.part in ("all", name)}

    def loss(
        self, parts: dict[str, Any], frames: Frames, window: Window, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """``mean over the batch of KL - reconstruction - log p(g)``, of the parts trained."""
        positions, alive = time_first(window, frames.group)
        given = jnp.swapaxes(labelled(window.intents, frames.group), 0, 1)
        loss, terms = jnp.zeros(()), {}
        if "plays" in parts:
            hot = jax.nn.one_hot(given[:-1], self.classes)
            plays = parts["plays"].teach(frames, positions, alive, hot, key)
            terms |= {"reconstruction": plays.reconstruction.mean(), "kl": plays.kl.mean()}
            loss += self.kl_weight * terms["kl"] - terms["reconstruction"]
        if "intents" in parts:
            terms["intents"] = intent_log_prob(
                parts["intents"], frames, positions, alive, given
            ).mean()
            loss -= terms["intents"]
        return loss, terms

    def update(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """One step of Adam on one batch of windows, of the parts trained."""
        assert batch.demonstrations is not None
        parts = self.trainable(state.params)
        (loss, terms), gradient = jax.value_and_grad(self.loss, has_aux=True)(
            parts, state.frames, batch.demonstrations, key
        )
        rate = descent.cosine(self.learning_rate, step, decay=self.decay)
        parts, optimiser, norm = descent.descend(
            parts, gradient, state.optimiser, rate=rate, clip=self.clip
        )
        trained = state.params.trained | ("intents" in parts)
        params = dataclasses.replace(state.params, trained=trained, **parts)
        metrics = {"loss": loss, **terms, "gradient_norm": norm}
        if "plays" in parts:
            metrics["elbo_given_intents"] = terms["reconstruction"] - terms["kl"]
        if len(parts) == 2:
            metrics["elbo"] = metrics["elbo_given_intents"] + terms["intents"]
        return State(params, optimiser, state.frames), metrics

    def generator(self, state: State) -> PlayGenerator:
        """What samples plays and their intents, and bounds likelihoods."""
        params = state.params
        return PlayGenerator(
            params.plays, state.frames, params.intents, params.trained, self.burn_in, self.hold
        )
