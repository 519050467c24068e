"""Random play of JaxMARL's simple_spread, many envs in a scan, by its step with auto-reset."""

from __future__ import annotations

import argparse
import importlib.metadata

import jax
import jax.numpy as jnp
from serve import serve, silent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=250)
    options = parser.parse_args()
    with silent():
        import jaxmarl

        env = jaxmarl.make("MPE_simple_spread_v3")
    envs, agents = options.envs, env.num_agents

    def step(carry, key):
        state, checksum = carry
        act_key, step_key = jax.random.split(key)
        drawn = jnp.floor(5.0 * jax.random.uniform(act_key, (agents, envs))).astype(jnp.int32)
        actions = {name: drawn[i] for i, name in enumerate(env.agents)}
        keys = jax.random.split(step_key, envs)
        seen, state, reward, _, _ = jax.vmap(env.step)(keys, state, actions)
        for name in env.agents:
            checksum += seen[name].sum() + reward[name].sum()
        return (state, checksum), None

    @jax.jit
    def play(state, key):
        keys = jax.random.split(key, options.steps + 1)
        (state, checksum), _ = jax.lax.scan(step, (state, 0.0), keys[1:])
        return state, keys[0], checksum

    key = jax.random.key(0)
    _, state = jax.vmap(env.reset)(jax.random.split(key, envs))

    def call() -> float:
        nonlocal state, key
        state, key, checksum = play(state, key)
        return float(checksum)

    version = importlib.metadata.version("jaxmarl")
    serve(
        call, envs=envs, steps=options.steps, framework=f"JaxMARL {version}, jax {jax.__version__}"
    )


if __name__ == "__main__":
    main()
