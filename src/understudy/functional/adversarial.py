"""Adversarial imitation, entry by entry: losses on expert scores, Ω of WAIL, rewards.

The *expert score* e(o, a) is a discriminator's logit: the higher, the more it takes the action for
the expert's. (Some papers label the other way round; a reward must rise with e.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Scores = Float[Array, "*shape"]
Weight = float | Float[Array, ""]


class Objective(NamedTuple):
    """What a discriminator minimises: a loss of scores of either side, and a regulariser."""

    losses: Callable[[Scores, Scores, Weight], tuple[Scores, Scores]]
    """``(expert scores, policy scores, smoothing) -> (losses, losses)``; take the mean of each."""
    regulariser: Literal["none", "gradient", "transport"] = "none"
    """``gradient``: `penalties.gradient_penalty`; ``transport``: one of `OMEGAS`."""
    labels: bool = False
    """It has labels, which can be smoothed."""


def logistic(expert: Scores, policy: Scores, smoothing: Weight) -> tuple[Scores, Scores]:
    """Cross-entropy with labels ``1 - smoothing`` for the expert and ``smoothing`` for the policy.

    Source: Ho and Ermon, "Generative Adversarial Imitation Learning", NIPS 2016.
    """
    return (
        (1.0 - smoothing) * jax.nn.softplus(-expert) + smoothing * jax.nn.softplus(expert),
        (1.0 - smoothing) * jax.nn.softplus(policy) + smoothing * jax.nn.softplus(-policy),
    )


def linear(expert: Scores, policy: Scores, smoothing: Weight) -> tuple[Scores, Scores]:
    """``-e(y)`` and ``e(x)``: the Wasserstein distance, up to the regulariser."""
    return -expert, policy


def squares(expert: Scores, policy: Scores, smoothing: Weight) -> tuple[Scores, Scores]:
    """Half the squared distance to ``1 - 2 smoothing`` for the expert and its opposite.

    Source: Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017.
    """
    label = 1.0 - 2.0 * smoothing
    return 0.5 * jnp.square(expert - label), 0.5 * jnp.square(policy + label)


OBJECTIVES: dict[str, Objective] = {
    "bce": Objective(logistic, labels=True),
    "bce+gp": Objective(logistic, "gradient", labels=True),
    "wgan-gp": Objective(linear, "gradient"),
    "lsgan": Objective(squares, labels=True),
    "wail": Objective(linear, "transport"),
}
"""Name -> objective."""


def hinge(gap: Scores, distance: Scores, width: Weight) -> Scores:
    """``-(e(y) - e(x) - d)₊² / 4ε``: what the gap of scores exceeds the distance by is punished."""
    return -jnp.square(jnp.maximum(gap - distance, 0.0)) / (4.0 * width)


def square(gap: Scores, distance: Scores, width: Weight) -> Scores:
    """``-(e(y) - e(x) - d)² / 4ε``: smaller gaps are pushed up to the distance, too."""
    return -jnp.square(gap - distance) / (4.0 * width)


def entropic(gap: Scores, distance: Scores, width: Weight) -> Scores:
    """``-ε exp((e(y) - e(x) - d) / ε)``, the exponent at most 20."""
    return -width * jnp.exp(jnp.minimum((gap - distance) / width, 20.0))


OMEGAS: dict[str, Callable[[Scores, Scores, Weight], Scores]] = {
    "hinge": hinge,
    "square": square,
    "entropic": entropic,
}
"""Ω of an expert's entry y and a policy's entry x: ``(e(y) - e(x), d(x, y), ε) -> Ω <= 0``.

Source: Seguy et al., "Large-Scale Optimal Transport and Mapping Estimation", ICLR 2018, equation 7
(the dual of regularised transport); Xiao et al., "Wasserstein Adversarial Imitation Learning", 2019
(arXiv 1906.08113). ``square`` is how the MILD² paper prints it.
"""


def _probability(score: Scores) -> Scores:
    return 2.0 * jax.nn.sigmoid(score) - 1.0


REWARDS: dict[str, Callable[[Scores], Scores]] = {
    "softplus": jax.nn.softplus,
    "logit": lambda score: score,
    "neg": jax.nn.log_sigmoid,
    "prob": _probability,
}
"""Expert score -> reward, rising with it. ``softplus`` is ``-log(1 - σ(e))``, always positive: it
rewards long episodes. ``neg`` is ``log σ(e)``, always negative: it rewards short ones. ``logit`` is
``e`` and ``prob`` ``2σ(e) - 1``, both 0 where the discriminator cannot tell."""

REWARD_RANGES: dict[str, tuple[float, float]] = {
    "softplus": (0.0, 5.0),
    "logit": (-5.0, 5.0),
    "neg": (-5.0, 0.0),
    "prob": (-1.0, 1.0),
}
"""Where most rewards lie: the range of histograms."""
