"""A run read back: its configuration, its metrics and what it trained, from its folder alone.

Weights are rebuilt without training code or training data: the structure comes from tracing
``init`` with the stored configuration, the numbers from the exported file.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal

import jax

import understudy
from understudy import zoo
from understudy.algorithms.stages import Stages
from understudy.data.statistics import from_json, to_json
from understudy.experiment import checkpoint, config, folder, loops
from understudy.types import Mode, Spec, Statistics, UserError, require

VERSION = 1
KINDS = ("generator", "policy", "world", "population")


class Run:
    """One training, in one folder.

    Args:
        folder: what was given to `train` as ``out``.

    Raises:
        UserError: when it is no run, or one written by another version.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        version = self.config.get("version")
        require(
            version == VERSION,
            f"expected a run of version {VERSION} in {self.folder}, found version {version}; "
            "use the version of understudy that wrote it",
        )

    def __repr__(self) -> str:
        state = "finished" if self.finished else f"{self.step} of {self.updates} updates"
        lost = f", diverged seeds {sorted(self.diverged)}" if self.diverged else ""
        name = getattr(self.algorithm, "title", self.name)
        return f"Run({str(self.folder)!r}: {name}, {self.seeds} seeds, {state}{lost})"

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """What ``config.json`` says."""
        return folder.read_json(self.folder / folder.CONFIG)

    @property
    def name(self) -> str:
        """Name of the algorithm's class."""
        return self.config["name"]

    @functools.cached_property
    def algorithm(self) -> Any:
        """The algorithm as it was trained: data-dependent hyper-parameters filled in.

        For `Stages`, that of the last stage reached.
        """
        whole = config.from_json(self.config["algorithm"])
        return whole.stages[self.header["stage"]][0] if isinstance(whole, Stages) else whole

    @functools.cached_property
    def spec(self) -> Spec:
        """Groups, with the capacities trained on."""
        return config.from_json(self.config["spec"], Spec)

    @functools.cached_property
    def statistics(self) -> Statistics | None:
        """Moments of the training split; None for a run without demonstrations."""
        if self.config["demonstrations"] is None:
            return None
        return from_json(folder.read_json(self.folder / folder.STATISTICS))

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return self.config["seeds"]

    @property
    def updates(self) -> int:
        """Updates of all stages together."""
        return sum(stage["updates"] for stage in self.config["stages"])

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Lines of ``metrics.jsonl``: stage, step and one list per metric, a number (or nested
        lists of them) per seed."""
        return folder.metrics(self.folder)

    @property
    def header(self) -> dict[str, Any]:
        """Where the last checkpoint stands: stage, step, total, finished, diverged, best."""
        paths = folder.checkpoints(self.folder)
        if paths:
            return checkpoint.header(paths[-1])
        return {"stage": 0, "step": 0, "total": 0, "finished": False, "diverged": {}, "best": None}

    @property
    def step(self) -> int:
        """Updates done at the last checkpoint."""
        return self.header["total"]

    @property
    def finished(self) -> bool:
        """Training came to its end."""
        return self.header["finished"]

    @property
    def diverged(self) -> dict[int, int]:
        """Seeds that were frozen, each with the update that was not finite; they have failed."""
        return {int(seed): update for seed, update in self.header["diverged"].items()}

    def generator(self, seed: int = 0, *, weights: Literal["last", "best"] = "last") -> Any:
        """Load the generator of one seed; ``best`` is by the validation bound."""
        return self._made("generator", seed, weights)

    def policy(
        self, seed: int = 0, *, mode: Mode = "sample", weights: Literal["last", "best"] = "last"
    ) -> Any:
        """Load the policy of one seed."""
        return self._made("policy", seed, weights, mode)

    def world(self, seed: int = 0, *, weights: Literal["last", "best"] = "last") -> Any:
        """Load the world model of one seed."""
        return self._made("world", seed, weights)

    def population(self, seed: int = 0, *, weights: Literal["last", "best"] = "last") -> Any:
        """Load the population of one seed."""
        return self._made("population", seed, weights)

    def _made(self, kind: str, seed: int, weights: str, mode: Mode | None = None) -> Any:
        self._check_seed(seed)
        if weights == "last":
            return load(self.folder / folder.POLICY / f"seed_{seed}" / f"{kind}.safetensors", mode)
        require(weights == "best", f"expected weights 'last' or 'best', found {weights!r}")
        path = self.folder / folder.CHECKPOINTS / folder.BEST
        require(path.is_file(), f"{self.folder} has no best checkpoint; train with validation")
        whole = config.from_json(self.config["algorithm"])
        stage = checkpoint.header(path)["stage"]
        algorithm = whole.stages[stage][0] if isinstance(whole, Stages) else whole
        keys = loops.seed_keys(self.config["seed"], self.seeds, stage, loops.INIT)
        like = jax.eval_shape(
            lambda: loops.states(algorithm, self.statistics, keys, spec=self.spec)
        )
        states = checkpoint.load(path, like, ".states")
        return make(algorithm, jax.tree.map(lambda leaf: leaf[seed], states), kind, mode)

    def _check_seed(self, seed: int) -> None:
        require(
            0 <= seed < self.seeds,
            f"expected a seed below {self.seeds} of {self.folder}, found {seed}",
        )


def load_policy(path: str | Path, seed: int = 0, *, mode: Mode = "sample") -> Any:
    """Load a trained policy from a run, or from a copy of its ``policy/seed_0``.

    ``"zoo:NAME"`` is a trained expert that comes with the library.

    Raises:
        UserError: when there is none.
    """
    if isinstance(path, str) and path.startswith(zoo.PREFIX):
        path = zoo.path(path)
    return load(_find(Path(path), "policy", seed), mode)


def load_generator(path: str | Path, seed: int = 0) -> Any:
    """Load a trained generator from a run, or from a copy of its ``policy/seed_0``.

    Raises:
        UserError: when there is none.
    """
    return load(_find(Path(path), "generator", seed))


def load_world(path: str | Path, seed: int = 0) -> Any:
    """Load a trained world model from a run, or from a copy of its ``policy/seed_0``.

    Raises:
        UserError: when there is none.
    """
    return load(_find(Path(path), "world", seed))


def _find(path: Path, kind: str, seed: int) -> Path:
    if (path / folder.CONFIG).exists():
        Run(path)._check_seed(seed)
        return path / folder.POLICY / f"seed_{seed}" / f"{kind}.safetensors"
    return path / f"{kind}.safetensors"


def load(path: Path, mode: Mode | None = None) -> Any:
    """Load one exported file.

    Raises:
        UserError: when it is missing, damaged, or written for another structure.
    """
    if not path.is_file():
        found = sorted(p.stem for p in path.parent.glob("*.safetensors"))
        raise UserError(
            f"expected an exported {path.stem} at {path}, found {found or 'nothing'}; "
            "finish the run, or choose an algorithm that makes one"
        )
    header = checkpoint.header(path)
    algorithm = config.from_json(header["algorithm"])
    spec = config.from_json(header["spec"], Spec)
    known = header["statistics"]
    statistics = None if known is None else from_json(known)

    def rebuild(algorithm: Any, statistics: Statistics | None, key: Any) -> Any:
        return make(algorithm, algorithm.init(spec, statistics, key), header["kind"], mode)

    like = jax.eval_shape(rebuild, algorithm, statistics, jax.random.key(0))
    return checkpoint.load(path, like)


def make(algorithm: Any, state: Any, kind: str, mode: Mode | None = None) -> Any:
    """What `algorithm` makes of a state: its generator, policy or world."""
    if kind == "policy":
        return algorithm.policy(state, mode or "sample")
    return getattr(algorithm, kind)(state)


def export(out: Path, algorithm: Any, states: Any, header: dict[str, Any]) -> None:
    """Write ``policy/seed_i`` for every seed: each thing the algorithm makes, in one file."""
    kinds = [kind for kind in KINDS if hasattr(algorithm, kind)]
    seeds = jax.tree.leaves(states)[0].shape[0]
    for kind in kinds:
        for seed in range(seeds):
            made = _jitted(algorithm, jax.tree.map(lambda leaf, i=seed: leaf[i], states), kind=kind)
            path = out / folder.POLICY / f"seed_{seed}" / f"{kind}.safetensors"
            checkpoint.save(path, made, {**header, "kind": kind, "seed": seed})


_jitted = functools.partial(jax.jit, static_argnames="kind")(make)


def export_header(algorithm: Any, spec: Spec, statistics: Statistics | None) -> dict[str, Any]:
    """What an exported file needs to be rebuilt anywhere."""
    return {
        "algorithm": config.to_json(algorithm),
        "spec": config.to_json(spec),
        "statistics": None if statistics is None else to_json(statistics),
        "understudy": understudy.__version__,
    }
