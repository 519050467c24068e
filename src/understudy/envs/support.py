"""Where logged actions lie, and how far from them another action is."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from understudy.data.demonstrations import Demonstrations
from understudy.functional.written import written
from understudy.types import ActionSpec, AnyArray, require

GRID = 1_001
"""Quantiles that are kept of norms and distances."""
NARROW = 1e-6
"""Least variance of a value, as a share of its mean square, or of 1 where that is smaller."""


class Support(eqx.Module):
    """Where the actions of one group of a log lie; see `Support.of`.

    The distance of an action a is how unlikely it is under the log's own shares p of choices and
    the mean m and covariance C of its values, beside the likeliest action a*:

        d(a)² = -2 log p(a) / p(a*) = Σ_sections 2 log(max p / p(a_section)) + (a-m)ᵀ C⁻¹ (a-m),

    for values alone the Mahalanobis distance. Its norm is that of the values: choices have none.
    """

    action: ActionSpec = eqx.field(static=True)
    surprise: Float[Array, " choices"]
    """``2 log(max p / p)`` of every choice, sections side by side."""
    mean: Float[Array, " dimensions"]
    std: Float[Array, " dimensions"]
    whitening: Float[Array, "dimensions dimensions"]
    """W with ``WᵀW = C⁻¹``."""
    norms: Float[Array, " grid"]
    """Quantiles of logged norms, from the least to the greatest."""
    distances: Float[Array, " grid"]
    """Quantiles of logged distances."""

    @classmethod
    def of(cls, demonstrations: Demonstrations, group: str | None = None) -> Support:
        """Measure a log.

        Args:
            demonstrations: with known actions.
            group: whose actions; the only group that does not advance the state if left out.

        Raises:
            UserError: where no action of the group is known.
        """
        actions = logged_actions(demonstrations, group)
        spec = action_spec(demonstrations, group)
        count = len(spec.sections)
        surprises = []
        for i, size in enumerate(spec.sections):
            # half a row for every choice: one that nobody ever took is far away, not infinitely
            share = np.bincount(actions[:, i].astype(int), minlength=size) + 0.5
            surprises.append(2.0 * np.log(share.max() / share))
        values = actions[:, count:].astype(np.float64)
        mean = values.mean(0)
        least = NARROW * np.maximum(np.square(values).mean(0), 1.0)
        covariance = np.atleast_2d(np.cov(values.T, ddof=0)) if values.shape[1] else np.eye(0)
        covariance = covariance + np.diag(least)
        blank = cls(
            spec,
            jnp.asarray(np.concatenate([*surprises, np.zeros(0)]), jnp.float32),
            jnp.asarray(mean, jnp.float32),
            jnp.asarray(np.sqrt(np.diag(covariance)), jnp.float32),
            jnp.asarray(np.linalg.inv(np.linalg.cholesky(covariance)), jnp.float32),
            jnp.zeros(GRID),
            jnp.zeros(GRID),
        )
        share = np.linspace(0.0, 1.0, GRID)
        found = [np.quantile(np.asarray(f(actions)), share) for f in (blank.norm, blank.distance)]
        grids = tuple(jnp.asarray(grid, jnp.float32) for grid in found)
        return eqx.tree_at(lambda support: (support.norms, support.distances), blank, grids)

    def norm(self, action: Float[AnyArray, "*lead act"]) -> Float[Array, "*lead"]:
        """Euclidean norm of the values, in their own units."""
        values = jnp.asarray(action)[..., len(self.action.sections) :]
        return jnp.sqrt(jnp.square(values).sum(-1))

    def distance(self, action: Float[AnyArray, "*lead act"]) -> Float[Array, "*lead"]:
        """How far from logged actions; 0 for the likeliest one."""
        numbers = written(self.action, jnp.asarray(action))
        row = (1,) * (numbers.ndim - 1) + (-1,)
        hot, values = numbers[..., : self.action.choices], numbers[..., self.action.choices :]
        away = (values - self.mean.reshape(row)) @ self.whitening.T
        # a product with infinity is not a number where the choice was not taken
        rare = (hot * self.surprise.reshape(row)).sum(-1)
        return jnp.sqrt(rare + jnp.square(away).sum(-1))

    def norm_at(self, share: float) -> Float[Array, ""]:
        """The norm that this share of the logged actions does not exceed."""
        return _at(self.norms, share)

    def distance_at(self, share: float) -> Float[Array, ""]:
        """The distance that this share of the logged actions does not exceed."""
        return _at(self.distances, share)

    def norm_rank(self, norm: float) -> float:
        """Share of the logged actions whose norm is below."""
        return _rank(self.norms, norm)

    def distance_rank(self, distance: float) -> float:
        """Share of the logged actions that are nearer."""
        return _rank(self.distances, distance)


def action_spec(demonstrations: Demonstrations, group: str | None = None) -> ActionSpec:
    """What the group of a log that acts on the world may do.

    Raises:
        UserError: where it is not clear who that is, or it has no actions.
    """
    spec = demonstrations.spec
    name = acting(demonstrations) if group is None else group
    action = spec[name].action
    require(action is not None, f"expected a log of actions, found none of group {name!r}")
    assert action is not None
    return action


def acting(demonstrations: Demonstrations) -> str:
    """The only group of a log that does not advance the state.

    Raises:
        UserError: where there are more, or none.
    """
    names = [group.name for group in demonstrations.spec.groups if not group.advances]
    require(
        len(names) == 1,
        f"expected one group that acts on the world, found {names}; name the group",
    )
    return names[0]


def logged_actions(
    demonstrations: Demonstrations, group: str | None = None
) -> Float[np.ndarray, "rows act"]:
    """Every known action of a group, agents one after the other.

    Raises:
        UserError: where none is known.
    """
    name = acting(demonstrations) if group is None else group
    action_spec(demonstrations, name)
    known = demonstrations.known_actions()[name]
    require(
        demonstrations.actions is not None and known.any(),
        f"expected known actions of group {name!r}, found none; give the log it was learned from",
    )
    assert demonstrations.actions is not None
    return np.asarray(demonstrations.actions[name])[known]


def _at(grid: Float[Array, " grid"], share: float) -> Float[Array, ""]:
    require(0.0 <= share <= 1.0, f"expected a share within 0 and 1, found {share}")
    return jnp.interp(jnp.asarray(share), jnp.linspace(0.0, 1.0, grid.shape[0]), grid)


def _rank(grid: Float[Array, " grid"], value: float) -> float:
    return float(jax.device_get(jnp.searchsorted(grid, jnp.float32(value)))) / grid.shape[0]
