"""MAGAIL with a joint policy as published for WebEye: its configuration as a training of ours.

`published_magail` has the published values, `magail` those of a file (`webeye_file`). What the
program has and this library has not, `webeye_words.differences` says key by key. Beside keys, these
differ:

- states go on from what the environment answered (every step of a trajectory began anew in the same
  logged state), and trajectories are cut, not ended, after their last step;
- logits and means are not squeezed by ``tanh``: a choice may have any probability. The environment
  says what changes, and how widely (`networks.following`);
- each half has a discriminator and a critic of its own, and a probability ratio of its own. That of
  the agent reads what the published one read, that of the environment the next state as well;
- the reward is ``2 D - 1``, a straight line of the published D; critics' errors count as far as the
  clipped value allows; Adam of the discriminator keeps its step size, which fell by 5 % every 2,000
  steps;
- layer normalisation also takes in what networks read, and a discriminator has noise on its inputs
  while it learns, but not where it pays.

Source: RITCHIEHuang/MAGAIL, 2020-03-17 to 2022-03-19.
"""

from __future__ import annotations

import copy
import math
from typing import Any, Literal, NamedTuple

from understudy.algorithms import presets
from understudy.algorithms.adversarial import Adversarial
from understudy.data.demonstrations import Demonstrations
from understudy.diagnostics.simulator import halves
from understudy.experiment.webeye_file import Configuration, parse
from understudy.networks.actions import action_of
from understudy.networks.discriminators import MLPDiscriminator
from understudy.types import UserError, require

Judges = Literal["sa", "sas"]
"""What the environment's discriminator reads."""
ROWS = 1402
"""Logged transitions that the program learned from."""
SECTIONS = (5, 2, 4, 3, 2, 9, 2, 32, 35, 7, 2, 21, 2, 3, 3)
COLUMNS = ("_path", "num_states", "num_actions", "_discrete_actions", "_actions_sections")
"""Ends of the keys that are about a log."""
AGENT, ENV = "jointpolicy.agent", "jointpolicy.env"


def _tree(hidden: tuple[int, ...], rates: tuple[float, float, float], **ppo: Any) -> dict[str, Any]:
    """Values as a file has them; `rates` are those of policy, critic and discriminator."""

    def layers(sizes: tuple[int, ...]) -> dict[str, Any]:
        return {"num_hiddens": sizes, "activation": "LeakyReLU", "drop_rate": 0.5}

    def half(states: int, actions: int, sections: tuple[int, ...]) -> dict[str, Any]:
        return {"num_states": states, "num_actions": actions, **layers(hidden),
                "num_discrete_actions": sum(sections), "discrete_actions_sections": sections,
                "action_log_std": 0.0}  # fmt: skip

    policy, critic, judge = rates
    return {
        "general": {"seed": 2020, "expert_batch_size": 2000, "training_epochs": 100_000},
        "gae": {"gamma": 0.995, "tau": 0.96},
        "ppo": {"clip_ratio": 0.1, "ppo_optim_epochs": 1, **ppo},
        "jointpolicy": {"learning_rate": policy, "trajectory_length": 10,
                        "agent": half(155, 6, (0,)), "env": half(161, 155, SECTIONS)},
        "value": {"num_states": 155, **layers((256, 256)), "learning_rate": critic, "l2_reg": 1e-3},
        "discriminator": {"num_states": 155, "num_actions": 6, **layers((256, 256)),
                          "learning_rate": judge},
    }  # fmt: skip


def _published() -> dict[str, dict[str, Any]]:
    first = _tree((256, 256), (3e-4, 3e-3, 1e-4), ppo_mini_batch_size=128, sample_batch_size=5000)
    first["general"]["training_epochs"] = 1_000_000
    current = _tree((256,), (1e-4, 3e-4, 4e-4), ppo_mini_batch_size=200, sample_batch_size=2000)
    current["discriminator"] |= {"use_noise": True, "noise_std": 0.15,
                                 "use_label_smoothing": True, "label_smooth_rate": 0.1}  # fmt: skip
    validation = copy.deepcopy(current)
    validation["general"]["expert_batch_size"] = 500
    validation["ppo"] |= {"ppo_mini_batch_size": 50, "sample_batch_size": 500}
    return {"current": current, "validation": validation, "first": first}


PUBLISHED = _published()
"""Name -> values as a file has them: ``config.yml`` and ``config_validation.yml`` of 2020-05-08,
and the first ``config.yml``, of 2020-03-17."""


class Cuts(NamedTuple):
    """How rows are cut."""

    envs: int
    """Trajectories side by side."""
    minibatches: int
    """Of the policy, per epoch."""
    size: int
    """Rows of each."""
    passes: int
    """Steps of the discriminator per update."""
    rows: int
    """Rows of either side in each."""


