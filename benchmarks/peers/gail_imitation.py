"""PyTorch peer: GAIL on CartPole by the package `imitation`, its PPO from Stable-Baselines3.

Demonstrations come as an ``.npz`` (``obs``, ``acts``, ``next_obs``, ``dones``) that the benchmark
writes. Networks, batches and epochs are given, so that both sides do the same: a round collects
``envs * rollout`` steps, takes some steps of the discriminator on batches of demonstrations and of
its own rows, and PPO's epochs. Nothing is logged or saved.

One JSON object is printed when warm, and with ``--serve`` one per line on standard input; with
``--until RETURN`` it trains until evaluation reaches that return, and prints how long it took.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from typing import Any

warnings.filterwarnings("ignore")

import gymnasium as gym  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from imitation.algorithms.adversarial.gail import GAIL  # noqa: E402
from imitation.data.types import Transitions  # noqa: E402
from imitation.rewards.reward_nets import BasicRewardNet  # noqa: E402
from imitation.util import logger  # noqa: E402
from stable_baselines3 import PPO  # noqa: E402
from stable_baselines3.common.evaluation import evaluate_policy  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv  # noqa: E402


class Logit(GAIL):
    """GAIL whose policy is paid the discriminator's logit as it is."""

    @property
    def reward_train(self) -> Any:
        """What is paid."""
        return self._reward_net


def trainer(options: argparse.Namespace) -> Any:
    """GAIL as the package builds it, with the sizes asked for."""
    rows = np.load(options.demonstrations)
    demonstrations = Transitions(
        obs=rows["obs"], acts=rows["acts"], next_obs=rows["next_obs"], dones=rows["dones"],
        infos=np.array([{}] * len(rows["obs"])),
    )  # fmt: skip
    venv = DummyVecEnv([lambda: gym.make("CartPole-v1") for _ in range(options.envs)])
    each = options.envs * options.rollout
    generator = PPO(
        "MlpPolicy", venv, n_steps=options.rollout, batch_size=each // options.minibatches,
        n_epochs=options.epochs, learning_rate=options.learning_rate, gamma=0.99,
        gae_lambda=0.95, ent_coef=0.01, seed=options.seed, device="cpu",
        policy_kwargs={"net_arch": {"pi": [options.hidden] * 2, "vf": [options.hidden] * 2}},
    )  # fmt: skip
    reward = BasicRewardNet(
        venv.observation_space, venv.action_space, hid_sizes=(options.hidden, options.hidden)
    )
    return {"softplus": GAIL, "logit": Logit}[options.reward](
        demonstrations=demonstrations, demo_batch_size=options.pairs, venv=venv,
        gen_algo=generator, reward_net=reward, n_disc_updates_per_round=options.passes,
        gen_train_timesteps=each, gen_replay_buffer_capacity=each, allow_variable_horizon=True,
        disc_opt_kwargs={"lr": options.judge_rate},
        custom_logger=logger.configure(options.folder, []),
    )  # fmt: skip


def answer(options: argparse.Namespace, gail: Any, seconds: float, about: dict[str, Any]) -> None:
    """Say how long a step of the env took, everything included."""
    weights = gail.gen_algo.policy.parameters()
    checksum = float(sum(p.detach().abs().sum() for p in weights))
    said = {"seconds_per_step": seconds / options.steps, "sequences": 1, "checksum": checksum}
    print(json.dumps({**about, **said, "load": os.getloadavg()[0]}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demonstrations", required=True)
    parser.add_argument("--folder", required=True, help="for what the package writes")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--until", type=float)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--judge-rate", type=float, default=1e-4)
    parser.add_argument("--reward", choices=("softplus", "logit"), default="softplus")
    sizes = {"steps": 16_384, "envs": 8, "rollout": 128, "epochs": 4, "minibatches": 4,
             "hidden": 64, "pairs": 512, "passes": 2}  # fmt: skip
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    start = time.perf_counter()
    gail = trainer(options)
    each = options.envs * options.rollout
    gail.train(each)
    about = {
        "framework": f"torch {torch.__version__}, imitation, stable-baselines3",
        "first_step_seconds": time.perf_counter() - start,
        "parameters": sum(p.numel() for p in gail.gen_algo.policy.parameters()),
        "sequences": 1,
    }
    if options.until is not None:
        until(options, gail, about)
        return
    if options.serve:
        print(json.dumps(about), flush=True)
    for _ in sys.stdin if options.serve else [""]:
        start = time.perf_counter()
        gail.train(options.steps)
        answer(options, gail, time.perf_counter() - start, about)


def until(options: argparse.Namespace, gail: Any, about: dict[str, Any]) -> None:
    """Train until the mean return of 20 episodes is reached, or the steps are over."""
    each, taken, seconds = options.envs * options.rollout, 0, 0.0
    env = DummyVecEnv([lambda: gym.make("CartPole-v1") for _ in range(20)])
    curve = []
    while taken < options.steps:
        start = time.perf_counter()
        gail.train(8 * each)
        seconds += time.perf_counter() - start
        taken += 8 * each
        earned, _ = evaluate_policy(gail.gen_algo, env, n_eval_episodes=20, warn=False)
        curve.append({"steps": taken, "seconds": seconds, "return": float(earned)})
        if earned >= options.until:
            break
    print(json.dumps({**about, "curve": curve}), flush=True)


if __name__ == "__main__":
    main()
