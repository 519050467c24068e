"""Discs that are pushed around in the plane: the physics that the particle games share.

With force F, velocity v, position p, mass 1 and a step of ``dt = 0.1``::

    v' = 0.75 v + F dt        cut to the disc's top speed, if it has one
    p' = p + v dt             or p + v' dt, where velocities move first
    F  = action + sum over touching discs of 100 u softplus((touch - |d|) / k) k

where ``d`` points from the other disc to this one, ``u = d / |d|``, ``touch`` is the sum of their
radii and ``k = 0.001``. There are no walls but those of `walled`.

Arrays are ``[discs, 2, ...]``: any axes may follow, and computing is elementwise over them. A batch
of games is fastest with its axis last, where a processor's vectors run along it.

Source: Mordatch and Abbeel, Emergence of Grounded Compositional Language (arXiv 1703.04908), and
the rules of mpe2 1.1.1, with which `Spread`, `SpeakerListener`, `Tag` and `Push` agree.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, Shaped

from understudy.types import ActionSpec, record, require

DT, DAMPING = 0.1, 0.25
CONTACT_FORCE, CONTACT_MARGIN = 100.0, 1e-3
SHORT = 8
"""Longest axis that `add` and `least` write out."""
CHOICES = 5
"""Do nothing, move left, right, down, up."""

DISCRETE = ActionSpec(sections=(CHOICES,))
BOXES = ActionSpec(low=(0.0,) * CHOICES, high=(1.0,) * CHOICES)
"""How much of each choice; the first does nothing."""
PLANE = ActionSpec(low=(-1.0, -1.0), high=(1.0, 1.0))
"""The direction itself."""

ACTIONS = {"discrete": DISCRETE, "boxes": BOXES, "plane": PLANE}


def check(action: str, horizon: int) -> None:
    """See that a game's actions and its horizon are such.

    Raises:
        UserError: otherwise.
    """
    require(action in ACTIONS, f"expected actions of {sorted(ACTIONS)}, found {action!r}")
    require(horizon >= 1, f"expected at least one step, found a horizon of {horizon}")


@record
class Pair:
    """Where two discs are, in the order of their groups; axes of envs may follow."""

    positions: Float[Array, "2 2 *envs"]
    velocities: Float[Array, "2 2 *envs"]
    time: Int[Array, "*envs"]


def scatter(key: Key[Array, ""], count: int, half_size: Any = 1.0) -> Float[Array, "count 2"]:
    """Places drawn evenly from the square ``[-half_size, half_size]²``."""
    return half_size * jax.random.uniform(key, (count, 2), minval=-1.0, maxval=1.0)


def executed(spec: ActionSpec, action: Float[Array, "agents act *envs"]) -> Float[Array, "..."]:
    """Actions as the games play them: whole choices that exist, amounts within bounds."""
    if spec.sections:
        return jnp.clip(jnp.round(action), 0.0, spec.sections[0] - 1.0)
    return jnp.clip(action, spec.low[0], spec.high[0])


def direction(
    spec: ActionSpec, action: Float[Array, "agents act *envs"], *, right_first: bool = False
) -> Float[Array, "agents 2 *envs"]:
    """Where each agent wants to go: at most 1 along each axis.

    Args:
        spec: one of `DISCRETE`, `BOXES`, `PLANE`.
        action: as executed.
        right_first: choices are read as right, left, up, down.
    """
    if spec == PLANE:
        return action
    amount = amounts(spec, action)
    sides = [amount[:, 2] - amount[:, 1], amount[:, 4] - amount[:, 3]]
    return jnp.stack([-side for side in sides] if right_first else sides, 1)


def amounts(
    spec: ActionSpec, action: Float[Array, "agents act *envs"]
) -> Float[Array, "agents choices *envs"]:
    """How much of each choice an executed action holds: all of one, or as it says."""
    if not spec.sections:
        return action
    return one_hot(action[:, 0], spec.sections[0], 1).astype(action.dtype)


def one_hot(index: Shaped[Array, "..."], count: int, axis: int) -> Bool[Array, "..."]:
    """True at `index`, along a new `axis` of length `count`."""
    numbers = jnp.arange(count, dtype=index.dtype)
    shape = [1] * (index.ndim + 1)
    shape[axis] = count
    return jnp.expand_dims(index, axis) == numbers.reshape(shape)


def contact(
    here: Float[Array, "discs 2 *envs"],
    there: Float[Array, "others 2 *envs"],
    touch: Float[np.ndarray, "discs others"],
) -> Float[Array, "discs 2 *envs"]:
    """Force on each disc of `here` from those of `there`.

    Args:
        here: positions.
        there: positions.
        touch: distance at which two discs touch; ``-inf`` where they pass through each other.
    """
    # one axis of the plane at a time: compilers then merge each sum with what it adds up
    apart = [here[:, None, axis] - there[None, :, axis] for axis in (0, 1)]
    squared = jnp.square(apart[0]) + jnp.square(apart[1])
    solid = along(touch > 0, squared.ndim) & (squared > 0.0)
    reach = along(np.maximum(touch, 0.0), squared.ndim).astype(squared.dtype)
    strength = repulsion(squared, reach, solid)
    return jnp.stack([add(strength * away, 1) for away in apart], 1)


def repulsion(
    squared: Float[Array, "..."], touch: Any, solid: Bool[Array, "..."]
) -> Float[Array, "..."]:
    """Force between two discs over the distance between them.

    Args:
        squared: distance, squared.
        touch: distance at which they touch.
        solid: they push each other; they are not in one place.
    """
    distance = jnp.sqrt(jnp.where(solid, squared, 1.0))
    depth = jax.nn.softplus((touch - distance) / CONTACT_MARGIN) * CONTACT_MARGIN
    return jnp.where(solid, CONTACT_FORCE * depth / distance, 0.0)


def move(
    position: Float[Array, "discs 2 *envs"],
    velocity: Float[Array, "discs 2 *envs"],
    force: Float[Array, "discs 2 *envs"],
    *,
    top_speed: Float[np.ndarray, " discs"] | None = None,
    velocity_first: bool = False,
) -> tuple[Float[Array, "discs 2 *envs"], Float[Array, "discs 2 *envs"]]:
    """Positions and velocities one step later.

    Args:
        position: now.
        velocity: now, per second.
        force: on each disc.
        top_speed: of each disc; none if left out.
        velocity_first: positions follow the new velocities, not the old ones.
    """
    faster = velocity * (1.0 - DAMPING) + force * DT
    if top_speed is not None:
        speed = length(faster, 1)
        limit = along(np.asarray(top_speed), speed.ndim).astype(speed.dtype)
        cut = jnp.where(speed > limit, limit / jnp.where(speed > limit, speed, 1.0), 1.0)
        faster = faster * cut[:, None]
    return position + (faster if velocity_first else velocity) * DT, faster


def walled(
    position: Float[Array, "discs 2 *envs"],
    velocity: Float[Array, "discs 2 *envs"],
    limit: Float[np.ndarray, " discs"],
) -> tuple[Float[Array, "discs 2 *envs"], Float[Array, "discs 2 *envs"]]:
    """Positions and velocities inside the hard walls of a square, which take all speed into them.

    Args:
        position: after a step.
        velocity: after a step.
        limit: how far from the middle each disc's centre can get along an axis.
    """
    far = along(np.asarray(limit)[:, None], position.ndim).astype(position.dtype)
    outward = jnp.sign(position) * velocity > 0.0
    stopped = jnp.where((jnp.abs(position) >= far) & outward, 0.0, velocity)
    return jnp.clip(position, -far, far), stopped


def chosen(
    places: Float[Array, "places 2 *envs"], index: Int[Array, "*envs"]
) -> Float[Array, "1 2 *envs"]:
    """The place at `index`."""
    picked = one_hot(index, places.shape[0], 0)[:, None]
    return add(jnp.where(picked, places, 0.0), 0)[None]


def between(
    origin: Float[Array, "discs 2 *envs"], target: Float[Array, "others 2 *envs"]
) -> Float[Array, "discs others 2 *envs"]:
    """From each origin to each target."""
    return target[None] - origin[:, None]


def length(vectors: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Euclidean length along `axis`, with a gradient of 0 where it is 0."""
    first, second = (jax.lax.index_in_dim(vectors, i, axis, keepdims=False) for i in (0, 1))
    return norm(first, second)


