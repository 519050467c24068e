"""Gymnasium's spaces and our specs: features from observations, actions both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from understudy.envs.adapters.foreign import package
from understudy.types import ActionSpec, UserError

MASK = "action_mask"
"""Key of the legal choices in a dictionary of observations (PettingZoo's convention)."""


def observation_size(space: Any) -> int:
    """Number of features of an observation: everything but a mask, flat; choices as one-hot.

    Raises:
        UserError: for a space without a fixed size.
    """
    try:
        return int(package("gymnasium.spaces").flatdim(_unmasked(space)))
    except (NotImplementedError, ValueError) as error:
        raise UserError(
            f"expected observations of a fixed size, found the space {space}; wrap the env so that "
            "its observations are a Box, Discrete, MultiDiscrete, MultiBinary or a Dict of those"
        ) from error


def features(space: Any, value: Any) -> Float[np.ndarray, " obs"]:
    """Lay an observation out as one row; see `observation_size`."""
    if has_mask(space):
        rest = {key: part for key, part in value.items() if key != MASK}
        value = next(iter(rest.values())) if len(rest) == 1 else rest
    space = _unmasked(space)
    if type(space).__name__ == "Box":
        return np.asarray(value, np.float32).ravel()
    return np.asarray(package("gymnasium.spaces").flatten(space, value), np.float32)


def has_mask(space: Any) -> bool:
    """Whether observations carry the legal choices."""
    return MASK in getattr(space, "spaces", {})


def action_spec(space: Any) -> ActionSpec:
    """What an action space allows.

    Raises:
        UserError: for spaces that are neither choices nor a box of real numbers.
    """
    kind = type(space).__name__
    if kind == "Discrete":
        return ActionSpec(sections=(int(space.n),))
    if kind == "MultiDiscrete":
        return ActionSpec(sections=tuple(int(n) for n in space.nvec.ravel()))
    if kind == "MultiBinary":
        return ActionSpec(sections=(2,) * int(np.prod(space.shape)))
    if kind == "Box" and np.issubdtype(space.dtype, np.floating):
        low, high = space.low.ravel().tolist(), space.high.ravel().tolist()
        return ActionSpec(low=tuple(low), high=tuple(high))
    raise UserError(
        f"expected actions in a Discrete, MultiDiscrete, MultiBinary or real Box space, found "
        f"{space}; wrap the env so that its actions are one of those"
    )


def action_space(spec: ActionSpec) -> Any:
    """The space of actions that `spec` allows, choices counted from 0.

    Raises:
        UserError: for choices and real numbers in one action, which no flat space holds.
    """
    spaces = package("gymnasium.spaces")
    if spec.sections and spec.low:
        raise UserError(
            f"expected actions of choices alone or of real numbers alone, found {spec}; PettingZoo "
            "has no common space for both"
        )
    if len(spec.sections) == 1:
        return spaces.Discrete(spec.sections[0])
    if spec.sections:
        return spaces.MultiDiscrete(np.array(spec.sections))
    return spaces.Box(np.array(spec.low, np.float32), np.array(spec.high, np.float32))


def executed(
    spec: ActionSpec, row: Any, legal: Bool[np.ndarray, " choices"] | None = None
) -> Float[np.ndarray, " act"]:
    """The action that is played for `row`: clipped, and the first legal choice for an illegal one.

    Args:
        spec: of the action.
        row: as a policy gave it.
        legal: one truth value per choice; all are legal if left out.
    """
    row, count = np.array(row, np.float32), len(spec.sections)
    if count:
        row[:count] = np.clip(np.rint(row[:count]), 0, np.array(spec.sections) - 1)
    if spec.low:
        row[count:] = np.clip(row[count:], spec.low, spec.high)
    if legal is not None:
        for i, end in enumerate(np.cumsum(spec.sections)):
            choices = legal[end - spec.sections[i] : end]
            if not choices[int(row[i])] and choices.any():
                row[i] = np.argmax(choices)
    return row


def action(space: Any, row: Float[np.ndarray, " act"]) -> Any:
    """An action of ours as `space` has it."""
    kind = type(space).__name__
    if kind == "Discrete":
        return int(row[0]) + int(space.start)
    shaped = row.reshape(space.shape).astype(space.dtype)
    return shaped + space.start if kind == "MultiDiscrete" else shaped


def row_of(spec: ActionSpec, mask: Any) -> Bool[np.ndarray, " choices"]:
    """A mask, or one per section, as one row."""
    parts = mask if isinstance(mask, tuple) else (mask,)
    row = np.concatenate([np.asarray(part, bool).ravel() for part in parts])
    if row.shape != (spec.choices,):
        raise UserError(
            f"expected an action mask of {spec.choices} choices, found {row.shape[0]}; give one "
            "truth value per choice"
        )
    return row


def _unmasked(space: Any) -> Any:
    """The space without its mask; what is inside a dictionary of nothing else."""
    if not has_mask(space):
        return space
    rest = {key: part for key, part in space.spaces.items() if key != MASK}
    if len(rest) == 1:
        return next(iter(rest.values()))
    return package("gymnasium.spaces").Dict(rest)