def cuts(configuration: Configuration, rows: int) -> Cuts:
    """How a file's batches are cut where `rows` transitions are logged.

    Minibatches here are all of one size: as few more of them as it takes.
    """
    length = configuration["jointpolicy.trajectory_length"]
    envs = math.ceil(configuration["ppo.sample_batch_size"] / length)
    acted, shown = envs * length, configuration["general.expert_batch_size"]
    least = math.ceil(acted / min(acted, configuration["ppo.ppo_mini_batch_size"]))
    count = next(n for n in range(least, acted + 1) if acted % n == 0)
    return Cuts(envs, count, acted // count, math.ceil(rows / shown), min(rows, shown))


def magail(
    configuration: Configuration, *, rows: int = ROWS, judges: Judges = "sas", **changes: Any
) -> Adversarial:
    """Adversarial imitation of both halves of a log with a file's values.

    Args:
        configuration: of a file.
        rows: logged transitions to learn from, which say how many batches of them there are.
        judges: what the environment's discriminator reads: state and action, as published, which
            teaches it only where an answer leads, or the answer too.
        changes: any other field of the policy optimiser, or of its network.

    Raises:
        UserError: for halves of different networks, which are built alike here.
    """
    cut, critic = cuts(configuration, rows), "discriminator"
    optimiser = presets.IPPO(**{
        **_network(configuration), "envs": cut.envs, "minibatches": cut.minibatches,
        "rollout": configuration["jointpolicy.trajectory_length"],
        "epochs": configuration["ppo.ppo_optim_epochs"],
        "learning_rate": configuration["jointpolicy.learning_rate"],
        "discount": configuration["gae.gamma"], "trace": configuration["gae.tau"],
        "clip": configuration["ppo.clip_ratio"], "entropy": 0.0, "gradient_clip": 40.0,
        "value_weight": 2.0, "value_scaling": False, "huber": 1e6, **changes,
    })  # fmt: skip
    judge = MLPDiscriminator(
        judges=judges,
        hidden=configuration[f"{critic}.num_hiddens"],
        activation=configuration[f"{critic}.activation"],
        dropout=configuration[f"{critic}.drop_rate"],
    )
    noisy, smooth = (configuration[f"{critic}.use_{x}"] for x in ("noise", "label_smoothing"))
    made = presets.MAGAIL(
        cloning=0, optimiser=optimiser, discriminator=judge, reward="prob", passes=cut.passes,
        minibatch=cut.rows, learning_rate=configuration[f"{critic}.learning_rate"],
        momentum=(0.9, 0.999), gradient_clip=math.inf,
        noise=configuration[f"{critic}.noise_std"] if noisy else 0.0,
        smoothing=configuration[f"{critic}.label_smooth_rate"] if smooth else 0.0,
    )  # fmt: skip
    assert isinstance(made, Adversarial)
    return made


def published_magail(name: str = "current", **arguments: Any) -> Adversarial:
    """Imitation of both halves with the values of a published file.

    Args:
        name: of `PUBLISHED`.
        arguments: of `magail`.
    """
    return magail(published(name), **arguments)


def published(name: str = "current") -> Configuration:
    """A published file.

    Raises:
        UserError: for a name that is not in `PUBLISHED`.
    """
    require(name in PUBLISHED, f"expected one of {list(PUBLISHED)}, found {name!r}")
    return parse(PUBLISHED[name], name)


def _network(configuration: Configuration) -> dict[str, Any]:
    """Arguments of the networks of both halves.

    Raises:
        UserError: for halves that are not alike.
    """
    found = []
    for key in ("num_hiddens", "activation", "action_log_std"):
        pair = [configuration[f"{half}.{key}"] for half in (AGENT, ENV)]
        if key == "action_log_std":
            # with the flag the program takes exp(log std) for the variance
            flags = [
                configuration[f"{half}.use_multivariate_distribution"] for half in (AGENT, ENV)
            ]
            pair = [log_std / 2 if flag else log_std for log_std, flag in zip(pair, flags)]
        names = [configuration.name(f"{half}.{key}") for half in (AGENT, ENV)]
        require(
            pair[0] == pair[1],
            f"expected the same at {names[0]} and {names[1]}, as both halves are built alike, "
            f"found {pair[0]} and {pair[1]}; change one",
        )
        found.append(pair[0])
    hidden, activation, log_std = found
    return {"hidden": hidden, "activation": activation, "normalise": True, "std_start": log_std}


def steps(configuration: Configuration) -> int:
    """Env steps that a file's ``training_epochs`` are."""
    cut, length = cuts(configuration, 1), configuration["jointpolicy.trajectory_length"]
    return configuration["general.training_epochs"] * cut.envs * length


def sizes(configuration: Configuration) -> str:
    """A sentence about what each half reads and decides."""
    said = []
    for half, who in ((AGENT, "the agent"), (ENV, "the environment")):
        total = configuration[f"{half}.num_actions"]
        sections = configuration[f"{half}.discrete_actions_sections"]
        said.append(
            f"{who} reads {configuration[f'{half}.num_states']} numbers and decides {total}: "
            f"{len(sections)} sections of {sum(sections)} choices and {total - sum(sections)} "
            "values"
        )
    return "; ".join(said)


def schema(configuration: Configuration) -> dict[str, Any]:
    """What the columns of the program's CSV files are, as `data.schema.parse` reads it."""

    def columns(half: str) -> dict[str, Any]:
        sections = configuration[f"{half}.discrete_actions_sections"]
        rest = configuration[f"{half}.num_actions"] - sum(sections)
        return {"sections": list(sections), "continuous": rest}

    return {"state": columns(ENV), "action": columns(AGENT)}


def check(configuration: Configuration, demonstrations: Demonstrations) -> int:
    """See that a file is made for demonstrations.

    Args:
        configuration: of the file.
        demonstrations: of a log of two halves.

    Returns:
        Transitions of the log.

    Raises:
        UserError: for demonstrations of anything else, or of other columns.
    """
    agent, world = halves(demonstrations.spec)
    for half, group in ((AGENT, agent), (ENV, world)):
        action = action_of(demonstrations.spec[group])
        sections = configuration[f"{half}.discrete_actions_sections"]
        values = configuration[f"{half}.num_actions"] - sum(sections)
        if (action.sections, len(action.low)) != (sections, values):
            raise UserError(
                f"expected {group!r} to decide sections {list(sections)} and {values} values, as "
                f"{configuration.name(half)} says, found sections {list(action.sections)} and "
                f"{len(action.low)} values; change the file, or convert the log by its columns"
            )
    return int(demonstrations.known_actions()[agent].sum())
