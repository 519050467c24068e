"""The words and contracts of the library: specs, records, protocols, hyper-parameters.

Everything above this floor speaks in these types. Wherever agents appear, arrays are a mapping
from group name to an array with an ``agents`` axis. A mapping is a pytree and sorts its keys, so
order comes from ``spec.groups`` and from nowhere else.

Axis order, always: ``seeds, envs|episodes|batch, time, agents, features``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, Shaped

from understudy.classes import Fixed as Fixed
from understudy.classes import UserError as UserError
from understudy.classes import hyperparameters as hyperparameters
from understudy.classes import record as record
from understudy.classes import require as require
from understudy.specs import ActionSpec as ActionSpec
from understudy.specs import Entities as Entities
from understudy.specs import Group as Group
from understudy.specs import Spec as Spec
from understudy.specs import split_sections as split_sections

AXES = ("seeds", "envs", "episodes", "batch", "time", "agents", "obs", "act", "latent", "intents")

AnyArray: TypeAlias = Array | np.ndarray
"""On the host (streamed windows, host envs) records hold numpy arrays."""

Features: TypeAlias = PyTree[Float[AnyArray, "... ?agents ?obs"], "F"]
"""Observations of every group: ``{group: [..., agents, obs]}``, in the units of the spec."""
Actions: TypeAlias = PyTree[Float[AnyArray, "... ?agents ?act"], "A"]
"""Actions of every group, ``{group: [..., agents, act]}``, laid out by `ActionSpec`."""
Masks: TypeAlias = PyTree[Bool[AnyArray, "... ?agents"], "M"]
"""One truth value per agent: ``{group: [..., agents]}``."""
Rewards: TypeAlias = PyTree[Float[AnyArray, "... ?agents"], "R"]
"""One number per agent: ``{group: [..., agents]}``."""
Intents: TypeAlias = PyTree[Int[AnyArray, "... ?agents"], "I"]
"""One class per agent: ``{group: [..., agents]}``."""
Memory: TypeAlias = PyTree[Shaped[AnyArray, "..."]]
"""What a policy carries from step to step; ``()`` if nothing."""
Metrics: TypeAlias = dict[str, Float[Array, "..."]]
"""Named scalars and small arrays (a histogram, say); the same names and shapes every step."""
Mode: TypeAlias = Literal["sample", "mode", "explore"]

# --- records -------------------------------------------------------------------------------------


@record
class Observation:
    """What all agents see; leading axes (batch, time) are the caller's."""

    features: Features
    alive: Masks
    legal: PyTree[Bool[AnyArray, "... ?agents ?choices"], "L"] | None = None
    """``{group: [..., agents, choices]}``; None where every choice is legal."""
    state: Float[AnyArray, "... state"] | None = None
    decided: Actions | None = None
    """What groups have done already in this step, of those somebody else acts for; a policy that
    acts for later groups goes on from it."""

    def taken(self, name: str, action: Any) -> Any:
        """What a group does: what is decided, or else `action`."""
        return action if self.decided is None else self.decided.get(name, action)


@record
class Step:
    """What an env answers to a joint action: row t's description of t -> t+1."""

    observation: Observation
    """At t+1, before any reset."""
    action: Actions
    """As the env executed it: clipped, legal."""
    reward: Rewards
    terminated: Bool[AnyArray, "..."]
    truncated: Bool[AnyArray, "..."]
    info: PyTree[Shaped[AnyArray, "..."]] = dataclasses.field(default_factory=dict)


@record
class Window:
    """Consecutive rows of demonstrations, one row per observation, ``time`` first.

    ``action, reward, terminated, truncated`` of row t describe t -> t+1. Where nobody acted or
    the log does not say, ``action_known`` is False.
    """

    observation: Observation
    terminated: Bool[AnyArray, "... time"]
    truncated: Bool[AnyArray, "... time"]
    action_known: Masks
    action: Actions | None = None
    reward: Rewards | None = None
    intents: Intents | None = None


@record
class Rollout:
    """What an env and a policy produced together: ``[time, envs, ...]`` inside training."""

    observation: Observation
    observation_next: Observation
    """At t+1 before any reset: what bootstraps and (s, a, s') discriminators read."""
    action: Actions
    reward: Rewards
    terminated: Bool[AnyArray, "..."]
    truncated: Bool[AnyArray, "..."]
    starts: Bool[AnyArray, "..."]
    """True where an episode begins; memory is reset before acting there."""
    memory: Memory
    """The policy's memory before the first frame."""
    info: PyTree[Shaped[AnyArray, "..."]] = dataclasses.field(default_factory=dict)
    kept: PyTree[Shaped[AnyArray, "..."]] = ()
    """Of the policy's memory after each step, what it asks to keep; ``()`` if nothing."""


@record
class Batch:
    """What an update learns from; a part an algorithm does not need is None."""

    rollout: Rollout | None = None
    demonstrations: Window | None = None


