"""Random play of VMAS's simple_spread, all envs in one tensor; they end together and are reset."""

from __future__ import annotations

import argparse
import importlib.metadata

import torch
import vmas
from serve import serve

HORIZON = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=25)
    options = parser.parse_args()
    torch.manual_seed(0)
    envs = options.envs
    env = vmas.make_env(
        "simple_spread", num_envs=envs, continuous_actions=False, max_steps=HORIZON, seed=0,
        n_agents=3,
    )  # fmt: skip
    env.reset()

    @torch.no_grad()
    def call() -> float:
        total = torch.zeros(())
        for _ in range(options.steps):
            drawn = torch.randint(5, (3, envs, 1))
            seen, reward, done, _ = env.step([*drawn])
            for observation, paid in zip(seen, reward, strict=True):
                total += observation.sum() + paid.sum()
            if bool(done.any()):
                for observation in env.reset():
                    total += observation.sum()
        return float(total)

    about = f"VMAS {importlib.metadata.version('vmas')}, torch {torch.__version__}"
    serve(call, envs=envs, steps=options.steps, framework=about, threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
