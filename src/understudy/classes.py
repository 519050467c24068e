"""Dataclasses that are pytrees, and the one error a user can mend. Seen through `types`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, dataclass_transform

import jax
import jax.core
import numpy as np

T = TypeVar("T")
Fixed: TypeAlias = float
"""A number among hyper-parameters that is not traced: 0 leaves out of a program what it weighs."""


class UserError(ValueError):
    """Something the caller can mend; its text is one sentence: expected, found, what to do."""


def require(condition: Any, message: str) -> None:
    """Raise `UserError` unless `condition` holds; a traced condition is not looked at.

    Raises:
        UserError: when `condition` is concrete and false.
    """
    if isinstance(condition, jax.core.Tracer):
        return
    arrays = isinstance(condition, np.ndarray | np.generic | jax.Array)
    if not (np.all(condition) if arrays else condition):
        raise UserError(message)


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """Make a frozen dataclass whose every field is part of the pytree.

    Its fields are checked when somebody builds it, not when JAX puts it together again: then
    they may hold shapes, axes or nothing.
    """
    return _register(cls, lambda annotation, value: True)


@dataclass_transform(frozen_default=True)
def hyperparameters(cls: type[T]) -> type[T]:
    """Make a frozen dataclass that enters jit as an argument.

    Fields annotated ``float`` (not `Fixed`) are traced leaves, so a sweep is a ``vmap``; fields
    holding other hyper-parameters (or a tuple of them) are children; everything else is static and
    must be hashable. ``__post_init__`` runs when a user builds the object and never on tracers.
    """
    cls = _register(
        cls, lambda annotation, value: _is_float(annotation) or _is_hyperparameters(value)
    )
    cls.__hyperparameters__ = True  # type: ignore[attr-defined]
    return cls


def _register(cls: type[T], traced: Callable[[Any, Any], bool]) -> type[T]:
    """Make a frozen dataclass and a pytree whose children are the fields `traced` says."""
    cls = dataclasses.dataclass(frozen=True)(cls)
    annotations = {f.name: f.type for f in dataclasses.fields(cls)}  # type: ignore[arg-type]

    def flatten(value: Any) -> tuple[list[tuple[Any, Any]], Any]:
        fields = [(n, getattr(value, n)) for n in annotations]
        children = [(n, v) for n, v in fields if traced(annotations[n], v)]
        names = tuple(n for n, _ in children)
        static = tuple((n, v) for n, v in fields if n not in names)
        return [(jax.tree_util.GetAttrKey(n), v) for n, v in children], (names, static)

    def unflatten(aux: Any, children: Any) -> Any:
        names, static = aux
        value = object.__new__(cls)
        for name, child in (*zip(names, children, strict=True), *static):
            object.__setattr__(value, name, child)
        return value

    jax.tree_util.register_pytree_with_keys(cls, flatten, unflatten)
    return cls


def _is_float(annotation: Any) -> bool:
    return annotation is float or str(annotation).replace(" ", "") in ("float", "float|None")


def _is_hyperparameters(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(_is_hyperparameters(item) for item in value)
    return hasattr(type(value), "__hyperparameters__")
