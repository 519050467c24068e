"""Metrics of adversarial training as they would be logged, made up: healthy, or not."""

import math

import numpy as np

from understudy.experiment import folder
from understudy.experiment.config import to_json
from understudy.experiment.plan import TrainOptions
from understudy.experiment.run import VERSION, Run

BINS = 40


def training(lines=40, seeds=2, agents=3, every=10, kind="healthy", group="agents", rng=None):
    """Lines of ``metrics.jsonl``: a discriminator leads at first, and a policy catches up.

    Args:
        lines: how many.
        seeds: of the run.
        agents: of the one group.
        every: updates per line.
        kind: ``healthy``, or what goes wrong: ``won``, ``flat``, ``low``, ``narrow``.
        group: its name.
        rng: of the noise.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    return [
        {"stage": 0, "step": every * (i + 1)}
        | _line(i / max(1, lines - 1), seeds, agents, kind, group, rng)
        for i in range(lines)
    ]


def _line(done, seeds, agents, kind, group, rng):
    """One line at a share of the training, 0 to 1."""
    lead = min(1.0, 8 * done) * math.exp(-3 * done)  # rises, then falls
    if kind == "won":
        lead = min(1.0, 8 * done)
    noise = rng.normal(0, 0.01, (12, seeds))
    accuracy = np.clip(0.5 + 0.48 * lead + noise[:2], 0, 1)
    scores = np.stack([0.2 + 0.8 * lead + noise[2], 0.1 - 0.7 * lead + noise[3]])
    left = math.exp(-8 * done) if kind == "narrow" else 0.4 + 0.6 * math.exp(-2 * done)
    return {
        name: value.tolist()
        for name, value in {
            "discriminator_loss": 0.05 - lead * 0.6 + noise[4],
            "expert_score": scores[0],
            "policy_score": scores[1],
            "regulariser": 0.05 + 0.2 * lead + noise[5],
            "violations": np.clip(0.1 + 0.3 * lead + noise[6], 0, 1),
            "expert_accuracy": accuracy[0],
            "policy_accuracy": accuracy[1],
            "discriminator_gradient_norm": 1 + noise[7],
            "lipschitz": 1.2 + 0.4 * lead + noise[8],
            "steepness": 0.9 + 0.3 * lead + noise[9],
            "learned_reward": 0.7 - 0.3 * lead + noise[10],
            "reward_correlation": 0.1 + 0.6 * done + noise[11],
            "reward": -2 + 1.5 * done + noise[0],
            "entropy": 1.6 * left + 0 * noise[0],
            "explained_variance": 0.2 + 0.6 * done + noise[1],
            "advantage_variance": 0.5 + lead + noise[2],
            "evaluation/return": -45 + 30 * (1 - math.exp(-4 * done)) + 100 * noise[3],
            "evaluation/return_mode": -43 + 31 * (1 - math.exp(-4 * done)) + 100 * noise[4],
            **rewards(scores[1], 0.25 + 0.3 * lead, agents, kind, group, rng),
        }.items()
    }


def rewards(scores, spread, agents, kind, group, rng):
    """Quantiles, moments and histogram of softplus rewards of scores about the policy's."""
    seeds = len(scores)
    offset = 0.4 * np.arange(agents)[None] / agents
    middle = scores[:, None] + offset
    width = np.full((seeds, agents), spread)
    if kind == "flat":
        width[:, 0] = 1e-4
    if kind == "low":
        middle, width = middle - 9, width
    drawn = middle[..., None] + width[..., None] * rng.normal(size=(seeds, agents, 400))
    paid = np.log1p(np.exp(drawn))
    places = np.clip((paid / 5 * BINS).astype(int), 0, BINS - 1)
    shares = (places[..., None] == np.arange(BINS)).mean(2)
    quantiles = np.moveaxis(np.quantile(paid, (0.05, 0.25, 0.5, 0.75, 0.95), axis=-1), 0, -1)
    return {
        f"reward_quantiles/{group}": quantiles,
        f"reward_moments/{group}": np.stack([paid.mean(-1), paid.var(-1)], -1),
        f"reward_histogram/{group}": shares,
    }


def written(place, rows, algorithm, env, *, steps=1_000_000, seeds=2):
    """A run folder that holds these lines, as training `algorithm` in `env` would have left it."""
    config = {
        "version": VERSION,
        "understudy": "0",
        "name": type(algorithm).__name__,
        "algorithm": to_json(algorithm),
        "stages": [{"updates": rows[-1]["step"], "log_every": rows[0]["step"]}],
        "steps": steps,
        "spec": to_json(env.spec),
        "seeds": seeds,
        "seed": 0,
        "env": {"name": type(env).__name__, "config": to_json(env)},
        "demonstrations": None,
        "validation": None,
        "options": to_json(TrainOptions()),
    }
    folder.create(place, config, None)
    for row in rows:
        folder.add_metrics(place, row)
    return Run(place)
