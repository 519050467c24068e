"""Algorithms under the names people know, sized for a laptop; `published_*` as published."""

from __future__ import annotations

from typing import Any

from understudy.algorithms import intents
from understudy.algorithms.recurrent import RecurrentGenerator
from understudy.algorithms.stages import Stages
from understudy.networks.team import Sharing

PUBLISHED = {"velocity": False, "output": "position", "learning_rate": 1e-4, "burn_in": "prior"}
"""Inputs, targets, step size and burn-in of the published programs."""


def RNNGauss(**arguments: Any) -> RecurrentGenerator:
    """A recurrent network with a Gaussian output and no latent.

    Args:
        arguments: any other field of `RecurrentGenerator`.
    """
    return RecurrentGenerator(**{"latent": "none", **arguments})


def VRNN(sharing: Sharing = "joint", **arguments: Any) -> RecurrentGenerator:
    """A variational recurrent network: joint, independent agents, or mixed.

    Args:
        sharing: one network for all, one each, or one GRU with heads of each agent.
        arguments: any other field of `RecurrentGenerator`.
    """
    return RecurrentGenerator(**{"latent": "step", "sharing": sharing, **arguments})


def VRAE(**arguments: Any) -> RecurrentGenerator:
    """A variational recurrent autoencoder: one latent for all of a sequence, heads per agent.

    Args:
        arguments: any other field of `RecurrentGenerator`.
    """
    return RecurrentGenerator(**{"latent": "sequence", "sharing": "mixed", **arguments})


def IntentVRNN(
    *, stages: bool = True, steps: tuple[int, int] = (1_000, 4_000), **arguments: Any
) -> Stages | intents.IntentVRNN:
    """The hierarchical generator of plays, in two stages or at once.

    Args:
        stages: first the policy over intents, then the plays; False trains both together.
        steps: updates of the two stages; a number of steps given to `train` stretches both alike.
        arguments: fields of `intents.IntentVRNN`.
    """
    if not stages:
        return intents.IntentVRNN(**arguments)
    first, second = (intents.IntentVRNN(**{**arguments, "part": p}) for p in ("intents", "plays"))
    return Stages(((first, steps[0]), (second, steps[1])), handover="copy_weights")


def published_rnn_gauss(**arguments: Any) -> RecurrentGenerator:
    """The published basketball RNN-gauss: 7,620,820 weights with five agents."""
    return RNNGauss(**{**PUBLISHED, "width": 250, "rnn": 900, **arguments})


def published_vrnn(**arguments: Any) -> RecurrentGenerator:
    """The published joint VRNN of basketball: 8,523,140 weights with five agents."""
    return VRNN("joint", **{**PUBLISHED, "latent_size": 80, "width": 250, "rnn": 900, **arguments})


def published_vrnn_independent(**arguments: Any) -> RecurrentGenerator:
    """The published VRNN of independent basketball players: 4,367,340 weights with five."""
    sizes = {"latent_size": 16, "width": 200, "rnn": 250}
    return VRNN("independent", **{**PUBLISHED, **sizes, **arguments})


def published_intent_vrnn(**arguments: Any) -> Stages | intents.IntentVRNN:
    """The published basketball model with intents: 4,372,190 weights, five agents, 90 intents."""
    sizes = {"latent_size": 16, "width": 200, "rnn": 200, "intent_rnn": 200, "aware": False}
    return IntentVRNN(**{**PUBLISHED, **sizes, **arguments})
