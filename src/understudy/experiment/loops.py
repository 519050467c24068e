"""The compiled training loop: many updates in one program, for every seed at once.

Collecting from a JAX env and updating, or taking windows and updating, are one loop under
`jit`. Seeds go side by side (on a CPU in turn, in the same program); the step, and every order
drawn from it, is shared. A seed whose state
stops being finite is frozen as it was before and goes along unchanged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from understudy import tree
from understudy.data.feed import Feed
from understudy.data.replay import Replay
from understudy.envs import rollout
from understudy.types import Batch, Metrics, Spec, Statistics, Window, record

INIT, UPDATE, BEGIN, DATA, VALIDATE, PRACTICE = range(6)
"""What a key is for; see `seed_keys`."""

SeedMetrics: TypeAlias = dict[str, Float[Array, "seeds ..."]]

QUICK = {"xla_backend_optimization_level": 0}
"""For programs that run once: compiled several times faster."""

ALIVE = -1
"""Value of `Carry.diverged` for a seed that is well."""


@record
class Carry:
    """Everything training has to remember between two chunks; every leaf leads with ``seeds``."""

    states: Any
    """Of the algorithm."""
    diverged: Int[Array, " seeds"]
    """Update, counted over all stages, whose result was not finite; -1 for a seed that is well."""
    actors: Any = None
    """What each seed's batch is made from: a `rollout.Actor` of a JAX env, or nothing."""


class Parts(NamedTuple):
    """A pytree cut into its arrays and the rest, so that both enter `jit`."""

    arrays: tuple[Any, ...]
    rest: tuple[Any, ...]
    """Hashable: leaves that are no arrays, and the structure."""

    @classmethod
    def of(cls, value: Any) -> Parts:
        """Cut `value`; an object that is no pytree counts as one leaf that is no array."""
        leaves, structure = jax.tree.flatten(value)
        arrays = tuple(leaf for leaf in leaves if hasattr(leaf, "__array__"))
        rest = tuple(None if hasattr(leaf, "__array__") else (leaf,) for leaf in leaves)
        return cls(arrays, (rest, structure))

    def whole(self) -> Any:
        """Put `value` together again."""
        arrays, (rest, structure) = iter(self.arrays), self.rest
        return jax.tree.unflatten(structure, [r[0] if r else next(arrays) for r in rest])


class Sizes(NamedTuple):
    """What decides the shape of the program, and is static."""

    envs: int
    """Envs per seed; 0 without a JAX env."""
    rollout: int
    """Env steps per update and env."""


def seed_keys(seed: int, seeds: int, stage: int, purpose: int) -> Key[Array, " seeds"]:
    """One key per seed: ``key(seed + i)`` folded with the stage and what it is for."""
    keys = [jax.random.key(seed + i) for i in range(seeds)]
    return jnp.stack([jax.random.fold_in(jax.random.fold_in(k, stage), purpose) for k in keys])


def over_seeds(function: Callable[..., Any], *trees: Any) -> Any:
    """`vmap` over the leading axis; a single seed goes without, which is quicker."""
    if jax.tree.leaves(trees)[0].shape[0] > 1:
        return jax.vmap(function)(*trees)
    return jax.tree.map(lambda leaf: leaf[None], function(*tree.index(trees, 0)))


def each_seed(function: Callable[..., Any], *trees: Any) -> Any:
    """`function` of every seed, one after the other on a CPU and side by side elsewhere.

    A CPU multiplies the matrices of one seed faster than a batch of them, and learning is matrices.
    """
    if jax.default_backend() != "cpu" or jax.tree.leaves(trees)[0].shape[0] == 1:
        return over_seeds(function, *trees)
    return jax.lax.map(lambda parts: function(*parts), trees)


def states(
    algorithm: Any, statistics: Statistics | None, keys: Key[Array, " seeds"], *, spec: Spec
) -> Any:
    """Fresh states ``[seeds, ...]``."""
    fresh = over_seeds(lambda key: algorithm.init(spec, statistics, key), keys)
    # a weak type would not survive a checkpoint, and the resumed program would be another one
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), fresh)


initialise = functools.partial(jax.jit, static_argnames="spec", compiler_options=QUICK)(states)
"""`states` in a program of their own."""


def actors(
    algorithm: Any,
    states: Any,
    env_arrays: Any,
    keys: Key[Array, " seeds"],
    *,
    env_rest: Any,
    envs: int,
) -> rollout.Actor:
    """Reset the envs of every seed, ``[seeds, envs, ...]``."""
    env = Parts(env_arrays, env_rest).whole()

    def one(state: Any, key: Key[Array, ""]) -> rollout.Actor:
        return rollout.begin(env, algorithm.policy(state, "explore"), key, envs=envs)

    return over_seeds(one, states, keys)


begin = functools.partial(jax.jit, static_argnames=("env_rest", "envs"), compiler_options=QUICK)(
    actors
)
"""`actors` in a program of their own."""


