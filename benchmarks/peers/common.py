"""What the PyTorch peers share: nets, likelihoods, synthetic plays, and the stop watch."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Gaussian(nn.Module):
    """Two hidden layers and two heads: mean, and softplus standard deviation."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.mean = nn.Linear(width, outputs)
        self.std = nn.Linear(width, outputs)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.body(torch.cat(inputs, -1))
        return self.mean(hidden), F.softplus(self.std(hidden)) + 1e-3


def draw(mean: Tensor, std: Tensor) -> Tensor:
    """A reparametrised sample."""
    return mean + std * torch.randn_like(std)


def negative_log_likelihood(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Of a diagonal Gaussian, in nats, summed over everything."""
    return (0.5 * ((x - mean) / std) ** 2 + std.log() + 0.9189385332046727).sum()


def divergence(mean_q: Tensor, std_q: Tensor, mean_p: Tensor, std_p: Tensor) -> Tensor:
    """KL(q || p) of diagonal Gaussians, in nats, summed over everything."""
    ratio = (std_q / std_p) ** 2
    return 0.5 * (ratio + ((mean_q - mean_p) / std_p) ** 2 - 1 - ratio.log()).sum()


def plays(batches: int, rows: int, batch: int, size: int) -> Tensor:
    """Synthetic normalised tracks ``[batches, rows, batch, size]``: smooth random walks."""
    generator = torch.Generator().manual_seed(0)
    speed = 0.02 * torch.randn(batches, 1, batch, size, generator=generator)
    noise = 0.005 * torch.randn(batches, rows, batch, size, generator=generator)
    return (speed + noise).cumsum(1)


def training_step(loss: Callable[..., Tensor], parameters: list[Tensor]) -> Callable[..., float]:
    """One whole update: loss, gradients, clipping of their norm at 10, Adam."""
    adam = torch.optim.Adam(parameters, lr=1e-4)

    def step(*inputs: Tensor) -> float:
        adam.zero_grad(set_to_none=True)
        value = loss(*inputs)
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 10.0)
        adam.step()
        return value.item()

    return step


def arguments(description: str, **extra: tuple | int) -> argparse.Namespace:
    """Parse ``--steps --warmup --batch`` and the extra ``--name``; set threads and seed.

    An extra is a tuple of choices, the first being the default, or a whole number.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--steps", type=int, default=20, help="timed steps of a round")
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--serve", action="store_true", help="one round for every line on standard input"
    )
    for name, value in extra.items():
        if isinstance(value, int):
            parser.add_argument(f"--{name}", type=int, default=value)
        else:
            parser.add_argument(f"--{name}", choices=value, default=value[0])
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    return chosen


def report(call: Callable[[int], float], options: argparse.Namespace, **about: Any) -> None:
    """Time ``call(step)``, warm-up apart, and print one JSON object per round.

    The number every call returns enters the checksum, so that no work can be left out. With
    ``--serve`` a line of JSON says that the warm-up is over, so that rounds can alternate with
    those of another program.
    """
    start = time.perf_counter()
    checksum = call(0)
    first = time.perf_counter() - start
    checksum += sum(call(step) for step in range(1, options.warmup))
    about |= {
        "first_step_seconds": first,
        "steps": options.steps,
        "batch": options.batch,
        "sequences": options.batch * getattr(options, "calls", 1),
        "threads": torch.get_num_threads(),
        "framework": f"torch {torch.__version__}",
    }
    if options.serve:
        print(json.dumps(about), flush=True)
    for _ in sys.stdin if options.serve else range(1):
        seconds = []
        for step in range(options.steps):
            start = time.perf_counter()
            checksum += call(step)
            seconds.append(time.perf_counter() - start)
        median = statistics.median(seconds)
        timing = {
            "seconds_per_step": median,
            "sequences_per_second": about["sequences"] / median,
            "fastest_step": min(seconds),
            "checksum": checksum,
        }
        print(json.dumps({**about, **timing}), flush=True)
