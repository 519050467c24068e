"""``generate``, ``impute`` and ``render``: plays out of a run, and pictures out of plays."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from understudy.cli import console


@dataclasses.dataclass(frozen=True)
class Generate(console.Verb):
    """Sample futures of the beginning of every episode of a demonstration folder."""

    run: Positional[Path]
    """Folder of the run, or of exported weights."""
    demos: Path
    """Demonstration folder to begin from."""
    out: Path
    """Folder to write; it must not exist yet."""
    samples: int = 20
    """Futures per scene."""
    horizon: int = 40
    """Rows to draw."""
    observed: int | None = None
    """Rows the generator is shown; 10 if not given."""
    scenes: int = 16
    """Episodes to take, from the first on; 0 for all."""
    intent: int | None = None
    """Class every agent has to obey; the generator chooses if not given."""
    hold: tuple[str, ...] = ()
    """Agents held to the truth, as GROUP:SLOT, such as player:0."""
    temperature: float = 1.0
    """Scale of the noise of drawn positions: 1 samples the model, 0 takes its mean."""
    train_seed: int = 0
    """Which seed of the run."""
    seed: int = 0
    """Of the sampling."""

    def __call__(self) -> None:
        """Sample and save, all or nothing."""
        from understudy.data import store
        from understudy.experiment.generate import generate
        from understudy.experiment.run import load_generator
        from understudy.types import require

        require(not self.out.exists(), f"{self.out} already exists; choose another --out")
        given = _held(self.hold)
        generator = load_generator(self.run, self.train_seed)
        context = store.load(self.demos)
        names = context.spec.names
        plays = generate(
            generator,
            context=context[: self.scenes] if self.scenes else context,
            observed=self.observed,
            samples=self.samples,
            horizon=self.horizon,
            given=given,
            intents=None if self.intent is None else dict.fromkeys(names, self.intent),
            temperature=self.temperature,
            seed=self.seed,
        )
        plays.save(self.out)
        console.show(f"{self.out}: {plays!r}")
        console.show(f"watch them with: understudy render {self.out} --out plays.gif")


@dataclasses.dataclass(frozen=True)
class Impute(console.Verb):
    """Fill in rows of a demonstration folder in which agents are missing."""

    run: Positional[Path]
    """Folder of the run, or of exported weights."""
    demos: Path
    """Demonstration folder with holes."""
    out: Path
    """Demonstration folder to write; it must not exist yet."""
    gaps: Literal["inside", "all"] = "inside"
    """Holes between the first and the last row of an agent in an episode, or every row in which it
    is missing."""
    train_seed: int = 0
    """Which seed of the run."""
    seed: int = 0
    """Of what is drawn."""

    def __call__(self) -> None:
        """Fill in and save, all or nothing."""
        from understudy.data import store
        from understudy.experiment.impute import impute
        from understudy.experiment.run import load_generator
        from understudy.types import require

        require(not self.out.exists(), f"{self.out} already exists; choose another --out")
        holes = store.load(self.demos)
        generator = load_generator(self.run, self.train_seed)
        found = impute(generator, holes, gaps=self.gaps, seed=self.seed)
        store.save(found, self.out)
        count = found.provenance["imputed"]
        console.show(f"{self.out}: {count['rows']} rows of agents filled in, of {count['of']}")


@dataclasses.dataclass(frozen=True)
class Render(console.Verb):
    """Draw plays, a demonstration folder, fresh plays or games of a run, or an env."""

    source: Positional[Path]
    """Folder of plays, of demonstrations or of a run, or the name of an env."""
    out: Path
    """File to write; its ending chooses: gif, png or mp4."""
    scenes: int = 2
    """Scenes to show, one row of panels each; of an env, episodes side by side."""
    samples: int = 2
    """Samples beside the truth of each scene."""
    speed: float = 1.0
    """1 plays in real time."""
    run: Path | None = None
    """Run that the plays are from, to draw the cells its intents point to."""
    env: str | None = None
    """Env a policy plays in, such as spread:agents=6; the one it was trained in if not given."""
    expert: str | None = None
    """Who plays an env, or plays beside a policy: the name of an expert, the folder of a run, or
    own for the one the env is known to have."""
    seed: int = 0
    """Of the initial states of an env."""

    def __call__(self) -> None:
        """Find out what the source is, and draw it."""
        players = _players(self.source, self.env, self.expert)
        if players is not None:
            from understudy.visualise.rollouts import watch

            game, policies = players
            path = watch(
                game, policies, self.out, episodes=self.scenes, seed=self.seed,
                rate=10 * self.speed,
            )  # fmt: skip
            console.show(str(path))
            return
        from understudy.visualise.animate import animate

        plays, maker = _plays(self.source, self.scenes, self.samples)
        maker = self.run or maker
        path = animate(
            plays,
            self.out,
            scenes=self.scenes,
            samples=self.samples,
            grid=None if maker is None else _grid(maker),
            speed=self.speed,
        )
        console.show(str(path))


def _players(source: Path, env: str | None, expert: str | None) -> tuple[Any, Any] | None:
    """An env and who plays it, by name; None where `source` holds no policy and names no env."""
    from understudy.envs import ENVS, make
    from understudy.experiment import games
    from understudy.experiment.contenders import title
    from understudy.experiment.run import Run
    from understudy.types import UserError

    policies: dict[str, Any] = {}
    if (source / "config.json").exists():
        run = Run(source)
        if env is None and not games.plays(run):
            return None
        game = games.env_of(run) if env is None else make(env)
        well = next((seed for seed in range(run.seeds) if seed not in run.diverged), None)
        if well is None:
            raise UserError(f"expected a seed of {source} that is well, every one diverged")
        policies[f"{title(run)}, seed {well}"] = run.policy(well)
    elif str(source).partition(":")[0] in ENVS and not source.exists():
        game, expert = make(str(source)), expert or games.OWN
    else:
        return None
    found = games.expert_of(game, expert)
    if found is not None:
        policies[found.name] = found.make(game)
    if not policies:
        raise UserError(
            f"expected somebody to play {source}, and {games.name_of(game)} has no expert of its "
            "own; give --expert random, another name, or the folder of a run"
        )
    return game, policies


def _plays(source: Path, scenes: int, samples: int) -> tuple[Any, Path | None]:
    """Plays to draw, and the run they were drawn from if `source` is one."""
    from understudy.data import store
    from understudy.experiment.generate import SAMPLES, Plays, generate
    from understudy.experiment.run import Run
    from understudy.types import UserError

    if (source / SAMPLES).exists():
        return Plays.load(source), None
    if (source / "meta.json").exists():
        return _nothing_generated(store.load(source)[:scenes]), None
    if not (source / "config.json").exists():
        raise UserError(
            f"expected a folder of plays, of demonstrations or of a run, or the name of an env, "
            f"found {source}, which is none of them; name another"
        )
    run = Run(source)
    kept = run.config["validation"] or run.config["demonstrations"]
    if not kept or kept["path"] is None:
        raise UserError(
            f"{source} was trained on demonstrations in memory, so there is nothing to begin "
            "from; run understudy generate with --demos first"
        )
    context = store.load(kept["path"])[:scenes]
    horizon = max(1, run.algorithm.window - 10)
    return generate(run, context=context, samples=samples, horizon=horizon), source


def _grid(run: Path) -> Any:
    """The grid whose cells are the intents of a run, or None where they are no cells."""
    from understudy.experiment.run import Run

    algorithm = Run(run).algorithm
    if not (hasattr(algorithm, "rule") and hasattr(algorithm.rule, "grid")):
        return None
    return algorithm.rule.grid


def _nothing_generated(demonstrations: Any) -> Any:
    """Demonstrations as plays without samples, all of it observed."""
    import numpy as np

    from understudy.experiment.generate import Plays

    none = {
        group.name: np.zeros((len(demonstrations), 0, 0, group.agents, group.observation))
        for group in demonstrations.spec.groups
    }
    return Plays(demonstrations, none, None, int(demonstrations.lengths.max()))


def _held(pairs: tuple[str, ...]) -> dict[str, list[int]] | None:
    held: dict[str, list[int]] = {}
    for pair in pairs:
        group, colon, slot = pair.rpartition(":")
        if not (colon and slot.isdigit()):
            raise console.UsageError(f"expected --hold GROUP:SLOT, found {pair!r}")
        held.setdefault(group, []).append(int(slot))
    return held or None
