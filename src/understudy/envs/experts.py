"""Scripted experts: policies written by hand, for collecting demonstrations and as the 1 of scores.

``EXPERTS[name](env)`` builds one; `own` the one a game is known to have. They read the global state
where a game has one, so they play on behind any wrapper that leaves it alone. Each takes ``noise``,
the probability with which an agent acts at random in a step instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from understudy.envs import box_bumper, chance, movers, particles, predator_prey, scripted
from understudy.envs import push as pushing
from understudy.envs import speaker_listener as speaking
from understudy.envs import tag as tagging
from understudy.envs.box_bumper import BoxBumper
from understudy.envs.cartpole import CartPole
from understudy.envs.market import Market
from understudy.envs.predator_prey import PredatorPrey
from understudy.envs.roles import Roles
from understudy.envs.spread import Spread
from understudy.envs.steering import Steering
from understudy.envs.wrappers import bare
from understudy.envs.xor import Xor
from understudy.types import Env, Policy, require


def hungarian(env: Env, *, noise: float = 0.0) -> Policy:
    """Cover the landmarks of any `Spread`, each agent the one that is best for all.

    Raises:
        UserError: for another game.
    """
    game = _expect(env, Spread, "hungarian")
    return _shaken(movers.Hungarian(_steering(game)), env, noise)


def nearest(env: Env, *, noise: float = 0.0) -> Policy:
    """Run to the nearest landmark of any `Spread`, whoever else does.

    Raises:
        UserError: for another game.
    """
    game = _expect(env, Spread, "nearest")
    return _shaken(movers.Local(_steering(game), 0, 1, decentralised=True), env, noise)


def local_rule(env: Env, *, noise: float = 0.0) -> Policy:
    """Run to the nearest landmark of any `Spread` that no agent nearby is nearer to.

    Of what `Spread.goodai` shows, or of 3 agents and 4 landmarks where a game shows all.

    Raises:
        UserError: for another game.
    """
    game = _expect(env, Spread, "local-rule")
    agents = 3 if game.near_agents is None else game.near_agents
    landmarks = 4 if game.near_landmarks is None else game.near_landmarks
    mover = movers.Local(_steering(game), agents, landmarks, decentralised=True)
    return _shaken(mover, env, noise)


def _steering(game: Spread) -> Steering:
    return Steering(
        particles.ACTIONS[game.action], float(game.force), game.velocity_first, game.right_first
    )


def speaker_listener(env: Env, *, noise: float = 0.0) -> Policy:
    """Name the goal of `SpeakerListener`, and go where was named.

    Raises:
        UserError: for another game.
    """
    game = _expect(env, speaking.SpeakerListener, "speaker-listener")
    steering = Steering(particles.ACTIONS[game.action], speaking.FORCE)
    return _shaken(movers.Messenger(steering, decentralised=True), env, noise)


def tag(env: Env, *, noise: float = 0.0) -> Policy:
    """Hunt and flee in `Tag`; obstacles are run into.

    Raises:
        UserError: for another game.
    """
    game = _expect(env, tagging.Tag, "tag")
    moves = particles.ACTIONS[game.action]
    hunting, fleeing = (Steering(moves, force) for force in tagging.FORCES)
    return _shaken(movers.Hunt(hunting, fleeing, decentralised=True), env, noise)


def push(env: Env, *, noise: float = 0.0) -> Policy:
    """Go to the goal of `Push`, or where the agent seems to go.

    Raises:
        UserError: for another game.
    """
    game = _expect(env, pushing.Push, "push")
    steering = Steering(particles.ACTIONS[game.action], pushing.FORCE)
    return _shaken(movers.Duel(steering, decentralised=True), env, noise)


TOWARDS = 0.5
"""Share of the pushes in `BoxBumper` that lead towards the other agent."""


def wander(env: Env, *, noise: float = 0.0) -> Policy:
    """Explore `PredatorPrey` or `BoxBumper`: 5 steps of force in a drawn direction, 5 of coasting.

    In `BoxBumper` half of the directions lead towards the other agent, so that they meet often.
    It has no aim, and is not the 1 of any score.

    Raises:
        UserError: for another game.
    """
    game = _expect(env, (PredatorPrey, BoxBumper), "wander")
    bumper = isinstance(game, BoxBumper)
    force = box_bumper.FORCE if bumper else predator_prey.FORCE
    steering = Steering(particles.ACTIONS[game.action], force, velocity_first=True)
    names, towards = game.spec.names, TOWARDS if bumper else 0.0
    policy = scripted.Wander(steering, names, towards, decentralised=True, transfers=False)
    return _shaken(policy, env, noise)


def xor(env: Env, *, noise: float = 0.0) -> Policy:
    """Win `Xor`, each way to win as often: any agents but all together look like coins.

    Raises:
        UserError: for another game.
    """
    _expect(env, Xor, "xor")
    return _shaken(scripted.OddDraw(), env, noise)


def roles(env: Env, *, noise: float = 0.0) -> Policy:
    """Share out the roles of `Roles` anew in every step, each way as often.

    Raises:
        UserError: for another game.
    """
    _expect(env, Roles, "roles")
    return _shaken(scripted.FreshRoles(), env, noise)


def cartpole(env: Env, *, noise: float = 0.0) -> Policy:
    """Balance the pole of `CartPole` by a linear rule.

    Raises:
        UserError: for another game.
    """
    _expect(env, CartPole, "cartpole")
    return _shaken(scripted.Balancer(decentralised=True, transfers=False), env, noise)


def smax(env: Env) -> Policy:
    """Play the enemies' script in `Smax`; see `understudy.envs.adapters.smax`.

    Raises:
        UserError: for another game.
    """
    from understudy.envs.adapters.smax import Smax, heuristic  # needs the extra "smax"

    return heuristic(_expect(env, Smax, "smax"))


def random(env: Env) -> Policy:
    """Act without looking, every legal choice alike: the 0 of every score."""
    return chance.Random(env.spec)


def noop(env: Env) -> Policy:
    """Do nothing: the first legal choice, and no amount of anything."""
    return chance.Noop(env.spec)


def market(env: Any, *, noise: float = 0.0) -> Policy:
    """Both sides of the market, as they are.

    Raises:
        UserError: for another game, or noise: a user who answers at random is another one.
    """
    game = _expect(env, Market, "market")
    require(noise == 0, f"expected users who answer as they are, found noise {noise:g}; give 0")
    return game.truth()


EXPERTS: dict[str, Callable[..., Policy]] = {
    "cartpole": cartpole,
    "hungarian": hungarian,
    "local-rule": local_rule,
    "market": market,
    "nearest": nearest,
    "noop": noop,
    "push": push,
    "random": random,
    "roles": roles,
    "smax": smax,
    "speaker-listener": speaker_listener,
    "tag": tag,
    "wander": wander,
    "xor": xor,
}
"""Name -> function that builds it for an env."""

OWN = {
    "CartPole": "cartpole",
    "Market": "market",
    "Push": "push",
    "Roles": "roles",
    "Smax": "smax",
    "SpeakerListener": "speaker-listener",
    "Spread": "hungarian",
    "Tag": "tag",
    "Xor": "xor",
}
"""Class of a game -> name of its expert."""


def own(env: Any) -> Policy | None:
    """Build the expert that the game inside `env` is known to have; None if it has none."""
    name = OWN.get(type(bare(env)).__name__)
    return None if name is None else EXPERTS[name](env)


def _expect(env: Any, game: type | tuple[type, ...], name: str) -> Any:
    inner = bare(env)
    games = game if isinstance(game, tuple) else (game,)
    wanted = " or ".join(one.__name__ for one in games)
    require(
        isinstance(inner, games),
        f"expected the game {wanted} for the expert {name!r}, found {type(inner).__name__}; "
        f"choose another of {sorted(EXPERTS)}",
    )
    return inner


def _shaken(policy: scripted.Scripted, env: Env, noise: float) -> Policy:
    require(0.0 <= noise <= 1.0, f"expected a noise between 0 and 1, found {noise}")
    if noise == 0.0:
        return policy
    return scripted.Noisy(
        policy, chance.Random(env.spec), jnp.asarray(noise, jnp.float32),
        decentralised=policy.decentralised, transfers=policy.transfers,
    )  # fmt: skip