def norm(x: Float[Array, "..."], y: Float[Array, "..."]) -> Float[Array, "..."]:
    """Length of the vector ``(x, y)``, with a gradient of 0 where it is 0."""
    squared = jnp.square(x) + jnp.square(y)
    return jnp.where(squared > 0.0, jnp.sqrt(jnp.where(squared > 0.0, squared, 1.0)), 0.0)


def soft_length(vectors: Float[Array, "*lead 2"], softness: Any) -> Float[Array, "*lead"]:
    """``sqrt(|v|² + s²) - s``: the length, at most s too short and smooth at 0 too."""
    return jnp.sqrt(jnp.sum(jnp.square(vectors), -1) + softness**2) - softness


def without_self(
    pairs: Float[Array, "agents agents *rest"],
) -> Float[Array, "agents agents-1 *rest"]:
    """Leave out the diagonal: what each agent sees of the others, in their order."""
    count, rest = pairs.shape[0], pairs.shape[2:]
    if count == 1:
        return pairs[:, :0]
    # after the first entry, every stretch of n + 1 entries ends on the diagonal
    flat = pairs.reshape(count * count, *rest)[1:]
    kept = flat.reshape(count - 1, count + 1, *rest)[:, :-1]
    return kept.reshape(count, count - 1, *rest)


