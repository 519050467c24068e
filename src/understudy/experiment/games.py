"""The env a run is measured in, and the expert that plays beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from understudy.experiment import config
from understudy.experiment.contenders import KINDS, label, title
from understudy.experiment.run import Run
from understudy.types import Policy, UserError, require

OWN = "own"
"""Asks for the expert an env is known to have, if any."""


class Expert(NamedTuple):
    """Who scores 1."""

    name: str
    note: str
    """A sentence for the reader."""
    make: Callable[[Any], Policy]
    """Builds it for an env, with any number of agents."""


def env_of(run: Run) -> Any:
    """The env a run was trained with.

    Raises:
        UserError: where there was none, or one that `understudy` cannot build again.
    """
    kept = run.config["env"]
    if kept is None:
        raise UserError(
            f"expected an env to play in, found none, and {run.folder} was trained without one; "
            "give env="
        )
    require(
        kept["config"] is not None,
        f"{run.folder} was trained in the env {kept['name']}, which is not kept with it; give env=",
    )
    return config.from_json(kept["config"])


def describe(env: Any) -> dict[str, Any]:
    """Name and, for an env of understudy, hyper-parameters: what tells two envs apart."""
    ours = hasattr(type(env), "__hyperparameters__")
    return {"name": name_of(env), "config": config.to_json(env) if ours else None}


def name_of(env: Any) -> str:
    """What an env is called: its own title, or its class."""
    return str(getattr(env, "title", type(env).__name__))


def resized(env: Any, agents: int) -> Any:
    """The same env with another number of agents.

    Raises:
        UserError: for an env without such a number.
    """
    fields = {f.name for f in dataclasses.fields(env)} if dataclasses.is_dataclass(env) else set()
    if "agents" not in fields:
        raise UserError(
            f"expected an env with a number of agents to change, found {type(env).__name__}; "
            "leave agents out"
        )
    changed: Any = env
    return dataclasses.replace(changed, agents=agents)


def expert_of(env: Any, expert: Any = OWN) -> Expert | None:
    """Find the expert that scores 1.

    Args:
        env: where it plays.
        expert: a policy, a run or its folder, a name of `envs.experts.EXPERTS`, ``"own"`` for the
            one the env is known to have (None if it has none), or None for none.

    Raises:
        UserError: for anything else.
    """
    if expert is None:
        return None
    if isinstance(expert, str) and expert == OWN:
        return None
    if isinstance(expert, str | Path):
        expert = Run(expert)
    if isinstance(expert, Run):
        well = [seed for seed in range(expert.seeds) if seed not in expert.diverged]
        require(
            well, f"expected an expert with a seed that is well, every one of {expert} diverged"
        )
        policy, name = expert.policy(well[0]), f"{title(expert)}, seed {well[0]}"
    elif callable(getattr(expert, KINDS["policy"], None)):
        policy, name = expert, label(expert)
    else:
        raise UserError(
            f"expected an expert as a policy, a run or a name, found {type(expert).__name__}; "
            "pass one of them, or None"
        )
    return Expert(name, f"The expert, who scores 1, is {name}.", lambda game: policy)