@record
class Given:
    """Values that sampling has to respect where `held` is True."""

    values: PyTree[Shaped[AnyArray, "..."]]
    """Positions ``{group: [time, agents, obs]}`` or intents ``{group: [time, agents]}``."""
    held: Masks
    """``{group: [time, agents]}``."""


@record
class Samples:
    """Futures drawn by a generator, ``{group: [samples, time, agents, obs]}``."""

    features: Features
    intents: Intents | None = None
    """``{group: [samples, time, agents]}`` where the generator has intents."""


@record
class Statistics:
    """Moments of the training split, ``{group: [obs]}`` each, and of no other split."""

    mean: PyTree[Float[AnyArray, " ?obs"], "S"]
    std: PyTree[Float[AnyArray, " ?obs"], "S"]
    """Standard deviation; 1 for a constant feature, so that dividing is safe."""
    low: PyTree[Float[AnyArray, " ?obs"], "S"]
    high: PyTree[Float[AnyArray, " ?obs"], "S"]
    step_std: PyTree[Float[AnyArray, " ?obs"], "S"]
    """Root mean square of the change from row to row; 1 for a constant feature."""
    turn_std: PyTree[Float[AnyArray, " ?obs"], "S"]
    """Root mean square of the change of that change; 1 for a constant feature."""
    rate: Float[AnyArray, ""]
    """Rows per second."""


# --- protocols -----------------------------------------------------------------------------------


@runtime_checkable
class Env(Protocol):
    """A Markov game of pure functions, unbatched; callers ``vmap``. It never resets itself."""

    @property
    def spec(self) -> Spec: ...

    def reset(self, key: Key[Array, ""]) -> tuple[Any, Observation]: ...

    def step(self, state: Any, action: Actions, key: Key[Array, ""]) -> tuple[Any, Step]: ...


@runtime_checkable
class HostEnv(Protocol):
    """Any Python simulator: numpy arrays with a leading ``envs`` axis."""

    @property
    def spec(self) -> Spec: ...

    @property
    def envs(self) -> int: ...

    def reset(self, seeds: np.ndarray, where: np.ndarray | None = None) -> Observation:
        """Restart the envs selected by `where` (all if None) and return every observation."""
        ...

    def step(self, actions: Mapping[str, np.ndarray]) -> Step: ...

    def close(self) -> None: ...


@runtime_checkable
class Policy(Protocol):
    """What acts, for all agents at once. A pytree whose leaves are arrays."""

    decentralised: bool
    """Each agent's action depends on its own observation alone."""
    transfers: bool
    """Runs on another number of agents than it was trained on."""

    def memory(self, agents: Mapping[str, int]) -> Memory: ...

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]: ...

    def log_prob(
        self,
        observations: Observation,
        actions: Actions,
        starts: Bool[Array, " time"],
        memory: Memory,
    ) -> tuple[Rewards, Rewards]:
        """Log-probability and entropy per agent over a ``time`` axis."""
        ...


@runtime_checkable
class Generator(Protocol):
    """What samples futures given a past. A pytree whose leaves are arrays."""

    def sample(
        self,
        context: Observation,
        key: Key[Array, ""],
        *,
        samples: int,
        horizon: int,
        given: Given | None = None,
        intents: Given | None = None,
    ) -> Samples:
        """Draw `samples` futures of `horizon` rows after the rows of `context` (time first)."""
        ...


@runtime_checkable
class World(Protocol):
    """What predicts the next observation given a past and an action."""

    def step(
        self, past: Observation, action: Actions, key: Key[Array, ""]
    ) -> tuple[Observation, Observation, Float[Array, ""]]:
        """Return ``(past moved on by one row, next observation, uncertainty)``."""
        ...


@runtime_checkable
class Algorithm(Protocol):
    """Hyper-parameters and pure functions.

    It makes one or more of ``policy(state, mode)``, ``generator(state)``, ``world(state)``.
    With demonstrations it has ``window``, rows per training window, and ``batch``, windows per
    update; with an env ``envs``, games side by side, and ``rollout``, env steps of each per update.
    Optional: ``resolve(demonstrations) -> algorithm``, called once before ``init`` to fill in what
    depends on the training split; ``prepare(demonstrations) -> demonstrations``, called on the host
    before training, evaluation and generation (labels); ``presence``, which agents belong to a
    window (``agents`` of `data.sampling.windows`); ``steps``, how long to train by default;
    ``concern``, a sentence for whoever starts to train it, or None.
    """

    needs: ClassVar[frozenset[str]]
    """A subset of ``{"env", "demonstrations"}``."""

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> Any: ...

    def update(
        self, state: Any, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[Any, Metrics]: ...


def zero_metrics(names: tuple[str, ...]) -> Metrics:
    """Metrics of an update that had nothing to do: every name, value 0."""
    return {name: jnp.zeros(()) for name in names}
