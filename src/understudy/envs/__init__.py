"""Environments: the contract's tools, and the games by name.

Names are looked up on first use (PEP 562), so importing the package imports no JAX.
"""

import json
from importlib import import_module
from operator import attrgetter
from typing import Any

from understudy.types import UserError

ENVS: dict[str, str] = {
    "box-bumper": "understudy.envs.box_bumper:BoxBumper",
    "cartpole": "understudy.envs.cartpole:CartPole",
    "roles": "understudy.envs.roles:Roles",
    "halfcheetah-6x1": "understudy.envs.adapters.mujoco:half_cheetah",
    "logged": "understudy.envs.logged:Logged.load",
    "mamujoco": "understudy.envs.adapters.mujoco:MaMuJoCo",
    "market": "understudy.envs.market:Market",
    "predator-prey": "understudy.envs.predator_prey:PredatorPrey",
    "push": "understudy.envs.push:Push",
    "smax": "understudy.envs.adapters.smax:Smax",
    "speaker-listener": "understudy.envs.speaker_listener:SpeakerListener",
    "spread": "understudy.envs.spread:Spread",
    "spread-goodai": "understudy.envs.spread:Spread.goodai",
    "spread-magail": "understudy.envs.spread:Spread.magail",
    "spread-openai": "understudy.envs.spread:Spread.openai",
    "tag": "understudy.envs.tag:Tag",
    "two-arm-platform": "understudy.envs.adapters.two_arms:TwoArmPlatform",
    "xor": "understudy.envs.xor:Xor",
}
"""Game -> ``"module:Class"`` or ``"module:function"`` that builds it."""

_PUBLIC = {
    "Batched": "understudy.envs.host",
    "BoxBumper": "understudy.envs.box_bumper",
    "CartPole": "understudy.envs.cartpole",
    "Learned": "understudy.envs.learned",
    "Logged": "understudy.envs.logged",
    "MaMuJoCo": "understudy.envs.adapters.mujoco",
    "Market": "understudy.envs.market",
    "PredatorPrey": "understudy.envs.predator_prey",
    "Roles": "understudy.envs.roles",
    "Push": "understudy.envs.push",
    "Smax": "understudy.envs.adapters.smax",
    "SpeakerListener": "understudy.envs.speaker_listener",
    "Spread": "understudy.envs.spread",
    "Tag": "understudy.envs.tag",
    "TwoArmPlatform": "understudy.envs.adapters.two_arms",
    "Xor": "understudy.envs.xor",
    "assign": "understudy.envs.policies",
    "experts": "understudy.envs.experts",
    "from_parallel": "understudy.envs.adapters.pettingzoo",
    "player": "understudy.envs.adapters.player",
    "replay": "understudy.envs.policies",
    "to_pettingzoo": "understudy.envs.adapters.export",
    "wrappers": "understudy.envs.wrappers",
}

__all__ = sorted((*_PUBLIC, "ENVS", "make"))  # pyright: ignore[reportUnsupportedDunderAll]


def make(name: str, **options: Any) -> Any:
    """Build a game by name, such as ``"spread"`` or ``"spread:agents=12"``.

    Args:
        name: of `ENVS`; arguments may follow a colon as ``key=value``, separated by commas, values
            as JSON or plain text.
        options: more arguments of the game.

    Raises:
        UserError: for an unknown name or argument.
    """
    name, _, written = name.partition(":")
    if name not in ENVS:
        raise UserError(f"expected one of the games {sorted(ENVS)}, found {name!r}")
    module, attribute = ENVS[name].split(":")
    given = {**_arguments(written), **options}
    try:
        return attrgetter(attribute)(import_module(module))(**given)
    except TypeError as error:
        raise UserError(
            f"expected arguments of the game {name!r}, found {sorted(given)}: {error}"
        ) from error


def _arguments(written: str) -> dict[str, Any]:
    """Read ``key=value,key=value``."""
    found = {}
    for pair in written.split(",") if written else ():
        key, equals, value = pair.partition("=")
        if not (equals and key):
            raise UserError(f"expected key=value after the name of a game, found {pair!r}")
        try:
            found[key.strip()] = json.loads(value)
        except json.JSONDecodeError:
            found[key.strip()] = value
    return found


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'understudy.envs' has no attribute {name!r}")
    module = import_module(_PUBLIC[name])
    return module if _PUBLIC[name] == f"understudy.envs.{name}" else getattr(module, name)
