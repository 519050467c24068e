"""SMAX, JaxMARL's StarCraft-like battles against a scripted enemy (extra ``smax``).

Allies fight the units of a map; the enemy is played by JaxMARL's heuristic. SMAX is not SMAC:
units, dynamics and rewards differ, so only win rates within SMAX compare.

Source: Rutherford et al., JaxMARL (2024), ``HeuristicEnemySMAX``; the game is theirs, called
through its steps that do not reset. The enemy's observations and the legal choices are kept from
the step that made them rather than made again.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from understudy.envs.actions import executed
from understudy.envs.adapters.foreign import lenient, package
from understudy.envs.chance import Certain
from understudy.envs.scenes import Scene
from understudy.types import (
    Actions,
    ActionSpec,
    Group,
    Memory,
    Observation,
    Spec,
    Step,
    hyperparameters,
    record,
    require,
)

STOP = 4
"""The choice that is always legal; 0-3 move, 5 and above shoot at an enemy."""


@record
class SmaxState:
    """A battle between two steps."""

    units: dict[str, Array]
    """JaxMARL's state, allies first."""
    enemy: dict[str, Array]
    """Memory of the enemy's heuristic."""
    enemy_sees: Float[Array, "enemies obs"]
    legal: Bool[Array, "agents choices"]


@hyperparameters
class Smax:
    """A battle on one of JaxMARL's maps: one group, ``"agents"``, of all allies.

    Each agent moves in one of four directions, stops, or shoots at one enemy in range; a choice
    that is not legal is played as a stop. The reward is the share of the enemies' health taken in
    this step, plus 1 for the victory. The state holds every unit.
    """

    map: str = "3m"
    """Such as ``3m``, ``2s3z``, ``3s5z``, ``5m_vs_6m``, ``6h_vs_8z``, ``smacv2_5_units``."""
    horizon: int = 100
    """Steps after which a battle is truncated."""

    def __post_init__(self) -> None:
        known = package("jaxmarl.environments.smax.smax_env").MAP_NAME_TO_SCENARIO
        require(self.map in known, f"expected a map of {sorted(known)}, found {self.map!r}")
        require(self.horizon > 0, f"expected a horizon of at least 1 step, found {self.horizon}")

    @property
    def spec(self) -> Spec:
        """One group, one choice per agent."""
        game = self.game
        action = ActionSpec(sections=(game.num_ally_actions,))
        group = Group("agents", game.num_allies, game.obs_size, action)
        return Spec((group,), state=game.state_size, horizon=self.horizon)

    @property
    def game(self) -> Any:
        """JaxMARL's own game."""
        return _game(self.map, self.horizon)

    @jax.jit
    def reset(self, key: Key[Array, ""]) -> tuple[SmaxState, Observation]:
        """Place both teams on the map."""
        with lenient():
            seen, state = self.game.reset(jax.random.split(key)[1])
        return self._observe(state, seen, _beginner(self.game.num_enemies))

    @jax.jit
    def step(
        self, state: SmaxState, action: Actions, key: Key[Array, ""]
    ) -> tuple[SmaxState, Step]:
        """Fight for half a second."""
        game, before = self.game, package("jaxmarl.environments.smax.smax_env").State(**state.units)
        done = self._executed(state.legal, action)
        own_key, enemy_key = jax.random.split(key)
        answer, enemy = _heuristic(self.map, self.horizon, 1)(
            jax.random.split(enemy_key, game.num_enemies), state.enemy, state.enemy_sees
        )
        chosen = jnp.concatenate([done["agents"][:, 0].astype(jnp.int32), answer])
        with lenient():
            seen, after, paid, _, _ = game.step_env_no_decode(
                own_key, before, game._decode_discrete_actions(chosen)
            )
        state, observation = self._observe(after, seen, enemy)
        lost = ~after.unit_alive[: game.num_allies].any()
        beaten = ~after.unit_alive[game.num_allies :].any()
        reward = jnp.full(game.num_allies, paid["ally_0"], jnp.float32)
        return state, Step(
            observation,
            done,
            {"agents": reward},
            terminated=lost | beaten,
            truncated=(after.step >= self.horizon) & ~(lost | beaten),
            info={"success": beaten & ~lost},
        )

    def scene(self, state: SmaxState) -> Scene:
        """Units as discs that fade with their health; lines from who shoots to who is shot at."""
        units, allies = state.units, self.game.num_allies
        middle = jnp.array([self.game.map_width, self.game.map_height], jnp.float32)[None] / 2
        kinds = units["unit_types"]
        places = units["unit_positions"] - middle
        shot = units["prev_attack_actions"] - (STOP + 1)
        index = jnp.arange(len(kinds), dtype=jnp.int32)
        target = jnp.where(index < allies, allies + shot, allies - 1 - shot)
        target = jnp.where((shot >= 0) & units["unit_alive"], target, index)
        return Scene(
            places,
            self.game.unit_type_radiuses[kinds],
            (index >= allies).astype(jnp.int32),
            units["unit_health"] / self.game.unit_type_health[kinds],
            jnp.stack([places, places[target]], 1),
            middle.max(),
        )

    def _executed(self, legal: Bool[Array, "agents choices"], action: Actions) -> dict[str, Any]:
        """Existing choices that are legal; the others become a stop."""
        asked = executed(self.spec, action)["agents"]
        legal = jnp.take_along_axis(legal, asked.astype(jnp.int32), 1)
        return {"agents": jnp.where(legal, asked, float(STOP))}

    def _legal(self, units: Any) -> Bool[Array, "agents choices"]:
        with lenient():
            masks = self.game.get_avail_actions(units)
        return jnp.stack([masks[f"ally_{i}"] for i in range(self.game.num_allies)]) > 0

    def _observe(
        self, units: Any, seen: Mapping[str, Any], enemy: dict[str, Any]
    ) -> tuple[SmaxState, Observation]:
        game, legal = self.game, self._legal(units)
        everybody = jnp.stack([seen[name] for name in game.agents]).astype(jnp.float32)
        observation = Observation(
            {"agents": everybody[: game.num_allies]},
            {"agents": units.unit_alive[: game.num_allies]},
            {"agents": legal},
            seen["world_state"].astype(jnp.float32),
        )
        plain = _plain({f.name: getattr(units, f.name) for f in dataclasses.fields(units)})
        kept = SmaxState(plain, _plain(enemy), everybody[game.num_allies :], legal)
        return kept, observation


