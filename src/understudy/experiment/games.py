"""The env a run is measured in, and the expert that plays beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from understudy import zoo
from understudy.envs import experts
from understudy.envs.wrappers import bare
from understudy.experiment import config
from understudy.experiment.contenders import KINDS, label, title
from understudy.experiment.run import Run, load_policy
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


def plays(run: Any) -> bool:
    """A run is measured by what it earns: its algorithm acts, or it makes policies alone."""
    if not isinstance(run, Run):
        return False
    made = run.algorithm
    return hasattr(made, "policy") and ("env" in made.needs or not hasattr(made, "generator"))


def env_of(run: Run) -> Any:
    """The env a run was trained with, or that its demonstrations were collected in.

    Raises:
        UserError: where there was none, or one that `understudy` cannot build again.
    """
    kept = run.config["env"]
    if kept is None:
        known = _collected_in(run)
        if known is None:
            raise UserError(
                f"expected an env to play in, found none, and {run.folder} was trained without "
                "one; give env="
            )
        return known
    require(
        kept["config"] is not None,
        f"{run.folder} was trained in the env {kept['name']}, which is not kept with it; give env=",
    )
    return config.from_json(kept["config"])


def _collected_in(run: Run) -> Any:
    """The env that the demonstrations of a run name; None unless it is one of understudy."""
    kept = (run.config["demonstrations"] or {}).get("env")
    if not isinstance(kept, dict) or not str(kept.get("type")).startswith("understudy."):
        return None
    try:
        return config.from_json(kept)
    except UserError:
        return None


def describe(env: Any) -> dict[str, Any]:
    """Name and, for an env of understudy, hyper-parameters: what tells two envs apart."""
    ours = hasattr(type(env), "__hyperparameters__")
    try:
        return {"name": name_of(env), "config": config.to_json(env) if ours else None}
    except UserError:  # an env may hold what has no JSON form
        return {"name": name_of(env), "config": None}


def name_of(env: Any) -> str:
    """What an env is called: the class of the game inside all wrappers."""
    return type(bare(env)).__name__


def resized(env: Any, agents: int) -> Any:
    """The same env with another number of agents.

    Raises:
        UserError: for an env without such a number.
    """
    fields = {f.name for f in dataclasses.fields(env)} if dataclasses.is_dataclass(env) else set()
    changed: Any = env
    if "agents" in fields:
        return dataclasses.replace(changed, agents=agents)
    if bare(env) is not env and "env" in fields:
        return dataclasses.replace(changed, env=resized(changed.env, agents))
    raise UserError(
        f"expected an env with a number of agents to change, found {type(env).__name__}; "
        "leave agents out"
    )


def expert_of(env: Any, expert: Any = OWN) -> Expert | None:
    """Find the expert that scores 1.

    Args:
        env: where it plays.
        expert: a policy, a run or its folder, a name of `envs.experts.EXPERTS`, ``"zoo:NAME"``,
            ``"own"`` for the one the env is known to have (None if it has none), or None for none.

    Raises:
        UserError: for anything else.
    """
    if expert is None:
        return None
    if isinstance(expert, str) and expert == OWN:
        known = experts.OWN.get(type(bare(env)).__name__)
        return None if known is None else _named(known, f"the one {name_of(env)} is known to have")
    if isinstance(expert, str) and expert in experts.EXPERTS:
        return _named(expert, "by name")
    if isinstance(expert, str) and expert.startswith(zoo.PREFIX):
        return _given(load_policy(expert, mode="mode"), expert)
    if isinstance(expert, str | Path):
        require(
            Path(expert).is_dir(),
            f"expected an expert among {sorted(experts.EXPERTS)} or the folder of a run, found "
            f"{str(expert)!r}; name one of them",
        )
        expert = Run(expert)
    if isinstance(expert, Run):
        well = [seed for seed in range(expert.seeds) if seed not in expert.diverged]
        require(
            well, f"expected an expert with a seed that is well, in {expert} every one diverged"
        )
        return _given(expert.policy(well[0]), f"{title(expert)}, seed {well[0]}")
    if callable(getattr(expert, KINDS["policy"], None)):
        return _given(expert, label(expert))
    raise UserError(
        f"expected an expert as a policy, a run or a name, found {type(expert).__name__}; "
        "pass one of them, or None"
    )


def _named(name: str, why: str) -> Expert:
    return Expert(name, f"The expert, who scores 1, is {name}, {why}.", experts.EXPERTS[name])


def _given(policy: Policy, name: str) -> Expert:
    return Expert(name, f"The expert, who scores 1, is {name}.", lambda game: policy)
