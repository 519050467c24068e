"""The generator of joint futures: any number of agents, chained windows, rows that are held."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from understudy.functional.energy import squares
from understudy.networks.scene import SceneModel, rows_of
from understudy.networks.tokens import join, part
from understudy.types import Given, Observation, Samples, UserError, Window, require


class SceneGenerator(eqx.Module):
    """Samples futures of all agents at once, from a model of scenes."""

    model: SceneModel
    seen: tuple[str, ...] = eqx.field(static=True, default=())
    """Groups that are read and never written."""
    scored: int = eqx.field(static=True, default=20)
    """Futures that `bound` judges by."""

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
        """Draw `samples` futures of `horizon` rows after the rows of `context`, time first.

        Horizons longer than a window are chained: what was drawn is the past of what comes next.

        Args:
            context: rows seen, at least one; agents absent from the last one are not drawn.
            key: of all draws.
            samples: number of futures.
            horizon: rows to draw.
            given: positions ``{group: [horizon, agents, 2]}`` reproduced where held. A row alone is
                a destination, of which only the window it lies in knows. Groups that are only seen
                are there as far as rows are given.
            intents: none; this generator has destinations in their place.

        Returns:
            Samples of every group that is not only seen; absent agents stay at zero.

        Raises:
            UserError: for intents, or no rows.
        """
        if intents is not None:
            raise UserError(
                "expected no intents, which this generator does not have; give positions of some "
                "rows (given), a last row alone is a destination"
            )
        model = self.model
        past, known, alive = self._begin(context)
        require(
            past.shape[0] >= 1 and horizon >= 1,
            f"expected at least one row of context and of horizon, found {past.shape[0]} and "
            f"{horizon}; ask for at least one of each",
        )
        counts = {name: context.features[name].shape[-2] for name in model.spec.names}
        kind = model.of_group(counts)
        ahead, before = model.rows - model.now - 1, model.now + 1
        chunks = math.ceil(horizon / ahead)
        given_rows = self._held(given, context, horizon, chunks * ahead)
        keys = jax.random.split(key, chunks)
        rows = (_last(past, before), _last(known & alive[None], before))
        read = model.read(*_followed(rows, _chunk(given_rows, 0, ahead)), kind)
        drawn = [rows_of(model.futures(read, keys[0], samples))[:, -ahead:]]
        past, known = (jnp.broadcast_to(x, (samples, *x.shape)) for x in rows)
        rows = (past, known)
        for number in range(1, chunks):
            _, held = _chunk(given_rows, number - 1, ahead)
            there = (self._lasting(kind, alive)[None] | held)[None]
            there = jnp.broadcast_to(there, (samples, *held.shape))
            longer = _followed(rows, (drawn[-1], there))
            rows = (longer[0][:, -before:], longer[1][:, -before:])
            read = model.read(*_followed(rows, _chunk(given_rows, number, ahead)), kind)
            drawn.append(rows_of(model.futures(read, keys[number], 1))[:, 0, -ahead:])
        future = jnp.concatenate(drawn, 1)[:, :horizon]
        future = jnp.where(alive[None, None, :, None], future, 0.0)
        found = part(model.spec, future, counts)
        return Samples({name: x for name, x in found.items() if name not in self.seen})

    def filled(
        self,
        positions: Float[Array, "rows agents 2"],
        known: Bool[Array, "rows agents"],
        kind: Int[Array, " agents"],
        key: Key[Array, ""],
    ) -> Float[Array, "rows agents 2"]:
        """A window of which any rows are known, with the others drawn.

        Args:
            positions: of as many rows as a training window has.
            known: rows that are kept.
            kind: number of the group of every agent.
            key: of the draw.

        Returns:
            Positions; of an agent no row of which is known they mean nothing.
        """
        read = self.model.read(positions, known, kind)
        return rows_of(self.model.futures(read, key, 1))[0]

    def bound(self, window: Window, key: Key[Array, ""]) -> dict[str, Float[Array, ""]]:
        """Minus the energy score of the scene, in units of the data: higher is better."""
        model = self.model
        now = model.now + 1
        context = jax.tree.map(lambda x: x[:now], window.observation)
        drawn = self.sample(context, key, samples=self.scored, horizon=model.rows - now)
        names = tuple(drawn.features)
        futures = jnp.concatenate([drawn.features[n] for n in names], -2)
        truth = jnp.concatenate([window.observation.features[n][now:] for n in names], -2)
        alive = jnp.concatenate([window.observation.alive[n] for n in names], -1)
        counts = (alive[now:] & alive[now - 1 : now])[..., None] & jnp.ones(2, bool)[None, None]
        weight = counts.reshape(-1).astype(truth.dtype)
        score = squares(futures.reshape(len(futures), -1), truth.reshape(-1), weight).energy()
        return {"score": -math.sqrt(2.0) * score}

    def _begin(self, context: Observation) -> tuple[Array, Array, Array]:
        """Positions, which are known, and who is there now."""
        past = join(self.model.spec, context.features)
        known = join(self.model.spec, context.alive)
        return past, known, known[-1]

    def _lasting(self, kind: Int[Array, " agents"], alive: Bool[Array, " agents"]) -> Array:
        """Agents that are still there when their rows are over."""
        seen = jnp.asarray([name in self.seen for name in self.model.spec.names])
        return alive & ~seen[kind]

    def _held(
        self, given: Given | None, context: Observation, horizon: int, rows: int
    ) -> tuple[Array, Array]:
        """Given positions and where they are, up to a whole number of windows."""
        values, held = [], []
        for name in self.model.spec.names:
            agents = context.features[name].shape[-2]
            value, fixed = jnp.zeros((horizon, agents, 2)), jnp.zeros((horizon, agents), bool)
            if given is not None and name in given.values:
                value, fixed = jnp.asarray(given.values[name]), jnp.asarray(given.held[name])
                require(
                    value.shape == (horizon, agents, 2),
                    f"expected given positions of shape {(horizon, agents, 2)}, found "
                    f"{value.shape}; give one row per row of the horizon",
                )
            values.append(value)
            held.append(fixed)
        missing = rows - horizon
        return (
            jnp.pad(jnp.concatenate(values, -2), ((0, missing), (0, 0), (0, 0))),
            jnp.pad(jnp.concatenate(held, -1), ((0, missing), (0, 0))),
        )


Rows = tuple[Array, Array]
"""Positions ``[*lead, rows, agents, 2]``, and where they are known."""


def _chunk(rows: Rows, number: int, count: int) -> Rows:
    """Some rows of those that are given."""
    part = slice(number * count, (number + 1) * count)
    return rows[0][part], rows[1][part]


def _followed(rows: Rows, after: Rows) -> Rows:
    """Rows and those after them, which may be the same in all futures."""
    lead = rows[0].shape[:-3]
    last = (jnp.broadcast_to(x, (*lead, *x.shape[-n:])) for x, n in zip(after, (3, 2), strict=True))
    positions, known = last
    return jnp.concatenate([rows[0], positions], -3), jnp.concatenate([rows[1], known], -2)


def _last(rows: Array, count: int) -> Array:
    """The last rows; where there are fewer, rows of which nothing is known come before."""
    missing = max(0, count - rows.shape[0])
    before = jnp.zeros((missing, *rows.shape[1:]), rows.dtype)
    return jnp.concatenate([before, rows])[-count:]
