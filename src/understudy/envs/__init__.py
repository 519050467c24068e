"""Environments: the contract's tools, and the games by name.

Names are looked up on first use (PEP 562), so importing the package imports no JAX.
"""

from importlib import import_module
from typing import Any

from understudy.types import UserError

ENVS: dict[str, str] = {}
"""Game -> ``"module:Class"``."""

_PUBLIC = {
    "Batched": "understudy.envs.host",
    "Learned": "understudy.envs.learned",
    "assign": "understudy.envs.policies",
    "replay": "understudy.envs.policies",
}

__all__ = sorted((*_PUBLIC, "ENVS", "make"))  # pyright: ignore[reportUnsupportedDunderAll]


def make(name: str, **options: Any) -> Any:
    """Build a game by name.

    Raises:
        UserError: for an unknown name.
    """
    if name not in ENVS:
        raise UserError(f"expected one of the games {sorted(ENVS)}, found {name!r}")
    module, attribute = ENVS[name].split(":")
    return getattr(import_module(module), attribute)(**options)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'understudy.envs' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
