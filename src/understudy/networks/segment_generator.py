"""The generator of a segment model: futures that are chains of segments."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from understudy.networks.segments import SegmentModel
from understudy.types import Given, Observation, Samples, UserError, require


class SegmentGenerator(eqx.Module):
    """Samples what all agents observe, from latents drawn anew for every segment."""

    model: SegmentModel

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

        Raises:
            UserError: for positions or intents that are to be held, or no rows.
        """
        if given is not None or intents is not None:
            raise UserError(
                "expected nothing given, as segments are drawn whole, found positions or intents "
                "to hold; use a recurrent generator"
            )
        layout, sizes = self.model.layout, self.model.sizes
        seen = layout.flat(context.features)
        require(
            seen.shape[0] >= 1 and horizon >= 1,
            f"expected at least one row of context and of horizon, found {seen.shape[0]} and "
            f"{horizon}; ask for at least one of each",
        )
        past = looked_back(seen, sizes.past)
        count = math.ceil(horizon / sizes.length)

        def one(key: Key[Array, ""]) -> Float[Array, "horizon observed"]:
            def step(past: Array, key: Array) -> tuple[Array, Array]:
                mean, std = self.model.prior_moments(past)
                z = mean + std * jax.random.normal(key, mean.shape)
                _, after = self.model.decode(past, z)
                return jnp.concatenate([past, after])[-sizes.past :], after

            _, found = jax.lax.scan(step, past, jax.random.split(key, count))
            return found.reshape(-1, found.shape[-1])[:horizon]

        flat = jax.vmap(one)(jax.random.split(key, samples))
        return Samples(layout.features(flat))


def looked_back(seen: Float[Array, "rows observed"], past: int) -> Float[Array, "past observed"]:
    """The last rows; where there are fewer, the first one is held before them."""
    missing = max(0, past - seen.shape[0])
    first = jnp.broadcast_to(seen[:1], (missing, seen.shape[1]))
    return jnp.concatenate([first, seen])[-past:]
