"""From a CSV of states, actions and next states to an audited simulator.

A planted market stands for your log: replace `write` by your own file and schema.
"""

import json
import sys
from pathlib import Path

import numpy as np

import understudy as us
from understudy.diagnostics.exploits import audit
from understudy.envs.answered import Answered
from understudy.envs.penalties import SupportPenalty
from understudy.experiment.simulate import load

SCHEMA = {
    "state": {
        "sections": {"segment": 6, "hour": 24, "page": 4, "bought": 2, "mood": 3},
        "continuous": ["spend", "fatigue", "interest"],
    },
    "action": {"sections": {"offer": 4}, "continuous": ["discount", "pressure"]},
    "agent": "platform",
    "environment": "user",
    "constant": ["segment"],
}


def write(folder, sessions):
    """log.csv, a row s|a|s' for each transition, and schema.json."""
    market = us.envs.make("market")
    log = us.collect(market, market.truth(), episodes=sessions, seed=0)
    known = log.known_actions()["user"][:, 0]
    state, done = log.features["user"][:, 0], log.actions["platform"][:, 0]
    action = np.concatenate([np.eye(4)[done[:, 0].astype(int)], done[:, 1:]], 1)
    rows = np.concatenate([state[known], action[known], state[np.roll(known, 1)]], 1)
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / "log.csv", rows, delimiter=",", fmt="%.6g")
    (folder / "schema.json").write_text(json.dumps(SCHEMA))


def main(out="runs/users", sessions=1_000, search=None, **smaller):
    out = Path(out)
    write(out, int(sessions))
    log = us.data.read("transitions", out / "log.csv", schema=out / "schema.json")
    report = us.simulate(log, out / "learned", outcome="bought=1", time="hour", **smaller)
    for finding in report.findings:
        print(f"{finding.level}: {finding.text}")

    world = load(out / "learned", "world")
    env = Answered.of(world, log, reward=lambda now, done, after: after[-3])  # what was spent
    print(audit(env, log, search=search).verdict)
    print(audit(SupportPenalty.of(env, log), log, search=search).verdict)


if __name__ == "__main__":
    main(*sys.argv[1:])
