"""Filling in what a log does not show: agents that were out of sight, rows that were lost.

Windows are laid over an episode one after the other. Each is filled in at once, so that whoever is
missing moves with those that are seen, before the hole and behind it; what was filled in is the
past of the next window. Rows that are known stay as they are, to the last bit.
"""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.experiment.generate import generator_of
from understudy.types import UserError, require


def impute(
    run: Any,
    demonstrations: Demonstrations,
    *,
    gaps: Literal["inside", "all"] = "inside",
    seed: int = 0,
) -> Demonstrations:
    """Fill in rows in which agents are missing.

    Args:
        run: a run or its folder (its first seed is used), or a generator, of a play transformer
            that was trained with `controls`.
        demonstrations: a set with holes: rows in which an agent is not alive.
        gaps: ``"inside"`` fills holes between an agent's first and last row in an episode;
            ``"all"`` every row of agents that are seen at all in it.
        seed: of what is drawn.

    Returns:
        The same set with agents alive in these rows; ``provenance["imputed"]`` counts them.

    Raises:
        UserError: for a generator that cannot, or for groups it was not trained with.
    """
    generator = generator_of(run)
    if not callable(getattr(generator, "filled", None)):
        raise UserError(
            f"expected a generator that fills in rows, found {type(generator).__name__}; train a "
            "play transformer"
        )
    require(gaps in ("inside", "all"), f"expected gaps 'inside' or 'all', found {gaps!r}")
    spec = generator.model.spec
    names = spec.names
    theirs = [(g.name, g.observation) for g in demonstrations.spec.groups]
    require(
        theirs == [(g.name, g.observation) for g in spec.groups],
        f"expected the groups {list(names)} of positions that the run was trained with, found "
        f"{[name for name, _ in theirs]}; regroup the demonstrations",
    )
    agents = {name: demonstrations.spec[name].agents for name in names}
    positions = np.concatenate([np.asarray(demonstrations.features[n]) for n in names], 1)
    alive = np.concatenate([np.asarray(demonstrations.alive[n]) for n in names], 1)
    kind, key = generator.model.of_group(agents), jax.random.key(seed)
    filled = alive.copy()
    for episode in range(len(demonstrations)):
        rows = demonstrations.rows(episode)
        wanted = _wanted(alive[rows], gaps)
        if wanted.any():
            own = jax.random.fold_in(key, episode)
            positions[rows] = _episode(generator, positions[rows], alive[rows], wanted, kind, own)
            filled[rows] |= wanted
    ends = np.cumsum([agents[name] for name in names])[:-1]
    parts = (np.split(x, ends, axis=1) for x in (positions, filled))
    features, there = (dict(zip(names, part, strict=True)) for part in parts)
    count = {"rows": int(filled.sum() - alive.sum()), "of": int(filled.sum())}
    return demonstrations.replace(
        features={**demonstrations.features, **features},
        alive={**demonstrations.alive, **there},
        provenance={**demonstrations.provenance, "imputed": count},
    )


def _wanted(alive: np.ndarray, gaps: str) -> np.ndarray:
    """Rows ``[rows, agents]`` to fill in."""
    if gaps == "all":
        return ~alive & alive.any(0)
    before = np.maximum.accumulate(alive, axis=0)
    after = np.maximum.accumulate(alive[::-1], axis=0)[::-1]
    return ~alive & before & after


def _episode(
    generator: Any,
    positions: np.ndarray,
    known: np.ndarray,
    wanted: np.ndarray,
    kind: Any,
    key: Any,
) -> np.ndarray:
    """Fill in one episode, window after window.

    Agents that a window does not show at all wait for one that does: first windows go forward, and
    then, for those seen only later, backward.
    """
    model = generator.model
    positions, known = positions.copy(), known.copy()
    rows, ahead = model.rows, model.rows - model.now - 1
    last = max(0, len(positions) - rows)
    starts = [*range(0, last, ahead), last]
    for number, start in enumerate([*starts, *starts[::-1]]):
        part = slice(start, start + rows)
        missing = wanted[part] & ~known[part] & known[part].any(0)
        if not missing.any():
            continue
        short = rows - len(positions[part])
        window = np.pad(positions[part], ((0, short), (0, 0), (0, 0)))
        there = np.pad(known[part], ((0, short), (0, 0)))
        found = np.asarray(_filled(generator, window, there, kind, jax.random.fold_in(key, number)))
        positions[part] = np.where(missing[..., None], found[: rows - short], positions[part])
        known[part] |= missing
    return positions


@jax.jit
def _filled(generator: Any, window: Any, there: Any, kind: Any, key: Any) -> Any:
    return generator.filled(jnp.asarray(window), jnp.asarray(there), kind, key)
