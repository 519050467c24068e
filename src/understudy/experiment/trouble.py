"""What goes wrong in adversarial training, told from its metrics in plain sentences.

Three things end it early: the discriminator wins for good, the reward stops telling anything, the
policy stops trying. Every threshold is a constant with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from understudy.experiment.findings import Finding
from understudy.types import Spec

LONG = 0.25
"""Share of the lines of adversarial training, up to the last, in which something has to be wrong.
A discriminator that wins for a while is how training begins; one that wins to the end teaches
nothing more."""
LINES = 8
"""Fewer lines than this say nothing of how long."""
WON = 0.95
"""Accuracy on either side at which a discriminator has won: errors of 5 % are what label noise and
expert actions that the policy takes too leave even to a good one."""
TOLD = ("expert_accuracy", "policy_accuracy", "violations")
"""What shows it: rows told right, for losses with labels; for critics, whose 0 means nothing, pairs
whose gap of scores is more than their distance."""
WON_GAP = 0.5
"""Share of the widest score gap of the run that is still there: a policy that catches up closes it.
Relative, because scores have no unit: a critic's of a Wasserstein distance stay within that
distance, logits do not."""
FLAT = 0.01
"""Standard deviation of an agent's reward that counts as none: a hundredth of the change that one
unit of score makes. Advantages are scaled up to 1, so the policy would learn from rounding."""
ONE_END = 0.95
"""Share of rows in one outermost bin: all five quantiles lie there, and scores say more or less of
the same thing of every row."""
ENTROPY_LEFT = 0.05
"""Share of its entropy at which a policy over choices has stopped exploring: with five choices,
about one action in 70 is another than the likeliest."""
STD_LEFT = 0.05
"""The same for continuous actions, whose entropy has no zero: share of their standard deviation."""


def trouble(metrics: Sequence[Mapping[str, Any]], spec: Spec | None = None) -> list[Finding]:
    """Warn where adversarial training went wrong: one sentence each, none for healthy metrics.

    Args:
        metrics: lines of ``metrics.jsonl``; those without ``expert_accuracy`` are passed over.
        spec: tells continuous actions from choices; None: all are choices.
    """
    rows = [row for row in metrics if "expert_accuracy" in row]
    if len(rows) < LINES:
        return []
    return [
        finding
        for judge_them in (_won, _flat, _one_end, lambda lines: _narrow(lines, spec))
        for finding in judge_them(rows)
    ]


def _won(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """The discriminator has won."""

    def gap(row: Mapping[str, Any], seed: int) -> float:
        return _of(row["expert_score"], seed) - _of(row["policy_score"], seed)

    widest = [max(gap(row, seed) for row in rows) for seed in _seeds(rows)]

    def won(row: Mapping[str, Any], seed: int) -> bool:
        told = [_of(row[name], seed) >= WON for name in TOLD]
        apart = (told[0] and told[1]) or told[2]
        return apart and gap(row, seed) >= WON_GAP * widest[seed] > 0

    found = []
    for since, who in _lasting(rows, won):
        expert, policy, pairs = (
            sum(_of(rows[-1][name], seed) for seed in who) / len(who) for name in TOLD
        )
        left = sum(gap(rows[-1], seed) for seed in who) / len(who)
        what = f"it tells {expert:.0%} of expert rows and {policy:.0%} of the policy's"
        if min(expert, policy) < WON:
            what = f"it sets {pairs:.0%} of pairs further apart than they are"
        text = (
            f"The discriminator has won {since}: {what}, and the gap of scores ({left:.2g}) is not "
            "closing; try a smaller step size or fewer updates of it, a stronger regulariser, or a "
            "longer warm start by behaviour cloning."
        )
        found.append(Finding("warning", text))
    return found


def _flat(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """The reward of some agent does not vary."""
    found = []
    for name in _arrays(rows, "reward_moments/"):
        for agent in range(len(rows[-1][name][0])):

            def flat(
                row: Mapping[str, Any], seed: int, name: str = name, agent: int = agent
            ) -> bool:
                mean, variance = (_of(row[name], seed, agent, i) for i in (0, 1))
                absent = mean == 0 and variance == 0
                return variance < FLAT**2 and not absent

            found += [(_agent(name, agent), *lasting) for lasting in _lasting(rows, flat)]
    return _told(
        found,
        "The reward of {who} has not varied {since} (its standard deviation is below "
        f"{FLAT:g}): the discriminator cannot tell what this agent does, because it does as the "
        "expert does or because it is blind to it; if evaluations are poor, try a larger step size "
        "of the discriminator, a weaker regulariser, or one that sees all agents.",
    )


def _one_end(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """The rewards of some agent all lie at one end."""
    found = []
    for name in _arrays(rows, "reward_histogram/"):
        for agent in range(len(rows[-1][name][0])):
            for bin, end in ((0, "lowest"), (-1, "highest")):

                def there(
                    row: Mapping[str, Any], seed: int, name: str = name, agent: int = agent,
                    bin: int = bin,
                ) -> bool:  # fmt: skip
                    return _of(row[name], seed, agent, bin) >= ONE_END

                who = f"{_agent(name, agent)} ({end})"
                found += [(who, *lasting) for lasting in _lasting(rows, there)]
    return _told(
        found,
        "The rewards of {who} have all been at one end of their range {since}: the discriminator "
        "says the same of every row; try a smaller step size of it, a stronger regulariser, or "
        "another reward.",
    )


def _narrow(rows: Sequence[Mapping[str, Any]], spec: Spec | None) -> list[Finding]:
    """The policy has lost its entropy."""
    if "entropy" not in rows[-1]:
        return []
    dimensions = 0
    for group in () if spec is None else spec.groups:
        dimensions += 0 if group.action is None else len(group.action.low)

    def learning(seed: int) -> float:
        """The most it had; nothing is logged while only the discriminator learns."""
        known = [_of(row["entropy"], seed) for row in rows]
        return max((value for value in known if value != 0 and math.isfinite(value)), default=0.0)

    most = [learning(seed) for seed in _seeds(rows)]

    def left(row: Mapping[str, Any], seed: int) -> float:
        now = _of(row["entropy"], seed)
        if dimensions:
            return math.exp(min(0.0, (now - most[seed]) / dimensions)) - STD_LEFT
        return now / most[seed] - ENTROPY_LEFT if most[seed] > 0 else math.nan

    what = "spread" if dimensions else "entropy"
    share = STD_LEFT if dimensions else ENTROPY_LEFT
    return [
        Finding(
            "warning",
            f"The policy has had less than {share:.0%} of the {what} it once had {since}: it "
            "hardly tries anything else, which is right only for an expert that never does; try a "
            "larger entropy weight, a smaller step size, or more demonstrations.",
        )
        for since, _ in _lasting(rows, lambda row, seed: left(row, seed) < 0)
    ]


def _lasting(
    rows: Sequence[Mapping[str, Any]], wrong: Callable[[Mapping[str, Any], int], bool]
) -> list[tuple[str, list[int]]]:
    """``since update 400 in seeds 0 and 2`` and the seeds, if something is wrong for long."""
    least = max(LINES // 2, math.ceil(LONG * len(rows)))
    begun: dict[int, int] = {}
    for seed in _seeds(rows):
        bad = 0
        while bad < len(rows) and wrong(rows[-1 - bad], seed):
            bad += 1
        if bad >= least:
            begun[seed] = rows[-bad]["step"]
    if not begun:
        return []
    where = ""
    if len(_seeds(rows)) > 1:
        *most, last = map(str, begun)
        names = f"seeds {', '.join(most)} and {last}" if most else f"seed {last}"
        where = " in every seed" if len(begun) == len(_seeds(rows)) else f" in {names}"
    return [(f"since update {min(begun.values()):,}{where}", list(begun))]


def _told(found: Sequence[tuple[str, str, Any]], text: str) -> list[Finding]:
    """One sentence for all agents of which the same is true since the same time."""
    return [
        Finding(
            "warning", text.format(who=_joined([w for w, s, _ in found if s == since]), since=since)
        )
        for since in dict.fromkeys(since for _, since, _ in found)
    ]


def _joined(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _agent(name: str, agent: int) -> str:
    group = name.split("/", 1)[1]
    return f"agent {agent}" if group == "agents" else f"{group} {agent}"


def _arrays(rows: Sequence[Mapping[str, Any]], prefix: str) -> list[str]:
    return [name for name in rows[-1] if name.startswith(prefix)]


def _seeds(rows: Sequence[Mapping[str, Any]]) -> range:
    return range(len(rows[-1]["expert_accuracy"]))


def _of(values: Any, *place: int) -> float:
    """A number within nested lists; NaN, which is never wrong, where a seed has diverged."""
    for index in place:
        values = values[index]
    return math.nan if values is None else float(values)
