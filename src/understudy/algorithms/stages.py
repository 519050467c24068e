"""Stages: algorithms one after the other, each handing its weights to the next.

Warm starts, two-stage training and "learn a model, then a policy in it" are stages, never an
``if step < n`` inside an algorithm.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from understudy.types import UserError, require


@dataclasses.dataclass(frozen=True)
class Stages:
    """Train algorithms one after the other.

    Args:
        stages: ``((algorithm, steps), ...)``.
        handover: name of what a stage passes on, one of `HANDOVERS`.
        stretch: which stages a number of steps given to `train` (of all stages together) changes:
            ``"all"`` of them alike, or the ``"last"`` alone, so that a warm start stays as long
            as it is.

    Raises:
        UserError: for no stage, a stage without steps, or an unknown handover or stretch.
    """

    stages: tuple[tuple[Any, int], ...]
    handover: str = "copy_weights"
    stretch: str = "all"

    def __post_init__(self) -> None:
        require(len(self.stages) > 0, "expected at least one stage (algorithm, steps), found none")
        for stage in self.stages:
            require(
                isinstance(stage, tuple) and len(stage) == 2 and hasattr(stage[0], "update"),
                f"expected each stage to be (algorithm, steps), found {stage!r}",
            )
            require(stage[1] > 0, f"expected a stage of at least 1 step, found {stage[1]}")
        require(
            self.handover in HANDOVERS,
            f"expected a handover among {sorted(HANDOVERS)}, found {self.handover!r}",
        )
        require(
            self.stretch in ("all", "last"),
            f"expected to stretch 'all' stages or the 'last', found {self.stretch!r}",
        )

    @property
    def needs(self) -> frozenset[str]:
        """What any of the stages needs."""
        return frozenset().union(*(algorithm.needs for algorithm, _ in self.stages))

    @property
    def steps(self) -> int:
        """Steps of all stages together."""
        return sum(steps for _, steps in self.stages)

    def scaled(self, steps: int) -> Stages:
        """The same stages stretched to `steps` together, each at least one.

        Raises:
            UserError: for fewer steps than stages take that keep theirs.
        """
        if self.stretch == "last":
            last, own = self.stages[-1]
            kept = self.steps - own
            require(
                steps > kept,
                f"expected more than the {kept} steps that the stages before the last take, found "
                f"{steps}; give more, or shorten those stages",
            )
            return dataclasses.replace(self, stages=(*self.stages[:-1], (last, steps - kept)))
        share = steps / self.steps
        return dataclasses.replace(
            self, stages=tuple((a, max(1, round(n * share))) for a, n in self.stages)
        )

    def map(self, function: Callable[[Any], Any]) -> Stages:
        """The same stages with `function` applied to every algorithm."""
        return dataclasses.replace(self, stages=tuple((function(a), n) for a, n in self.stages))


def fresh(old: Any, new: Any) -> Any:
    """Pass nothing on."""
    return new


def copy_weights(old: Any, new: Any) -> Any:
    """Copy every leaf of ``params`` that the next stage has too: same path, shape and type.

    Optimiser states start afresh.

    Raises:
        UserError: when no leaf matches, or a state has no ``params``.
    """
    for state in (old, new):
        require(
            hasattr(state, "params"),
            f"copy_weights passes on State.params, found none in {type(state).__name__}; "
            "use another handover",
        )
    return dataclasses.replace(new, params=_matched("copy_weights", old.params, new.params))


def copy_policy(old: Any, new: Any) -> Any:
    """Copy the weights of the policy that the next stage has too, and nothing else.

    They are the ``params`` of a state, or of the optimiser inside it, and so on: a cloned policy
    goes to the optimiser of an adversarial state. Critics, discriminators and optimiser states
    start afresh.

    Raises:
        UserError: when a weight of the policy has no place in the next stage, or a state has no
            ``params`` and no optimiser inside.
    """
    _require_policy(old)
    return take_policy(_innermost(old).params, new)


def take_policy(network: Any, new: Any) -> Any:
    """Copy the weights of a network that acts into the policy of a fresh state.

    Raises:
        UserError: when a weight of the policy has no place there, or the state has no ``params``
            and no optimiser inside.
    """
    _require_policy(new)
    acting = network.acting() if hasattr(network, "acting") else network
    lost = sorted(_places(acting) - _places(_innermost(new).params))
    if lost:
        name, shape, _ = lost[0]
        raise UserError(
            f"expected a place in the new state for every weight of the policy, found none for "
            f"{len(lost)} of them, such as {name} of shape {shape}; give both the same network"
        )
    return _with_params(new, _matched("copy_policy", acting, _innermost(new).params))


def _require_policy(state: Any) -> None:
    require(
        hasattr(_innermost(state), "params"),
        f"expected State.params to take a policy from or to, or those of State.optimiser, found "
        f"neither in {type(state).__name__}; begin afresh",
    )


def _innermost(state: Any) -> Any:
    """The first state with ``params`` on the way through optimisers."""
    while not hasattr(state, "params") and hasattr(state, "optimiser"):
        state = state.optimiser
    return state


def _with_params(state: Any, params: Any) -> Any:
    """`state` with other ``params`` of its innermost."""
    if hasattr(state, "params"):
        return dataclasses.replace(state, params=params)
    return dataclasses.replace(state, optimiser=_with_params(state.optimiser, params))


def _matched(handover: str, old: Any, new: Any) -> Any:
    """`new` with every leaf that `old` has at the same path, of the same shape and type.

    Raises:
        UserError: when there is none.
    """
    known = {_describe(*place): place[1] for place in jax.tree_util.tree_leaves_with_path(old)}
    places, structure = jax.tree_util.tree_flatten_with_path(new)
    # an empty leaf says nothing
    matches = sum(_describe(*place) in known for place in places if np.size(place[1]))
    if not matches:
        raise UserError(
            f"{handover} found no weight that both stages share; use stages of the same networks "
            "or handover='fresh'"
        )
    leaves = [known.get(_describe(*place), place[1]) for place in places]
    return jax.tree.unflatten(structure, leaves)


def _places(tree: Any) -> set[tuple[str, tuple[int, ...], str]]:
    """What `_matched` tells leaves by."""
    return {_describe(*place) for place in jax.tree_util.tree_leaves_with_path(tree)}


def _describe(place: Any, leaf: Any) -> tuple[str, tuple[int, ...], str]:
    return jax.tree_util.keystr(place), np.shape(leaf), str(leaf.dtype)


HANDOVERS: dict[str, Callable[[Any, Any], Any]] = {
    "copy_weights": copy_weights,
    "copy_policy": copy_policy,
    "fresh": fresh,
}
"""Handover -> ``(state of the stage before, fresh state) -> state``."""
