"""Both halves of a log, imitated together: the half that answers learns, or cannot.

The log and what is learned from it are those of ``benchmarks/joint_policy.py``.
"""

import sys
from pathlib import Path

import jax
import pytest

import understudy as us

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import joint_policy


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Actions are noise; only what comes next has a rule."""
    path = joint_policy.written(tmp_path_factory.mktemp("log") / "log.csv")
    return us.data.read("transitions", str(path), schema=joint_policy.SCHEMA)


@pytest.mark.slow
def test_the_half_that_answers_is_learned_only_if_somebody_looks_at_answers(log, tmp_path):
    run = joint_policy.imitated(log, "sas", tmp_path / "sas", 1)
    assert joint_policy.played(run.policy(), log)[0] < 0.1
    blind = joint_policy.imitated(log, "sa", tmp_path / "sa", 1)
    assert joint_policy.played(blind.policy(), log)[0] > 0.3


def test_what_was_answered_is_what_everybody_observes_next(log):
    policy = us.BC(hidden=(4,)).policy(us.BC(hidden=(4,)).init(log.spec, None, jax.random.key(0)))
    assert joint_policy.played(policy, log)[1]


def test_logs_with_a_mistake_are_refused_in_one_sentence(tmp_path):
    assert [case["case"] for case in joint_policy.refused(tmp_path) if not case["refused"]] == []
