"""Algorithms under the names people know, sized for a laptop; `published_*` as published."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from understudy.algorithms import adversarial, bc, ddpg, happo, intents, ppo
from understudy.algorithms.recurrent import RecurrentGenerator
from understudy.algorithms.stages import Stages
from understudy.networks.actor_critic import ActorCritic
from understudy.networks.communication import Communicating
from understudy.networks.deterministic import ActorQ
from understudy.networks.discriminators import MLPDiscriminator, TransformerDiscriminator
from understudy.networks.team import Sharing
from understudy.networks.transformer import Transformer
from understudy.types import require

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


def IPPO(**arguments: Any) -> ppo.PPO:
    """Independent PPO: every critic reads what its own agent observes.

    Args:
        arguments: fields of `ppo.PPO`, or of the `ActorCritic` it learns.
    """
    return _over(ppo.PPO, ActorCritic(critic="own"), arguments)


def MAPPO(**arguments: Any) -> ppo.PPO:
    """Multi-agent PPO: critics also read the state of the game.

    Args:
        arguments: fields of `ppo.PPO`, or of the `ActorCritic` it learns.
    """
    return _over(ppo.PPO, ActorCritic(critic="central"), arguments)


def HAPPO(**arguments: Any) -> happo.HAPPO:
    """Heterogeneous-agent PPO: actors of their own, improved one after the other.

    Args:
        arguments: fields of `happo.HAPPO`, or of the `ActorCritic` it learns.
    """
    return _over(happo.HAPPO, ActorCritic(sharing="independent"), arguments)


def MAT(**arguments: Any) -> ppo.PPO:
    """The multi-agent transformer: agents act in turn, each knowing the actions before its own.

    Args:
        arguments: fields of `ppo.PPO`, or of the `Transformer` it learns.
    """
    return _over(ppo.PPO, Transformer(), {"ratio": "part", **arguments})


def MATDec(**arguments: Any) -> ppo.PPO:
    """The multi-agent transformer as critic of agents that act on what they observe.

    Args:
        arguments: fields of `ppo.PPO`, or of the `Transformer` it learns.
    """
    return MAT(**{"decoder": "independent", **arguments})


def DDPG(**arguments: Any) -> ddpg.DDPG:
    """Deterministic policy gradient: shared, independent or joint actors and critics.

    Args:
        arguments: fields of `ddpg.DDPG`, or of the `ActorQ` it learns.
    """
    return _over(ddpg.DDPG, ActorQ(), arguments)


def MADDPG(**arguments: Any) -> ddpg.DDPG:
    """DDPG of independent actors whose critics see what everybody sees and does.

    Args:
        arguments: fields of `ddpg.DDPG`, or of the `ActorQ` it learns.
    """
    return DDPG(**{"sharing": "independent", "critic": "central", **arguments})


def TD3(**arguments: Any) -> ddpg.DDPG:
    """DDPG with two critics, noise on the actions of targets, and actors that learn half as often.

    Args:
        arguments: fields of `ddpg.DDPG`, or of the `ActorQ` it learns.
    """
    return DDPG(**{"critics": 2, "target_noise": 0.2, "delay": 2, **arguments})


def ATOC(**arguments: Any) -> ddpg.DDPG:
    """DDPG of shared actors that decide when to communicate, and with which of those they see.

    Args:
        arguments: fields of `ddpg.DDPG`, or of the `Communicating` it learns.
    """
    return _over(ddpg.DDPG, Communicating(), arguments)


def BC(**arguments: Any) -> bc.BC:
    """Behaviour cloning: every agent learns what was recorded of it, from what it observes.

    Args:
        arguments: fields of `bc.BC`, or of the `ActorCritic` it learns.
    """
    return _over(bc.BC, ActorCritic(), arguments)


def JointBC(**arguments: Any) -> bc.BC:
    """Behaviour cloning of the team: agents act in turn, each knowing the actions before its own.

    Args:
        arguments: fields of `bc.BC`, or of the `Transformer` it learns.
    """
    return _over(bc.BC, Transformer(), arguments)


Prior = Literal["decentralised", "central", "single", "zero_sum"]
PRIORS: dict[str, MLPDiscriminator] = {
    "decentralised": MLPDiscriminator(),
    "central": MLPDiscriminator(reads="team"),
    "single": MLPDiscriminator(reads="team", outputs="one"),
    "zero_sum": MLPDiscriminator(reads="team", outputs="one"),
}
"""What MAGAIL presumes of rewards: each agent has its own, which others may matter for, all have
the same, or what one side wins the other loses."""


def MAGAIL(
    prior: Prior = "decentralised", *, cloning: int = 500, **arguments: Any
) -> Stages | adversarial.Adversarial:
    """Multi-agent GAIL: perceptrons tell agents from experts, PPO learns from what they say.

    Args:
        prior: what is presumed of rewards.
        cloning: updates of behaviour cloning first; 0 begins with a policy that knows nothing.
        arguments: fields of `adversarial.Adversarial`.
    """
    given = {"discriminator": PRIORS[prior], "opposed": prior == "zero_sum"}
    return _imitation({"optimiser": MAPPO(), **given, **arguments}, cloning)


def GAIL(*, cloning: int = 500, **arguments: Any) -> Stages | adversarial.Adversarial:
    """GAIL as for one agent: a team is one agent that sees everything and acts for everybody.

    Args:
        cloning: updates of behaviour cloning first; 0 begins with a policy that knows nothing.
        arguments: fields of `adversarial.Adversarial`.
    """
    return MAGAIL("single", cloning=cloning, **{"optimiser": MAPPO(sharing="joint"), **arguments})


def MILD2(*, cloning: int = 500, **arguments: Any) -> Stages | adversarial.Adversarial:
    """MILD²: a transformer judges the whole team at once, another acts agent after agent.

    Args:
        cloning: updates of behaviour cloning first; 0 begins with a policy that knows nothing.
        arguments: fields of `adversarial.Adversarial`.
    """
    given = {"discriminator": TransformerDiscriminator(), "objective": "wail"}
    return _imitation({"optimiser": MAT(), **given, **arguments}, cloning)


def MILD2GD(*, cloning: int = 500, **arguments: Any) -> Stages | adversarial.Adversarial:
    """MILD² without global dependencies: the same, but each score depends on its own agent alone.

    Args:
        cloning: updates of behaviour cloning first; 0 begins with a policy that knows nothing.
        arguments: fields of `adversarial.Adversarial`.
    """
    alone = TransformerDiscriminator(mask="diagonal")
    return MILD2(cloning=cloning, **{"discriminator": alone, **arguments})


WITH_MEMORY = 10
"""Rows in a row from which a policy with memory is cloned."""


def _imitation(arguments: dict[str, Any], cloning: int) -> Stages | adversarial.Adversarial:
    """Adversarial imitation, after some behaviour cloning of the same network."""
    imitate = adversarial.Adversarial(**arguments)
    if not cloning:
        return imitate
    network = imitate.optimiser.network
    clone = bc.BC(network=network, window=WITH_MEMORY if getattr(network, "recurrent", 0) else 1)
    return Stages(
        ((clone, cloning), (imitate, imitate.steps)), handover="copy_policy", stretch="last"
    )


def _over(page: Any, network: Any, arguments: dict[str, Any]) -> Any:
    """`page` learning `network`; arguments that are fields of the network change the network."""
    names = {field.name for field in dataclasses.fields(network)}
    inside = {name: value for name, value in arguments.items() if name in names}
    outside = {name: value for name, value in arguments.items() if name not in names}
    return page(**{"network": dataclasses.replace(network, **inside), **outside})


PUBLISHED_MAT: dict[str, dict[str, Any]] = {
    "smac": {"learning_rate": 5e-4, "envs": 32, "rollout": 100, "minibatches": 1, "epochs": 15,
             "clip": 0.05, "entropy": 0.01, "discount": 0.99, "gradient_clip": 10.0},
    "football": {"learning_rate": 5e-4, "envs": 20, "rollout": 200, "minibatches": 1, "epochs": 10,
                 "clip": 0.05, "entropy": 0.01, "discount": 0.99, "gradient_clip": 0.5},
    "mujoco": {"learning_rate": 5e-5, "envs": 40, "rollout": 100, "minibatches": 40, "epochs": 10,
               "clip": 0.05, "entropy": 0.001, "discount": 0.99, "gradient_clip": 0.5},
    "hands": {"learning_rate": 5e-5, "envs": 80, "rollout": 75, "minibatches": 1, "epochs": 5,
              "clip": 0.2, "entropy": 0.001, "discount": 0.96, "gradient_clip": 0.5},
    "particles": {"learning_rate": 7e-4, "envs": 128, "rollout": 25, "minibatches": 1,
                  "epochs": 10, "clip": 0.05, "entropy": 0.01, "discount": 0.99,
                  "gradient_clip": 10.0},
}  # fmt: skip
"""Published configurations of MAT by kind of task."""

PUBLISHED_HAPPO: dict[str, dict[str, Any]] = {
    "3s5z": {"envs": 20, "rollout": 160, "epochs": 5, "clip": 0.2, "discount": 0.99},
    "6h_vs_8z": {"envs": 20, "rollout": 160, "epochs": 10, "clip": 0.05, "minibatches": 2,
                 "discount": 0.95},
    "mmm2": {"envs": 20, "rollout": 160, "epochs": 5, "clip": 0.2, "discount": 0.95},
    "football": {"envs": 50, "rollout": 200, "epochs": 15, "clip": 0.2, "minibatches": 2},
    "hands": {"envs": 256, "rollout": 75, "epochs": 5, "clip": 0.2, "discount": 0.95},
    "halfcheetah": {"envs": 20, "rollout": 200, "epochs": 15, "clip": 0.05},
    "particles": {"envs": 20, "rollout": 200, "epochs": 5, "clip": 0.2},
}  # fmt: skip
"""Published configurations of HAPPO by task."""

PUBLISHED_HAPPO_NETWORK: dict[str, dict[str, Any]] = {
    "3s5z": {"hidden": (64, 64, 64), "recurrent": 64},
    "6h_vs_8z": {"hidden": (64, 64, 64), "recurrent": 64},
    "mmm2": {"hidden": (64, 64, 64), "recurrent": 64},
    "football": {"hidden": (64, 64)},
    "hands": {"hidden": (256, 256, 256)},
    "halfcheetah": {"hidden": (128, 128, 128)},
    "particles": {"hidden": (128, 128)},
}
"""Its networks."""


PUBLISHED_DDPG: dict[str, dict[str, Any]] = {
    "independent": {"sharing": "independent", "hidden": (128, 64, 32, 32)},
    "global": {"sharing": "joint", "hidden": (256, 256, 64, 32)},
    "shared": {"sharing": "shared", "hidden": (128, 64, 32), "critic_hidden": (100, 50)},
}
"""Networks of badger-2019: DDPG, its global form, and ATOC without communication (whose actor has a
``tanh`` after its second layer, and inputs for messages, that this one lacks)."""


def published_ddpg(kind: str, *, steps: int = 1_000_000, **arguments: Any) -> ddpg.DDPG:
    """DDPG as published for local observations (badger-2019), a kind of `PUBLISHED_DDPG`.

    Args:
        kind: whose weights these are.
        steps: env steps over which noise falls.
        arguments: any other field of `ddpg.DDPG`.
    """
    network = ActorQ(activation="leaky_relu", **_known(PUBLISHED_DDPG, kind))
    given = {
        "network": network, "envs": 1, "rollout": 100, "passes": 10, "batch": 512,
        "remembered": 100_000, "learning_rate": 1e-3, "critic_rate": 5e-3, "discount": 0.9,
        "follow": 0.01, "judge": "target", "noise": 0.55, "noise_keeps": 0.75,
        "noise_decay": max(1, steps // 100), "warm_up": 5,
    }  # fmt: skip
    return ddpg.DDPG(**{**given, **arguments})


def published_mat(task: str, **arguments: Any) -> ppo.PPO:
    """MAT as published for a kind of task of `PUBLISHED_MAT`."""
    network = Transformer(identity=False, std_start=0.0 if task == "hands" else 1.0)
    given = {"network": network, "ratio": "part", "value_weight": 1.0, "value_keep": 0.99999}
    return ppo.PPO(**{**given, **_known(PUBLISHED_MAT, task), **arguments})


def published_happo(task: str, **arguments: Any) -> happo.HAPPO:
    """HAPPO as published for a task of `PUBLISHED_HAPPO`."""
    network = ActorCritic(
        sharing="independent",
        activation="relu",
        normalise=True,
        std="sigmoid",
        std_start=1.0,
        **_known(PUBLISHED_HAPPO_NETWORK, task),
    )
    given = {"network": network, "value_keep": 0.99999}
    return happo.HAPPO(**{**given, **_known(PUBLISHED_HAPPO, task), **arguments})


def _known(table: dict[str, dict[str, Any]], task: str) -> dict[str, Any]:
    require(task in table, f"expected one of the tasks {sorted(table)}, found {task!r}")
    return table[task]