def update(
    algorithm: Any, carry: Carry, batches: Callable[..., Any], step: Any, offset: Any, keys: Any
) -> tuple[Carry, SeedMetrics]:
    """One update of every seed.

    Args:
        algorithm: hyper-parameters.
        carry: before.
        batches: ``(state, actor, key) -> (Batch, actor)`` of one seed.
        step: number of this update in its stage.
        offset: updates of the stages before.
        keys: one per seed; folded with `step` here.
    """

    def one(state: Any, actor: Any, key: Any) -> tuple[Any, Any, Metrics, Any]:
        collect_key, update_key = jax.random.split(jax.random.fold_in(key, step))
        batch, actor = batches(state, actor, collect_key)
        state, metrics = algorithm.update(state, batch, step, update_key)
        return state, actor, metrics, tree.all_finite(_learned(state))

    states, actors, metrics, finite = each_seed(one, carry.states, carry.actors, keys)
    diverged = jnp.where((carry.diverged == ALIVE) & ~finite, offset + step, carry.diverged)
    frozen = diverged != ALIVE
    unknown = {name: jnp.full_like(value, jnp.nan) for name, value in metrics.items()}
    metrics = tree.where(frozen, unknown, metrics)
    return Carry(_keep(frozen, carry.states, states), diverged, actors), metrics


@functools.partial(jax.jit, static_argnames=("env_rest", "sizes"), donate_argnames=("carry",))
def chunk(
    algorithm: Any,
    carry: Carry,
    windows: Window | None,
    env_arrays: Any,
    keys: Key[Array, " seeds"],
    at: tuple[Any, Any, Any],
    *,
    env_rest: Any,
    sizes: Sizes,
) -> tuple[Carry, SeedMetrics]:
    """Run some updates; return the carry and the mean of each metric.

    Args:
        algorithm: hyper-parameters; floats are traced.
        carry: donated.
        windows: of each update, ``[updates, batch, time, ...]``, maybe more than are used. They
            come from outside for resident sets too: gathered inside, the update would be fused
            with the gathering, and differ from a streamed one in the last bit.
        env_arrays: of `Parts`.
        keys: for updates, one per seed.
        at: the first step in its stage, the number of updates, and the updates of the stages
            before. All traced, so that one program serves chunks of every length.
        env_rest: of `Parts`.
        sizes: envs, rollout.
    """
    env = Parts(env_arrays, env_rest).whole()
    first, updates, offset = at

    @jax.jit
    def advance(carry: Carry, i: Any) -> tuple[Carry, SeedMetrics]:
        window = None if windows is None else tree.index(windows, i)

        def batches(state: Any, actor: Any, key: Any) -> tuple[Batch, Any]:
            if actor is None:
                return Batch(None, window), None
            policy = algorithm.policy(state, "explore")
            actor, rows = rollout.collect(env, policy, actor, key, steps=sizes.rollout)
            return Batch(rows, window), actor

        return update(algorithm, carry, batches, first + i, offset, keys)

    def body(i: Any, loop: tuple[Carry, SeedMetrics]) -> tuple[Carry, SeedMetrics]:
        carry, sums = loop
        carry, metrics = advance(carry, i)
        return carry, {name: sums[name] + value for name, value in metrics.items()}

    _, shapes = jax.eval_shape(advance, carry, jnp.int32(0))
    zeros = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}
    carry, sums = jax.lax.fori_loop(jnp.int32(0), updates, body, (carry, zeros))
    return carry, {name: total / updates.astype(total.dtype) for name, total in sums.items()}


def _is_replay(node: Any) -> bool:
    return isinstance(node, Replay)


def _learned(state: Any) -> Any:
    """`state` without replay buffers: data is not what diverges."""
    return jax.tree.map(lambda n: None if _is_replay(n) else n, state, is_leaf=_is_replay)


def _keep(frozen: Any, old: Any, new: Any) -> Any:
    """The old state of frozen seeds; replay buffers pass, as a choice would copy them."""

    def choose(before: Any, after: Any) -> Any:
        return after if _is_replay(after) else tree.where(frozen, before, after)

    return jax.tree.map(choose, old, new, is_leaf=_is_replay)


class Compiled:
    """Advances a carry by chunks, with a JAX env or without one."""

    timed = True
    """A checkpoint between any two chunks changes nothing."""

    def __init__(self, stage: Any, env: Any, feed: Feed | None, keys: Key[Array, " seeds"]) -> None:
        algorithm = stage.algorithm
        self.stage, self.feed, self.keys = stage, feed, keys
        self.env = Parts.of(env)
        self.sizes = Sizes(
            envs=0 if env is None else algorithm.envs,
            rollout=0 if env is None else algorithm.rollout,
        )

    def advance(self, carry: Carry, step: int, length: int) -> tuple[Carry, Any]:
        """Do `length` updates from `step` on; return the mean of each metric, per seed."""
        windows = None
        if self.feed is not None:
            # as many as in every chunk, so that the last one needs no program of its own
            windows = self.feed.chunk(step, self.stage.log_every)
        return chunk(
            self.stage.algorithm,
            carry,
            windows,
            self.env.arrays,
            self.keys,
            (jnp.int32(step), jnp.int32(length), jnp.int32(self.stage.offset)),
            env_rest=self.env.rest,
            sizes=self.sizes,
        )

    def close(self) -> None:
        """Stop the thread that feeds, if there is one."""
        if self.feed is not None:
            self.feed.close()
