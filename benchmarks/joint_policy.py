"""The half of a log that answers is learned, exactly played, and bad logs are refused (D.1, D.8).

    python benchmarks/joint_policy.py --seeds 4

Actions of the log are noise and only the next state has a rule: after mood 0 mood 1 follows with
chance 0.9, after mood 1 with 0.2. Both halves are imitated together, once by a discriminator that
reads the answers (``sas``) and once by one that does not (``sa``). Then logs with one mistake each
go through the command line.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

import understudy as us
from results import command, summary, table, target, write
from understudy import cli
from understudy.envs.logged import Logged
from understudy.networks.discriminators import MLPDiscriminator

SCHEMA = {
    "state": {"sections": {"mood": 2}, "continuous": []},
    "action": {"continuous": 1},
    "session": True,
}
MOODS = np.array([0.9, 0.2])
STEPS = 96_000
BAD = {
    "a section that does not sum to one": ("a,1,0,0.5,1,1\n", ("row 1", "column")),
    "a schema of other columns": ("a,1,0,0.5,0,1,7\n", ("columns",)),
    "an empty session name": (",1,0,0.5,0,1\n", ("row 1", "column 1")),
    "no rows": ("", ("",)),
    "mixed encodings": ("a,1,0,0.5,0,1\nb,1,0,é,0,1\n".encode("latin-1"), ("row 2", "column 4")),
    "text for a number": ("a,1,0,0.5,0,1\nb,1,0,much,0,1\n", ("row 2", "column 4")),
}
"""What is wrong -> a file, and what the sentence names."""


def written(path: Path) -> Path:
    """A log whose actions are noise."""
    rng, rows = np.random.default_rng(0), []
    for session in range(200):
        mood = int(rng.integers(2))
        for _ in range(10):
            after = int(rng.random() < MOODS[mood])
            row = [*np.eye(2)[mood], rng.normal(), *np.eye(2)[after]]
            rows.append(",".join([f"s{session}", *(f"{x:.9g}" for x in row)]))
            mood = after
    path.write_text("\n".join(rows) + "\n")
    return path


def imitated(log: Any, judges: Any, out: Path, seeds: int) -> Any:
    """Both halves, imitated together."""
    optimiser = us.MAPPO(
        hidden=(16,), envs=32, rollout=10, epochs=2, minibatches=1, learning_rate=5e-3,
        entropy=0.01, discount=0.9, decay=300,
    )  # fmt: skip
    algorithm = us.MAGAIL(
        cloning=0, optimiser=optimiser, reward="logit", standardise=True, passes=4, minibatch=128,
        learning_rate=3e-3, discriminator=MLPDiscriminator(hidden=(16,), judges=judges),
    )  # fmt: skip
    env = Logged.of(log, starts="any")
    return us.train(algorithm, env=env, demonstrations=log, steps=STEPS, seeds=seeds, out=out)


def played(policy: Any, log: Any) -> tuple[float, bool]:
    """Mean total variation of what comes next over both moods; whether it is what was answered."""
    found = us.collect(Logged.of(log, starts="any"), policy, episodes=256, seed=1)
    known = found.known_actions()["environment"][:, 0]
    now = found.features["environment"][known, 0, 1]
    after = found.actions["environment"][known, 0, 0]
    apart = np.mean([abs(after[now == mood].mean() - MOODS[mood]) for mood in (0, 1)])
    answered = np.eye(2)[after.astype(int)]
    same = [(found.features[name][1:, 0][known[:-1]] == answered).all() for name in log.spec.names]
    return float(apart), all(same)


def moved(log: Any) -> float:
    """Norm of the likelihood's gradient in the weights of the half that answers."""
    policy = us.BC(hidden=(16,)).policy(us.BC(hidden=(16,)).init(log.spec, None, jax.random.key(0)))
    game = Logged.of(log, starts="any")
    _, observation = game.reset(jax.random.key(0))
    batch = jax.tree.map(lambda x: x[None], observation)
    action, _ = policy.act(observation, policy.memory({"agent": 1, "environment": 1}),
                           jax.random.key(1))  # fmt: skip
    actions = jax.tree.map(lambda x: x[None], action)

    def likely(policy: Any) -> Any:
        starts = np.ones(1, bool)
        log_prob, _ = policy.log_prob(batch, actions, jax.numpy.asarray(starts), ())
        return log_prob["environment"].sum()

    gradient = jax.grad(likely, allow_int=True)(policy)
    squares = [float((x**2).sum()) for x in jax.tree.leaves(gradient) if x.dtype == np.float32]
    return float(np.sqrt(sum(squares)))


def refused(folder: Path) -> list[dict[str, Any]]:
    """What the command line says to logs with one mistake each."""
    schema, rows = folder / "schema.json", []
    schema.write_text(json.dumps(SCHEMA))
    for number, (what, (content, named)) in enumerate(BAD.items()):
        path, out = folder / f"bad_{number}.csv", folder / f"out_{number}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            code = cli.main(["simulate", str(path), "--schema", str(schema), "--out", str(out)])
        text = said.getvalue().strip().splitlines()
        fine = code == 2 and len(text) == 1 and not out.exists()
        rows.append({"case": what, "refused": fine and all(n in text[0] for n in named),
                     "said": text[-1].replace(str(folder), "") if text else ""})  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    targets = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        log = us.data.read("transitions", str(written(place / "log.csv")), schema=SCHEMA)
        for judges, sign, wanted in (("sas", "<", 0.1), ("sa", ">", 0.3)):
            run = imitated(log, judges, place / judges, options.seeds)
            found = [played(run.policy(seed=seed), log) for seed in range(options.seeds)]
            apart = [value for value, _ in found]
            rows += [{"judges": judges, "seed": seed, "variation": value, "exact": exact}
                     for seed, (value, exact) in enumerate(found)]  # fmt: skip
            worst = max(apart) if sign == "<" else min(apart)
            targets.append(
                target(
                    f"D.1 {judges}",
                    f"total variation of the answers, {judges}, worst seed",
                    sign,
                    wanted,
                    worst,
                    (min(apart), max(apart)),
                )
            )
        exact = float(np.mean([row["exact"] for row in rows]))
        targets += [
            target("D.1 exact", "runs in which the next state is what was answered", "==", 1.0,
                   exact),
            target("D.1 gradient", "norm of the gradient of the half that answers", ">", 0.0,
                   moved(log)),
        ]  # fmt: skip
        said = refused(place)
    share = float(np.mean([row["refused"] for row in said]))
    targets.append(
        target("D.8", "bad logs refused in one sentence, nothing written", "==", 1.0, share)
    )
    print(table(rows), table(said), sep="\n\n")
    write("joint_policy", command=command(), seeds=range(options.seeds), rows=[*rows, *said],
          targets=targets)  # fmt: skip
    print(summary(targets))


if __name__ == "__main__":
    main()
