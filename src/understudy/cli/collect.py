"""``understudy collect``: an expert or a trained policy plays, and what it did is saved."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from understudy.cli import console

EPISODES = 100
"""How many, where the command does not say."""


@dataclasses.dataclass(frozen=True)
class Collect(console.Verb):
    """Let an expert play an env and save what it did."""

    env: Positional[str]
    """Name of the env; arguments may follow a colon: spread:agents=12,horizon=50."""
    expert: str
    """Name of a scripted expert, zoo:NAME for a trained one, or the folder of a run."""
    out: Path
    """Folder to write; it must not exist yet."""
    episodes: int | None = None
    """How many episodes to play; 100 if transitions are not given either."""
    transitions: int | None = None
    """How many steps to record instead; the last episode is cut."""
    seed: int = 0
    """Of initial states and of chance."""
    deterministic: bool = False
    """A trained policy takes its most likely action, not a drawn one."""
    envs: int = 64
    """Games played side by side, at most."""

    def __call__(self) -> None:
        """Play, then write everything or nothing."""
        from understudy.envs import make
        from understudy.experiment.collect import collect
        from understudy.types import require

        require(not self.out.exists(), f"{self.out} already exists; choose another --out")
        env = make(self.env)
        episodes = self.episodes
        if episodes is None and self.transitions is None:
            episodes = EPISODES
        policy, name = self._player(env)
        demonstrations = collect(
            env, policy, episodes=episodes, transitions=self.transitions, seed=self.seed,
            envs=self.envs, out=self.out, name=name,
        )  # fmt: skip
        said = [f"{self.out}: {demonstrations!r}"]
        for name in ("mean_return", "success_rate"):
            if name in demonstrations.provenance:
                value = console.number(demonstrations.provenance[name])
                said.append(f"{name.replace('_', ' ')} {value}")
        console.show("; ".join(said))

    def _player(self, env: Any) -> tuple[Any, str]:
        """The policy that plays, and what it is called."""
        from understudy import zoo
        from understudy.envs.experts import EXPERTS
        from understudy.experiment.contenders import title
        from understudy.experiment.run import Run, load_policy
        from understudy.types import require

        if self.expert in EXPERTS:
            require(
                not self.deterministic,
                f"expected the folder of a run for --deterministic, found the expert "
                f"{self.expert!r}, who plays in one way only; leave it out",
            )
            return EXPERTS[self.expert](env), self.expert
        mode = "mode" if self.deterministic else "sample"
        if self.expert.startswith(zoo.PREFIX):
            policy = load_policy(self.expert, mode=mode)
            _check_fit(self.expert, policy.network.spec, env, transfers=policy.transfers)
            return policy, self.expert
        folder = Path(self.expert)
        if not folder.is_dir():
            raise console.UsageError(
                f"expected an expert or the folder of a run, found {self.expert!r}"
                f"{console.nearest(self.expert, EXPERTS)}"
            )
        run = Run(folder)
        policy = run.policy(0, mode=mode)
        transfers = bool(getattr(policy, "transfers", False))
        _check_fit(str(run.folder), run.spec, env, transfers=transfers)
        return policy, f"{title(run)} of {folder.name}"


def _check_fit(name: str, spec: Any, env: Any, *, transfers: bool) -> None:
    """See that a policy was made for the groups of `env`."""
    from understudy.types import require

    def form(spec: Any) -> list[Any]:
        return [
            (g.name, g.observation, g.action, 0 if transfers else g.agents) for g in spec.groups
        ]

    require(
        form(spec) == form(env.spec),
        f"expected the env that {name} was trained for, with the groups "
        f"{[(g.name, g.agents, g.observation) for g in spec.groups]}, found "
        f"{[(g.name, g.agents, g.observation) for g in env.spec.groups]}; name another env",
    )
