"""Demonstrations that do not fit the env, or cannot be imitated, are refused before training."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from contracts.envs import MOVE, Home
from contracts.harness import walks
from contracts.policies import Reinforce
from contracts.test_reward_injection import Adversarial, expert_log
from contracts.toys import LearnDrift
from understudy.algorithms.presets import BC
from understudy.algorithms.stages import Stages
from understudy.data.regroup import concatenate
from understudy.experiment import fit
from understudy.experiment.train import train
from understudy.types import ActionSpec, UserError

CHOICES = ActionSpec(sections=(3,))
LAST = np.arange(24) % 6 == 5
"""Rows of `expert_log` that have no action."""


def changed(**fields) -> Any:
    """`expert_log` with another group: four episodes of six rows of two agents."""
    log = expert_log()
    spec = dataclasses.replace(
        log.spec, groups=(dataclasses.replace(log.spec.groups[0], **fields),)
    )
    group = spec.groups[0]
    size = 0 if group.action is None else group.action.size
    return log.replace(
        spec=spec,
        features={group.name: np.zeros((24, group.agents, group.observation), np.float32)},
        alive={group.name: np.ones((24, group.agents), bool)},
        actions={group.name: np.zeros((24, group.agents, size), np.float32)},
    )


def named(*episodes):
    """`expert_log` whose agents have ids, given for some episodes and repeated."""
    ids = np.array([episodes[i % len(episodes)] for i in range(4)])
    return expert_log().replace(agent_labels={"id": {"agents": ids}})


def acted(values, *, action=CHOICES, legal=None, known=None) -> Any:
    """Actions of agent 0 in the first rows of the second episode."""
    log = changed(action=action)
    actions = log.actions["agents"].copy()
    actions[6 : 6 + len(values), 0, 0] = values
    masks = None
    if legal is not None:
        masks = np.ones((24, 2, 3), bool)
        masks[6 : 6 + len(values), 0] = legal
    return log.replace(
        actions={"agents": actions},
        legal=None if masks is None else {"agents": masks},
        action_known=None if known is None else {"agents": np.full((24, 2), known)},
    )


UNLIKE = {
    "groups": (
        expert_log().regroup({"players": ("agents",)}),
        r"expected .* groups \['agents'\] .* env, found \['players'\]; rename or reorder",
    ),
    "observation": (
        changed(observation=2), r"'agents' with 1 features, .* env, found 2; record"
    ),
    "no sections": (
        changed(action=ActionSpec((4,), (-1.0,), (1.0,))),
        r"sections of \[\] choices, .* env, found \[4\]; encode",
    ),
    "bounds": (
        changed(action=ActionSpec(low=(-1.0,), high=(2.0,))),
        r"high bounds \[1.0\], .* env, found \[2.0\]; scale",
    ),
    "dimensions": (
        changed(action=ActionSpec(low=(-1.0, -1.0), high=(1.0, 1.0))),
        r"low bounds \[-1.0\], .* env, found \[-1.0, -1.0\]; scale",
    ),
    "no action spec": (
        changed(action=None), r"with actions .* env, found no actions; record"
    ),
    "agents": (
        changed(agents=3), r"of 2 agents in group 'agents', .* env, found 3; give an env with 3"
    ),
    "order": (
        named(["agents_1", "agents_0"]),
        r"order \['agents_0', 'agents_1'\], found \['agents_1', 'agents_0'\] in episode 'e0'; put",
    ),
    "order of an episode": (
        named(["ann", "bob"], ["ann", "bob"], ["bob", "ann"]),
        r"in the order \['ann', 'bob'\], found \['bob', 'ann'\] in episode 'e2'; put",
    ),
}  # fmt: skip
IMPOSSIBLE = {
    "no episodes": (expert_log()[:0], "at least one episode, found none; record some"),
    "nobody alive": (
        expert_log().replace(
            alive={"agents": np.zeros((24, 2), bool)},
            features={"agents": np.zeros((24, 2, 1), np.float32)},
        ),
        "agents that are alive, found none in any of 24 rows; mark",
    ),
    "no actions": (
        expert_log().replace(actions=None), "recorded actions to imitate, found none; record"
    ),
    "nothing known": (
        acted([], known=False), r"at least one known action .* found none of \['agents'\]; mark"
    ),
    "no such choice": (
        acted([0, 1, 3]),
        "an integer from 0 to 2 in section 0 as action of agent 0 in row 2 of episode 'e1', "
        "found 3; correct",
    ),
    "half a choice": (acted([0.5]), "an integer from 0 to 2 .* row 0 of episode 'e1', found 0.5"),
    "illegal": (
        acted([0, 1], legal=[True, False, True]),
        "a legal choice in section 0 .* row 1 of episode 'e1', found 1; correct",
    ),
    "out of bounds": (
        acted([1.5], action=MOVE),
        "a value from -1 to 1 .* row 0 of episode 'e1', found 1.5; correct",
    ),
    "not a number": (acted([np.nan]), "an integer from 0 to 2 .* found nan; correct"),
}  # fmt: skip


def refusal(algorithm, tmp_path, **given) -> str:
    """The sentence of a training that leaves no run behind."""
    with pytest.raises(UserError) as error:
        train(algorithm, out=tmp_path / "run", steps=24, **given)
    assert not (tmp_path / "run" / "config.json").exists()
    text = str(error.value)
    assert "expected" in text
    assert "found" in text
    assert "; " in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", UNLIKE)
def test_what_is_not_like_the_env_is_named(name, tmp_path):
    demonstrations, sentence = UNLIKE[name]
    warm = Stages(((BC(), 2), (Reinforce(), 24)), handover="fresh")
    for number, algorithm in enumerate((Adversarial(), warm)):
        found = refusal(
            algorithm, tmp_path / str(number), env=Home(), demonstrations=demonstrations
        )
        assert re.search(sentence, found), found


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_imitated_is_named(name, tmp_path):
    demonstrations, sentence = IMPOSSIBLE[name]
    found = refusal(BC(), tmp_path, demonstrations=demonstrations)
    assert re.search(sentence, found), found


def test_it_is_named_to_an_algorithm_that_acts_too(tmp_path):
    for number, name in enumerate(("nobody alive", "no actions", "out of bounds")):
        demonstrations, sentence = IMPOSSIBLE[name]
        given = {"env": Home(), "demonstrations": demonstrations}
        found = refusal(Adversarial(), tmp_path / str(number), **given)
        assert re.search(sentence, found), found


def test_a_group_without_actions_is_named_to_a_cloner(tmp_path):
    tracks = walks().replace(actions={"agents": np.zeros((72, 3, 0), np.float32)})
    assert "found none of 'agents'; drop the group" in refusal(
        BC(), tmp_path, demonstrations=tracks
    )


def test_what_fits_passes():
    for log in (expert_log(), named(["agents_0", "agents_1"]), named(["ann", "bob"], ["cy", "di"])):
        fit.check(Stages(((Adversarial(), 1),)), log, Home())
    fit.check(Stages(((LearnDrift(), 1),)), walks(), None)
    fit.check(Stages(((BC(), 1),)), acted([2, 1], legal=[False, True, True]), None)


def test_actions_nobody_took_are_not_looked_at():
    """The last row of an episode, an unknown action, and that of an agent who is not alive."""
    log = acted([9, 0])
    known, alive = np.ones((24, 2), bool), np.ones((24, 2), bool)
    known[6, 0] = False
    fit.check_actions(log.replace(action_known={"agents": known & ~LAST[:, None]}))
    alive[6, 0] = False
    fit.check_actions(log.replace(alive={"agents": alive}))
    with pytest.raises(UserError, match="found 9"):
        fit.check_actions(log)


def test_every_part_of_a_large_set_is_looked_at(monkeypatch):
    monkeypatch.setattr(fit, "BLOCK", 7)
    with pytest.raises(UserError, match="row 2 of episode 'e1', found 3"):
        fit.check_actions(acted([0, 1, 3]))
    late = expert_log()
    names = {n: np.array([f"l{i}" for i in range(4)]) for n in late.labels}
    silent = late.replace(action_known={"agents": np.zeros((24, 2), bool)}, labels=names)
    fit.check_actions(concatenate([silent, expert_log()]))