class Heuristic(Certain):
    """JaxMARL's scripted player for the allies; see `heuristic`."""

    env: Smax
    decentralised: bool = eqx.field(static=True, default=True)
    transfers: bool = eqx.field(static=True, default=False)

    def memory(self, agents: Mapping[str, int]) -> Memory:
        """Where each agent is headed, and whom it shot at last (-1: nobody)."""
        return _beginner(agents["agents"])

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """Shoot at the enemy shot at before, or the closest; else go where enemies are."""
        alive = observation.alive["agents"]
        seen = observation.features["agents"][:, : self.env.game.obs_size]  # agent ids may follow
        chosen, memory = _heuristic(self.env.map, self.env.horizon, 0)(
            jax.random.split(key, len(alive)), memory, seen
        )
        return {"agents": jnp.where(alive, chosen, STOP).astype(jnp.float32)[:, None]}, memory


def heuristic(env: Smax) -> Heuristic:
    """The enemy's script, played by the allies: fair where teams are equal, weak where not.

    Each agent reads its own observation alone.
    """
    return Heuristic(env)


@functools.cache
def _game(map: str, horizon: int) -> Any:
    """One game per map, outside of any trace, so that JAX compiles it once."""
    with jax.ensure_compile_time_eval(), lenient():
        module = package("jaxmarl.environments.smax.smax_env")
        return module.SMAX(scenario=module.MAP_NAME_TO_SCENARIO[map], max_steps=horizon)


def _beginner(count: int) -> dict[str, Any]:
    nobody = jnp.full(count, -1, jnp.int32)
    return {"default_target": jnp.zeros((count, 2)), "last_attacked_enemy": nobody}


@functools.cache
def _heuristic(map: str, horizon: int, team: int) -> Any:
    """JaxMARL's script for one team, ``(keys, memory, observations) -> (choices, memory)``."""
    module = package("jaxmarl.environments.smax.heuristic_enemy")
    script = module.create_heuristic_policy(_game(map, horizon), team)

    def play(
        keys: Key[Array, " units"], memory: Any, seen: Any
    ) -> tuple[Int[Array, " units"], Any]:
        with lenient():
            own = module.HeuristicPolicyState(**memory)
            chosen, own = jax.vmap(script)(keys, own, seen)
        names = ("default_target", "last_attacked_enemy")
        return chosen.astype(jnp.int32), _plain({name: getattr(own, name) for name in names})

    return play


def _plain(arrays: dict[str, Any]) -> dict[str, Array]:
    """Arrays that keep their dtype from step to step: none of them weakly typed."""
    return {name: jnp.asarray(leaf, jnp.result_type(leaf)) for name, leaf in arrays.items()}
