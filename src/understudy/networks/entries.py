"""Joint rows of one side, demonstrations or policy, as discriminators and distances read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from understudy.types import Spec, record

Metric = Literal["own", "joint"]
"""Distance between what one agent saw and did, or between what the team did."""


@record
class Entries:
    """Joint rows ``[rows]`` of one side."""

    inputs: Any
    """``{group: [rows, agents, numbers]}``, see `discriminators.Inputs`."""
    alive: Any
    """``{group: [rows, agents]}``."""
    counted: Any
    """``{group: [rows, agents]}``: alive, and the action is known."""


def flat(entries: Entries) -> Entries:
    """Rows ``[one, other, agents, ...]`` one after the other."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), entries)


def joined(spec: Spec, values: Mapping[str, Any]) -> Array:
    """``{group: [*lead, agents]}`` -> ``[*lead, all agents]``, groups in order."""
    return jnp.concatenate([values[name] for name in spec.names], -1)


def crossed(spec: Spec, first: Entries, others: Entries) -> Entries:
    """The first group of one side and all other groups of the other side."""

    def pick(one: Any, other: Any) -> Any:
        return {name: (other if number else one)[name] for number, name in enumerate(spec.names)}

    return Entries(*(pick(getattr(first, f.name), getattr(others, f.name))
                     for f in dataclasses.fields(Entries)))  # fmt: skip


def distance(
    spec: Spec, theirs: Entries, ours: Entries, metric: Metric
) -> Float[Array, "rows agents"]:
    """How far apart rows are: root mean square over the inputs of an agent, or of all."""
    own = {
        name: jnp.square(y - ours.inputs[name]).mean(-1) for name, y in theirs.inputs.items()
    }  # fmt: skip
    squares = joined(spec, own)
    if metric == "own":
        return jnp.sqrt(squares)
    both: Bool[Array, "rows agents"] = joined(spec, theirs.counted) & joined(spec, ours.counted)
    weight = both.astype(squares.dtype)
    mean = (squares * weight).sum(-1, keepdims=True) / jnp.maximum(
        weight.sum(-1, keepdims=True), 1.0
    )
    return jnp.broadcast_to(jnp.sqrt(mean), squares.shape)


def between(theirs: Entries, ours: Entries, key: Key[Array, ""]) -> Entries:
    """A random place on the line between the rows of each pair."""
    rows = jax.tree.leaves(theirs.alive)[0].shape[0]
    share = jax.random.uniform(key, (rows,))

    def mix(y: Array, x: Array) -> Array:
        along = share.reshape(-1, *(1,) * (y.ndim - 1))
        return along * y + (1.0 - along) * x

    return Entries(
        jax.tree.map(mix, theirs.inputs, ours.inputs),
        jax.tree.map(jnp.logical_and, theirs.alive, ours.alive),
        jax.tree.map(jnp.logical_and, theirs.counted, ours.counted),
    )


def noisy(
    spec: Spec, entries: Entries, key: Key[Array, ""], std: float | Float[Array, ""]
) -> Entries:
    """The same rows with Gaussian noise on their inputs."""
    moved = {
        name: entries.inputs[name]
        + std * jax.random.normal(jax.random.fold_in(key, number), entries.inputs[name].shape)
        for number, name in enumerate(spec.names)
    }
    return dataclasses.replace(entries, inputs=moved)
