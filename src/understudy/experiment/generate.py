"""Sampling plays: what a generator makes of the beginnings of some episodes, kept in one folder."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from understudy.data import sampling, store
from understudy.data.demonstrations import Demonstrations
from understudy.data.sampling import windows
from understudy.experiment import checkpoint
from understudy.experiment.folder import whole
from understudy.experiment.run import Run
from understudy.experiment.slots import Slots
from understudy.types import Given, Observation, Samples, require

OBSERVED = 10
"""Rows shown where nobody says how many."""
SCENES = 16
"""Scenes sampled at a time; no figure depends on it."""
SAMPLES, TRUTH = "samples.safetensors", "truth"


@dataclasses.dataclass(frozen=True)
class Plays:
    """What a generator made of some scenes, next to what happened."""

    truth: Demonstrations
    """One episode per scene; its first `observed` rows were shown to the generator."""
    samples: Mapping[str, np.ndarray]
    """``{group: [scenes, samples, time, agents, obs]}``: rows after the observed ones, in the slots
    of `truth`; 0 where an agent was absent from an observed row."""
    intents: Mapping[str, np.ndarray] | None
    """``{group: [scenes, samples, time, agents]}``: what each row was drawn under; or None."""
    observed: int

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self.samples.items())
        return f"Plays({len(self.truth)} scenes, {self.observed} rows observed; samples {shapes})"

    def save(self, folder: str | Path) -> None:
        """Write everything to a new folder, whole or not at all.

        Raises:
            UserError: if the folder exists, or the disk is full.
        """
        arrays: dict[str, Any] = {"samples": dict(self.samples)}
        if self.intents is not None:
            arrays["intents"] = dict(self.intents)
        shapes = {
            kind: {name: [list(a.shape), str(a.dtype)] for name, a in groups.items()}
            for kind, groups in arrays.items()
        }
        with whole(Path(folder)) as work:
            store.save(self.truth, work / TRUTH)
            checkpoint.save(work / SAMPLES, arrays, {"observed": self.observed, "shapes": shapes})

    @classmethod
    def load(cls, folder: str | Path) -> Plays:
        """Read what `save` wrote.

        Raises:
            UserError: missing or damaged files.
        """
        path = Path(folder) / SAMPLES
        header = checkpoint.header(path)
        like = {
            kind: {n: jax.ShapeDtypeStruct(shape, dtype) for n, (shape, dtype) in groups.items()}
            for kind, groups in header["shapes"].items()
        }
        arrays = jax.tree.map(np.asarray, checkpoint.load(path, like))
        truth = store.load(Path(folder) / TRUTH)
        return cls(truth, arrays["samples"], arrays.get("intents"), header["observed"])


def generate(
    run: Any,
    *,
    context: Demonstrations,
    observed: int | None = None,
    samples: int = 20,
    horizon: int = 40,
    given: Given | Mapping[str, Sequence[int]] | None = None,
    intents: Given | Mapping[str, Any] | None = None,
    temperature: float = 1.0,
    seed: int = 0,
) -> Plays:
    """Sample futures of the beginning of every episode of `context`.

    Args:
        run: a run or its folder (its first seed is used), or a generator.
        context: scenes; the generator sees the first `observed` rows and nothing after them.
        observed: rows shown; 10 if left out.
        samples: futures per scene.
        horizon: rows to draw.
        given: agents held to the truth, slot numbers ``{group: [0, 3]}``; or positions ``{group:
            [scenes, horizon, agents, obs]}`` to respect where held.
        intents: classes to obey ``{group: array}``, broadcast to ``[scenes, horizon, agents]``,
            -1 where the generator may choose; or `Given` of that shape.
        temperature: scale of the noise of drawn positions: 1 samples the model, 0 takes its mean,
            latents and intents still drawn.
        seed: of the sampling; scene i draws from ``fold_in(key(seed), i)``.

    Raises:
        UserError: an episode shorter than `observed`, or sizes the generator was not trained for.
    """
    generator = generator_of(run)
    if temperature != 1.0:
        able = callable(getattr(generator, "tempered", None))
        require(able, f"{type(generator).__name__} has no temperature; leave it at 1")
        generator = generator.tempered(float(temperature))
    observed = OBSERVED if observed is None else observed
    least = min(observed, horizon, samples)
    require(least >= 1, f"expected rows and samples to ask for above 0, found {least}")
    _check_scenes(context, observed)
    if intents is None and hasattr(generator, "ready"):
        lack = generator.ready()
        require(lack is None, str(lack))
    truth = head(context, observed + horizon)
    found = windows(head(context, observed), observed, least=0)
    seen = sampling.gather(
        sampling.rows(head(context, observed)), found, np.arange(len(found))
    ).observation
    place = Slots(truth, found)
    drawn = _sample(
        generator,
        seen,
        (place.given(given, observed, horizon), place.intents(intents, horizon)),
        jax.random.key(seed),
        samples=samples,
        horizon=horizon,
    )
    return Plays(
        truth,
        {name: place.back(name, array) for name, array in drawn.features.items()},
        None
        if drawn.intents is None
        else {name: place.back(name, array) for name, array in drawn.intents.items()},
        observed,
    )


def _check_scenes(context: Demonstrations, observed: int) -> None:
    require(len(context) > 0, "expected scenes to go on from, found no episode")
    short = context.labels["episode"][context.lengths < observed]
    require(
        len(short) == 0,
        f"expected episodes of at least {observed} rows, found {len(short)} shorter, "
        f"{short[:3].tolist()} among them; leave them out or observe fewer rows",
    )


def head(demonstrations: Demonstrations, rows: int) -> Demonstrations:
    """The first `rows` rows of every episode, or all it has."""
    lengths = np.minimum(demonstrations.lengths, rows)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    chosen = np.repeat(demonstrations.starts[:-1] - starts[:-1], lengths) + np.arange(starts[-1])
    return demonstrations.map_rows(lambda array: np.asarray(array[chosen]), starts=starts)


def generator_of(run: Any) -> Any:
    """The generator of a run, of its folder, or itself."""
    if isinstance(run, str | Path):
        run = Run(run)
    if isinstance(run, Run):
        return run.generator()
    require(
        callable(getattr(run, "sample", None)),
        f"expected a run, its folder or a generator, found {type(run).__name__}",
    )
    return run


def _sample(
    generator: Any,
    seen: Observation,
    fixed: tuple[Given | None, Given | None],
    key: Any,
    *,
    samples: int,
    horizon: int,
) -> Samples:
    """Sample all scenes, some at a time; the last chunk is filled up with its first scene."""
    total = jax.tree.leaves(seen)[0].shape[0]
    parts = []
    for first in range(0, total, SCENES):
        numbers = np.arange(first, first + min(SCENES, total))
        numbers = np.where(numbers < total, numbers, first)
        some = jax.tree.map(lambda leaf, n=numbers: leaf[n], (seen, fixed))
        drawn = _jitted(generator, some, key, jnp.asarray(numbers), samples, horizon)
        kept = min(SCENES, total - first)
        parts.append(jax.tree.map(lambda leaf, k=kept: np.asarray(leaf[:k]), drawn))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


@functools.partial(jax.jit, static_argnums=(4, 5))
def _jitted(generator: Any, some: Any, key: Any, numbers: Any, samples: int, horizon: int) -> Any:
    def one(scene: tuple[Observation, tuple[Any, Any]], number: Any) -> Samples:
        seen, (given, intents) = scene
        return generator.sample(
            seen, jax.random.fold_in(key, number),
            samples=samples, horizon=horizon, given=given, intents=intents,
        )  # fmt: skip

    return jax.vmap(one)(some, numbers)
