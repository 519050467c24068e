"""Warnings about adversarial training, from metrics that are healthy and metrics that are not."""

from typing import Any

import pytest

from adversarial_metrics import training
from understudy.experiment.findings import findings
from understudy.experiment.trouble import trouble
from understudy.types import ActionSpec, Group, Spec


def without(rows, seed):
    """The same lines of a run in which one seed has diverged half way."""

    def lost(value):
        return [lost(v) for v in value] if isinstance(value, list) else None

    return [
        {
            name: [lost(v) if s == seed and i > len(rows) / 2 else v for s, v in enumerate(held)]
            if isinstance(held, list)
            else held
            for name, held in row.items()
        }
        for i, row in enumerate(rows)
    ]


def only_in(seed, bad, good):
    """Lines in which one seed does as `bad` and the others as `good`."""
    return [
        {
            name: [b if s == seed else g for s, (b, g) in enumerate(zip(held, other[name]))]
            if isinstance(held, list)
            else held
            for name, held in row.items()
        }
        for row, other in zip(bad, good)
    ]


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("lines", [3, 12, 100])
def test_healthy_training_gives_no_warning(seeds, lines):
    assert trouble(training(lines, seeds)) == []
    assert trouble(without(training(lines, seeds), 0)) == []


def test_lines_of_other_training_are_passed_over():
    cloning = [{"stage": 0, "step": s, "loss": [1.0], "entropy": [9.0]} for s in range(1, 50)]
    assert trouble(cloning) == []
    assert trouble(cloning + training(40, 1)) == []
    assert trouble([]) == []


def test_a_discriminator_that_has_won_is_named_since_when_and_what_to_try():
    """It leads fully from an eighth of 40 lines of 10 updates on."""
    (found,) = trouble(training(40, 2, kind="won"))
    assert found.level == "warning"
    assert "The discriminator has won since update 60 in every seed" in found.text
    assert "97% of expert rows and 96% of the policy's" in found.text  # 98 %, with noise
    assert "try a smaller step size" in found.text
    assert found.text.count(".") - found.text.count("0.") <= 2  # one sentence, one decimal point


def test_a_critic_wins_by_distances_and_not_by_signs():
    rows: list[Any] = training(40, 1, kind="won")
    for row in rows:
        row |= {"policy_accuracy": [0.2], "violations": [0.97]}
    (found,) = trouble(rows)
    assert "since update 40: it sets 97% of pairs further apart than they are" in found.text


def test_a_lead_that_lasts_a_while_and_is_lost_again_is_no_win():
    won, healthy = training(40, kind="won"), training(40)
    assert trouble(won[:20] + healthy[20:]) == []
    # accuracies stay high, yet the gap has nearly closed: the policy is catching up
    closing = [
        row | {"expert_score": [0.02] * 2, "policy_score": [0.0] * 2} if i > 20 else row
        for i, row in enumerate(won)
    ]
    assert trouble(closing) == []
    assert len(trouble(healthy[:25] + won[25:])) == 1


def test_a_seed_is_named_where_others_are_well():
    rows = only_in(1, training(40, 3, kind="won"), training(40, 3))
    (found,) = trouble(rows)
    assert "since update 60 in seed 1:" in found.text


def test_a_reward_that_does_not_vary_is_told_with_its_agent():
    (found,) = trouble(training(40, 2, kind="flat"))
    assert "The reward of agent 0 has not varied since update 10 in every seed" in found.text
    assert "if evaluations are poor" in found.text
    (other,) = trouble(training(40, 2, kind="flat", group="predators"))
    assert "The reward of predators 0" in other.text


def test_an_agent_that_is_never_there_is_not_flat():
    rows: list[Any] = training(40, 2)
    for row in rows:
        for seed in row["reward_moments/agents"]:
            seed[2] = [0.0, 0.0]
    assert trouble(rows) == []


def test_rewards_at_one_end_are_told_for_all_agents_at_once():
    found = [f.text for f in trouble(training(40, 2, kind="low")) if "one end" in f.text]
    assert len(found) == 1
    assert "agent 0 (lowest), agent 1 (lowest) and agent 2 (lowest)" in found[0]
    assert "since update 10 in every seed" in found[0]


def test_a_policy_that_stops_trying_is_told():
    """exp(-8 t) falls below a twentieth at t = 0.374, after 15 of 40 lines."""
    (found,) = trouble(training(40, 1, kind="narrow"))
    assert "less than 5% of the entropy it once had since update 160" in found.text
    assert "in every seed" not in found.text


def test_continuous_actions_are_judged_by_their_spread():
    """Entropy of two dimensions from 3 to -3 nats: a spread of e^-3 = 5.0 % each is the limit."""
    spec = Spec((Group("agents", 3, 4, ActionSpec(low=(-1.0, -1.0), high=(1.0, 1.0))),))
    rows = training(40, 1)

    def falling(end):
        return [
            row | {"entropy": [3.0 - min(1.0, i / 20) * (3.0 - end)]} for i, row in enumerate(rows)
        ]

    assert trouble(falling(-2.9), spec) == []
    (found,) = trouble(falling(-3.1), spec)
    assert "less than 5% of the spread" in found.text
    assert trouble(falling(3.0), spec) == []


def test_a_policy_that_waits_for_the_discriminator_logs_no_entropy():
    rows = training(40, 1)
    waiting = [row | {"entropy": [0.0]} for row in rows[:10]] + rows[10:]
    assert trouble(waiting) == []
    narrow = training(40, 1, kind="narrow")
    assert len(trouble([row | {"entropy": [0.0]} for row in narrow[:1]] + narrow[1:])) == 1


def test_warnings_stand_among_the_other_findings():
    found = findings(None, [], more=trouble(training(40, kind="won")))
    assert [f.level for f in found] == ["warning", "warning"]
    assert "not evaluated" in found[0].text
