"""Packages that only adapters need: imported when asked for, silent, or one sentence."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import jax

from understudy.types import UserError

_EXTRAS = {
    "jaxmarl": "smax",
    "pettingzoo": "pettingzoo",
    "mpe2": "pettingzoo",
    "gymnasium": "mujoco",
    "gymnasium_robotics": "mujoco",
    "mujoco": "mujoco",
}
"""Package -> the extra that installs it."""


def package(module: str) -> Any:
    """Import a module of another package, without what it prints and warns of meanwhile.

    Raises:
        UserError: when the package is not installed.
    """
    if module in sys.modules:  # asked for at every step, so answered at once
        return sys.modules[module]
    root = module.split(".")[0]
    with quiet():
        try:
            return import_module(module)
        except ModuleNotFoundError as error:
            missing = (error.name or "").split(".")[0]
            if missing not in (root, *_EXTRAS):
                raise
            raise UserError(
                f"expected the package {missing}, which is not installed; "
                f'run pip install "understudy[{_EXTRAS[root]}]"'
            ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep another package from printing and warning; for a moment, in the main thread.

    JaxMARL sets ``sys.stdout`` and ``sys.stderr`` anew while it is imported, so both are put back.
    """
    names = ("stdout", "stderr", "__stdout__", "__stderr__")
    before = {name: getattr(sys, name) for name in names}
    sink = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for name in names:
                setattr(sys, name, sink)
            yield
        finally:
            for name, stream in before.items():
                setattr(sys, name, stream)


@contextlib.contextmanager
def lenient() -> Iterator[None]:
    """Let JAX mix dtypes and ranks, as other packages' programs do, whatever the caller's rules."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
