"""Begin a training with the policies of an earlier one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from understudy import zoo
from understudy.algorithms.stages import take_policy
from understudy.experiment.run import Run, load_policy
from understudy.networks.policy import NetworkPolicy
from understudy.types import UserError, require


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """Policies somewhere on disk, one for each seed or one for all."""

    place: str
    """A run, an exported policy's folder, or ``"zoo:NAME"``."""

    @classmethod
    def of(cls, given: Run | str | Path) -> WarmStart:
        """From what `train` is given."""
        if isinstance(given, str) and given.startswith(zoo.PREFIX):
            return cls(given)
        return cls(str((given.folder if isinstance(given, Run) else Path(given)).resolve()))

    def check(self, seeds: int, fresh: Callable[[], Any]) -> None:
        """See that policies fit into fresh states, which are traced and not computed.

        Raises:
            UserError: when they do not, or there are none.
        """
        networks = self.networks(seeds)
        jax.eval_shape(lambda: take_policy(networks, fresh()))

    def networks(self, seeds: int) -> Any:
        """Weights ``[seeds, ...]`` of the networks that act.

        Raises:
            UserError: nothing there that acts by a network, or too few seeds.
        """
        given = 1
        if (Path(self.place) / "config.json").exists():
            given = Run(self.place).seeds
        require(
            given in (1, seeds) or given > seeds,
            f"expected a warm start of one seed or of at least {seeds}, found {given} in "
            f"{self.place}; train as many seeds as there are",
        )
        found = [load_policy(self.place, seed) for seed in range(min(given, seeds))]
        for policy in found:
            if not isinstance(policy, NetworkPolicy):
                raise UserError(
                    f"expected a policy made of a network at {self.place}, found "
                    f"{type(policy).__name__}; begin afresh"
                )
        networks = [policy.network for policy in found] * (seeds if given == 1 else 1)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
