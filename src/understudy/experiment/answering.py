"""A finished run as something to act in: its world answers, and Gymnasium makes it by name.

    env = answering.answered("runs/world", reward="shop.rewards:clicks")
    env = gymnasium.make(
        "understudy.experiment.answering:understudy/Answered-v0",
        run="runs/world", reward="shop.rewards:clicks",
    )

The name before the colon is imported by Gymnasium, which registers the env.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from understudy.data import store
from understudy.envs.adapters.foreign import package
from understudy.envs.adapters.gym import Exported, to_gymnasium
from understudy.envs.answered import Answered
from understudy.envs.logged import HORIZON
from understudy.experiment.run import Run, load_world
from understudy.types import UserError, require

ID = "understudy/Answered-v0"


def answered(
    run: str | Path,
    *,
    reward: Any,
    demos: str | Path | None = None,
    horizon: int = HORIZON,
    starts: Literal["first", "any"] = "first",
    caution: float = 0.0,
    seed: int = 0,
) -> Answered:
    """The agent's side of the log that a run learned a world from.

    Args:
        run: folder of the run, or a copy of its ``policy/seed_0``.
        reward: ``(now [obs], done [act], after [obs]) -> number``, or where it is:
            ``"module:function"``.
        demos: folder of demonstrations, for states to begin in; those it was trained on if None.
        horizon: steps of an episode.
        starts: begin where a session begins, or in any state that somebody acted in.
        caution: what a unit of the world's uncertainty costs.
        seed: whose world, of a run of several.

    Raises:
        UserError: where there is no world, no reward or no log to begin in.
    """
    world = load_world(run, seed)
    log = store.load(_demos(Path(run)) if demos is None else Path(demos))
    return Answered.of(
        world, log, reward=_function(reward), horizon=horizon, starts=starts, caution=caution
    )


def gymnasium_env(**options: Any) -> Exported:
    """What Gymnasium makes of a run; arguments are those of `answered`."""
    return to_gymnasium(answered(**options))


def _demos(run: Path) -> Path:
    """The log a run was trained on.

    Raises:
        UserError: where it was not on disk, or this is an export.
    """
    known = None
    if (run / "config.json").is_file():
        known = (Run(run).config["demonstrations"] or {}).get("path")
    require(
        known is not None,
        f"expected demos= with states to begin in, found none, and {run} does not name a folder of "
        "demonstrations; give one",
    )
    return Path(str(known))


def _function(reward: Any) -> Any:
    """A function, or the one that is named."""
    if callable(reward):
        return reward
    module, colon, name = str(reward).partition(":")
    require(
        module and colon and name,
        f"expected a reward as a function or as 'module:function', found {reward!r}",
    )
    try:
        return getattr(import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UserError(
            f"expected a function {name!r} in the module {module!r}, found none: {error}"
        ) from error


def _register() -> None:
    """Once, however often this is imported."""
    gymnasium = package("gymnasium")
    if ID not in gymnasium.registry:
        gymnasium.register(ID, entry_point="understudy.experiment.answering:gymnasium_env")


_register()
