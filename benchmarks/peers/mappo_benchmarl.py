"""PyTorch peer: PPO on spread by BenchMARL, as its package trains it, timed by its own timers.

``--game mpe2`` is the game of PettingZoo (TorchRL still looks for it where it was before it became
the package ``mpe2``, so it is put there); ``--game vmas`` is the vectorised one in torch, another
game of the same name with smaller observations. By default discrete actions, networks, frames,
epochs, minibatches and losses are those of ``ippo_jaxmarl.py``; ``--defaults`` takes the
package's own (continuous actions, two layers of 256, 6,000 frames of 10 envs, 45 epochs of
minibatches of 400). Nothing is evaluated, rendered or logged to disk. Left as they are: orthogonal
initialisation is missing, the rate does not fall, the observations of VMAS leave out messages.

One JSON object is printed, or with ``--serve`` one when warm and one per line on standard input.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import types
import warnings
from typing import Any

warnings.filterwarnings("ignore")
os.environ.setdefault("TQDM_DISABLE", "1")

import torch  # noqa: E402
from benchmarl.algorithms import IppoConfig, MappoConfig  # noqa: E402
from benchmarl.environments import PettingZooTask, VmasTask  # noqa: E402
from benchmarl.experiment import Experiment, ExperimentConfig  # noqa: E402
from benchmarl.models.mlp import MlpConfig  # noqa: E402
from mpe2 import simple_spread_v3  # noqa: E402

ALGORITHMS = {"ippo": IppoConfig, "mappo": MappoConfig}
GAMES = types.ModuleType("pettingzoo.utils.all_modules")
GAMES.all_environments = {"mpe/simple_spread_v3": simple_spread_v3}  # type: ignore[attr-defined]
sys.modules[GAMES.__name__] = GAMES  # here, so that processes started for games have it too


def task(game: str, defaults: bool) -> Any:
    """Spread with three agents, in episodes of 25 steps or of the package's length."""
    if game == "vmas":
        found = VmasTask.SIMPLE_SPREAD.get_from_yaml()
        found.config |= {} if defaults else {"max_steps": 25}
        return found
    found = PettingZooTask.SIMPLE_SPREAD.get_from_yaml()
    found.config |= {} if defaults else {"max_cycles": 25}
    return found


def experiment(options: argparse.Namespace, folder: str) -> Experiment:
    """All there is to run, without evaluation, pictures and loggers."""
    algorithm = ALGORITHMS[options.algorithm].get_from_yaml()
    model, critic = MlpConfig.get_from_yaml(), MlpConfig.get_from_yaml()
    config = ExperimentConfig.get_from_yaml()
    config.evaluation, config.render, config.create_json, config.loggers = False, False, False, []
    config.save_folder, config.parallel_collection = folder, options.parallel
    if not options.defaults:
        frames = options.envs * options.rollout
        config.prefer_continuous_actions = False
        config.lr, config.adam_eps, config.clip_grad_val = 2.5e-4, 1e-5, 0.5
        config.on_policy_n_envs_per_worker = options.envs
        config.on_policy_collected_frames_per_batch = frames
        config.on_policy_n_minibatch_iters = options.epochs
        config.on_policy_minibatch_size = frames // options.minibatches
        algorithm.lmbda, algorithm.entropy_coef, algorithm.critic_coef = 0.95, 0.01, 0.25
        model.num_cells, critic.num_cells = list(options.hidden), list(options.hidden)
    config.max_n_iters = 1_000_000 if options.serve else options.iterations + 1
    config.max_n_frames = None
    return Experiment(
        task=task(options.game, options.defaults),
        algorithm_config=algorithm,
        model_config=model,
        critic_model_config=critic,
        seed=options.seed,
        config=config,
    )


class Watch:
    """Reads the timers an experiment logs at the end of every iteration, and answers with JSON.

    The first iteration is the warm-up. Waiting for the next line lies between two iterations.
    """

    def __init__(self, options: argparse.Namespace, about: dict[str, Any], answers: Any) -> None:
        self.options, self.about, self.answers = options, about, answers
        self.rows: list[dict[str, float]] = []
        self.warm = False
        self.start = time.perf_counter()
        self.checksum = 0.0

    def log(self, values: dict[str, Any], step: int | None = None) -> None:
        for name, value in values.items():
            if name.endswith("reward/episode_reward_mean"):
                self.checksum += float(value)
        if "timers/iteration_time" not in values:
            return
        row = {name.partition("/")[2]: float(value) for name, value in values.items()}
        if not self.warm:
            self.warm = True
            self.about["first_step_seconds"] = time.perf_counter() - self.start
            if self.options.serve:
                self._say({})
                self._wait()
            return
        self.rows.append(row)
        if len(self.rows) == self.options.iterations:
            self._answer()
            if self.options.serve:
                self._wait()

    def _answer(self) -> None:
        total = {
            name: sum(row[f"{name}_time"] for row in self.rows)
            for name in ("iteration", "collection", "training")
        }
        frames = sum(row["current_frames"] for row in self.rows)
        self._say(
            {
                "steps_per_second": frames / total["iteration"],
                "seconds_per_step": total["iteration"] / frames,
                "sequences": 1,
                "collect_seconds": total["collection"] / len(self.rows),
                "learn_seconds": total["training"] / len(self.rows),
                "load": os.getloadavg()[0],
                "checksum": self.checksum,
            }
        )
        self.rows = []

    def _say(self, values: dict[str, Any]) -> None:
        print(json.dumps({**self.about, **values}), file=self.answers, flush=True)

    def _wait(self) -> None:
        if not sys.stdin.readline():
            raise SystemExit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--algorithm", choices=tuple(ALGORITHMS), default="mappo")
    parser.add_argument("--game", choices=("mpe2", "vmas"), default="mpe2")
    parser.add_argument("--defaults", action="store_true", help="the package's own settings")
    parser.add_argument("--parallel", action="store_true", help="a process for every mpe2 game")
    parser.add_argument("--iterations", type=int, default=5, help="timed ones of a round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--envs", type=int, default=16)
    parser.add_argument("--rollout", type=int, default=128)
    parser.add_argument("--hidden", type=int, nargs="*", default=[64, 64])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--minibatches", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--serve", action="store_true", help="a round for every line received")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the package prints
    with tempfile.TemporaryDirectory() as folder:
        run = experiment(options, folder)
        weights = {id(p): p.numel() for group in run.losses.values() for p in group.parameters()}
        about = {
            "framework": f"torch {torch.__version__}, benchmarl, {options.game}",
            "parameters": sum(weights.values()),
            "frames": run.config.collected_frames_per_batch(run.on_policy),
            "threads": torch.get_num_threads(),
        }
        run.logger.log = Watch(options, about, answers).log
        run.run()


if __name__ == "__main__":
    main()
