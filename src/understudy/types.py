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

# --- specs ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ActionSpec:
    """A product of categorical sections and bounded continuous dimensions.

    An action is one float row: first one index per section, then the continuous values.
    Pure-discrete (`low` empty) and pure-continuous (`sections` empty) are special cases.
    """

    sections: tuple[int, ...] = ()
    """Number of choices of each categorical section."""
    low: tuple[float, ...] = ()
    """Lower bound of each continuous dimension; ``-inf`` if none."""
    high: tuple[float, ...] = ()
    """Upper bound of each continuous dimension; ``inf`` if none."""

    def __post_init__(self) -> None:
        require(
            len(self.low) == len(self.high),
            f"expected one upper bound per lower bound, found {len(self.low)} lower and "
            f"{len(self.high)} upper; give both for each continuous dimension",
        )
        require(
            all(n > 0 for n in self.sections),
            f"expected every section to have a choice, found sections {self.sections}",
        )

    @property
    def size(self) -> int:
        """Columns of a stored action: sections, then continuous dimensions."""
        return len(self.sections) + len(self.low)

    @property
    def choices(self) -> int:
        """Columns of a legal mask: the choices of all sections, one after the other."""
        return sum(self.sections)


@dataclasses.dataclass(frozen=True)
class Entities:
    """Columns of an observation that show things of one kind, each in as many columns."""

    name: str
    first: int
    """Number of the first column."""
    count: int
    """How many things are shown; one whose columns are all 0 is not there."""
    size: int
    """Columns of each."""

    @property
    def columns(self) -> slice:
        """All of theirs."""
        return slice(self.first, self.first + self.count * self.size)


@dataclasses.dataclass(frozen=True)
class Group:
    """Agents with the same observation and action spec, stacked on one ``agents`` axis."""

    name: str
    agents: int
    """Capacity: slots in storage and in per-agent weights; a policy reads N from its input."""
    observation: int
    """Number of features each agent observes."""
    action: ActionSpec | None = None
    """None for a track: somebody acted, nobody wrote down how."""
    sees: tuple[str, ...] = ()
    """Earlier groups whose action of this step this group observes. An env cannot know it when it
    observes, so stored features have `observation` columns and a policy appends the actions with
    `tree.with_seen`; a seen group has a fixed number of agents."""
    features: tuple[str, ...] = ()
    """Names of the features, if known: ``("x", "y")``."""
    sets: tuple[Entities, ...] = ()
    """Which features show things of one kind, if known, in order of their columns; the others are
    the agent's own. A network that reads sets runs on other numbers of them."""
    advances: bool = False
    """Its action is what everybody observes next, written as features: one-hot sections, then the
    continuous values. It plays the part of the world."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Columns that hold the numbers of other agents of the group, nearest first.

        They are named ``"ids 0"``, ``"ids 1"`` and so on.
        """
        return tuple(i for i, name in enumerate(self.features) if name.startswith("ids "))


@dataclasses.dataclass(frozen=True)
class Spec:
    """An ordered tuple of groups: the only source of order, of acting too."""

    groups: tuple[Group, ...]
    state: int = 0
    """Size of the global state; 0 if none is recorded."""
    horizon: int | None = None
    """Longest episode in steps; None if unbounded."""

    def __post_init__(self) -> None:
        seen: list[str] = []
        for group in self.groups:
            require(group.name not in seen, f"group name {group.name!r} is used twice; rename one")
            missing = [name for name in group.sees if name not in seen]
            require(
                not missing,
                f"group {group.name!r} sees {missing}, expected earlier groups among {seen}; "
                "list the groups in acting order",
            )
            seen.append(group.name)
        advancing = [group for group in self.groups if group.advances]
        for group in advancing:
            wanted = 0 if group.action is None else group.action.choices + len(group.action.low)
            sizes = {other.name: other.observation for other in self.groups}
            require(
                len(advancing) == 1 and set(sizes.values()) == {wanted} and group.agents == 1,
                f"expected one group of one agent that decides the {wanted} features which "
                f"everybody observes next, found {[g.name for g in advancing]} and observations of "
                f"{sizes}",
            )

    def __getitem__(self, name: str) -> Group:
        for group in self.groups:
            if group.name == name:
                return group
        raise UserError(f"expected one of the groups {list(self.names)}, found {name!r}")

    def inputs(self, name: str) -> int:
        """Columns of `tree.with_seen`: a group's features and the actions of all it sees."""
        seen = [self[other] for other in self[name].sees]
        return self[name].observation + sum(
            group.agents * group.action.size for group in seen if group.action
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Group names in order."""
        return tuple(group.name for group in self.groups)


# --- records -------------------------------------------------------------------------------------


@record
class Observation:
    """What all agents see; leading axes (batch, time) are the caller's."""

    features: Features
    alive: Masks
    legal: PyTree[Bool[AnyArray, "... ?agents ?choices"], "L"] | None = None
    """``{group: [..., agents, choices]}``; None where every choice is legal."""
    state: Float[AnyArray, "... state"] | None = None


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
