"""A worker that plays at random: what the races of envs time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from peers.serve import serve


def play_at_random(env: Any, draw: Callable[[Any], Any], *, envs: int, steps: int) -> None:
    """Serve rounds of `steps` steps of `envs` games through `rollout.advance`.

    Args:
        env: with one group, ``"agents"``.
        draw: key -> actions ``[envs, agents, act]``.
        envs: games side by side.
        steps: of a round.
    """
    import jax

    from understudy.envs import rollout

    def step(carry: Any, key: Any) -> tuple[Any, None]:
        state, checksum = carry
        act_key, step_key = jax.random.split(key)
        state, seen, after = rollout.advance(env, state, {"agents": draw(act_key)}, step_key)
        checksum += seen.features["agents"].sum() + after.reward["agents"].sum()
        return (state, checksum), None

    @jax.jit
    def play(state: Any, key: Any) -> Any:
        keys = jax.random.split(key, steps + 1)
        (state, checksum), _ = jax.lax.scan(step, (state, 0.0), keys[1:])
        return state, keys[0], checksum

    key = jax.random.key(0)
    state, _ = rollout.reset(env, key, envs=envs)

    def call() -> float:
        nonlocal state, key
        state, key, checksum = play(state, key)
        return float(checksum)

    serve(call, envs=envs, steps=steps, framework=f"jax {jax.__version__}")