def nearest(
    here: Float[Array, "agents 2 *envs"],
    there: Float[Array, "others 2 *envs"],
    count: int,
    *,
    itself: bool,
) -> Int[Array, "agents count *envs"]:
    """Numbers of the `count` others at the least L1 distance, nearest first; -1 where they end.

    Args:
        here: from whose positions.
        there: to whose.
        count: how many.
        itself: `here` and `there` are the same, and nobody is near itself.
    """
    apart = jnp.abs(between(here, there))
    reach = apart[:, :, 0] + apart[:, :, 1]
    total = reach.shape[1]
    order = along(np.arange(total, dtype=np.int32), reach.ndim - 1)[None]
    if itself:
        reach = jnp.where(along(np.eye(total, dtype=bool), reach.ndim), jnp.inf, reach)
    found = []
    for _ in range(min(count, total - itself)):
        first = jnp.where(reach == least(reach, 1)[:, None], order, total)
        found.append(least(first, 1)[:, None])
        reach = jnp.where(order == found[-1], jnp.inf, reach)
    missing = (here.shape[0], count - len(found), *reach.shape[2:])
    return jnp.concatenate([*found, jnp.full(missing, -1, jnp.int32)], 1)


def pick(
    values: Float[Array, "others k *envs"], numbers: Int[Array, "agents count *envs"]
) -> Float[Array, "agents count k *envs"]:
    """The values of those numbers."""
    at = jnp.maximum(numbers, 0)[:, :, None]
    return jnp.take_along_axis(values[None], at, 1)


def add(values: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Sum along `axis`; a short one is written out, so that compilers merge it."""
    return _fold(jnp.add, jnp.sum, values, axis)


def flat(values: Float[Array, "agents seen k *envs"]) -> Float[Array, "agents numbers *envs"]:
    """All that an agent sees, one number after the other."""
    return values.reshape(values.shape[0], -1, *values.shape[3:])


def joined(*parts: Float[Array, "_ 2 *envs"]) -> Float[Array, "numbers *envs"]:
    """Places and velocities as one row: a global state."""
    return jnp.concatenate([part.reshape(-1, *part.shape[2:]) for part in parts])


def least(values: Shaped[Array, "..."], axis: int) -> Shaped[Array, "..."]:
    """Minimum along `axis`, as `add`."""
    return _fold(jnp.minimum, jnp.min, values, axis)


def _fold(two: Any, all_: Any, values: Array, axis: int) -> Array:
    count = values.shape[axis]
    if not 1 <= count <= SHORT:
        return all_(values, axis)
    parts = [jax.lax.index_in_dim(values, i, axis, keepdims=False) for i in range(count)]
    return functools.reduce(two, parts)


def along(values: Any, ndim: int) -> Array:
    """`values` with axes of length 1 appended, so that it broadcasts along `ndim` axes."""
    values = jnp.asarray(values)
    return values.reshape(values.shape + (1,) * (ndim - values.ndim))
